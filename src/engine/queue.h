/* SPDX-License-Identifier: MIT */
/* One queue: its lanes, its delays, its counters. No lock of its own. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/heap.h"
#include "base/rate.h"
#include "base/ring.h"
#include "base/token_bucket.h"
#include "engine/histogram.h"
#include "engine/job_table.h"
#include "engine/op.h"
#include "jobd/queue.h"

/* Private to breaker.c. */
struct breaker {
    uint32_t failures; /* in a row that open it; 0: there is none */
    int64_t every_us;  /* from the end of a probe to the next, and from its beginning at least */
    uint32_t in_a_row;
    bool open;                     /* half-open included */
    uint64_t probe;                /* the job that is it; 0: none */
    int64_t probe_at_us;           /* not before then */
    struct due due;                /* the same, in the engine's heap until then */
    int64_t changed_us;            /* when it was opened or closed */
    uint64_t opened;               /* so many times */
    bool unsaid;                   /* that it was, in the log */
    char error[JOBD_FAILURE_SIZE]; /* of the attempt that has opened it */
};

/*        add                      retire                   empty
 *     ──────────> QUEUE_OPEN ──────────────> QUEUE_RETIRED ─────────> QUEUE_GONE
 *                      ^                           │                      │
 *                      └──────────────── add ──────┴──────────────────────┘
 *
 *                      takes in   gives out
 *     QUEUE_OPEN       yes        yes
 *     QUEUE_RETIRED    no         yes         something waits, runs, or is being written
 *     QUEUE_GONE       no         no          nothing does; its ended jobs are remembered
 *     QUEUE_UNDECLARED no         no          jobs from before the start, for good */
enum queue_phase { QUEUE_OPEN, QUEUE_RETIRED, QUEUE_GONE, QUEUE_UNDECLARED };

/* What each process counts for itself, see tally.h. */
enum tally {
    TALLY_REJECTED,
    TALLY_LEASES_EXPIRED,
    TALLY_LEASES_RELEASED,
    TALLY_FORGOTTEN_EARLY, /* before `keep` asks for it, as memory was short */
    TALLY_DOWN,            /* attempts that count against the service, see breaker.h */
    TALLIES
};

struct fair;

struct queue {
    _Atomic(const char *) name; /* stays where it is, also when the next queue here has another */
    _Atomic uint32_t number;    /* its index, and above that which queue of it it is */
    _Atomic enum queue_phase phase;      /* written under the lock */
    _Atomic int64_t expires_us, keep_us; /* looked at without the lock: does a put need an extra? */
    uint32_t capacity, workers;
    uint32_t capacity_max, workers_max;
    uint32_t room; /* jobs that wait or run at most, restored ones included */
    uint16_t attempts;
    int64_t timeout_us, backoff_min_us, backoff_max_us;
    struct breaker breaker;
    struct jobd_limits limits;
    struct token_bucket bucket; /* of its rate */
    int64_t token_at_us;        /* somebody waits for a token, until then; JOBD_NEVER */
    struct due limit_due;       /* that, or a group's, in the engine's heap */
    bool paused;
    struct ring lanes[JOBD_PRIORITIES];
    struct fair *fair; /* in place of its rings; NULL: its groups take none, and never did */
    struct job_list scheduled;
    struct job_list blocked;
    struct job_list amending; /* out of those and the lanes: another start or priority is being
                                 written */
    struct heap delays;       /* of the same */
    struct due due;           /* the earliest of them, in the engine's heap */
    struct job_list running;  /* in the order they began */
    uint32_t leased;          /* of those that run */
    uint32_t elsewhere;       /* those that workers of other processes run */
    uint32_t end_pending;     /* of those that run in this process: their end is being written */
    uint32_t put_pending;     /* places reserved for jobs that are being written */
    uint32_t cancel_pending;  /* queued, but out of the ring: their cancel, or late end, is being
                                 written */
    uint32_t in_state[JOBD_STATES]; /* jobs at present; 0 for the final ones */
    uint64_t ended[JOBD_STATES];    /* totals of the final ones */
    uint64_t admitted, retried, expired, moved_in, moved_out;
    uint64_t tallies[TALLIES];
    struct rate rate;
    struct jobd_histogram waited, ran;
    struct waiting_list put_waiters;
    struct place_list take_waiters;
    const uint32_t *promised; /* it is for deliveries: so many have a place kept; else NULL */
    bool dispatch_needed;     /* a put_waiter left, perhaps in front of one who needs less room */
};

static inline struct token_rate rate_of(const struct jobd_limits *limits)
{
    return (struct token_rate){.tokens = limits->starts, .per_us = limits->per_us};
}

/* `running`: jobs of its own workers at a time; its name is borrowed. 0 or -errno; queue_release()
 * also undoes a part. */
__attribute__((warn_unused_result)) int queue_init(struct queue *queue,
                                                   const struct jobd_queue_config *config,
                                                   uint32_t running, uint32_t leases_max);
void queue_release(struct queue *queue);
/* Are attempts, timeout, backoff, breaker and expiry possible ones? */
bool queue_terms_sound(const struct jobd_queue_config *config);
void queue_set_terms(struct queue *queue, const struct jobd_queue_config *config);
/* Jobs that so many workers have at a time: with a journal one may begin its next while the end of
 * the one before is being written. */
static inline uint64_t queue_running_max(uint64_t workers, bool durable)
{
    return durable ? 2 * workers : workers;
}
/* Jobs that wait at most, and workers, however it is resized. */
uint32_t queue_waiting_max(const struct jobd_queue_config *config);
uint32_t queue_workers_max(const struct jobd_queue_config *config);
/* Of an attempt of this job; 0: none. */
int64_t queue_timeout_us(const struct queue *queue, const struct job *job);
static inline uint32_t queue_waiting(const struct queue *queue)
{
    return queue->in_state[JOBD_QUEUED] + queue->in_state[JOBD_SCHEDULED] +
           queue->in_state[JOBD_BLOCKED];
}
/* How many are still to come that have a place: puts that are being written, and promised
 * deliveries. */
static inline uint32_t queue_expected(const struct queue *queue)
{
    return queue->put_pending + (queue->promised != NULL ? *queue->promised : 0);
}
/* Nothing waits or runs, and nothing is on its way in. */
bool queue_empty(const struct queue *queue);
/* In place of one that is empty, and whose place in the heaps is free, comes a fresh one, which has
 * then what is to be released. */
void queue_replace(struct queue *queue, struct queue *fresh);
/* Jobs in its lanes. */
uint32_t queue_ready(const struct queue *queue);
/* Jobs that workers of this process have. */
uint32_t queue_here(const struct queue *queue);
/* Its workers that run a job. */
uint32_t queue_busy(const struct queue *queue);
