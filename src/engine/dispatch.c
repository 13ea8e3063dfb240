/* SPDX-License-Identifier: MIT */
#include "engine/dispatch.h"

#include "engine/account.h"
#include "engine/admission.h"
#include "engine/breaker.h"
#include "engine/events.h"
#include "engine/attempt.h"
#include "engine/job_info.h"
#include "engine/lanes.h"
#include "engine/limits.h"
#include "engine/lease_deadline.h"
#include "engine/retire.h"
#include "engine/changes.h"
#include "engine/touched.h"
#include "engine/transition.h"
#include "engine/waiters.h"

/* ---- a job to a taker, who is told when that is written: so no attempt runs that is not counted
 * on disk, whatever becomes of the process */

/* A lease counts from the moment it is told of. */
static void tell_lease_locked(struct op *op, struct job *job, struct jobd_waiter *taker)
    REQUIRES(op->jobd->lock)
{
    job->lease->began_us = job->lease->started_us = job->started_us = op->now_us;
    job_info(job, &taker->info);
    taker->task.expires_us = lease_set_deadline_locked(op, job->lease, taker->lease_us);
    if (job->payload != NULL)
        taker->task.payload = jobd_blob_ref(job->payload);
}

/* Who had it before is too late from now on. */
static void overtake_locked(struct op *op, const struct job *job) REQUIRES(op->jobd->lock)
{
    const struct lease *lease;
    while ((lease = lease_overtake(&op->jobd->leases, job)) != NULL)
        if (op->jobd->share != NULL)
            share_touch_lease_locked(op, lease);
}

static void apply_start_locked(struct op *op, struct change *change, struct job *job)
    REQUIRES(op->jobd->lock)
{
    job->start_pending = false;
    overtake_locked(op, job);
    if (change->waiter != NULL && job->leased)
        tell_lease_locked(op, job, change->waiter);
    events_note_locked(op, job, JOBD_QUEUED);
    if (change->waiter == NULL && !job->commit_pending) /* nobody is there any more to be told */
        (void)attempt_release_locked(op, job, 0);
}

static void undo_start_locked(struct op *op, struct change *change, struct job *job)
    REQUIRES(op->jobd->lock)
{
    job->start_pending = false;
    if (job->stops_pending > 0 || job->commit_pending) /* it was cancelled already */
        change_void_others_locked(op, job, change);
    attempt_undo_locked(op, job);
}

static const struct change_kind start_kind = {
    .name = "start", .row = ROW_SET, .apply = apply_start_locked, .undo = undo_start_locked};

static enum jobd_result give_locked(struct op *op, struct job *job, struct jobd_waiter *taker)
    REQUIRES(op->jobd->lock)
{
    struct change change;
    transition_start_locked(op, job, taker);
    job->start_pending = true;
    change_init(&change, op, &start_kind, job);
    change.waiter = taker;
    enum jobd_result result = change_submit_locked(op, &change);
    if (op->jobd->share != NULL)
        share_note_start_locked(op, job);
    return result;
}

/* ---- who is next */

/* NULL: there is none that may begin, or the first of each lane is about to expire. */
static struct job *next_job_locked(struct op *op, struct queue *queue) REQUIRES(op->jobd->lock)
{
    for (unsigned lane = 0; lane < JOBD_PRIORITIES; lane++) {
        struct job *job = lane_first_locked(op, queue, lane);
        if (job != NULL && !job_too_late(job, op->now_us))
            return job;
    }
    return NULL;
}

/* A worker whose last attempt is still being written may begin another one, but no third. */
static bool worker_is_free(const struct queue *queue)
{
    return queue_busy(queue) < queue->workers && queue_here(queue) < 2 * queue->workers;
}

/* JOBD_OK, and what it takes to tell the taker is counted: it has to be given the job.
 * JOBD_OUT_OF_MEMORY: that is all it lacks. JOBD_TIMEOUT. */
static enum jobd_result can_give_locked(struct op *op, const struct queue *queue,
                                        const struct job *job, struct jobd_waiter *taker)
    REQUIRES(op->jobd->lock)
{
    if (queue->paused || op->jobd->takers_stopped)
        return JOBD_TIMEOUT;
    if (taker->lease_us == 0 && !worker_is_free(queue))
        return JOBD_TIMEOUT;
    /* It has a promise; but where queues are shared others did not know of it. */
    if (taker->lease_us > 0 && op->jobd->leases.held >= op->jobd->leases.max)
        return JOBD_TIMEOUT;
    if (!breaker_lets(queue, taker, op->now_us) || !limits_let(queue, op->now_us))
        return JOBD_TIMEOUT;
    bool is_new = waiting_of(taker)->kind == WAIT_NOT;
    if (!change_has_room_locked(op, is_new ? taker : NULL))
        return JOBD_TIMEOUT;
    size_t payload_bytes = job->payload != NULL ? job->payload->size : 0;
    return account_tell(taker, payload_bytes, !taker->at_once) ? JOBD_OK : JOBD_OUT_OF_MEMORY;
}

