/* SPDX-License-Identifier: MIT */
/* One step of a sweep (sweep.h), OP_STEPS jobs at most. Both return false when nothing is left, or
 * nothing has room; else there may be more. */
#pragma once

#include "engine/waiters.h"

/* Of one queue. */
bool sweep_queue_locked(struct op *op, struct sweep *sweep) REQUIRES(op->jobd->lock);
/* Of those that a filter means. */
bool sweep_filter_locked(struct op *op, struct sweep *sweep) REQUIRES(op->jobd->lock);

/* It has met a job that is being changed. True: it is halted until that is over; false when nobody
 * waits for its end. */
static inline bool sweep_halt_locked(struct op *op, struct sweep *sweep) REQUIRES(op->jobd->lock)
{
    sweep->halted = sweep->waits;
    sweep->rounds = op->jobd->journal.over;
    return sweep->halted;
}
