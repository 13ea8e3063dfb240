/* SPDX-License-Identifier: MIT */
/* jobd's engine: named, bounded queues of jobs, each job a small state machine.
 *
 *     put ──> queued ──> running ──> done | failed
 *      │ └─> scheduled ─┘  │           cancelled  <── from any that is not final
 *      │        └──────────┘ (retry)
 *      └─> blocked ──> queued | scheduled, when others have ended
 *
 * It starts no thread, does no I/O and reads no clock: the caller says what time it is, in
 * microseconds since 1970, which must never go back. Any function may be called from any thread and
 * takes the one lock for a short, bounded time; none waits. What has to wait is a jobd_waiter,
 * completed by its callback. A broken precondition ends the process.
 *
 * The records are allocated by jobd_new(); running out of them is an answer, JOBD_FULL. A job with
 * a key, a trace, a timeout of its own, an output or an error has one more small allocation, which
 * counts in memory_bytes: when it fails a put says JOBD_OUT_OF_MEMORY, and an end goes without
 * output and error. jobd/pool.h puts threads, a clock and function calls on top. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "jobd/blob.h"
#include "jobd/limits.h"
#include "jobd/stats.h"
#include "jobd/words.h"

#ifdef __cplusplus
extern "C" {
#endif

#define JOBD_VERSION "0.1.0"

/* ---- start and end -------------------------------------------------------------------------- */

struct jobd;
struct jobd_turns; /* jobd/turns.h */

struct jobd_queue_config {
    const char *name;   /* 1 to JOBD_QUEUE_NAME_MAX bytes; borrowed until jobd_new() returns */
    uint32_t capacity;  /* jobs that may wait, at least 1; undeclared: 0 */
    uint32_t workers;   /* jobs that may run at a time, leased ones not counted */
    uint32_t attempts;  /* a job's, when it does not say; 0 is 1 */
    int64_t timeout_us; /* of an attempt, when its job does not say; 0: none */
    /* After the nth failed attempt the next waits a random time between half of and the whole of
     * backoff_min_us * 2^n, but no less than backoff_min_us and no more than backoff_max_us. */
    int64_t backoff_min_us, backoff_max_us;
    /* After so many attempts in a row that failed as what they need is down, by workers, not
     * leases, the queue holds its jobs back, and one a time, so long after the one before, tries
     * whether it is back; such a try is not counted among its job's attempts. 0: never. */
    uint32_t breaker_failures;
    int64_t breaker_us; /* above 0, where there is one */
    int64_t expires_us; /* a job's, from when it came, when it does not say; 0: never */
    int64_t keep_us;    /* a job's, from its end, when it does not say; 0: as long as others */
    struct jobd_limits limits;
    /* Within a priority the groups of its jobs (JOBD_GROUP) take turns, one job each, and those
     * without a group are one more; within a group, and without this, they go in the order in which
     * they came. */
    bool by_group;
    /* With by_group, of each group: a group at its limit is passed over; and so many may wait,
     * beyond which a put says JOBD_GROUP_FULL (0: no limit). What has no group has none of these.
     * A group without jobs takes no memory, but until its bucket is full again. */
    struct jobd_limits group_limits;
    uint32_t group_waiting;
    /* What jobd_queue_resize() may make of the first two; less than they are: they. */
    uint32_t capacity_max, workers_max;
    uint32_t restored; /* waiting jobs that will be brought back, perhaps more than the capacity */
    /* There are only jobs of before, `restored` in all, those that have ended included: none comes
     * in and none is given out, but they can be looked at, cancelled, and moved to another queue.
     * Capacity and workers are 0. */
    bool undeclared;
    /* The queue of deliveries, one at most: the engine puts jobs in, and nobody else may; nor take
     * them by a lease, or move jobs to it or from it. For each job, or batch, that has a callback
     * and has not ended one place is kept in it. */
    bool deliveries;
};

/* Whoever is told that something has happened. Called from within the verb that made it happen, in
 * any thread, with no lock held: it must not block, nor, unless that is said, call back into this
 * engine. `call` NULL: nobody is told. */
struct jobd_hook {
    void (*call)(void *context);
    void *context;
};

