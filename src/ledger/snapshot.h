/* SPDX-License-Identifier: MIT */
/* The short way to what the log says: all jobs as they are, in parts, so that the entries before
 * can go. It is written between turns, a part at a time, while jobs change: so who reads it goes on
 * with the entries from where it was begun, which say the same again or newer things.
 *
 *     part 0, 1, ...   entries (entry.h): queues, nodes and leases, then jobs in their order
 *     part -1          written last: it is whole; how many parts; the entry that was the last then
 *
 * (A part -2 is the ledger's own, see ledger_open.c.)
 *
 * For the turns' thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/problem.h"
#include "ledger/entry.h"
#include "ledger/follower.h"
#include "ledger/ledger.h"

struct snapshot {
    enum { SNAPSHOT_IDLE, SNAPSHOT_WRITES, SNAPSHOT_TRIMS } state;
    uint64_t from;   /* the last entry that it has whole */
    int64_t from_us; /* when it was written */
    uint64_t *ids;   /* of the jobs that are to be written */
    size_t ids_len, at;
    int32_t part;
    unsigned format; /* in which it is to be written */
    struct entry entry;
    uint64_t bytes, last_bytes; /* of this one so far, of the one before */
    uint64_t least_bytes;       /* of the log, before there is one; 0: 64 MiB */
    int64_t retry_us;           /* another process writes one: not before then again */
    uint64_t others_from; /* what the newest of another process has whole, as far as is known */
    int64_t look_us;      /* not before then: for a newer one */
};

/* Is there something to do: does one go on, or has the log grown by so much since the last? */
bool snapshot_is_due(const struct snapshot *snapshot, const struct follower *follower,
                     int64_t now_us);
/* Only processes that know all queues write one, and this one does not: is there none of them, as
 * the log has grown to four times of that since the newest? Asks the ledger every 30 s at most. */
enum ledger_result snapshot_look(struct snapshot *snapshot, struct follower *follower,
                                 const struct ledger_ops *ops, void *ledger, bool *missed,
                                 struct problem *problem);
/* Does the next piece: begins one, unless another process does, writes a part, removes some
 * entries. */
enum ledger_result snapshot_step(struct snapshot *snapshot, struct follower *follower,
                                 const struct ledger_ops *ops, void *ledger,
                                 struct problem *problem);
void snapshot_abandon(struct snapshot *snapshot);
void snapshot_release(struct snapshot *snapshot);

/* The engine forgets all, and reads all again: the newest snapshot, and the log from there.
 * LEDGER_OK, and what that came to in follower->result; or why it cannot be read. */
enum ledger_result snapshot_anew(struct follower *follower, const struct ledger_ops *ops,
                                 void *ledger, struct problem *problem);
