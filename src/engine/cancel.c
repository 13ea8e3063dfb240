/* SPDX-License-Identifier: MIT */
/* The verbs by which jobs shall not run, or not now: one is cancelled, a queue is purged or paused,
 * all are. */
#include "engine/cancel.h"

#include "engine/attempt.h"
#include "engine/dispatch.h"
#include "engine/submit.h"
#include "engine/transition.h"
#include "engine/waiters.h"

/* ---- jobs that wait */

static void describe_cancel(const struct change *change, struct job_record *record)
{
    record->state = JOBD_CANCELLED;
    record->started_us = 0;
    record->finished_us = change->at_us;
}

static void apply_cancel_locked(struct op *op, struct change *change, struct job *job)
    REQUIRES(op->jobd->lock)
{
    transition_end_waiting_locked(op, job, JOBD_CANCELLED, 0, change->at_us);
}

static void undo_cancel_locked(struct op *op, struct change *change, struct job *job)
    REQUIRES(op->jobd->lock)
{
    (void)change;
    transition_reinstate_locked(op, job);
}

static const struct change_kind cancel_kind = {.name = "cancel",
                                               .row = ROW_SET,
                                               .describe = describe_cancel,
                                               .apply = apply_cancel_locked,
                                               .undo = undo_cancel_locked};

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
    op->stop = job->holder;
    op->stop_task = (struct jobd_task){.id = job->id, .queue = job->queue, .attempt = job->attempt};
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
    job->stop_pending = false;
    job->stopping = true;
    if (!job->commit_pending) /* else it has ended meanwhile: cancelled, if it failed */
        tell_to_stop(op, job);
}

static void undo_stop_locked(struct op *op, struct change *change, struct job *job)
    REQUIRES(op->jobd->lock)
{
    (void)op;
    (void)change;
    job->stop_pending = false;
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
    job->stop_pending = true;
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

void jobd_pause(struct jobd *jobd, uint32_t index, bool paused, int64_t now_us)
{
    struct op op;
    verify(index < jobd->queues_len);
    struct queue *queue = &jobd->queues[index];
    op_begin(&op, jobd, NULL, now_us);
    queue->paused = paused;
    rate_waits(&queue->rate, now_us);
    dispatch_locked(&op, queue);
    op_end(&op);
}

/* Some at a time. The mark at its end stands behind all of it in the journal: when that is written
 * everything is, if nothing failed in between. Where the journal is full the rest waits for room.
 */

static enum jobd_result mark_result_locked(struct op *op, const struct change *change, bool written)
    REQUIRES(op->jobd->lock)
{
    return written && op->jobd->journal.failures == change->number ? JOBD_OK : JOBD_STORE_FAILED;
}

static const struct change_kind mark_kind = {
    .name = "mark", .writes_nothing = true, .result = mark_result_locked};

static void withdraw_scheduled_locked(struct op *op, const struct purge *purge,
                                      struct change *change) REQUIRES(op->jobd->lock)
{
    struct job *next = TAILQ_FIRST(&op->jobd->queues[purge->queue].scheduled);
    while (next != NULL && change->rows < OP_STEPS) {
        struct job *job = next;
        next = TAILQ_NEXT(job, link);
        if (job->id >= purge->below) /* one that came back stands in front, whatever its id */
            continue;
        transition_withdraw_locked(op, job);
        change_add_job(change, job);
    }
}

static void withdraw_queued_locked(struct op *op, const struct purge *purge, struct change *change)
    REQUIRES(op->jobd->lock)
{
    for (unsigned lane = 0; lane < JOBD_PRIORITIES; lane++) {
        struct ring *ring = &op->jobd->queues[purge->queue].lanes[lane];
        uint64_t id;
        while (change->rows < OP_STEPS && (id = ring_peek(ring)) != 0 && id < purge->below) {
            struct job *job = jobs_find(&op->jobd->jobs, id);
            transition_withdraw_locked(op, job);
            change_add_job(change, job);
        }
    }
}

/* How many; 0 when nothing is left. */
static size_t purge_some_locked(struct op *op, struct purge *purge) REQUIRES(op->jobd->lock)
{
    struct change change;
    change_init(&change, op, &cancel_kind, NULL);
    change.waiter = NULL; /* the mark has it */
    withdraw_scheduled_locked(op, purge, &change);
    withdraw_queued_locked(op, purge, &change);
    size_t purged = change.rows;
    if (purged > 0)
        (void)change_submit_locked(op, &change);
    dispatch_locked(op, &op->jobd->queues[purge->queue]);
    purge->purged += (uint32_t)purged;
    return purged;
}

/* Nothing is left to purge. */
static enum jobd_result mark_purge_locked(struct op *op, const struct purge *purge,
                                          struct jobd_waiter *waiter) REQUIRES(op->jobd->lock)
{
    struct change change;
    if (waiter == NULL) /* nobody waits until it is written */
        return JOBD_OK;
    waiter->purged = purge->purged;
    change_init(&change, op, &mark_kind, NULL);
    change.waiter = waiter;
    change.number = purge->failures;
    return change_submit_locked(op, &change);
}

static enum jobd_result wait_to_purge_locked(struct op *op, const struct purge *purge)
    REQUIRES(op->jobd->lock)
{
    if (op->waiter == NULL)
        return JOBD_TOO_MANY_WAITERS;
    enum jobd_result result = wait_begin_locked(op, op->waiter, WAIT_PURGE, purge->queue);
    waiting_of(op->waiter)->purge = *purge;
    return result;
}

enum jobd_result jobd_purge(struct jobd *jobd, uint32_t queue, struct jobd_waiter *waiter,
                            int64_t now_us, uint32_t *purged)
{
    struct op op;
    struct purge purge = {.queue = queue};
    enum jobd_result result = JOBD_OK;
    verify(queue < jobd->queues_len);
    for (bool more = true; more;) {
        op_begin(&op, jobd, waiter, now_us);
        if (purge.below == 0) {
            purge.below = jobd->next_id;
            purge.failures = jobd->journal.failures;
        }
        if (!change_has_room_locked(&op, waiter)) {
            result = wait_to_purge_locked(&op, &purge);
            more = false;
        } else if (purge_some_locked(&op, &purge) == 0) {
            result = mark_purge_locked(&op, &purge, waiter);
            more = false;
        }
        op_end(&op);
    }
    *purged = purge.purged;
    return result;
}

void cancel_resume_purges_locked(struct op *op)
{
    struct jobd_waiter *waiter;
    while ((waiter = first_waiter(&op->jobd->purge_waiters)) != NULL &&
           change_has_room_locked(op, NULL)) {
        struct purge *purge = &waiting_of(waiter)->purge;
        if (op->jobd->journal.failures != purge->failures)
            wait_end_locked(op, waiter, JOBD_STORE_FAILED);
        else if (purge_some_locked(op, purge) == 0)
            (void)mark_purge_locked(op, purge, waiter);
        else
            break; /* more of it in the next step */
    }
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
        (void)jobd_purge(jobd, i, NULL, now_us, &purged);
    for (bool more = true; more;) {
        op_begin(&op, jobd, NULL, now_us);
        more = stop_one_locked(&op);
        op_end(&op);
    }
}
