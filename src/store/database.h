/* SPDX-License-Identifier: MIT */
/* The jobs in an SQLite database: what is a row, how it is read and written. Knows no journal and
 * starts no thread; all but opening is for the one thread that owns it, and may wait for the disk.
 *
 * The one connection has the file to itself, with a write-ahead log that is checkpointed only when
 * told to: an error that SQLite's own checkpoint meets is silent, and closing does none. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/problem.h"
#include "engine/journal_store.h"
#include "store/times.h"

enum database_result {
    DATABASE_OK,
    DATABASE_FULL,  /* no space: the transaction is undone, the handle is good */
    DATABASE_BROKEN /* any other: what is on disk is not known, the handle must be closed */
};

struct database;

/* When COMMIT has done its work: on disk; or in the system's hands, and the log is synced by
 * the caller, or by nobody. */
enum database_sync { DATABASE_SYNC_FULL, DATABASE_SYNC_LOG, DATABASE_SYNC_OFF };

/* Opens the file, makes or migrates its tables. NULL, and a problem that names the file and what
 * to do, when it is not there for us: used by another process, not ours, newer than we, damaged, or
 * without its log (a file PATH-wal.lost, which is deleted then, lets it go on without; as does a
 * log that is empty, but was written with DATABASE_SYNC_OFF). What is not ours is not written to.
 */
struct database *database_open(const char *path, enum database_sync sync, struct problem *problem);
/* Why it was opened without its log, which has lost what was committed last; NULL: it has its log.
 */
const char *database_lost_log(const struct database *database);
/* Without a checkpoint. Takes NULL. */
void database_close(struct database *database);

/* `problem`, here and below: what it is when the result is not DATABASE_OK or true; not touched
 * else. */
enum database_result database_begin(struct database *database, struct problem *problem);
/* In a transaction. The record has the times of the disk. */
enum database_result database_change(struct database *database, enum row_kind kind,
                                     const struct job_record *record, struct problem *problem);
/* The same: what the clocks say when it is committed. */
enum database_result database_keep_times(struct database *database, const struct kept_times *times,
                                         struct problem *problem);
/* When it is not DATABASE_OK, nothing of the transaction is there; or, DATABASE_BROKEN, perhaps all
 * of it. */
enum database_result database_commit(struct database *database, struct problem *problem);
void database_rollback(struct database *database);

/* What becomes of the log when it is copied: it goes on, perhaps emptied first, and is missed by
 * database_open() when it gets lost; or it is not needed any more. */
enum log_use { LOG_GOES_ON, LOG_EMPTIED, LOG_ENDS };

/* Copies the log into the database and syncs that. Not in a transaction. */
enum database_result database_checkpoint(struct database *database, enum log_use use,
                                         struct problem *problem);
/* Pages in the log that are not checkpointed. */
unsigned database_log_pages(const struct database *database);

/* A file that was made by an older jobd, and is mostly free, is rewritten so that it can shrink:
 * may take some seconds. For the start: after an error nothing may be written before the log is
 * copied. It stays as it is when there is no space or no memory for that. False, and a problem: it
 * cannot be used. */
bool database_make_shrinkable(struct database *database, struct problem *problem);
/* Is there more free space in the file than it need keep, and can it be given back? */
bool database_can_shrink(struct database *database);
/* Gives some of it back, in a transaction of its own: the file is shorter after the next
 * checkpoint. Takes some milliseconds. */
enum database_result database_shrink(struct database *database, struct problem *problem);

/* A copy of the database while it is used, some pages at a time. */
struct database_copy;

/* Makes a file of that name, which stays without a name and is gone with its last descriptor. NULL,
 * and a problem. The database must not be closed before database_copy_free(). */
struct database_copy *database_copy_begin(struct database *database, const char *path,
                                          struct problem *problem);

enum copy_step { COPY_GOES_ON, COPY_DONE, COPY_FAILED };

/* Some pages more; not in a transaction. Takes some tenths of a millisecond. COPY_DONE: the copy is
 * what the database is now, and needs no log. COPY_FAILED, and a problem: it can only be freed. */
enum copy_step database_copy_step(struct database_copy *copy, struct problem *problem);
/* Its descriptor, the caller's to close. */
int database_copy_take(struct database_copy *copy);
/* Takes NULL. */
void database_copy_free(struct database_copy *copy);

/* How large a copy would be. False when that cannot be read. */
bool database_bytes(struct database *database, uint64_t *bytes);

/* Above all ids that may have been given out. */
uint64_t database_first_id(const struct database *database);

/* What was last kept, when it was opened. */
struct kept_times database_times(const struct database *database);

/* All jobs of a queue, and those of them that have not ended. */
struct database_queue {
    const char *name;
    uint64_t jobs, waiting;
};

/* Each queue that has jobs. False when the database cannot be read, or `each` said so, which then
 * has said why. */
bool database_count(struct database *database,
                    bool (*each)(void *context, const struct database_queue *queue), void *context,
                    struct problem *problem);

/* Deliveries that are promised at most: jobs that have not ended, and batches, with a callback.
 * False when the database cannot be read. */
bool database_promised(struct database *database, uint32_t *promised, struct problem *problem);

/* All batches, those whose forgotten jobs ended first before the others; with the times of the
 * disk. False when the database cannot be read. */
bool database_batches(struct database *database,
                      void (*each)(void *context, const struct batch_record *batch), void *context,
                      struct problem *problem);

/* The names of the queues that are paused. False when the database cannot be read. */
bool database_pauses(struct database *database, void (*each)(void *context, const char *queue),
                     void *context, struct problem *problem);

/* Of the jobs that have not ended each text JOBD_AFTER that there is, and of deliveries the path of
 * the job that they tell of, as such a text. False when the database cannot be read. */
bool database_after(struct database *database, void (*each)(void *context, const char *after),
                    void *context, struct problem *problem);

/* All jobs that have ended, in the order of their ends; or all others, by id. `record` is NULL when
 * the row is damaged; it has the times of the disk, and ready_us is 0 for since it was created.
 * False as above. */
bool database_scan(struct database *database, bool ended,
                   bool (*each)(void *context, uint64_t id, const struct job_record *record),
                   void *context, struct problem *problem);

/* SQLite's version. */
const char *database_library(void);