struct jobd_config {
    const struct jobd_queue_config *queues; /* borrowed until jobd_new() returns */
    uint32_t queues_len;                    /* at least 1; a queue is named by its index here */
    /* Room for queues that come in later: so many, and so many waiting jobs and workers of all of
     * them together, each counted as capacity_max and workers_max. */
    uint32_t spare_queues, spare_capacity, spare_workers;
    /* Ended jobs that a queue remembers: so many done, so many failed, so many cancelled ones. */
    uint32_t keep;
    int64_t keep_for_us;  /* an ended job is remembered so long at most; 0: however long */
    size_t memory_bytes;  /* payloads, outputs, errors, their types and keys of all jobs, at most */
    uint32_t waiters_max; /* jobd_waiters at a time, those that are uncounted not counted */
    uint32_t leases_max;  /* jobs that may be leased at a time */
    uint64_t first_id;    /* from 1 to JOBD_FIRST_ID_MAX; ids count on from here */
    /* Something became due earlier than the last jobd_tick() said. */
    struct jobd_hook on_earlier_deadline;
    /* Ended jobs had to be forgotten before `keep` asks for it, as memory_bytes was used up. It may
     * call jobd_stats(), which says how many. */
    struct jobd_hook on_forgotten_early;
    /* Something waits in the journal, which a store writes down: with this hook there is one, and
     * verbs end when their changes are written. */
    struct jobd_hook on_journal_ready;
    /* Jobs have failed, and jobd_failures(), in jobd/failures.h, has something to say.
     * `failed_attempts`: also of attempts that will be tried again. */
    struct jobd_hook on_failure;
    bool failed_attempts;
    /* jobd_events(), in jobd/live.h, has something to say. */
    struct jobd_hook on_event;
    const struct jobd_schedule_config *schedules; /* of jobd/schedule.h; NULL: there are none */
    const struct jobd_turns *turns; /* of jobd/turns.h: others have the same queues; or NULL */
};

/* Records of jobs that an engine needs whose queues, all together, have so much capacity and so
 * many workers; `kept` is 3 * keep for each queue, `durable`: with a journal. */
JOBD_API uint64_t jobd_records_needed(uint64_t waiting, uint64_t workers, uint64_t leases,
                                      uint64_t kept, bool durable);
#define JOBD_RECORDS_MAX UINT32_MAX /* there must be fewer */

/* 0 and *jobd, or -errno and *jobd untouched: -EINVAL, -ENOMEM. */
JOBD_API JOBD_MUST_READ int jobd_new(struct jobd **jobd, const struct jobd_config *config);
/* Nobody may use it any more, no job runs and nobody waits. Takes NULL. */
JOBD_API void jobd_free(struct jobd *jobd);

/* The queue's number, or JOBD_NO_QUEUE. It is its index in the configuration; of one that has come
 * later another, which is never another queue's: to a verb that has it from before the queue was
 * gone it is one that is not declared. No lock. */
JOBD_API uint32_t jobd_queue_named(const struct jobd *jobd, const char *name);
/* The index of a queue, below jobd_queues_max(): that of one that has come later is the index of
 * one that was gone, or a new one. */
static inline uint32_t jobd_queue_index(uint32_t queue)
{
    return queue % JOBD_QUEUE_INDEXES;
}
/* Valid until jobd_free(). */
JOBD_API const char *jobd_queue_name(const struct jobd *jobd, uint32_t queue);
/* All that there have been, those that are gone included: each can be looked at by its index. */
JOBD_API uint32_t jobd_queues_len(const struct jobd *jobd);
/* As many as there can be. */
JOBD_API uint32_t jobd_queues_max(const struct jobd *jobd);
/* Does it take jobs in? To one that does not verbs say JOBD_UNDECLARED. */
JOBD_API bool jobd_queue_declared(const struct jobd *jobd, uint32_t queue);
/* Does it give jobs out? One that is retired does, until it is empty. */
JOBD_API bool jobd_queue_gives(const struct jobd *jobd, uint32_t queue);

/* ---- waiting -------------------------------------------------------------------------------- */

/* What a worker needs to run one attempt of a job. What it points to is borrowed until
 * jobd_finish(). */
