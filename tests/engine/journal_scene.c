/* SPDX-License-Identifier: MIT */
#include "engine/journal_scene.h"

#include <stdlib.h>
#include <string.h>

#include "engine/model/check_engine.h"
#include "engine/parents.h"
#include "engine/schedule_disk.h"
#include "base/verify.h"

struct disk disk;

static const char *queue_name(const char *name)
{
    static const char *const names[] = {"one", "two", "callbacks"};
    unsigned i = 0;
    while (i < QUEUES && strcmp(names[i], name) != 0)
        i++;
    return names[i];
}

struct jobd_blob *disk_share(const struct jobd_blob *blob)
{
    union {
        const struct jobd_blob *read;
        struct jobd_blob *shared;
    } as = {.read = blob};
    return blob != NULL ? jobd_blob_ref(as.shared) : NULL;
}

static void replace(struct jobd_blob **place, const struct jobd_blob *blob)
{
    struct jobd_blob *before = *place;
    *place = disk_share(blob);
    jobd_blob_unref(before);
}

static void keep_progress(struct kept *kept, const struct job_record *record)
{
    struct job_record *own = &kept->record;
    own->state = record->state;
    own->attempt = record->attempt;
    own->ready_us = record->ready_us;
    own->started_us = record->started_us;
    own->finished_us = record->finished_us;
    own->delayed = record->delayed;
    own->by_wall = record->by_wall;
    own->expired = record->expired;
    own->unexpiring = record->unexpiring;
    own->settled = record->settled;
    own->stopping = record->stopping;
    own->output_truncated = record->output_truncated;
    own->exited = record->exited;
    own->exit_code = record->exit_code;
    strcpy(kept->token, record->token);
    own->token = kept->token;
    own->expires_us = record->expires_us;
    own->began_us = record->began_us;
    replace(&kept->output, record->output);
    replace(&kept->error, record->error);
    replace(&kept->errors, record->errors);
    replace(&kept->worker, record->worker);
    replace(&kept->progress, record->progress);
    own->errors = kept->errors;
    own->errors_us = record->errors_us;
    own->output = kept->output;
    own->error = kept->error;
}

static void forget(struct kept *kept)
{
    jobd_blob_unref(kept->payload);
    jobd_blob_unref(kept->output);
    jobd_blob_unref(kept->error);
    jobd_blob_unref(kept->errors);
    jobd_blob_unref(kept->worker);
    jobd_blob_unref(kept->progress);
    memset(kept, 0, sizeof *kept);
}

static void remember_for_undo(uint64_t id)
{
    if (disk.undo[id] != NULL)
        return;
    struct kept *copy = malloc(sizeof *copy);
    verify(copy != NULL);
    *copy = disk.jobs[id];
    copy->payload = disk_share(copy->payload);
    copy->output = disk_share(copy->output);
    copy->error = disk_share(copy->error);
    copy->errors = disk_share(copy->errors);
    copy->worker = disk_share(copy->worker);
    copy->progress = disk_share(copy->progress);
    disk.undo[id] = copy;
}

const char *const disk_groups[GROUPS] = {NULL, "one", "two", "three"};

static const char *group_of(const struct job_record *record)
{
    const char *group = record->texts[JOBD_GROUP];
    unsigned i = 1;
    if (group == NULL || group[0] == '\0')
        return NULL;
    while (i < GROUPS && strcmp(disk_groups[i], group) != 0)
        i++;
    verify(i < GROUPS);
    return disk_groups[i];
}

/* ---- batches */

static struct batch_record *batch_to_change(uint64_t id)
{
    struct batch_record *batch = &disk.batches[id];
    verify(id < IDS);
    if (disk.batches_undo[id] == NULL) {
        disk.batches_undo[id] = malloc(sizeof *batch);
        verify(disk.batches_undo[id] != NULL);
        *disk.batches_undo[id] = *batch;
    }
    return batch;
}

static void add_batch(const struct job_record *first)
{
    struct batch_record *batch = batch_to_change(first->batch);
    if (batch->id == 0)
        *batch = (struct batch_record){.id = first->batch,
                                       .queue = queue_name(first->queue),
                                       .callback = first->batch_callback[0] != '\0' ? "u" : "",
                                       .jobs = first->batch_jobs,
                                       .created_us = first->created_us};
}

