/* SPDX-License-Identifier: MIT */
/* Batches: jobs that came in at once, with ids that follow each other. A batch's id is that of its
 * first job, so that to which one a job belongs, its id says: jobs carry nothing but a flag.
 *
 * A batch is there as long as one of its jobs is; when all have ended and are forgotten it is among
 * the last `keep` such ones of its queue. So there are no more batches than records of jobs and
 * those: all are allocated at the start, one not used before costs no memory.
 *
 * Where queues are shared the others are told of a batch when it comes, and of how those of its
 * jobs have ended that are forgotten; how the rest stand follows from what they know of jobs. No
 * lock of its own. */
#pragma once

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/op.h"
#include "jobd/queue.h"

struct job;

struct batch {
    RB_ENTRY(batch) by_id;
    TAILQ_ENTRY(batch) link;  /* spare, kept without jobs and pins, or forgotten */
    TAILQ_ENTRY(batch) news;  /* shared: in `fresh` */
    TAILQ_ENTRY(batch) again; /* and in `changed` */
    uint64_t id;
    uint32_t len;   /* jobs that it came with */
    uint32_t lost;  /* of those: not there any more at a start, and not known how they have ended */
    uint32_t there; /* of those: not forgotten, those that are being written included */
    uint32_t in_state[JOBD_STATES]; /* forgotten ones included */
    uint32_t gone[JOBD_STATES];     /* those alone, by their final states */
    uint16_t queue;                 /* where it came in */
    uint8_t pins;                   /* pins.h: while there is one it is not forgotten */
    bool kept;                      /* without jobs and pins, in its queue's list */
    bool held;                      /* without jobs, and pinned: in no list */
    bool fresh, changed;            /* the others do not know it yet; or not as it is now */
    int64_t created_us;
    int64_t finished_us; /* 0: not all have ended; below 0 as in struct jobd_info */
    struct waiting_list awaiting;
    /* With a callback, else NULL and 0: its text; and of deliveries of its end (deliveries.h): for
     * each end that may come, as far as is known, linked and owned. */
    struct jobd_blob *words;
    struct job_extra *promised;
    uint32_t deliveries; /* that have not ended themselves */
    uint32_t reviving;   /* of its jobs: that one is retried is being written */
    uint64_t round;      /* of the store's rounds, in which */
    int32_t ending;      /* so many more of its jobs end than are retried */
};

TAILQ_HEAD(batch_list, batch);
RB_HEAD(batch_tree, batch);
RB_PROTOTYPE(batch_tree, batch, by_id, batch_compare)

struct kept_batches {
    struct batch_list list; /* the one whose last job was forgotten first stands first */
    uint32_t len;
};

struct batches {
    struct batch *records;
    uint32_t max, used;
    struct batch_list spare;
    struct batch_tree tree;
    struct kept_batches *kept; /* a queue's, by its index */
    uint32_t queues_len, keep;
    uint32_t held; /* so many of them */
    bool durable;
    bool restoring; /* some of its jobs may not have come back yet */
    bool shared;    /* the others are to be told: of those, in the order of their last changes */
    struct batch_list fresh, changed;
    struct batch_list forgotten, forgotten_gathered; /* but not yet by the store */
    /* What those that were forgotten counted for: for jobs_settle_batches(). */
    size_t freed_bytes;
    uint32_t freed_promises, freed_pins;
};

/* For so many jobs. 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int batches_init(struct batches *batches, uint32_t jobs_max,
                                                     uint32_t queues_len, uint32_t keep);
void batches_release(struct batches *batches);

/* Is there a record for another? */
bool batches_have_room(const struct batches *batches);
/* Its jobs come in next. There is a record. */
struct batch *batches_add(struct batches *batches, uint64_t id, uint32_t len);
/* One that comes back from before the start; NULL when there is no record, or its ids are another's
 * already. Then its jobs come back; `ended`: how many of them are forgotten, by their states. */
struct batch *batches_restore(struct batches *batches, uint64_t id, uint32_t len,
                              const uint32_t ended[JOBD_STATES]);
/* All jobs that there are have come back. */
void batches_all_back(struct batches *batches);

/* ---- as others have changed them */

/* One that others have let in, none of whose jobs is there yet; as batches_restore(). */
struct batch *batches_adopt(struct batches *batches, uint64_t id, uint32_t len);
/* This is how many of its jobs are forgotten, by their final states; when all are it is kept,
 * behind those that were before, or held. */
void batches_set_gone(struct batches *batches, struct batch *batch,
                      const uint32_t gone[JOBD_STATES], bool held);
/* A job leaves the state it is in, for STATE_NEW. */
void batches_detached(struct batches *batches, const struct job *job);
/* A job is not there any more, and no longer one of a batch; how it ended counts from elsewhere. */
void batches_lose(struct batches *batches, struct job *job);
/* One without jobs is no more; nobody waits for it. jobs_settle_batches() must follow. */
void batches_drop(struct batches *batches, struct batch *batch);

/* The next one that is forgotten is told: its record is free. 0: there is none, else its id. */
uint64_t batches_take_forgotten(struct batches *batches);
/* Is there none of which the others are to be told? */
bool batches_all_told(const struct batches *batches);
/* The others are to be told of it. */
void batches_note(struct batches *batches, struct batch *batch);

struct batch *batches_find(struct batches *batches, uint64_t id);
/* The one that a job with this id belongs to, or NULL. */
struct batch *batches_of(struct batches *batches, uint64_t job_id);

/* For those who ask from outside: the one with this id, NULL as long as it is not in. */
struct batch *batches_seen(struct batches *batches, uint64_t id);

/* One of its jobs goes from one state, which may be STATE_NEW, to another. */
void batches_moved(struct batches *batches, const struct job *job, enum jobd_state to);
/* Have all that it has ended? */
bool batches_over(const struct batch *batch);
/* One of its jobs is forgotten, or does not come in after all: perhaps the batch is, too. */
void batches_left(struct batches *batches, const struct job *job);
/* Its first pin is coming. */
void batches_hold(struct batches *batches, struct batch *batch);
/* Its last pin is gone: perhaps one is forgotten, as there are too many. */
void batches_let_go(struct batches *batches, struct batch *batch);

/* The record of a forgotten one is free for another. */
void batches_release_record(struct batches *batches, struct batch *batch);