struct jobd_task {
    uint64_t id;
    uint32_t queue;
    uint32_t attempt;          /* 1 for the first */
    uint32_t attempts;         /* how many it may have */
    int64_t started_us;        /* when it began */
    int64_t expires_us;        /* of a lease */
    int64_t timeout_us;        /* for this attempt; 0: none */
    struct jobd_blob *payload; /* NULL: none */
    size_t payload_bytes;      /* known also while a lease waits to be written down */
    const char *key;           /* the client's Idempotency-Key, "" without */
    const char *trace;         /* its traceparent, "" without */
    struct jobd_blob *words;   /* as of JOBD_WORDS; NULL: none */
};

/* How an attempt ended. */
struct jobd_outcome {
    enum jobd_state state;    /* JOBD_DONE, JOBD_FAILED, or JOBD_CANCELLED: told to stop, and did */
    bool for_good;            /* failed: not to be tried again */
    bool down;                /* failed: as what it needs is away, which others would find too */
    int64_t retry_in_us;      /* failed: not to be tried again before this has passed */
    bool retry_exactly;       /* after exactly retry_in_us, without the queue's backoff */
    struct jobd_blob *output; /* NULL: none. Its reference is taken, as that of `error` */
    struct jobd_blob *error;  /* text */
    bool output_truncated;
    bool exited; /* exit_code counts */
    int exit_code;
};

/* A job at one moment. Times are 0 where they do not apply. When it was created, started and
 * finished is below 0 where that was before this process: the engine knows it from a record and
 * gives it back as it came. */
struct jobd_info {
    uint64_t id;
    uint32_t queue;
    enum jobd_state state;
    uint8_t priority;
    bool stopping; /* runs, and has been told to stop */
    uint32_t attempt, attempts;
    int64_t created_us;
    int64_t run_at_us;  /* not before then: its delay, or the backoff of its next attempt */
    int64_t expires_us; /* an attempt that has not begun by then never does */
    int64_t started_us, finished_us;
    size_t payload_bytes, output_bytes;
    bool output_truncated;
    bool has_error, has_errors, has_words;
    bool batched; /* jobd_batch_of() knows with which */
    bool has_worker, has_progress;
    bool exited; /* exit_code counts */
    int exit_code;
    /* A delivery: it tells of the end of this job; below 0: of this batch; 0: it is none. */
    int64_t source;
    char trace[JOBD_TRACE_SIZE]; /* "": none */
};

/* What is said of a job in words, and kept with it. */
enum jobd_text {
    JOBD_GROUP,    /* whose it is: for limits and turns */
    JOBD_TAGS,     /* to be found by: each ends with a line feed */
    JOBD_HEADERS,  /* for its runner: `Name: value`, each ends with a line feed */
    JOBD_SCHEDULE, /* the one that it came of */
    JOBD_AFTER,    /* what it is put after, see JOBD_AFTER_WHATEVER */
    JOBD_CALLBACK, /* who is told of its end; of a delivery: who is */
    JOBD_TEXTS
};

/* JOBD_AFTER is lines, `job 17` or `batch 3`, each with a line feed: the job waits, BLOCKED,
 * until all of these have ended, and then as others do; it is cancelled as soon as one of them has
 * ended and is not done, with an error that names it. With this line in front it does not matter
 * how they end. They are asked as they are: one that was put in again before the job began to wait
 * as others do is waited for again. Until then none of them is forgotten. */
#define JOBD_AFTER_WHATEVER "ended\n"
enum { JOBD_PARENTS_MAX = 32 }; /* that a client should name; the engine takes what there is */

/* One of the texts that jobd_get_blob() gives as JOBD_WORDS; "" when there is none. `words` may be
 * NULL. Valid as long as the blob. */
JOBD_API const char *jobd_text(const struct jobd_blob *words, enum jobd_text text);

/* What a put with a key takes for the same job: the newest with that key, */
enum jobd_unique {
    JOBD_WHILE_KNOWN,   /* while it is remembered; the payload must be the same */
    JOBD_WHILE_WAITING, /* while it has not begun */
    JOBD_WHILE_ACTIVE,  /* while it has not ended */
    JOBD_FOR_SOME_TIME  /* so long after it came in: until then it is not forgotten */
};

