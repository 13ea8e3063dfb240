/* SPDX-License-Identifier: MIT */
/* A job's life.
 *
 *     from                to         by transition_...   when
 *     NEW                 QUEUED     enter               put
 *     NEW                 SCHEDULED  enter               put with a delay
 *     NEW                 BLOCKED    enter               put after others
 *     BLOCKED             QUEUED     unblock             they have ended
 *     BLOCKED             SCHEDULED  unblock             they have, and its time has not come
 *     NEW                 QUEUED     finish, end_waiting a delivery of that end
 *     SCHEDULED           QUEUED     due                 its time has come
 *     QUEUED              RUNNING    start               dispatched to a taker
 *     RUNNING             QUEUED     return              released; given back at a stop
 *     RUNNING             SCHEDULED  return              failed, to be retried; released for later
 *     RUNNING             any final  finish              its last attempt has ended
 *     any that waits      CANCELLED  end_waiting         cancelled, purged, expired; orphaned
 *     QUEUED, SCHEDULED   DONE       end_waiting         after an expired lease a late report came
 *     any that waits      another    exchange            replaced by one with a delay, or without
 *     any final           QUEUED     retry               retried by hand
 *     any that waits      the same   move                to another queue
 *     QUEUED, SCHEDULED   either     amend               another start or priority
 *
 * With a journal a job keeps its state while the change is being written, and commit_pending says
 * so; what holds then is written at struct job. A job that comes back finds its queue open however
 * full it is: as many more than the capacity may wait as may run. */
#include "engine/transition.h"

#include <string.h>

#include "engine/breaker.h"
#include "engine/deliveries.h"
#include "engine/edges.h"
#include "engine/events.h"
#include "engine/job_info.h"
#include "engine/lanes.h"
#include "engine/limits.h"
#include "engine/fair.h"
#include "engine/pins.h"
#include "engine/said.h"
#include "engine/touched.h"
#include "engine/waiters.h"

#define TO(state) (1U << (state))

static const unsigned legal_moves[] = {
    [STATE_NEW] = TO(JOBD_QUEUED) | TO(JOBD_SCHEDULED) | TO(JOBD_BLOCKED),
    [JOBD_QUEUED] = TO(JOBD_SCHEDULED) | TO(JOBD_BLOCKED) | TO(JOBD_RUNNING) | TO(JOBD_CANCELLED) |
                    TO(JOBD_DONE),
    [JOBD_SCHEDULED] = TO(JOBD_QUEUED) | TO(JOBD_BLOCKED) | TO(JOBD_CANCELLED) | TO(JOBD_DONE),
    [JOBD_BLOCKED] = TO(JOBD_QUEUED) | TO(JOBD_SCHEDULED) | TO(JOBD_CANCELLED),
    [JOBD_RUNNING] =
        TO(JOBD_QUEUED) | TO(JOBD_SCHEDULED) | TO(JOBD_DONE) | TO(JOBD_FAILED) | TO(JOBD_CANCELLED),
    [JOBD_DONE] = TO(JOBD_QUEUED),
    [JOBD_FAILED] = TO(JOBD_QUEUED),
    [JOBD_CANCELLED] = TO(JOBD_QUEUED),
};

static struct queue *queue_of(const struct op *op, const struct job *job)
{
    return &op->jobd->queues[job->queue];
}

static void check_room(const struct queue *queue)
{
    verify(queue_waiting(queue) + queue->in_state[JOBD_RUNNING] <= queue->room);
}

/* The state that it leaves. */
static enum jobd_state move_locked(struct op *op, struct job *job, enum jobd_state to)
    REQUIRES(op->jobd->lock)
{
    struct queue *queue = queue_of(op, job);
    const enum jobd_state from = (enum jobd_state)job->state;
    verify((legal_moves[from] & TO(to)) != 0);
    if (job->state != STATE_NEW && !job_has_ended(job))
        queue->in_state[job->state]--;
    if (jobd_state_final(to))
        queue->ended[to]++;
    else
        queue->in_state[to]++;
    if (job->batched)
        batches_moved(&op->jobd->jobs.batches, job, to);
    job->state = (uint8_t)to;
    if (job->extra != NULL && job->extra->group != NULL)
        fair_moved_locked(op, job, from);
    said_tell_locked(op, job);
    check_room(queue);
    return from;
}

