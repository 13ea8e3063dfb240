#!/bin/sh
# Can what was installed be used by others: a C program, a shared object, a C++ program?
# tests/check/install.sh ROOT FOLDER: installed under ROOT/usr; FOLDER is for what is built. CC, CXX.
set -eu
root=$1 out=$2
place=$(find "$root" -name jobd.pc -printf '%h\n')
flags=$(PKG_CONFIG_LIBDIR=$place PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 \
    PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 pkg-config --cflags --libs jobd)
strict='-Wall -Wextra -Wpedantic -Werror'
mkdir -p "$out"

names=$(nm -g --defined-only "${place%/*}/libjobd.a" | awk 'NF == 3 && $3 !~ /^jobd_/ { print $3 }')
[ -z "$names" ] || { echo "libjobd.a takes names of others:" $names; exit 1; }

$CC -std=c99 $strict -o "$out/example" "$(find "$root" -name example.c)" $flags
"$out/example" >/dev/null
# Whatever is not position-independent, or not there, is an error.
$CC -std=c11 $strict -shared -fPIC -Wl,-z,text,-z,defs -o "$out/plugin.so" tests/check/plugin.c $flags
$CXX -std=c++11 $strict -o "$out/plugin" tests/check/plugin.cc $flags -ldl
case $out in /*) ;; *) out=./$out ;; esac
"$out/plugin" "$out/plugin.so"
