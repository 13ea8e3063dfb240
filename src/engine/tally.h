/* SPDX-License-Identifier: MIT */
/* What this process counts of a queue for itself: how often something has happened here. Where
 * queues are shared, what was counted in a turn that is lost counts no longer, as nothing of it has
 * happened: whoever asked is told so, and may come again. Under the engine's lock. */
#pragma once

#include "engine/engine.h"

void tally_add_locked(struct op *op, struct queue *queue, enum tally which, uint32_t more)
    REQUIRES(op->jobd->lock);

/* A turn begins; and it is lost. */
void tally_begin_locked(struct op *op) REQUIRES(op->jobd->lock);
void tally_lose_locked(struct op *op) REQUIRES(op->jobd->lock);

/* Another queue comes in its place: nothing of the former is counted, nor told to others. */
void tally_forget_locked(struct op *op, const struct queue *queue) REQUIRES(op->jobd->lock);