/* ---- lanes and delays */

static void enter_lane_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock)
{
    struct queue *queue = queue_of(op, job);
    lane_enter_locked(op, queue, job);
    if (queue_ready(queue) == 1)
        rate_waits(&queue->rate, job->ready_us);
}

/* A queue's place among the queues is that of its earliest scheduled job, of equal times that of
 * the oldest: so the order in which jobs come due is nobody's chance. */
static void place_queue_locked(struct op *op, struct queue *queue) REQUIRES(op->jobd->lock)
{
    const struct due *earliest = heap_top(&queue->delays);
    if (earliest != NULL && queue->due.place != 0 && queue->due.at_us == earliest->at_us &&
        queue->due.order == earliest->order)
        return;
    heap_remove(&op->jobd->delays, &queue->due);
    if (earliest == NULL)
        return;
    queue->due.order = earliest->order;
    heap_push(&op->jobd->delays, &queue->due, earliest->at_us);
}

static void enter_delays_locked(struct op *op, struct job *job, bool comes_back)
    REQUIRES(op->jobd->lock)
{
    struct queue *queue = queue_of(op, job);
    job->due = (struct due){.order = (uint32_t)job->id}; /* of equal times the older one first */
    heap_push(&queue->delays, &job->due, job->ready_us);
    place_queue_locked(op, queue);
    /* Those that come back in front, so that behind them ids only rise: purge relies on it. */
    if (comes_back)
        TAILQ_INSERT_HEAD(&queue->scheduled, job, link);
    else
        TAILQ_INSERT_TAIL(&queue->scheduled, job, link);
}

static void leave_delays_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock)
{
    struct queue *queue = queue_of(op, job);
    heap_remove(&queue->delays, &job->due);
    place_queue_locked(op, queue);
    TAILQ_REMOVE(&queue->scheduled, job, link);
}

/* As in enter_delays_locked(). */
static void enter_blocked_locked(struct op *op, struct job *job, bool comes_back)
    REQUIRES(op->jobd->lock)
{
    struct queue *queue = queue_of(op, job);
    if (comes_back)
        TAILQ_INSERT_HEAD(&queue->blocked, job, link);
    else
        TAILQ_INSERT_TAIL(&queue->blocked, job, link);
    edges_look_again_locked(op, job->extra->parents);
}

/* The place that its state gives it. */
static void enter_place_locked(struct op *op, struct job *job, bool comes_back)
    REQUIRES(op->jobd->lock)
{
    if (job->state == JOBD_QUEUED)
        enter_lane_locked(op, job);
    else if (job->state == JOBD_SCHEDULED)
        enter_delays_locked(op, job, comes_back);
    else
        enter_blocked_locked(op, job, comes_back);
}

static void leave_place_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock)
{
    struct queue *queue = queue_of(op, job);
    if (job->state == JOBD_QUEUED)
        lane_leave_locked(op, queue, job);
    else if (job->state == JOBD_SCHEDULED)
        leave_delays_locked(op, job);
    else
        TAILQ_REMOVE(&queue->blocked, job, link);
}

static void wait_locked(struct op *op, struct job *job, bool comes_back) REQUIRES(op->jobd->lock)
{
    const enum jobd_state was = move_locked(op, job, waits_as(job->extra, job->delayed));
    jobs_watch(&op->jobd->jobs, job);
    enter_place_locked(op, job, comes_back);
    events_note_locked(op, job, was);
}

/* ---- coming in */

void transition_enter_locked(struct op *op, struct job *job)
{
    wait_locked(op, job, false);
}

void transition_due_locked(struct op *op, struct job *job)
{
    leave_delays_locked(op, job);
    const enum jobd_state was = move_locked(op, job, JOBD_QUEUED);
    enter_lane_locked(op, job);
    events_note_locked(op, job, was);
    if (op->jobd->share != NULL && op->jobd->share->in_turn)
        share_touch_behind_locked(op, job);
}

