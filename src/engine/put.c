/* SPDX-License-Identifier: MIT */
/* The verbs that put jobs in: a put, a put that waits for room, and the retry of a job that has
 * ended. */
#include <errno.h>
#include <string.h>

#include "engine/admission.h"
#include "engine/dispatch.h"
#include "engine/changes.h"
#include "engine/room_estimate.h"
#include "engine/transition.h"
#include "engine/turns.h"
#include "engine/waiters.h"
#include "engine/words.h"

/* The moment by which its attempts must have begun; 0: none. */
static int64_t expires_us(const struct jobd *jobd, const struct jobd_put *put, int64_t now_us)
{
    if (put->terms != NULL && put->terms->expires_us != 0)
        return put->terms->expires_us;
    int64_t usual_us = jobd->queues[queue_index(put->queue)].expires_us;
    return usual_us > 0 ? later_us(now_us, usual_us) : 0;
}

/* How long it is remembered when it has ended; 0: as long as others. */
static int64_t keep_us(const struct jobd *jobd, const struct jobd_put *put)
{
    bool own = put->terms != NULL && put->terms->keep_us != 0;
    return own ? put->terms->keep_us : jobd->queues[queue_index(put->queue)].keep_us;
}

static bool needs_extras(const struct jobd *jobd, const struct jobd_put *put)
{
    return expires_us(jobd, put, 0) != 0 || keep_us(jobd, put) != 0 || put->timeout_us != 0 ||
           put->trace != NULL || put->key != NULL ||
           (put->terms != NULL && words_weight(put->terms->texts) > 0);
}

/* One for each job, linked; NULL when they need none. 0 or -ENOMEM. */
static int extras_new(const struct jobd *jobd, const struct admission *admission, int64_t now_us,
                      struct job_extra **extra)
{
    const struct jobd_put *put = admission->put;
    *extra = NULL;
    if (!needs_extras(jobd, put))
        return 0;
    for (uint32_t i = 0; i < admission_jobs(put); i++) {
        struct job_extra *one = extra_new(put, *extra);
        if (one == NULL) {
            extra_free(*extra);
            return -ENOMEM;
        }
        one->expires_us = expires_us(jobd, put, now_us);
        one->keep_us = keep_us(jobd, put);
        if (one->unique == JOBD_FOR_SOME_TIME)
            one->unique_until_us = later_us(now_us, one->unique_us);
        *extra = one;
    }
    return 0;
}

size_t jobd_put_weight(const struct jobd *jobd, const struct jobd_put *put)
{
    size_t key_size = put->key != NULL ? strlen(put->key) + 1 : 1;
    size_t weight = sizeof(struct job_extra) + key_size;
    if (put->terms != NULL)
        weight += words_weight(put->terms->texts);
    if (put->terms != NULL && put->terms->unique == JOBD_FOR_SOME_TIME)
        weight += sizeof(struct job);
    return needs_extras(jobd, put) ? admission_jobs(put) * weight : 0;
}

static enum jobd_result wait_for_room_locked(struct op *op, struct admission *admission)
    REQUIRES(op->jobd->lock)
{
    struct jobd_waiter *waiter = admission->waiter;
    enum jobd_result result =
        wait_begin_locked(op, waiter, WAIT_ROOM, queue_index(admission->put->queue));
    if (result == JOBD_PENDING) {
        waiting_of(waiter)->put = *admission->put;
        waiting_of(waiter)->extra = admission->extra;
        admission->extra = NULL;
    }
    return result;
}

static enum jobd_result put_locked(struct op *op, struct admission *admission, bool for_room)
    REQUIRES(op->jobd->lock)
{
    struct queue *queue = &op->jobd->queues[queue_index(admission->put->queue)];
    uint32_t jobs = admission_jobs(admission->put);
    admission->receipt->capacity = queue->capacity;
    enum jobd_result result = admission_locked(op, admission);
    if (op->waiter != NULL)
        op->waiter->accepted = result == JOBD_OK || result == JOBD_PENDING;
    if (result == JOBD_OK || admission->receipt->replaced) {
        result = result == JOBD_OK ? admission_await_locked(op, admission) : result;
        dispatch_locked(op, queue);
    }
    admission->receipt->waiting = queue_waiting(queue);
    if (result == JOBD_FULL && for_room && jobs <= queue->capacity)
        return wait_for_room_locked(op, admission);
    admission_refuse(op, queue, jobs, result, admission->receipt);
    return result;
}

