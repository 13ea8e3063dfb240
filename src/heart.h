/* SPDX-License-Identifier: MIT */
/* The inside of jobd/queue.h, shared by the files of the heart alone:
 *
 *     heart.c   start, end, closing
 *     admit.c   put, retry: who is let in
 *     life.c    take, finish: the only writer of a job's state
 *     cancel.c  cancel, purge, pause, giving up
 *     lease.c   attempts whose holders are elsewhere
 *     journal.c changes on their way to disk; restore.c, back from there
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
#include "journal.h"
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
    TAILQ_ENTRY(job) link; /* scheduled, running: of its queue; final: the remembered */
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
    bool changing : 1; /* its state is to become another as soon as that is written */
    bool recalled : 1; /* running, and told to stop because the process ends */
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

/* An attempt's end, as it was decided when it came. */
struct ending {
    struct jobd_outcome outcome;
    bool cut;           /* without an outcome: what the attempts before it left stays */
    enum jobd_state to; /* JOBD_SCHEDULED: it goes again; JOBD_QUEUED: it goes back, not counted */
    int64_t at_us, ready_us;
};

/* journal.c: one change on its way to disk. */
enum entry_kind {
    ENTRY_ENTER,    /* new jobs */
    ENTRY_TWIN,     /* no change: whoever put a job with the key of a new one */
    ENTRY_MARK,     /* no change: all that stands in front of it */
    ENTRY_CANCEL,   /* waiting jobs, taken out of ring and heap already */
    ENTRY_RETRY,    /* a final job, no longer among the remembered */
    ENTRY_TAKEN,    /* a worker has begun: applied already */
    ENTRY_LEASED,   /* so has a lease: applied already */
    ENTRY_EXTENDED, /* its deadline is another: applied already */
    ENTRY_STOP,     /* a running job is to stop */
    ENTRY_ENDED     /* an attempt */
};

struct entry {
    TAILQ_ENTRY(entry) link;
    enum entry_kind kind;
    bool asked; /* when it fails it is undone: whoever asked is told, and may ask again */
    bool idle;  /* TAKEN: nothing to write, the attempt has ended already */
    enum jobd_result result;    /* what the waiter is woken with when it is written */
    struct jobd_waiter *waiter; /* NULL: nobody, or nobody any more */
    struct job_list jobs;       /* ENTER, CANCEL */
    struct job *next;           /* of those, to be written next */
    size_t changes;             /* to write */
    struct job *job;            /* the others */
    uint64_t number;            /* TWIN: the job's id; MARK: failures when it came */
    size_t bytes;               /* about so many to write */
    int64_t at_us;              /* when it was asked for */
    struct ending ending;       /* ENDED */
    struct extra *extra;        /* of the same */
};

TAILQ_HEAD(entry_list, entry);

/* All entries are allocated at start; one not used before costs no memory. */
struct journal {
    struct entry *all;
    uint32_t max, used, free, reserved; /* reserved: not for those who could ask again */
    struct entry_list spare, waiting, gathered;
    struct job_list doomed, doomed_gathered; /* forgotten, but not on disk yet */
    bool refuses;                            /* new jobs */
    bool notified;                           /* the store knows that something waits */
    uint64_t failures;
};

/* jobs.c: the records. All are allocated at start; a record not used before costs no memory. */
struct jobs {
    struct job *records;
    uint32_t records_max, records_used; /* used: so many were handed out at least once */
    struct job_list spare;
    uint32_t spare_len;
    struct job_tree tree;
    struct key_tree keys; /* of all that are remembered */
    uint32_t keep;
    struct job_list remembered[2]; /* done; failed or cancelled; each the oldest end first */
    uint32_t remembered_len[2];
    uint32_t reviving;       /* final and in neither: they are just being retried */
    struct journal *journal; /* where the forgotten go */
    size_t memory_max, memory, memory_living; /* bytes: of all, of those not final */
};

