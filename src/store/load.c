/* SPDX-License-Identifier: MIT */
/* Bringing jobs back when the server starts. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "store/writer.h"

enum { DAMAGED_NAMED_MAX = 10 };

struct loading {
    struct store *store;
    int64_t now_us, begun_us, said_us;
    uint64_t done, damaged, lost;
    struct {
        char name[JOBD_QUEUE_NAME_MAX + 1];
        uint64_t jobs;
    } unknown[16];
};

static void note_unknown(struct loading *loading, const char *queue)
{
    for (size_t i = 0; i < sizeof loading->unknown / sizeof loading->unknown[0]; i++) {
        if (loading->unknown[i].jobs > 0 && strcmp(loading->unknown[i].name, queue) != 0)
            continue;
        snprintf(loading->unknown[i].name, sizeof loading->unknown[i].name, "%s", queue);
        loading->unknown[i].jobs++;
        return;
    }
}

static void note_damaged(struct loading *loading, uint64_t id)
{
    if (loading->damaged++ < DAMAGED_NAMED_MAX)
        log_error("job %llu: its record is damaged: it stays in %s and does not run",
                  (unsigned long long)id, loading->store->path);
}

static bool load_one(void *context, uint64_t id, const struct job_record *record)
{
    struct loading *loading = context;
    struct jobd *jobd = loading->store->jobd;
    loading->done++;
    int64_t now_us = loading->done % 1024 == 0 ? clock_now_us() : 0;
    if (now_us - loading->said_us >= CLOCK_SECOND_US && now_us > 0) {
        loading->said_us = now_us;
        log_info("%s: %llu %s read", loading->store->path, (unsigned long long)loading->done,
                 text_plural(loading->done, "job", "jobs"));
    }
    if (record == NULL) {
        note_damaged(loading, id);
    } else if (jobd_queue_named(jobd, record->queue) == JOBD_NO_QUEUE) {
        note_unknown(loading, record->queue);
    } else {
        const struct job_record back = times_from_disk(&loading->store->times, record);
        if (!jobd_restore(jobd, &back, loading->now_us))
            return problem_set(&loading->store->problem, "out of memory");
    }
    return true;
}

/* What changes while they are read: those that have ended beyond --keep are forgotten, and attempts
 * that nobody can end any more have ended. They may be more than the journal has room for. */
static bool write_changes(struct store *store)
{
    while (journal_gather(store->jobd, CHANGES_MAX, BYTES_MAX) > 0) {
        enum database_result result = writer_write_group(store);
        if (result != DATABASE_OK) {
            journal_failed(store->jobd, clock_now_us());
            return false;
        }
        journal_written(store->jobd, clock_now_us());
    }
    return true;
}

static bool load_and_write(void *context, uint64_t id, const struct job_record *record)
{
    struct loading *loading = context;
    return load_one(context, id, record) &&
           (loading->done % CHANGES_MAX != 0 || write_changes(loading->store));
}

static void report(const struct loading *loading)
{
    const char *path = loading->store->path;
    if (loading->damaged > DAMAGED_NAMED_MAX)
        log_error("%s: %llu damaged records in all", path, (unsigned long long)loading->damaged);
    for (size_t i = 0; i < sizeof loading->unknown / sizeof loading->unknown[0]; i++)
        if (loading->unknown[i].jobs > 0)
            log_warn("%s: %llu %s to queue %s, which is not configured; left on disk", path,
                     (unsigned long long)loading->unknown[i].jobs,
                     text_plural(loading->unknown[i].jobs, "job belongs", "jobs belong"),
                     loading->unknown[i].name);
    log_info("%s: %llu %s in %lld ms", path, (unsigned long long)loading->done,
             text_plural(loading->done, "job", "jobs"),
             (long long)(clock_now_us() - loading->begun_us) / 1000);
}

bool store_load(struct store *store, struct jobd *jobd, int64_t now_us, struct problem *problem)
{
    struct loading loading = {.store = store, .now_us = now_us, .begun_us = clock_now_us()};
    const struct kept_times kept = database_times(store->database);
    loading.said_us = loading.begun_us;
    store->jobd = jobd;
    times_begin(&store->times, &kept, now_us, clock_wall_us(now_us));
    if (!database_scan(store->database, true, load_and_write, &loading, &store->problem) ||
        !write_changes(store) ||
        !database_scan(store->database, false, load_and_write, &loading, &store->problem))
        return problem_set(problem, "%s: %s", store->path, store->problem.text);
    report(&loading);
    return true;
}
