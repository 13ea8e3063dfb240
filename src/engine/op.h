/* SPDX-License-Identifier: MIT */
/* One operation of the engine: what every function that works for it needs to know, and what it
 * leaves to be done when the lock is free again.
 *
 *     op_begin()  lock      ──> verbs, transitions, dispatch ──>      op_end()  unlock, tell
 *
 * Between the two nobody is told anything and nothing is freed. A public verb is: op_begin(), one
 * or two _locked calls, op_end(); both stand in engine.h, next to the lock they take. */
#pragma once

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "jobd/queue.h"

struct jobd;
struct waiting;

TAILQ_HEAD(waiting_list, waiting);
TAILQ_HEAD(place_list, waiting_place);

/* Jobs, waiters or rows that are handled before the lock is let go of, where there may be many. */
enum { OP_STEPS = 256 };
/* Attempts that one operation tells to stop, at most. */
enum { OP_STOPS = 8 };

/* Whoever runs an attempt shall stop it. */
struct op_stop {
    struct jobd_waiter *holder;
    struct jobd_task task;
};

struct op {
    struct jobd *jobd;
    int64_t now_us; /* not before that of an earlier operation; op_begin() is given 0 where nothing
                       that the operation calls needs the time */
    /* Who asks; NULL: nobody. The change of a verb is this waiter's; what a dispatch makes in the
     * same operation is its taker's or its putter's. */
    struct jobd_waiter *waiter;
    bool grouped; /* its changes are parts of one request: written together, or not at all */

    bool outside; /* not of a turn, though there may be one: who is woken is told at once */

    /* Left for op_end(). */
    bool tell_store;           /* something waits to be written */
    bool delivers;             /* a delivery waits: dispatch.c sees to it, before */
    bool forgot_early;         /* ended jobs, as memory was short */
    bool tell_failure;         /* something has failed, for the log */
    bool tell_event;           /* a state has changed, for who follows */
    bool tell_schedules;       /* some have changed */
    struct waiting_list woken; /* who waits no longer */
    struct jobd_blob *garbage; /* linked by blob_next() */
    struct op_stop stops[OP_STOPS];
    unsigned stops_len;
};

/* Gives a reference back; what is free is freed by op_end(). Takes NULL. */
void op_discard(struct op *op, struct jobd_blob *blob);

/* The later of two moments. */
static inline int64_t latest_us(int64_t one_us, int64_t other_us)
{
    return one_us > other_us ? one_us : other_us;
}

/* `us` later; never, when that is past the end of time. */
static inline int64_t later_us(int64_t at_us, int64_t us)
{
    return us < JOBD_NEVER - at_us ? at_us + us : JOBD_NEVER - 1;
}
