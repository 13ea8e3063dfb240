/* SPDX-License-Identifier: MIT */
/* Jobs that shall not run, or not now: one is cancelled, a queue is purged or paused, all is given
 * up. */
#include "engine/attempt.h"
#include "engine/dispatch.h"
#include "engine/append.h"
#include "engine/transition.h"

enum { AT_A_TIME = 256 }; /* bounds how long purge holds the lock */

/* ---- one job */

static void tell_to_stop_locked(const struct job *job, struct effects *after)
{
    after->stop = job->holder;
    after->stop_task =
        (struct jobd_task){.id = job->id, .queue = job->queue, .attempt = job->attempt};
}

/* A worker is told; a lease is taken away, and whoever has it learns when it comes back. */
static enum jobd_result stop_running_locked(struct jobd *jobd, struct job *job,
                                            struct jobd_waiter *waiter, int64_t now_us,
                                            struct effects *after) REQUIRES(jobd->lock)
{
    if (job->leased) {
        struct job_extra *none = NULL;
        const struct ending ending = {.cut = true, .to = JOBD_CANCELLED, .at_us = now_us};
        return attempt_end_as_locked(jobd, job, &ending, &none, waiter, JOBD_STOPPING, now_us,
                                     after);
    }
    if (journal_on(&jobd->journal)) {
        if (!journal_admits_locked(jobd, waiter))
            return JOBD_TOO_MANY_WAITERS;
        journal_append_locked(jobd, CHANGE_STOP, job, waiter, now_us, after)->result =
            JOBD_STOPPING;
    }
    job->stopping = true;
    tell_to_stop_locked(job, after);
    return journal_on(&jobd->journal) && waiter != NULL ? JOBD_PENDING : JOBD_STOPPING;
}

static enum jobd_result cancel_locked(struct jobd *jobd, struct job *job,
                                      struct jobd_waiter *waiter, int64_t now_us,
                                      struct effects *after) REQUIRES(jobd->lock)
{
    if (job->commit_pending || jobd_state_final((enum jobd_state)job->state))
        return JOBD_FINISHED;
    if (job->state == JOBD_RUNNING)
        return stop_running_locked(jobd, job, waiter, now_us, after);
    struct queue *queue = &jobd->queues[job->queue];
    if (!journal_on(&jobd->journal)) {
        transition_withdraw_locked(jobd, job);
        transition_cancel_locked(jobd, job, now_us, after);
        dispatch_locked(jobd, queue, now_us, after);
        return JOBD_OK;
    }
    if (!journal_admits_locked(jobd, waiter))
        return JOBD_TOO_MANY_WAITERS;
    transition_withdraw_locked(jobd, job);
    journal_add_job(journal_append_locked(jobd, CHANGE_CANCEL, NULL, waiter, now_us, after), job);
    return waiter != NULL ? JOBD_PENDING : JOBD_OK;
}

enum jobd_result jobd_cancel(struct jobd *jobd, uint64_t id, struct jobd_waiter *waiter,
                             int64_t now_us)
{
    EFFECTS(after);
    mutex_lock(&jobd->lock);
    struct job *job = jobs_seen(&jobd->jobs, id);
    enum jobd_result result =
        job != NULL ? cancel_locked(jobd, job, waiter, now_us, &after) : JOBD_NO_JOB;
    unlock_and_tell(jobd, &after);
    return result;
}

/* ---- a queue */

void jobd_pause(struct jobd *jobd, uint32_t queue_index, bool paused, int64_t now_us)
{
    verify(queue_index < jobd->queues_len);
    struct queue *queue = &jobd->queues[queue_index];
    EFFECTS(after);
    mutex_lock(&jobd->lock);
    queue->paused = paused;
    rate_waits(&queue->rate, now_us);
    dispatch_locked(jobd, queue, now_us, &after);
    unlock_and_tell(jobd, &after);
}

/* Waiting jobs of the queue with an id below `below`; those that came later stand behind them.
 * *crowded: the journal has no room. */
