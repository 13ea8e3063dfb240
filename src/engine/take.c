/* SPDX-License-Identifier: MIT */
/* The verbs of a worker: the next job of a queue, and how it ended. */
#include "engine/account.h"
#include "engine/attempt.h"
#include "engine/dispatch.h"
#include "engine/limits.h"
#include "engine/show.h"
#include "engine/touched.h"
#include "engine/waiters.h"

/* Can it be asked for a job? JOBD_OK, or why not. */
static enum jobd_result ask_locked(struct op *op, uint32_t number) REQUIRES(op->jobd->lock)
{
    const struct queue *queue = &op->jobd->queues[jobd_queue_index(number)];
    if (queue->number != number || queue->phase > QUEUE_RETIRED)
        return JOBD_UNDECLARED;
    if (queue->promised != NULL && op->waiter->lease_us > 0)
        return JOBD_RESERVED;
    return op->jobd->takers_stopped ? JOBD_CLOSED : JOBD_OK;
}

/* The job of this queue that can be had at once; JOBD_TIMEOUT, JOBD_OUT_OF_MEMORY: there is none.
 */
static enum jobd_result take_from_locked(struct op *op, uint32_t number) REQUIRES(op->jobd->lock)
{
    struct queue *queue = &op->jobd->queues[jobd_queue_index(number)];
    enum jobd_result result = dispatch_take_locked(op, queue, op->waiter);
    if (result == JOBD_OK || result == JOBD_PENDING)
        dispatch_locked(op, queue); /* its place is free */
    return result;
}

static enum jobd_result take_locked(struct op *op, const uint32_t *queues, uint32_t len,
                                    struct jobd_choice *choice) REQUIRES(op->jobd->lock)
{
    const struct leases *leases = &op->jobd->leases;
    enum jobd_result result = JOBD_OK, best = JOBD_TIMEOUT;
    for (uint32_t i = 0; i < len && result == JOBD_OK; i++)
        result = ask_locked(op, queues[i]);
    if (result != JOBD_OK)
        return result;
    if (op->waiter->lease_us > 0 && leases->held + leases->reserved >= leases->max)
        return JOBD_TOO_MANY_LEASES;
    for (uint32_t i = 0; i < len; i++) {
        result = take_from_locked(op, queues[i]);
        if (result == JOBD_OK || result == JOBD_PENDING)
            return result;
        best = result == JOBD_OUT_OF_MEMORY ? result : best;
    }
    if (op->waiter->at_once)
        return best;
    result = wait_for_job_locked(op, op->waiter, jobd_queue_index(*queues), choice);
    for (uint32_t i = 0; i < len; i++)
        limits_await_locked(op, &op->jobd->queues[jobd_queue_index(queues[i])]);
    return result;
}

static enum jobd_result take(struct jobd *jobd, const uint32_t *queues, struct jobd_choice *choice,
                             struct jobd_waiter *waiter, int64_t now_us)
{
    struct op op;
    struct job_extra *extra = waiter->worker != NULL ? extra_for_said() : NULL;
    op_begin(&op, jobd, waiter, now_us);
    struct waiting *waiting = waiting_of(waiter);
    waiting->extra = extra;
    enum jobd_result result = take_locked(&op, queues, choice != NULL ? choice->len : 1, choice);
    extra = waiting->kind == WAIT_NOT ? waiting->extra : NULL;
    if (waiting->kind == WAIT_NOT)
        waiting->extra = NULL;
    op_end(&op);
    extra_free(extra);
    return result;
}

enum jobd_result jobd_take(struct jobd *jobd, uint32_t queue, struct jobd_waiter *waiter,
                           int64_t now_us)
{
    verify(jobd_queue_index(queue) < jobd->queues_len);
    return take(jobd, &queue, NULL, waiter, now_us);
}

enum jobd_result jobd_take_any(struct jobd *jobd, struct jobd_choice *choice,
                               struct jobd_waiter *waiter, int64_t now_us)
{
    verify(choice->len > 0 && choice->len <= JOBD_CHOICE_MAX && waiter->lease_us > 0);
    for (uint32_t i = 0; i < choice->len; i++)
        verify(jobd_queue_index(choice->queues[i]) < jobd->queues_len);
    return take(jobd, choice->queues, choice, waiter, now_us);
}

void jobd_take_again(struct jobd *jobd, struct jobd_budget *budget, int64_t now_us)
{
    struct op op;
    op_begin(&op, jobd, NULL, now_us);
    op.outside = true;
    account_await_no_more(budget);
    for (uint32_t i = 0; i < jobd->queues_len; i++)
        dispatch_soon_locked(&op, &jobd->queues[i]);
    op_end(&op);
}

/* Others may have found that its process was away for too long, and given the job to another. */
static bool is_lost_locked(struct op *op, const struct job *job, const struct jobd_task *task)
    REQUIRES(op->jobd->lock)
{
    return op->jobd->share != NULL &&
           (job == NULL || job->state != JOBD_RUNNING || job->leased || job->elsewhere ||
            job->attempt != task->attempt || job->started_us != task->started_us ||
            job->queue != task->queue);
}

void jobd_finish(struct jobd *jobd, const struct jobd_task *task,
                 const struct jobd_outcome *outcome, int64_t now_us)
{
    struct op op;
    struct job_extra *extra = extra_for(outcome);
    verify(jobd_state_final(outcome->state));
    op_begin(&op, jobd, NULL, now_us);
    struct job *job = jobs_find(&jobd->jobs, task->id);
    shown_end_locked(&op, task);
    if (is_lost_locked(&op, job, task)) {
        op_discard(&op, outcome->output);
        op_discard(&op, outcome->error);
    } else {
        verify(job != NULL && job->state == JOBD_RUNNING && job->attempt == task->attempt);
        verify(!job->leased && !job->commit_pending && job->queue == task->queue);
        if (jobd->share != NULL)
            share_note_end_locked(&op, job);
        (void)attempt_end_locked(&op, job, outcome, &extra);
    }
    dispatch_locked(&op, &jobd->queues[task->queue]);
    op_end(&op);
    extra_free(extra);
}
