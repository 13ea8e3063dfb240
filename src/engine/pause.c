/* SPDX-License-Identifier: MIT */
/* A paused queue takes jobs in and gives none out. It is a change like any other: whoever asks for
 * it is told when it is on disk, so it outlives a restart. */
#include "engine/pause.h"

#include "engine/changes.h"
#include "engine/dispatch.h"
#include "engine/touched.h"

/* Is the change about this queue? */
static bool is_meant(const struct change *change, const struct queue *queue)
{
    return change->pause.queue == JOBD_NO_QUEUE || change->pause.queue == queue->number;
}

/* Whoever concludes the change dispatches change->to; where it is about all queues, the tick does.
 */
static void apply_pause_locked(struct op *op, struct change *change, struct job *job)
    REQUIRES(op->jobd->lock)
{
    (void)job;
    for (uint32_t i = 0; i < op->jobd->queues_len; i++) {
        struct queue *queue = &op->jobd->queues[i];
        if (!is_meant(change, queue))
            continue;
        queue->paused = change->pause.paused;
        if (op->jobd->share != NULL)
            share_touch_queue_locked(op, queue);
        rate_waits(&queue->rate, op->now_us);
        if (change->to == NULL)
            op->jobd->dispatch_needed = queue->dispatch_needed = true;
    }
}

static const struct change_kind pause_kind = {
    .name = "pause", .row = ROW_PAUSE, .apply = apply_pause_locked};

static enum jobd_result pause_locked(struct op *op, uint32_t number, bool paused)
    REQUIRES(op->jobd->lock)
{
    struct change change;
    struct queue *queue =
        number != JOBD_NO_QUEUE ? &op->jobd->queues[jobd_queue_index(number)] : NULL;
    if (queue != NULL && queue->number != number)
        return JOBD_UNDECLARED;
    if (!change_has_room_locked(op, op->waiter))
        return JOBD_TOO_MANY_WAITERS;
    change_init(&change, op, &pause_kind, NULL);
    change.rows = queue != NULL ? 1 : op->jobd->queues_len;
    change.to = queue;
    change.pause.queue = number;
    change.pause.paused = paused;
    enum jobd_result result = change_submit_locked(op, &change);
    if (queue != NULL)
        dispatch_locked(op, queue);
    return result;
}

enum jobd_result jobd_pause(struct jobd *jobd, uint32_t queue, bool paused,
                            struct jobd_waiter *waiter, int64_t now_us)
{
    struct op op;
    verify(queue == JOBD_NO_QUEUE || jobd_queue_index(queue) < jobd->queues_len);
    op_begin(&op, jobd, waiter, now_us);
    enum jobd_result result = pause_locked(&op, queue, paused);
    op_end(&op);
    return result;
}

/* ---- what is on disk */

/* `change` NULL: of all queues, as they are. Names stay for ever. */
static bool each_queue(struct jobd *jobd, const struct change *change, journal_row *each,
                       void *context)
{
    bool good = true, more = true;
    for (uint32_t i = 0; good && more; i++) {
        mutex_lock(&jobd->lock);
        const struct queue *queue = i < jobd->queues_len ? &jobd->queues[i] : NULL;
        more = queue != NULL;
        const bool meant = more && (change == NULL || is_meant(change, queue));
        const struct job_record record = {
            .queue = more ? queue->name : NULL,
            .paused = more && (change != NULL ? change->pause.paused : queue->paused)};
        mutex_unlock(&jobd->lock);
        good = !meant || each(context, ROW_PAUSE, &record);
    }
    return good;
}

bool pause_each(struct jobd *jobd, const struct change *change, journal_row *each, void *context)
{
    return change->kind != &pause_kind || each_queue(jobd, change, each, context);
}

bool journal_pauses(struct jobd *jobd, journal_row *each, void *context)
{
    return each_queue(jobd, NULL, each, context);
}

void jobd_restore_pause(struct jobd *jobd, const char *name)
{
    struct op op;
    uint32_t number = jobd_queue_named(jobd, name);
    op_begin(&op, jobd, NULL, 0);
    if (number != JOBD_NO_QUEUE)
        jobd->queues[jobd_queue_index(number)].paused = true;
    op_end(&op);
}
