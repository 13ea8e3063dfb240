/* SPDX-License-Identifier: MIT */
#include "engine/journal_store.h"

#include <string.h>

#include "engine/blob.h"
#include "engine/blocked.h"
#include "engine/changes.h"
#include "engine/deliveries.h"
#include "engine/describe.h"
#include "engine/dispatch.h"
#include "engine/expiry.h"
#include "engine/pause.h"
#include "engine/replace.h"
#include "engine/schedule_table.h"
#include "engine/sweep.h"
#include "engine/waiters.h"

/* ---- gathering */

/* The forgotten first: the key of one of them may be that of a new job. Batches before jobs, so
 * that there never are more of them than of these. */
static size_t gather_forgotten_locked(struct op *op, size_t rows_max) REQUIRES(op->jobd->lock)
{
    struct jobs *jobs = &op->jobd->jobs;
    struct batches *batches = &jobs->batches;
    struct batch *batch;
    struct job *job;
    size_t rows = 0;
    for (; rows < rows_max && (batch = TAILQ_FIRST(&batches->forgotten)) != NULL; rows++) {
        TAILQ_REMOVE(&batches->forgotten, batch, link);
        TAILQ_INSERT_TAIL(&batches->forgotten_gathered, batch, link);
    }
    for (; rows < rows_max && (job = TAILQ_FIRST(&jobs->forgotten)) != NULL; rows++) {
        TAILQ_REMOVE(&jobs->forgotten, job, link);
        TAILQ_INSERT_TAIL(&jobs->forgotten_gathered, job, link);
    }
    return rows;
}

size_t journal_gather(struct jobd *jobd, size_t rows_max, size_t bytes_max)
{
    struct op op;
    struct change *change;
    size_t bytes = 0;
    bool joined = false;
    op_begin(&op, jobd, NULL, 0);
    struct journal *journal = &jobd->journal;
    verify(TAILQ_EMPTY(&journal->gathered) && TAILQ_EMPTY(&jobd->jobs.forgotten_gathered) &&
           TAILQ_EMPTY(&jobd->jobs.batches.forgotten_gathered));
    size_t rows = gather_forgotten_locked(&op, rows_max);
    while (((rows < rows_max && bytes < bytes_max) || joined) &&
           (change = TAILQ_FIRST(&journal->waiting)) != NULL) {
        TAILQ_REMOVE(&journal->waiting, change, link);
        TAILQ_INSERT_TAIL(&journal->gathered, change, link);
        rows += change->rows > 0 ? change->rows : 1;
        bytes += change->bytes;
        joined = change->joined;
    }
    if (rows == 0)
        journal->notified = false;
    op_end(&op);
    return rows;
}

bool journal_empty(struct jobd *jobd)
{
    mutex_lock(&jobd->lock);
    bool empty = TAILQ_EMPTY(&jobd->journal.waiting) && TAILQ_EMPTY(&jobd->journal.gathered) &&
                 TAILQ_EMPTY(&jobd->jobs.forgotten) &&
                 TAILQ_EMPTY(&jobd->jobs.forgotten_gathered) &&
                 TAILQ_EMPTY(&jobd->jobs.batches.forgotten) &&
                 TAILQ_EMPTY(&jobd->jobs.batches.forgotten_gathered);
    mutex_unlock(&jobd->lock);
    return empty;
}

/* ---- what is written */

static void describe_batch_locked(struct jobd *jobd, const struct job *job,
                                  struct job_record *record) REQUIRES(jobd->lock)
{
    const struct batch *batch = job->batched ? batches_of(&jobd->jobs.batches, job->id) : NULL;
    record->batch = batch != NULL ? batch->id : 0;
    record->batch_jobs = batch != NULL ? batch->len : 0;
    record->batch_callback = batch != NULL ? jobd_text(batch->words, JOBD_CALLBACK) : "";
}

/* They may change while they are written: so the record has references, for release(). */
static void describe_said(const struct said *said, struct job_record *record)
{
    if (said->worker != NULL)
        record->worker = jobd_blob_ref(said->worker);
    if (said->progress != NULL)
        record->progress = jobd_blob_ref(said->progress);
}

static void release(const struct job_record *record)
{
    jobd_blob_unref(record->worker);
    jobd_blob_unref(record->progress);
}

