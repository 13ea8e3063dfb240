/* SPDX-License-Identifier: MIT */
/* Bringing jobs back when the server starts. */
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "jobd/schedule.h"
#include "store/schedules.h"
#include "store/writer.h"

enum { NAMED_MAX = 10 }; /* of what is wrong, in the log */

struct loading {
    struct store *store;
    int64_t now_us, begun_us, said_us;
    uint64_t done, damaged;
};

static void note_damaged(struct loading *loading, uint64_t id)
{
    if (loading->damaged++ < NAMED_MAX)
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
    } else if (jobd_queue_named(jobd, record->queue) != JOBD_NO_QUEUE) {
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

static void load_after(void *context, const char *after)
{
    const struct loading *loading = context;
    jobd_restore_after(loading->store->jobd, after);
}

static void load_batch(void *context, const struct batch_record *record)
{
    const struct loading *loading = context;
    const struct batch_record back = times_of_batch(record);
    jobd_restore_batch(loading->store->jobd, &back);
}

static void load_pause(void *context, const char *queue)
{
    const struct loading *loading = context;
    jobd_restore_pause(loading->store->jobd, queue);
}

static bool load_and_write(void *context, uint64_t id, const struct job_record *record)
{
    struct loading *loading = context;
    return load_one(context, id, record) &&
           (loading->done % CHANGES_MAX != 0 || write_changes(loading->store));
}

static bool load_schedule(void *context, const char *name, const struct schedule_record *record)
{
    struct loading *loading = context;
    char shown[JOBD_SCHEDULE_NAME_MAX + 1];
    if (record != NULL && jobd_restore_schedule(loading->store->jobd, record))
        return true;
    log_error("schedule %s: its record is damaged: it stays in %s and does not run",
              text_printable(name, shown, sizeof shown), loading->store->path);
    return true;
}

static void report_undeclared(const struct store *store)
{
    uint32_t undeclared = 0;
    for (uint32_t i = 0; i < store->queues_len; i++) {
        const struct queue_on_disk *on_disk = &store->queues[i];
        uint32_t queue = jobd_queue_named(store->jobd, on_disk->name);
        bool known = queue != JOBD_NO_QUEUE;
        if ((known && jobd_queue_declared(store->jobd, queue)) || undeclared++ >= NAMED_MAX)
            continue;
        char name[JOBD_QUEUE_NAME_MAX + 1];
        log_warn("%s: %u %s to queue %s, which is not declared; %s", store->path,
                 (unsigned)on_disk->jobs, text_plural(on_disk->jobs, "job belongs", "jobs belong"),
                 text_printable(on_disk->name, name, sizeof name),
                 known ? "POST /queues/OLD/move?to=NEW moves what waits to another"
                       : "left on disk");
    }
    if (undeclared > NAMED_MAX)
        log_warn("%s: %u queues more are not declared", store->path,
                 (unsigned)undeclared - NAMED_MAX);
}

static void report(const struct loading *loading)
{
    const char *path = loading->store->path;
    if (loading->damaged > NAMED_MAX)
        log_error("%s: %llu damaged records in all", path, (unsigned long long)loading->damaged);
    report_undeclared(loading->store);
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
    if (!database_after(store->database, load_after, &loading, &store->problem) ||
        !database_batches(store->database, load_batch, &loading, &store->problem) ||
        !database_scan(store->database, true, load_and_write, &loading, &store->problem) ||
        !write_changes(store) ||
        !database_scan(store->database, false, load_and_write, &loading, &store->problem) ||
        !schedules_scan(store->database, load_schedule, &loading, &store->problem) ||
        !database_pauses(store->database, load_pause, &loading, &store->problem))
        return problem_set(problem, "%s: %s", store->path, store->problem.text);
    jobd_restored(jobd);
    report(&loading);
    return true;
}