/* Who is to be given the job; NULL when nobody can. */
static struct jobd_waiter *next_taker_locked(struct op *op, struct queue *queue,
                                             const struct job *job) REQUIRES(op->jobd->lock)
{
    struct waiting_place *place;
    TAILQ_FOREACH (place, &queue->take_waiters, link)
        if (can_give_locked(op, queue, job, waiter_of(place->waiting)) == JOBD_OK)
            return waiter_of(place->waiting);
    return NULL;
}

/* A job and who is to have it; NULL when there is no such pair. */
static struct job *next_pair_locked(struct op *op, struct queue *queue, struct jobd_waiter **taker)
    REQUIRES(op->jobd->lock)
{
    if (queue_ready(queue) == 0 || TAILQ_EMPTY(&queue->take_waiters))
        return NULL;
    struct job *job = next_job_locked(op, queue);
    *taker = job != NULL ? next_taker_locked(op, queue, job) : NULL;
    return *taker != NULL ? job : NULL;
}

static struct jobd_waiter *next_putter(struct queue *queue)
{
    struct jobd_waiter *putter = first_waiter(&queue->put_waiters);
    bool fits = putter != NULL && admission_jobs(&waiting_of(putter)->put) <= admission_room(queue);
    return fits ? putter : NULL;
}

bool dispatch_is_needed(struct queue *queue)
{
    struct waiting_place *place;
    if (next_putter(queue) != NULL)
        return true;
    if (!lanes_have_ready(queue) || queue->paused || limits_are_awaited(queue))
        return false;
    TAILQ_FOREACH (place, &queue->take_waiters, link) {
        const struct jobd_waiter *taker = waiter_of(place->waiting);
        if (breaker_may_let(queue, taker) && (taker->lease_us > 0 || worker_is_free(queue)))
            return true;
    }
    return false;
}

/* ---- dispatch */

static void dispatch_one_locked(struct op *op, struct queue *queue) REQUIRES(op->jobd->lock)
{
    for (;;) {
        struct jobd_waiter *taker, *putter;
        struct job *job = next_pair_locked(op, queue, &taker);
        if (job != NULL) {
            if (give_locked(op, job, taker) == JOBD_OK)
                wait_end_locked(op, taker, JOBD_OK);
        } else if ((putter = next_putter(queue)) != NULL) {
            enum jobd_result result = admission_waiting_locked(op, putter);
            if (result != JOBD_PENDING)
                wait_end_locked(op, putter, result);
        } else {
            break;
        }
    }
    limits_await_locked(op, queue);
    retire_end_locked(op, queue);
    if (!TAILQ_EMPTY(&op->jobd->idle_waiters) && dispatch_is_idle_locked(op))
        wait_end_all_locked(op, &op->jobd->idle_waiters, JOBD_OK);
}

void dispatch_locked(struct op *op, struct queue *queue)
{
    dispatch_one_locked(op, queue);
    while (op->delivers) { /* what has ended has brought one */
        op->delivers = false;
        dispatch_one_locked(op, &op->jobd->queues[op->jobd->deliveries]);
    }
}

void dispatch_soon_locked(struct op *op, struct queue *queue)
{
    if (op->jobd->share == NULL) {
        dispatch_locked(op, queue);
    } else if (dispatch_is_needed(queue)) {
        queue->dispatch_needed = true;
        op->jobd->dispatch_needed = true;
    }
}

void dispatch_noted_locked(struct op *op, const struct dispatch_set *set)
{
    for (unsigned i = 0; i < set->len; i++)
        dispatch_locked(op, set->queues[i]);
}

enum jobd_result dispatch_take_locked(struct op *op, struct queue *queue, struct jobd_waiter *taker)
{
    if (queue->token_at_us <= op->now_us) /* for who waits; the timer is late */
        dispatch_locked(op, queue);
    if (queue_ready(queue) == 0)
        return JOBD_TIMEOUT;
    /* It can be given one: so nobody who waits could have it, or has room to be told. */
    struct job *job = next_job_locked(op, queue);
    if (job == NULL)
        return JOBD_TIMEOUT;
    enum jobd_result result = can_give_locked(op, queue, job, taker);
    return result == JOBD_OK ? give_locked(op, job, taker) : result;
}

bool dispatch_is_idle_locked(struct op *op)
{
    for (uint32_t i = 0; i < op->jobd->queues_len; i++) {
        const struct queue *queue = &op->jobd->queues[i];
        uint32_t others = op->jobd->durable ? 0 : queue->leased;
        if ((queue_waiting(queue) > 0 && !op->jobd->durable) || queue_here(queue) + others > 0)
            return false;
    }
    return true;
}