static void count_in_batch(const struct job_record *job)
{
    struct batch_record *batch = batch_to_change(job->batch);
    if (batch->id == 0 || !disk.jobs[job->id].there)
        return;
    verify(disk.jobs[job->id].record.state == job->state);
    batch->ended[job->state]++;
    if (job->finished_us > batch->finished_us)
        batch->finished_us = job->finished_us;
}

/* One that is added as ended was there before: it is counted no longer if it was removed. */
static void count_no_longer(const struct job_record *job)
{
    struct batch_record *batch = batch_to_change(job->batch);
    if (disk.jobs[job->id].there || !jobd_state_final(job->state))
        return;
    verify(batch->id != 0 && batch->ended[job->state] > 0);
    batch->ended[job->state]--;
}

static void end_batch_transaction(bool good, uint64_t id)
{
    if (disk.batches_undo[id] != NULL && !good)
        disk.batches[id] = *disk.batches_undo[id];
    free(disk.batches_undo[id]);
    disk.batches_undo[id] = NULL;
}

static void restore_batch(struct jobd *jobd, uint64_t id)
{
    struct batch_record back = disk.batches[id];
    if (back.id == 0)
        return;
    back.created_us = -back.created_us;
    back.finished_us = -back.finished_us;
    jobd_restore_batch(jobd, &back);
}

/* ---- deliveries */

static uint64_t first_delivery; /* of a group; 0: none, or it was written */

static bool has_callback(const struct job_record *record)
{
    return record->texts[JOBD_CALLBACK] != NULL && record->source == 0;
}

/* Have all of the batch that this job came with ended, as it is on disk now? */
static bool is_over(const struct batch_record *batch)
{
    uint32_t ended = 0;
    for (unsigned state = 0; state < JOBD_STATES; state++)
        ended += batch->ended[state];
    for (uint64_t id = batch->id; id < batch->id + batch->jobs; id++)
        ended += disk.jobs[id].there && jobd_state_final(disk.jobs[id].record.state);
    return ended == batch->jobs;
}

/* It has ended by this row: is somebody to be told of it? */
static void note_end(const struct kept *kept)
{
    const struct batch_record *batch = &disk.batches[kept->record.batch];
    bool own = has_callback(&kept->record);
    if (own)
        disk.to_tell[0] = (int64_t)kept->record.id;
    if (batch->id != 0 && batch->callback[0] != '\0' && is_over(batch))
        disk.to_tell[own] = -(int64_t)batch->id;
}

/* No delivery of this source lives, but where that has been retried. */
static void check_unneeded(int64_t source)
{
    for (uint64_t id = disk.highest > 2000 ? disk.highest - 2000 : 1; id <= disk.highest; id++) {
        const struct kept *kept = &disk.jobs[id];
        verify(!kept->there || kept->record.source != source || kept->record.unexpiring ||
               jobd_state_final(kept->record.state));
    }
}

/* An end and its delivery are one change, and no delivery comes otherwise. */
static void check_delivery(enum row_kind kind, const struct job_record *record)
{
    int64_t source = kind == ROW_ADD ? record->source : 0;
    verify(source == 0 || first_delivery == 0 || first_delivery == record->id);
    first_delivery = source != 0 ? 0 : first_delivery;
    verify(source == disk.to_tell[0]);
    disk.to_tell[0] = disk.to_tell[1];
    disk.to_tell[1] = 0;
    if (source != 0)
        verify(source > 0 ? disk.jobs[source].there : disk.batches[-source].id != 0);
    /* One that was retried, and replaced by another without a callback, has none that a start knows
     * of. */
    if (kind == ROW_REMOVE && has_callback(&disk.jobs[record->id].record))
        check_unneeded((int64_t)record->id);
    if (kind == ROW_REMOVE_BATCH)
        check_unneeded(-(int64_t)record->id);
}

/* ---- jobs */

/* It has ended; or been put in again since then, which may stand before what follows from its end.
 */
static bool has_ended(uint64_t id)
{
    const struct kept *kept = &disk.jobs[id];
    return !kept->there || jobd_state_final(kept->record.state) || kept->record.unexpiring;
}

/* A job expires, or waits for others no longer, by what it was put with on disk, not by what may
 * never get there. */
