/* SPDX-License-Identifier: MIT */
/* An engine that follows the log: rows that others have appended are adopted, in order. One thread;
 * blocks but for the engine's lock only where it reads. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/problem.h"
#include "engine/share.h"
#include "jobd/queue.h"
#include "ledger/ledger.h"

enum follow_result {
    FOLLOW_OK,
    FOLLOW_LOST,    /* the log does not go on where the engine stands: it has to be read anew */
    FOLLOW_DIFFERS, /* the same, as the engine does not know what the row relies on */
    FOLLOW_WRONG    /* what only a person can mend */
};

struct follower {
    struct jobd *jobd;
    uint32_t own_node;
    /* The last row that the engine knows; 0: none. */
    uint64_t seq;
    uint32_t node;
    uint64_t turn;
    int64_t at_us;

    uint64_t overlaps_to;      /* entries up to this one may say older things than the snapshot */
    bool nameless;             /* it is not known who has appended that row */
    uint64_t bytes;            /* of the entries since the last snapshot */
    enum follow_result result; /* since the last follower_begin() */
    bool seen;                 /* the last row that it knows, again */
    struct problem problem;    /* of a result that is not FOLLOW_OK */
    uint64_t adopted;
};

/* Rows come that were fetched from `seq` on. */
void follower_begin(struct follower *follower);
uint64_t follower_from(const struct follower *follower);
/* A ledger_each, with the follower as its context. */
bool follower_row(void *context, const struct ledger_row *row);
/* What they came to. */
enum follow_result follower_end(struct follower *follower);

/* A part of a snapshot, as follower_row(). */
bool follower_part(struct follower *follower, const unsigned char *body, size_t size);
/* All of it was read: the engine knows what it knew when that entry was the last. */
void follower_stand_at(struct follower *follower, uint64_t from, uint64_t to);

/* The engine has appended this itself. */
void follower_own(struct follower *follower, const struct ledger_row *row);

/* The engine forgets all, and the follower stands at the beginning. */
void follower_forget(struct follower *follower);
/* Reads what has not been read, without a turn. */
enum ledger_result follower_catch_up(struct follower *follower, const struct ledger_ops *ops,
                                     void *ledger, struct problem *problem);
