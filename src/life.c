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
#include <string.h>

#include "blob.h"

enum {
    AT_A_TIME = 256, /* bounds how long purge and abandon hold the lock */
};

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
    verify(queue_waiting(queue) + queue->in_state[JOBD_RUNNING] <=
           queue->capacity + queue->workers + jobd->leases.max);
}

static void ring_moved_locked(void *context, uint64_t id, uint64_t position)
{
    struct job *job = jobs_find(context, id);
    verify(job != NULL && job->state == JOBD_QUEUED);
    job->position = position;
}

static void enqueue_locked(struct jobd *jobd, struct job *job) REQUIRES(jobd->lock)
{
    move_locked(jobd, job, JOBD_QUEUED);
    job->position = ring_push(&jobd->queues[job->queue].lanes[job->priority], job->id,
                              ring_moved_locked, &jobd->jobs);
}

static void schedule_locked(struct jobd *jobd, struct job *job, bool comes_back)
    REQUIRES(jobd->lock)
{
    move_locked(jobd, job, JOBD_SCHEDULED);
    job->due.place = 0;
    heap_push(&jobd->delays, &job->due, job->ready_us);
    /* In front those that come back, so that ids never fall behind: purge relies on it. */
    if (comes_back)
        TAILQ_INSERT_HEAD(&jobd->queues[job->queue].scheduled, job, link);
    else
        TAILQ_INSERT_TAIL(&jobd->queues[job->queue].scheduled, job, link);
}

static void unschedule_locked(struct jobd *jobd, struct job *job) REQUIRES(jobd->lock)
{
    heap_remove(&jobd->delays, &job->due);
    TAILQ_REMOVE(&jobd->queues[job->queue].scheduled, job, link);
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
        wait_end_locked(jobd, waiter, JOBD_OK, after);
    }
    jobs_remember(&jobd->jobs, job, after);
}

static void cancel_waiting_locked(struct jobd *jobd, struct job *job, int64_t now_us,
                                  struct aftermath *after) REQUIRES(jobd->lock)
{
    struct queue *queue = &jobd->queues[job->queue];
    if (job->state == JOBD_QUEUED)
        ring_remove(&queue->lanes[job->priority], job->position);
    else
        unschedule_locked(jobd, job);
    job->started_us = 0;
    end_locked(jobd, job, JOBD_CANCELLED, now_us, after);
    if (queue->in_state[JOBD_QUEUED] == 0)
        rate_interrupted(&queue->rate);
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
    TAILQ_INSERT_TAIL(&jobd->jobs.running, job, link);
    histogram_add(&queue->waited, now_us - job->ready_us);
    rate_taken(&queue->rate, now_us, queue->in_state[JOBD_QUEUED] > 0);
    const struct extra *extra = job->extra;
    taker->task = (struct jobd_task){
        .id = job->id,
        .queue = job->queue,
        .attempt = job->attempt,
        .expires_us = job->leased ? now_us + taker->lease_us : 0,
        .timeout_us =
            extra != NULL && extra->timeout_us > 0 ? extra->timeout_us : queue->timeout_us,
        .payload = job->payload,
        .key = extra != NULL ? extra->key : "",
        .trace = extra != NULL ? extra->trace : "",
    };
    if (job->leased) { /* it may end at any moment */
        taker->task.payload = job->payload != NULL ? jobd_blob_ref(job->payload) : NULL;
        taker->task.key = taker->task.trace = "";
    }
}

static uint32_t running_here(const struct queue *queue)
{
    return queue->in_state[JOBD_RUNNING] - queue->leased;
}

static bool can_give_locked(struct jobd *jobd, const struct queue *queue,
                            const struct jobd_waiter *taker) REQUIRES(jobd->lock)
{
    return !queue->paused && !jobd->dismissed && queue->in_state[JOBD_QUEUED] > 0 &&
           (taker->lease_us > 0 || running_here(queue) < queue->workers);
}