/* The job as it stands; `written`: but for replacements on their way. */
static void describe(const struct jobd *jobd, const struct job *job, bool written,
                     struct job_record *record)
{
    const struct job_content content = written ? replace_written(job) : job_content(job);
    describe_job(jobd->queues[job->queue].name, job, &content, record);
    if (content.extra != NULL && content.extra->said != NULL)
        describe_said(content.extra->said, record);
}

/* Before its first row; it may be the second time that it is written. */
static void rewind_change(struct change *change)
{
    struct job *first = change->job != NULL ? change->job : TAILQ_FIRST(&change->jobs);
    change->next = change->kind->is_mark ? NULL : first;
}

/* A job's row, and those of the deliveries which its end brings. */
struct row {
    struct job_record record, deliveries[DELIVERIES_MAX];
    unsigned deliveries_len;
    char token[JOBD_TOKEN_SIZE];
};

/* NULL: there is none. */
static void describe_token(const struct lease *lease, struct row *row)
{
    if (lease == NULL)
        return;
    memcpy(row->token, lease->token, sizeof row->token);
    row->record.token = row->token;
}

/* The report of the lease that has expired may still come. */
static void describe_expired_locked(struct op *op, const struct job *job, struct row *row)
    REQUIRES(op->jobd->lock)
{
    if (job->attempt > 0 && job_waits(job))
        describe_token(lease_expired(&op->jobd->leases, job), row);
}

/* A report of its last attempt may come again, or late. */
static void describe_report_locked(struct op *op, const struct job *job, struct row *row)
    REQUIRES(op->jobd->lock)
{
    if (job_has_ended(job))
        describe_token(lease_last(&op->jobd->leases, job), row);
}

/* The change's next row; false when there is no other. */
static bool next_row_locked(struct op *op, struct change *change, struct row *row)
    REQUIRES(op->jobd->lock)
{
    struct job_record *record = &row->record;
    struct job *job = change->next;
    if (job == NULL)
        return false;
    change->next = change->job == NULL ? TAILQ_NEXT(job, link) : NULL;
    /* A replacement stands behind the put of its job. */
    describe(op->jobd, job, job->state == STATE_NEW, record);
    describe_expired_locked(op, job, row);
    describe_batch_locked(op->jobd, job, record);
    if (change->kind->describe != NULL)
        change->kind->describe(change, record);
    row->deliveries_len = deliveries_describe_locked(op, job, record, row->deliveries);
    return true;
}

/* Of one that came in a batch also how it ended: the batch goes on counting it. */
static struct job_record forgotten(struct jobd *jobd, const struct job *job)
{
    struct job_record record = {.id = job->id};
    if (!job->batched)
        return record;
    record.state = (enum jobd_state)job->state;
    record.finished_us = job->finished_us;
    mutex_lock(&jobd->lock);
    describe_batch_locked(jobd, job, &record);
    mutex_unlock(&jobd->lock);
    return record;
}

static bool each_forgotten(struct jobd *jobd, journal_row *each, void *context)
{
    bool good = true;
    mutex_lock(&jobd->lock);
    struct job *job = TAILQ_FIRST(&jobd->jobs.forgotten_gathered);
    struct batch *batch = TAILQ_FIRST(&jobd->jobs.batches.forgotten_gathered);
    mutex_unlock(&jobd->lock);
    for (; job != NULL && good; job = TAILQ_NEXT(job, link)) { /* the list is this thread's */
        const struct job_record record = forgotten(jobd, job);
        good = each(context, ROW_REMOVE, &record);
    }
    for (; batch != NULL && good; batch = TAILQ_NEXT(batch, link)) {
        const struct job_record record = {.id = batch->id};
        good = each(context, ROW_REMOVE_BATCH, &record);
    }
    return good;
}

/* What a schedule will be by this change; it stands in the change, which nobody touches
 * meanwhile but to undo all that is gathered. */
static bool each_step(struct jobd *jobd, const struct change *change, journal_row *each,
                      void *context)
{
    struct schedule_record schedule;
    const struct job_record record = {.schedule = &schedule};
    mutex_lock(&jobd->lock);
    const struct schedule_step *step = change->step;
    if (step != NULL)
        schedule_record(step->schedule->name, &step->to, &schedule);
    mutex_unlock(&jobd->lock);
    return step == NULL || each(context, step->row, &record);
}

