/* SPDX-License-Identifier: MIT */
/* One round: see to what nobody asks for, gather a group, write it, tell the engine, or how it has
 * failed (health.c); wait when there was nothing. While the disk works the next group gathers.
 *
 * A checkpoint stalls the answers for some milliseconds, so it is made when the log has grown or
 * when nothing else is to be done. */
#include "store/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "engine/histogram.h"
#include "engine/journal_store.h"
#include "store/backup.h"
#include "store/ballast.h"
#include "store/health.h"

enum {
    LOG_PAGES_MAX = 1000, /* then a checkpoint */
    TRY_EVERY_MS = 100    /* when it stops */
};

#define IDLE_US         CLOCK_SECOND_US               /* then a checkpoint */
#define SHRINK_REST_US  (10 * CLOCK_SECOND_US / 1000) /* between two steps */
#define SHRINK_AGAIN_US (60 * CLOCK_SECOND_US)        /* when there was no space for one */
#define LOOK_US         CLOCK_SECOND_US /* a look takes two microseconds: too long for each commit */

static int64_t less(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t more(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* ---- a group */

struct write_group {
    struct store *store;
    enum database_result result; /* of the last change */
};

static bool write_record(void *context, enum row_kind kind, const struct job_record *record)
{
    struct write_group *group = context;
    struct store *store = group->store;
    const struct job_record on_disk = times_to_disk(&store->times, record);
    group->result = database_change(store->database, kind, &on_disk, &store->problem);
    return group->result == DATABASE_OK;
}

/* What the clocks say now, for the times of what is written next. */
static void measure_times(struct store *store)
{
    int64_t now_us = clock_now_us();
    times_measure(&store->times, now_us, clock_wall_us(now_us));
}

static enum database_result commit(struct store *store, bool keep_times)
{
    const struct kept_times times = times_now(&store->times);
    enum database_result result = DATABASE_OK;
    if (keep_times)
        result = database_keep_times(store->database, &times, &store->problem);
    if (result == DATABASE_OK)
        result = database_commit(store->database, &store->problem);
    if (result == DATABASE_OK && keep_times)
        times_kept(&store->times);
    return result;
}

enum database_result writer_write_group(struct store *store)
{
    struct write_group group = {.store = store};
    enum database_result result = database_begin(store->database, &store->problem);
    if (result != DATABASE_OK)
        return result;
    measure_times(store);
    bool all = journal_each(store->jobd, write_record, &group);
    result = all ? commit(store, times_due(&store->times)) : group.result;
    if (result != DATABASE_OK)
        database_rollback(store->database);
    return result;
}

static void written(struct store *store, size_t changes, int64_t from_us)
{
    int64_t now_us = clock_now_us();
    mutex_lock(&store->lock);
    store->stats.commits++;
    store->stats.changes += changes;
    store->stats.last_commit_us = now_us - from_us;
    histogram_add(&store->stats.commit, now_us - from_us);
    mutex_unlock(&store->lock);
    if (store->sync == STORE_SYNC_SECOND && store->sync_us == JOBD_NEVER)
        store->sync_us = now_us + CLOCK_SECOND_US;
    store->shrink_us = more(store->shrink_us, now_us + IDLE_US);
    store->wrote_us = now_us;
    journal_written(store->jobd, now_us);
}

/* When the disk is full, a backup is given up for it, then the ballast. False: nothing of it is
 * written. */
static bool write_changes(struct store *store, size_t changes)
{
    if (!health_writes(store))
        return false;
    const int64_t from_us = clock_now_us();
    enum database_result result = writer_write_group(store);
    if (result == DATABASE_FULL && backup_yield(store))
        result = writer_write_group(store);
    if (result == DATABASE_FULL && health_enter_full(store))
        result = writer_write_group(store);
    if (result == DATABASE_BROKEN)
        health_close_broken(store);
    if (result == DATABASE_OK)
        written(store, changes, from_us);
    return result == DATABASE_OK;
}

/* Gathers a group and writes it; false when nothing waits. */
static bool write_next(struct store *store)
{
    size_t changes = journal_gather(store->jobd, CHANGES_MAX, BYTES_MAX);
    if (changes > 0 && !write_changes(store, changes))
        journal_failed(store->jobd, clock_now_us());
    return changes > 0;
}

/* ---- what is done without anybody asking */

/* With --sync 1s: what was committed in the last second. */
static void sync_log(struct store *store)
{
    store->sync_us = JOBD_NEVER;
    int fd = open(store->log_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fdatasync(fd) != 0) {
        (void)problem_set(&store->problem, "fdatasync: %s", strerror(errno));
        health_close_broken(store);
    }
    if (fd >= 0)
        close(fd);
}

/* True when some space was given back, and more may follow. */
static bool shrink(struct store *store, int64_t now_us)
{
    if (health_now(store) != HEALTH_GOOD || now_us < store->shrink_us || store->copy != NULL)
        return false;
    store->shrinks = database_can_shrink(store->database);
    if (!store->shrinks)
        return false;
    enum database_result result = database_shrink(store->database, &store->problem);
    if (result == DATABASE_FULL) /* nothing is lost by that */
        store->shrink_us = now_us + SHRINK_AGAIN_US;
    if (result == DATABASE_BROKEN)
        health_close_broken(store);
    return result == DATABASE_OK;
}

static void housekeeping(struct store *store, bool idle)
{
    int64_t now_us = clock_now_us();
    if (now_us >= store->look_us) {
        (void)health_check_files(store);
        store->look_us = now_us + LOOK_US;
    }
    if (health_now(store) != HEALTH_GOOD && now_us >= store->again_us)
        health_try_to_recover(store);
    if (now_us >= store->sync_us && health_check_files(store) && health_writes(store))
        sync_log(store);
    bool rests = idle && !shrink(store, now_us);
    if (health_now(store) == HEALTH_GOOD &&
        database_log_pages(store->database) >= (rests ? 1 : LOG_PAGES_MAX))
        (void)health_checkpoint(store, LOG_GOES_ON);
}

/* When to look again, though nobody asks. */
static int64_t next_us(struct store *store)
{
    int64_t at_us = less(store->sync_us, backup_next_us(store)), now_us = clock_now_us();
    switch (health_now(store)) {
    case HEALTH_GOOD:
        if (database_log_pages(store->database) > 0)
            at_us = less(at_us, now_us + IDLE_US);
        if (store->shrinks)
            at_us = less(at_us, more(store->shrink_us, now_us + SHRINK_REST_US));
        break;
    case HEALTH_FULL:
    case HEALTH_BROKEN:
        at_us = less(at_us, store->again_us);
        break;
    case HEALTH_GONE:
        at_us = store->again_us;
        break;
    }
    return at_us;
}

/* ---- the thread */

enum writer_wake { WAKE_WOKEN, WAKE_LATE, WAKE_OVER };

/* Until it is woken, or until then. */
static enum writer_wake wait_until(struct store *store, int64_t at_us)
{
    struct timespec until = clock_monotonic(at_us);
    enum writer_wake why = WAKE_WOKEN;
    mutex_lock(&store->lock);
    while (!store->woken && !store->over && why == WAKE_WOKEN)
        if (at_us == JOBD_NEVER)
            condition_wait(&store->changed, &store->lock);
        else if (!condition_wait_until(&store->changed, &store->lock, &until))
            why = WAKE_LATE;
    store->woken = false;
    why = store->over ? WAKE_OVER : why;
    mutex_unlock(&store->lock);
    return why;
}

static void *writer_main(void *context)
{
    struct store *store = context;
    enum writer_wake why = WAKE_WOKEN;
    while (why != WAKE_OVER) {
        housekeeping(store, why == WAKE_LATE && store->copy == NULL);
        why = WAKE_WOKEN;
        bool wrote = write_next(store);
        backup_go_on(store);
        if (!wrote || health_now(store) != HEALTH_GOOD)
            why = wait_until(store, next_us(store));
    }
    return NULL;
}

void store_wake(void *context)
{
    struct store *store = context;
    mutex_lock(&store->lock);
    store->woken = true;
    condition_signal(&store->changed);
    mutex_unlock(&store->lock);
}

int store_start(struct store *store, struct jobd *jobd)
{
    store->jobd = jobd;
    store->shrinks = true; /* perhaps */
    store->shrink_us = clock_now_us() + IDLE_US;
    if (store->sync == STORE_SYNC_SECOND)
        log_info("%s: --sync 1s: a power cut loses what came in the second before", store->path);
    if (store->sync == STORE_SYNC_OFF)
        log_info("%s: --sync off: a power cut loses what the system has not written", store->path);
    if (!ballast_hold(store->ballast_path, 0))
        (void)health_enter_full(store);
    int error = thread_start(&store->thread, writer_main, store);
    store->started = error == 0;
    return error;
}

void writer_join(struct store *store)
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

/* So that the next start knows until when this one has served. */
static void write_times(struct store *store)
{
    enum database_result result = database_begin(store->database, &store->problem);
    if (result == DATABASE_OK) {
        measure_times(store);
        result = commit(store, true);
    }
    if (result == DATABASE_FULL)
        database_rollback(store->database);
    else if (result == DATABASE_BROKEN)
        health_close_broken(store);
}

/* From here on in the caller's thread: the writer is no more. */
bool store_stop(struct store *store, int64_t wait_us)
{
    int64_t until_us = clock_after_us(wait_us);
    writer_join(store);
    store_backup_close(store);
    backup_go_on(store);
    if (!health_check_files(store))
        return false;
    do {
        if (!health_writes(store))
            health_try_to_recover(store);
        while (write_next(store) && health_now(store) == HEALTH_GOOD)
            ;
    } while (!journal_empty(store->jobd) && clock_now_us() < until_us &&
             poll(NULL, 0, TRY_EVERY_MS) == 0);
    bool whole = journal_empty(store->jobd);
    if (health_writes(store))
        write_times(store);
    if (health_writes(store))
        (void)health_checkpoint(store, LOG_ENDS);
    return whole && health_writes(store);
}
