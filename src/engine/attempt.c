/* SPDX-License-Identifier: MIT */
#include "engine/attempt.h"

#include <string.h>

#include "engine/blob.h"
#include "engine/breaker.h"
#include "engine/describe.h"
#include "engine/errors.h"
#include "engine/histogram.h"
#include "engine/said.h"
#include "engine/changes.h"
#include "engine/tally.h"
#include "engine/touched.h"
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

/* Exponential, between the queue's least and most; half of it random, so that jobs that failed
 * together do not come back together. */
static int64_t backoff_us(const struct queue *queue, const struct job *job)
{
    int64_t most_us = queue->backoff_min_us;
    for (unsigned i = 0; i < job->attempt && most_us < queue->backoff_max_us; i++)
        most_us = most_us <= queue->backoff_max_us / 2 ? most_us * 2 : queue->backoff_max_us;
    uint64_t chance = splitmix64(job->id * (JOBD_ATTEMPTS_MAX + 1) + job->attempt);
    int64_t us = most_us / 2 + (int64_t)(chance % (uint64_t)(most_us - most_us / 2 + 1));
    return us > queue->backoff_min_us ? us : queue->backoff_min_us;
}

/* What goes back now would wait for nobody. */
static bool is_last_chance_locked(struct op *op) REQUIRES(op->jobd->lock)
{
    return op->jobd->cancelling && !op->jobd->durable;
}

static bool will_retry_locked(struct op *op, const struct job *job,
                              const struct jobd_outcome *outcome) REQUIRES(op->jobd->lock)
{
    return outcome->state == JOBD_FAILED && !outcome->for_good && !job->stopping &&
           !is_last_chance_locked(op) && job->attempt < job->attempts;
}

static struct ending ending_locked(struct op *op, const struct job *job,
                                   const struct jobd_outcome *outcome) REQUIRES(op->jobd->lock)
{
    struct ending ending = {
        .outcome = *outcome, .has_outcome = true, .to = outcome->state, .ready_us = op->now_us};
    if (will_retry_locked(op, job, outcome)) {
        int64_t wait_us =
            outcome->retry_exactly ? 0 : backoff_us(&op->jobd->queues[job->queue], job);
        if (wait_us < outcome->retry_in_us)
            wait_us = outcome->retry_in_us;
        ending.to = JOBD_SCHEDULED;
        ending.ready_us = later_us(op->now_us, wait_us);
    }
    if (outcome->state != JOBD_DONE && job->requeue_on_stop && !job->stopping)
        ending.to = JOBD_QUEUED;
    if (!job->leased && !job->elsewhere &&
        !breaker_ended_locked(op, &op->jobd->queues[job->queue], job, outcome) && !job->stopping &&
        !is_last_chance_locked(op)) {
        ending.to = JOBD_QUEUED;
        ending.ready_us = later_us(op->now_us, outcome->retry_in_us);
    }
    return ending;
}

/* Where it goes, as far as is known by now: that it is to stop may have been written since, or not.
 */
static enum jobd_state end_state(const struct change *change)
{
    const struct ending *ending = &change->ending;
    bool stops = change->job->stopping || change->job->stops_pending > 0;
    bool failed = ending->has_outcome && ending->outcome.state == JOBD_FAILED;
    return failed && stops ? JOBD_CANCELLED : ending->to;
}

/* ---- the end, written or not */

/* It came to nothing. */
static void discard_outcome(struct op *op, struct ending *ending)
{
    op_discard(op, ending->outcome.output);
    op_discard(op, ending->outcome.error);
    op_discard(op, ending->errors);
    ending->outcome.output = ending->outcome.error = ending->errors = NULL;
}

static void keep_errors_locked(struct op *op, struct job *job, struct change *change)
    REQUIRES(op->jobd->lock)
{
    struct ending *ending = &change->ending;
    if (ending->errors == NULL)
        return;
    bool kept = jobs_set(&op->jobd->jobs, &job->extra->errors, ending->errors, op);
    job->extra->errors_us = kept ? change->at_us : 0;
    ending->errors = NULL;
}

