/* SPDX-License-Identifier: MIT */
/* The verbs by which jobs shall not run, or not now: one is cancelled, a queue is paused, all are
 * stopped. */
#include "engine/cancel_kind.h"
#include "engine/dispatch.h"
#include "engine/stop.h"
#include "engine/touched.h"
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

static enum jobd_result cancel_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock)
{
    if (job->commit_pending) /* whatever that is: it may wait again then */
        return change_await_locked(op);
    if (job_has_ended(job))
        return JOBD_FINISHED;
    if (job->state == JOBD_RUNNING)
        return stop_locked(op, job);
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

/* ---- all */

static struct job *next_to_stop_locked(struct op *op) REQUIRES(op->jobd->lock)
{
    bool durable = op->jobd->durable;
    struct job *job;
    for (uint32_t i = 0; i < op->jobd->queues_len; i++)
        TAILQ_FOREACH (job, &op->jobd->queues[i].running, link)
            if (!job->stopping && !job->requeue_on_stop && !job->elsewhere &&
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
        stop_tell(op, job);
    } else {
        struct queue *queue = &op->jobd->queues[job->queue];
        (void)stop_locked(op, job);
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
        op.outside = jobd->share != NULL;
        more = stop_one_locked(&op);
        op_end(&op);
    }
}
