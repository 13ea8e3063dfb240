/* SPDX-License-Identifier: MIT */
#include "store/health.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/journal_store.h"
#include "store/backup.h"
#include "store/ballast.h"

#define TRY_US CLOCK_SECOND_US /* between two attempts to recover */

/* ---- the state */

#define TO(health) (1u << HEALTH_##health)

/* What may follow on each, and what holds in it. FULL follows on itself: again something did not
 * fit. */
static const struct {
    unsigned moves;
    enum { IS_OPEN, IS_CLOSED, IS_EITHER } database;
} states[] = {
    [HEALTH_GOOD] = {TO(FULL) | TO(BROKEN) | TO(GONE), IS_OPEN},
    [HEALTH_FULL] = {TO(GOOD) | TO(FULL) | TO(BROKEN) | TO(GONE), IS_OPEN},
    [HEALTH_BROKEN] = {TO(GOOD) | TO(GONE), IS_CLOSED},
    [HEALTH_GONE] = {TO(GOOD) | TO(FULL), IS_EITHER},
};

/* The only one that writes the state. The reason is what refused requests are answered. */
static void move(struct store *store, enum health to, const struct problem *reason)
{
    verify(states[to].database != IS_OPEN || store->database != NULL);
    verify(states[to].database != IS_CLOSED || store->database == NULL);
    mutex_lock(&store->lock);
    verify((states[store->health].moves >> to & 1) != 0);
    store->health = to;
    store->reason = *reason;
    if (to != HEALTH_GOOD)
        store->stats.failures++;
    mutex_unlock(&store->lock);
}

enum health health_now(struct store *store)
{
    mutex_lock(&store->lock);
    enum health health = store->health;
    mutex_unlock(&store->lock);
    return health;
}

bool health_writes(struct store *store)
{
    return states[health_now(store)].database == IS_OPEN;
}

bool store_failing(struct store *store, struct problem *problem)
{
    mutex_lock(&store->lock);
    bool failing = store->health != HEALTH_GOOD;
    *problem = store->reason;
    mutex_unlock(&store->lock);
    return failing;
}

/* ---- failing */

static void enter_failed(struct store *store, enum health to, const char *why)
{
    struct problem reason;
    enum health from = health_now(store);
    if (to == HEALTH_FULL)
        (void)problem_set(&reason, "the disk is full");
    else
        (void)problem_set(&reason, "the store fails: %s", why);
    if (from == HEALTH_GOOD) /* a broken one is opened again at once, for the first time */
        store->again_us = clock_now_us() + (to == HEALTH_BROKEN ? 0 : TRY_US);
    move(store, to, &reason);
    if (from != to)
        log_error("%s: %s: rejecting new jobs until it recovers", store->path, reason.text);
    journal_refuse(store->jobd, true, clock_now_us());
}

bool health_enter_full(struct store *store)
{
    enter_failed(store, HEALTH_FULL, NULL);
    return ballast_release(store->ballast_path);
}

static bool in_doubt(void *context, enum row_kind kind, const struct job_record *record)
{
    struct store *store = context;
    if (record->schedule != NULL || kind == ROW_PAUSE) {
        store->schedules_in_doubt |= record->schedule != NULL;
        store->pauses_in_doubt |= kind == ROW_PAUSE;
        return true;
    }
    if (store->in_doubt_len == store->in_doubt_max) {
        size_t max = store->in_doubt_max > 0 ? 2 * store->in_doubt_max : CHANGES_MAX;
        struct doubt *more = realloc(store->in_doubt, max * sizeof *more);
        if (more == NULL) {
            store->all_in_doubt = true;
            return false;
        }
        store->in_doubt = more;
        store->in_doubt_max = max;
    }
    store->in_doubt[store->in_doubt_len++] =
        (struct doubt){.id = record->id, .new = kind == ROW_ADD};
    return true;
}

/* The handle is not used again: what it believes to be on disk need not be there. */
void health_close_broken(struct store *store)
{
    (void)journal_each(store->jobd, in_doubt, store);
    backup_drop(store);
    database_close(store->database);
    store->database = NULL;
    store->sync_us = JOBD_NEVER;
    enter_failed(store, HEALTH_BROKEN, store->problem.text);
}

/* When the disk is full the log still has it all; the ballast may be enough. */
enum database_result health_checkpoint(struct store *store, enum log_use use)
{
    enum database_result result = database_checkpoint(store->database, use, &store->problem);
    if (result == DATABASE_FULL && backup_yield(store))
        result = database_checkpoint(store->database, use, &store->problem);
    if (result == DATABASE_FULL &&
        (health_now(store) == HEALTH_GOOD ? health_enter_full(store)
                                          : ballast_release(store->ballast_path)))
        result = database_checkpoint(store->database, use, &store->problem);
    if (result == DATABASE_BROKEN)
        health_close_broken(store);
    return result;
}

/* ---- files that are not there any more */