/* Takes output, error, errors and, when the job has none yet, the change's extra. */
static void keep_outcome_locked(struct op *op, struct job *job, struct change *change)
    REQUIRES(op->jobd->lock)
{
    struct jobs *jobs = &op->jobd->jobs;
    struct ending *ending = &change->ending;
    struct jobd_outcome *outcome = &ending->outcome;
    bool leaves = outcome->output != NULL || outcome->error != NULL || ending->errors != NULL;
    job->exited = outcome->exited;
    job->exit_code = (uint8_t)outcome->exit_code;
    job->output_truncated = outcome->output_truncated;
    if (job->extra == NULL && !leaves)
        return;
    if (jobs_extend(jobs, job, &change->extra, op)) {
        job->output_truncated |= !jobs_set(jobs, &job->extra->output, outcome->output, op);
        (void)jobs_set(jobs, &job->extra->error, outcome->error, op);
        outcome->output = outcome->error = NULL;
        keep_errors_locked(op, job, change);
    } else {
        job->output_truncated |= outcome->output != NULL;
        discard_outcome(op, ending);
    }
}

static void go_back_locked(struct op *op, struct job *job, struct change *change)
    REQUIRES(op->jobd->lock)
{
    struct ending *ending = &change->ending;
    job->attempt--;
    job->stopping = false;
    job->ready_us = ending->ready_us;
    job->delayed = ending->ready_us > change->at_us;
    job->by_wall = false;
    transition_return_locked(op, job);
    discard_outcome(op, ending);
}

/* How long the attempt ran, as far as is known. */
static int64_t ran_us(const struct job *job, int64_t until_us)
{
    int64_t began_us = job->leased ? job->lease->began_us : job->started_us;
    return began_us > 0 && began_us < until_us ? until_us - began_us : 0;
}

/* Its report may not be noted yet; lease_expire_locked() has errors of its own. */
static void count_lease_locked(struct op *op, const struct job *job, const struct change *change)
    REQUIRES(op->jobd->lock)
{
    const struct leases *leases = &op->jobd->leases;
    const struct jobd_blob *error = change->ending.outcome.error;
    struct queue *queue = &op->jobd->queues[job->queue];
    if (!job->leased)
        return;
    if (error != NULL && (error == leases->expired || error == leases->timed_out))
        tally_add(op, queue, TALLY_LEASES_EXPIRED, 1);
    if (end_state(change) == JOBD_QUEUED)
        tally_add(op, queue, TALLY_LEASES_RELEASED, 1);
}

static void apply_end_locked(struct op *op, struct change *change, struct job *job)
    REQUIRES(op->jobd->lock)
{
    struct queue *queue = &op->jobd->queues[job->queue];
    struct ending *ending = &change->ending;
    enum jobd_state to = end_state(change);
    int64_t took_us = ran_us(job, change->at_us);
    if (ending->has_outcome && ending->outcome.state == JOBD_FAILED &&
        (to == JOBD_SCHEDULED || to == JOBD_FAILED))
        op->tell_failure |=
            failures_note(&op->jobd->failures, job, &ending->outcome, to == JOBD_FAILED);
    count_lease_locked(op, job, change);
    transition_leave_running_locked(op, job);
    if (to == JOBD_QUEUED)
        said_forget_locked(op, job);
    else
        said_end_locked(op, job);
    if (to != JOBD_QUEUED && ending->has_outcome) {
        histogram_add(&queue->ran, took_us);
        rate_ran(&queue->rate, took_us);
        keep_outcome_locked(op, job, change);
    }
    if (to == JOBD_QUEUED) {
        go_back_locked(op, job, change);
    } else if (to == JOBD_SCHEDULED) {
        job->ready_us = ending->ready_us;
        job->delayed = true;
        job->by_wall = false;
        queue->retried++;
        transition_return_locked(op, job);
    } else {
        transition_finish_locked(op, job, to, change->at_us);
    }
}