struct queue {
    char name[JOBD_QUEUE_NAME_MAX + 1];
    uint32_t capacity, workers;
    uint32_t room; /* jobs that wait or run at most, restored ones included */
    uint16_t attempts;
    int64_t timeout_us, backoff_min_us, backoff_max_us;
    bool paused;
    struct ring lanes[JOBD_PRIORITIES];
    struct job_list scheduled;
    struct heap delays;             /* of the same */
    struct jobd_due due;            /* the earliest of them, in the heart's heap */
    struct job_list running;        /* in the order they began */
    uint32_t leased;                /* of those that run */
    uint32_t ending;                /* of those that run in this process: not written yet */
    uint32_t entering;              /* places promised to jobs that are not written yet */
    uint32_t leaving;               /* queued, but out of the ring: to be cancelled */
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

/* What a verb leaves to be done when the lock is free again. */
struct aftermath {
    struct waiter_list woken;
    bool journal; /* the store is to be told */
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
/* The same for those who ask from outside: a job that is not written yet is not there. */
struct job *jobs_seen(struct jobs *jobs, uint64_t id);
/* The job with the lowest id above `id`, or NULL. */
struct job *jobs_above(struct jobs *jobs, uint64_t id);
/* Forgets final jobs until so many bytes more have room; false, and nothing forgotten, when that
 * cannot be. */
bool jobs_make_room(struct jobs *jobs, size_t bytes, struct aftermath *after);
/* Records that are free for new jobs. */
uint32_t jobs_spare(const struct jobs *jobs);
/* A record for a new job; there must be one. Takes payload and extra. */
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
/* A job that has not come in yet is none. */
void jobs_drop(struct jobs *jobs, struct job *job, struct aftermath *after);
/* The record of a forgotten job is free for another. */
void jobs_release_record(struct jobs *jobs, struct job *job);
/* The job has become final; the oldest beyond `keep` are forgotten, perhaps this one. */
void jobs_remember(struct jobs *jobs, struct job *job, struct aftermath *after);

/* ---- wait.c */

enum wait_kind { WAIT_NOT, WAIT_END, WAIT_ROOM, WAIT_JOB, WAIT_IDLE, WAIT_DISK };

/* JOBD_PENDING or JOBD_CROWDED. `job` for WAIT_END, `queue` for WAIT_ROOM and WAIT_JOB. */
enum jobd_result wait_begin_locked(struct jobd *jobd, struct jobd_waiter *waiter,
                                   enum wait_kind kind, struct job *job, uint32_t queue)
    REQUIRES(jobd->lock);
/* Whatever it waited for before, without a deadline from now on. There must be room for it. */
void wait_for_disk_locked(struct jobd *jobd, struct jobd_waiter *waiter, struct entry *entry)
    REQUIRES(jobd->lock);
void wait_end_locked(struct jobd *jobd, struct jobd_waiter *waiter, enum jobd_result result,
                     struct aftermath *after) REQUIRES(jobd->lock);
/* The job's end, for a waiter with `end_us`, whatever it waited for before: JOBD_OK, it has ended;
 * JOBD_PENDING; or JOBD_CROWDED when it did not wait before. */
enum jobd_result wait_for_end_locked(struct jobd *jobd, struct jobd_waiter *waiter, struct job *job,
                                     int64_t now_us) REQUIRES(jobd->lock);
void unlock_and_tell(struct jobd *jobd, struct aftermath *after) RELEASES(jobd->lock);

/* ---- admit.c */

bool admit_has_room(const struct queue *queue, const struct jobd_put *put);
/* For one who waits for room, and there is. */
enum jobd_result admit_waiting_locked(struct jobd *jobd, struct jobd_waiter *putter, int64_t now_us,
                                      struct aftermath *after) REQUIRES(jobd->lock);
/* A final job, no longer among the remembered, goes in again. */
void admit_again_locked(struct jobd *jobd, struct job *job, int64_t now_us, struct aftermath *after)
    REQUIRES(jobd->lock);
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
/* The attempt of a running job is to end so: JOBD_OK, it has; JOBD_PENDING or JOBD_CROWDED. When
 * it is not JOBD_CROWDED, takes what is in the outcome, and *extra when the job has none. */
enum jobd_result life_end_attempt_locked(struct jobd *jobd, struct job *job,
                                         const struct jobd_outcome *outcome, struct extra **extra,
                                         struct jobd_waiter *waiter, int64_t now_us,
                                         struct aftermath *after) REQUIRES(jobd->lock);
/* The same with an end that is decided; where the others say JOBD_OK it says `result`. What has no
 * waiter is never undone. */
enum jobd_result life_end_so_locked(struct jobd *jobd, struct job *job, const struct ending *ending,
                                    struct extra **extra, struct jobd_waiter *waiter,
                                    enum jobd_result result, int64_t now_us,
                                    struct aftermath *after) REQUIRES(jobd->lock);
/* The same: it goes back in, after so long, as if it had not been taken. */
enum jobd_result life_give_back_locked(struct jobd *jobd, struct job *job, int64_t delay_us,
                                       struct jobd_waiter *waiter, int64_t now_us,
                                       struct aftermath *after) REQUIRES(jobd->lock);
/* It has ended. Takes what is in the outcome, and *extra when the job has none. */
void life_ended_locked(struct jobd *jobd, struct job *job, const struct ending *ending,
                       struct extra **extra, struct aftermath *after) REQUIRES(jobd->lock);
/* A waiting job leaves ring or heap, to be cancelled; is; or is not after all. */
void life_detach_locked(struct jobd *jobd, struct job *job) REQUIRES(jobd->lock);
void life_cancelled_locked(struct jobd *jobd, struct job *job, int64_t now_us,
                           struct aftermath *after) REQUIRES(jobd->lock);
void life_attach_locked(struct jobd *jobd, struct job *job) REQUIRES(jobd->lock);
/* A job is brought back in a state, without having moved there. */
void life_restore_locked(struct jobd *jobd, struct job *job, enum jobd_state state)
    REQUIRES(jobd->lock);
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
/* Jobs in its ring. */
uint32_t queue_ready(const struct queue *queue);
/* Its workers that run a job. */
uint32_t queue_busy(const struct queue *queue);

/* ---- journal.c */

__attribute__((warn_unused_result)) int journal_init(struct journal *journal, uint32_t max,
                                                     uint32_t reserved);
void journal_release(struct journal *journal);
bool journal_on(const struct journal *journal);
/* Room for an entry of somebody who asks, and for the waiter to wait (NULL: nobody, or it does
 * already). */
bool journal_admits_locked(struct jobd *jobd, const struct jobd_waiter *waiter)
    REQUIRES(jobd->lock);
/* A new last entry; there must be room. The waiter (NULL: nobody) waits for it from now on. */
struct entry *journal_append_locked(struct jobd *jobd, enum entry_kind kind, struct job *job,
                                    struct jobd_waiter *waiter, int64_t now_us,
                                    struct aftermath *after) REQUIRES(jobd->lock);
/* One more job for ENTER or CANCEL. */
void journal_add_job(struct entry *entry, struct job *job);
/* The store is told when it does not know that something waits. */
void journal_news_locked(struct jobd *jobd, struct aftermath *after) REQUIRES(jobd->lock);

/* ---- heart.c */

bool jobd_idle_locked(struct jobd *jobd) REQUIRES(jobd->lock);

/* ---- look.c */

void look_locked(const struct job *job, struct jobd_info *info);
/* A final job's output for who waits for its end, when wanted. */
void look_at_output_locked(const struct job *job, struct jobd_waiter *waiter);
/* `us` later; never, when that is past the end of time. */
static inline int64_t later_us(int64_t at_us, int64_t us)
{
    return us < JOBD_NEVER - at_us ? at_us + us : JOBD_NEVER - 1;
}

void histogram_add(struct jobd_histogram *histogram, int64_t us);