/* What few jobs are put with. With JOBD_CALLBACK the job's end puts a job into the queue of
 * deliveries, in the same step, and the job is not forgotten before that one has ended. */
struct jobd_terms {
    const char *texts[JOBD_TEXTS]; /* at most JOBD_TEXT_MAX bytes each; NULL: none */
    /* An attempt that has not begun by this moment never does: the job is cancelled then, with the
     * error "expired". 0: the queue's. */
    int64_t expires_us;
    bool expires_by_wall; /* a store keeps it by the wall clock */
    /* It is remembered so long, at most, when it has ended. 0: as the queue says. */
    int64_t keep_us;
    /* With a key: but for JOBD_WHILE_KNOWN another payload is no error. */
    enum jobd_unique unique;
    int64_t unique_us; /* JOBD_FOR_SOME_TIME */
    /* But for JOBD_WHILE_KNOWN: the same job gets all that this put says, if it has not begun, and
     * keeps its id and its place; beside one that has begun and not ended a new one is let in. */
    bool replace;
};

/* A job that asks to be let in. */
struct jobd_put {
    uint32_t queue;
    uint8_t priority;   /* below JOBD_PRIORITIES */
    int64_t delay_us;   /* 0: now */
    int64_t at_us;      /* in place of delay_us: not before this moment, which a store keeps by the
                           wall clock; 0: none */
    uint32_t attempts;  /* at most JOBD_ATTEMPTS_MAX; 0: the queue's */
    int64_t timeout_us; /* of an attempt; 0: the queue's */
    const char *trace;  /* shorter than JOBD_TRACE_SIZE, copied; NULL: none */
    /* Shorter than JOBD_KEY_SIZE, copied; NULL: none. While there is a job of the queue with the
     * same key nothing is added: the put gets that job, or JOBD_CONFLICT when its payload is
     * another. terms->unique says when it is the same, and when that is no error. */
    const char *key;
    const struct jobd_terms *terms; /* copied before the verb returns; NULL: none */
    struct jobd_blob *payload;      /* NULL: none. The reference is taken on success */
    /* More jobs than one, all or none, in place of `payload`: batch_len of them, with ids that
     * follow each other; without a key. Borrowed until success, then the references are taken. */
    struct jobd_blob *const *batch;
    uint32_t batch_len; /* 0: one job */
    /* In place of `batch`: what each of them says itself, its queue apart, which is this one, and
     * `unique`. Borrowed as batch is, with all that they point to. One whose key is known, with the
     * same payload, or stands in front of it here, is not added: it has that job's id. */
    const struct jobd_put *puts;
    uint64_t *ids; /* of `puts`: set on success */
    /* Of a batch, whose jobs have no JOBD_CALLBACK of their own: who is told when the last of its
     * jobs has ended; again when one that was retried has. Copied before the verb returns. NULL:
     * nobody. */
    const char *batch_callback;
};

enum jobd_busy {
    JOBD_BUSY_FULL,       /* the queue */
    JOBD_BUSY_MEMORY,     /* memory_bytes */
    JOBD_BUSY_PAUSED,     /* full, and paused */
    JOBD_BUSY_NO_WORKERS, /* full, and nobody has taken a job for a minute */
    JOBD_BUSY_RATE,       /* full, and no job may begin now: limits.starts */
    JOBD_BUSY_GROUP,      /* the job's group: group_waiting */
    JOBD_BUSY_CALLBACKS   /* the queue of deliveries: `waiting` and `capacity` are of that */
};

#define JOBD_UNKNOWN_US INT64_C(60000000) /* look again after a minute */

/* What became of a put, and how full its queue is. */
struct jobd_receipt {
    /* On JOBD_OK; of a batch the first; on JOBD_CONFLICT which of jobd_put.puts; on JOBD_NO_PARENT
     * the job that is not there, or 0: the batch; on JOBD_LATER_PARENT the one that came later. */
    uint64_t id;
    uint64_t batch;   /* on JOBD_OK: what its new jobs are together; 0: no batch, or none is new */
    uint64_t instead; /* on JOBD_LATER_PARENT: the job that would be replaced */
    enum jobd_state state;
    uint32_t waiting, capacity;
    bool duplicate; /* on JOBD_OK: its key was seen before, the job is that one, in this state */
    bool replaced;  /* then: it has what this put says */
    /* On JOBD_FULL, JOBD_GROUP_FULL, JOBD_CALLBACKS_FULL and JOBD_OUT_OF_MEMORY: why, and when
     * there should be room for all of it, as measured. Of a queue that is paused, or that nobody
     * takes from, that cannot be said: JOBD_UNKNOWN_US. */
    enum jobd_busy busy;
    int64_t room_in_us;
};

