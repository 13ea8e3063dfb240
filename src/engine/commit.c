/* SPDX-License-Identifier: MIT */
/* What becomes of gathered changes: written, they are applied and told; failed, undone. */
#include "engine/journal.h"

#include "engine/attempt.h"
#include "engine/dispatch.h"
#include "engine/engine.h"
#include "engine/transition.h"
#include "engine/waiters.h"

enum { AT_A_TIME = 256 }; /* jobs: bounds how long the lock is held */

/* Whoever waits is told; or waits on, for the end of the job that is in now. */
static void tell_locked(struct jobd *jobd, struct change *entry, enum jobd_result result,
                        int64_t now_us, struct effects *after) REQUIRES(jobd->lock)
{
    struct jobd_waiter *waiter = entry->waiter;
    bool is_in =
        (entry->kind == CHANGE_PUT || entry->kind == CHANGE_DUPLICATE) && result == JOBD_OK;
    if (waiter != NULL && is_in && waiter->end_us > 0)
        result =
            wait_for_end_locked(jobd, waiter, jobs_find(&jobd->jobs, waiter->receipt.id), now_us);
    if (waiter != NULL && result != JOBD_PENDING)
        wait_end_locked(jobd, waiter, result, after);
}

/* Frees the entry; who waits is told. */
static void close_locked(struct jobd *jobd, struct change_list *list, struct change *entry,
                         enum jobd_result result, int64_t now_us, struct effects *after)
    REQUIRES(jobd->lock)
{
    struct journal *journal = &jobd->journal;
    tell_locked(jobd, entry, result, now_us, after);
    extra_free(entry->extra);
    entry->extra = NULL;
    TAILQ_REMOVE(list, entry, link);
    TAILQ_INSERT_HEAD(&journal->spare, entry, link);
    journal->free++;
}

static void entered_locked(struct jobd *jobd, struct job *job, bool written, struct effects *after)
    REQUIRES(jobd->lock)
{
    struct queue *queue = &jobd->queues[job->queue];
    queue->entering--;
    if (written) {
        queue->admitted++;
        transition_enter_locked(jobd, job);
    } else {
        jobs_drop(&jobd->jobs, job, after);
    }
}

/* Up to so many of its jobs; false when some are left. */
static bool settle_jobs_locked(struct jobd *jobd, struct change *entry, bool written,
                               int64_t now_us, int *left, struct effects *after)
    REQUIRES(jobd->lock)
{
    struct queue *queue = NULL;
    struct job *job;
    while ((job = TAILQ_FIRST(&entry->jobs)) != NULL && --*left >= 0) {
        TAILQ_REMOVE(&entry->jobs, job, link);
        queue = &jobd->queues[job->queue];
        if (entry->kind == CHANGE_PUT)
            entered_locked(jobd, job, written, after);
        else if (written)
            transition_cancel_locked(jobd, job, entry->at_us, after);
        else
            transition_reinstate_locked(jobd, job);
    }
    if (queue != NULL)
        dispatch_locked(jobd, queue, now_us, after);
    return job == NULL;
}

static void retried_locked(struct jobd *jobd, struct change *entry, bool written, int64_t now_us,
                           struct effects *after) REQUIRES(jobd->lock)
{
    struct job *job = entry->job;
    jobd->queues[job->queue].entering--;
    jobd->jobs.reviving--;
    job->commit_pending = false;
    if (written)
        transition_retry_locked(jobd, job, entry->at_us, after);
    else
        jobs_remember(&jobd->jobs, job, after);
    dispatch_locked(jobd, &jobd->queues[job->queue], now_us, after);
}

/* A lease that nobody was told of is none. */
static void unleased_locked(struct jobd *jobd, struct job *job, bool written, int64_t now_us,
                            struct effects *after) REQUIRES(jobd->lock)
{
    if (job->commit_pending) /* it ends as it is */
        return;
    if (written) {
        (void)attempt_release_locked(jobd, job, 0, NULL, now_us, after);
        return;
    }
    const struct ending back = {
        .cut = true, .to = JOBD_QUEUED, .at_us = now_us, .ready_us = now_us};
    struct job_extra *none = NULL;
    attempt_apply_locked(jobd, job, &back, &none, after);
}

static void attempt_locked(struct jobd *jobd, struct change *entry, bool written,
                           struct effects *after) REQUIRES(jobd->lock)
{
    if (written) {
        attempt_apply_locked(jobd, entry->job, &entry->ending, &entry->extra, after);
    } else {
        entry->job->commit_pending = false;
        jobs_throw_away(entry->ending.outcome.output, after);
        jobs_throw_away(entry->ending.outcome.error, after);
    }
    entry->ending.outcome.output = entry->ending.outcome.error = NULL;
}

