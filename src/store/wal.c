/* SPDX-License-Identifier: MIT */
/* The write-ahead log: when it is copied into the database, and how the database knows that it has
 * one.
 *
 * While a server runs, the row ('log', 1) stands in the database's file, and the log begins with a
 * commit that takes it out again:
 *
 *     commit log = 1 ──> checkpoint: so says the file ──> commit log = 0: so says the log
 *
 * Whoever reads both finds 0, as does whoever has copied one into the other; 1 is found when the
 * log, and all that was acknowledged since that checkpoint, has got lost. A crash between the last
 * two leaves 1 too, but then the log is there. (Not so when another program has copied and deleted
 * it after just that crash: some milliseconds in which a mistake on the safe side can be made.)
 *
 * Where nothing is synced it is 2 in place of 1: a power cut may then have emptied the log. */
#include "store/database_inside.h"

unsigned database_log_pages(const struct database *database)
{
    return (unsigned)(database->log_pages - database->log_rest);
}

/* ---- the mark */

/* In a transaction of its own; one that is there already is taken out by any commit. */
static enum database_result commit_mark(struct database *database, bool marked,
                                        struct problem *problem)
{
    enum database_result result = database_begin(database, problem);
    if (result == DATABASE_OK && marked)
        result = database_mark(database, true, problem);
    if (result == DATABASE_OK)
        result = database_commit(database, problem);
    if (result == DATABASE_OK)
        database->marked = marked;
    else if (result == DATABASE_FULL)
        database_rollback(database);
    return result;
}

/* ---- checkpoints */

static enum database_result copy(struct database *database, int mode, struct problem *problem)
{
    int in_log, copied;
    int code = sqlite3_wal_checkpoint_v2(database->handle, NULL, mode, &in_log, &copied);
    if (code != SQLITE_OK)
        return database_failed(database, "checkpoint", problem);
    if (in_log != copied) { /* nobody else reads: nothing can be in the way */
        (void)problem_set(problem, "checkpoint: %d of %d pages copied", copied, in_log);
        return DATABASE_BROKEN;
    }
    database->log_pages = database->log_rest = 0;
    return DATABASE_OK;
}

/* A full disk has no room for marks, perhaps, but for what a checkpoint gives back. */
static enum database_result copy_marked(struct database *database, struct problem *problem)
{
    struct problem ignored;
    if (commit_mark(database, true, &ignored) == DATABASE_BROKEN) {
        *problem = ignored;
        return DATABASE_BROKEN;
    }
    enum database_result result = copy(database, SQLITE_CHECKPOINT_PASSIVE, problem);
    if (result != DATABASE_OK || !database->marked)
        return result;
    result = commit_mark(database, false, &ignored);
    database->log_rest = database->log_pages;
    if (result == DATABASE_BROKEN)
        *problem = ignored;
    return result == DATABASE_FULL ? DATABASE_OK : result;
}

/* A mark must not stay behind in the database when the log is empty. */
static enum database_result copy_and_empty(struct database *database, struct problem *problem)
{
    enum database_result result = DATABASE_OK;
    if (database->marked)
        result = commit_mark(database, false, problem);
    return result == DATABASE_OK ? copy(database, SQLITE_CHECKPOINT_TRUNCATE, problem) : result;
}

enum database_result database_checkpoint(struct database *database, enum log_use use,
                                         struct problem *problem)
{
    enum database_result result = DATABASE_OK;
    if (use != LOG_GOES_ON)
        result = copy_and_empty(database, problem);
    if (result == DATABASE_OK && use != LOG_ENDS)
        result = copy_marked(database, problem);
    return result;
}