static bool note_file(const char *path, struct file_id *id)
{
    struct stat file;
    if (stat(path, &file) != 0)
        return false;
    *id = (struct file_id){.device = file.st_dev, .inode = file.st_ino};
    return true;
}

bool health_note_files(struct store *store)
{
    return note_file(store->path, &store->file) && note_file(store->log_path, &store->log);
}

static bool is_there(const char *path, const struct file_id *id)
{
    struct stat file;
    if (stat(path, &file) != 0)
        return errno != ENOENT && errno != ENOTDIR; /* else the next write will tell */
    return file.st_dev == id->device && file.st_ino == id->inode;
}

const char *store_gone(const struct store *store)
{
    return !is_there(store->path, &store->file)      ? "jobd.db"
           : !is_there(store->log_path, &store->log) ? "jobd.db-wal"
                                                     : NULL;
}

/* SQLite would go on writing to files that no one will ever find. */
bool health_check_files(struct store *store)
{
    const char *name = store_gone(store);
    struct problem why;
    if (name == NULL)
        return true;
    (void)problem_set(&why, "%s is gone", name);
    if (health_now(store) != HEALTH_GONE)
        enter_failed(store, HEALTH_GONE, why.text);
    return false;
}

/* ---- recovering */

struct database *health_open(const struct store *store, struct problem *problem)
{
    static const enum database_sync syncs[] = {
        [STORE_SYNC_COMMIT] = DATABASE_SYNC_FULL,
        [STORE_SYNC_SECOND] = DATABASE_SYNC_LOG,
        [STORE_SYNC_OFF] = DATABASE_SYNC_OFF,
    };
    return database_open(store->path, syncs[store->sync], problem);
}

struct rewriting {
    const struct times *times;
    struct database *database;
    struct problem *problem;
};

static bool rewrite_record(void *context, enum row_kind kind, const struct job_record *record)
{
    const struct rewriting *to = context;
    const struct job_record on_disk = times_to_disk(to->times, record);
    return database_change(to->database, kind, &on_disk, to->problem) == DATABASE_OK;
}

/* Whatever the failed group has left on disk becomes what the engine has. */
static bool rewrite_in_doubt(struct store *store, struct database *database)
{
    struct rewriting to = {
        .times = &store->times, .database = database, .problem = &store->problem};
    bool good = !store->all_in_doubt && database_begin(database, to.problem) == DATABASE_OK;
    for (size_t i = 0; i < store->in_doubt_len && good; i++)
        good = journal_record(store->jobd, store->in_doubt[i].id, store->in_doubt[i].new,
                              rewrite_record, &to);
    if (good && store->schedules_in_doubt)
        good = journal_schedules(store->jobd, rewrite_record, &to);
    if (good && store->pauses_in_doubt)
        good = journal_pauses(store->jobd, rewrite_record, &to);
    return good && database_commit(database, to.problem) == DATABASE_OK;
}

/* After a failed sync the system may hold pages for clean that never reached the disk. So before
 * anything else is written all that the log has is copied anew into the database and synced, and
 * the log emptied: nothing later stands behind a gap. */
static bool reopen(struct store *store)
{
    struct database *database = health_open(store, &store->problem);
    if (database == NULL)
        return false;
    if (database_checkpoint(database, LOG_EMPTIED, &store->problem) == DATABASE_OK &&
        rewrite_in_doubt(store, database) && ballast_hold(store->ballast_path, 0)) {
        store->database = database;
        return true;
    }
    database_close(database);
    return false;
}

/* The log is emptied first, which gives space back; and more must be there than the ballast needs,
 * or the next job fills the disk again. */
static bool has_space(struct store *store)
{
    return health_checkpoint(store, LOG_EMPTIED) == DATABASE_OK &&
           ballast_hold(store->ballast_path, BALLAST_BYTES);
}

/* The files are there again. What went while the disk was full has no ballast. */
static bool is_back(struct store *store)
{
    if (store->database == NULL)
        return reopen(store);
    if (ballast_hold(store->ballast_path, 0))
        return true;
    enter_failed(store, HEALTH_FULL, NULL);
    return false;
}

static bool can_recover(struct store *store)
{
    if (!health_check_files(store))
        return false; /* opening it would make a new one */
    switch (health_now(store)) {
    case HEALTH_GOOD:
        break;
    case HEALTH_FULL:
        return has_space(store);
    case HEALTH_BROKEN:
        return reopen(store);
    case HEALTH_GONE:
        return is_back(store);
    }
    return true;
}

static void recovered(struct store *store)
{
    store->in_doubt_len = 0;
    store->schedules_in_doubt = store->pauses_in_doubt = false;
    store->shrinks = true; /* perhaps */
    move(store, HEALTH_GOOD, &(struct problem){.text = ""});
    journal_refuse(store->jobd, false, clock_now_us());
    log_info("%s: recovered", store->path);
}

void health_try_to_recover(struct store *store)
{
    if (can_recover(store))
        recovered(store);
    else
        store->again_us = clock_now_us() + TRY_US;
}
