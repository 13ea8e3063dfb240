/* SPDX-License-Identifier: MIT */
/* The stages of a copy, in which store->backup is what was asked for:
 *
 *     IDLE ──> WANTED ──> MAKING ──> MADE ──> IDLE      begin, the writer, the writer, free
 *                 └──────────┴─────> LEFT ──> IDLE      leave; the writer has seen it
 *                 └──────────┴──────────────> IDLE      it has failed: over() says so */
#include "store/backup.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/ballast.h"
#include "store/store_inside.h"

enum {
    SPARE_BYTES = 4 * BALLAST_BYTES, /* that a copy leaves free on the disk */
    REST_TIMES = 12                  /* as long as a step took, while there is something to write */
};

#define BUSY_US (100 * CLOCK_SECOND_US / 1000) /* since something was written */

struct store_backup {
    struct store *store;
    void (*over)(void *context);
    void *context;
    int64_t from_us; /* when it was begun */

    /* As it was made, from over() on. */
    int fd;                 /* -1: it was not, */
    struct problem problem; /* for this reason */
    uint64_t bytes, read;
    bool cut; /* guarded by the store's lock */
};

/* ---- who asks */

struct store_backup *store_backup_new(struct store *store, void (*over)(void *context),
                                      void *context)
{
    struct store_backup *backup = calloc(1, sizeof *backup);
    if (backup != NULL)
        *backup = (struct store_backup){.store = store, .over = over, .context = context, .fd = -1};
    return backup;
}

enum backup_result store_backup_begin(struct store_backup *backup)
{
    struct store *store = backup->store;
    enum backup_result result = BACKUP_BEGUN;
    backup->from_us = clock_now_us();
    mutex_lock(&store->lock);
    if (store->backups_closed) {
        result = BACKUP_CLOSED;
    } else if (store->health != HEALTH_GOOD) {
        result = BACKUP_FAILING;
    } else if (store->stage != BACKUP_IDLE) {
        result = BACKUP_BUSY;
    } else {
        store->stage = BACKUP_WANTED;
        store->backup = backup;
        store->woken = true;
        condition_signal(&store->changed);
    }
    mutex_unlock(&store->lock);
    return result;
}

static bool leave_locked(struct store_backup *backup) REQUIRES(backup->store->lock)
{
    struct store *store = backup->store;
    bool waits =
        store->backup == backup && (store->stage == BACKUP_WANTED || store->stage == BACKUP_MAKING);
    if (waits) {
        store->stage = BACKUP_LEFT;
        store->backup = NULL;
        store->woken = true;
        condition_signal(&store->changed);
    }
    return waits;
}

bool store_backup_leave(struct store_backup *backup)
{
    mutex_lock(&backup->store->lock);
    bool left = leave_locked(backup);
    mutex_unlock(&backup->store->lock);
    return left;
}

void store_backup_free(struct store_backup *backup)
{
    if (backup == NULL)
        return;
    mutex_lock(&backup->store->lock);
    (void)leave_locked(backup);
    if (backup->store->backup == backup) { /* it was made */
        backup->store->backup = NULL;
        backup->store->stage = BACKUP_IDLE;
    }
    mutex_unlock(&backup->store->lock);
    if (backup->fd >= 0)
        close(backup->fd);
    free(backup);
}

bool store_backup_made(const struct store_backup *backup, uint64_t *bytes, struct problem *problem)
{
    *bytes = backup->bytes;
    if (backup->fd < 0)
        *problem = backup->problem;
    return backup->fd >= 0;
}

/* It has been cut when its space was needed: then nothing is there to be read. */
ssize_t store_backup_read(struct store_backup *backup, char *to, size_t max)
{
    ssize_t size = pread(backup->fd, to, max, (off_t)backup->read);
    if (size <= 0)
        return -1;
    backup->read += (uint64_t)size;
    return size;
}

void store_backup_close(struct store *store)
{
    mutex_lock(&store->lock);
    store->backups_closed = true;
    store->woken = true;
    condition_signal(&store->changed);
    mutex_unlock(&store->lock);
}

/* ---- the writer */

/* What has become of the one that is wanted or in the making: its descriptor, taken; or -1, and why
 * not. Whoever asked is told, if he has not left. */
