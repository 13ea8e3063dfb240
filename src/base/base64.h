/* SPDX-License-Identifier: MIT */
/* Base64, as RFC 4648 has it in section 4. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* From malloc(); NULL when memory is short. */
char *base64_text(const unsigned char *bytes, size_t size);

/* The other way round, with its padding: so many bytes at `out`, at most 3 for 4 characters; it may
 * be the text itself. False when it is no Base64. */
bool base64_read(const char *text, void *out, size_t *size);
