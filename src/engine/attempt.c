/* SPDX-License-Identifier: MIT */
#include "engine/attempt.h"

#include "engine/dispatch.h"
#include "engine/job_info.h"
#include "engine/append.h"
#include "engine/transition.h"

/* ---- whether it is tried again */

/* Numbers without a pattern (Steele, Lea and Flood's SplitMix64, 2014). */
static uint64_t splitmix64(uint64_t number)
{
    number += 0x9e3779b97f4a7c15;
    number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9;
    number = (number ^ number >> 27) * 0x94d049bb133111eb;
    return number ^ number >> 31;
}

/* Jobs that failed together shall not come back together: half of the time is chance. */
static int64_t backoff_us(const struct queue *queue, const struct job *job)
{
    int64_t most_us = queue->backoff_min_us;
    for (unsigned i = 0; i < job->attempt && most_us < queue->backoff_max_us; i++)
        most_us = most_us <= queue->backoff_max_us / 2 ? most_us * 2 : queue->backoff_max_us;
    uint64_t chance = splitmix64(job->id * (JOBD_ATTEMPTS_MAX + 1) + job->attempt);
    int64_t us = most_us / 2 + (int64_t)(chance % (uint64_t)(most_us - most_us / 2 + 1));
    return us > queue->backoff_min_us ? us : queue->backoff_min_us;
}

static bool will_retry(struct jobd *jobd, const struct job *job, const struct jobd_outcome *outcome)
    REQUIRES(jobd->lock)
{
    return outcome->state == JOBD_FAILED && !outcome->for_good && !job->stopping &&
           (!jobd->abandoned || journal_on(&jobd->journal)) && job->attempt < job->attempts;
}

/* What an end with this outcome is: decided when it comes, also when it is to be written first. */
static void attempt_outcome_locked(struct jobd *jobd, const struct job *job,
                                   const struct jobd_outcome *outcome, int64_t now_us,
                                   struct ending *ending) REQUIRES(jobd->lock)
{
    *ending = (struct ending){
        .outcome = *outcome, .to = outcome->state, .at_us = now_us, .ready_us = now_us};
    if (will_retry(jobd, job, outcome)) {
        int64_t wait_us = outcome->retry_exactly ? 0 : backoff_us(&jobd->queues[job->queue], job);
        ending->to = JOBD_SCHEDULED;
        ending->ready_us =
            later_us(now_us, wait_us > outcome->retry_in_us ? wait_us : outcome->retry_in_us);
    }
    if (outcome->state != JOBD_DONE && job->requeue_on_stop && !job->stopping)
        ending->to = JOBD_QUEUED;
    else if (outcome->state == JOBD_FAILED && job->stopping)
        ending->to = JOBD_CANCELLED;
}

/* ---- ends */

/* Takes output, error and, when the job has none yet, *extra. */
static void keep_outcome_locked(struct jobd *jobd, struct job *job,
                                const struct jobd_outcome *outcome, struct job_extra **extra,
                                struct effects *after) REQUIRES(jobd->lock)
{
    struct jobs *jobs = &jobd->jobs;
    job->exited = outcome->exited;
    job->exit_code = (uint8_t)outcome->exit_code;
    job->output_truncated = outcome->output_truncated;
    if (job->extra == NULL && outcome->output == NULL && outcome->error == NULL)
        return;
    if (jobs_extend(jobs, job, extra, after)) {
        job->output_truncated |= !jobs_set(jobs, &job->extra->output, outcome->output, after);
        (void)jobs_set(jobs, &job->extra->error, outcome->error, after);
    } else {
        job->output_truncated |= outcome->output != NULL;
        jobs_throw_away(outcome->output, after);
        jobs_throw_away(outcome->error, after);
    }
}

static void leave_running_locked(struct jobd *jobd, struct job *job) REQUIRES(jobd->lock)
{
    TAILQ_REMOVE(&jobd->queues[job->queue].running, job, link);
    if (job->leased) {
        lease_revoke(&jobd->leases, job->lease);
        jobd->queues[job->queue].leased--;
    } else {
        jobd->queues[job->queue].ending -= job->commit_pending;
    }
    job->leased = job->commit_pending = job->requeue_on_stop = false;
}

