/* SPDX-License-Identifier: MIT */
/* The inside of jobd/queue.h: everything there is, under one lock. A public verb is: lock, one
 * _locked call, unlock_and_tell(). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/heap.h"
#include "base/lock.h"
#include "engine/changes.h"
#include "engine/effects.h"
#include "engine/job_table.h"
#include "engine/lease_table.h"
#include "engine/queue.h"
#include "jobd/queue.h"

struct jobd {
    struct mutex lock;
    struct jobs jobs GUARDED;
    struct leases leases GUARDED;
    struct journal journal GUARDED;
    struct queue *queues; /* what their configuration said never changes, the rest is guarded */
    uint32_t queues_len;
    uint64_t next_id GUARDED;
    bool closed GUARDED, abandoned GUARDED, dismissed GUARDED;
    struct heap delays GUARDED;    /* of queues, by their earliest scheduled job */
    struct heap deadlines GUARDED; /* of waiters */
    uint32_t waiters GUARDED, waiters_max;
    struct waiter_list idlers GUARDED; /* who wait until nothing waits or runs */
    bool unsettled GUARDED;            /* some queue is: the next tick sees to it */
    int64_t ticks_at_us GUARDED;       /* what the last jobd_tick() said */
    void (*earlier)(void *context);
    void *context;
    void (*wanted)(void *context); /* something waits in the journal */
    void *wanted_context;
};

/* The next moment at which jobd_tick() has something to do, or JOBD_NEVER. */
int64_t next_due_locked(struct jobd *jobd) REQUIRES(jobd->lock);
/* Unlocks, and does what is left to be done. */
void unlock_and_tell(struct jobd *jobd, struct aftermath *after) RELEASES(jobd->lock);
