/* SPDX-License-Identifier: MIT */
/* The verbs that put jobs in: a put, a put that waits for room, and a job that has ended and goes
 * in again. */
#include "engine/admission.h"

#include <string.h>

#include "engine/dispatch.h"
#include "engine/append.h"
#include "engine/transition.h"
#include "engine/waiters.h"

/* `for_room`: the waiter waits for room too. */
static enum jobd_result put_locked(struct jobd *jobd, const struct jobd_put *put,
                                   struct job_extra **extra, struct jobd_waiter *waiter,
                                   bool for_room, int64_t now_us, struct jobd_receipt *receipt,
                                   struct effects *after) REQUIRES(jobd->lock)
{
    struct queue *queue = &jobd->queues[put->queue];
    *receipt = (struct jobd_receipt){.capacity = queue->capacity};
    enum jobd_result result;
    if (jobd->closed)
        result = JOBD_CLOSED;
    else if (for_room && !TAILQ_EMPTY(&queue->put_waiters) &&
             admit_duplicate_locked(jobd, put, *extra) == NULL)
        result = JOBD_FULL; /* behind those who came before */
    else
        result = admit_locked(jobd, put, extra, waiter, now_us, receipt, after);
    if (waiter != NULL)
        waiter->accepted = result == JOBD_OK || result == JOBD_PENDING;
    if (result == JOBD_OK) {
        result = admit_result_locked(jobd, waiter, receipt->id, now_us);
        dispatch_locked(jobd, queue, now_us, after);
    }
    receipt->waiting = queue_waiting(queue);
    if (result == JOBD_FULL && for_room && admit_jobs(put) <= queue->capacity) {
        result = wait_begin_locked(jobd, waiter, WAIT_ROOM, NULL, put->queue);
        if (result == JOBD_PENDING) {
            waiter->link.put = *put;
            waiter->link.extra = *extra;
            *extra = NULL;
        }
        return result;
    }
    admit_turn_away(queue, admit_jobs(put), result, now_us, receipt);
    return result;
}

static enum jobd_result put_or_wait(struct jobd *jobd, const struct jobd_put *put,
                                    struct jobd_waiter *waiter, bool for_room, int64_t now_us,
                                    struct jobd_receipt *receipt)
{
    struct job_extra *extra;
    *receipt = (struct jobd_receipt){.id = 0};
    verify(put->queue < jobd->queues_len && put->priority < JOBD_PRIORITIES);
    verify(put->attempts <= JOBD_ATTEMPTS_MAX && put->timeout_us >= 0);
    verify(put->trace == NULL || strlen(put->trace) < JOBD_TRACE_SIZE);
    verify(put->key == NULL || (strlen(put->key) < JOBD_KEY_SIZE && put->batch_len == 0));
    verify(waiter == NULL || waiter->end_us == 0 || put->batch_len == 0);
    if (admit_extras(put, &extra) != 0)
        return JOBD_OUT_OF_MEMORY;
    EFFECTS(after);
    mutex_lock(&jobd->lock);
    enum jobd_result result =
        put_locked(jobd, put, &extra, waiter, for_room, now_us, receipt, &after);
    if (waiter != NULL)
        waiter->receipt = *receipt;
    unlock_and_tell(jobd, &after);
    extra_free(extra);
    return result;
}

enum jobd_result jobd_put(struct jobd *jobd, const struct jobd_put *put, struct jobd_waiter *waiter,
                          int64_t now_us, struct jobd_receipt *receipt)
{
    return put_or_wait(jobd, put, waiter, false, now_us, receipt);
}

enum jobd_result jobd_put_wait(struct jobd *jobd, const struct jobd_put *put,
                               struct jobd_waiter *waiter, int64_t now_us,
                               struct jobd_receipt *receipt)
{
    return put_or_wait(jobd, put, waiter, true, now_us, receipt);
}

/* ---- going in again */

static enum jobd_result retry_locked(struct jobd *jobd, struct job *job, struct jobd_waiter *waiter,
                                     int64_t now_us, struct jobd_receipt *receipt,
                                     struct effects *after) REQUIRES(jobd->lock)
{
    struct queue *queue = &jobd->queues[job->queue];
    *receipt = (struct jobd_receipt){.capacity = queue->capacity, .waiting = queue_waiting(queue)};
    if (!jobd_state_final((enum jobd_state)job->state) || job->commit_pending)
        return JOBD_NOT_FINAL;
    if (jobd->closed)
        return JOBD_CLOSED;
    if (jobd->journal.refuses)
        return JOBD_STORE_FAILED;
    if (queue_waiting(queue) + queue->entering >= queue->capacity) {
        admit_turn_away(queue, 1, JOBD_FULL, now_us, receipt);
        return JOBD_FULL;
    }
    if (journal_on(&jobd->journal) && !journal_admits_locked(jobd, waiter))
        return JOBD_TOO_MANY_WAITERS;
    jobs_revive(&jobd->jobs, job);
    receipt->id = job->id;
    receipt->state = JOBD_QUEUED;
    if (journal_on(&jobd->journal)) {
        job->commit_pending = true;
        queue->entering++;
        jobd->jobs.reviving++;
        (void)journal_append_locked(jobd, CHANGE_RETRY, job, waiter, now_us, after);
        return waiter != NULL ? JOBD_PENDING : JOBD_OK;
    }
    transition_retry_locked(jobd, job, now_us, after);
    dispatch_locked(jobd, queue, now_us, after);
    return JOBD_OK;
}

enum jobd_result jobd_retry(struct jobd *jobd, uint64_t id, struct jobd_waiter *waiter,
                            int64_t now_us, struct jobd_receipt *receipt)
{
    EFFECTS(after);
    mutex_lock(&jobd->lock);
    struct job *job = jobs_seen(&jobd->jobs, id);
    enum jobd_result result =
        job != NULL ? retry_locked(jobd, job, waiter, now_us, receipt, &after) : JOBD_NO_JOB;
    if (result == JOBD_PENDING)
        waiter->receipt = *receipt;
    unlock_and_tell(jobd, &after);
    return result;
}
