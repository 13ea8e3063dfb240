/* SPDX-License-Identifier: MIT */
/* A job's life: the only file that changes a state.
 *
 *     (new) ──> QUEUED ──────> RUNNING ──> DONE | FAILED
 *       └──> SCHEDULED ──^        │
 *                 └────── all three ─────> CANCELLED
 */
#include "heart.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "blob.h"

enum {
    NEW_BORN = JOBD_STATES,
    AT_A_TIME = 256, /* bounds how long purge and abandon hold the lock */
};

#define TO(state) (1U << (state))

static const unsigned legal_moves[] = {
    [JOBD_QUEUED] = TO(JOBD_RUNNING) | TO(JOBD_CANCELLED),
    [JOBD_SCHEDULED] = TO(JOBD_QUEUED) | TO(JOBD_CANCELLED),
    [JOBD_RUNNING] = TO(JOBD_DONE) | TO(JOBD_FAILED) | TO(JOBD_CANCELLED),
    [JOBD_DONE] = 0,
    [JOBD_FAILED] = 0,
    [JOBD_CANCELLED] = 0,
    [NEW_BORN] = TO(JOBD_QUEUED) | TO(JOBD_SCHEDULED),
};

/* ---- start and end */

static int queue_init(struct queue *queue, const struct jobd_queue_config *config)
{
    strcpy(queue->name, config->name);
    queue->capacity = config->capacity;
    queue->workers = config->workers;
    TAILQ_INIT(&queue->scheduled);
    TAILQ_INIT(&queue->takers);
    TAILQ_INIT(&queue->putters);
    int error = 0;
    for (unsigned lane = 0; lane < JOBD_PRIORITIES && error == 0; lane++)
        error = ring_init(&queue->lanes[lane], config->capacity);
    return error;
}

static bool sound(const struct jobd_config *config, uint64_t *waiting_max, uint64_t *running_max)
{
    if (config->queues_len == 0 || config->queues_len > UINT16_MAX || config->first_id == 0)
        return false;
    for (uint32_t i = 0; i < config->queues_len; i++) {
        const struct jobd_queue_config *queue = &config->queues[i];
        size_t length = strlen(queue->name);
        if (length == 0 || length > JOBD_QUEUE_NAME_MAX || queue->capacity == 0)
            return false;
        *waiting_max += queue->capacity;
        *running_max += queue->workers;
    }
    return *waiting_max + *running_max + 2 * (uint64_t)config->keep < UINT32_MAX;
}

int jobd_new(struct jobd **jobd, const struct jobd_config *config)
{
    uint64_t waiting_max = 0, running_max = 0;
    if (!sound(config, &waiting_max, &running_max))
        return -EINVAL;
    struct jobd *new = calloc(1, sizeof *new);
    if (new == NULL)
        return -ENOMEM;
    int error = mutex_init(&new->lock);
    if (error != 0) {
        free(new);
        return error;
    }
    mutex_lock(&new->lock); /* nobody else sees it yet: for the analysis */
    new->next_id = config->first_id;
    new->waiters_max = config->waiters_max;
    new->earlier = config->earlier;
    new->context = config->context;
    new->ticks_at_us = JOBD_NEVER;
    TAILQ_INIT(&new->idlers);
    new->queues = calloc(config->queues_len, sizeof *new->queues);
    if (new->queues == NULL)
        error = -ENOMEM;
    for (uint32_t i = 0; i < config->queues_len && error == 0; i++) {
        error = queue_init(&new->queues[i], &config->queues[i]);
        new->queues_len++;
    }
    if (error == 0)
        error = jobs_init(&new->jobs,
                          (uint32_t)(waiting_max + running_max + 2 * (uint64_t)config->keep),
                          config->keep, config->memory_bytes);
    if (error == 0)
        error = heap_init(&new->delays, (uint32_t)waiting_max);
    if (error == 0)
        error = heap_init(&new->deadlines, config->waiters_max);
    mutex_unlock(&new->lock);
    if (error == 0)
        *jobd = new;
    else
        jobd_free(new);
    return error;
}

void jobd_free(struct jobd *jobd)
{
    if (jobd == NULL)
        return;
    mutex_lock(&jobd->lock);
    verify(jobd->waiters == 0);
    if (jobd->jobs.records != NULL) {
        verify(TAILQ_EMPTY(&jobd->jobs.running));
        jobs_release(&jobd->jobs);
    }
    heap_release(&jobd->delays);
    heap_release(&jobd->deadlines);
    for (uint32_t i = 0; i < jobd->queues_len; i++)
        for (unsigned lane = 0; lane < JOBD_PRIORITIES; lane++)
            ring_release(&jobd->queues[i].lanes[lane]);
    free(jobd->queues);
    mutex_unlock(&jobd->lock);
    mutex_release(&jobd->lock);
    free(jobd);
}