/* From now on it waits as others do: so long it could not have begun. */
void transition_unblock_locked(struct op *op, struct job *job)
{
    leave_place_locked(op, job);
    edges_leave_locked(op, job->extra);
    bool later = job->delayed && job->ready_us > op->now_us;
    job->ready_us = later ? job->ready_us : op->now_us;
    const enum jobd_state was = move_locked(op, job, waits_as(job->extra, later));
    enter_place_locked(op, job, true);
    events_note_locked(op, job, was);
    if (op->jobd->share != NULL)
        share_touch_locked(op, job, ROW_SET);
}

void transition_retry_locked(struct op *op, struct job *job, int64_t at_us)
{
    struct jobs *jobs = &op->jobd->jobs;
    if (job->extra != NULL) {
        (void)jobs_set(jobs, &job->extra->output, NULL, op);
        (void)jobs_set(jobs, &job->extra->error, NULL, op);
        said_forget_locked(op, job);
    }
    job->attempt = 0;
    job->exit_code = 0;
    job->expired = false;
    job->unexpiring = true;
    if (job->extra != NULL)
        job->extra->expires_us = 0;
    job->exited = job->output_truncated = job->delayed = job->by_wall = false;
    job->ready_us = at_us;
    wait_locked(op, job, false);
}

void transition_restore_locked(struct op *op, struct job *job, enum jobd_state state)
{
    struct queue *queue = queue_of(op, job);
    verify(job->state == STATE_NEW);
    if (job->batched)
        batches_moved(&op->jobd->jobs.batches, job, state);
    job->state = (uint8_t)state;
    if (jobd_state_final(state))
        return;
    fair_settle_locked(op, queue, job);
    queue->in_state[state]++;
    check_room(queue);
    if (state != JOBD_RUNNING)
        jobs_watch(&op->jobd->jobs, job);
    if (state != JOBD_RUNNING)
        enter_place_locked(op, job, false);
    else
        TAILQ_INSERT_TAIL(&queue->running, job, link);
}

void transition_detach_locked(struct op *op, struct job *job)
{
    struct queue *queue = queue_of(op, job);
    jobs_unwatch(&op->jobd->jobs, job);
    if (job_waits(job))
        leave_place_locked(op, job);
    else if (job->state == JOBD_RUNNING)
        transition_leave_running_locked(op, job);
    else
        jobs_revive(&op->jobd->jobs, job);
    edges_leave_locked(op, job->extra);
    if (!job_has_ended(job))
        queue->in_state[job->state]--;
    if (job->batched)
        batches_detached(&op->jobd->jobs.batches, job);
    fair_detach_locked(op, queue, job);
    job->state = STATE_NEW;
}

void transition_forsake_locked(struct op *op, struct job *job)
{
    verify(job->state == STATE_NEW);
    struct waiting *waiting;
    while ((waiting = TAILQ_FIRST(&job->awaiting)) != NULL)
        wait_end_locked(op, waiter_of(waiting), share_told_locked(op, waiter_of(waiting)));
}

bool transition_has_room_locked(struct op *op, uint16_t index)
{
    const struct queue *queue = &op->jobd->queues[index];
    return queue_waiting(queue) + queue->in_state[JOBD_RUNNING] < queue->room;
}

/* ---- running */

static struct jobd_task task_of(const struct queue *queue, const struct job *job)
{
    const struct job_extra *extra = job->extra;
    return (struct jobd_task){
        .id = job->id,
        .queue = job->queue,
        .attempt = job->attempt,
        .attempts = job->attempts,
        .started_us = job->started_us,
        .timeout_us = queue_timeout_us(queue, job),
        .payload = job->payload,
        .payload_bytes = job->payload != NULL ? job->payload->size : 0,
        .key = extra != NULL ? extra->key : "",
        .trace = extra != NULL ? extra->trace : "",
        .words = extra != NULL ? extra->words : NULL,
    };
}

static void lease_locked(struct op *op, struct job *job, struct jobd_waiter *taker)
    REQUIRES(op->jobd->lock)
{
    /* The job may be forgotten at any moment; its payload comes with the answer. */
    taker->task.payload = taker->task.words = NULL;
    taker->task.key = taker->task.trace = "";
    job->lease =
        lease_grant(&op->jobd->leases, job, taker->token, later_us(op->now_us, taker->lease_us));
    queue_of(op, job)->leased++;
}

static struct jobd_blob *ref(struct jobd_blob *blob)
{
    return blob != NULL ? jobd_blob_ref(blob) : NULL;
}

