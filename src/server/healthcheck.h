/* SPDX-License-Identifier: MIT */
/* `jobd --health`: does the server at this address live? */
#pragma once

#include <stdbool.h>

#include "base/problem.h"

/* Asks the server at `address` (as --listen takes it) for /healthz; over TLS its certificate is not
 * checked. Any answer within five seconds, connecting included, means that it lives: also a
 * refusal, as at --max-connections, and over TLS also a handshake that it breaks off. False:
 * `problem` says why. Blocks. */
bool healthcheck(const char *address, bool tls, struct problem *problem);