static bool each_row(struct jobd *jobd, struct change *change, journal_row *each, void *context)
{
    struct op op;
    struct row row;
    bool good = true;
    rewind_change(change);
    for (bool more = true; more && good;) {
        op_begin(&op, jobd, NULL, 0);
        more = next_row_locked(&op, change, &row);
        op_end(&op);
        if (more) {
            good = each(context, change->kind->row, &row.record);
            for (unsigned i = 0; good && i < row.deliveries_len; i++)
                good = each(context, ROW_ADD, &row.deliveries[i]);
            release(&row.record);
        }
    }
    return good && each_step(jobd, change, each, context) &&
           pause_each(jobd, change, each, context);
}

bool journal_each(struct jobd *jobd, journal_row *each, void *context)
{
    bool good = each_forgotten(jobd, each, context);
    mutex_lock(&jobd->lock);
    jobd->journal.rounds++;
    struct change *change = TAILQ_FIRST(&jobd->journal.gathered);
    mutex_unlock(&jobd->lock);
    for (; change != NULL && good; change = TAILQ_NEXT(change, link)) /* so is this one */
        good = each_row(jobd, change, each, context);
    return good;
}

bool journal_record(struct jobd *jobd, uint64_t id, bool new, journal_row *each, void *context)
{
    struct op op;
    struct row row = {.record.id = id};
    op_begin(&op, jobd, NULL, 0);
    const struct job *job = jobs_seen(&op.jobd->jobs, id);
    if (job != NULL) {
        describe(op.jobd, job, true, &row.record);
        describe_expired_locked(&op, job, &row);
        describe_report_locked(&op, job, &row);
        describe_batch_locked(op.jobd, job, &row.record);
    }
    op_end(&op);
    /* What the record points to stays: only this thread's journal_written() lets it go. */
    if (job == NULL)
        return !new || (each(context, ROW_REMOVE, &row.record) &&
                        each(context, ROW_REMOVE_BATCH, &row.record)); /* it may have been one */
    bool good = each(context, ROW_ADD, &row.record) && each(context, ROW_SET, &row.record);
    release(&row.record);
    return good;
}

/* ---- what becomes of it: written, it is applied and told of; failed, undone. All of it some
 * steps at a time, so that the lock is held for a short, bounded time however much was gathered
 */

/* Who waits is told; or waits on, for the end of the job that is in now. */
static void tell_locked(struct op *op, const struct change *change, bool written)
    REQUIRES(op->jobd->lock)
{
    struct jobd_waiter *waiter = change->waiter;
    const struct change_kind *kind = change->kind;
    if (waiter == NULL)
        return;
    enum jobd_result result = written ? change->result : JOBD_STORE_FAILED;
    if (kind->result != NULL)
        result = kind->result(op, change, written);
    if (kind->then_end && result == JOBD_OK && waiter->end_us > 0)
        result =
            wait_next_for_end_locked(op, waiter, jobs_find(&op->jobd->jobs, waiter->receipt.id));
    if (result != JOBD_PENDING)
        wait_end_locked(op, waiter, result);
}

/* Whose jobs are concluded next: these may be forgotten thereby. */
static void note_queues(const struct op *op, const struct change *change, int most,
                        struct dispatch_set *set)
{
    const struct job *job = change->job != NULL ? change->job : TAILQ_FIRST(&change->jobs);
    set->len = 0;
    for (; job != NULL && most > 0; most--) {
        dispatch_note(set, &op->jobd->queues[job->queue]);
        job = change->job == NULL ? TAILQ_NEXT(job, link) : NULL;
    }
}

/* Applies or undoes a change of the list, or as many of its jobs as *left allows. When none of
 * them is left its waiter is told, and its entry is free. */
static void conclude_locked(struct op *op, struct change_list *list, struct change *change,
                            bool written, int *left) REQUIRES(op->jobd->lock)
{
    struct dispatch_set queues;
    note_queues(op, change, *left, &queues);
    bool whole = change_conclude_locked(op, change, written, left);
    dispatch_noted_locked(op, &queues);
    if (change->to != NULL)
        dispatch_locked(op, change->to);
    if (!whole)
        return;
    --*left;
    op->jobd->journal.over++;
    tell_locked(op, change, written);
    extra_free(change->extra);
    schedule_step_end(op, change->step);
    journal_remove(&op->jobd->journal, list, change);
    if (op->stops_len == OP_STOPS) /* the next may be one more */
        *left = 0;
}

/* Calls some(), each time under the lock and with so many steps, until it leaves some of them.
 */
static void in_steps(struct jobd *jobd, int64_t now_us, void (*some)(struct op *op, int *left))
{
    int left;
    do {
        struct op op;
        left = OP_STEPS;
        op_begin(&op, jobd, NULL, now_us);
        some(&op, &left);
        op_end(&op);
    } while (left <= 0);
}

