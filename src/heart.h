/* SPDX-License-Identifier: MIT */
/* The inside of jobd/queue.h, shared by the files of the heart alone:
 *
 *     heart.c   start, end, closing
 *     admit.c   put, retry: who is let in
 *     life.c    take, finish, cancel: the only writer of a job's state
 *     lease.c   attempts whose holders are elsewhere
 *     wait.c    who waits, who is woken, what is due
 *     jobs.c    the records: found by id, remembered, forgotten
 *     look.c    reads, changes nothing
 *
 * One lock guards all. A public verb is: lock, one _locked call, unlock_and_tell(). */
#pragma once

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "heap.h"
#include "jobd/queue.h"
#include "lock.h"
#include "rate.h"
#include "ring.h"

/* The public jobd_waiter spells out what TAILQ_ENTRY would say. */
TAILQ_HEAD(waiter_list, jobd_waiter);
TAILQ_HEAD(job_list, job);

/* What few jobs have, and none of a million that wait: what was said beyond the usual, and what
 * attempts have left. */
struct extra {
    int64_t timeout_us; /* 0: the queue's */
    char trace[JOBD_TRACE_SIZE];
    struct jobd_blob *output, *error;
    RB_ENTRY(extra) by_key; /* when it has one */
    struct job *job;        /* the same */
    struct extra *next;     /* before they have jobs: of a batch */
    char key[];             /* "": none */
};

RB_HEAD(key_tree, extra);
RB_PROTOTYPE(key_tree, extra, by_key, key_compare)

struct job {
    RB_ENTRY(job) by_id;
    TAILQ_ENTRY(job) link; /* scheduled: of its queue; running; final: the remembered */
    uint64_t id;
    int64_t created_us;
    int64_t ready_us; /* may run from then on */
    union {
        uint64_t position;   /* queued: in its ring */
        struct jobd_due due; /* scheduled */
        struct {             /* running and final; started 0: never ran */
            int64_t started_us;
            union {
                struct jobd_waiter *holder; /* running: who runs it */
                struct lease *lease;        /* running and leased */
                int64_t finished_us;        /* final */
            };
        };
    };
    struct jobd_blob *payload;
    struct extra *extra;         /* from malloc(); NULL: none */
    struct waiter_list awaiting; /* its end */
    uint16_t queue;
    uint16_t attempt, attempts;
    uint8_t state;
    uint8_t priority;
    uint8_t exit_code;
    bool delayed : 1;  /* runs not before ready_us, as was asked for, or for a retry */
    bool stopping : 1; /* running, and told to stop */
    bool leased : 1;   /* running, by whoever has the token */
    bool exited : 1;   /* exit_code counts */
    bool output_truncated : 1;
};

RB_HEAD(job_tree, job);
RB_PROTOTYPE(job_tree, job, by_id, job_compare)

/* lease.c. A lease that is over stays known until its record is needed: the one that ended first.
 */
struct lease {
    RB_ENTRY(lease) by_token;
    TAILQ_ENTRY(lease) link;
    struct jobd_due due;
    struct job *job;             /* NULL: over */
    char token[JOBD_TOKEN_SIZE]; /* "": never used */
};

RB_HEAD(lease_tree, lease);
RB_PROTOTYPE(lease_tree, lease, by_token, lease_compare)
TAILQ_HEAD(lease_list, lease);

struct leases {
    struct lease *all;
    uint32_t max, used;      /* used: so many records were handed out at least once */
    uint32_t held, promised; /* promised: to takers who wait */
    struct lease_tree tree;  /* of all that are known */
    struct lease_list spare; /* those that are over, or never were */
    struct heap due;
    struct jobd_blob *error; /* of a lease that ran out */
};

/* jobs.c: the records. All are allocated at start; a record not used before costs no memory. */
struct jobs {
    struct job *records;
    uint32_t records_max, records_used; /* used: so many were handed out at least once */
    struct job_list spare;
    struct job_tree tree;
    struct key_tree keys; /* of all that are remembered */
    uint32_t keep;
    struct job_list remembered[2]; /* done; failed or cancelled; each the oldest end first */
    uint32_t remembered_len[2];
    struct job_list running;
    size_t memory_max, memory, memory_living; /* bytes: of all, of those not final */
};