static void record_outcome(struct job_record *record, const struct change *change)
{
    const struct jobd_outcome *outcome = &change->ending.outcome;
    record->output = outcome->output;
    record->error = outcome->error;
    record->output_truncated = outcome->output_truncated;
    record->exited = outcome->exited;
    record->exit_code = outcome->exit_code;
    if (change->ending.errors != NULL) {
        record->errors = change->ending.errors;
        record->errors_us = change->at_us;
    }
}

static size_t outcome_bytes(const struct ending *ending)
{
    return blob_weight(ending->outcome.output) + blob_weight(ending->outcome.error) +
           blob_weight(ending->errors);
}

static void undo_end_locked(struct op *op, struct change *change, struct job *job)
    REQUIRES(op->jobd->lock)
{
    op->jobd->queues[job->queue].end_pending -= !job->leased;
    job->commit_pending = false;
    if (job->leased)
        job->lease->report = LEASE_NO_REPORT;
    discard_outcome(op, &change->ending);
}

static bool ends_by_expiry(const struct change *change)
{
    return change->job->leased && change->job->lease->report == LEASE_NO_REPORT;
}

/* The job as it will be when its attempt has ended so. */
static void describe_end(const struct change *change, struct job_record *record)
{
    const struct ending *ending = &change->ending;
    enum jobd_state to = end_state(change);
    if (to == JOBD_QUEUED || (to == JOBD_SCHEDULED && !ends_by_expiry(change)))
        record->token = ""; /* else its report may come again, or late */
    record->expires_us = record->began_us = 0;
    record->stopping = record->by_wall = false;
    record->state = to;
    if (!jobd_state_final(to))
        record->delayed = ending->ready_us > change->at_us;
    if (to == JOBD_QUEUED) {
        describe_nothing_said(record);
        record->attempt--;
        record->state = waits_as(NULL, record->delayed);
    } else if (ending->has_outcome) {
        record_outcome(record, change);
    }
    if (jobd_state_final(to)) {
        record->finished_us = change->at_us;
    } else {
        record->started_us = 0;
        record->ready_us = ending->ready_us;
    }
}

static const struct change_kind end_kind = {.name = "end",
                                            .row = ROW_SET,
                                            .describe = describe_end,
                                            .apply = apply_end_locked,
                                            .undo = undo_end_locked};

/* ---- the late end of a job that waits again */

static void apply_late_locked(struct op *op, struct change *change, struct job *job)
    REQUIRES(op->jobd->lock)
{
    keep_outcome_locked(op, job, change);
    transition_end_waiting_locked(op, job, JOBD_DONE, change->ending.started_us, change->at_us);
    const struct lease *lease = lease_find(&op->jobd->leases, change->ending.token);
    if (op->jobd->share != NULL && lease != NULL)
        share_touch_lease_locked(op, lease);
}

static void undo_late_locked(struct op *op, struct change *change, struct job *job)
    REQUIRES(op->jobd->lock)
{
    struct lease *lease = lease_find(&op->jobd->leases, change->ending.token);
    if (lease != NULL)
        lease->report = LEASE_NO_REPORT;
    discard_outcome(op, &change->ending);
    transition_reinstate_locked(op, job);
}

static void describe_late(const struct change *change, struct job_record *record)
{
    record->state = JOBD_DONE;
    record->token = change->ending.token;
    record->started_us = change->ending.started_us;
    record->finished_us = change->at_us;
    record_outcome(record, change);
}

static const struct change_kind late_kind = {.name = "late end",
                                             .row = ROW_SET,
                                             .describe = describe_late,
                                             .apply = apply_late_locked,
                                             .undo = undo_late_locked};

/* What was appended before the lease has expired. */
static void keep_output_locked(struct op *op, const struct job *job, struct jobd_outcome *outcome)
    REQUIRES(op->jobd->lock)
{
    (void)op;
    if (job->extra == NULL || job->extra->output == NULL)
        return;
    outcome->output = jobd_blob_ref(job->extra->output);
    outcome->output_truncated = job->output_truncated;
}

