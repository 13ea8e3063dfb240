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
#include "heart.h"

#include <errno.h>
#include <stdlib.h>

#include "blob.h"

#define TO(state) (1U << (state))

static const unsigned legal_moves[] = {
    [JOBD_QUEUED] = TO(JOBD_RUNNING) | TO(JOBD_CANCELLED),
    [JOBD_SCHEDULED] = TO(JOBD_QUEUED) | TO(JOBD_CANCELLED),
    [JOBD_RUNNING] =
        TO(JOBD_QUEUED) | TO(JOBD_SCHEDULED) | TO(JOBD_DONE) | TO(JOBD_FAILED) | TO(JOBD_CANCELLED),
    [JOBD_DONE] = TO(JOBD_QUEUED),
    [JOBD_FAILED] = TO(JOBD_QUEUED),
    [JOBD_CANCELLED] = TO(JOBD_QUEUED),
    [LIFE_NEW] = TO(JOBD_QUEUED) | TO(JOBD_SCHEDULED),
};

/* ---- moves */

uint32_t queue_waiting(const struct queue *queue)
{
    return queue->in_state[JOBD_QUEUED] + queue->in_state[JOBD_SCHEDULED];
}

uint32_t queue_ready(const struct queue *queue)
{
    return queue->in_state[JOBD_QUEUED] - queue->leaving;
}

uint32_t queue_busy(const struct queue *queue)
{
    return queue->in_state[JOBD_RUNNING] - queue->leased - queue->ending;
}

