/* SPDX-License-Identifier: MIT */
/* The records of jobs: found by id and by key, remembered, forgotten. No lock of its own. */
#pragma once

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/heap.h"
#include "engine/batches.h"
#include "engine/job_index.h"
#include "engine/op.h"
#include "jobd/queue.h"

TAILQ_HEAD(job_list, job);
struct change;
struct group;
struct parents;

/* Changes on their way to disk that replace what a job was put with, the oldest and the newest. */
struct replacing {
    struct change *first, *last;
};

/* Of a job whose attempts say who runs them, or something while they run: said.h. */
struct said {
    struct jobd_blob *worker;   /* who has, or had, the last attempt; NULL: it did not say */
    struct jobd_blob *progress; /* what that one has said last; NULL: nothing */
    struct jobd_blob *output; /* RUNNING: appended, the first `used` of its bytes; NULL: nothing */
    size_t used;
    struct jobd_blob *shown; /* RUNNING, not leased: its first shown_bytes are the output so far; a
                                reference that is not counted; NULL: nothing */
    size_t shown_bytes;
    bool truncated; /* there was more */
};

/* What few jobs have, and none of a million that wait: what was said beyond the usual, and what
 * attempts have left. */
struct job_extra {
    int64_t timeout_us; /* 0: the queue's */
    int64_t expires_us; /* 0: never */
    bool expires_by_wall;
    uint8_t unique;      /* of a put: enum jobd_unique, */
    bool replace;        /* and whether it replaces */
    bool delivers;       /* it is a delivery, or will be one: deliveries.h */
    bool holds;          /* and its source is pinned by it */
    uint32_t deliveries; /* of its end, that have not ended themselves */
    union {
        struct job_extra *promised; /* of the delivery of its end; owned. NULL: none */
        int64_t source;             /* delivers: see struct jobd_info */
    };
    int64_t unique_us;       /* JOBD_FOR_SOME_TIME */
    int64_t came_us;         /* with a key: when it came in */
    int64_t unique_until_us; /* its key is not forgotten before; 0: it may be */
    int64_t keep_us;         /* when it has ended it is remembered so long; 0: as long as others */
    int64_t forget_us;       /* it has ended: with keep_us, until then */
    struct replacing replacing;
    struct due due; /* while it waits: when it expires; it has ended: when it is forgotten */
    char trace[JOBD_TRACE_SIZE];
    struct jobd_blob *words; /* its texts; NULL: none */
    struct group *group;     /* whose it is, while that counts; NULL: nobody's */
    struct parents *parents; /* it is put after these: BLOCKED; NULL: none, or no longer */
    struct jobd_blob *output, *error;
    struct jobd_blob *errors;   /* of its last attempts, see errors.h; NULL: none */
    int64_t errors_us;          /* when the last of them ended */
    struct said *said;          /* from malloc(); NULL: nothing was */
    RB_ENTRY(job_extra) by_key; /* when it has one; of the same key the older job first */
    union {
        struct job *job;      /* that has it */
        uint64_t delivery_id; /* it is promised: of the job that will; 0: not known yet */
    };
    struct job_extra *next; /* before they have jobs: of a batch, */
    uint32_t number; /* and of which of its jobs. Promised: at which try of the store delivery_id
                        was set, so that within one it stays */
    char key[];      /* "": none */
};

RB_HEAD(key_tree, job_extra);
RB_PROTOTYPE(key_tree, job_extra, by_key, key_compare)

/* A job. What holds in each state (in the tests check_engine.c asserts it after every step):
 *
 *     STATE_NEW   a record whose put is being written: found by id and key, seen by nobody
 *     QUEUED      in the lane of its priority, at `position`; where groups take turns, in its
 *                 group's list
 *     SCHEDULED   in its queue's `scheduled` and, by `due`, in its `delays`, until ready_us
 *     BLOCKED     in its queue's `blocked`, until its parents have ended; the only ones that have
 *                 some, beside new ones and those that are about to be replaced
 *                 all: commit_pending while their end is being written, and in none of these;
 *                 changing: that is not their end, they will wait again
 *     RUNNING     in its queue's `running`, since started_us; `lease` is held, or `holder` runs it;
 *                 elsewhere: a worker of another process does, `node`
 *                 start_pending: its start is being written, its taker is told when it is
 *                 stops_pending: so many times that it shall stop is; stopping: whoever runs it
 *                 was told
 *                 requeue_on_stop: told because the process ends, so that it goes back
 *                 commit_pending: its end is being written
 *     final       remembered, since finished_us; started_us is 0 when it never ran
 *                 commit_pending: its retry, or that it is forgotten, is being written, and it is
 *                 not remembered
 *
 * `attempt` counts the attempts that have begun, the running one included. */
