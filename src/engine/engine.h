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
    struct jobs jobs GUARDED_BY(lock);
    struct leases leases GUARDED_BY(lock);
    struct journal journal GUARDED_BY(lock);
    struct queue *queues; /* what their configuration said never changes, the rest is guarded */
    uint32_t queues_len;
    uint64_t next_id GUARDED_BY(lock);
    bool closed GUARDED_BY(lock), abandoned GUARDED_BY(lock), takers_stopped GUARDED_BY(lock);
    struct heap delays GUARDED_BY(lock);    /* of queues, by their earliest scheduled job */
    struct heap deadlines GUARDED_BY(lock); /* of waiters */
    uint32_t waiters GUARDED_BY(lock), waiters_max;
    struct waiter_list idle_waiters GUARDED_BY(lock); /* who wait until nothing waits or runs */
    bool dispatch_needed GUARDED_BY(lock);            /* some queue is: the next tick sees to it */
    int64_t ticks_at_us GUARDED_BY(lock);             /* what the last jobd_tick() said */
    void (*earlier)(void *context);
    void *context;
    void (*on_journal_ready)(void *context); /* something waits in the journal */
    void *journal_context;
};

/* The next moment at which jobd_tick() has something to do, or JOBD_NEVER. */
int64_t next_due_locked(struct jobd *jobd) REQUIRES(jobd->lock);
/* Unlocks, and does what is left to be done. */
void unlock_and_tell(struct jobd *jobd, struct effects *after) RELEASES(jobd->lock);