/* What became of many jobs. */
struct jobd_tally {
    uint64_t matched, changed;
    uint64_t next; /* the oldest that its queue had no room for; 0: none */
};

/* Somebody who waits. The caller owns it, fills in the first block and leaves it alone while it
 * waits: from JOBD_PENDING until wake() is called or jobd_cancel_wait() has said true. One waiter
 * waits for one thing at a time; zero it before its first use. */
struct jobd_waiter {
    int64_t deadline_us; /* JOBD_NEVER: none */
    bool uncounted; /* may always wait, and does not count for waiters_max; has no deadline then */
    /* Called once, from the thread that made it happen, with no lock held. Must not block. The
     * waiter is the caller's again. */
    void (*wake)(struct jobd_waiter *waiter);
    /* jobd_take(): tells the holder to stop this attempt; `task` has no payload. Called with no
     * lock held; the attempt may already have ended. NULL: not told. */
    void (*stop)(struct jobd_waiter *waiter, const struct jobd_task *task);
    /* jobd_take(): above 0 the job is leased for this long, and the waiter is free at once. Whoever
     * has the token, which must be new and unguessable, says how the attempt ended. */
    int64_t lease_us;
    char token[JOBD_TOKEN_SIZE];
    bool at_once; /* jobd_take(): what there is, or JOBD_TIMEOUT */
    /* jobd_take(): who asks, a short text; borrowed while it waits. Without room for it in
     * memory_bytes the job is given without. NULL: it does not say. */
    struct jobd_blob *worker;
    struct jobd_kept *kept; /* jobd_take(): of jobd/turns.h; NULL: none */
    /* jobd_put(), jobd_put_wait(): above 0 it waits for the end of its job too, for at most this
     * long from when that is in, JOBD_NEVER: however long; see there. */
    int64_t end_us;
    bool wants_output;        /* at the end of a job: its output too */
    struct jobd_batch *batch; /* jobd_await_batch(), in jobd/batch.h: filled in when it ends */
    /* What it takes to tell it of a job that it is given, or of an output: `told_bytes`, and so
     * many times the payload or the output. Counted there before; borrowed while it waits. With
     * no room for it a taker waits on, and an output is left out. NULL: not counted. */
    struct jobd_account *account;
    size_t told_bytes;
    uint32_t told_times;

    enum jobd_result result;     /* why it was woken */
    bool accepted;               /* jobd_put(), jobd_put_wait(): what was offered has been taken */
    struct jobd_receipt receipt; /* jobd_put_wait() */
    uint32_t swept;              /* jobd_purge(), jobd_move(): how many, in the end */
    struct jobd_tally tally;     /* of the verbs for many in jobd/change.h, in the end */
    struct jobd_task task;       /* jobd_take(): the job */
    struct jobd_info info; /* the job at its end, for who waits for that; or when it was leased */
    struct jobd_blob *output; /* on JOBD_OK, where wanted: a reference, the caller's; or NULL, also
                                 when info.output_bytes says that there is one: no room for it */

    struct jobd_waiter_hidden {
        unsigned char bytes[208] __attribute__((aligned(8)));
    } hidden; /* private to jobd */
};

/* Ends a wait early. True: it had not ended, wake() will not be called. False: it is woken, or is
 * just being. What had begun goes on, but nobody is told: a put that waits for the disk is still
 * written, a lease that does is given back. */
JOBD_API bool jobd_cancel_wait(struct jobd *jobd, struct jobd_waiter *waiter);

/* Does all that is due by now; the next moment at which something will be, or JOBD_NEVER. */
JOBD_API int64_t jobd_tick(struct jobd *jobd, int64_t now_us);

