/* SPDX-License-Identifier: MIT */
/* A job's life: the only file that changes a state.
 *
 *     (new) ──> QUEUED ──────> RUNNING ──> DONE | FAILED
 *       └──> SCHEDULED ──^        │
 *                 │  ^── again ───┤  (QUEUED too, when it is given back)
 *                 └────── all three ─────> CANCELLED
 *
 * A job that comes back finds its queue open however full it is: as many more than the capacity may
 * wait as may run. What is final can be put back in: QUEUED again.
 */
#include "engine/transition.h"

#include "engine/append.h"
#include "engine/job_info.h"
#include "engine/waiters.h"

#define TO(state) (1U << (state))

static const unsigned legal_moves[] = {
    [JOBD_QUEUED] = TO(JOBD_RUNNING) | TO(JOBD_CANCELLED),
    [JOBD_SCHEDULED] = TO(JOBD_QUEUED) | TO(JOBD_CANCELLED),
    [JOBD_RUNNING] =
        TO(JOBD_QUEUED) | TO(JOBD_SCHEDULED) | TO(JOBD_DONE) | TO(JOBD_FAILED) | TO(JOBD_CANCELLED),
    [JOBD_DONE] = TO(JOBD_QUEUED),
    [JOBD_FAILED] = TO(JOBD_QUEUED),
    [JOBD_CANCELLED] = TO(JOBD_QUEUED),
    [STATE_NEW] = TO(JOBD_QUEUED) | TO(JOBD_SCHEDULED),
};

static void move_locked(struct jobd *jobd, struct job *job, enum jobd_state to) REQUIRES(jobd->lock)
{
    struct queue *queue = &jobd->queues[job->queue];
    verify((legal_moves[job->state] & TO(to)) != 0);
    if (job->state != STATE_NEW && !jobd_state_final((enum jobd_state)job->state))
        queue->in_state[job->state]--;
    if (jobd_state_final(to))
        queue->ended[to]++;
    else
        queue->in_state[to]++;
    job->state = (uint8_t)to;
    verify(queue_waiting(queue) + queue->in_state[JOBD_RUNNING] <= queue->room);
}

static void ring_moved_locked(void *context, uint64_t id, uint64_t position)
{
    struct job *job = jobs_find(context, id);
    verify(job != NULL && job->state == JOBD_QUEUED);
    job->position = position;
}

static void enter_ring_locked(struct jobd *jobd, struct job *job) REQUIRES(jobd->lock)
{
    struct queue *queue = &jobd->queues[job->queue];
    job->position =
        ring_push(&queue->lanes[job->priority], job->id, ring_moved_locked, &jobd->jobs);
    if (queue_ready(queue) == 1)
        rate_waits(&queue->rate, job->ready_us);
}

static void enqueue_locked(struct jobd *jobd, struct job *job) REQUIRES(jobd->lock)
{
    move_locked(jobd, job, JOBD_QUEUED);
    enter_ring_locked(jobd, job);
}

/* Its place among the queues is that of its earliest scheduled job. */
static void place_queue_locked(struct jobd *jobd, struct queue *queue) REQUIRES(jobd->lock)
{
    const struct jobd_due *earliest = heap_top(&queue->delays);
    if (earliest != NULL && queue->due.place != 0 && queue->due.at_us == earliest->at_us)
        return;
    heap_remove(&jobd->delays, &queue->due);
    if (earliest != NULL)
        heap_push(&jobd->delays, &queue->due, earliest->at_us);
}

static void enter_heap_locked(struct jobd *jobd, struct job *job, bool comes_back)
    REQUIRES(jobd->lock)
{
    struct queue *queue = &jobd->queues[job->queue];
    job->due.place = 0;
    heap_push(&queue->delays, &job->due, job->ready_us);
    place_queue_locked(jobd, queue);
    /* In front those that come back, so that ids never fall behind: purge relies on it. */
    if (comes_back)
        TAILQ_INSERT_HEAD(&queue->scheduled, job, link);
    else
        TAILQ_INSERT_TAIL(&queue->scheduled, job, link);
}

static void schedule_locked(struct jobd *jobd, struct job *job, bool comes_back)
    REQUIRES(jobd->lock)
{
    move_locked(jobd, job, JOBD_SCHEDULED);
    enter_heap_locked(jobd, job, comes_back);
}

static void unschedule_locked(struct jobd *jobd, struct job *job) REQUIRES(jobd->lock)
{
    struct queue *queue = &jobd->queues[job->queue];
    heap_remove(&queue->delays, &job->due);
    place_queue_locked(jobd, queue);
    TAILQ_REMOVE(&queue->scheduled, job, link);
}

void transition_finish_locked(struct jobd *jobd, struct job *job, enum jobd_state state,
                              int64_t now_us, struct effects *after)
{
    move_locked(jobd, job, state);
    job->finished_us = now_us;
    job->stopping = false;
    struct jobd_waiter *waiter;
    while ((waiter = TAILQ_FIRST(&job->awaiting)) != NULL) {
        job_info(job, &waiter->info);
        job_output_for(job, waiter);
        wait_end_locked(jobd, waiter, JOBD_OK, after);
    }
    jobs_remember(&jobd->jobs, job, after);
}

