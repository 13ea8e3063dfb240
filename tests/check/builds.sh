#!/bin/sh
# Does it build elsewhere: with other compilers, a distribution's flags, for other machines? Every
# warning is an error here. tests/check/builds.sh COMPILER..., from the top of the tree; make and its
# flags in MAKE.
failed=0 here=build/builds

build() { # a name, what to make, make's arguments
    name=$1 what=$2
    shift 2
    mkdir -p $here
    if ${MAKE:-make} --no-print-directory B="$here/$name" STRICT=1 "$@" "$what" >"$here/$name.log" 2>&1; then
        echo "[       OK ] $name"
    else
        grep -m 3 -E 'error|Error' "$here/$name.log"
        echo "[  FAILED  ] $name: see $here/$name.log"
        failed=1
    fi
}

# ---- other compilers, all there is; without debug information, a gigabyte each

for compiler in "$@"; do
    if command -v "$compiler" >/dev/null; then
        build "$compiler" everything CC="$compiler" CFLAGS=-O2
    else
        echo "$compiler is missing: make deps-check, or install $compiler"
        failed=1
    fi
done

# ---- other flags

build no-optimisation binaries CFLAGS=-O0
build optimised binaries CFLAGS='-O3 -march=native'
build fortify-2 binaries CFLAGS='-O2 -D_FORTIFY_SOURCE=2'
build debian binaries CFLAGS="$(dpkg-buildflags --get CFLAGS)" CPPFLAGS="$(dpkg-buildflags --get CPPFLAGS)" \
    LDFLAGS="$(dpkg-buildflags --get LDFLAGS)"
# As Fedora and Ubuntu build.
build lto binaries CFLAGS='-O2 -g -flto=auto -ffat-lto-objects -fexceptions -Wp,-U_FORTIFY_SOURCE,-D_FORTIFY_SOURCE=3' \
    LDFLAGS='-Wl,-z,relro -Wl,-z,now -flto=auto'

# ---- what is only built by hand

build fuzzers fuzzers

# ---- other machines; their objects alone, with the headers of the libraries that are installed here

mkdir -p $here/include
ln -sfn "$(dirname "$(find /usr/include -name curl.h -path '*/curl/*' | head -n 1)")" $here/include/curl
for machine in aarch64-linux-gnu arm-linux-gnueabihf i686-linux-gnu; do
    if command -v $machine-gcc >/dev/null; then
        build $machine objects CC=$machine-gcc CPPFLAGS="-I$here/include"
    else
        echo "$machine-gcc is missing: make deps-check"
        failed=1
    fi
done

# ---- what is not Linux: a sentence, before anything is compiled

mkdir -p $here
printf '#!/bin/sh\n[ "$1" = -dumpmachine ] && echo x86_64-unknown-freebsd14.1\n' >$here/elsewhere-cc
chmod +x $here/elsewhere-cc
if ${MAKE:-make} --no-print-directory B=$here/elsewhere CC=$here/elsewhere-cc binaries >$here/elsewhere.log 2>&1; then
    echo "[  FAILED  ] it builds for FreeBSD"
    failed=1
elif grep -q 'jobd is for Linux, and this compiler for x86_64-unknown-freebsd14.1: there is no epoll' $here/elsewhere.log; then
    echo "[       OK ] another system is told so"
else
    tail -n 3 $here/elsewhere.log
    echo "[  FAILED  ] another system is told something else"
    failed=1
fi
exit $failed
