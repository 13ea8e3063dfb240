/* SPDX-License-Identifier: MIT */
/* Bytes that nobody can guess, for tokens and the like: from the kernel's generator, getrandom(2).
 *
 * The kernel is asked for several at a time, in each thread. It blocks only before the kernel has
 * gathered enough to begin with, once, early after boot. When such bytes cannot be had at all, with
 * a kernel older than 3.17 or under a filter that forbids the call, the process ends: a token that
 * can be guessed would be worse. Any thread; not in a child between fork() and exec(), which would
 * get those of its parent. */
#pragma once

#include <stddef.h>

enum { RANDOM_MAX_BYTES = 256 };

/* At most RANDOM_MAX_BYTES of them. */
void random_bytes(void *bytes, size_t size);

/* Such bytes as a string: size - 1 hexadecimal digits, an even number, and a NUL. */
void random_hex(char *text, size_t size);