/* There may be room again for who was not served for want of it. */
static void serve_starved_locked(struct op *op) REQUIRES(op->jobd->lock)
{
    struct journal *journal = &op->jobd->journal;
    if (journal->starved && journal_has_room(journal)) {
        journal->starved = false;
        for (uint32_t i = 0; i < op->jobd->queues_len; i++)
            dispatch_locked(op, &op->jobd->queues[i]);
    }
    sweep_resume_locked(op);
    expiry_resume_locked(op);
    blocked_resume_locked(op);
}

static void release_batches_locked(struct op *op, int *left) REQUIRES(op->jobd->lock)
{
    struct batches *batches = &op->jobd->jobs.batches;
    struct batch *batch;
    for (; *left > 0 && (batch = TAILQ_FIRST(&batches->forgotten_gathered)) != NULL; --*left) {
        TAILQ_REMOVE(&batches->forgotten_gathered, batch, link);
        batches_release_record(batches, batch);
    }
}

static void written_some_locked(struct op *op, int *left) REQUIRES(op->jobd->lock)
{
    struct change_list *gathered = &op->jobd->journal.gathered;
    struct jobs *jobs = &op->jobd->jobs;
    struct change *change;
    struct job *job;
    while (*left > 0 && (change = TAILQ_FIRST(gathered)) != NULL)
        conclude_locked(op, gathered, change, true, left);
    for (; *left > 0 && (job = TAILQ_FIRST(&jobs->forgotten_gathered)) != NULL; --*left) {
        TAILQ_REMOVE(&jobs->forgotten_gathered, job, link);
        jobs_release_record(jobs, job);
    }
    release_batches_locked(op, left);
    serve_starved_locked(op);
}

void journal_written(struct jobd *jobd, int64_t now_us)
{
    in_steps(jobd, now_us, written_some_locked);
}

/* What is not undone is gathered again, in its order. */
static void wait_again_locked(struct op *op) REQUIRES(op->jobd->lock)
{
    struct journal *journal = &op->jobd->journal;
    struct jobs *jobs = &op->jobd->jobs;
    TAILQ_CONCAT(&journal->gathered, &journal->waiting, link);
    TAILQ_CONCAT(&journal->waiting, &journal->gathered, link);
    TAILQ_CONCAT(&jobs->forgotten_gathered, &jobs->forgotten, link);
    TAILQ_CONCAT(&jobs->forgotten, &jobs->forgotten_gathered, link);
    TAILQ_CONCAT(&jobs->batches.forgotten_gathered, &jobs->batches.forgotten, link);
    TAILQ_CONCAT(&jobs->batches.forgotten, &jobs->batches.forgotten_gathered, link);
    journal->notified = false; /* what comes now may be tried at once */
}

static void failed_some_locked(struct op *op, int *left) REQUIRES(op->jobd->lock)
{
    struct change_list *gathered = &op->jobd->journal.gathered;
    struct change *next = TAILQ_FIRST(gathered);
    while (next != NULL && *left > 0) {
        struct change *change = next;
        next = TAILQ_NEXT(change, link);
        if (change->undo_on_failure)
            conclude_locked(op, gathered, change, false, left);
    }
    if (*left > 0)
        wait_again_locked(op);
    serve_starved_locked(op);
}

void journal_failed(struct jobd *jobd, int64_t now_us)
{
    mutex_lock(&jobd->lock);
    jobd->journal.failures++;
    mutex_unlock(&jobd->lock);
    in_steps(jobd, now_us, failed_some_locked);
}

static void refuse_some_locked(struct op *op, int *left) REQUIRES(op->jobd->lock)
{
    struct change_list *waiting = &op->jobd->journal.waiting;
    struct change *next = TAILQ_FIRST(waiting);
    op->jobd->journal.refuses = true;
    while (next != NULL && *left > 0) {
        struct change *change = next;
        next = TAILQ_NEXT(change, link);
        if (change->kind->is_put)
            conclude_locked(op, waiting, change, false, left);
    }
}

static void accept_again_locked(struct op *op, int *left) REQUIRES(op->jobd->lock)
{
    (void)left;
    op->jobd->journal.refuses = false;
}

void journal_refuse(struct jobd *jobd, bool refuse, int64_t now_us)
{
    in_steps(jobd, now_us, refuse ? refuse_some_locked : accept_again_locked);
}
