#!/bin/sh
# Can what was installed be used by others: a C program, with either library, a shared object, C++, Python?
# tests/check/install.sh ROOT FOLDER: installed under ROOT/usr; FOLDER is for what is built. CC, CXX.
set -eu
root=$1 out=$2
place=$(find "$root" -name jobd.pc -printf '%h\n')
libraries=${place%/*}
flags=$(PKG_CONFIG_LIBDIR=$place PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 \
    PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 pkg-config --cflags --libs jobd)
fixed=$(echo "$flags" | sed "s,-ljobd,$libraries/libjobd.a,")
strict='-Wall -Wextra -Wpedantic -Werror'
example() { find "$root" -path "*/examples/$1"; }
mkdir -p "$out"
case $out in /*) ;; *) out=./$out ;; esac

names=$(nm -g --defined-only "$libraries/libjobd.a" | awk 'NF == 3 && $3 !~ /^jobd_/ { print $3 }')
[ -z "$names" ] || { echo "libjobd.a takes names of others:" $names; exit 1; }

# The example in the manual, as it stands there.
sed -n '/^\.Sh EXAMPLES/,/^\.Ed/p' src/dist/jobd.3 | sed '1,/^\.Bd/d; /^\.Ed/d; s/\\e/\\/g' >"$out/manual.c"

LD_LIBRARY_PATH=$libraries
export LD_LIBRARY_PATH
for program in "$(example example.c)" "$out/manual.c"; do
    $CC -std=c99 $strict -o "$out/example" "$program" $fixed
    ! readelf -d "$out/example" | grep -q libjobd
    "$out/example" >"$out/said"
    $CC -std=c99 $strict -o "$out/example" "$program" $flags
    readelf -d "$out/example" | grep -q 'NEEDED.*libjobd\.so\.0'
    "$out/example" >"$out/said.shared"
    sort "$out/said" >"$out/said.sorted"
    sort "$out/said.shared" | cmp - "$out/said.sorted"
done
# Whatever is not position-independent, or not there, is an error.
$CC -std=c11 $strict -shared -fPIC -Wl,-z,text,-z,defs -o "$out/plugin.so" tests/check/plugin.c $fixed
$CXX -std=c++11 $strict -o "$out/plugin" tests/check/plugin.cc $flags -ldl
"$out/plugin" "$out/plugin.so"

$CXX -std=c++11 $strict -o "$out/group" "$(example group.cc)" $flags
[ "$("$out/group" | tr '\n' ' ')" = '0 500500 2001000 4501500 ' ]
[ "$(python3 "$(example group.py)" | sort -n | tr '\n' ' ')" = '1 done 1 2 done 4 3 done 9 4 done 16 5 done 25 ' ]

for name in $(sed -n 's/^ *\(jobd_[a-z0-9_]*\);$/\1/p' src/dist/libjobd.map); do
    find "$root/usr/share/man/man3" -name "$name.3*" | grep -q . || { echo "there is no $name(3)"; exit 1; }
done