/* ---- coming in */

void transition_enter_locked(struct jobd *jobd, struct job *job)
{
    if (job->delayed)
        schedule_locked(jobd, job, false);
    else
        enqueue_locked(jobd, job);
}

void transition_return_locked(struct jobd *jobd, struct job *job)
{
    if (job->delayed)
        schedule_locked(jobd, job, true);
    else
        enqueue_locked(jobd, job);
}

void transition_due_locked(struct jobd *jobd, struct job *job)
{
    unschedule_locked(jobd, job);
    enqueue_locked(jobd, job);
}

void transition_retry_locked(struct jobd *jobd, struct job *job, int64_t now_us,
                             struct effects *after)
{
    if (job->extra != NULL) {
        (void)jobs_set(&jobd->jobs, &job->extra->output, NULL, after);
        (void)jobs_set(&jobd->jobs, &job->extra->error, NULL, after);
    }
    job->attempt = 0;
    job->exit_code = 0;
    job->exited = job->output_truncated = job->delayed = false;
    job->ready_us = now_us;
    transition_enter_locked(jobd, job);
    jobd->queues[job->queue].admitted++;
}

void transition_restore_locked(struct jobd *jobd, struct job *job, enum jobd_state state)
{
    struct queue *queue = &jobd->queues[job->queue];
    verify(job->state == STATE_NEW);
    job->state = (uint8_t)state;
    if (jobd_state_final(state))
        return;
    queue->in_state[state]++;
    verify(queue_waiting(queue) + queue->in_state[JOBD_RUNNING] <= queue->room);
    if (state == JOBD_QUEUED)
        enter_ring_locked(jobd, job);
    else if (state == JOBD_SCHEDULED)
        enter_heap_locked(jobd, job, false);
    else
        TAILQ_INSERT_TAIL(&queue->running, job, link);
}

/* ---- running */

void transition_start_locked(struct jobd *jobd, struct job *job, struct jobd_waiter *take_waiter,
                             int64_t now_us)
{
    verify(job != NULL);
    struct queue *queue = &jobd->queues[job->queue];
    verify(ring_pop(&queue->lanes[job->priority]) == job->id);
    move_locked(jobd, job, JOBD_RUNNING);
    job->started_us = now_us;
    job->attempt++;
    job->leased = take_waiter->lease_us > 0;
    if (job->leased) {
        job->lease = lease_grant(&jobd->leases, job, take_waiter->token,
                                 later_us(now_us, take_waiter->lease_us));
        queue->leased++;
    } else {
        job->holder = take_waiter;
    }
    TAILQ_INSERT_TAIL(&queue->running, job, link);
    histogram_add(&queue->waited, now_us - job->ready_us);
    rate_taken(&queue->rate, now_us);
    const struct job_extra *extra = job->extra;
    take_waiter->task = (struct jobd_task){
        .id = job->id,
        .queue = job->queue,
        .attempt = job->attempt,
        .expires_us = job->leased ? now_us + take_waiter->lease_us : 0,
        .timeout_us =
            extra != NULL && extra->timeout_us > 0 ? extra->timeout_us : queue->timeout_us,
        .payload = job->payload,
        .payload_bytes = job->payload != NULL ? job->payload->size : 0,
        .key = extra != NULL ? extra->key : "",
        .trace = extra != NULL ? extra->trace : "",
    };
    if (job->leased) { /* it may end at any moment */
        take_waiter->task.payload = NULL;
        if (job->payload != NULL && !journal_on(&jobd->journal)) /* else when it is written */
            take_waiter->task.payload = jobd_blob_ref(job->payload);
        take_waiter->task.key = take_waiter->task.trace = "";
    }
}

/* ---- leaving before it ran */

void transition_withdraw_locked(struct jobd *jobd, struct job *job)
{
    struct queue *queue = &jobd->queues[job->queue];
    job->commit_pending = true;
    if (job->state == JOBD_QUEUED) {
        ring_remove(&queue->lanes[job->priority], job->position);
        queue->leaving++;
    } else {
        unschedule_locked(jobd, job);
    }
}

void transition_cancel_locked(struct jobd *jobd, struct job *job, int64_t now_us,
                              struct effects *after)
{
    jobd->queues[job->queue].leaving -= job->state == JOBD_QUEUED;
    job->commit_pending = false;
    job->started_us = 0;
    transition_finish_locked(jobd, job, JOBD_CANCELLED, now_us, after);
}

void transition_reinstate_locked(struct jobd *jobd, struct job *job)
{
    job->commit_pending = false;
    if (job->state == JOBD_QUEUED) {
        jobd->queues[job->queue].leaving--;
        enter_ring_locked(jobd, job);
    } else {
        enter_heap_locked(jobd, job, true);
    }
}
