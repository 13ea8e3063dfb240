/* SPDX-License-Identifier: MIT */
/* `jobd --health`: does the server at this address live? */
#pragma once

#include <stdbool.h>

#include "base/problem.h"

/* Asks the server at `address` (as --listen takes it) for /healthz, over TLS whoever it says it is.
 * Any answer within five seconds, connecting included, means that it lives: also one that turns the
 * question away, as at --max-connections; over TLS also that it breaks the handshake off. False:
 * `problem` says why. Blocks. */
bool healthcheck(const char *address, bool tls, struct problem *problem);
