/* SPDX-License-Identifier: MIT */
/* One step of a sweep (sweep.h), OP_STEPS jobs at most. Both return false when nothing is left, or
 * nothing has room; else there may be more. */
#pragma once

#include "engine/waiters.h"

/* Of one queue. */
bool sweep_queue_locked(struct op *op, struct sweep *sweep) REQUIRES(op->jobd->lock);
/* Of those that a filter means. */
bool sweep_filter_locked(struct op *op, struct sweep *sweep) REQUIRES(op->jobd->lock);
