#!/bin/sh
# The shared library has what src/dist/libjobd.map lists, with its version, and that is what the static one has.
# tests/check/symbols.sh FOLDER SONAME
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
sed -n 's/^ *\(jobd_[a-z0-9_]*\);$/\1/p' src/dist/libjobd.map >"$scratch/listed"
nm -g --defined-only "$1/libjobd.a" | awk 'NF == 3 { print $3 }' | LC_ALL=C sort >"$scratch/static"
nm -D --defined-only "$1/$2" | awk '$2 != "A" { print $3 }' | sed 's/@@JOBD_0$//' | LC_ALL=C sort >"$scratch/shared"
for has in static shared; do
    diff "$scratch/listed" "$scratch/$has" || { echo "src/dist/libjobd.map (<) is not what the $has library has (>)"; exit 1; }
done
needed=$(readelf -d "$1/$2" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -vE '^(libc|ld-linux.*)\.so' || true)
[ -z "$needed" ] || { echo "$2 needs $needed"; exit 1; }
readelf -d "$1/$2" | grep -q "SONAME.*\[$2\]" || { echo "it is not $2"; exit 1; }
