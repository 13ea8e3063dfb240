/* SPDX-License-Identifier: MIT */
/* What a store needs of the engine: the changes that wait to be written down, and a way to bring
 * back what was.
 *
 *     verb ──> journal ──> gather ──> each: INSERT ... ──> COMMIT ──> written: applied, told
 *                                                             └─────> failed: as if never asked
 *
 * With a journal (jobd_config.on_journal_ready) nothing can be seen of a change, and nobody is told
 * of it, before it is written. Four exceptions, whose loss does no harm: that an attempt has begun
 * (but nobody has the token of its lease yet), that a lease lasts longer, that a runner has been
 * told to stop, and what a replacement has put in place of what its job had (but it is answered,
 * and begun, when that is written).
 *
 * journal_*() are called by one thread, the store's writer; jobd_restore() before any other thread
 * uses the engine. None blocks but for the engine's one lock. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "jobd/queue.h"

/* A job as a store keeps it. All pointers are borrowed, for the call that gets it. Times are the
 * engine's; created_us, started_us and finished_us of a record that comes back are not looked at,
 * and go into the next record as they came: a store marks what another process wrote down by a
 * number below 0. */
struct job_record {
    uint64_t id;

    /* what never changes */
    const char *queue;
    uint8_t priority;
    uint32_t attempts;
    int64_t created_us;
    int64_t run_at_us;  /* put with a delay: not before then; 0: without */
    int64_t at_us;      /* put to run at an instant: not before then; 0: not so */
    int64_t timeout_us; /* 0: its queue's */
    /* An attempt that has not begun by then never does; 0: it does not expire. The second is the
     * same where it is an instant of the wall clock, else 0. */
    int64_t expiry_us, expiry_at_us;
    int64_t unique_until_us; /* its key is not forgotten before; 0: it may be */
    int64_t keep_us;         /* it is remembered so long when it has ended; 0: as long as others */
    const char *key;         /* "": none; so also the next */
    const char *trace;
    const char *texts[JOBD_TEXTS];   /* "" or NULL: none */
    const struct jobd_blob *payload; /* NULL: none */
    /* The batch that it came with, and how many that has; 0: none. Only the first of them makes it
     * known; of one that is forgotten (ROW_REMOVE), state and finished_us go into the batch. */
    uint64_t batch;
    uint32_t batch_jobs;
    const char *batch_callback; /* "" or NULL: none */
    int64_t source;             /* of a delivery, as in struct jobd_info; 0: it is none */

    /* how far it is */
    enum jobd_state state;
    uint32_t attempt;
    int64_t ready_us;                /* waits: may run from then on */
    int64_t started_us, finished_us; /* 0: not yet */
    bool delayed;                    /* waits for ready_us, by a delay or a backoff */
    bool by_wall;                    /* that is at_us */
    bool expired;                    /* cancelled as its time was over */
    bool unexpiring;                 /* it does not expire any more, whatever expiry_us says */
    bool settled;                    /* it waits no longer for those of its text JOBD_AFTER */
    bool stopping;                   /* runs, and is to be cancelled */
    bool paused;                     /* ROW_PAUSE alone */
    bool output_truncated;
    bool exited; /* exit_code counts */
    int exit_code;
    const char *token;  /* runs by a lease; "": it does not */
    int64_t expires_us; /* the lease */
    int64_t began_us;   /* its attempt, as its timeout counts */
    const struct jobd_blob *output, *error;
    const struct jobd_blob *errors; /* of its last attempts, bytes for the engine alone */
    int64_t errors_us;              /* when the last of them ended; 0: none */
    /* Texts: who has, or had, its last attempt, and what that one has said last; NULL: none. What
     * comes from the engine is a reference: it gives it back when the row is written. */
    struct jobd_blob *worker, *progress;

    /* Of one that comes back: when it came in, and ended, by the engine's clock; and the wall clock
     * minus that, the same for all. */
    int64_t came_us, ended_us, wall_ahead_us;

    const struct schedule_record *schedule; /* NULL: the record is a job's */
};

/* A schedule as a store keeps it. All pointers are borrowed; instants are the wall clock's, and
 * stay as they are. */
struct schedule_record {
    const char *name;

    /* what was asked for */
    const char *queue, *cron, *zone;
    int64_t every_us;
    uint8_t priority;
    uint32_t attempts;
    int64_t timeout_us, expires_us;
    const char *texts[JOBD_TEXTS]; /* "" or NULL: none */
    uint32_t late;                 /* enum jobd_late */
    bool alone, fixed;
    const struct jobd_blob *payload; /* NULL: none */

    /* how far it is */
    bool paused;
    int64_t after_us, floor_us, since_us, done_from_us, done_to_us, last_us;
    uint64_t last_job, missed, skipped;
};

