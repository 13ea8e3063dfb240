/* SPDX-License-Identifier: MIT */
/* The writer: groups of changes, what to do when the disk fails, start and end. */

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/ballast.h"
#include "base/clock.h"
#include "base/log.h"
#include "store/store_inside.h"
#include "base/thread.h"

enum {
    LOG_PAGES_MAX = 1000, /* then a checkpoint, which stalls the answers for some milliseconds */
    QUEUES_KNOWN_MAX = 1024,
    TRY_EVERY_MS = 100,             /* when it stops */
    CHECK_IS_LONG_BYTES = 128 << 20 /* so that the log should say what keeps the start */
};

#define AGAIN_US                                                                                   \
    CLOCK_SECOND_US /* between two attempts to recover, or until a checkpoint when idle */
#define LOOK_US CLOCK_SECOND_US /* a look takes two microseconds: too long for each commit */

const char *const store_sync_names[] = {"commit", "1s", "off", NULL};

/* ---- what others may ask */

void store_wake(void *context)
{
    struct store *store = context;
    mutex_lock(&store->lock);
    store->woken = true;
    condition_signal(&store->changed);
    mutex_unlock(&store->lock);
}

bool store_failing(struct store *store, struct problem *problem)
{
    mutex_lock(&store->lock);
    *problem = store->reason;
    mutex_unlock(&store->lock);
    return problem->text[0] != '\0';
}

const char *store_path(const struct store *store)
{
    return store->path;
}

