/* SPDX-License-Identifier: MIT */
/* Bytes that nobody can guess, for tokens and the like: from the kernel's generator, getrandom(2).
 *
 * Each thread asks the kernel for many at a time. That blocks only early after boot, until the
 * kernel has gathered enough. When the kernel has no such call (before 3.17), or a filter forbids
 * it, the process ends: a token that can be guessed would be worse. Any thread; not in a child
 * between fork() and exec(), which would get its parent's bytes. */
#pragma once

#include <stddef.h>

enum { RANDOM_MAX_BYTES = 256 };

/* `size` is at most RANDOM_MAX_BYTES. */
void random_bytes(void *bytes, size_t size);

/* Such bytes as a string: size - 1 hexadecimal digits, an even number, and a NUL. */
void random_hex(char *text, size_t size);