struct queue {
    char name[JOBD_QUEUE_NAME_MAX + 1];
    uint32_t capacity, workers;
    uint16_t attempts;
    int64_t timeout_us, backoff_min_us, backoff_max_us;
    bool paused;
    struct ring lanes[JOBD_PRIORITIES];
    struct job_list scheduled;
    uint32_t leased;                /* of those that run */
    uint32_t in_state[JOBD_STATES]; /* jobs at present; 0 for the final ones */
    uint64_t ended[JOBD_STATES];    /* totals of the final ones */
    uint64_t admitted, rejected, retried;
    struct rate rate;
    struct jobd_histogram waited, ran;
    struct waiter_list takers, putters;
    bool unsettled; /* a putter left, perhaps in front of one who needs less room */
};

struct jobd {
    struct mutex lock;
    struct jobs jobs GUARDED;
    struct leases leases GUARDED;
    struct queue *queues; /* what their configuration said never changes, the rest is guarded */
    uint32_t queues_len;
    uint64_t next_id GUARDED;
    bool closed GUARDED, abandoned GUARDED, dismissed GUARDED;
    struct heap delays GUARDED;    /* of scheduled jobs */
    struct heap deadlines GUARDED; /* of waiters */
    uint32_t waiters GUARDED, waiters_max;
    struct waiter_list idlers GUARDED; /* who wait until nothing waits or runs */
    bool unsettled GUARDED;            /* some queue is: the next tick sees to it */
    int64_t ticks_at_us GUARDED;       /* what the last jobd_tick() said */
    void (*earlier)(void *context);
    void *context;
};

/* What a verb leaves to be done when the lock is free again. */
struct aftermath {
    struct waiter_list woken;
    struct jobd_blob *garbage;
    struct jobd_waiter *stop; /* whose `stop_task` shall stop; NULL: nobody */
    struct jobd_task stop_task;
};

#define AFTERMATH(name)                                                                            \
    struct aftermath name = {.garbage = NULL};                                                     \
    TAILQ_INIT(&(name).woken)

/* ---- jobs.c */

__attribute__((warn_unused_result)) int jobs_init(struct jobs *jobs, uint32_t records_max,
                                                  uint32_t keep, size_t memory_max);
void jobs_release(struct jobs *jobs);
struct job *jobs_find(struct jobs *jobs, uint64_t id);
/* The job with the lowest id above `id`, or NULL. */
struct job *jobs_above(struct jobs *jobs, uint64_t id);
/* Forgets final jobs until so many bytes more have room; false, and nothing forgotten, when that
 * cannot be. */
bool jobs_make_room(struct jobs *jobs, size_t bytes, struct aftermath *after);
/* A record for a new job; there always is one, as capacity bounds them. Takes payload and extra. */
struct job *jobs_add(struct jobs *jobs, uint64_t id, struct jobd_blob *payload,
                     struct extra *extra);
/* Its key can be found from now on, when it has one. */
void jobs_note_key(struct jobs *jobs, struct job *job);
/* The remembered job of this queue with this key, or NULL. */
const struct job *jobs_with_key(struct jobs *jobs, uint16_t queue, const char *key);
size_t extra_weight(const struct extra *extra);
/* Bytes a job counts for. */
size_t jobs_weight(const struct job *job);
/* Gives a reference back; freed when the lock is free again. Takes NULL. */
void jobs_throw_away(struct jobd_blob *blob, struct aftermath *after);
/* Gives a living job this extra, taken, when it has none; false when there is no room for it. */
bool jobs_extend(struct jobs *jobs, struct job *job, struct extra **extra, struct aftermath *after);
/* Puts `bytes`, taken, in place of what a living job's extra has at `part`, its output or error.
 * Dropped when there is no room for it: false. */
bool jobs_set(struct jobs *jobs, struct jobd_blob **part, struct jobd_blob *bytes,
              struct aftermath *after);