void store_stats(struct store *store, struct store_stats *stats)
{
    struct stat file;
    mutex_lock(&store->lock);
    *stats = store->stats;
    stats->failing = store->reason.text[0] != '\0';
    mutex_unlock(&store->lock);
    if (stat(store->path, &file) == 0)
        stats->bytes += (uint64_t)file.st_size;
    if (stat(store->log_path, &file) == 0)
        stats->bytes += (uint64_t)file.st_size;
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

uint32_t store_waiting(struct store *store, const char *queue)
{
    for (size_t i = 0; i < store->waiting_len; i++)
        if (strcmp(store->waiting[i].queue, queue) == 0)
            return store->waiting[i].jobs;
    return 0;
}

uint64_t store_first_id(struct store *store)
{
    return database_first_id(store->database);
}

/* ---- failing, and coming back */

static void fails(struct store *store, enum health health, const char *why)
{
    struct problem reason;
    if (health == FULL)
        (void)problem_set(&reason, "the disk is full");
    else
        (void)problem_set(&reason, "the store fails: %s", why);
    mutex_lock(&store->lock);
    bool news = store->reason.text[0] == '\0' || store->health != health;
    store->reason = reason;
    store->stats.failures++;
    mutex_unlock(&store->lock);
    if (store->health == GOOD) /* a broken one is opened again at once, for the first time */
        store->again_us = clock_now_us() + (health == BROKEN ? 0 : AGAIN_US);
    store->health = health;
    if (news)
        log_error("%s: %s: rejecting new jobs until it recovers", store->path, reason.text);
    journal_refuse(store->jobd, true, clock_now_us());
}

static void is_well(struct store *store)
{
    store->health = GOOD;
    store->doubtful_len = 0;
    mutex_lock(&store->lock);
    store->reason.text[0] = '\0';
    mutex_unlock(&store->lock);
    journal_refuse(store->jobd, false, clock_now_us());
    log_info("%s: recovered", store->path);
}

/* SQLite would go on writing to files that no one will ever find. */
static bool misses_file(struct store *store)
{
    const char *name = store_gone(store);
    char why[32];
    if (name == NULL || store->health == GONE)
        return name != NULL;
    snprintf(why, sizeof why, "%s is gone", name);
    fails(store, GONE, why);
    return true;
}

static bool in_doubt(void *context, enum row_kind kind, const struct job_record *record)
{
    struct store *store = context;
    (void)kind;
    if (store->doubtful_len == store->doubtful_max) {
        size_t max = store->doubtful_max > 0 ? 2 * store->doubtful_max : CHANGES_MAX;
        uint64_t *more = realloc(store->is_in_doubt, max * sizeof *more);
        if (more == NULL) {
            store->doubt_all = true;
            return false;
        }
        store->is_in_doubt = more;
        store->doubtful_max = max;
    }
    store->is_in_doubt[store->doubtful_len++] = record->id;
    return true;
}

/* The handle is not used again: what it believes to be on disk need not be there. */
static void breaks(struct store *store)
{
    database_close(store->database);
    store->database = NULL;
    store->sync_us = JOBD_NEVER;
    fails(store, BROKEN, store->problem.text);
}

static enum database_sync database_sync_of(enum store_sync sync)
{
    return sync == STORE_SYNC_COMMIT   ? DATABASE_SYNC_FULL
           : sync == STORE_SYNC_SECOND ? DATABASE_SYNC_LOG
                                       : DATABASE_SYNC_OFF;
}

static bool write_record(void *context, enum row_kind kind, const struct job_record *record)
{
    struct store *store = context;
    store->result = database_change(store->database, kind, record, &store->problem);
    return store->result == DATABASE_OK;
}

/* Whatever the failed group has left on disk becomes what the engine has. */
static enum database_result write_doubtful(struct store *store)
{
    bool good = database_begin(store->database, &store->problem) == DATABASE_OK;
    for (size_t i = 0; i < store->doubtful_len && good; i++)
        good = journal_record(store->jobd, store->is_in_doubt[i], write_record, store);
    return good ? database_commit(store->database, &store->problem) : DATABASE_BROKEN;
}

/* After a failed sync the system may hold pages for clean that never reached the disk. So before
 * anything else is written all that the log has is copied anew into the database and synced, and
 * the log emptied: nothing later stands behind a gap. */
static bool reopen(struct store *store)
{
    store->database = database_open(store->path, database_sync_of(store->sync), &store->problem);
    if (store->database == NULL)
        return false;
    if (!store->doubt_all &&
        database_checkpoint(store->database, true, &store->problem) == DATABASE_OK &&
        write_doubtful(store) == DATABASE_OK && ballast_hold(store->ballast_path, 0))
        return true;
    database_close(store->database);
    store->database = NULL;
    return false;
}

static enum database_result checkpoint(struct store *store, bool whole);

/* The log is emptied first, which gives space back; and more must be there than the ballast needs,
 * or the next job fills the disk again. */
static bool has_space(struct store *store)
{
    return checkpoint(store, true) == DATABASE_OK &&
           ballast_hold(store->ballast_path, BALLAST_BYTES);
}

static bool recovers(struct store *store)
{
    if (misses_file(store))
        return false; /* opening it would make a new one */
    if (store->health == FULL)
        return has_space(store);
    return store->database != NULL || reopen(store);
}

static void try_to_recover(struct store *store)
{
    if (recovers(store))
        is_well(store);
    else
        store->again_us = clock_now_us() + AGAIN_US;
}

/* ---- writing */

enum database_result store_write_group(struct store *store)
{
    enum database_result result = database_begin(store->database, &store->problem);
    if (result != DATABASE_OK)
        return result;
    result = journal_each(store->jobd, write_record, store)
                 ? database_commit(store->database, &store->problem)
                 : store->result;
    if (result != DATABASE_OK)
        database_rollback(store->database);
    return result;
}

static void written(struct store *store, size_t changes)
{
    mutex_lock(&store->lock);
    store->stats.commits++;
    store->stats.changes += changes;
    mutex_unlock(&store->lock);
    if (store->sync == STORE_SYNC_SECOND && store->sync_us == JOBD_NEVER)
        store->sync_us = clock_now_us() + CLOCK_SECOND_US;
    journal_written(store->jobd, clock_now_us());
}

static void failed(struct store *store, enum database_result result)
{
    if (result == DATABASE_BROKEN && store->database != NULL && store->health != GONE) {
        (void)journal_each(store->jobd, in_doubt, store);
        breaks(store);
    } else if (result == DATABASE_FULL) {
        fails(store, FULL, "");
    }
    journal_failed(store->jobd, clock_now_us());
}

/* One group. When the disk is full, the ballast is let go for it. */
static void write_changes(struct store *store, size_t changes)
{
    bool can = store->database != NULL && store->health != GONE;
    enum database_result result = can ? store_write_group(store) : DATABASE_BROKEN;
    if (result == DATABASE_FULL && ballast_release(store->ballast_path)) {
        fails(store, FULL, "");
        result = store_write_group(store);
    }
    if (result == DATABASE_OK)
        written(store, changes);
    else
        failed(store, result);
}

/* When the disk is full the log still has it all; the ballast may be enough. */
static enum database_result checkpoint(struct store *store, bool whole)
{
    enum database_result result = database_checkpoint(store->database, whole, &store->problem);
    if (result == DATABASE_FULL) {
        if (store->health == GOOD)
            fails(store, FULL, "");
        if (ballast_release(store->ballast_path))
            result = database_checkpoint(store->database, whole, &store->problem);
    }
    if (result == DATABASE_BROKEN)
        breaks(store);
    return result;
}

/* With --sync 1s: what was committed in the last second. */
static void sync_log(struct store *store)
{
    store->sync_us = JOBD_NEVER;
    int fd = open(store->log_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fdatasync(fd) != 0) {
        (void)problem_set(&store->problem, "fdatasync: %s", strerror(errno));
        breaks(store);
    }
    if (fd >= 0)
        close(fd);
}

enum wait { WOKEN, LATE, OVER };

/* Until it is woken, or until then. */
static enum wait wait_until(struct store *store, int64_t at_us)
{
    struct timespec until = clock_monotonic(at_us);
    enum wait why = WOKEN;
    mutex_lock(&store->lock);
    while (!store->woken && !store->over && why == WOKEN)
        if (at_us == JOBD_NEVER)
            condition_wait(&store->changed, &store->lock);
        else if (!condition_wait_until(&store->changed, &store->lock, &until))
            why = LATE;
    store->woken = false;
    why = store->over ? OVER : why;
    mutex_unlock(&store->lock);
    return why;
}

/* What is to be done without anybody asking. */
static void tend(struct store *store, bool idle)
{
    int64_t now_us = clock_now_us();
    if (now_us >= store->look_us) {
        (void)misses_file(store);
        store->look_us = now_us + LOOK_US;
    }
    if (store->health != GOOD && now_us >= store->again_us)
        try_to_recover(store);
    if (store->database != NULL && now_us >= store->sync_us && !misses_file(store))
        sync_log(store);
    if (store->health == GOOD && database_log_pages(store->database) >= (idle ? 1 : LOG_PAGES_MAX))
        (void)checkpoint(store, false);
}

/* When to look again, though nobody asks. */
static int64_t next_us(const struct store *store)
{
    int64_t at_us = store->sync_us;
    if (store->health == GONE)
        return store->again_us;
    if (store->health != GOOD)
        return store->again_us < at_us ? store->again_us : at_us;
    int64_t idle_us = clock_now_us() + AGAIN_US;
    return database_log_pages(store->database) > 0 && idle_us < at_us ? idle_us : at_us;
}

static void *writer_main(void *context)
{
    struct store *store = context;
    enum wait why = WOKEN;
    while (why != OVER) {
        tend(store, why == LATE);
        why = WOKEN;
        size_t changes = journal_gather(store->jobd, CHANGES_MAX, BYTES_MAX);
        if (changes > 0)
            write_changes(store, changes);
        if (changes == 0 || store->health != GOOD)
            why = wait_until(store, next_us(store));
    }
    return NULL;
}

/* ---- start and end */

static bool note_waiting(void *context, const char *queue, uint64_t jobs)
{
    struct store *store = context;
    if (store->waiting_len == QUEUES_KNOWN_MAX)
        return true;
    struct waiting *waiting = &store->waiting[store->waiting_len++];
    snprintf(waiting->queue, sizeof waiting->queue, "%s", queue);
    waiting->jobs = jobs < UINT32_MAX / 2 ? (uint32_t)jobs : UINT32_MAX / 2;
    return true;
}

/* Its name is on disk when it returns: else all that is promised in it would go with a power cut.
 */
static bool make_folder(const char *directory)
{
    if (mkdir(directory, 0700) != 0)
        return errno == EEXIST;
    char *copy = strdup(directory);
    if (copy == NULL)
        return false;
    int parent = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = parent >= 0 && fsync(parent) == 0;
    free(copy);
    if (parent >= 0)
        close(parent);
    return synced;
}

/* The directory is made when it is missing, and nobody else's as long as we have it. */
static int take_folder(const char *directory, struct problem *problem)
{
    if (!make_folder(directory)) {
        (void)problem_set(problem, "%s: %s", directory, strerror(errno));
        return -1;
    }
    int folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0 && flock(folder, LOCK_EX | LOCK_NB) == 0)
        return folder;
    (void)problem_set(problem, "%s: %s", directory,
                      folder >= 0 && errno == EWOULDBLOCK ? "in use by another jobd"
                                                          : strerror(errno));
    if (folder >= 0)
        close(folder);
    return -1;
}

