/* SPDX-License-Identifier: MIT */
/* The verbs by which jobs shall not run, or not now: one is cancelled, a queue is paused, all are
 * stopped. */
#include "engine/attempt.h"
#include "engine/cancel_kind.h"
#include "engine/dispatch.h"
#include "engine/said.h"
#include "engine/transition.h"
#include "engine/waiters.h"

/* ---- jobs that wait */

static enum jobd_result cancel_waiting_locked(struct op *op, struct job *job)
    REQUIRES(op->jobd->lock)
{
    struct change change;
    change_init(&change, op, &cancel_kind, NULL);
    transition_withdraw_locked(op, job);
    change_add_job(&change, job);
    return change_submit_locked(op, &change);
}

/* ---- a job that runs: a worker is told at once, and that it was told is written; a lease is taken
 * away, and whoever has it learns when it comes back */

static void tell_to_stop(struct op *op, const struct job *job)
{
    verify(op->stops_len < OP_STOPS);
    op->stops[op->stops_len++] =
        (struct op_stop){.holder = job->holder,
                         .task = {.id = job->id, .queue = job->queue, .attempt = job->attempt}};
}

static void describe_stop(const struct change *change, struct job_record *record)
{
    (void)change;
    record->stopping = true;
}

static void apply_stop_locked(struct op *op, struct change *change, struct job *job)
    REQUIRES(op->jobd->lock)
{
    (void)change;
    job->stops_pending--;
    job->stopping = true;
    said_tell_locked(op, job);
    if (!job->commit_pending) /* else it has ended meanwhile: cancelled, if it failed */
        tell_to_stop(op, job);
}

static void undo_stop_locked(struct op *op, struct change *change, struct job *job)
    REQUIRES(op->jobd->lock)
{
    (void)op;
    (void)change;
    job->stops_pending--;
}

static const struct change_kind stop_kind = {.name = "stop",
                                             .row = ROW_SET,
                                             .describe = describe_stop,
                                             .apply = apply_stop_locked,
                                             .undo = undo_stop_locked};

static enum jobd_result stop_running_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock)
{
    struct change change;
    if (job->leased)
        return attempt_revoke_locked(op, job);
    if (!change_has_room_locked(op, op->waiter))
        return JOBD_TOO_MANY_WAITERS;
    job->stops_pending++;
    change_init(&change, op, &stop_kind, job);
    change.result = JOBD_STOPPING;
    return change_submit_locked(op, &change);
}

static enum jobd_result cancel_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock)
{
    if (job->commit_pending || jobd_state_final((enum jobd_state)job->state))
        return JOBD_FINISHED;
    if (job->state == JOBD_RUNNING)
        return stop_running_locked(op, job);
    if (!change_has_room_locked(op, op->waiter))
        return JOBD_TOO_MANY_WAITERS;
    return cancel_waiting_locked(op, job);
}

enum jobd_result jobd_cancel(struct jobd *jobd, uint64_t id, struct jobd_waiter *waiter,
                             int64_t now_us)
{
    struct op op;
    enum jobd_result result = JOBD_NO_JOB;
    op_begin(&op, jobd, waiter, now_us);
    struct job *job = jobs_seen(&jobd->jobs, id);
    if (job != NULL) {
        struct queue *queue = &jobd->queues[job->queue]; /* it may be forgotten at once */
        result = cancel_locked(&op, job);
        dispatch_locked(&op, queue);
    }
    op_end(&op);
    return result;
}

/* ---- a queue */

void jobd_pause(struct jobd *jobd, uint32_t number, bool paused, int64_t now_us)
{
    struct op op;
    verify(queue_index(number) < jobd->queues_len);
    struct queue *queue = &jobd->queues[queue_index(number)];
    op_begin(&op, jobd, NULL, now_us);
    if (queue->number == number) {
        queue->paused = paused;
        rate_waits(&queue->rate, now_us);
        dispatch_locked(&op, queue);
    }
    op_end(&op);
}

/* ---- all */

static struct job *next_to_stop_locked(struct op *op) REQUIRES(op->jobd->lock)
{
    bool durable = op->jobd->durable;
    struct job *job;
    for (uint32_t i = 0; i < op->jobd->queues_len; i++)
        TAILQ_FOREACH (job, &op->jobd->queues[i].running, link)
            if (!job->stopping && !job->requeue_on_stop &&
                !(durable && (job->leased || job->commit_pending)))
                return job;
    return NULL;
}

/* False when nothing is left that runs and has not been told. */
static bool stop_one_locked(struct op *op) REQUIRES(op->jobd->lock)
{
    struct job *job = next_to_stop_locked(op);
    if (job == NULL)
        return false;
    if (op->jobd->durable) {
        job->requeue_on_stop = true;
        tell_to_stop(op, job);
    } else {
        struct queue *queue = &op->jobd->queues[job->queue];
        (void)stop_running_locked(op, job);
        dispatch_locked(op, queue);
    }
    return true;
}

void jobd_cancel_all(struct jobd *jobd, int64_t now_us)
{
    struct op op;
    uint32_t purged;
    op_begin(&op, jobd, NULL, now_us);
    jobd->cancelling = true;
    op_end(&op);
    for (uint32_t i = 0; i < jobd->queues_len && !jobd->durable; i++)
        (void)jobd_purge(jobd, jobd->queues[i].number, NULL, now_us, &purged);
    for (bool more = true; more;) {
        op_begin(&op, jobd, NULL, now_us);
        more = stop_one_locked(&op);
        op_end(&op);
    }
}