/* ---- moves */

uint32_t queue_waiting(const struct queue *queue)
{
    return queue->in_state[JOBD_QUEUED] + queue->in_state[JOBD_SCHEDULED];
}

static void move_locked(struct jobd *jobd, struct job *job, enum jobd_state to) REQUIRES(jobd->lock)
{
    struct queue *queue = &jobd->queues[job->queue];
    verify((legal_moves[job->state] & TO(to)) != 0);
    if (job->state != NEW_BORN)
        queue->in_state[job->state]--;
    if (jobd_state_final(to))
        queue->ended[to]++;
    else
        queue->in_state[to]++;
    job->state = (uint8_t)to;
    verify(queue_waiting(queue) <= queue->capacity);
    verify(queue->in_state[JOBD_RUNNING] <= queue->workers);
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

static void schedule_locked(struct jobd *jobd, struct job *job) REQUIRES(jobd->lock)
{
    move_locked(jobd, job, JOBD_SCHEDULED);
    job->due.place = 0;
    heap_push(&jobd->delays, &job->due, job->ready_us);
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
    job->holder = NULL;
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

/* ---- put */

static enum jobd_result admit_locked(struct jobd *jobd, const struct jobd_put *put, int64_t now_us,
                                     uint64_t *id, struct aftermath *after) REQUIRES(jobd->lock)
{
    struct queue *queue = &jobd->queues[put->queue];
    if (queue_waiting(queue) >= queue->capacity)
        return JOBD_FULL;
    if (!jobs_make_room(&jobd->jobs, blob_weight(put->payload), after))
        return JOBD_MEMORY;
    struct job *job = jobs_add(&jobd->jobs, jobd->next_id++, put->payload);
    job->state = NEW_BORN;
    job->queue = (uint16_t)put->queue;
    job->priority = put->priority;
    job->attempts = 1;
    job->created_us = now_us;
    job->delayed = put->delay_us > 0;
    job->ready_us = now_us + (job->delayed ? put->delay_us : 0);
    if (job->delayed)
        schedule_locked(jobd, job);
    else
        enqueue_locked(jobd, job);
    queue->admitted++;
    *id = job->id;
    return JOBD_OK;
}

static enum jobd_result put_locked(struct jobd *jobd, const struct jobd_put *put,
                                   struct jobd_waiter *waiter, int64_t now_us,
                                   struct jobd_receipt *receipt, struct aftermath *after)
    REQUIRES(jobd->lock)
{
    verify(put->queue < jobd->queues_len && put->priority < JOBD_PRIORITIES);
    struct queue *queue = &jobd->queues[put->queue];
    *receipt = (struct jobd_receipt){.capacity = queue->capacity};
    enum jobd_result result =
        jobd->closed ? JOBD_CLOSED : admit_locked(jobd, put, now_us, &receipt->id, after);
    if (result == JOBD_OK)
        life_settle_locked(jobd, queue, now_us, after);
    receipt->waiting = queue_waiting(queue);
    if (result == JOBD_FULL && waiter != NULL) {
        waiter->link.put = *put;
        return wait_begin_locked(jobd, waiter, WAIT_ROOM, NULL, put->queue);
    }
    if (result == JOBD_FULL)
        receipt->room_in_us = rate_next_us(&queue->rate, now_us, queue->workers);
    if (result == JOBD_FULL || result == JOBD_MEMORY)
        queue->rejected++;
    return result;
}

enum jobd_result jobd_put(struct jobd *jobd, const struct jobd_put *put, int64_t now_us,
                          struct jobd_receipt *receipt)
{
    AFTERMATH(after);
    mutex_lock(&jobd->lock);
    enum jobd_result result = put_locked(jobd, put, NULL, now_us, receipt, &after);
    unlock_and_tell(jobd, &after);
    return result;
}

enum jobd_result jobd_put_wait(struct jobd *jobd, const struct jobd_put *put,
                               struct jobd_waiter *waiter, int64_t now_us,
                               struct jobd_receipt *receipt)
{
    AFTERMATH(after);
    mutex_lock(&jobd->lock);
    enum jobd_result result = put_locked(jobd, put, waiter, now_us, receipt, &after);
    unlock_and_tell(jobd, &after);
    return result;
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
    job->finished_us = 0;
    job->attempt++;
    job->holder = taker;
    TAILQ_INSERT_TAIL(&jobd->jobs.running, job, link);
    histogram_add(&queue->waited, now_us - job->ready_us);
    rate_taken(&queue->rate, now_us, queue->in_state[JOBD_QUEUED] > 0);
    taker->task = (struct jobd_task){
        .id = job->id, .queue = job->queue, .attempt = job->attempt, .payload = job->payload};
}

static bool can_give_locked(struct jobd *jobd, const struct queue *queue) REQUIRES(jobd->lock)
{
    return !queue->paused && !jobd->dismissed && queue->in_state[JOBD_QUEUED] > 0 &&
           queue->in_state[JOBD_RUNNING] < queue->workers;
}

void life_settle_locked(struct jobd *jobd, struct queue *queue, int64_t now_us,
                        struct aftermath *after)
{
    struct jobd_waiter *taker, *putter;
    for (;;) {
        if ((taker = TAILQ_FIRST(&queue->takers)) != NULL && can_give_locked(jobd, queue)) {
            hand_over_locked(jobd, next_queued_locked(jobd, queue), taker, now_us);
            wait_end_locked(jobd, taker, JOBD_OK, after);
        } else if ((putter = TAILQ_FIRST(&queue->putters)) != NULL &&
                   queue_waiting(queue) < queue->capacity) {
            enum jobd_result result =
                admit_locked(jobd, &putter->link.put, now_us, &putter->id, after);
            if (result == JOBD_MEMORY)
                queue->rejected++;
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
    } else if (TAILQ_EMPTY(&queue->takers) && can_give_locked(jobd, queue)) {
        hand_over_locked(jobd, next_queued_locked(jobd, queue), waiter, now_us);
        life_settle_locked(jobd, queue, now_us, &after);
        result = JOBD_OK;
    } else {
        result = wait_begin_locked(jobd, waiter, WAIT_JOB, NULL, queue_index);
    }
    unlock_and_tell(jobd, &after);
    return result;
}

void jobd_finish(struct jobd *jobd, const struct jobd_task *task,
                 const struct jobd_outcome *outcome, int64_t now_us)
{
    AFTERMATH(after);
    mutex_lock(&jobd->lock);
    struct job *job = jobs_find(&jobd->jobs, task->id);
    verify(job != NULL && job->state == JOBD_RUNNING && job->attempt == task->attempt);
    struct queue *queue = &jobd->queues[job->queue];
    TAILQ_REMOVE(&jobd->jobs.running, job, link);
    histogram_add(&queue->ran, now_us - job->started_us);
    rate_ran(&queue->rate, now_us - job->started_us);
    end_locked(jobd, job, outcome->state, now_us, &after);
    life_settle_locked(jobd, queue, now_us, &after);
    unlock_and_tell(jobd, &after);
}

/* ---- cancel, pause, purge */

static void tell_to_stop(struct job *job, struct aftermath *after)
{
    job->stopping = true;
    after->stop = job->holder;
    after->stop_task = (struct jobd_task){
        .id = job->id, .queue = job->queue, .attempt = job->attempt, .payload = NULL};
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
        tell_to_stop(job, &after);
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
            break;
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

bool jobd_idle_locked(struct jobd *jobd)
{
    for (uint32_t i = 0; i < jobd->queues_len; i++)
        if (queue_waiting(&jobd->queues[i]) > 0 || jobd->queues[i].in_state[JOBD_RUNNING] > 0)
            return false;
    return true;
}

void jobd_close(struct jobd *jobd)
{
    AFTERMATH(after);
    mutex_lock(&jobd->lock);
    jobd->closed = true;
    for (uint32_t i = 0; i < jobd->queues_len; i++) {
        struct jobd_waiter *putter;
        while ((putter = TAILQ_FIRST(&jobd->queues[i].putters)) != NULL)
            wait_end_locked(jobd, putter, JOBD_CLOSED, &after);
    }
    unlock_and_tell(jobd, &after);
}

bool jobd_closed(struct jobd *jobd)
{
    mutex_lock(&jobd->lock);
    bool closed = jobd->closed;
    mutex_unlock(&jobd->lock);
    return closed;
}

void jobd_dismiss(struct jobd *jobd)
{
    AFTERMATH(after);
    mutex_lock(&jobd->lock);
    jobd->dismissed = true;
    for (uint32_t i = 0; i < jobd->queues_len; i++) {
        struct jobd_waiter *taker;
        while ((taker = TAILQ_FIRST(&jobd->queues[i].takers)) != NULL)
            wait_end_locked(jobd, taker, JOBD_CLOSED, &after);
    }
    unlock_and_tell(jobd, &after);
}

void jobd_abandon(struct jobd *jobd, int64_t now_us)
{
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
            tell_to_stop(job, &after);
        unlock_and_tell(jobd, &after);
    } while (job != NULL);
}