static bool make_paths(struct store *store, const char *directory)
{
    return asprintf(&store->path, "%s/jobd.db", directory) > 0 &&
           asprintf(&store->log_path, "%s/jobd.db-wal", directory) > 0 &&
           asprintf(&store->ballast_path, "%s/ballast", directory) > 0;
}

static bool note_file(const char *path, struct file_id *id)
{
    struct stat file;
    if (stat(path, &file) != 0)
        return false;
    *id = (struct file_id){.device = file.st_dev, .inode = file.st_ino};
    return true;
}

/* What has begun is undone by store_free(). */
static bool open_all(struct store *store, const char *directory, struct problem *problem)
{
    struct stat file;
    store->folder = take_folder(directory, problem);
    if (store->folder < 0)
        return false;
    store->waiting = calloc(QUEUES_KNOWN_MAX, sizeof *store->waiting);
    if (!make_paths(store, directory) || store->waiting == NULL) {
        return problem_set(problem, "%s: out of memory", directory);
    }
    if (stat(store->path, &file) == 0 && file.st_size > CHECK_IS_LONG_BYTES)
        log_info("%s: checking %lld MiB", store->path, (long long)file.st_size >> 20);
    store->database = database_open(store->path, database_sync_of(store->sync), problem);
    if (store->database == NULL)
        return false;
    /* The new file's name must be on disk too, before anything in it is promised. */
    if (fsync(store->folder) != 0 || !note_file(store->path, &store->file) ||
        !note_file(store->log_path, &store->log))
        return problem_set(problem, "%s: %s", store->path, strerror(errno));
    if (!database_count(store->database, note_waiting, store, &store->problem))
        return problem_set(problem, "%s: %s", store->path, store->problem.text);
    return true;
}

