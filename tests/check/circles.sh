#!/bin/sh
# Do any of these object files, or of their folders, need each other in a circle?
#     circles.sh build/default/src/*/*.o
# An arrow goes from who uses a symbol to who defines it; tsort(1) names those that stand in a circle.
arrows() { # 1: between folders; then the files
    folders=$1
    shift
    nm -A -P "$@" | sed 's/^\([^:]*\): /\1 /' | awk -v folders="$folders" '
        {
            place = $1
            if (folders) sub(/\/[^\/]*$/, "", place)
        }
        $3 == "U" { used[place, $2] = 1; next }
        $3 ~ /^[A-Z]$/ { defined[$2] = place }
        END {
            for (pair in used) {
                split(pair, part, SUBSEP)
                if (part[2] in defined && defined[part[2]] != part[1]) print part[1], defined[part[2]]
            }
        }' | sort -u
}
failed=0
for folders in 0 1; do
    circle=$(arrows "$folders" "$@" | tsort 2>&1 >/dev/null)
    [ -z "$circle" ] || { echo "$circle"; failed=1; }
done
exit $failed
