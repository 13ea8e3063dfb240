/* SPDX-License-Identifier: MIT */
/* What those who ask take of a budget, for the engine: jobd/queue.h has the rest. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "jobd/queue.h"

/* Counts what it takes to tell the waiter of a payload or an output of so many bytes. False: there
 * is no room for it, and `waits`: jobd_trim() will say when to ask again. */
__attribute__((warn_unused_result)) bool account_tell(const struct jobd_waiter *waiter,
                                                      size_t bytes, bool waits);
/* Who waits is about to ask again. */
void account_await_no_more(struct jobd_budget *budget);