static enum jobd_result result_of_locked(struct jobd *jobd, const struct change *entry,
                                         bool written) REQUIRES(jobd->lock)
{
    if (entry->kind == CHANGE_DUPLICATE) /* it stood behind the job */
        return jobs_seen(&jobd->jobs, entry->number) != NULL ? JOBD_OK : JOBD_STORE_FAILED;
    if (!written)
        return JOBD_STORE_FAILED;
    if (entry->kind == CHANGE_MARK && jobd->journal.failures != entry->number)
        return JOBD_STORE_FAILED;
    return entry->result;
}

/* Applies or undoes the first entry of the list, or as much of it as `left` allows. */
static void conclude_locked(struct jobd *jobd, struct change_list *list, struct change *entry,
                            bool written, int64_t now_us, int *left, struct effects *after)
    REQUIRES(jobd->lock)
{
    switch (entry->kind) {
    case CHANGE_PUT:
    case CHANGE_CANCEL:
        if (!settle_jobs_locked(jobd, entry, written, now_us, left, after))
            return;
        break;
    case CHANGE_RETRY:
        retried_locked(jobd, entry, written, now_us, after);
        break;
    case CHANGE_END:
        attempt_locked(jobd, entry, written, after);
        break;
    case CHANGE_LEASE:
        if (!written || entry->waiter == NULL)
            unleased_locked(jobd, entry->job, written, now_us, after);
        else if (entry->job->payload != NULL)
            entry->waiter->task.payload = jobd_blob_ref(entry->job->payload);
        break;
    case CHANGE_DUPLICATE:
    case CHANGE_MARK:
    case CHANGE_TAKE:
    case CHANGE_EXTEND:
    case CHANGE_STOP:
        break;
    }
    --*left;
    close_locked(jobd, list, entry, result_of_locked(jobd, entry, written), now_us, after);
}

void journal_written(struct jobd *jobd, int64_t now_us)
{
    bool more = true;
    while (more) {
        int left = AT_A_TIME;
        struct change *entry;
        struct job *job;
        EFFECTS(after);
        mutex_lock(&jobd->lock);
        struct journal *journal = &jobd->journal;
        while (left > 0 && (entry = TAILQ_FIRST(&journal->gathered)) != NULL)
            conclude_locked(jobd, &journal->gathered, entry, true, now_us, &left, &after);
        for (; left > 0 && (job = TAILQ_FIRST(&jobd->jobs.forgotten_gathered)) != NULL; left--) {
            TAILQ_REMOVE(&jobd->jobs.forgotten_gathered, job, link);
            jobs_release_record(&jobd->jobs, job);
        }
        more = left <= 0;
        unlock_and_tell(jobd, &after);
    }
}

void journal_failed(struct jobd *jobd, int64_t now_us)
{
    struct change *entry, *before;
    bool more = true;
    mutex_lock(&jobd->lock);
    jobd->journal.failures++;
    mutex_unlock(&jobd->lock);
    while (more) {
        int left = AT_A_TIME;
        EFFECTS(after);
        mutex_lock(&jobd->lock);
        struct journal *journal = &jobd->journal;
        for (entry = TAILQ_FIRST(&journal->gathered); entry != NULL && left > 0; entry = before) {
            before = TAILQ_NEXT(entry, link);
            if (entry->asked)
                conclude_locked(jobd, &journal->gathered, entry, false, now_us, &left, &after);
        }
        more = left <= 0;
        if (!more) { /* only those are left that are to be gathered again, in their order */
            TAILQ_CONCAT(&journal->gathered, &journal->waiting, link);
            TAILQ_CONCAT(&journal->waiting, &journal->gathered, link);
            TAILQ_CONCAT(&jobd->jobs.forgotten_gathered, &jobd->jobs.forgotten, link);
            TAILQ_CONCAT(&jobd->jobs.forgotten, &jobd->jobs.forgotten_gathered, link);
            journal->notified = false; /* what comes now may be tried at once */
        }
        unlock_and_tell(jobd, &after);
    }
}

void journal_refuse(struct jobd *jobd, bool refuse, int64_t now_us)
{
    bool more = true;
    while (more) {
        int left = AT_A_TIME;
        struct change *entry, *next;
        EFFECTS(after);
        mutex_lock(&jobd->lock);
        struct journal *journal = &jobd->journal;
        journal->refuses = refuse;
        entry = refuse ? TAILQ_FIRST(&journal->waiting) : NULL;
        for (; entry != NULL && left > 0; entry = next) {
            next = TAILQ_NEXT(entry, link);
            if (entry->kind == CHANGE_PUT || entry->kind == CHANGE_RETRY)
                conclude_locked(jobd, &journal->waiting, entry, false, now_us, &left, &after);
        }
        more = left <= 0;
        unlock_and_tell(jobd, &after);
    }
}
