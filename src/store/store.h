/* SPDX-License-Identifier: MIT */
/* The disk: writes the engine's journal down, in group commits to an SQLite database in a
 * directory, and brings back what was there.
 *
 * One thread, the writer, takes what waits in the journal into one transaction, commits, and says
 * so; while the disk works the next group gathers. Nothing waits for company. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/problem.h"
#include "jobd/queue.h"

enum store_sync { STORE_SYNC_COMMIT, STORE_SYNC_SECOND, STORE_SYNC_OFF };

/* For --sync: "commit", "1s", "off", NULL. */
extern const char *const store_sync_names[];

struct store;

/* Takes the directory for this process alone (made when it is missing, mode 0700) and opens, makes
 * or migrates its database. NULL, and a problem that names the file and what to do. May
 * block for as long as a check of the database takes. */
struct store *store_open(const char *directory, enum store_sync sync, struct problem *problem);

/* Of the database; all other files stand in the same directory. */
const char *store_path(const struct store *store);

/* Jobs on disk that are not final, of this queue: what jobd_queue_config.restored wants. */
uint32_t store_waiting(struct store *store, const char *queue);

/* Deliveries that jobs and batches on disk are promised, at most: the queue of deliveries wants
 * them added to that. */
uint32_t store_promised(const struct store *store);

/* The queues that have jobs on disk, declared or not. */
uint32_t store_queues_len(const struct store *store);
/* The name of one of them, valid until store_free(), and all its jobs, those that have ended
 * included. */
const char *store_queue(const struct store *store, uint32_t index, uint32_t *jobs);

/* Schedules on disk: what jobd_schedule_config.restored wants. */
uint32_t store_schedules(const struct store *store);

/* Ids below this may have been given out: what jobd_config.first_id must not be below. */
uint64_t store_first_id(struct store *store);

/* For jobd_config.on_journal_ready, with the store as its context: wakes the writer. Any thread;
 * does not block. */
void store_wake(void *store);

/* Brings all jobs back into the engine. Says its progress in the log when it takes long, and names
 * what is damaged or belongs to no queue: that stays on disk and does not run. False, and a
 * problem, when the database cannot be read or memory is short. */
bool store_load(struct store *store, struct jobd *jobd, int64_t now_us, struct problem *problem);

/* Starts the writer, with all signals blocked. 0 or -errno. */
__attribute__((warn_unused_result)) int store_start(struct store *store, struct jobd *jobd);

/* Why new jobs are refused at present; false when they are not. Any thread; never waits for the
 * disk. */
bool store_failing(struct store *store, struct problem *problem);

/* The name of a file of the store that somebody has deleted, moved or replaced: what is written
 * goes nowhere, and what was written is lost unless it comes back. NULL: none. Any thread. */
const char *store_gone(const struct store *store);

struct store_stats {
    uint64_t commits, changes, failures;
    uint64_t bytes;               /* of the database and its log on disk */
    int64_t last_commit_us;       /* how long the last one took, */
    struct jobd_histogram commit; /* and all of them */
    bool failing;
};

/* Any thread; never waits for the disk. */
void store_stats(struct store *store, struct store_stats *stats);

/* Writes what is left, for at most wait_us, ends the writer and closes the database, checkpointed.
 * False when something could not be written. */
bool store_stop(struct store *store, int64_t wait_us);

/* Takes NULL. */
void store_free(struct store *store);
