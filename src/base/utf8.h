/* SPDX-License-Identifier: MIT */
/* UTF-8, as RFC 3629 has it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* UTF-8 all through, and no byte 0? */
bool utf8_valid(const unsigned char *bytes, size_t size);

/* UTF-8 as it is; in place of each byte that is not, or is 0, U+FFFD. From malloc(); NULL when
 * memory is short. */
char *utf8_repaired(const unsigned char *bytes, size_t size);

/* Bytes at the beginning that are whole characters of UTF-8, none of them a NUL. */
size_t utf8_prefix(const unsigned char *bytes, size_t size);
/* Are these the first bytes of one such character, but not all of it? */
bool utf8_begun(const unsigned char *bytes, size_t size);
