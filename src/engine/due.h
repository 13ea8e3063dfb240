/* SPDX-License-Identifier: MIT */
/* What is due, and when: one list for the timer, for whoever has to come back earlier, and for
 * whoever takes the turns where queues are shared. What is due by time stands in heaps; what
 * something else has made due is to be done at once, as soon as it has room. */
#pragma once

#include "engine/engine.h"

/* In the order in which they are seen to: a job that is due for several never begins when it is too
 * late, and one that becomes ready is not missed by a taker whose time ends then. */
enum due_kind {
    DUE_DATE,     /* of a job: it expires, or is forgotten by a time of its own; expiry.h */
    DUE_DELAY,    /* of a queue: that of its first job is over */
    DUE_LEASE,    /* it is over */
    DUE_PROBE,    /* of a queue whose runner is held to be down: one job tries it */
    DUE_LIMIT,    /* of a queue, or of a group in it: something may begin again */
    DUE_DEADLINE, /* of a waiter, who waits no longer */
    DUE_KINDS
};

/* The first of its kind that is due by now, or NULL. */
struct due *due_first_locked(struct op *op, enum due_kind kind) REQUIRES(op->jobd->lock);

/* Is there a sweep that waits and can go on? */
bool due_sweep_locked(struct op *op) REQUIRES(op->jobd->lock);
/* Is there something else to be done at once? */
bool due_at_once_locked(struct op *op) REQUIRES(op->jobd->lock);

/* When jobd_tick() has something to do: 0, at once; JOBD_NEVER. Of the deadlines alone. And when a
 * turn has, for what waits for room has it in the next one; deadlines need none. */
int64_t due_tick_us_locked(struct op *op) REQUIRES(op->jobd->lock);
int64_t due_deadline_us_locked(struct op *op) REQUIRES(op->jobd->lock);
int64_t due_turn_us_locked(struct op *op) REQUIRES(op->jobd->lock);