static void check_follows(const struct kept *kept, const struct job_record *to)
{
    const struct job_record *from = &kept->record;
    struct edge edge = {.id = 0};
    if (to->expired && !from->expired) /* one of the wall clock, which is set, at some time */
        verify(from->expiry_at_us != 0 ||
               (from->expiry_us != 0 && from->expiry_us - disk.times.database_ahead_us <=
                                            to->finished_us - disk.times.wall_ahead_us));
    if (!to->settled || from->settled || to->unexpiring || jobd_state_final(to->state))
        return;
    for (const char *text = kept->after; parents_next(&text, &edge);) {
        const struct batch_record *batch = &disk.batches[edge.id];
        for (uint64_t i = 0; edge.is_batch && batch->id != 0 && i < batch->jobs; i++)
            verify(has_ended(edge.id + i));
        verify(edge.is_batch || has_ended(edge.id));
    }
}

static bool write_change(void *context, enum row_kind kind, const struct job_record *change)
{
    size_t *left = context;
    if (change->schedule != NULL) {
        if ((*left)-- == 0)
            return false;
        schedule_disk_write(kind, change);
        return true;
    }
    if (kind == ROW_PAUSE) {
        if ((*left)-- == 0)
            return false;
        for (unsigned i = 0; i < QUEUES; i++) /* that of the deliveries is not looked at */
            if (strcmp(change->queue, i == 0 ? "one" : "two") == 0)
                disk.paused_next[i] = change->paused;
        return true;
    }
    const struct job_record on_disk = times_to_disk(&disk.times, change);
    const struct job_record *record = &on_disk;
    struct kept *kept = &disk.jobs[record->id];
    verify(record->id < IDS);
    if ((*left)-- == 0)
        return false;
    if (!disk.in_doubt)
        check_delivery(kind, record);
    if (record->id > disk.highest)
        disk.highest = record->id;
    if (kind == ROW_REMOVE_BATCH) {
        *batch_to_change(record->id) = (struct batch_record){.id = 0};
        return true;
    }
    remember_for_undo(record->id);
    if (kind == ROW_ADD && record->batch == record->id)
        add_batch(record);
    if (kind == ROW_ADD && record->batch != 0)
        count_no_longer(record);
    if (kind == ROW_REMOVE && record->batch != 0)
        count_in_batch(record);
    if (!disk.in_doubt)
        schedule_disk_write(kind, change);
    if (kind == ROW_REMOVE) {
        forget(kept);
        return true;
    }
    if (kind == ROW_REPLACE)
        verify(kept->there && kept->record.attempt == 0);
    if (kind == ROW_AMEND)
        verify(kept->there);
    if (kind == ROW_ADD || kind == ROW_REPLACE || kind == ROW_AMEND) {
        forget(kept);
        kept->there = true;
        kept->record = *record;
        const char *callback = record->texts[JOBD_CALLBACK];
        kept->record.queue = queue_name(record->queue);
        kept->record.texts[JOBD_GROUP] = group_of(record);
        kept->record.texts[JOBD_TAGS] = NULL;
        strcpy(kept->key, record->key);
        strcpy(kept->trace, record->trace);
        replace(&kept->payload, record->payload);
        schedule_disk_texts(kept->record.texts);
        strcpy(kept->after, record->texts[JOBD_AFTER] != NULL ? record->texts[JOBD_AFTER] : "");
        kept->record.texts[JOBD_CALLBACK] = callback != NULL && callback[0] != '\0' ? "u" : NULL;
    }
    verify(kept->there);
    if (kind == ROW_MOVE) {
        kept->record.queue = queue_name(record->queue);
        kept->record.at_us = record->at_us;
    }
    if (kind == ROW_SET && !disk.in_doubt)
        check_follows(kept, record);
    bool ended = jobd_state_final(kept->record.state);
    if (kind == ROW_SET || kind == ROW_REPLACE || kind == ROW_AMEND)
        keep_progress(kept, record);
    if (!ended && jobd_state_final(kept->record.state))
        note_end(kept);
    kept->record.key = kept->key;
    kept->record.trace = kept->trace;
    kept->record.token = kept->token;
    kept->record.texts[JOBD_AFTER] = kept->after;
    kept->record.payload = kept->payload;
    kept->record.worker = kept->worker;
    kept->record.progress = kept->progress;
    return true;
}

static void end_transaction(bool good)
{
    verify(!good || disk.to_tell[0] == 0);
    disk.to_tell[0] = disk.to_tell[1] = 0;
    for (uint64_t id = 0; id < IDS; id++) {
        struct kept *before = disk.undo[id];
        end_batch_transaction(good, id);
        if (before == NULL)
            continue;
        if (good) {
            forget(before);
        } else {
            struct kept *kept = &disk.jobs[id];
            forget(kept);
            *kept = *before;
            kept->record.key = kept->key;
            kept->record.trace = kept->trace;
            kept->record.token = kept->token;
            kept->record.texts[JOBD_AFTER] = kept->after;
        }
        free(before);
        disk.undo[id] = NULL;
    }
}

