/* SPDX-License-Identifier: MIT */
/* Times on disk. They outlive a process, whose engine counts on from what the wall clock said when
 * it began, and the wall clock may be wrong, stepped, or stand still meanwhile. So each kind has a
 * clock of its own:
 *
 *     created, started, finished, errors     the wall clock as it was when it was written
 *     run_at, ready, expiry, unique_until    the database's clock
 *     at, expiry_at                          the wall clock, and run_at or expiry beside it
 *     expires, began                         the serving clock
 *
 * The first are read again to be shown, and to know how long ago a job ended. The database's clock
 * goes on with the engine's while a server runs, and with the wall clock while none does, but never
 * back. The serving clock goes on while a server runs and stands still while none does: a lease has
 * left at the next start what it had left then.
 *
 * An instant that somebody has asked for is one of the wall clock as it is set at the next start,
 * so that a clock that was set right meanwhile is followed. But one that shows less than what was
 * written down last is not believed: it may have no battery. Then what stands beside it counts.
 * The database's and the serving clock were the wall clock in a database that was made before they
 * were kept. In a process each differs from the engine's time by a number that stays the same; they
 * are carried over by what is written with the commits, at most KEEP_EVERY_US old.
 *
 * Nothing here reads a clock. No lock: it is the writer's. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/journal_store.h"

/* What the clocks showed at one moment, as the database keeps it; all 0: not known. */
struct kept_times {
    int64_t wall_us, database_us, serving_us;
};

struct times {
    int64_t now_us; /* the engine's, when the next three were measured */
    /* Each minus the engine's time. */
    int64_t wall_ahead_us, database_ahead_us, serving_ahead_us;
    int64_t kept_us, kept_wall_ahead_us; /* when that was last written, by the first two */
    bool wall_back; /* at the start the wall clock showed less than what was written down last */
};

/* At the start of a process: `kept` is the last that the one before has written. */
void times_begin(struct times *times, const struct kept_times *kept, int64_t now_us,
                 int64_t wall_us);
/* Before some records go to disk: what the clocks say now. */
void times_measure(struct times *times, int64_t now_us, int64_t wall_us);

/* Is it to be written with the next commit? Then times_kept() says when it is. */
bool times_due(const struct times *times);
struct kept_times times_now(const struct times *times);
void times_kept(struct times *times);

/* The same record with the times of the disk; of the engine, where those of another process are
 * marked by a sign. */
struct job_record times_to_disk(const struct times *times, const struct job_record *record);
struct job_record times_from_disk(const struct times *times, const struct job_record *record);
/* The same of a batch, from disk: all of its times are another process's. */
struct batch_record times_of_batch(const struct batch_record *record);
