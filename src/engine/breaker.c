/* SPDX-License-Identifier: MIT */
#include "engine/breaker.h"
#include "engine/tally.h"
#include "jobd/failures.h"

#include <string.h>

#include "base/container.h"

bool breaker_holds(const struct queue *queue)
{
    return queue->breaker.open && queue->workers > 0;
}

bool breaker_lets(const struct queue *queue, const struct jobd_waiter *taker, int64_t now_us)
{
    const struct breaker *breaker = &queue->breaker;
    return !breaker_holds(queue) ||
           (taker->lease_us == 0 && breaker->probe == 0 && now_us >= breaker->probe_at_us);
}

bool breaker_may_let(const struct queue *queue, const struct jobd_waiter *taker)
{
    const struct breaker *breaker = &queue->breaker;
    return !breaker_holds(queue) ||
           (taker->lease_us == 0 && breaker->probe == 0 && breaker->due.place == 0);
}

static void arm_locked(struct op *op, struct breaker *breaker) REQUIRES(op->jobd->lock)
{
    breaker->probe_at_us = later_us(op->now_us, breaker->every_us);
    heap_remove(&op->jobd->probes, &breaker->due);
    breaker->due.order = jobd_queue_index(container_of(breaker, struct queue, breaker)->number);
    heap_push(&op->jobd->probes, &breaker->due, breaker->probe_at_us);
}

static void say_locked(struct op *op, struct breaker *breaker) REQUIRES(op->jobd->lock)
{
    breaker->changed_us = op->now_us;
    if (op->jobd->on_failure.call == NULL)
        return;
    op->jobd->breakers_unsaid += !breaker->unsaid;
    breaker->unsaid = true;
    op->tell_failure = true;
}

static void open_it_locked(struct op *op, struct queue *queue, const struct jobd_blob *error)
    REQUIRES(op->jobd->lock)
{
    struct breaker *breaker = &queue->breaker;
    breaker->open = true;
    breaker->opened++;
    failures_first_line(error, breaker->error);
    arm_locked(op, breaker);
    say_locked(op, breaker);
}

static void close_it_locked(struct op *op, struct queue *queue) REQUIRES(op->jobd->lock)
{
    struct breaker *breaker = &queue->breaker;
    breaker->in_a_row = 0;
    breaker->probe = 0;
    if (!breaker->open)
        return;
    breaker->open = false;
    heap_remove(&op->jobd->probes, &breaker->due);
    rate_waits(&queue->rate, op->now_us);
    say_locked(op, breaker);
}

void breaker_begun_locked(struct op *op, struct queue *queue, const struct job *job)
{
    struct breaker *breaker = &queue->breaker;
    if (!breaker_holds(queue))
        return;
    breaker->probe = job->id;
    arm_locked(op, breaker);
}

bool breaker_ended_locked(struct op *op, struct queue *queue, const struct job *job,
                          const struct jobd_outcome *outcome)
{
    struct breaker *breaker = &queue->breaker;
    bool down = outcome->state == JOBD_FAILED && outcome->down, was_open = breaker->open;
    if (breaker->failures == 0 || outcome->state == JOBD_CANCELLED)
        return true;
    if (!down) {
        close_it_locked(op, queue);
    } else if (was_open) {
        if (breaker->probe == job->id)
            arm_locked(op, breaker);
    } else {
        tally_add(op, queue, TALLY_DOWN, 1);
        if (++breaker->in_a_row >= breaker->failures)
            open_it_locked(op, queue, outcome->error);
    }
    breaker_left(queue, job);
    return !down || !was_open;
}

void breaker_left(struct queue *queue, const struct job *job)
{
    if (queue->breaker.probe == job->id)
        queue->breaker.probe = 0;
}

void breaker_due_locked(struct op *op, struct queue *queue)
{
    heap_remove(&op->jobd->probes, &queue->breaker.due);
}

void breaker_change_locked(struct op *op, struct queue *queue,
                           const struct jobd_queue_config *config)
{
    struct breaker *breaker = &queue->breaker;
    breaker->failures = config->breaker_failures;
    breaker->every_us = config->breaker_us;
    if (breaker->failures == 0)
        close_it_locked(op, queue);
}

void breaker_forget_locked(struct op *op, struct queue *queue)
{
    struct breaker *breaker = &queue->breaker;
    heap_remove(&op->jobd->probes, &breaker->due);
    op->jobd->breakers_unsaid -= breaker->unsaid;
    *breaker = (struct breaker){.failures = 0};
}

bool jobd_breaker_change(struct jobd *jobd, struct jobd_breaker *change)
{
    mutex_lock(&jobd->lock);
    bool found = false;
    for (uint32_t i = 0; i < jobd->queues_len && jobd->breakers_unsaid > 0 && !found; i++) {
        struct breaker *breaker = &jobd->queues[i].breaker;
        found = breaker->unsaid;
        if (!found)
            continue;
        *change = (struct jobd_breaker){.queue = jobd->queues[i].number,
                                        .open = breaker->open,
                                        .failures = breaker->failures,
                                        .every_us = breaker->every_us,
                                        .at_us = breaker->changed_us};
        memcpy(change->error, breaker->error, sizeof change->error);
        breaker->unsaid = false;
        jobd->breakers_unsaid--;
    }
    mutex_unlock(&jobd->lock);
    return found;
}
