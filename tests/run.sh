#!/bin/sh
# Runs each test program named, all of them also when one fails, JOBS=2 at a time, and sums up. Each
# shows what it said when it has ended. Behind --durable the servers keep their jobs on disk.
# run.sh --one PROGRAM MODE FOLDER runs one of them; its counts go into the folder.

# How many tests bear cmocka's mark $1; it says each twice.
marked() {
    grep "^\[  $1 \] [a-z_0-9]*$" "$output" | sort -u | wc -l
}

run_one() { # the program, `durable` or `-`, the folder
    name=$(basename "$1")
    [ "$2" = - ] || { name="$name, $2"; export TEST_DURABLE=1; }
    output=$(mktemp "$3/XXXXXX")
    "$1" >"$output" 2>&1
    code=$?
    ok=$(grep -c '^\[       OK \]' "$output")
    bad=$(marked 'FAILED ')
    if [ "$code" -ne 0 ] && [ "$bad" -eq 0 ]; then
        echo "$name ended with $code" >>"$output"
        bad=1
    fi
    flock "$3" sh -c 'echo "== $1"; cat "$2"; echo "$3" >>"$4/counts"' - "$name" "$output" \
        "$ok $bad $(marked SKIPPED)" "$3"
}

if [ "$1" = --one ]; then
    run_one "$2" "$3" "$4"
    exit
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
: >"$folder/counts"
mode=- asked=0
for test in "$@"; do
    if [ "$test" = --durable ]; then
        mode=durable
    else
        echo "$test $mode $folder"
        asked=$((asked + 1))
    fi
done >"$folder/asked"
xargs -r -n 3 -P "${JOBS:-2}" sh "$0" --one <"$folder/asked"
# One that left no counts has failed.
awk -v asked="$asked" '{ ok += $1; bad += $2; skipped += $3 }
    END {
        bad += asked - NR
        printf "%d passed, %d failed, %d skipped\n", ok, bad, skipped
        exit bad > 0 || ok == 0
    }' "$folder/counts"