static void tell(struct store *store, int fd, const struct problem *problem)
{
    struct stat file = {.st_size = 0};
    int64_t from_us = 0;
    if (fd >= 0)
        (void)fstat(fd, &file);
    mutex_lock(&store->lock);
    struct store_backup *backup = store->stage != BACKUP_LEFT ? store->backup : NULL;
    if (backup != NULL) {
        from_us = backup->from_us;
        backup->fd = fd;
        backup->bytes = (uint64_t)file.st_size;
        backup->problem = *problem;
    }
    store->stage = backup != NULL && fd >= 0 ? BACKUP_MADE : BACKUP_IDLE;
    store->backup = store->stage == BACKUP_MADE ? backup : NULL;
    mutex_unlock(&store->lock);
    if (backup == NULL && fd >= 0)
        close(fd);
    if (backup == NULL)
        return;
    if (fd >= 0)
        log_info("%s: a backup of %llu KiB was made in %lld ms", store->path,
                 (unsigned long long)file.st_size >> 10,
                 (long long)(clock_now_us() - from_us) / 1000);
    else
        log_warn("%s: backup: %s", store->path, problem->text);
    backup->over(backup->context);
}

static void free_copy(struct store *store)
{
    database_copy_free(store->copy);
    store->copy = NULL;
}

static void fail(struct store *store, const struct problem *problem)
{
    free_copy(store);
    tell(store, -1, problem);
}

/* Beside a copy of that size jobs must find room. */
static bool has_room(const struct store *store, uint64_t bytes)
{
    struct statvfs disk;
    return fstatvfs(store->folder, &disk) == 0 &&
           (uint64_t)disk.f_bavail * disk.f_frsize >= bytes + SPARE_BYTES;
}

static bool begin(struct store *store, struct problem *problem)
{
    uint64_t bytes;
    if (!database_bytes(store->database, &bytes))
        return problem_set(problem, "the database cannot be read");
    if (!has_room(store, bytes))
        return problem_set(problem, "the disk has no room for it: %llu MiB must be free",
                           (unsigned long long)(bytes + SPARE_BYTES) >> 20);
    store->copy = database_copy_begin(store->database, store->backup_path, problem);
    return store->copy != NULL;
}

static void take_step(struct store *store)
{
    struct problem problem = {.text = ""};
    const int64_t from_us = clock_now_us();
    enum copy_step step = COPY_FAILED;
    if (!has_room(store, 0))
        (void)problem_set(&problem, "the disk has no room for it");
    else
        step = database_copy_step(store->copy, &problem);
    const int64_t now_us = clock_now_us();
    bool busy = now_us - store->wrote_us < BUSY_US;
    store->copy_us = busy ? now_us + REST_TIMES * (now_us - from_us) : now_us;
    if (step == COPY_GOES_ON)
        return;
    if (step == COPY_FAILED) {
        fail(store, &problem);
        return;
    }
    int fd = database_copy_take(store->copy);
    free_copy(store);
    tell(store, fd, &problem);
}

static enum backup_stage look(struct store *store, bool *closed, struct problem *failing)
{
    mutex_lock(&store->lock);
    enum backup_stage stage = store->stage;
    if (stage == BACKUP_WANTED)
        store->stage = BACKUP_MAKING;
    *closed = store->backups_closed;
    *failing = store->reason;
    mutex_unlock(&store->lock);
    return stage;
}

static void make(struct store *store)
{
    struct problem problem;
    if (store->copy == NULL && !begin(store, &problem))
        fail(store, &problem);
    else if (clock_now_us() >= store->copy_us)
        take_step(store);
}

void backup_go_on(struct store *store)
{
    struct problem problem;
    bool closed;
    switch (look(store, &closed, &problem)) {
    case BACKUP_IDLE:
    case BACKUP_MADE:
        break;
    case BACKUP_LEFT:
        free_copy(store);
        tell(store, -1, &problem);
        break;
    case BACKUP_WANTED:
    case BACKUP_MAKING:
        if (closed)
            (void)problem_set(&problem, "the server is draining");
        if (problem.text[0] != '\0')
            fail(store, &problem);
        else
            make(store);
        break;
    }
}

int64_t backup_next_us(const struct store *store)
{
    return store->copy != NULL ? store->copy_us : JOBD_NEVER;
}

/* Whoever reads it finds it to be cut. */
static bool cut_made(struct store *store)
{
    mutex_lock(&store->lock);
    bool cut = store->stage == BACKUP_MADE && !store->backup->cut;
    if (cut)
        store->backup->cut = ftruncate(store->backup->fd, 0) == 0;
    mutex_unlock(&store->lock);
    if (cut)
        log_warn("%s: backup: cut, as the disk is full", store->path);
    return cut;
}

bool backup_yield(struct store *store)
{
    struct problem problem;
    if (store->copy == NULL)
        return cut_made(store);
    (void)problem_set(&problem, "the disk is full");
    fail(store, &problem);
    return true;
}

void backup_drop(struct store *store)
{
    if (store->copy != NULL)
        fail(store, &store->problem);
}