enum row_kind {
    ROW_ADD, /* a new job, also a delivery that comes with the row before it: all of the record, in
                the state it begins with */
    ROW_REPLACE, /* of a known job that has not begun: all of the record, in the state it begins
                    with, in place of all that was */
    ROW_SET,     /* of a known job: how far it is, the record's last block in place of what was */
    ROW_MOVE,  /* of a known job, which has come to another queue: what never changes else, in place
                  of what was; how far it is stays */
    ROW_AMEND, /* of a known job: all of the record, in place of what was */
    ROW_REMOVE,       /* it is forgotten: the id, and of a batch how it ended */
    ROW_REMOVE_BATCH, /* a batch is: its id alone */
    /* Of a schedule, which is all that counts of the record: */
    ROW_SCHEDULE,       /* all of it, in place of what was */
    ROW_SCHEDULE_STEP,  /* of a known one: how far it is */
    ROW_UNSCHEDULE,     /* it is deleted: the name alone */
    ROW_UNSCHEDULE_ALL, /* there are none: no schedule */
    ROW_PAUSE           /* of a queue, whose name counts, and `paused`: is it, from now on? */
};

/* A batch as a store keeps it: made by ROW_ADD of its first job, as large as that says and as old
 * as that is; and of its jobs those that are forgotten. */
struct batch_record {
    uint64_t id;
    const char *queue;    /* of its first job */
    const char *callback; /* "": none */
    uint32_t jobs;
    uint32_t ended[JOBD_STATES];     /* of the forgotten ones, by their final states */
    int64_t created_us, finished_us; /* as a job's; the latest end of the forgotten ones, 0: none */
};

/* Writes one row; false when it cannot, and then no other is asked for. */
typedef bool journal_row(void *context, enum row_kind kind, const struct job_record *record);

/* Takes changes from the front of the journal until they are `rows_max` rows or some `bytes_max`
 * bytes; those of one request stay together, so it may be more. How many rows; 0: nothing waits.
 * What was gathered must have been written or failed before. */
size_t journal_gather(struct jobd *jobd, size_t rows_max, size_t bytes_max);

/* Calls `each` for every gathered change, in order, without the lock: nobody changes those jobs
 * meanwhile. False as soon as `each` says so. */
bool journal_each(struct jobd *jobd, journal_row *each, void *context);

/* What was gathered is on disk. */
void journal_written(struct jobd *jobd, int64_t now_us);

/* It is not, not in any part: whoever waits is told JOBD_STORE_FAILED, and it is as if they had not
 * asked. What nobody would ask for again (a worker's result, a lease that expired, what is
 * forgotten) is gathered again. */
void journal_failed(struct jobd *jobd, int64_t now_us);

/* Calls `each` with the job as it stands now: ROW_ADD and then ROW_SET. When there is none: with
 * ROW_REMOVE, and ROW_REMOVE_BATCH, if it was `new` in what may have been written; else it is
 * forgotten, and will be gathered with what its batch counts of it. For a store that does not know
 * any more what it has written. */
bool journal_record(struct jobd *jobd, uint64_t id, bool new, journal_row *each, void *context);

/* The same for all schedules: ROW_UNSCHEDULE_ALL, and ROW_SCHEDULE for each. */
bool journal_schedules(struct jobd *jobd, journal_row *each, void *context);

/* And for all queues: ROW_PAUSE for each. */
bool journal_pauses(struct jobd *jobd, journal_row *each, void *context);

/* New jobs are refused with JOBD_STORE_FAILED, those that wait to be written included; or accepted
 * again. Everything else continues. */
void journal_refuse(struct jobd *jobd, bool refuse, int64_t now_us);

/* Nothing waits or is gathered. */
bool journal_empty(struct jobd *jobd);

/* First of all: of each job that waits, its text JOBD_AFTER, when it has one, and of a delivery the
 * path of the job that it tells of, in the same form, so that what they name is not forgotten while
 * it comes back. */
void jobd_restore_after(struct jobd *jobd, const char *after);
/* Brings a batch back, before its jobs and all others. The oldest must come first: among those
 * without jobs that counts. One for which there is no room is none any more. */
void jobd_restore_batch(struct jobd *jobd, const struct batch_record *record);
/* Brings a pause back, before the first use; of a queue that is not there none. */
void jobd_restore_pause(struct jobd *jobd, const char *queue);
/* All is back: what is not does not come. */
void jobd_restored(struct jobd *jobd);

/* Brings a job back, before the first use; its blobs are shared. A waiting job waits; a lease goes
 * on, until expires_us. A job that ran in the process before has lost that attempt, which counts:
 * it is retried at once, or has failed when that was its last; it is cancelled when it was to be
 * stopped. Final ones must come in the order of their ends. What changes by that waits in the
 * journal. False when memory is short or there is no such queue. */
bool jobd_restore(struct jobd *jobd, const struct job_record *record, int64_t now_us);

/* Brings a schedule back, likewise. False when memory is short, or it is none. */
bool jobd_restore_schedule(struct jobd *jobd, const struct schedule_record *record);