struct job {
    TAILQ_ENTRY(job) link; /* of the list its state says; or of its change */
    uint64_t id;
    int64_t created_us;
    int64_t ready_us; /* may run from then on */
    union {
        uint64_t position;   /* QUEUED, in a ring */
        struct due due;      /* SCHEDULED */
        struct group *joins; /* out of both, on its way to another queue: its group there */
        struct {             /* RUNNING and final */
            int64_t started_us;
            union {
                struct jobd_waiter *holder;
                struct lease *lease;
                uint64_t node;
                int64_t finished_us;
            };
        };
    };
    struct jobd_blob *payload; /* NULL: none */
    struct job_extra *extra;   /* from malloc(); NULL: none */
    union {
        struct waiting_list awaiting; /* its end, until then */
        TAILQ_ENTRY(job) by_age;      /* remembered: among those that are forgotten alike */
    };
    uint32_t stops_pending;
    uint16_t queue;
    uint16_t attempt, attempts;
    uint8_t state; /* transition.c alone changes it */
    uint8_t priority;
    uint8_t exit_code;
    uint8_t pins;     /* pins.h: while there is one it is not forgotten */
    bool delayed : 1; /* runs not before ready_us: as was asked for, or for a retry */
    bool stopping : 1;
    bool start_pending : 1;
    bool leased : 1;
    bool exited : 1; /* exit_code counts */
    bool output_truncated : 1;
    bool commit_pending : 1;
    bool changing : 1;
    bool forgetting : 1; /* final, and that it is forgotten is being written */
    bool requeue_on_stop : 1;
    bool elsewhere : 1;
    bool by_wall : 1;    /* delayed until an instant of the wall clock */
    bool retained : 1;   /* it has ended, and is not forgotten before unique_until_us, nor pinned */
    bool expired : 1;    /* cancelled, as its time was over */
    bool batched : 1;    /* it came in with others: batches_of() knows with which */
    bool unexpiring : 1; /* put in again by hand: it does not expire any more */
};

enum { STATE_NEW = JOBD_STATES };

/* Bytes that a record takes, with its place in the index. They count for those only that are more
 * than the queues hold, workers run and `keep` remembers. */
enum { RECORD_WEIGHT = sizeof(struct job) + INDEX_BYTES };

/* How a job waits that has this extra. NULL: as it is written down; that it is BLOCKED follows from
 * its texts. */
static inline enum jobd_state waits_as(const struct job_extra *extra, bool delayed)
{
    if (extra != NULL && extra->parents != NULL)
        return JOBD_BLOCKED;
    return delayed ? JOBD_SCHEDULED : JOBD_QUEUED;
}

/* The state it has, or will have as soon as its put is written. */
static inline enum jobd_state job_state(const struct job *job)
{
    return job->state != STATE_NEW ? (enum jobd_state)job->state
                                   : waits_as(job->extra, job->delayed);
}

static inline bool job_has_ended(const struct job *job)
{
    return jobd_state_final((enum jobd_state)job->state);
}

/* Does a worker of this process run it? */
static inline bool job_runs_here(const struct job *job)
{
    return job->state == JOBD_RUNNING && !job->leased && !job->elsewhere;
}

/* The ended jobs of a queue that are remembered: done, failed and cancelled ones apart, each up to
 * `keep`, the oldest end first. A flood of one kind, or of another queue, pushes no dead letter
 * out. */
struct remembered {
    uint32_t keep;
    struct job_list ended[JOBD_STATES]; /* of the final states */
    uint32_t len[JOBD_STATES];
    struct job_list retained; /* in none of these, nor in by_age: for some time, or pinned */
    uint32_t retained_len;
};

/* Bits: the dead letters; those that say themselves how long they are remembered. */
enum { AGE_FAILED = 1, AGE_OWN = 2, AGES = 4 };

/* Jobs that have ended and may not be forgotten, at most, however much memory there is. */
enum { RETAINABLE_MAX = 1 << 20 };

