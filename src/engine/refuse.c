/* SPDX-License-Identifier: MIT */
#include "engine/refuse.h"

#include "engine/breaker.h"
#include "engine/promises.h"
#include "engine/limits.h"
#include "engine/room_estimate.h"
#include "engine/tally.h"

enum { SERVED_LATELY_US = 60000000 }; /* who has taken within this may take again */

static bool is_served(const struct queue *queue, int64_t now_us)
{
    return queue->workers > 0 || queue->leased > 0 || !TAILQ_EMPTY(&queue->take_waiters) ||
           rate_was_taken(&queue->rate, now_us - SERVED_LATELY_US);
}

static enum jobd_busy busy_of(enum jobd_result result)
{
    if (result == JOBD_GROUP_FULL)
        return JOBD_BUSY_GROUP;
    return result == JOBD_FULL ? JOBD_BUSY_FULL : JOBD_BUSY_MEMORY;
}

/* It is not the put's queue that has no room. */
static void refuse_callback_locked(struct op *op, struct jobd_receipt *receipt)
    REQUIRES(op->jobd->lock)
{
    struct queue *queue = promise_queue_locked(op, true);
    receipt->busy = JOBD_BUSY_CALLBACKS;
    receipt->room_in_us = JOBD_UNKNOWN_US;
    if (queue == NULL)
        return;
    tally_add(op, queue, TALLY_REJECTED, 1);
    receipt->capacity = queue->capacity;
    receipt->waiting = queue_waiting(queue) + queue_expected(queue);
    if (!queue->paused && is_served(queue, op->now_us) && queue_waiting(queue) > 0)
        receipt->room_in_us = room_in_us(queue, op->now_us, 1);
}

void admission_refuse_locked(struct op *op, struct queue *queue, uint32_t jobs,
                             enum jobd_result result, struct jobd_receipt *receipt)
{
    if (result == JOBD_CALLBACKS_FULL)
        refuse_callback_locked(op, receipt);
    uint64_t needed = (uint64_t)queue_waiting(queue) + queue->put_pending + jobs;
    uint64_t places = needed > queue->capacity ? needed - queue->capacity : 1;
    const int64_t group_room_us = receipt->room_in_us;
    const bool full = result == JOBD_FULL;
    if (!full && result != JOBD_OUT_OF_MEMORY && result != JOBD_GROUP_FULL)
        return;
    const bool served = is_served(queue, op->now_us);
    tally_add(op, queue, TALLY_REJECTED, jobs);
    receipt->busy = busy_of(result);
    receipt->room_in_us = JOBD_UNKNOWN_US;
    if (queue->paused)
        receipt->busy = full ? JOBD_BUSY_PAUSED : receipt->busy;
    else if (!served)
        receipt->busy = full ? JOBD_BUSY_NO_WORKERS : receipt->busy;
    else if (full && limits_rate_holds(queue, op->now_us))
        receipt->busy = JOBD_BUSY_RATE;
    if (queue->paused || !served || breaker_holds(queue))
        return; /* when what is down will be back, nobody knows */
    receipt->room_in_us =
        result == JOBD_GROUP_FULL ? group_room_us : room_in_us(queue, op->now_us, places);
}