static void wanted(void *context)
{
    (void)context;
    disk.wanted++;
}

static bool note_delivery(void *context, enum row_kind kind, const struct job_record *record)
{
    (void)context;
    if (kind == ROW_ADD && record->source != 0 && first_delivery == 0)
        first_delivery = record->id;
    return true;
}

/* What is asked for twice is the same, so that a store knows what it may have written. */
static void look_first(struct jobd *jobd)
{
    first_delivery = 0;
    verify(journal_each(jobd, note_delivery, NULL));
}

size_t disk_write_group(struct jobd *jobd, size_t max, size_t fails_after, int64_t now_us)
{
    size_t gathered = journal_gather(jobd, max, SIZE_MAX);
    if (gathered == 0)
        return 0;
    times_measure(&disk.times, now_us, now_us + disk.wall_ahead_us);
    look_first(jobd);
    bool good = journal_each(jobd, write_change, &fails_after);
    end_transaction(good);
    memcpy(good ? disk.paused : disk.paused_next, good ? disk.paused_next : disk.paused,
           sizeof disk.paused);
    schedule_disk_end(good);
    if (good && times_due(&disk.times)) {
        disk.kept = times_now(&disk.times);
        times_kept(&disk.times);
    }
    if (good) {
        disk.written_us = now_us;
        disk.written_wall_us = now_us + disk.wall_ahead_us;
    }
    if (good)
        journal_written(jobd, now_us);
    else
        journal_failed(jobd, now_us);
    return gathered;
}

/* ---- a store that does not know what it has written */

struct doubt {
    uint64_t ids[IDS];
    bool new[IDS];
    size_t len;
    bool schedules;
};

static bool note_doubt(void *context, enum row_kind kind, const struct job_record *record)
{
    struct doubt *doubt = context;
    if (record->schedule != NULL || kind == ROW_PAUSE) {
        doubt->schedules = true;
        return true;
    }
    verify(doubt->len < IDS);
    doubt->new[doubt->len] = kind == ROW_ADD;
    doubt->ids[doubt->len++] = record->id;
    return true;
}

static void rewrite(struct jobd *jobd, const struct doubt *doubt)
{
    size_t left = SIZE_MAX;
    for (size_t i = 0; i < doubt->len; i++)
        verify(journal_record(jobd, doubt->ids[i], doubt->new[i], write_change, &left));
    end_transaction(true);
}

size_t disk_break_group(struct jobd *jobd, size_t max, bool landed, int64_t now_us)
{
    static struct doubt doubt;
    size_t gathered = journal_gather(jobd, max, SIZE_MAX), left = SIZE_MAX;
    if (gathered == 0)
        return 0;
    doubt.len = 0;
    doubt.schedules = false;
    times_measure(&disk.times, now_us, now_us + disk.wall_ahead_us);
    look_first(jobd);
    verify(journal_each(jobd, note_doubt, &doubt));
    verify(journal_each(jobd, write_change, &left));
    end_transaction(landed && !doubt.schedules);
    memcpy(disk.paused_next, disk.paused, sizeof disk.paused);
    schedule_disk_end(false);
    disk.in_doubt = true;
    journal_failed(jobd, now_us);
    rewrite(jobd, &doubt);
    disk.in_doubt = false;
    return gathered;
}

void disk_write_all(struct jobd *jobd, int64_t now_us)
{
    while (disk_write_group(jobd, 64, SIZE_MAX, now_us) > 0)
        ;
}

void disk_clear(void)
{
    schedule_disk_clear();
    for (uint64_t id = 0; id < IDS; id++)
        if (disk.jobs[id].there)
            forget(&disk.jobs[id]);
    memset(disk.batches, 0, sizeof disk.batches);
    disk.highest = disk.wanted = 0;
    disk.limits = disk.two_undeclared = false;
    memset(disk.paused, 0, sizeof disk.paused);
    memset(disk.paused_next, 0, sizeof disk.paused_next);
    disk.wall_ahead_us = disk.written_us = 0;
    disk.times = (struct times){.now_us = 0};
    disk.kept = (struct kept_times){.wall_us = 0};
}

