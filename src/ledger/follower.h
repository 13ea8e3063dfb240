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

/* The engine has appended this itself. */
void follower_own(struct follower *follower, const struct ledger_row *row);

/* The engine forgets all, and reads all again. LEDGER_OK, and what that came to in
 * follower->result; or why it cannot be read. */
enum ledger_result follower_anew(struct follower *follower, const struct ledger_ops *ops,
                                 void *ledger, struct problem *problem);
/* Reads what has not been read, without a turn. */
enum ledger_result follower_catch_up(struct follower *follower, const struct ledger_ops *ops,
                                     void *ledger, struct problem *problem);