enum jobd_result attempt_end_late_locked(struct op *op, struct job *job, const struct lease *lease,
                                         const struct jobd_outcome *outcome,
                                         struct job_extra **extra)
{
    struct change change;
    if (!change_has_room_locked(op, op->waiter))
        return JOBD_TOO_MANY_WAITERS;
    change_init(&change, op, &late_kind, job);
    change.ending = (struct ending){
        .outcome = *outcome, .has_outcome = true, .to = JOBD_DONE, .started_us = lease->started_us};
    if (outcome->output == NULL)
        keep_output_locked(op, job, &change.ending.outcome);
    memcpy(change.ending.token, lease->token, sizeof change.ending.token);
    change.extra = *extra;
    change.bytes = outcome_bytes(&change.ending);
    *extra = NULL;
    transition_withdraw_locked(op, job);
    return change_submit_locked(op, &change);
}

/* ---- ends */

/* `result` in place of JOBD_OK. Without somebody who could ask again it is written sooner or later.
 */
static enum jobd_result end_locked(struct op *op, struct job *job, const struct ending *ending,
                                   struct job_extra **extra, enum jobd_result result)
    REQUIRES(op->jobd->lock)
{
    struct change change;
    bool asked = op->waiter != NULL || op->grouped;
    if (asked && !change_has_room_locked(op, op->waiter))
        return JOBD_TOO_MANY_WAITERS;
    change_init(&change, op, &end_kind, job);
    /* Or it is revoked, which is asked for again, and void with a start that fails. */
    change.undo_on_failure = asked || result == JOBD_STOPPING;
    change.result = result;
    change.ending = *ending;
    if (ending->has_outcome && ending->outcome.output == NULL)
        change.ending.outcome.output =
            said_output_locked(op, job, &change.ending.outcome.output_truncated);
    change.extra = *extra;
    change.bytes = outcome_bytes(&change.ending);
    *extra = NULL;
    job->commit_pending = true;
    op->jobd->queues[job->queue].end_pending += !job->leased;
    return change_submit_locked(op, &change);
}

enum jobd_result attempt_end_locked(struct op *op, struct job *job,
                                    const struct jobd_outcome *outcome, struct job_extra **extra)
{
    struct ending ending = ending_locked(op, job, outcome);
    if (outcome->state == JOBD_FAILED && *extra != NULL)
        ending.errors = errors_with(job, outcome, op->now_us);
    return end_locked(op, job, &ending, extra, JOBD_OK);
}

enum jobd_result attempt_release_locked(struct op *op, struct job *job, int64_t delay_us)
{
    struct job_extra *none = NULL;
    const struct ending ending = {.to = is_last_chance_locked(op) ? JOBD_CANCELLED : JOBD_QUEUED,
                                  .ready_us = later_us(op->now_us, delay_us)};
    return end_locked(op, job, &ending, &none, JOBD_OK);
}

enum jobd_result attempt_revoke_locked(struct op *op, struct job *job)
{
    struct job_extra *none = NULL;
    const struct said *said = said_of(job);
    const struct ending ending = {.to = JOBD_CANCELLED,
                                  .has_outcome = said != NULL && said->output != NULL,
                                  .outcome.state = JOBD_CANCELLED};
    return end_locked(op, job, &ending, &none, JOBD_STOPPING);
}

void attempt_lose_locked(struct op *op, struct job *job)
{
    const struct jobd_outcome lost = {.state = JOBD_FAILED,
                                      .retry_exactly = true,
                                      .error = jobd_blob_text("the server ended while it ran")};
    struct job_extra *extra = extra_for(&lost);
    (void)attempt_end_locked(op, job, &lost, &extra);
    extra_free(extra);
}

void attempt_undo_locked(struct op *op, struct job *job)
{
    struct change change;
    change_init(&change, op, &end_kind, job);
    change.ending = (struct ending){.to = JOBD_QUEUED, .ready_us = op->now_us};
    apply_end_locked(op, &change, job);
}