static void keep(struct jobd_task *task, struct jobd_kept *kept)
{
    kept->payload = task->payload = ref(task->payload);
    kept->words = task->words = ref(task->words);
    task->key = memcpy(kept->key, task->key, strlen(task->key) + 1);
    task->trace = memcpy(kept->trace, task->trace, strlen(task->trace) + 1);
}

void transition_start_locked(struct op *op, struct job *job, struct jobd_waiter *taker)
{
    struct queue *queue = queue_of(op, job);
    lane_take_locked(op, queue, job);
    limits_started(queue, op->now_us);
    (void)move_locked(op, job, JOBD_RUNNING);
    jobs_unwatch(&op->jobd->jobs, job);
    job->started_us = op->now_us;
    job->attempt++;
    said_begin_locked(op, job, taker->worker, &waiting_of(taker)->extra);
    taker->task = task_of(queue, job);
    job->leased = taker->lease_us > 0;
    if (job->leased) {
        lease_locked(op, job, taker);
    } else {
        if (taker->kept != NULL)
            keep(&taker->task, taker->kept);
        job->holder = taker;
        breaker_begun_locked(op, queue, job);
    }
    TAILQ_INSERT_TAIL(&queue->running, job, link);
    histogram_add(&queue->waited, op->now_us - job->ready_us);
    rate_taken(&queue->rate, op->now_us);
}

/* There is a lease again: somebody may wait for one, in any queue. */
static void look_everywhere_locked(struct op *op) REQUIRES(op->jobd->lock)
{
    for (uint32_t i = 0; i < op->jobd->queues_len && op->jobd->share != NULL; i++)
        op->jobd->queues[i].dispatch_needed = op->jobd->dispatch_needed = true;
}

void transition_leave_running_locked(struct op *op, struct job *job)
{
    struct queue *queue = queue_of(op, job);
    TAILQ_REMOVE(&queue->running, job, link);
    if (job->leased) {
        lease_revoke(&op->jobd->leases, job->lease);
        queue->leased--;
        if (op->jobd->share != NULL && op->jobd->share->in_turn)
            share_touch_lease_locked(op, job->lease);
        if (op->jobd->leases.held + 1 == op->jobd->leases.max)
            look_everywhere_locked(op);
    } else {
        queue->end_pending -= job->commit_pending;
        queue->elsewhere -= job->elsewhere;
        breaker_left(queue, job);
    }
    job->leased = job->elsewhere = job->commit_pending = job->requeue_on_stop = false;
    job->start_pending = false;
}

void transition_return_locked(struct op *op, struct job *job)
{
    wait_locked(op, job, true);
}

void transition_tell_batch_locked(struct op *op, struct batch *batch)
{
    struct jobd_waiter *waiter;
    while ((waiter = first_waiter(&batch->awaiting)) != NULL) {
        batch_info(batch, waiter->batch);
        wait_end_locked(op, waiter, JOBD_OK);
    }
}

/* Whoever awaits its batch is told when it was the last of it. */
static void end_in_batch_locked(struct op *op, const struct job *job) REQUIRES(op->jobd->lock)
{
    struct batch *batch = batches_of(&op->jobd->jobs.batches, job->id);
    if (!batches_over(batch))
        return;
    batch->finished_us = job->finished_us;
    batches_note(&op->jobd->jobs.batches, batch);
    if ((batch->pins & PIN_CHILDREN) != 0)
        edges_batch_ended_locked(op, batch);
    transition_tell_batch_locked(op, batch);
}

void transition_tell_end_locked(struct op *op, struct job *job)
{
    struct jobd_waiter *waiter;
    while ((waiter = first_waiter(&job->awaiting)) != NULL) {
        job_info(job, &waiter->info);
        job_output_for(job, waiter);
        wait_end_locked(op, waiter, JOBD_OK);
    }
}

