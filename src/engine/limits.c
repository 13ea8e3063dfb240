/* SPDX-License-Identifier: MIT */
#include "engine/limits.h"

#include "engine/fair.h"

_Static_assert(JOBD_STARTS_MAX == TOKEN_RATE_MAX && JOBD_STARTS_PER_US_MAX == TOKEN_PERIOD_MAX_US,
               "jobd/words.h allows rates that a bucket has no room for");

void limits_change_locked(struct op *op, struct queue *queue, const struct jobd_limits *limits)
{
    const struct jobd_limits before = queue->limits;
    queue->limits = *limits;
    if (before.starts == limits->starts && before.per_us == limits->per_us)
        return;
    token_bucket_fill(&queue->bucket, rate_of(limits), op->now_us);
    queue->token_at_us = JOBD_NEVER;
    limits_place_locked(op, queue);
}

bool limits_rate_holds(const struct queue *queue, int64_t now_us)
{
    return !token_bucket_has(&queue->bucket, rate_of(&queue->limits), now_us);
}

static bool may_run_more(const struct queue *queue)
{
    return queue->limits.running == 0 || queue->in_state[JOBD_RUNNING] < queue->limits.running;
}

bool limits_let(const struct queue *queue, int64_t now_us)
{
    return may_run_more(queue) && (queue->fair == NULL || !queue->fair->changing) &&
           !limits_rate_holds(queue, now_us);
}

bool limits_are_awaited(const struct queue *queue)
{
    return !may_run_more(queue) || queue->token_at_us != JOBD_NEVER ||
           (queue->fair != NULL && queue->fair->changing);
}

void limits_started(struct queue *queue, int64_t now_us)
{
    token_bucket_take(&queue->bucket, rate_of(&queue->limits), now_us);
}

uint32_t limits_running(const struct queue *queue, uint32_t workers)
{
    uint32_t most = queue->limits.running;
    return most > 0 && most < workers ? most : workers;
}

void limits_place_locked(struct op *op, struct queue *queue)
{
    const struct due *first = queue->fair != NULL ? heap_top(&queue->fair->dues) : NULL;
    int64_t at_us = queue->token_at_us;
    if (first != NULL && first->at_us < at_us)
        at_us = first->at_us;
    if (queue->limit_due.place != 0 && queue->limit_due.at_us == at_us)
        return;
    heap_remove(&op->jobd->limits, &queue->limit_due);
    queue->limit_due.order = jobd_queue_index(queue->number);
    if (at_us != JOBD_NEVER)
        heap_push(&op->jobd->limits, &queue->limit_due, at_us);
}

void limits_await_locked(struct op *op, struct queue *queue)
{
    if (queue->limits.starts == 0 || TAILQ_EMPTY(&queue->take_waiters) || queue_ready(queue) == 0 ||
        !limits_rate_holds(queue, op->now_us))
        return;
    queue->token_at_us = token_bucket_when(&queue->bucket, rate_of(&queue->limits), op->now_us, 1);
    limits_place_locked(op, queue);
}

void limits_due_locked(struct op *op, struct queue *queue)
{
    if (queue->token_at_us <= op->now_us)
        queue->token_at_us = JOBD_NEVER;
    limits_place_locked(op, queue);
}

void limits_forget_locked(struct op *op, struct queue *queue)
{
    heap_remove(&op->jobd->limits, &queue->limit_due);
}
