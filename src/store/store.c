/* SPDX-License-Identifier: MIT */
/* Opening and closing: the directory, which is this process's alone, and the files in it. */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "store/files.h"
#include "store/health.h"
#include "store/schedules.h"
#include "store/writer.h"

enum {
    CHECK_IS_LONG_BYTES = 128 << 20 /* so that the log should say what keeps the start */
};

const char *const store_sync_names[] = {"commit", "1s", "off", NULL};

/* ---- what others may ask */

const char *store_path(const struct store *store)
{
    return store->path;
}

void store_stats(struct store *store, struct store_stats *stats)
{
    struct stat file;
    mutex_lock(&store->lock);
    *stats = store->stats;
    stats->failing = store->health != HEALTH_GOOD;
    mutex_unlock(&store->lock);
    if (stat(store->path, &file) == 0)
        stats->bytes += (uint64_t)file.st_size;
    if (stat(store->log_path, &file) == 0)
        stats->bytes += (uint64_t)file.st_size;
}

uint32_t store_waiting(struct store *store, const char *queue)
{
    for (uint32_t i = 0; i < store->queues_len; i++)
        if (strcmp(store->queues[i].name, queue) == 0)
            return store->queues[i].waiting;
    return 0;
}

uint32_t store_promised(const struct store *store)
{
    return store->promised;
}

uint32_t store_queues_len(const struct store *store)
{
    return store->queues_len;
}

const char *store_queue(const struct store *store, uint32_t index, uint32_t *jobs)
{
    verify(index < store->queues_len);
    *jobs = store->queues[index].jobs;
    return store->queues[index].name;
}

uint32_t store_schedules(const struct store *store)
{
    return store->schedules_len;
}

uint64_t store_first_id(struct store *store)
{
    return database_first_id(store->database);
}

/* ---- start and end */

static uint32_t bounded(uint64_t jobs)
{
    return jobs < UINT32_MAX / 2 ? (uint32_t)jobs : UINT32_MAX / 2;
}

static bool note_queue(void *context, const struct database_queue *queue)
{
    struct store *store = context;
    uint32_t len = store->queues_len;
    if ((len & (len - 1)) == 0) { /* 0, or a power of two */
        struct queue_on_disk *more = realloc(store->queues, (len > 0 ? 2 * len : 1) * sizeof *more);
        if (more == NULL)
            return problem_set(&store->problem, "out of memory");
        store->queues = more;
    }
    char *name = strdup(queue->name);
    if (name == NULL)
        return problem_set(&store->problem, "out of memory");
    store->queues[store->queues_len++] = (struct queue_on_disk){
        .name = name, .jobs = bounded(queue->jobs), .waiting = bounded(queue->waiting)};
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

/* Where a jobd was killed, a command that it had just begun to start may hold the lock for a
 * moment: until it is the command. */
static bool lock_folder(int folder)
{
    enum { TRIES = 50, PAUSE_MS = 20 };
    for (unsigned i = 0; flock(folder, LOCK_EX | LOCK_NB) != 0; i++) {
        if (errno != EWOULDBLOCK || i == TRIES)
            return false;
        (void)poll(NULL, 0, PAUSE_MS);
    }
    return true;
}

/* The directory is made when it is missing, and nobody else's as long as we have it. */
static int take_folder(const char *directory, struct problem *problem)
{
    if (!make_folder(directory)) {
        (void)problem_set(problem, "%s: %s", directory, strerror(errno));
        return -1;
    }
    int folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0 && lock_folder(folder))
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
           asprintf(&store->ballast_path, "%s/ballast", directory) > 0 &&
           asprintf(&store->backup_path, "%s/backup", directory) > 0;
}

/* Nothing that somebody else has put there is written to, or waited for. SQLite looks for a journal
 * before there is a log. */
static bool check_files(const struct store *store, const char *directory, struct problem *problem)
{
    static const char *const names[] = {"jobd.db", "jobd.db-wal", "jobd.db-journal", "ballast",
                                        "backup"};
    struct stat folder;
    bool good = true;
    if (fstat(store->folder, &folder) != 0)
        return problem_set(problem, "%s: %s", directory, strerror(errno));
    for (size_t i = 0; i < sizeof names / sizeof names[0] && good; i++) {
        char *path;
        if (asprintf(&path, "%s/%s", directory, names[i]) < 0)
            return problem_set(problem, "%s: out of memory", directory);
        good = files_check(path, folder.st_uid, problem);
        free(path);
    }
    return good;
}

/* The file is as it should be, and knows from now on that it has a log. */
static bool begin_log(struct store *store, struct problem *problem)
{
    const char *why = database_lost_log(store->database);
    if (why != NULL)
        log_warn("%s: jobd.db-wal is lost, and the last jobs with it; going on without, %s",
                 store->path, why);
    if (!database_make_shrinkable(store->database, &store->problem))
        return problem_set(problem, "%s: %s", store->path, store->problem.text);
    if (database_checkpoint(store->database, LOG_GOES_ON, &store->problem) != DATABASE_BROKEN)
        return true; /* a full disk is seen to later */
    return problem_set(problem, "%s: %s", store->path, store->problem.text);
}

/* What has begun is undone by store_free(). */
static bool open_all(struct store *store, const char *directory, struct problem *problem)
{
    struct stat file;
    store->folder = take_folder(directory, problem);
    if (store->folder < 0)
        return false;
    if (!make_paths(store, directory))
        return problem_set(problem, "%s: out of memory", directory);
    if (!check_files(store, directory, problem))
        return false;
    (void)unlink(store->backup_path); /* of one that was killed when it had just made it */
    if (stat(store->path, &file) == 0 && file.st_size > CHECK_IS_LONG_BYTES)
        log_info("%s: checking %lld MiB", store->path, (long long)file.st_size >> 20);
    store->database = health_open(store, problem);
    if (store->database == NULL)
        return false;
    /* The new file's name must be on disk too, before anything in it is promised. */
    if (fsync(store->folder) != 0 || !health_note_files(store))
        return problem_set(problem, "%s: %s", store->path, strerror(errno));
    if (!database_count(store->database, note_queue, store, &store->problem))
        return problem_set(problem, "%s: %s", store->path, store->problem.text);
    if (!database_promised(store->database, &store->promised, &store->problem))
        return problem_set(problem, "%s: %s", store->path, store->problem.text);
    if (!schedules_count(store->database, &store->schedules_len, &store->problem))
        return problem_set(problem, "%s: %s", store->path, store->problem.text);
    if (!begin_log(store, problem))
        return false;
    files_warn(directory, store->folder);
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

void store_free(struct store *store)
{
    if (store == NULL)
        return;
    writer_join(store);
    database_copy_free(store->copy);
    database_close(store->database);
    if (store->folder >= 0)
        close(store->folder);
    condition_release(&store->changed);
    mutex_release(&store->lock);
    free(store->path);
    free(store->log_path);
    free(store->ballast_path);
    free(store->backup_path);
    for (uint32_t i = 0; i < store->queues_len; i++)
        free(store->queues[i].name);
    free(store->queues);
    free(store->in_doubt);
    free(store);
}
