/* SPDX-License-Identifier: MIT */
/* Changes: every verb makes one and submits it. Without a journal it is applied at once; with one
 * it waits there until it has been written, and is applied then, or undone when it could not be.
 *
 *     verb ──> change_submit_locked() ──┬── no journal ──> kind->apply()
 *                                       └── waiting ──> gathered ──> written ──> kind->apply()
 *                                                          └───────> failed ──> kind->undo()
 *
 * A kind of change is a row: the file of its verb says in one place what is written, what is done
 * then, and what when it fails. */
#pragma once

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/engine.h"
#include "engine/journal_store.h"

struct change_kind {
    const char *name;
    enum row_kind row; /* what a store writes of each of its jobs */
    bool is_mark;      /* nothing is written of it: it has its place in the order, no more */
    /* Makes of the record as the job stands the one it will be. NULL: it is that already. */
    void (*describe)(const struct change *change, struct job_record *record);
    /* Called before one that lets jobs in is submitted. NULL: nothing has to be done. */
    void (*begin)(struct op *op, struct change *change);
    /* It is written, or need not be; it could not be. Called for each of its jobs. A kind with a
     * list of jobs has both; else NULL: nothing has to be done. Neither dispatches: whoever calls
     * them does that next. */
    void (*apply)(struct op *op, struct change *change, struct job *job);
    void (*undo)(struct op *op, struct change *change, struct job *job);
    /* What its waiter is told. NULL: change->result when it is written, else JOBD_STORE_FAILED. */
    enum jobd_result (*result)(struct op *op, const struct change *change, bool written);
    /* A waiter with end_us, told JOBD_OK, waits for the end of the job on its receipt next. */
    bool then_end;
    bool is_put; /* jobs come in: undone when the store begins to refuse them */
};

/* How an attempt ends, as it was decided when the report came. */
struct ending {
    struct jobd_outcome outcome;
    bool has_outcome;   /* else what the attempts before it left stays */
    enum jobd_state to; /* JOBD_SCHEDULED: it is retried; JOBD_QUEUED: it goes back, not counted */
    int64_t ready_us;   /* of both: may run from then on */
    struct jobd_blob *errors; /* it has failed: those of the job, this one included; NULL: none */
    int64_t started_us;       /* of a late end: its attempt, and the token of its lease */
    char token[JOBD_TOKEN_SIZE];
};

/* What a job that is amended will be. */
struct amended {
    int64_t ready_us, expires_us;
    enum jobd_state state; /* of those that wait */
    uint8_t priority;
    bool delayed, by_wall, expires_by_wall;
};

struct change {
    const struct change_kind *kind;
    TAILQ_ENTRY(change) link;
    /* When it fails it is undone: whoever asked is told, and may ask again. Else it is tried again
     * until it is written. */
    bool undo_on_failure;
    bool joined;                /* it is written together with the one behind it */
    enum jobd_result result;    /* what the waiter is told when it is written; JOBD_OK */
    struct jobd_waiter *waiter; /* NULL: nobody, or nobody any more */
    int64_t at_us;              /* when it was asked for */
    size_t rows, bytes;         /* to write, bytes roughly */
    struct job *job;            /* the one it is about; NULL: `jobs`, or none */
    struct job_list jobs;
    struct job *next;          /* to be written next */
    union {                    /* the kind's own */
        uint64_t duplicate_of; /* a duplicate: the job with its key */
        int64_t lease_us;      /* an extension */
        struct amended amended;
        uint64_t failures; /* a mark: the journal's, when its sweep began */
        struct {           /* a pause: of this queue, or all: JOBD_NO_QUEUE */
            uint32_t queue;
            bool paused;
        } pause;
        struct { /* a repeated report: of this lease */
            const struct lease *lease;
            enum lease_report report;
        } repeated;
    };
    /* A replacement: what its job had before it, owned; and the job's others on their way. */
    struct job_content before;
    struct change *older, *newer;
    struct queue *to; /* where its jobs go, or who is paused; NULL: they stay in their queue */
    struct ending ending;
    struct job_extra *extra;    /* for what an attempt leaves; owned */
    struct schedule_step *step; /* of a schedule, with its jobs or alone; owned. NULL: none */
};

/* May a change of somebody who asks be submitted, and may its waiter (NULL: nobody, or it waits
 * already) wait for that? */
bool change_has_room_locked(struct op *op, const struct jobd_waiter *waiter)
    REQUIRES(op->jobd->lock);

/* A change of this kind: op->waiter asks for it at op->now_us, about `job` (NULL: none, or those of
 * change_add_job()). */
void change_init(struct change *change, const struct op *op, const struct change_kind *kind,
                 struct job *job);
/* One more job, which must be in no other list. */
void change_add_job(struct change *change, struct job *job);

/* Applies it, or puts it last in the journal, where there must be room; takes what it owns.
 * change->result; or JOBD_PENDING, when its waiter is told later. The waiter may have waited for
 * something else until now. */
enum jobd_result change_submit_locked(struct op *op, struct change *change)
    REQUIRES(op->jobd->lock);

/* What is asked for depends on a change that is in the journal: it is decided anew when all that is
 * there by now is written, or has failed. JOBD_PENDING, and op->waiter is told JOBD_CHANGING then,
 * so that it asks again; JOBD_CHANGING, where nobody waits; or JOBD_TOO_MANY_WAITERS. */
enum jobd_result change_await_locked(struct op *op) REQUIRES(op->jobd->lock);

/* Its jobs, up to *left of them, which is counted down: applied or undone. False when some are
 * left. */
bool change_conclude_locked(struct op *op, struct change *change, bool written, int *left)
    REQUIRES(op->jobd->lock);

/* It stands in the journal and is none any more: nothing is written of it, and its waiter is told
 * JOBD_STORE_FAILED when its turn comes. It has no jobs. */
void change_void(struct change *change);

/* `change`, about this job, is being undone: what was asked about the job on the strength of it
 * fails too, though it stands behind it in the journal. */
void change_void_others_locked(struct op *op, struct job *job, const struct change *change)
    REQUIRES(op->jobd->lock);