static uint32_t purge_some_locked(struct jobd *jobd, struct queue *queue, uint64_t below,
                                  int64_t now_us, bool *crowded, struct effects *after)
    REQUIRES(jobd->lock)
{
    uint32_t purged = 0;
    uint64_t id;
    struct job *job;
    struct job_list found = TAILQ_HEAD_INITIALIZER(found);
    *crowded = journal_on(&jobd->journal) && !journal_admits_locked(jobd, NULL);
    if (*crowded)
        return 0;
    /* Those that came back stand in front, whatever their id. */
    for (struct job *next = TAILQ_FIRST(&queue->scheduled);
         (job = next) != NULL && purged < AT_A_TIME;) {
        next = TAILQ_NEXT(job, link);
        if (job->id < below) {
            transition_withdraw_locked(jobd, job);
            TAILQ_INSERT_TAIL(&found, job, link);
            purged++;
        }
    }
    for (unsigned lane = 0; lane < JOBD_PRIORITIES; lane++) {
        while (purged < AT_A_TIME && (id = ring_peek(&queue->lanes[lane])) != 0 && id < below) {
            job = jobs_find(&jobd->jobs, id);
            transition_withdraw_locked(jobd, job);
            TAILQ_INSERT_TAIL(&found, job, link);
            purged++;
        }
    }
    struct change *entry = NULL;
    if (purged > 0 && journal_on(&jobd->journal))
        entry = journal_append_locked(jobd, CHANGE_CANCEL, NULL, NULL, now_us, after);
    while ((job = TAILQ_FIRST(&found)) != NULL) {
        TAILQ_REMOVE(&found, job, link);
        if (entry != NULL)
            journal_add_job(entry, job);
        else
            transition_cancel_locked(jobd, job, now_us, after);
    }
    dispatch_locked(jobd, queue, now_us, after);
    return purged;
}

enum jobd_result jobd_purge(struct jobd *jobd, uint32_t queue_index, struct jobd_waiter *waiter,
                            int64_t now_us, uint32_t *purged)
{
    verify(queue_index < jobd->queues_len);
    struct queue *queue = &jobd->queues[queue_index];
    enum jobd_result result = JOBD_OK;
    uint64_t below = 0, failures = 0;
    uint32_t more;
    bool crowded;
    *purged = 0;
    do {
        EFFECTS(after);
        mutex_lock(&jobd->lock);
        if (below == 0) {
            below = jobd->next_id;
            failures = jobd->journal.failures;
        }
        more = purge_some_locked(jobd, queue, below, now_us, &crowded, &after);
        *purged += more;
        if (crowded || (more == 0 && waiter != NULL && journal_on(&jobd->journal)))
            result = journal_admits_locked(jobd, waiter) ? JOBD_PENDING : JOBD_TOO_MANY_WAITERS;
        if (result == JOBD_PENDING)
            journal_append_locked(jobd, CHANGE_MARK, NULL, waiter, now_us, &after)->number =
                failures;
        unlock_and_tell(jobd, &after);
    } while (more > 0);
    return result;
}

/* ---- all */

/* The next one that runs and has not been told to stop. */
static bool stop_one_locked(struct jobd *jobd, int64_t now_us, struct effects *after)
    REQUIRES(jobd->lock)
{
    bool lasts = journal_on(&jobd->journal);
    struct job *job = NULL;
    for (uint32_t i = 0; i < jobd->queues_len && job == NULL; i++)
        TAILQ_FOREACH (job, &jobd->queues[i].running, link)
            if (!job->stopping && !job->requeue_on_stop &&
                !(lasts && (job->leased || job->commit_pending)))
                break;
    if (job == NULL)
        return false;
    if (lasts) {
        job->requeue_on_stop = true;
        tell_to_stop_locked(job, after);
    } else {
        (void)stop_running_locked(jobd, job, NULL, now_us, after);
    }
    return true;
}

void jobd_cancel_all(struct jobd *jobd, int64_t now_us)
{
    uint32_t purged;
    bool more;
    mutex_lock(&jobd->lock);
    jobd->abandoned = true; /* what fails from now on does not come back */
    bool lasts = journal_on(&jobd->journal);
    mutex_unlock(&jobd->lock);
    for (uint32_t i = 0; i < jobd->queues_len && !lasts; i++)
        (void)jobd_purge(jobd, i, NULL, now_us, &purged);
    do {
        EFFECTS(after);
        mutex_lock(&jobd->lock);
        more = stop_one_locked(jobd, now_us, &after);
        unlock_and_tell(jobd, &after);
    } while (more);
}
