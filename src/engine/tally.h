/* SPDX-License-Identifier: MIT */
/* What this process counts of a queue for itself: how often something has happened here. Where
 * queues are shared, what was counted in a turn that is lost counts no longer, as nothing of it has
 * happened: whoever asked is told so, and may come again. Under the engine's lock. */
#pragma once

#include "engine/engine.h"

/* Also for what has no lock of its own, and is not declared to need the engine's. */
void tally_add(struct op *op, struct queue *queue, enum tally which, uint32_t more);

/* A turn begins; and it is lost. */
void tally_begin_locked(struct op *op) REQUIRES(op->jobd->lock);
void tally_lose_locked(struct op *op) REQUIRES(op->jobd->lock);

/* Another queue comes in its place: nothing of the former is counted, nor told to others. */
void tally_forget_locked(struct op *op, const struct queue *queue) REQUIRES(op->jobd->lock);
