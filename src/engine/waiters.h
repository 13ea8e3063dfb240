/* SPDX-License-Identifier: MIT */
/* Who waits for what: a jobd_waiter waits for one thing at a time, in one list.
 *
 *     WAIT_END    the end of a job         job->awaiting        jobd_await(), end_us of a put
 *     WAIT_BATCH  the end of a batch       batch->awaiting      jobd_await_batch()
 *     WAIT_MORE   something new of a job   the same, in front   jobd_follow()
 *     WAIT_ROOM   room in a queue          queue->put_waiters   jobd_put_wait()
 *     WAIT_JOB    a job to run             queue->take_waiters  jobd_take(), jobd_take_any()
 *     WAIT_IDLE   nothing waits or runs    jobd->idle_waiters   jobd_await_idle()
 *     WAIT_DISK   its change to be written change->waiter       any verb, with a journal
 *     WAIT_SWEEP  room for more, the tick  jobd->sweep_waiters  verbs for very many jobs
 *
 * A new thing to wait for needs a kind here, its list in list_of(), and whoever makes it come true
 * calls wait_end_locked(). A wait ends once: by that, by its deadline (timer.c), or by
 * jobd_cancel_wait(). */
#pragma once

#include <bsd/sys/queue.h>
#include <stdint.h>

#include "base/container.h"
#include "engine/engine.h"
#include "engine/lanes.h"
#include "jobd/change.h"
#include "jobd/lease.h"

enum wait_kind {
    WAIT_NOT,
    WAIT_END,
    WAIT_BATCH,
    WAIT_MORE,
    WAIT_ROOM,
    WAIT_JOB,
    WAIT_IDLE,
    WAIT_DISK,
    WAIT_SWEEP
};

/* A sweep takes what was there when it began, some at a time: what waited in a queue, or all that
 * a filter means. */
struct sweep {
    uint64_t below;    /* ids of what was there then */
    uint64_t failures; /* of the journal, then */
    bool waits;        /* somebody does, for its end: so it may be */
    bool halted;       /* it has met a job that is being changed, and goes on when that is over */
    uint64_t rounds;   /* halted: so many changes were over then */
    const struct jobd_filter *filter; /* NULL: of a queue */
    union {
        struct {
            uint32_t queue;
            uint32_t to; /* the queue they move to; JOBD_NO_QUEUE: they are purged */
            uint32_t most, swept;
            struct lane_walk walk; /* how far it is among the queued ones */
        };
        struct {
            enum jobd_bulk what;
            uint64_t after; /* the last that has been looked at */
            struct jobd_tally tally;
        };
    };
};

/* Where a taker stands in a queue's list. */
struct waiting_place {
    TAILQ_ENTRY(waiting_place) link;
    struct waiting *waiting; /* who; NULL: nobody, any more */
};

_Static_assert(sizeof(struct waiting_place) <= sizeof(((struct jobd_choice *)NULL)->hidden[0]),
               "jobd/lease.h has too few bytes for it");

/* The private half of a jobd_waiter, which has bytes for it: whoever copies or clears a whole
 * waiter may alias anything thereby, also where all is compiled together. (may_alias here would say
 * the same, but gcc 11 and 12 break on it with -flto.) */
struct waiting {
    TAILQ_ENTRY(waiting) link;
    struct due due;      /* its deadline */
    enum wait_kind kind; /* WAIT_NOT, 0: the waiter is its caller's */
    uint32_t queue;      /* WAIT_ROOM, WAIT_SWEEP, WAIT_JOB without a choice */
    union {
        struct job *job;     /* WAIT_END, WAIT_MORE */
        struct batch *batch; /* WAIT_BATCH */
    };
    struct change *change; /* WAIT_DISK */
    /* WAIT_ROOM: for the jobs of `put`; WAIT_JOB: for who says who it is; owned. Else NULL. */
    struct job_extra *extra;
    union {
        struct jobd_put put; /* WAIT_ROOM */
        struct sweep sweep;  /* WAIT_SWEEP */
        struct {             /* WAIT_JOB */
            struct waiting_place place;
            struct jobd_choice *choice; /* NULL: `queue` alone, at `place` */
        };
    };
};