/* A final job lives again: no longer remembered as one that has ended. */
void jobs_revive(struct jobs *jobs, struct job *job);
/* The job has become final; the oldest beyond `keep` are forgotten, perhaps this one. */
void jobs_remember(struct jobs *jobs, struct job *job, struct aftermath *after);

/* ---- wait.c */

enum wait_kind { WAIT_NOT, WAIT_END, WAIT_ROOM, WAIT_JOB, WAIT_IDLE };

/* JOBD_PENDING or JOBD_CROWDED. `job` for WAIT_END, `queue` for WAIT_ROOM and WAIT_JOB. */
enum jobd_result wait_begin_locked(struct jobd *jobd, struct jobd_waiter *waiter,
                                   enum wait_kind kind, struct job *job, uint32_t queue)
    REQUIRES(jobd->lock);
void wait_end_locked(struct jobd *jobd, struct jobd_waiter *waiter, enum jobd_result result,
                     struct aftermath *after) REQUIRES(jobd->lock);
void unlock_and_tell(struct jobd *jobd, struct aftermath *after) RELEASES(jobd->lock);

/* ---- admit.c */

bool admit_has_room(const struct queue *queue, const struct jobd_put *put);
/* For one who waits for room, and there is. */
enum jobd_result admit_waiting_locked(struct jobd *jobd, struct jobd_waiter *putter, int64_t now_us,
                                      struct aftermath *after) REQUIRES(jobd->lock);
/* Room for what an attempt leaves, when it leaves something; NULL when memory is short. */
struct extra *extra_for(const struct jobd_outcome *outcome);
/* Frees it and those linked to it. Takes NULL. */
void extra_free(struct extra *extra);

/* ---- lease.c */

__attribute__((warn_unused_result)) int leases_init(struct leases *leases, uint32_t max);
void leases_release(struct leases *leases);
/* There must be room. */
struct lease *leases_begin(struct leases *leases, struct job *job, const char *token,
                           int64_t until_us);
void leases_end(struct leases *leases, struct lease *lease);

/* ---- life.c */

enum { LIFE_NEW = JOBD_STATES }; /* the state of a record that has not come in yet */

/* A job comes in, queued or, when delayed, scheduled. */
void life_enter_locked(struct jobd *jobd, struct job *job) REQUIRES(jobd->lock);
/* The attempt of a running job has ended so. Takes what is in the outcome, and *extra when the job
 * has none. */
void life_attempt_ended_locked(struct jobd *jobd, struct job *job,
                               const struct jobd_outcome *outcome, struct extra **extra,
                               int64_t now_us, struct aftermath *after) REQUIRES(jobd->lock);
/* A running job goes back in as if it had not been taken. */
void life_give_back_locked(struct jobd *jobd, struct job *job, int64_t delay_us, int64_t now_us,
                           struct aftermath *after) REQUIRES(jobd->lock);
/* A lease has run out. */
void lease_due_locked(struct jobd *jobd, struct lease *lease, int64_t now_us,
                      struct aftermath *after) REQUIRES(jobd->lock);

/* A scheduled job's time has come. */
void life_due_locked(struct jobd *jobd, struct job *job, int64_t now_us, struct aftermath *after)
    REQUIRES(jobd->lock);
/* Hands jobs to takers and room to putters until neither has both. */
void life_settle_locked(struct jobd *jobd, struct queue *queue, int64_t now_us,
                        struct aftermath *after) REQUIRES(jobd->lock);
uint32_t queue_waiting(const struct queue *queue);

/* ---- heart.c */

bool jobd_idle_locked(struct jobd *jobd) REQUIRES(jobd->lock);

/* ---- look.c */

void look_locked(const struct job *job, struct jobd_info *info);
/* `us` later; never, when that is past the end of time. */
static inline int64_t later_us(int64_t at_us, int64_t us)
{
    return us < JOBD_NEVER - at_us ? at_us + us : JOBD_NEVER - 1;
}

void histogram_add(struct jobd_histogram *histogram, int64_t us);
