/* SPDX-License-Identifier: MIT */
/* What the parts of the driver know of each other. */
#pragma once

#include "engine/engine.h"
#include "engine/share.h"
#include "engine/touched.h"
#include "jobd/queue.h"
#include "ledger/cluster.h"
#include "ledger/entry.h"
#include "ledger/follower.h"
#include "ledger/memory_ledger.h"
#include "ledger/snapshot.h"

enum {
    MEMBERS = 3,
    QUEUES = 3,
    CALLBACKS = QUEUES, /* the queue of deliveries, behind those */
    SCHEDULES = 4,
    ACTORS = 10, /* of each member */
    TOKENS = 64, /* that somebody remembers */
    CALLS_MAX = 12,
    AFTER_SIZE = 160,
    GROUPS = 3, /* of jobs, those without one included */
    NEWS_MAX = 256,
    ROWS_MAX = 1 << 16
};

/* Somebody who waits, of one member. */
struct actor {
    struct jobd_waiter waiter; /* first */
    struct member *member;
    bool waits; /* as far as it knows */
    bool runs;  /* a worker: it has a job */
    bool ends;  /* a worker: its attempt has ended, and nobody knows yet */
    bool puts;  /* what it offers is its own until it is told */
    struct jobd_put put;
    struct jobd_terms terms; /* of that */
    char after[AFTER_SIZE];
    struct jobd_task task;
    struct jobd_batch batch; /* that it has waited for */
};

/* What a member counts for itself. */
struct counts {
    uint64_t tallies[QUEUES + 1][TALLIES];
    uint32_t failures[QUEUES + 1]; /* in a row, as the service is down */
    uint64_t fired, missed, skipped;
};

struct member {
    struct cluster *cluster;
    struct jobd *jobd;
    struct jobd_turns turns;
    struct follower follower;
    struct snapshot snapshot;
    uint64_t turn;
    bool in_turn;
    bool lost;         /* this turn will be */
    uint64_t first_id; /* from here on they are of this turn */
    struct actor actors[ACTORS];
    struct actor *told[ACTORS + CALLS_MAX]; /* those whose call has ended in this turn */
    enum jobd_result results[ACTORS + CALLS_MAX];
    unsigned told_len;
    unsigned stops;
    bool hears_of_failures;
    struct counts counts; /* before this turn */
};

/* Of the groups of a queue that has no limits for them, by lane: in which of all turns they were
 * served last, and since which they stand there without anything having happened to them; 0: they
 * do not. */
struct turn_order {
    uint64_t served[GROUPS][JOBD_PRIORITIES], stands[GROUPS][JOBD_PRIORITIES];
    uint64_t turn;
    uint64_t news[NEWS_MAX]; /* jobs that this turn has changed */
    bool whole[NEWS_MAX];    /* of those: all of it was told, the queue too */
    unsigned news_len;
    bool some_gone;
};

struct cluster {
    struct chance *chance;
    int64_t now_us;
    uint32_t nodes; /* numbers that were given to members */
    struct member members[MEMBERS];
    struct memory_ledger ledger;
    char tokens[TOKENS][JOBD_TOKEN_SIZE];
    unsigned token_at;
    uint64_t tokens_made;
    struct jobd_blob *worker;
    struct turn_order order;
};

static inline unsigned below(struct cluster *cluster, unsigned bound)
{
    return chance_below(cluster->chance, bound);
}

/* One thing that is asked for in a member's turn. */
void cluster_call(struct member *member);
void cluster_call_schedule(struct member *member);
void cluster_look_at_schedules(struct member *member);
/* This is part of its turn; and that is all, it is in the log. */
void cluster_note_news(struct cluster *cluster, const struct news *news);
void cluster_check_order(struct member *member);
/* Its turn is over: those whose calls have ended are told. */
void cluster_tell(struct member *member);
/* Of a turn that is lost nothing is counted: before it, and when it is over. */
void cluster_note_counts(struct member *member);
void cluster_check_counts(struct member *member);
/* Its log is told of attempts that have failed, once their turn is over and not lost, and there are
 * some then. */
void cluster_on_failure(void *member);
void cluster_check_failures(struct member *member);
/* Looks, which are possible at any time. */
void cluster_look(struct member *member);
void cluster_open_actors(struct member *member);
/* All that waits or runs there is no more. */
void cluster_close_actors(struct member *member);
/* Ends the process when they do not know the same. */
void cluster_compare(struct jobd *one, struct jobd *other);
