/* SPDX-License-Identifier: MIT */
/* Base64, as RFC 4648 has it in section 4. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* These bytes in Base64, from malloc(); NULL when memory is short. */
char *base64_text(const unsigned char *bytes, size_t size);

/* Decodes Base64 with its padding: *size bytes at `out`, at most 3 for each 4 characters. `out` may
 * be the text itself. False when it is not Base64. */
bool base64_read(const char *text, void *out, size_t *size);