void transition_finish_locked(struct op *op, struct job *job, enum jobd_state state, int64_t at_us)
{
    const enum jobd_state was = move_locked(op, job, state);
    job->finished_us = at_us;
    job->stopping = false;
    events_note_locked(op, job, was);
    transition_tell_end_locked(op, job);
    if (job->batched)
        end_in_batch_locked(op, job);
    if ((job->pins & PIN_CHILDREN) != 0)
        edges_job_ended_locked(op, job);
    struct job *deliveries[DELIVERIES_MAX];
    const unsigned len = deliveries_make_locked(op, job, at_us, deliveries);
    deliveries_over_locked(op, job);
    bool pinned = job->pins != 0;
    jobs_remember(&op->jobd->jobs, job, op);
    if (pinned) /* else it may be forgotten */
        deliveries_settle_locked(op, job);
    for (unsigned i = 0; i < len; i++) {
        wait_locked(op, deliveries[i], false);
        if (op->jobd->share != NULL)
            share_touch_locked(op, deliveries[i], ROW_ADD);
    }
}

/* ---- ended while it waits: cancelled, or done by a late report */

void transition_withdraw_locked(struct op *op, struct job *job)
{
    job->commit_pending = true;
    jobs_unwatch(&op->jobd->jobs, job);
    leave_place_locked(op, job);
    queue_of(op, job)->cancel_pending += job->state == JOBD_QUEUED;
}

void transition_end_waiting_locked(struct op *op, struct job *job, enum jobd_state state,
                                   int64_t started_us, int64_t at_us)
{
    queue_of(op, job)->cancel_pending -= job->state == JOBD_QUEUED;
    job->commit_pending = false;
    edges_leave_locked(op, job->extra);
    job->started_us = started_us;
    transition_finish_locked(op, job, state, at_us);
}

static void wait_again_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock)
{
    job->commit_pending = job->changing = false;
    jobs_watch(&op->jobd->jobs, job);
    enter_place_locked(op, job, true);
}

void transition_reinstate_locked(struct op *op, struct job *job)
{
    queue_of(op, job)->cancel_pending -= job->state == JOBD_QUEUED;
    wait_again_locked(op, job);
}

void transition_amend_locked(struct op *op, struct job *job, enum jobd_state state)
{
    queue_of(op, job)->cancel_pending -= job->state == JOBD_QUEUED;
    const enum jobd_state was = (enum jobd_state)job->state;
    if (was != state)
        (void)move_locked(op, job, state);
    wait_again_locked(op, job);
    if (was != state)
        events_note_locked(op, job, was);
}

void transition_move_locked(struct op *op, struct job *job, uint16_t queue)
{
    struct queue *from = queue_of(op, job);
    from->cancel_pending -= job->state == JOBD_QUEUED;
    from->in_state[job->state]--;
    from->moved_out++;
    fair_quit_locked(op, from, job->extra);
    jobs_move(&op->jobd->jobs, job, queue);
    struct queue *to = queue_of(op, job);
    to->in_state[job->state]++;
    to->moved_in++;
    fair_arrive_locked(op, to, job);
    check_room(to);
    wait_again_locked(op, job);
}

/* ---- replaced */

void transition_exchange_locked(struct op *op, struct job *job, struct job_content *content)
{
    struct queue *queue = queue_of(op, job);
    bool waits = job_waits(job), in_place = waits && !job->commit_pending;
    enum jobd_state to = waits_as(content->extra, content->delayed);
    bool stays = in_place && to == JOBD_QUEUED && job->state == JOBD_QUEUED &&
                 content->priority == job->priority &&
                 (!fair_has(queue, job->id) || fair_same_group(job, content));
    if (stays)
        content->ready_us = job->ready_us; /* it has waited since */
    if (op->jobd->share != NULL)
        op->jobd->share->stays = stays;
    if (in_place)
        jobs_unwatch(&op->jobd->jobs, job);
    if (in_place && !stays)
        leave_place_locked(op, job);
    queue->cancel_pending -= waits && !in_place && job->state == JOBD_QUEUED;
    fair_exchange_locked(op, queue, job, content);
    const enum jobd_state was = (enum jobd_state)job->state;
    bool moves = waits && was != to;
    if (moves)
        (void)move_locked(op, job, to);
    queue->cancel_pending += waits && !in_place && job->state == JOBD_QUEUED;
    if (in_place && !stays)
        enter_place_locked(op, job, true);
    if (!waits && job->state != STATE_NEW)
        edges_leave_locked(op, job->extra); /* it has begun */
    if (in_place)
        jobs_watch(&op->jobd->jobs, job);
    if (moves)
        events_note_locked(op, job, was);
}
