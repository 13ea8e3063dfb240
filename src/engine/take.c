/* SPDX-License-Identifier: MIT */
/* The verbs of a worker: the next job of a queue, and how it ended. */
#include "engine/account.h"
#include "engine/attempt.h"
#include "engine/dispatch.h"
#include "engine/limits.h"
#include "engine/waiters.h"

static enum jobd_result take_locked(struct op *op, uint32_t number) REQUIRES(op->jobd->lock)
{
    const struct leases *leases = &op->jobd->leases;
    struct queue *queue = &op->jobd->queues[queue_index(number)];
    if (queue->number != number || queue->phase > QUEUE_RETIRED)
        return JOBD_UNDECLARED;
    if (op->jobd->takers_stopped)
        return JOBD_CLOSED;
    if (op->waiter->lease_us > 0 && leases->held + leases->promised >= leases->max)
        return JOBD_TOO_MANY_LEASES;
    enum jobd_result result = dispatch_take_locked(op, queue, op->waiter);
    if (result == JOBD_OK || result == JOBD_PENDING)
        dispatch_locked(op, queue); /* its place is free */
    else if (!op->waiter->at_once)
        result = wait_begin_locked(op, op->waiter, WAIT_JOB, queue_index(number));
    limits_await_locked(op, queue);
    return result;
}

enum jobd_result jobd_take(struct jobd *jobd, uint32_t queue, struct jobd_waiter *waiter,
                           int64_t now_us)
{
    struct op op;
    verify(queue_index(queue) < jobd->queues_len);
    op_begin(&op, jobd, waiter, now_us);
    enum jobd_result result = take_locked(&op, queue);
    op_end(&op);
    return result;
}

void jobd_take_again(struct jobd *jobd, struct jobd_budget *budget, int64_t now_us)
{
    struct op op;
    op_begin(&op, jobd, NULL, now_us);
    account_await_no_more(budget);
    for (uint32_t i = 0; i < jobd->queues_len; i++)
        dispatch_locked(&op, &jobd->queues[i]);
    op_end(&op);
}

void jobd_finish(struct jobd *jobd, const struct jobd_task *task,
                 const struct jobd_outcome *outcome, int64_t now_us)
{
    struct op op;
    struct job_extra *extra = extra_for(outcome);
    verify(jobd_state_final(outcome->state));
    op_begin(&op, jobd, NULL, now_us);
    struct job *job = jobs_find(&jobd->jobs, task->id);
    verify(job != NULL && job->state == JOBD_RUNNING && job->attempt == task->attempt);
    verify(!job->leased && !job->commit_pending && job->queue == task->queue);
    (void)attempt_end_locked(&op, job, outcome, &extra);
    dispatch_locked(&op, &jobd->queues[task->queue]);
    op_end(&op);
    extra_free(extra);
}