/* All are allocated at start; a record not used before costs no memory. */
struct jobs {
    struct job *records;
    uint32_t records_max, records_used; /* used: so many were handed out at least once */
    struct job_list spare;
    uint32_t spare_len;
    struct job_index by_id;
    struct key_tree keys;                /* of all that are remembered */
    uint32_t deliveries;                 /* that are promised: each has a record kept for it */
    uint32_t retainable, retainable_max; /* jobs that have unique_until_us; and that have pins */
    struct heap dues;                    /* of extras: see there */
    struct jobd_blob *expired;           /* the error of a job that has */
    struct remembered *remembered;       /* a queue's, by its index */
    uint32_t queues_len;
    /* Of all queues, by AGE_FAILED and AGE_OWN, in the order of their ends. */
    struct job_list by_age[AGES];
    int64_t keep_for_us; /* without keep_us they are remembered so long at most; 0: however long */
    /* Of those that ended before this process, by the wall clock: that minus the engine's time, and
     * the engine's time when they came back. */
    int64_t wall_ahead_us, restored_us;
    uint32_t reviving; /* final and in none of these: they are just being retried or
                        * forgotten */
    struct batches batches;
    struct job_list forgotten, forgotten_gathered; /* but not yet by the store, if there is one */
    size_t memory_max, memory, memory_living;      /* bytes: of all, of those not final */
    uint32_t idle_groups; /* records of groups without jobs, see groups.h */
};

/* Room for so many records, the remembered of so many queues included. 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int jobs_init(struct jobs *jobs, uint32_t records_max,
                                                  uint32_t queues_len, size_t memory_max);
void jobs_release(struct jobs *jobs);
/* The job with this id, or NULL; those with the lowest id above it, and the highest below it. */
static inline struct job *jobs_find(struct jobs *jobs, uint64_t id)
{
    return index_find(&jobs->by_id, id);
}
static inline struct job *jobs_above(struct jobs *jobs, uint64_t id)
{
    return index_above(&jobs->by_id, id);
}
static inline struct job *jobs_below(struct jobs *jobs, uint64_t id)
{
    return index_below(&jobs->by_id, id);
}
/* All in the order of their ids, while none comes or goes. */
#define JOBS_FOREACH(job, jobs)                                                                    \
    for ((job) = jobs_above(jobs, 0); (job) != NULL; (job) = jobs_above(jobs, (job)->id))
/* The same for those who ask from outside: a job that is not written yet is not there. */
struct job *jobs_seen(struct jobs *jobs, uint64_t id);
/* Forgets ended jobs until so many bytes more have room: done and cancelled ones first, the oldest
 * first, then failed ones. False, and nothing forgotten, when that cannot be. */
bool jobs_make_room(struct jobs *jobs, size_t bytes, struct op *op);
/* Records that are free; and those of them that are not kept for deliveries. */
uint32_t jobs_unused(const struct jobs *jobs);
uint32_t jobs_spare(const struct jobs *jobs);
/* A record for a new job, in STATE_NEW; there must be one. Takes payload and extra. */
struct job *jobs_add(struct jobs *jobs, uint64_t id, struct jobd_blob *payload,
                     struct job_extra *extra);
/* Makes it findable by its key, when it has one. */
void jobs_note_key(struct jobs *jobs, struct job *job);
/* The newest job of this queue with this key, or NULL. */
struct job *jobs_with_key(struct jobs *jobs, uint16_t queue, const char *key);
size_t extra_weight(const struct job_extra *extra);
/* The delivery that it promises; NULL: none. */
static inline struct job_extra *extra_promise(const struct job_extra *extra)
{
    return extra != NULL && !extra->delivers ? extra->promised : NULL;
}
/* Bytes a job counts for. */
size_t jobs_weight(const struct job *job);
/* Gives a living job this extra, taken, when it has none; false when there is no room for it. */
bool jobs_extend(struct jobs *jobs, struct job *job, struct job_extra **extra, struct op *op);
/* Counts so many bytes more, or, below 0, less, of a living job. */
void jobs_count(struct jobs *jobs, int64_t bytes);
/* What batches that have been forgotten counted for is free. */
void jobs_settle_batches(struct jobs *jobs);
/* Puts `bytes`, taken, in place of what a living job's extra has at `part`, its output or error.
 * Dropped when there is no room for it: false. */
