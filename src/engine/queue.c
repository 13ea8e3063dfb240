/* SPDX-License-Identifier: MIT */
#include "engine/queue.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

static uint32_t larger(uint32_t one, uint32_t other)
{
    return one > other ? one : other;
}

uint32_t queue_waiting_max(const struct jobd_queue_config *config)
{
    if (config->undeclared)
        return larger(config->restored, 1);
    return larger(config->restored, larger(config->capacity, config->capacity_max));
}

uint32_t queue_workers_max(const struct jobd_queue_config *config)
{
    return larger(config->workers, config->workers_max);
}

static bool limits_sound(const struct jobd_limits *limits)
{
    return limits->starts == 0 || (limits->starts <= JOBD_STARTS_MAX && limits->per_us > 0 &&
                                   limits->per_us <= JOBD_STARTS_PER_US_MAX);
}

bool queue_terms_sound(const struct jobd_queue_config *config)
{
    return config->attempts <= JOBD_ATTEMPTS_MAX && config->timeout_us >= 0 &&
           (config->breaker_failures == 0 || config->breaker_us > 0) && config->expires_us >= 0 &&
           config->keep_us >= 0 && config->backoff_min_us >= 0 &&
           config->backoff_max_us >= config->backoff_min_us && limits_sound(&config->limits) &&
           limits_sound(&config->group_limits);
}

void queue_set_terms(struct queue *queue, const struct jobd_queue_config *config)
{
    queue->attempts = (uint16_t)(config->attempts > 0 ? config->attempts : 1);
    queue->timeout_us = config->timeout_us;
    queue->backoff_min_us = config->backoff_min_us;
    queue->backoff_max_us = config->backoff_max_us;
    queue->expires_us = config->expires_us;
    queue->keep_us = config->keep_us;
}

static void init_lists(struct queue *queue)
{
    TAILQ_INIT(&queue->scheduled);
    TAILQ_INIT(&queue->blocked);
    TAILQ_INIT(&queue->amending);
    TAILQ_INIT(&queue->running);
    TAILQ_INIT(&queue->take_waiters);
    TAILQ_INIT(&queue->put_waiters);
}

int queue_init(struct queue *queue, const struct jobd_queue_config *config, uint32_t running,
               uint32_t leases_max)
{
    queue->name = config->name;
    queue->phase = config->undeclared ? QUEUE_UNDECLARED : QUEUE_OPEN;
    queue->capacity = config->capacity;
    queue->workers = config->workers;
    queue->capacity_max = larger(config->capacity, config->capacity_max);
    queue->workers_max = queue_workers_max(config);
    queue->room = queue_waiting_max(config) + running + leases_max;
    queue_set_terms(queue, config);
    queue->breaker.failures = config->breaker_failures;
    queue->breaker.every_us = config->breaker_us;
    queue->limits = config->limits;
    token_bucket_fill(&queue->bucket, rate_of(&config->limits), 0);
    queue->token_at_us = JOBD_NEVER;
    init_lists(queue);
    int error = heap_init(&queue->delays, queue->room);
    for (unsigned lane = 0; lane < JOBD_PRIORITIES && error == 0; lane++)
        error = ring_init(&queue->lanes[lane], queue->room);
    return error;
}

void queue_release(struct queue *queue)
{
    heap_release(&queue->delays);
    for (unsigned lane = 0; lane < JOBD_PRIORITIES; lane++)
        ring_release(&queue->lanes[lane]);
}

void queue_replace(struct queue *queue, struct queue *fresh)
{
    const size_t plain = offsetof(struct queue, capacity);
    struct queue former = *queue;
    memcpy((char *)queue + plain, (char *)fresh + plain, sizeof *queue - plain);
    init_lists(queue);
    queue->name = fresh->name; /* others may be reading these */
    queue->number = fresh->number;
    queue->phase = fresh->phase;
    queue->expires_us = fresh->expires_us;
    queue->keep_us = fresh->keep_us;
    *fresh = former;
}

bool queue_empty(const struct queue *queue)
{
    return queue_waiting(queue) + queue->in_state[JOBD_RUNNING] + queue_expected(queue) == 0;
}

int64_t queue_timeout_us(const struct queue *queue, const struct job *job)
{
    bool own = job->extra != NULL && job->extra->timeout_us > 0;
    return own ? job->extra->timeout_us : queue->timeout_us;
}

uint32_t queue_ready(const struct queue *queue)
{
    return queue->in_state[JOBD_QUEUED] - queue->cancel_pending;
}

uint32_t queue_busy(const struct queue *queue)
{
    return queue_here(queue) - queue->end_pending;
}

uint32_t queue_here(const struct queue *queue)
{
    return queue->in_state[JOBD_RUNNING] - queue->leased - queue->elsewhere;
}
