/* SPDX-License-Identifier: MIT */
/* The settings that servers which share their queues should have in common. */
#pragma once

#include "ledger/ledger.h"
#include "server/options.h"

/* Tells the other servers how the queues are configured here, a line for each: `NAME capacity=20
 * attempts=1 ...`, times in seconds. Does not block. */
void alike_tell(struct ledger *ledger, const struct options *options);