/* Who is next and can be given a job; NULL when nobody. */
static struct jobd_waiter *next_taker_locked(struct jobd *jobd, struct queue *queue)
    REQUIRES(jobd->lock)
{
    struct jobd_waiter *taker = NULL;
    if (queue->in_state[JOBD_QUEUED] > 0)
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
            hand_over_locked(jobd, next_queued_locked(jobd, queue), taker, now_us);
            wait_end_locked(jobd, taker, JOBD_OK, after);
        } else if ((putter = TAILQ_FIRST(&queue->putters)) != NULL &&
                   admit_has_room(queue, &putter->link.put)) {
            wait_end_locked(jobd, putter, admit_waiting_locked(jobd, putter, now_us, after), after);
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
        hand_over_locked(jobd, next_queued_locked(jobd, queue), waiter, now_us);
        life_settle_locked(jobd, queue, now_us, &after);
        result = JOBD_OK;
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
           !jobd->abandoned && job->attempt < job->attempts;
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

static void go_again_locked(struct jobd *jobd, struct job *job, const struct jobd_outcome *outcome,
                            int64_t now_us) REQUIRES(jobd->lock)
{
    struct queue *queue = &jobd->queues[job->queue];
    int64_t wait_us = outcome->retry_exactly ? 0 : backoff_us(queue, job);
    job->ready_us =
        later_us(now_us, wait_us > outcome->retry_in_us ? wait_us : outcome->retry_in_us);
    job->delayed = true;
    queue->retried++;
    schedule_locked(jobd, job, true);
}

static void leave_running_locked(struct jobd *jobd, struct job *job) REQUIRES(jobd->lock)
{
    TAILQ_REMOVE(&jobd->jobs.running, job, link);
    if (job->leased) {
        leases_end(&jobd->leases, job->lease);
        jobd->queues[job->queue].leased--;
    }
    job->leased = false;
}

void life_attempt_ended_locked(struct jobd *jobd, struct job *job,
                               const struct jobd_outcome *outcome, struct extra **extra,
                               int64_t now_us, struct aftermath *after)
{
    struct queue *queue = &jobd->queues[job->queue];
    leave_running_locked(jobd, job);
    histogram_add(&queue->ran, now_us - job->started_us);
    rate_ran(&queue->rate, now_us - job->started_us);
    keep_outcome_locked(jobd, job, outcome, extra, after);
    if (goes_again(jobd, job, outcome))
        go_again_locked(jobd, job, outcome, now_us);
    else if (outcome->state == JOBD_FAILED && job->stopping)
        end_locked(jobd, job, JOBD_CANCELLED, now_us, after);
    else
        end_locked(jobd, job, outcome->state, now_us, after);
    life_settle_locked(jobd, queue, now_us, after);
}

void life_give_back_locked(struct jobd *jobd, struct job *job, int64_t delay_us, int64_t now_us,
                           struct aftermath *after)
{
    leave_running_locked(jobd, job);
    job->attempt--;
    if (jobd->abandoned) { /* nobody will take it any more */
        end_locked(jobd, job, JOBD_CANCELLED, now_us, after);
        life_settle_locked(jobd, &jobd->queues[job->queue], now_us, after);
        return;
    }
    job->delayed = delay_us > 0;
    job->ready_us = later_us(now_us, delay_us);
    if (job->delayed)
        schedule_locked(jobd, job, true);
    else
        enqueue_locked(jobd, job);
    life_settle_locked(jobd, &jobd->queues[job->queue], now_us, after);
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
    verify(!job->leased);
    life_attempt_ended_locked(jobd, job, outcome, &extra, now_us, &after);
    unlock_and_tell(jobd, &after);
    extra_free(extra);
}

/* ---- cancel, pause, purge */

/* A worker is told; a lease is taken away, and whoever has it learns when it comes back. */
static void stop_running_locked(struct jobd *jobd, struct job *job, int64_t now_us,
                                struct aftermath *after) REQUIRES(jobd->lock)
{
    if (job->leased) {
        leave_running_locked(jobd, job);
        end_locked(jobd, job, JOBD_CANCELLED, now_us, after);
        life_settle_locked(jobd, &jobd->queues[job->queue], now_us, after);
        return;
    }
    job->stopping = true;
    after->stop = job->holder;
    after->stop_task =
        (struct jobd_task){.id = job->id, .queue = job->queue, .attempt = job->attempt};
}

enum jobd_result jobd_cancel(struct jobd *jobd, uint64_t id, int64_t now_us)
{
    enum jobd_result result;
    AFTERMATH(after);
    mutex_lock(&jobd->lock);
    struct job *job = jobs_find(&jobd->jobs, id);
    if (job == NULL) {
        result = JOBD_NO_JOB;
    } else if (jobd_state_final(job->state)) {
        result = JOBD_IS_FINAL;
    } else if (job->state == JOBD_RUNNING) {
        stop_running_locked(jobd, job, now_us, &after);
        result = JOBD_PENDING;
    } else {
        struct queue *queue = &jobd->queues[job->queue];
        cancel_waiting_locked(jobd, job, now_us, &after);
        life_settle_locked(jobd, queue, now_us, &after);
        result = JOBD_OK;
    }
    unlock_and_tell(jobd, &after);
    return result;
}

void jobd_pause(struct jobd *jobd, uint32_t queue_index, bool paused, int64_t now_us)
{
    verify(queue_index < jobd->queues_len);
    struct queue *queue = &jobd->queues[queue_index];
    AFTERMATH(after);
    mutex_lock(&jobd->lock);
    queue->paused = paused;
    rate_interrupted(&queue->rate);
    life_settle_locked(jobd, queue, now_us, &after);
    unlock_and_tell(jobd, &after);
}

/* Waiting jobs of the queue with an id below `below`; those that came later stand behind them. */
static uint32_t purge_some_locked(struct jobd *jobd, struct queue *queue, uint64_t below,
                                  int64_t now_us, struct aftermath *after) REQUIRES(jobd->lock)
{
    uint32_t purged = 0;
    struct job *job, *next;
    for (job = TAILQ_FIRST(&queue->scheduled); job != NULL && purged < AT_A_TIME; job = next) {
        next = TAILQ_NEXT(job, link);
        if (job->id >= below)
            continue; /* those that came back stand in front, whatever their id */
        cancel_waiting_locked(jobd, job, now_us, after);
        purged++;
    }
    for (unsigned lane = 0; lane < JOBD_PRIORITIES; lane++) {
        uint64_t id;
        while (purged < AT_A_TIME && (id = ring_peek(&queue->lanes[lane])) != 0 && id < below) {
            cancel_waiting_locked(jobd, jobs_find(&jobd->jobs, id), now_us, after);
            purged++;
        }
    }
    life_settle_locked(jobd, queue, now_us, after);
    return purged;
}

uint32_t jobd_purge(struct jobd *jobd, uint32_t queue_index, int64_t now_us)
{
    verify(queue_index < jobd->queues_len);
    struct queue *queue = &jobd->queues[queue_index];
    uint64_t below = 0;
    uint32_t purged = 0, more;
    do {
        AFTERMATH(after);
        mutex_lock(&jobd->lock);
        if (below == 0)
            below = jobd->next_id;
        more = purge_some_locked(jobd, queue, below, now_us, &after);
        unlock_and_tell(jobd, &after);
        purged += more;
    } while (more > 0);
    return purged;
}

/* ---- stopping */

void jobd_abandon(struct jobd *jobd, int64_t now_us)
{
    mutex_lock(&jobd->lock);
    jobd->abandoned = true; /* what fails from now on does not come back */
    mutex_unlock(&jobd->lock);
    for (uint32_t i = 0; i < jobd->queues_len; i++)
        jobd_purge(jobd, i, now_us);
    struct job *job;
    do {
        AFTERMATH(after);
        mutex_lock(&jobd->lock);
        TAILQ_FOREACH (job, &jobd->jobs.running, link)
            if (!job->stopping)
                break;
        if (job != NULL)
            stop_running_locked(jobd, job, now_us, &after);
        unlock_and_tell(jobd, &after);
    } while (job != NULL);
}