/* ---- verbs, and when they end ---------------------------------------------------------------
 *
 * Without a journal they end at once. With one, where they would say JOBD_OK or JOBD_STOPPING they
 * say JOBD_PENDING, and the waiter is woken with that when it is written down, or with
 * JOBD_STORE_FAILED: then nothing was done. What they take is taken with JOBD_PENDING too. A
 * deadline does not count for this. `waiter` NULL: nobody is told, and they end at once.
 *
 * What is asked about a job of which another change is being written waits for that first: the
 * waiter is woken with JOBD_CHANGING, nothing was done, and it is asked again, to be decided by
 * what the job is then. What was offered is the caller's again, but for the output and the error of
 * a report. Without a waiter it is JOBD_CHANGING at once.
 *
 * JOBD_TOO_MANY_WAITERS: waiters_max is reached, nothing was done. */

/* ---- putting jobs in, and stopping them ----------------------------------------------------- */

/* JOBD_OK; or JOBD_FULL, JOBD_GROUP_FULL, JOBD_CALLBACKS_FULL, JOBD_OUT_OF_MEMORY, JOBD_CLOSED,
 * JOBD_CONFLICT, JOBD_NO_PARENT, JOBD_LATER_PARENT, JOBD_NO_CALLBACKS, JOBD_RESERVED, and nothing
 * was taken. A waiter has the receipt too.
 *
 * With waiter->end_us a job that is in is waited for in the same step, so that its end cannot be
 * missed: JOBD_PENDING where it would say JOBD_OK, and JOBD_OK, with info and output as from
 * jobd_await(), when it has ended; JOBD_TIMEOUT when it has not ended in time,
 * JOBD_TOO_MANY_WAITERS when waiters_max is reached, and then waiter->accepted says that it is in.
 * Not for a batch. */
JOBD_API JOBD_MUST_READ enum jobd_result jobd_put(struct jobd *jobd, const struct jobd_put *put,
                                                  struct jobd_waiter *waiter, int64_t now_us,
                                                  struct jobd_receipt *receipt);

/* The same, but where it would say JOBD_FULL it waits for room, in the order of coming:
 * JOBD_PENDING, and the waiter is woken with JOBD_OK and its receipt, or with JOBD_TIMEOUT,
 * JOBD_GROUP_FULL, JOBD_CALLBACKS_FULL, JOBD_OUT_OF_MEMORY, JOBD_CLOSED or JOBD_CONFLICT and
 * nothing taken: a group, or a queue of deliveries, that is full is not waited for, as others would
 * wait behind it. JOBD_TOO_MANY_WAITERS when it cannot even wait. What was offered has been taken
 * when waiter->accepted says so, which it may from the moment of JOBD_PENDING on. */
JOBD_API JOBD_MUST_READ enum jobd_result jobd_put_wait(struct jobd *jobd,
                                                       const struct jobd_put *put,
                                                       struct jobd_waiter *waiter, int64_t now_us,
                                                       struct jobd_receipt *receipt);

/* A waiting job is cancelled, and its slot free: JOBD_OK. A running one is told to stop:
 * JOBD_STOPPING. JOBD_FINISHED or JOBD_NO_JOB otherwise. */
JOBD_API enum jobd_result jobd_cancel(struct jobd *jobd, uint64_t id, struct jobd_waiter *waiter,
                                      int64_t now_us);

/* Bytes that the put's jobs take while it waits for room, beside their payloads. */
JOBD_API size_t jobd_put_weight(const struct jobd *jobd, const struct jobd_put *put);

/* A final job is queued again, with all its attempts, and does not expire any more: JOBD_OK; or
 * JOBD_FULL, JOBD_GROUP_FULL, JOBD_CALLBACKS_FULL, JOBD_OUT_OF_MEMORY, JOBD_CLOSED,
 * JOBD_NOT_FINAL, JOBD_NO_JOB. */
JOBD_API JOBD_MUST_READ enum jobd_result jobd_retry(struct jobd *jobd, uint64_t id,
                                                    struct jobd_waiter *waiter, int64_t now_us,
                                                    struct jobd_receipt *receipt);

/* Cancels all that waited in the queue when it was called: JOBD_OK, and how many so far; when the
 * waiter is told, waiter->swept has them all. With a journal that has no room for so many changes
 * the rest follows by itself, and the waiter waits for that. */
