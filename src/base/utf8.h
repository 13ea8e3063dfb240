/* SPDX-License-Identifier: MIT */
/* UTF-8, as RFC 3629 has it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Is all of it UTF-8, without a NUL? */
bool utf8_valid(const unsigned char *bytes, size_t size);

/* The bytes as a string, with U+FFFD in place of each byte that is not UTF-8 or is a NUL. From
 * malloc(); NULL when memory is short. */
char *utf8_repaired(const unsigned char *bytes, size_t size);

/* How many bytes at the front are whole characters of UTF-8, none of them a NUL. */
size_t utf8_prefix(const unsigned char *bytes, size_t size);
/* Are these the first bytes of one character, but not all of it? */
bool utf8_begun(const unsigned char *bytes, size_t size);
