/* SPDX-License-Identifier: MIT */
/* The turns of this process, in a thread of their own:
 *
 *     mailbox ─┐   lock, read ──> adopt ──> tick ──> run what waits ──> append ──> tell
 *     time ────┘
 *
 * and between two of them those who look, once all that others have appended is adopted.
 *
 * When a turn is lost, as another has appended meanwhile, or nobody knows: the engine forgets all
 * and reads it anew; who waited is told that nothing was done. While the database is away who waits
 * in the engine waits on, and whoever comes is refused. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/problem.h"
#include "jobd/queue.h"
#include "jobd/turns.h"
#include "ledger/ledger.h"

struct turns;

struct turns_config {
    const struct ledger_ops *ops;
    void *ledger; /* borrowed */
    uint32_t node;
    const char *name;   /* of the database, for people; borrowed */
    uint64_t log_bytes; /* the log may grow to so many before there is a snapshot; 0: 64 MiB */
    /* What nobody but a person can mend: the process has to end. In the turns' thread. */
    void (*on_end)(void *context, const char *why);
    void *context;
};

/* NULL when memory is short. */
struct turns *turns_new(const struct turns_config *config);
/* For jobd_config.turns. */
const struct jobd_turns *turns_of(const struct turns *turns);
/* Reads all jobs into the engine. False, and a problem. */
bool turns_load(struct turns *turns, struct jobd *jobd, struct problem *problem);
/* 0 or -errno. */
__attribute__((warn_unused_result)) int turns_start(struct turns *turns);

/* Why nothing can be done at present; false when it can. Any thread. */
bool turns_failing(struct turns *turns, struct problem *problem);

struct turns_stats {
    uint64_t turns, entries, bytes; /* that changed something; rows; of those */
    uint64_t adopted, anew, lost;
    bool connected;
};
void turns_stats(struct turns *turns, struct turns_stats *stats);

/* Takes the last turn: what is left waits for wait_us at most. False when something could not be
 * written. */
bool turns_stop(struct turns *turns, int64_t wait_us);
/* Takes NULL. */
void turns_free(struct turns *turns);