JOBD_API enum jobd_result jobd_purge(struct jobd *jobd, uint32_t queue, struct jobd_waiter *waiter,
                                     int64_t now_us, uint32_t *purged);

struct jobd_route {
    uint32_t from, to; /* queues */
};

/* Moves what waited in one queue when it was called to another that is declared, as much as that
 * has room for, what can run now first: as jobd_purge(), with the number of those moved. In one
 * that was not moved nothing changes; in the others the queue alone. JOBD_UNDECLARED when it cannot
 * be moved there. */
JOBD_API JOBD_MUST_READ enum jobd_result jobd_move(struct jobd *jobd,
                                                   const struct jobd_route *route,
                                                   struct jobd_waiter *waiter, int64_t now_us,
                                                   uint32_t *moved);

/* A paused queue takes jobs in and gives none out; JOBD_NO_QUEUE: all of them. JOBD_OK,
 * JOBD_UNDECLARED; with a store JOBD_PENDING: it is so when `waiter` is told JOBD_OK, and stays so
 * over a restart. With a store and without a waiter: nobody is told. */
JOBD_API enum jobd_result jobd_pause(struct jobd *jobd, uint32_t queue, bool paused,
                                     struct jobd_waiter *waiter, int64_t now_us);

/* ---- looking -------------------------------------------------------------------------------- */

/* JOBD_OK or JOBD_NO_JOB. */
JOBD_API enum jobd_result jobd_get(struct jobd *jobd, uint64_t id, struct jobd_info *info);

enum jobd_part {
    JOBD_PAYLOAD,
    JOBD_OUTPUT,
    JOBD_ERROR,
    JOBD_WORDS,   /* see jobd_text() */
    JOBD_WORKER,  /* who took it last, as that one has said */
    JOBD_PROGRESS /* what the holder of its last lease has said last */
};

/* JOBD_OK and a reference to these bytes of the job, which is the caller's (NULL when it has none);
 * or JOBD_NO_JOB. Output and error are those of the last attempt that has ended. */
JOBD_API JOBD_MUST_READ enum jobd_result
jobd_get_blob(struct jobd *jobd, uint64_t id, enum jobd_part part, struct jobd_blob **bytes);

/* An attempt that has failed. */
struct jobd_error {
    uint32_t attempt; /* counted anew when the job was retried */
    int64_t at_us;    /* when it ended; below 0 as in jobd_info */
    bool exited;      /* exit_code counts */
    int exit_code;
    const char *text; /* the end of its error, bytes as they came, without a NUL behind them */
    size_t size;
};

/* JOBD_OK, and what jobd_errors() asks for: a reference, the caller's, NULL when no attempt has
 * failed, and when the last one ended; or JOBD_NO_JOB. */
JOBD_API JOBD_MUST_READ enum jobd_result
jobd_get_errors(struct jobd *jobd, uint64_t id, struct jobd_blob **errors, int64_t *last_us);

/* The last of the job's attempts that have failed, the oldest first: how many. They are valid as
 * long as the blob. */
JOBD_API size_t jobd_errors(const struct jobd_blob *errors, int64_t last_us,
                            struct jobd_error list[JOBD_ERRORS_MAX]);

/* JOBD_OK when the job is final, info as in jobd_get(); JOBD_PENDING when the waiter will be woken
 * at its end (JOBD_OK, and its info) or at the deadline (JOBD_TIMEOUT); JOBD_NO_JOB;
 * JOBD_TOO_MANY_WAITERS. With JOBD_OK the waiter has the output when it wants it, even if the job
 * is forgotten at once. */
JOBD_API JOBD_MUST_READ enum jobd_result
jobd_await(struct jobd *jobd, uint64_t id, struct jobd_waiter *waiter, struct jobd_info *info);

/* Which jobs are meant. Texts are borrowed until the verb has ended. */
struct jobd_filter {
    uint32_t queue;        /* JOBD_NO_QUEUE: all */
    enum jobd_state state; /* JOBD_STATES: all */
    const char *group;     /* whose; NULL: all */
    const char *tag;       /* that they have; NULL: all */
    uint64_t batch;        /* that they came with; 0: all */
    uint32_t batch_jobs;   /* its ids, as in jobd_batch; 0: it is not known, there are none */
    int64_t since_us;      /* came in at this time or later; 0: always */
    int64_t before_us;     /* came in before; 0: always */
    /* How far the wall clock is ahead of the engine's time: for jobs of a process before. */
    int64_t wall_ahead_us;
    /* Of a list: */
    bool newest;    /* the newest first */
    uint64_t after; /* only ids above this; newest first: below this, 0: all */
};

