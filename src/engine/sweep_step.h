/* SPDX-License-Identifier: MIT */
/* The next jobs of a sweep, some hundred at most. False when nothing is left, or nothing has room.
 */
#pragma once

#include "engine/waiters.h"

/* Of one queue. */
bool sweep_queue_locked(struct op *op, struct sweep *sweep) REQUIRES(op->jobd->lock);
/* Of those that a filter means. */
bool sweep_filter_locked(struct op *op, struct sweep *sweep) REQUIRES(op->jobd->lock);
