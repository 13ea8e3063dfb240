/* SPDX-License-Identifier: MIT */
#include "engine/retry.h"

#include "engine/admission.h"
#include "engine/deliveries.h"
#include "engine/describe.h"
#include "engine/dispatch.h"
#include "engine/fair.h"
#include "engine/room_estimate.h"
#include "engine/transition.h"

static void describe_retry(const struct change *change, struct job_record *record)
{
    record->state = JOBD_QUEUED;
    record->attempt = 0;
    record->ready_us = change->at_us;
    record->started_us = record->finished_us = 0;
    record->unexpiring = true;
    record->expired = record->delayed = record->by_wall = record->exited =
        record->output_truncated = false;
    record->exit_code = 0;
    record->output = record->error = NULL;
    describe_nothing_said(record);
}

static void end_retry_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock)
{
    op->jobd->queues[job->queue].put_pending--;
    op->jobd->jobs.reviving--;
    job->commit_pending = false;
}

static void apply_retry_locked(struct op *op, struct change *change, struct job *job)
    REQUIRES(op->jobd->lock)
{
    end_retry_locked(op, job);
    op->jobd->queues[job->queue].admitted++;
    transition_retry_locked(op, job, change->at_us);
    deliveries_revived_locked(op, job);
}

static void undo_retry_locked(struct op *op, struct change *change, struct job *job)
    REQUIRES(op->jobd->lock)
{
    (void)change;
    end_retry_locked(op, job);
    fair_quit_locked(op, &op->jobd->queues[job->queue], job->extra);
    deliveries_not_revived_locked(op, job);
    bool pinned = job->pins != 0;
    jobs_remember(&op->jobd->jobs, job, op);
    if (pinned)
        deliveries_settle_locked(op, job);
}

const struct change_kind retry_kind = {.name = "retry",
                                       .row = ROW_SET,
                                       .describe = describe_retry,
                                       .apply = apply_retry_locked,
                                       .undo = undo_retry_locked,
                                       .is_put = true};

/* The record of a group takes some memory. Where there were too few bytes for those of the jobs
 * that wait, when groups began, the living may take more than there is. */
static enum jobd_result join_group_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock)
{
    struct jobs *jobs = &op->jobd->jobs;
    struct queue *queue = &op->jobd->queues[job->queue];
    const size_t more = job->retained ? 0 : jobs_weight(job);
    enum jobd_result result =
        fair_has(queue, job->id) ? fair_join_locked(op, queue, job->extra) : JOBD_OK;
    if (result != JOBD_OK || jobs->memory_living + more <= jobs->memory_max)
        return result;
    fair_quit_locked(op, queue, job->extra);
    return JOBD_OUT_OF_MEMORY;
}

enum jobd_result retry_join_locked(struct op *op, struct job *job)
{
    enum jobd_result result = join_group_locked(op, job);
    if (result != JOBD_OK)
        return result;
    result = deliveries_again_locked(op, job);
    if (result != JOBD_OK)
        fair_quit_locked(op, &op->jobd->queues[job->queue], job->extra);
    return result;
}

void retry_add_locked(struct op *op, struct change *change, struct job *job)
{
    jobs_revive(&op->jobd->jobs, job);
    op->jobd->jobs.reviving++;
    op->jobd->queues[job->queue].put_pending++;
    verify(jobs_make_room(&op->jobd->jobs, 0, op)); /* for a group's record, or a delivery */
    job->commit_pending = true;
    change_add_job(change, job);
}

static enum jobd_result retry_locked(struct op *op, struct job *job, struct jobd_receipt *receipt)
    REQUIRES(op->jobd->lock)
{
    struct change change;
    struct queue *queue = &op->jobd->queues[job->queue];
    *receipt = (struct jobd_receipt){.capacity = queue->capacity, .waiting = queue_waiting(queue)};
    if (job->commit_pending)
        return change_await_locked(op);
    if (!job_has_ended(job))
        return JOBD_NOT_FINAL;
    enum jobd_result result = admission_open_locked(op, queue);
    if (result == JOBD_OK)
        result = admission_check_locked(op, queue, 1, op->waiter);
    if (result == JOBD_OK)
        result = retry_join_locked(op, job);
    if (result == JOBD_GROUP_FULL)
        receipt->room_in_us = group_room_in_us(queue, fair_find(queue, job->extra), op->now_us, 1);
    admission_refuse_locked(op, queue, 1, result, receipt);
    if (result != JOBD_OK)
        return result;
    receipt->id = job->id;
    receipt->state = JOBD_QUEUED;
    change_init(&change, op, &retry_kind, NULL);
    retry_add_locked(op, &change, job);
    result = change_submit_locked(op, &change);
    dispatch_locked(op, queue);
    return result;
}

enum jobd_result jobd_retry(struct jobd *jobd, uint64_t id, struct jobd_waiter *waiter,
                            int64_t now_us, struct jobd_receipt *receipt)
{
    struct op op;
    op_begin(&op, jobd, waiter, now_us);
    struct job *job = jobs_seen(&jobd->jobs, id);
    enum jobd_result result = job != NULL ? retry_locked(&op, job, receipt) : JOBD_NO_JOB;
    if (result == JOBD_PENDING)
        waiter->receipt = *receipt;
    op_end(&op);
    return result;
}
