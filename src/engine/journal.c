/* SPDX-License-Identifier: MIT */
/* What a store reads of the journal: which changes wait, and what each of them writes. */
#include "engine/journal.h"

#include "engine/blob.h"
#include "engine/engine.h"

/* ---- gathering */

/* The forgotten first: the key of one of them may be that of a new job. */
static size_t gather_forgotten_locked(struct op *op, size_t rows_max) REQUIRES(op->jobd->lock)
{
    struct jobs *jobs = &op->jobd->jobs;
    struct job *job;
    size_t rows = 0;
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
    op_begin(&op, jobd, NULL, 0);
    struct journal *journal = &jobd->journal;
    verify(TAILQ_EMPTY(&journal->gathered) && TAILQ_EMPTY(&jobd->jobs.forgotten_gathered));
    size_t rows = gather_forgotten_locked(&op, rows_max);
    while (rows < rows_max && bytes < bytes_max &&
           (change = TAILQ_FIRST(&journal->waiting)) != NULL) {
        TAILQ_REMOVE(&journal->waiting, change, link);
        TAILQ_INSERT_TAIL(&journal->gathered, change, link);
        rows += change->rows > 0 ? change->rows : 1;
        bytes += change->bytes;
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
                 TAILQ_EMPTY(&jobd->jobs.forgotten) && TAILQ_EMPTY(&jobd->jobs.forgotten_gathered);
    mutex_unlock(&jobd->lock);
    return empty;
}

/* ---- what is written */

/* The job as it stands. */
static void describe(const struct jobd *jobd, const struct job *job, struct job_record *record)
{
    const struct job_extra *extra = job->extra;
    enum jobd_state state = job_state(job);
    bool started = state == JOBD_RUNNING || jobd_state_final(state);
    *record = (struct job_record){
        .id = job->id,
        .queue = jobd->queues[job->queue].name,
        .priority = job->priority,
        .attempts = job->attempts,
        .created_us = job->created_us,
        .run_at_us = job->state == STATE_NEW && job->delayed ? job->ready_us : 0,
        .timeout_us = extra != NULL ? extra->timeout_us : 0,
        .key = extra != NULL ? extra->key : "",
        .trace = extra != NULL ? extra->trace : "",
        .payload = job->payload,
        .state = state,
        .attempt = job->attempt,
        .ready_us = job->ready_us,
        .started_us = started ? job->started_us : 0,
        .finished_us = jobd_state_final(state) ? job->finished_us : 0,
        .delayed = job->delayed,
        .stopping = job->stopping,
        .output_truncated = job->output_truncated,
        .exited = job->exited,
        .exit_code = job->exit_code,
        .token = job->leased ? job->lease->token : "",
        .expires_us = job->leased ? job->lease->due.at_us : 0,
        .began_us = job->leased ? job->lease->began_us : 0,
        .output = extra != NULL ? extra->output : NULL,
        .error = extra != NULL ? extra->error : NULL,
    };
    for (unsigned i = 0; extra != NULL && i < JOBD_TEXTS; i++)
        record->texts[i] = jobd_text(extra->words, (enum jobd_text)i);
}

/* Before its first row; it may be the second time that it is written. */
static void rewind_change(struct change *change)
{
    struct job *first = change->job != NULL ? change->job : TAILQ_FIRST(&change->jobs);
    change->next = change->kind->writes_nothing ? NULL : first;
}

/* The change's next row; false when there is no other. */
static bool next_row_locked(struct op *op, struct change *change, struct job_record *record)
    REQUIRES(op->jobd->lock)
{
    struct job *job = change->next;
    if (job == NULL)
        return false;
    change->next = change->job == NULL ? TAILQ_NEXT(job, link) : NULL;
    describe(op->jobd, job, record);
    if (change->kind->describe != NULL)
        change->kind->describe(change, record);
    return true;
}

static bool each_forgotten(struct jobd *jobd, journal_row *each, void *context)
{
    bool good = true;
    mutex_lock(&jobd->lock);
    struct job *job = TAILQ_FIRST(&jobd->jobs.forgotten_gathered);
    mutex_unlock(&jobd->lock);
    for (; job != NULL && good; job = TAILQ_NEXT(job, link)) { /* the list is this thread's */
        const struct job_record record = {.id = job->id};
        good = each(context, ROW_REMOVE, &record);
    }
    return good;
}

static bool each_row(struct jobd *jobd, struct change *change, journal_row *each, void *context)
{
    struct op op;
    struct job_record record;
    bool good = true;
    rewind_change(change);
    for (bool more = true; more && good;) {
        op_begin(&op, jobd, NULL, 0);
        more = next_row_locked(&op, change, &record);
        op_end(&op);
        good = !more || each(context, change->kind->row, &record);
    }
    return good;
}

bool journal_each(struct jobd *jobd, journal_row *each, void *context)
{
    bool good = each_forgotten(jobd, each, context);
    mutex_lock(&jobd->lock);
    struct change *change = TAILQ_FIRST(&jobd->journal.gathered);
    mutex_unlock(&jobd->lock);
    for (; change != NULL && good; change = TAILQ_NEXT(change, link)) /* so is this one */
        good = each_row(jobd, change, each, context);
    return good;
}

bool journal_record(struct jobd *jobd, uint64_t id, journal_row *each, void *context)
{
    struct job_record record = {.id = id};
    mutex_lock(&jobd->lock);
    const struct job *job = jobs_seen(&jobd->jobs, id);
    if (job != NULL)
        describe(jobd, job, &record);
    mutex_unlock(&jobd->lock);
    /* What the record points to stays: only this thread's journal_written() lets it go. */
    if (job == NULL)
        return each(context, ROW_REMOVE, &record);
    return each(context, ROW_ADD, &record) && each(context, ROW_SET, &record);
}
