/* SPDX-License-Identifier: MIT */
/* The last answer on a connection that is about to be closed, where the HTTP library would give
 * none. `why` is a line without a line feed. Nothing blocks. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { CANNED_SIZE = 640 };

/* An answer in full, as reply_error() says it; its size. */
size_t canned_compose(char out[CANNED_SIZE], unsigned status, bool wants_json, const char *why);
/* Sends it as text. False when the socket did not take all of it. */
bool canned_send(int fd, unsigned status, const char *why);
