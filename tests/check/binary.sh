#!/bin/sh
# Is a binary hardened: position-independent, all relocations read-only, no executable stack, stack
# protector, checked functions of libc? Control-flow protection is asked for too, but Debian 12's own
# start files lack it, and then the linker leaves it out.
failed=0

wants() {
    if ! echo "$2" | grep -qE "$3"; then
        echo "$1: $4"
        failed=1
    fi
}

header=$(readelf -hW "$1") segments=$(readelf -lW "$1") dynamic=$(readelf -dW "$1")
symbols=$(readelf --dyn-syms -W "$1")
wants "$1" "$header" 'Type: *DYN' 'is not position-independent'
wants "$1" "$segments" 'GNU_RELRO' 'has no read-only relocations'
wants "$1" "$dynamic" 'BIND_NOW|FLAGS_1.*NOW' 'binds lazily'
wants "$1" "$segments" 'GNU_STACK.* RW ' 'has an executable stack'
wants "$1" "$symbols" '__stack_chk_fail' 'has no stack protector'
wants "$1" "$symbols" '__[a-z]*printf_chk' 'has no checked functions'
if echo "$dynamic" | grep -qE 'RPATH|RUNPATH'; then
    echo "$1: looks for libraries in a place of its own"
    failed=1
fi
exit $failed
