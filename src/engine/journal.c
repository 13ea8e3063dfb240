/* SPDX-License-Identifier: MIT */
/* What a store reads of the journal: which changes wait, and what each is. */
#include "engine/journal.h"

#include "engine/blob.h"
#include "engine/engine.h"

/* ---- gathering */

static size_t weight(const struct change *entry)
{
    const struct jobd_outcome *outcome = &entry->ending.outcome;
    return entry->bytes + blob_weight(outcome->output) + blob_weight(outcome->error);
}

size_t journal_gather(struct jobd *jobd, size_t changes_max, size_t bytes_max)
{
    size_t gathered = 0, bytes = 0;
    struct journal *journal = &jobd->journal;
    struct change *entry;
    struct job *job;
    mutex_lock(&jobd->lock);
    verify(TAILQ_EMPTY(&journal->gathered) && TAILQ_EMPTY(&jobd->jobs.forgotten_gathered));
    /* The forgotten first: the key of one of them may be that of a new job. */
    while ((job = TAILQ_FIRST(&jobd->jobs.forgotten)) != NULL && gathered < changes_max) {
        TAILQ_REMOVE(&jobd->jobs.forgotten, job, link);
        TAILQ_INSERT_TAIL(&jobd->jobs.forgotten_gathered, job, link);
        gathered++;
    }
    while ((entry = TAILQ_FIRST(&journal->waiting)) != NULL && gathered < changes_max &&
           bytes < bytes_max) {
        TAILQ_REMOVE(&journal->waiting, entry, link);
        TAILQ_INSERT_TAIL(&journal->gathered, entry, link);
        entry->idle = entry->kind == CHANGE_TAKE && entry->job->commit_pending;
        gathered += entry->changes;
        bytes += weight(entry);
    }
    if (gathered == 0)
        journal->notified = false;
    mutex_unlock(&jobd->lock);
    return gathered;
}

bool journal_empty(struct jobd *jobd)
{
    const struct journal *journal = &jobd->journal;
    mutex_lock(&jobd->lock);
    bool empty = TAILQ_EMPTY(&journal->waiting) && TAILQ_EMPTY(&journal->gathered) &&
                 TAILQ_EMPTY(&jobd->jobs.forgotten) && TAILQ_EMPTY(&jobd->jobs.forgotten_gathered);
    mutex_unlock(&jobd->lock);
    return empty;
}

/* ---- what is written */

static void describe(struct jobd *jobd, const struct job *job, struct job_record *record)
{
    const struct job_extra *extra = job->extra;
    enum jobd_state state = job->state == STATE_NEW ? (job->delayed ? JOBD_SCHEDULED : JOBD_QUEUED)
                                                    : (enum jobd_state)job->state;
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
        .output = extra != NULL ? extra->output : NULL,
        .error = extra != NULL ? extra->error : NULL,
    };
}

/* The job as it will be when its attempt has ended so. */
static void describe_ended(const struct ending *ending, struct job_record *record)
{
    const struct jobd_outcome *outcome = &ending->outcome;
    record->token = "";
    record->expires_us = 0;
    record->stopping = false;
    record->state = ending->to;
    if (!jobd_state_final(ending->to))
        record->delayed = ending->ready_us > ending->at_us;
    if (ending->to == JOBD_QUEUED) {
        record->attempt--;
        record->state = record->delayed ? JOBD_SCHEDULED : JOBD_QUEUED;
    } else if (!ending->cut) {
        record->output = outcome->output;
        record->error = outcome->error;
        record->output_truncated = outcome->output_truncated;
        record->exited = outcome->exited;
        record->exit_code = outcome->exit_code;
    }
    if (jobd_state_final(ending->to)) {
        record->finished_us = ending->at_us;
    } else {
        record->started_us = 0;
        record->ready_us = ending->ready_us;
    }
}

static void describe_cancelled(int64_t at_us, struct job_record *record)
{
    record->state = JOBD_CANCELLED;
    record->started_us = 0;
    record->finished_us = at_us;
}

static void describe_again(int64_t at_us, struct job_record *record)
{
    record->state = JOBD_QUEUED;
    record->attempt = 0;
    record->ready_us = at_us;
    record->started_us = record->finished_us = 0;
    record->delayed = record->exited = record->output_truncated = false;
    record->exit_code = 0;
    record->output = record->error = NULL;
}

/* The entry's next change; false when there is none any more. */
static bool next_change_locked(struct jobd *jobd, struct change *entry, bool first,
                               enum row_kind *kind, struct job_record *record) REQUIRES(jobd->lock)
{
    bool several = entry->kind == CHANGE_PUT || entry->kind == CHANGE_CANCEL;
    if (first) /* it may be the second time that all are told */
        entry->next = several ? TAILQ_FIRST(&entry->jobs) : entry->job;
    struct job *job = entry->next;
    if (job == NULL || entry->idle || entry->kind == CHANGE_DUPLICATE || entry->kind == CHANGE_MARK)
        return false;
    *kind = entry->kind == CHANGE_PUT ? ROW_ADD : ROW_SET;
    describe(jobd, job, record);
    entry->next = several ? TAILQ_NEXT(job, link) : NULL;
    switch (entry->kind) {
    case CHANGE_CANCEL:
        describe_cancelled(entry->at_us, record);
        break;
    case CHANGE_END:
        describe_ended(&entry->ending, record);
        break;
    case CHANGE_RETRY:
        describe_again(entry->at_us, record);
        break;
    case CHANGE_STOP:
        record->stopping = true;
        break;
    case CHANGE_PUT:
    case CHANGE_DUPLICATE:
    case CHANGE_MARK:
    case CHANGE_TAKE:
    case CHANGE_LEASE:
    case CHANGE_EXTEND:
        break;
    }
    return true;
}

static bool each_forgotten(struct jobd *jobd,
                           bool (*each)(void *context, enum row_kind kind,
                                        const struct job_record *record),
                           void *context)
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

bool journal_each(struct jobd *jobd,
                  bool (*each)(void *context, enum row_kind kind, const struct job_record *record),
                  void *context)
{
    bool good = each_forgotten(jobd, each, context);
    mutex_lock(&jobd->lock);
    struct change *entry = TAILQ_FIRST(&jobd->journal.gathered);
    mutex_unlock(&jobd->lock);
    for (; entry != NULL && good; entry = TAILQ_NEXT(entry, link)) {
        for (bool first = true, more = true; more && good; first = false) {
            enum row_kind kind;
            struct job_record record;
            mutex_lock(&jobd->lock);
            more = next_change_locked(jobd, entry, first, &kind, &record);
            mutex_unlock(&jobd->lock);
            good = !more || each(context, kind, &record);
        }
    }
    return good;
}

bool journal_record(struct jobd *jobd, uint64_t id,
                    bool (*each)(void *context, enum row_kind kind,
                                 const struct job_record *record),
                    void *context)
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
