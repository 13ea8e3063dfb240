/* SPDX-License-Identifier: MIT */
/* What servers that share their queues are to be configured alike in. */
#pragma once

#include "ledger/ledger.h"
#include "server/options.h"

/* Those that share the queues are told how they are here, a line for each: `NAME capacity=20
 * attempts=1 ...`, times in seconds. Does not block. */
void alike_tell(struct ledger *ledger, const struct options *options);
