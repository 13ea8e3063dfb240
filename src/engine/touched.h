/* SPDX-License-Identifier: MIT */
/* What has changed in a turn, and who is told of it when it is over. Where queues are shared, see
 * share.h; else there is none of this. Under the engine's lock.
 *
 * Jobs stand in the order of their last changes: whoever repeats them in that order gets the same
 * lanes. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"
#include "engine/news.h"
#include "jobd/turns.h"

enum {
    TOUCHED_MAX = 8192, /* jobs of one turn, about: what could go on for long stops there */
    TOUCHED_BYTES = 4 << 20,
    NODES_MAX = 16,     /* processes for whose workers there is room */
    NODES_KNOWN = 1024, /* those that have been there of late, too */
    STRANGERS_MAX = 64
};

/* Of the record with that index; numbers count from 1, 0 is the list itself. */
struct touch {
    uint32_t before, behind;
    bool is_in, fresh, moved;
    bool stays;   /* where it is in its lane, or elsewhere */
    bool started; /* a worker of this process was given it in this turn */
};

/* Of a queue: whether it was touched, and what the others know of it. */
struct told {
    bool touched;
    struct jobd_histogram waited, ran;
    uint64_t tallied; /* the turn in which this process has counted of it for itself: */
    uint64_t tallies[TALLIES];
};

/* A queue that is not known here, though it has jobs; so many were told of since all was read. */
struct stranger {
    char name[JOBD_QUEUE_NAME_MAX + 1];
    uint32_t jobs;
};

/* Jobs that the workers of another process run are its own until then. */
struct node {
    uint32_t id;
    int64_t until_us;
};

/* A job that a worker of this process runs, while the engine reads all jobs again. */
struct own_run {
    uint64_t id;
    uint32_t attempt;
    int64_t started_us;
    struct jobd_waiter *holder;
    bool goes_back; /* it was told to stop by share_overdue() */
};

struct share {
    struct jobd_turns turns;
    bool strangers; /* jobs of queues that are not known here are left out, of these: */
    struct stranger stranger[STRANGERS_MAX];
    uint32_t strangers_len;
    bool outdated;    /* such a queue may be known by now: all has to be read again */
    bool in_turn;     /* verbs may change something, and whoever they wake is held */
    bool stays;       /* what a job was put with is replaced, but not its place */
    bool anew;        /* all is being read again */
    int64_t began_us; /* when the turn began */
    uint64_t turn;    /* its number */
    bool told_due;    /* whoever takes the turns knows that there is something to do */

    /* changed in this turn */
    struct touch *touches; /* of all records, and one for the list */
    uint32_t touched_len;
    size_t touched_bytes; /* of those, roughly */
    struct told *queues;
    uint32_t queues_touched;
    uint32_t *leases; /* that are over: their indices */
    uint32_t leases_len;
    bool *lease_is_in;
    uint64_t next_id; /* ids from here on are of this turn, which may be lost */

    /* to be told when it is over */
    struct waiting_list held;
    struct op_stop *stops;
    uint32_t stops_len, stops_max;

    struct node nodes[NODES_KNOWN];
    uint32_t nodes_len;
    int64_t own_until_us; /* as the others know it */
    bool renews, leaves;
    struct own_run *runs, *ended; /* ended: in this turn */
    uint32_t runs_len, ended_len, runs_max;
    struct shown *shown; /* runs_max of them */
    bool orphans;        /* jobs that this process runs, as the others think */
};

/* 0 or -ENOMEM. `running`: jobs that the process's workers run at a time. */
__attribute__((warn_unused_result)) int share_init(struct jobd *jobd,
                                                   const struct jobd_turns *turns, uint32_t running)
    REQUIRES(jobd->lock);
void share_release(struct jobd *jobd) REQUIRES(jobd->lock);

/* A change of this kind has been applied to a job, which may be forgotten by now. */
void share_touch_locked(struct op *op, const struct job *job, enum row_kind row)
    REQUIRES(op->jobd->lock);
/* Its place stays, and all but what is told of callbacks. */
void share_touch_in_place_locked(struct op *op, const struct job *job) REQUIRES(op->jobd->lock);
/* The same for a job whose place in its lane follows from that of others. */
void share_touch_behind_locked(struct op *op, const struct job *job) REQUIRES(op->jobd->lock);
void share_touch_queue_locked(struct op *op, const struct queue *queue) REQUIRES(op->jobd->lock);
/* A lease is over, or was reported on later. */
void share_touch_lease_locked(struct op *op, const struct lease *lease) REQUIRES(op->jobd->lock);
/* A worker of this process was given the job; it has ended its attempt. */
void share_note_start_locked(struct op *op, const struct job *job) REQUIRES(op->jobd->lock);
void share_note_end_locked(struct op *op, const struct job *job) REQUIRES(op->jobd->lock);
/* Is there room for what somebody asks who could ask again? */
bool share_has_room(const struct share *share);
/* Of one who waits while a turn is lost, or while all is forgotten to be read again, for a job's
 * end: JOBD_STORE_FAILED; or JOBD_TIMEOUT, when the job was its own, and is in the log. */
enum jobd_result share_told_locked(const struct op *op, const struct jobd_waiter *waiter)
    REQUIRES(op->jobd->lock);
/* A job, or a batch, of a queue that is not known here is left out. */
void share_note_stranger_locked(struct op *op, const char *queue) REQUIRES(op->jobd->lock);
/* In a turn: this operation's waiters, and who is to stop, are told when it is over. */
void share_hold_locked(struct op *op) REQUIRES(op->jobd->lock);