struct store *store_open(const char *directory, enum store_sync sync, struct problem *problem)
{
    struct store *store = calloc(1, sizeof *store);
    if (store == NULL || mutex_init(&store->lock) != 0) {
        (void)problem_set(problem, "%s: out of memory", directory);
        free(store);
        return NULL;
    }
    if (condition_init(&store->changed) != 0) {
        (void)problem_set(problem, "%s: out of memory", directory);
        mutex_release(&store->lock);
        free(store);
        return NULL;
    }
    store->folder = -1;
    store->sync = sync;
    store->sync_us = JOBD_NEVER;
    if (!open_all(store, directory, problem)) {
        store_free(store);
        return NULL;
    }
    return store;
}

int store_start(struct store *store, struct jobd *jobd)
{
    store->jobd = jobd;
    if (store->sync == STORE_SYNC_SECOND)
        log_info("%s: --sync 1s: a power cut loses what came in the second before", store->path);
    if (store->sync == STORE_SYNC_OFF)
        log_info("%s: --sync off: a power cut loses what the system has not written", store->path);
    if (!ballast_hold(store->ballast_path, 0))
        fails(store, FULL, "");
    int error = thread_start(&store->thread, writer_main, store);
    store->started = error == 0;
    return error;
}

static void join(struct store *store)
{
    if (!store->started)
        return;
    mutex_lock(&store->lock);
    store->over = true;
    condition_signal(&store->changed);
    mutex_unlock(&store->lock);
    verify(pthread_join(store->thread, NULL) == 0);
    store->started = false;
}

/* From here on in the caller's thread: the writer is no more. */
bool store_stop(struct store *store, int64_t wait_us)
{
    int64_t until_us = clock_after_us(wait_us);
    size_t changes;
    join(store);
    if (misses_file(store))
        return false;
    do {
        if (store->database == NULL)
            try_to_recover(store);
        while ((changes = journal_gather(store->jobd, CHANGES_MAX, BYTES_MAX)) > 0) {
            write_changes(store, changes);
            if (store->health != GOOD)
                break;
        }
    } while (!journal_empty(store->jobd) && clock_now_us() < until_us &&
             poll(NULL, 0, TRY_EVERY_MS) == 0);
    bool whole = journal_empty(store->jobd);
    if (store->database != NULL)
        (void)checkpoint(store, true);
    return whole && store->database != NULL;
}

void store_free(struct store *store)
{
    if (store == NULL)
        return;
    join(store);
    database_close(store->database);
    if (store->folder >= 0)
        close(store->folder);
    condition_release(&store->changed);
    mutex_release(&store->lock);
    free(store->path);
    free(store->log_path);
    free(store->ballast_path);
    free(store->waiting);
    free(store->is_in_doubt);
    free(store);
}
