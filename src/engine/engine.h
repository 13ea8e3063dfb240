/* SPDX-License-Identifier: MIT */
/* The inside of jobd/queue.h: everything there is, under one lock, and how it is taken. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/heap.h"
#include "base/lock.h"
#include "engine/edge_table.h"
#include "engine/events.h"
#include "engine/failures.h"
#include "engine/job_table.h"
#include "engine/journal.h"
#include "engine/lease_table.h"
#include "engine/op.h"
#include "engine/queue.h"
#include "engine/queue_names.h"
#include "jobd/batch.h"
#include "engine/schedule_table.h"
#include "jobd/queue.h"

struct share;

struct jobd {
    struct mutex adding; /* queues come one at a time; taken before `lock` */
    struct mutex lock;
    struct jobs jobs GUARDED_BY(lock);
    struct leases leases GUARDED_BY(lock);
    struct journal journal GUARDED_BY(lock);
    struct schedules schedules GUARDED_BY(lock);
    struct edges edges GUARDED_BY(lock);
    struct queue *queues; /* as long as they are there their configuration stays, the rest is
                             guarded; there is room for queues_max */
    uint32_t queues_max;
    _Atomic uint32_t queues_len; /* only ever more */
    uint32_t deliveries;         /* the index of the queue that takes them, or JOBD_NO_QUEUE; set
                                    under `adding` */
    struct queue_names names;    /* of those that are not gone */
    /* Of those that may come yet; under `adding`. */
    uint32_t spare_capacity, spare_workers;
    uint32_t leases_max;
    uint32_t idle_groups_max; /* groups without jobs whose buckets are remembered */
    uint64_t next_id GUARDED_BY(lock);
    /* There is a journal: what waits or is leased outlives the process, so a stop need not wait for
     * it, nor cancel it. */
    bool durable;
    uint32_t processes;                     /* whose workers may run its jobs, at most */
    struct share *share;                    /* NULL: its queues are this process's own */
    bool closed GUARDED_BY(lock);           /* jobd_close() */
    bool cancelling GUARDED_BY(lock);       /* jobd_cancel_all() */
    bool takers_stopped GUARDED_BY(lock);   /* jobd_stop_takers() */
    bool waits_stopped GUARDED_BY(lock);    /* jobd_stop_waits() */
    struct heap delays GUARDED_BY(lock);    /* of queues, by their earliest scheduled job */
    struct heap deadlines GUARDED_BY(lock); /* of waiters */
    struct heap probes GUARDED_BY(lock);    /* of queues that hold their jobs back */
    struct heap limits GUARDED_BY(lock);    /* of queues, by when one of their buckets is due */
    uint32_t breakers_unsaid GUARDED_BY(lock);
    uint32_t waiters GUARDED_BY(lock), waiters_max;
    struct waiting_list idle_waiters GUARDED_BY(lock);  /* until nothing waits or runs */
    struct waiting_list sweep_waiters GUARDED_BY(lock); /* until the journal has room again */
    bool expiry_starved GUARDED_BY(lock);  /* what is due waits for room in the journal */
    bool dispatch_needed GUARDED_BY(lock); /* in some queue: the next tick sees to it */
    int64_t ticks_at_us GUARDED_BY(lock);  /* what the last jobd_tick() said */
    int64_t latest_us GUARDED_BY(lock);    /* when the last operation was */
    struct failures failures GUARDED_BY(lock);
    struct events events GUARDED_BY(lock);
    struct jobd_hook on_earlier_deadline, on_forgotten_early, on_journal_ready, on_failure,
        on_event, on_schedule; /* of the configuration, and that of schedules */
};

/* Do changes wait until they are written, or are they applied at once? */
static inline bool has_journal(const struct jobd *jobd)
{
    return jobd->durable && jobd->share == NULL;
}

/* A queue of this engine that has nothing yet but what its configuration says; its name is
 * borrowed. 0 or -errno; fair_release() and queue_release() also undo a part. */
__attribute__((warn_unused_result)) int engine_queue_init(const struct jobd *jobd,
                                                          struct queue *queue,
                                                          const struct jobd_queue_config *config);

/* Locks. `waiter`: who asks, or NULL. */
void op_begin(struct op *op, struct jobd *jobd, struct jobd_waiter *waiter, int64_t now_us)
    ACQUIRES(op->jobd->lock);
/* Unlocks; then tells who was woken, frees, and lets the store, a runner and the timer know. */
void op_end(struct op *op) RELEASES(op->jobd->lock);