/* The jobs that match, by id, at most `len` of them: how many. *next is the id to pass as `after`
 * for those that follow, 0 when there are none. It looks at some 10,000 jobs at most: then it says
 * what it has found by then, perhaps nothing, and *next, where to go on. A state that no more than
 * 1024 jobs have, scheduled, running or final, is found without looking at others. Holds the lock
 * for about as many at a time. */
JOBD_API size_t jobd_list(struct jobd *jobd, const struct jobd_filter *filter,
                          struct jobd_info *infos, size_t len, uint64_t *next);

/* Bytes that count for memory_bytes. */
JOBD_API size_t jobd_memory(struct jobd *jobd);

/* How many bytes of an output have room at this moment, when jobs that have ended are forgotten to
 * make it; others may be faster. Whoever has more keeps the first of them: what does not fit when
 * its attempt ends is dropped as a whole. */
JOBD_API size_t jobd_output_room(struct jobd *jobd);

/* ---- working -------------------------------------------------------------------------------- */

/* The next job of the queue, for this waiter to run: JOBD_OK and waiter->task; or JOBD_PENDING, and
 * it is woken with the task (JOBD_OK), JOBD_TIMEOUT or JOBD_CLOSED. Takers are served in the order
 * they came, one job to one taker. The waiter must stay until jobd_finish(); not so for a
 * lease: its task's payload is a reference, the caller's, key and trace are "", words NULL, but it
 * has waiter->info, and there may be JOBD_TOO_MANY_LEASES, or, with at_once, JOBD_OUT_OF_MEMORY:
 * its account has no room for the job that would be it. With a journal a lease is given when it is
 * written down (JOBD_PENDING, also with at_once). */
JOBD_API JOBD_MUST_READ enum jobd_result jobd_take(struct jobd *jobd, uint32_t queue,
                                                   struct jobd_waiter *waiter, int64_t now_us);

/* Takers who wait for room in a budget look again, after jobd_trim() has said so. */
JOBD_API void jobd_take_again(struct jobd *jobd, struct jobd_budget *budget, int64_t now_us);

/* The attempt has ended like this. A failed one goes back in when the job has attempts left, even
 * into a full queue; not when it was told to stop. Output and error are taken in any case. The task
 * must be one that was given to a waiter and has not been finished. */
JOBD_API void jobd_finish(struct jobd *jobd, const struct jobd_task *task,
                          const struct jobd_outcome *outcome, int64_t now_us);

/* ---- stopping ------------------------------------------------------------------------------- */

/* Accepts no more jobs: puts return JOBD_CLOSED, and those that wait for room are woken with it. */
JOBD_API void jobd_close(struct jobd *jobd);
JOBD_API bool jobd_closed(struct jobd *jobd);

/* JOBD_OK when nothing waits or runs; with a journal, when nothing runs in this process: what waits
 * or is leased outlives it. Else JOBD_PENDING, and the waiter is woken when it is so, or at its
 * deadline. */
JOBD_API JOBD_MUST_READ enum jobd_result jobd_await_idle(struct jobd *jobd,
                                                         struct jobd_waiter *waiter);

/* Gives up: cancels all that waits and tells all that runs to stop. With a journal nothing is
 * cancelled, and what had to stop goes back as if it had not been taken. */
JOBD_API void jobd_cancel_all(struct jobd *jobd, int64_t now_us);

/* Ends the waits of all takers with JOBD_CLOSED, which later calls of jobd_take() return at once.
 */
JOBD_API void jobd_stop_takers(struct jobd *jobd);

/* Whoever waits until a time waits no longer, as if it had come: JOBD_TIMEOUT, which later calls
 * that would wait until a time return at once. For when nothing runs any more that could end what
 * they wait for. */
JOBD_API void jobd_stop_waits(struct jobd *jobd);

#ifdef __cplusplus
}
#endif