static void move_locked(struct jobd *jobd, struct job *job, enum jobd_state to) REQUIRES(jobd->lock)
{
    struct queue *queue = &jobd->queues[job->queue];
    verify((legal_moves[job->state] & TO(to)) != 0);
    if (job->state != LIFE_NEW && !jobd_state_final((enum jobd_state)job->state))
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

static void end_locked(struct jobd *jobd, struct job *job, enum jobd_state state, int64_t now_us,
                       struct aftermath *after) REQUIRES(jobd->lock)
{
    move_locked(jobd, job, state);
    job->finished_us = now_us;
    job->stopping = false;
    struct jobd_waiter *waiter;
    while ((waiter = TAILQ_FIRST(&job->awaiting)) != NULL) {
        look_locked(job, &waiter->info);
        look_at_output_locked(job, waiter);
        wait_end_locked(jobd, waiter, JOBD_OK, after);
    }
    jobs_remember(&jobd->jobs, job, after);
}

void life_detach_locked(struct jobd *jobd, struct job *job)
{
    struct queue *queue = &jobd->queues[job->queue];
    job->changing = true;
    if (job->state == JOBD_QUEUED) {
        ring_remove(&queue->lanes[job->priority], job->position);
        queue->leaving++;
    } else {
        unschedule_locked(jobd, job);
    }
}

void life_cancelled_locked(struct jobd *jobd, struct job *job, int64_t now_us,
                           struct aftermath *after)
{
    jobd->queues[job->queue].leaving -= job->state == JOBD_QUEUED;
    job->changing = false;
    job->started_us = 0;
    end_locked(jobd, job, JOBD_CANCELLED, now_us, after);
}

void life_attach_locked(struct jobd *jobd, struct job *job)
{
    job->changing = false;
    if (job->state == JOBD_QUEUED) {
        jobd->queues[job->queue].leaving--;
        enter_ring_locked(jobd, job);
    } else {
        enter_heap_locked(jobd, job, true);
    }
}

static struct job *next_queued_locked(struct jobd *jobd, struct queue *queue) REQUIRES(jobd->lock)
{
    for (unsigned lane = 0; lane < JOBD_PRIORITIES; lane++) {
        uint64_t id = ring_peek(&queue->lanes[lane]);
        if (id != 0) {
            struct job *job = jobs_find(&jobd->jobs, id);
            verify(job != NULL && job->state == JOBD_QUEUED);
            return job;
        }
    }
    return NULL;
}

/* ---- coming in */

void life_enter_locked(struct jobd *jobd, struct job *job)
{
    if (job->delayed)
        schedule_locked(jobd, job, false);
    else
        enqueue_locked(jobd, job);
}

void life_restore_locked(struct jobd *jobd, struct job *job, enum jobd_state state)
{
    struct queue *queue = &jobd->queues[job->queue];
    verify(job->state == LIFE_NEW);
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

void life_due_locked(struct jobd *jobd, struct job *job, int64_t now_us, struct aftermath *after)
{
    unschedule_locked(jobd, job);
    enqueue_locked(jobd, job);
    life_settle_locked(jobd, &jobd->queues[job->queue], now_us, after);
}

/* ---- take and finish */

static void hand_over_locked(struct jobd *jobd, struct job *job, struct jobd_waiter *taker,
                             int64_t now_us) REQUIRES(jobd->lock)
{
    verify(job != NULL);
    struct queue *queue = &jobd->queues[job->queue];
    verify(ring_pop(&queue->lanes[job->priority]) == job->id);
    move_locked(jobd, job, JOBD_RUNNING);
    job->started_us = now_us;
    job->attempt++;
    job->leased = taker->lease_us > 0;
    if (job->leased) {
        job->lease =
            leases_begin(&jobd->leases, job, taker->token, later_us(now_us, taker->lease_us));
        queue->leased++;
    } else {
        job->holder = taker;
    }
    TAILQ_INSERT_TAIL(&queue->running, job, link);
    histogram_add(&queue->waited, now_us - job->ready_us);
    rate_taken(&queue->rate, now_us);
    const struct extra *extra = job->extra;
    taker->task = (struct jobd_task){
        .id = job->id,
        .queue = job->queue,
        .attempt = job->attempt,
        .expires_us = job->leased ? now_us + taker->lease_us : 0,
        .timeout_us =
            extra != NULL && extra->timeout_us > 0 ? extra->timeout_us : queue->timeout_us,
        .payload = job->payload,
        .payload_bytes = job->payload != NULL ? job->payload->size : 0,
        .key = extra != NULL ? extra->key : "",
        .trace = extra != NULL ? extra->trace : "",
    };
    if (job->leased) { /* it may end at any moment */
        taker->task.payload = NULL;
        if (job->payload != NULL && !journal_on(&jobd->journal)) /* else when it is written */
            taker->task.payload = jobd_blob_ref(job->payload);
        taker->task.key = taker->task.trace = "";
    }
}

/* A worker whose last attempt is still being written may begin another one, but no third. */
static bool worker_free(const struct queue *queue)
{
    uint32_t here = queue->in_state[JOBD_RUNNING] - queue->leased;
    return queue_busy(queue) < queue->workers && here < 2 * queue->workers;
}

static bool lease_admitted_locked(struct jobd *jobd, const struct jobd_waiter *taker)
    REQUIRES(jobd->lock)
{
    const struct jobd_waiter *newcomer = taker->link.kind == WAIT_NOT ? taker : NULL;
    return !journal_on(&jobd->journal) || journal_admits_locked(jobd, newcomer);
}

static bool can_give_locked(struct jobd *jobd, const struct queue *queue,
                            const struct jobd_waiter *taker) REQUIRES(jobd->lock)
{
    return !queue->paused && !jobd->dismissed && queue_ready(queue) > 0 &&
           (taker->lease_us > 0 ? lease_admitted_locked(jobd, taker) : worker_free(queue));
}

/* With a journal, whoever leases is told when that is written. */
static enum jobd_result given_locked(struct jobd *jobd, struct job *job, struct jobd_waiter *taker,
                                     int64_t now_us, struct aftermath *after) REQUIRES(jobd->lock)
{
    if (!journal_on(&jobd->journal))
        return JOBD_OK;
    if (job->leased) {
        (void)journal_append_locked(jobd, ENTRY_LEASED, job, taker, now_us, after);
        return JOBD_PENDING;
    }
    journal_append_locked(jobd, ENTRY_TAKEN, job, NULL, now_us, after)->asked = false;
    return JOBD_OK;
}

/* Who is next and can be given a job; NULL when nobody. */
static struct jobd_waiter *next_taker_locked(struct jobd *jobd, struct queue *queue)
    REQUIRES(jobd->lock)
{
    struct jobd_waiter *taker = NULL;
    if (queue_ready(queue) > 0)
        TAILQ_FOREACH (taker, &queue->takers, link)
            if (can_give_locked(jobd, queue, taker))
                break;
    return taker;
}

void life_settle_locked(struct jobd *jobd, struct queue *queue, int64_t now_us,
                        struct aftermath *after)
{
    struct jobd_waiter *taker, *putter;
    for (;;) {
        if ((taker = next_taker_locked(jobd, queue)) != NULL) {
            struct job *job = next_queued_locked(jobd, queue);
            hand_over_locked(jobd, job, taker, now_us);
            if (given_locked(jobd, job, taker, now_us, after) == JOBD_OK)
                wait_end_locked(jobd, taker, JOBD_OK, after);
        } else if ((putter = TAILQ_FIRST(&queue->putters)) != NULL &&
                   admit_has_room(queue, &putter->link.put)) {
            enum jobd_result result = admit_waiting_locked(jobd, putter, now_us, after);
            if (result != JOBD_PENDING)
                wait_end_locked(jobd, putter, result, after);
        } else {
            break;
        }
    }
    struct jobd_waiter *idler;
    while ((idler = TAILQ_FIRST(&jobd->idlers)) != NULL && jobd_idle_locked(jobd))
        wait_end_locked(jobd, idler, JOBD_OK, after);
}

enum jobd_result jobd_take(struct jobd *jobd, uint32_t queue_index, struct jobd_waiter *waiter,
                           int64_t now_us)
{
    verify(queue_index < jobd->queues_len);
    struct queue *queue = &jobd->queues[queue_index];
    enum jobd_result result;
    AFTERMATH(after);
    mutex_lock(&jobd->lock);
    if (jobd->dismissed) {
        result = JOBD_CLOSED;
    } else if (waiter->lease_us > 0 &&
               jobd->leases.held + jobd->leases.promised >= jobd->leases.max) {
        result = JOBD_CROWDED;
    } else if (can_give_locked(jobd, queue, waiter)) { /* so nobody waits who could have it */
        struct job *job = next_queued_locked(jobd, queue);
        hand_over_locked(jobd, job, waiter, now_us);
        result = given_locked(jobd, job, waiter, now_us, &after);
        life_settle_locked(jobd, queue, now_us, &after);
    } else if (waiter->try_only) {
        result = JOBD_TIMEOUT;
    } else {
        result = wait_begin_locked(jobd, waiter, WAIT_JOB, NULL, queue_index);
    }
    unlock_and_tell(jobd, &after);
    return result;
}

/* Numbers without a pattern (Steele, Lea and Flood's SplitMix64, 2014). */
static uint64_t scatter(uint64_t number)
{
    number += 0x9e3779b97f4a7c15;
    number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9;
    number = (number ^ number >> 27) * 0x94d049bb133111eb;
    return number ^ number >> 31;
}

/* Jobs that failed together shall not come back together: half of the time is chance. */
static int64_t backoff_us(const struct queue *queue, const struct job *job)
{
    int64_t most_us = queue->backoff_min_us;
    for (unsigned i = 0; i < job->attempt && most_us < queue->backoff_max_us; i++)
        most_us = most_us <= queue->backoff_max_us / 2 ? most_us * 2 : queue->backoff_max_us;
    uint64_t chance = scatter(job->id * (JOBD_ATTEMPTS_MAX + 1) + job->attempt);
    int64_t us = most_us / 2 + (int64_t)(chance % (uint64_t)(most_us - most_us / 2 + 1));
    return us > queue->backoff_min_us ? us : queue->backoff_min_us;
}

static bool goes_again(struct jobd *jobd, const struct job *job, const struct jobd_outcome *outcome)
    REQUIRES(jobd->lock)
{
    return outcome->state == JOBD_FAILED && !outcome->for_good && !job->stopping &&
           (!jobd->abandoned || journal_on(&jobd->journal)) && job->attempt < job->attempts;
}

/* Takes output, error and, when the job has none yet, *extra. */
static void keep_outcome_locked(struct jobd *jobd, struct job *job,
                                const struct jobd_outcome *outcome, struct extra **extra,
                                struct aftermath *after) REQUIRES(jobd->lock)
{
    struct jobs *jobs = &jobd->jobs;
    job->exited = outcome->exited;
    job->exit_code = (uint8_t)outcome->exit_code;
    job->output_truncated = outcome->output_truncated;
    if (job->extra == NULL && outcome->output == NULL && outcome->error == NULL)
        return;
    if (jobs_extend(jobs, job, extra, after)) {
        job->output_truncated |= !jobs_set(jobs, &job->extra->output, outcome->output, after);
        (void)jobs_set(jobs, &job->extra->error, outcome->error, after);
    } else {
        job->output_truncated |= outcome->output != NULL;
        jobs_throw_away(outcome->output, after);
        jobs_throw_away(outcome->error, after);
    }
}

/* What an end with this outcome is: decided when it comes, also when it is to be written first. */
static void decide_locked(struct jobd *jobd, const struct job *job,
                          const struct jobd_outcome *outcome, int64_t now_us, struct ending *ending)
    REQUIRES(jobd->lock)
{
    *ending = (struct ending){
        .outcome = *outcome, .to = outcome->state, .at_us = now_us, .ready_us = now_us};
    if (goes_again(jobd, job, outcome)) {
        int64_t wait_us = outcome->retry_exactly ? 0 : backoff_us(&jobd->queues[job->queue], job);
        ending->to = JOBD_SCHEDULED;
        ending->ready_us =
            later_us(now_us, wait_us > outcome->retry_in_us ? wait_us : outcome->retry_in_us);
    }
    if (outcome->state != JOBD_DONE && job->recalled && !job->stopping)
        ending->to = JOBD_QUEUED;
    else if (outcome->state == JOBD_FAILED && job->stopping)
        ending->to = JOBD_CANCELLED;
}

static void leave_running_locked(struct jobd *jobd, struct job *job) REQUIRES(jobd->lock)
{
    TAILQ_REMOVE(&jobd->queues[job->queue].running, job, link);
    if (job->leased) {
        leases_end(&jobd->leases, job->lease);
        jobd->queues[job->queue].leased--;
    } else {
        jobd->queues[job->queue].ending -= job->changing;
    }
    job->leased = job->changing = job->recalled = false;
}

/* Back in the queue as if it had not been taken. */
static void go_back_locked(struct jobd *jobd, struct job *job, const struct ending *ending,
                           struct aftermath *after) REQUIRES(jobd->lock)
{
    job->attempt--;
    job->stopping = false;
    job->ready_us = ending->ready_us;
    job->delayed = ending->ready_us > ending->at_us;
    if (job->delayed)
        schedule_locked(jobd, job, true);
    else
        enqueue_locked(jobd, job);
    jobs_throw_away(ending->outcome.output, after);
    jobs_throw_away(ending->outcome.error, after);
}

void life_ended_locked(struct jobd *jobd, struct job *job, const struct ending *ending,
                       struct extra **extra, struct aftermath *after)
{
    struct queue *queue = &jobd->queues[job->queue];
    leave_running_locked(jobd, job);
    if (ending->to == JOBD_QUEUED) {
        go_back_locked(jobd, job, ending, after);
        life_settle_locked(jobd, queue, ending->at_us, after);
        return;
    }
    if (!ending->cut) {
        histogram_add(&queue->ran, ending->at_us - job->started_us);
        rate_ran(&queue->rate, ending->at_us - job->started_us);
        keep_outcome_locked(jobd, job, &ending->outcome, extra, after);
    }
    if (ending->to == JOBD_SCHEDULED) {
        job->ready_us = ending->ready_us;
        job->delayed = true;
        queue->retried++;
        schedule_locked(jobd, job, true);
    } else {
        end_locked(jobd, job, ending->to, ending->at_us, after);
    }
    life_settle_locked(jobd, queue, ending->at_us, after);
}

enum jobd_result life_end_so_locked(struct jobd *jobd, struct job *job, const struct ending *ending,
                                    struct extra **extra, struct jobd_waiter *waiter,
                                    enum jobd_result result, int64_t now_us,
                                    struct aftermath *after)
{
    if (!journal_on(&jobd->journal)) {
        life_ended_locked(jobd, job, ending, extra, after);
        return result;
    }
    if (waiter != NULL && !journal_admits_locked(jobd, waiter))
        return JOBD_CROWDED;
    struct entry *entry = journal_append_locked(jobd, ENTRY_ENDED, job, waiter, now_us, after);
    entry->asked = waiter != NULL;
    entry->result = result;
    entry->ending = *ending;
    entry->extra = *extra;
    *extra = NULL;
    job->changing = true;
    jobd->queues[job->queue].ending += !job->leased;
    return waiter != NULL ? JOBD_PENDING : result;
}

enum jobd_result life_end_attempt_locked(struct jobd *jobd, struct job *job,
                                         const struct jobd_outcome *outcome, struct extra **extra,
                                         struct jobd_waiter *waiter, int64_t now_us,
                                         struct aftermath *after)
{
    struct ending ending;
    decide_locked(jobd, job, outcome, now_us, &ending);
    return life_end_so_locked(jobd, job, &ending, extra, waiter, JOBD_OK, now_us, after);
}

enum jobd_result life_give_back_locked(struct jobd *jobd, struct job *job, int64_t delay_us,
                                       struct jobd_waiter *waiter, int64_t now_us,
                                       struct aftermath *after)
{
    struct extra *none = NULL;
    struct ending ending = {
        .cut = true, .to = JOBD_QUEUED, .at_us = now_us, .ready_us = later_us(now_us, delay_us)};
    if (jobd->abandoned && !journal_on(&jobd->journal)) /* nobody will take it any more */
        ending.to = JOBD_CANCELLED;
    return life_end_so_locked(jobd, job, &ending, &none, waiter, JOBD_OK, now_us, after);
}

void jobd_finish(struct jobd *jobd, const struct jobd_task *task,
                 const struct jobd_outcome *outcome, int64_t now_us)
{
    struct extra *extra = extra_for(outcome);
    verify(jobd_state_final(outcome->state));
    AFTERMATH(after);
    mutex_lock(&jobd->lock);
    struct job *job = jobs_find(&jobd->jobs, task->id);
    verify(job != NULL && job->state == JOBD_RUNNING && job->attempt == task->attempt);
    verify(!job->leased && !job->changing);
    (void)life_end_attempt_locked(jobd, job, outcome, &extra, NULL, now_us, &after);
    unlock_and_tell(jobd, &after);
    extra_free(extra);
}