static enum jobd_result put_or_wait(struct jobd *jobd, struct admission *admission, bool for_room,
                                    int64_t now_us)
{
    struct op op;
    const struct jobd_put *put = admission->put;
    struct jobd_waiter *waiter = admission->waiter;
    *admission->receipt = (struct jobd_receipt){.id = 0};
    verify(queue_index(put->queue) < jobd->queues_len && put->priority < JOBD_PRIORITIES);
    verify(put->attempts <= JOBD_ATTEMPTS_MAX && put->timeout_us >= 0);
    verify(put->trace == NULL || strlen(put->trace) < JOBD_TRACE_SIZE);
    verify(put->key == NULL || (strlen(put->key) < JOBD_KEY_SIZE && put->batch_len == 0));
    verify(waiter == NULL || waiter->end_us == 0 || put->batch_len == 0);
    if (waiter != NULL)
        waiter->accepted = false;
    if (extras_new(jobd, admission, now_us, &admission->extra) != 0)
        return JOBD_OUT_OF_MEMORY;
    op_begin(&op, jobd, waiter, now_us);
    enum jobd_result result = put_locked(&op, admission, for_room);
    if (waiter != NULL)
        waiter->receipt = *admission->receipt;
    op_end(&op);
    extra_free(admission->extra);
    return result;
}

enum jobd_result jobd_put(struct jobd *jobd, const struct jobd_put *put, struct jobd_waiter *waiter,
                          int64_t now_us, struct jobd_receipt *receipt)
{
    struct admission admission = {.put = put, .waiter = waiter, .receipt = receipt};
    return put_or_wait(jobd, &admission, false, now_us);
}

enum jobd_result jobd_put_wait(struct jobd *jobd, const struct jobd_put *put,
                               struct jobd_waiter *waiter, int64_t now_us,
                               struct jobd_receipt *receipt)
{
    struct admission admission = {.put = put, .waiter = waiter, .receipt = receipt};
    return put_or_wait(jobd, &admission, true, now_us);
}

/* ---- retry */

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
}

static void undo_retry_locked(struct op *op, struct change *change, struct job *job)
    REQUIRES(op->jobd->lock)
{
    (void)change;
    end_retry_locked(op, job);
    turns_quit_locked(op, &op->jobd->queues[job->queue], job->extra);
    jobs_remember(&op->jobd->jobs, job, op);
}

static const struct change_kind retry_kind = {.name = "retry",
                                              .row = ROW_SET,
                                              .describe = describe_retry,
                                              .apply = apply_retry_locked,
                                              .undo = undo_retry_locked,
                                              .is_put = true};

/* It counts in its group again, whose record takes some memory; and is no longer one that has
 * ended. */
static enum jobd_result revive_locked(struct op *op, struct queue *queue, struct job *job,
                                      struct jobd_receipt *receipt) REQUIRES(op->jobd->lock)
{
    struct jobs *jobs = &op->jobd->jobs;
    const size_t more = job->promised ? 0 : jobs_weight(job);
    if (turns_has(queue, job->id)) {
        enum jobd_result result = turns_join_locked(op, queue, job->extra);
        if (result == JOBD_GROUP_FULL)
            receipt->room_in_us =
                group_room_in_us(queue, turns_find(queue, job->extra), op->now_us, 1);
        if (result != JOBD_OK)
            return result;
        if (jobs->memory_living + more > jobs->memory_max) {
            turns_quit_locked(op, queue, job->extra);
            return JOBD_OUT_OF_MEMORY;
        }
    }
    jobs_revive(jobs, job);
    verify(!turns_has(queue, job->id) || jobs_make_room(jobs, 0, op));
    return JOBD_OK;
}

static enum jobd_result retry_locked(struct op *op, struct job *job, struct jobd_receipt *receipt)
    REQUIRES(op->jobd->lock)
{
    struct change change;
    struct queue *queue = &op->jobd->queues[job->queue];
    *receipt = (struct jobd_receipt){.capacity = queue->capacity, .waiting = queue_waiting(queue)};
    if (!jobd_state_final((enum jobd_state)job->state) || job->commit_pending)
        return JOBD_NOT_FINAL;
    enum jobd_result result = admission_open_locked(op, queue);
    if (result == JOBD_OK)
        result = admission_check_locked(op, queue, 1, op->waiter);
    if (result == JOBD_OK)
        result = revive_locked(op, queue, job, receipt);
    admission_refuse(op, queue, 1, result, receipt);
    if (result != JOBD_OK)
        return result;
    receipt->id = job->id;
    receipt->state = JOBD_QUEUED;
    op->jobd->jobs.reviving++;
    queue->put_pending++;
    job->commit_pending = true;
    change_init(&change, op, &retry_kind, job);
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
