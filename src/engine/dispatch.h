/* SPDX-License-Identifier: MIT */
/* Matches jobs with takers, and room with putters. */
#pragma once

#include <stdbool.h>

#include "engine/engine.h"

/* Until no taker can have a job and no putter room, in the queue and, where ends have brought
 * deliveries (op->delivers), in theirs; then whoever waits for idleness is told, if it
 * is so. Call it when either may have changed. */
void dispatch_locked(struct op *op, struct queue *queue) REQUIRES(op->jobd->lock);

/* The same; in the next turn, where queues are shared and so nothing may change outside of one. */
void dispatch_soon_locked(struct op *op, struct queue *queue) REQUIRES(op->jobd->lock);

/* Queues whose jobs are being changed, some hundred at most. */
struct dispatch_set {
    struct queue *queues[OP_STEPS];
    unsigned len;
};

/* One more; it may be there already. */
static inline void dispatch_note(struct dispatch_set *set, struct queue *queue)
{
    if (set->len == 0 || set->queues[set->len - 1] != queue) {
        verify(set->len < OP_STEPS);
        set->queues[set->len++] = queue;
    }
}

/* dispatch_locked() for each of them. */
void dispatch_noted_locked(struct op *op, const struct dispatch_set *set) REQUIRES(op->jobd->lock);

/* A job for a taker who just came; nobody waits who could have it: JOBD_OK, it has one;
 * JOBD_PENDING, when that is written; or JOBD_TIMEOUT, there is none, or JOBD_OUT_OF_MEMORY, its
 * account has no room for it. */
enum jobd_result dispatch_take_locked(struct op *op, struct queue *queue, struct jobd_waiter *taker)
    REQUIRES(op->jobd->lock);

/* Is there a pair, perhaps? For queues that are shared, where others have changed something. */
bool dispatch_is_needed(struct queue *queue);
/* Does nothing wait or run that has to end before the process may? */
bool dispatch_is_idle_locked(struct op *op) REQUIRES(op->jobd->lock);