static uint32_t jobs_of(const char *queue)
{
    uint32_t jobs = 0;
    for (uint64_t id = 1; id < IDS; id++)
        jobs += disk.jobs[id].there && strcmp(disk.jobs[id].record.queue, queue) == 0;
    return jobs;
}

struct jobd *disk_open_engine(uint32_t capacity, uint32_t restored, uint64_t first_id)
{
    struct jobd *jobd = NULL;
    const struct jobd_schedule_config schedules = {.max = SCHEDULES};
    struct jobd_queue_config queues[QUEUES + 1] = {
        {.name = "one", .capacity = capacity, .workers = WORKERS, .attempts = 1},
        {.name = "two",
         .capacity = capacity,
         .workers = WORKERS,
         .attempts = 3,
         .breaker_failures = 2,
         .breaker_us = 500,
         .by_group = disk.limits,
         .group_limits = {.running = 2, .starts = 3, .per_us = 200000},
         .group_waiting = 7},
        {.name = "callbacks",
         .capacity = capacity,
         .workers = WORKERS,
         .attempts = 3,
         .deliveries = true,
         .restored = restored},
    };
    if (disk.limits)
        queues[0].limits = (struct jobd_limits){.running = 5, .starts = 9, .per_us = 300000};
    queues[0].restored = queues[1].restored = restored;
    if (disk.two_undeclared)
        queues[1] = (struct jobd_queue_config){
            .name = "two", .undeclared = true, .restored = jobs_of("two")};
    const struct jobd_config config = {.queues = queues,
                                       .queues_len = QUEUES + 1,
                                       .keep = KEEP,
                                       .keep_for_us = KEEP_FOR_US,
                                       .memory_bytes = 1 << 20,
                                       .waiters_max = 64,
                                       .leases_max = LEASES,
                                       .schedules = &schedules,
                                       .first_id = first_id,
                                       .on_journal_ready = {.call = wanted}};
    verify(jobd_new(&jobd, &config) == 0);
    return jobd;
}

static int by_end(const void *a, const void *b)
{
    const struct job_record *one = &(*(struct kept *const *)a)->record;
    const struct job_record *two = &(*(struct kept *const *)b)->record;
    return (one->finished_us > two->finished_us) - (one->finished_us < two->finished_us);
}

static void restore(struct jobd *jobd, const struct kept *kept, int64_t now_us)
{
    const struct job_record back = times_from_disk(&disk.times, &kept->record);
    verify(jobd_restore(jobd, &back, now_us));
}

/* What it needs of others. */
static void restore_needed(struct jobd *jobd, const struct kept *kept)
{
    char path[40];
    snprintf(path, sizeof path, "job %lld\n", (long long)kept->record.source);
    jobd_restore_after(jobd, kept->record.source > 0 ? path : kept->after);
}

struct jobd *disk_restore(uint64_t first_id, int64_t now_us)
{
    static struct kept *ended[IDS];
    size_t ended_len = 0;
    struct jobd *jobd =
        disk_open_engine(CAPACITY, CAPACITY + 2 * WORKERS + LEASES + MORE, first_id);
    times_begin(&disk.times, &disk.kept, now_us, now_us + disk.wall_ahead_us);
    for (uint64_t id = 1; id < IDS; id++)
        if (disk.jobs[id].there && !jobd_state_final(disk.jobs[id].record.state))
            restore_needed(jobd, &disk.jobs[id]);
    for (uint64_t id = 1; id < IDS; id++)
        restore_batch(jobd, id);
    for (uint64_t id = 1; id < IDS; id++)
        if (disk.jobs[id].there && jobd_state_final(disk.jobs[id].record.state))
            ended[ended_len++] = &disk.jobs[id];
    qsort(ended, ended_len, sizeof *ended, by_end);
    for (size_t i = 0; i < ended_len; i++)
        restore(jobd, ended[i], now_us);
    for (uint64_t id = 1; id < IDS; id++)
        if (disk.jobs[id].there && !jobd_state_final(disk.jobs[id].record.state))
            restore(jobd, &disk.jobs[id], now_us);
    jobd_restored(jobd);
    schedule_disk_restore(jobd);
    for (unsigned i = 0; i < QUEUES; i++)
        if (disk.paused[i])
            jobd_restore_pause(jobd, i == 0 ? "one" : "two");
    check_engine(jobd);
    return jobd;
}