/* Back in the queue as if it had not been taken. */
static void go_back_locked(struct jobd *jobd, struct job *job, const struct ending *ending,
                           struct effects *after) REQUIRES(jobd->lock)
{
    job->attempt--;
    job->stopping = false;
    job->ready_us = ending->ready_us;
    job->delayed = ending->ready_us > ending->at_us;
    transition_return_locked(jobd, job);
    jobs_throw_away(ending->outcome.output, after);
    jobs_throw_away(ending->outcome.error, after);
}

void attempt_apply_locked(struct jobd *jobd, struct job *job, const struct ending *ending,
                          struct job_extra **extra, struct effects *after)
{
    struct queue *queue = &jobd->queues[job->queue];
    leave_running_locked(jobd, job);
    if (ending->to == JOBD_QUEUED) {
        go_back_locked(jobd, job, ending, after);
        dispatch_locked(jobd, queue, ending->at_us, after);
        return;
    }
    if (!ending->cut) {
        histogram_add(&queue->ran, ending->at_us - job->started_us);
        rate_ran(&queue->rate, ending->at_us - job->started_us);
        keep_outcome_locked(jobd, job, &ending->outcome, extra, after);
    }
    if (ending->to == JOBD_SCHEDULED) {
        job->ready_us = ending->ready_us;
        job->delayed = true;
        queue->retried++;
        transition_return_locked(jobd, job);
    } else {
        transition_finish_locked(jobd, job, ending->to, ending->at_us, after);
    }
    dispatch_locked(jobd, queue, ending->at_us, after);
}

enum jobd_result attempt_end_as_locked(struct jobd *jobd, struct job *job,
                                       const struct ending *ending, struct job_extra **extra,
                                       struct jobd_waiter *waiter, enum jobd_result result,
                                       int64_t now_us, struct effects *after)
{
    if (!journal_on(&jobd->journal)) {
        attempt_apply_locked(jobd, job, ending, extra, after);
        return result;
    }
    if (waiter != NULL && !journal_admits_locked(jobd, waiter))
        return JOBD_TOO_MANY_WAITERS;
    struct change *entry = journal_append_locked(jobd, CHANGE_END, job, waiter, now_us, after);
    entry->asked = waiter != NULL;
    entry->result = result;
    entry->ending = *ending;
    entry->extra = *extra;
    *extra = NULL;
    job->commit_pending = true;
    jobd->queues[job->queue].ending += !job->leased;
    return waiter != NULL ? JOBD_PENDING : result;
}

enum jobd_result attempt_end_locked(struct jobd *jobd, struct job *job,
                                    const struct jobd_outcome *outcome, struct job_extra **extra,
                                    struct jobd_waiter *waiter, int64_t now_us,
                                    struct effects *after)
{
    struct ending ending;
    attempt_outcome_locked(jobd, job, outcome, now_us, &ending);
    return attempt_end_as_locked(jobd, job, &ending, extra, waiter, JOBD_OK, now_us, after);
}

enum jobd_result attempt_release_locked(struct jobd *jobd, struct job *job, int64_t delay_us,
                                        struct jobd_waiter *waiter, int64_t now_us,
                                        struct effects *after)
{
    struct job_extra *none = NULL;
    struct ending ending = {
        .cut = true, .to = JOBD_QUEUED, .at_us = now_us, .ready_us = later_us(now_us, delay_us)};
    if (jobd->abandoned && !journal_on(&jobd->journal)) /* nobody will take it any more */
        ending.to = JOBD_CANCELLED;
    return attempt_end_as_locked(jobd, job, &ending, &none, waiter, JOBD_OK, now_us, after);
}

void jobd_finish(struct jobd *jobd, const struct jobd_task *task,
                 const struct jobd_outcome *outcome, int64_t now_us)
{
    struct job_extra *extra = extra_for(outcome);
    verify(jobd_state_final(outcome->state));
    EFFECTS(after);
    mutex_lock(&jobd->lock);
    struct job *job = jobs_find(&jobd->jobs, task->id);
    verify(job != NULL && job->state == JOBD_RUNNING && job->attempt == task->attempt);
    verify(!job->leased && !job->commit_pending);
    (void)attempt_end_locked(jobd, job, outcome, &extra, NULL, now_us, &after);
    unlock_and_tell(jobd, &after);
    extra_free(extra);
}
