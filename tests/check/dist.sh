#!/bin/sh
# Has the source archive the same bytes, whoever makes it, where and when? And does it make itself again?
# tests/check/dist.sh NAME, from the top of the tree; make in MAKE. NAME is what it is called below build/.
set -eu
name=$1 here=$PWD failed=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

same() { # what, and two archives
    if cmp -s "$2" "$3"; then
        echo "[       OK ] $1"
    else
        echo "[  FAILED  ] $1"
        failed=$((failed + 1))
    fi
}

made() { # where, and variables; prints the archive's name
    where=$1
    shift
    (cd "$where" && env -u MAKEFLAGS -u MAKELEVEL "$@" ${MAKE:-make} -s dist >&2)
    echo "$where/build/$name"
}

first=$(made "$here")
cp "$first" "$scratch/first"
same 'again' "$scratch/first" "$(made "$here")"

git clone -q "$here" "$scratch/elsewhere"
(cd "$scratch/elsewhere" && git -c advice.detachedHead=false checkout -q "$(git -C "$here" rev-parse HEAD)")
find "$scratch/elsewhere" -type f ! -path '*/.git/*' -exec chmod 600 {} +
umask 077
same 'elsewhere: another umask, time zone and language' "$scratch/first" \
    "$(made "$scratch/elsewhere" TZ=Asia/Kathmandu LC_ALL=C.UTF-8 TAR_OPTIONS= GZIP=)"
umask 022

mkdir "$scratch/unpacked"
tar -xf "$scratch/first" -C "$scratch/unpacked" --strip-components=1
same 'made again of itself' "$scratch/first" "$(made "$scratch/unpacked")"

cp "$(made "$scratch/unpacked" SOURCE_DATE_EPOCH=1000000000)" "$scratch/dated"
same 'with a time that was given' "$scratch/dated" "$(made "$here" SOURCE_DATE_EPOCH=1000000000)"
[ "$(tar -tvf "$scratch/dated" --utc | awk '{ print $4 }' | sort -u)" = 2001-09-09 ] ||
    { echo '[  FAILED  ] all files have that time'; failed=$((failed + 1)); }
[ $failed = 0 ]