bool jobs_set(struct jobs *jobs, struct jobd_blob **part, struct jobd_blob *bytes, struct op *op);
/* A job belongs to that queue from now on, also to those who look for its key. */
void jobs_move(struct jobs *jobs, struct job *job, uint16_t queue);
/* It waits from now on: it is due when it expires, if ever. And no longer. */
void jobs_watch(struct jobs *jobs, struct job *job);
void jobs_unwatch(struct jobs *jobs, struct job *job);
/* In one of the states in which it waits, or is about to end or to move from there. */
static inline bool job_waits(const struct job *job)
{
    return job->state == JOBD_QUEUED || job->state == JOBD_SCHEDULED || job->state == JOBD_BLOCKED;
}

/* What it was put with is not what is written: a replacement is on its way, which may fail. What
 * follows from that alone has to wait. */
static inline bool job_being_replaced(const struct job *job)
{
    return job->extra != NULL && job->extra->replacing.first != NULL;
}

/* It waits, and no attempt of it counts; not one that is about to end or to move. */
bool job_not_begun(const struct job *job);
/* Has it expired by then? Then no attempt of it may begin. */
bool job_too_late(const struct job *job, int64_t now_us);
/* A final job lives again: no longer remembered as one that has ended. */
void jobs_revive(struct jobs *jobs, struct job *job);
/* A job that has not come in yet, or lives no more and is not remembered, is none. */
void jobs_drop(struct jobs *jobs, struct job *job, struct op *op);
/* The record of a forgotten job is free for another. */
void jobs_release_record(struct jobs *jobs, struct job *job);
/* An ended job is due: it is forgotten; or may be from now on. */
void jobs_end_due(struct jobs *jobs, struct job *job, struct op *op);
/* The job has become final; the oldest beyond `keep` are forgotten, perhaps this one. */
void jobs_remember(struct jobs *jobs, struct job *job, struct op *op);
/* The same, and none is forgotten. `retained`: whoever it has ended for has said so. */
void jobs_remember_all(struct jobs *jobs, struct job *job, bool retained);
/* One that is remembered has its first pin, or has lost its last, which is counted as of a living
 * job; its place stays. */
void jobs_pins_changed(struct jobs *jobs, struct job *job);
/* One that is remembered is forgotten, as another process has done; its record is free. */
void jobs_remove(struct jobs *jobs, struct job *job, struct op *op);
/* Gives back what the record of a forgotten job still holds where queues are shared. */
void jobs_give_back(struct job *job, struct op *op);
/* Any job is no more, whatever it was; it must be in no list. */
void jobs_erase(struct jobs *jobs, struct job *job, struct op *op);

/* Forgets the one of keep_next() when it is due by now; false when it is not. */
bool jobs_forget_due(struct jobs *jobs, int64_t now_us, struct op *op);
/* All that a put says of its job but its key, which finds it. */
struct job_content {
    struct jobd_blob *payload;
    struct job_extra *extra;
    int64_t ready_us;
    uint16_t attempts;
    uint8_t priority;
    bool delayed, by_wall, unexpiring;
};

struct job_content job_content(const struct job *job);
/* Bytes it counts for. */
size_t content_weight(const struct job_content *content);
/* Counts one that is no job's yet; false when there is no room for it. */
bool jobs_hold_content(struct jobs *jobs, const struct job_content *content, struct op *op);
/* The other content, taken, in place of the job's, which is the caller's from now on; both have the
 * same key. The job must not be in jobs->dues. */
void jobs_exchange(struct jobs *jobs, struct job *job, struct job_content *content);
/* The payload and the extra of this content, taken, in place of those that a living job has, which
 * must not be in jobs->dues. */
void jobs_set_content(struct jobs *jobs, struct job *job, struct job_content *content,
                      struct op *op);
/* Frees what it has, where nothing is counted any more. */
void content_release(struct job_content *content);
/* Frees one that no job has and is counted. */
void jobs_drop_content(struct jobs *jobs, struct job_content *content, struct op *op);

/* With what was said beyond the usual; `next` as in the structure. NULL when memory is short. */
struct job_extra *extra_new(const struct jobd_put *put, struct job_extra *next);
/* Of a delivery to this address. */
struct job_extra *extra_for_delivery(const char *callback, const char *trace);
/* Room for what an attempt leaves, when it leaves something; NULL when memory is short. */
struct job_extra *extra_for(const struct jobd_outcome *outcome);
/* The same with a `said`, for what an attempt says. */
struct job_extra *extra_for_said(void);
/* Frees it and those linked to it. Takes NULL. */
void extra_free(struct job_extra *extra);
