/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

/* Asks the server at `address` (as --listen takes it) for /healthz; true when it answers 200 within
 * five seconds, over TLS whoever it says it is. Else says why in one line on standard error.
 * Blocks. */
bool healthcheck(const char *address, bool tls);
