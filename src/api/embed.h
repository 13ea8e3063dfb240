/* SPDX-License-Identifier: MIT */
/* Files that are built into the program. */
#pragma once

/* The bytes of a file, by its path from the top folder, as NAME and NAME_end, which is a NUL. The
 * Makefile must say that the object depends on it. */
#define EMBED(name, file)                                                                          \
    __asm__(".section .rodata\n"                                                                   \
            ".global " #name "\n"                                                                  \
            ".hidden " #name "\n" #name ":\n"                                                      \
            ".incbin \"" file "\"\n"                                                               \
            ".global " #name "_end\n"                                                              \
            ".hidden " #name "_end\n" #name "_end:\n"                                              \
            ".byte 0\n"                                                                            \
            ".previous\n");                                                                        \
    extern const char name[] __attribute__((visibility("hidden")));                                \
    extern const char name##_end[] __attribute__((visibility("hidden")))