_Static_assert(sizeof(struct waiting) <= sizeof(struct jobd_waiter_hidden) &&
                   _Alignof(struct waiting) <= 8,
               "jobd/queue.h has too few bytes for it");

static inline struct waiting *waiting_of(struct jobd_waiter *waiter)
{
    return (struct waiting *)(void *)&waiter->hidden;
}

static inline struct jobd_waiter *waiter_of(struct waiting *waiting)
{
    return container_of(waiting, struct jobd_waiter, hidden);
}

/* The first of a list, or NULL. */
static inline struct jobd_waiter *first_waiter(struct waiting_list *list)
{
    struct waiting *first = TAILQ_FIRST(list);
    return first != NULL ? waiter_of(first) : NULL;
}

/* JOBD_PENDING; JOBD_TOO_MANY_WAITERS; or JOBD_TIMEOUT, after jobd_stop_waits(). WAIT_END: for
 * `job`. */
enum jobd_result wait_for_job_end_locked(struct op *op, struct jobd_waiter *waiter, struct job *job)
    REQUIRES(op->jobd->lock);
/* The same for a batch: WAIT_BATCH. */
enum jobd_result wait_for_batch_locked(struct op *op, struct jobd_waiter *waiter,
                                       struct batch *batch) REQUIRES(op->jobd->lock);
/* The same for WAIT_MORE. */
enum jobd_result wait_for_more_locked(struct op *op, struct jobd_waiter *waiter, struct job *job)
    REQUIRES(op->jobd->lock);
/* For a job of that queue, or, when `choice` is not NULL, of any of these. */
enum jobd_result wait_for_job_locked(struct op *op, struct jobd_waiter *waiter, uint32_t queue,
                                     struct jobd_choice *choice) REQUIRES(op->jobd->lock);
/* For what `kind` says: WAIT_ROOM or WAIT_SWEEP in that queue, or WAIT_IDLE, where it does not
 * count. */
enum jobd_result wait_begin_locked(struct op *op, struct jobd_waiter *waiter, enum wait_kind kind,
                                   uint32_t queue) REQUIRES(op->jobd->lock);
/* Whatever it waited for before, without a deadline now. There must be room for it. */
void wait_for_disk_locked(struct op *op, struct jobd_waiter *waiter, struct change *change)
    REQUIRES(op->jobd->lock);
/* The end of its job, for a waiter with `end_us`, whatever it waited for before: JOBD_OK, it has
 * ended; JOBD_PENDING; JOBD_TIMEOUT, after jobd_stop_waits(), and it waits for what it did before;
 * or JOBD_TOO_MANY_WAITERS when it did not wait before. */
enum jobd_result wait_next_for_end_locked(struct op *op, struct jobd_waiter *waiter,
                                          struct job *job) REQUIRES(op->jobd->lock);

/* It waits no longer, and is told `result` by op_end(). */
void wait_end_locked(struct op *op, struct jobd_waiter *waiter, enum jobd_result result)
    REQUIRES(op->jobd->lock);
/* The same for all of a list. */
void wait_end_all_locked(struct op *op, struct waiting_list *list, enum jobd_result result)
    REQUIRES(op->jobd->lock);
/* The same for all who wait for a job of this queue. */
void wait_end_takers_locked(struct op *op, struct queue *queue, enum jobd_result result)
    REQUIRES(op->jobd->lock);
/* The same for those of them who want no lease: workers of this process. */
void wait_end_workers_locked(struct op *op, struct queue *queue, enum jobd_result result)
    REQUIRES(op->jobd->lock);
/* The same for those who wait for a job of no other queue; the others wait for those. */
void wait_leave_queue_locked(struct op *op, struct queue *queue, enum jobd_result result)
    REQUIRES(op->jobd->lock);
/* It waits no longer and is not told. */
void wait_forget_locked(struct op *op, struct jobd_waiter *waiter) REQUIRES(op->jobd->lock);
/* Call before a waiter goes away that may be blocking others behind it: the next tick looks. */
void wait_unblock_others_locked(struct op *op, struct jobd_waiter *waiter) REQUIRES(op->jobd->lock);
