/* SPDX-License-Identifier: MIT */
/* Some jobs at a time. The mark at the end stands behind all of it in the journal: when that is
 * written everything is, if nothing failed in between. Where the journal is full the rest waits for
 * room; and what is very much is left to the tick. Where a job of it is being changed it goes on
 * when that is over, so that none is left out. */
#include "engine/sweep.h"

#include "engine/changes.h"
#include "engine/due.h"
#include "engine/sweep_step.h"

enum { STEPS_AT_ONCE = 40 }; /* of who waits, before the tick goes on with it */

static bool step_locked(struct op *op, struct sweep *sweep) REQUIRES(op->jobd->lock)
{
    return sweep->filter != NULL ? sweep_filter_locked(op, sweep) : sweep_queue_locked(op, sweep);
}

/* ---- the end */

static enum jobd_result mark_result_locked(struct op *op, const struct change *change, bool written)
    REQUIRES(op->jobd->lock)
{
    return written && op->jobd->journal.failures == change->failures ? JOBD_OK : JOBD_STORE_FAILED;
}

static const struct change_kind mark_kind = {
    .name = "mark", .is_mark = true, .result = mark_result_locked};

static enum jobd_result mark_locked(struct op *op, const struct sweep *sweep,
                                    struct jobd_waiter *waiter) REQUIRES(op->jobd->lock)
{
    struct change change;
    if (waiter == NULL) /* nobody waits until it is written */
        return JOBD_OK;
    if (sweep->filter != NULL)
        waiter->tally = sweep->tally;
    else
        waiter->swept = sweep->swept;
    change_init(&change, op, &mark_kind, NULL);
    change.waiter = waiter;
    change.failures = sweep->failures;
    return change_submit_locked(op, &change);
}

static enum jobd_result wait_for_room_locked(struct op *op, const struct sweep *sweep)
    REQUIRES(op->jobd->lock)
{
    if (op->waiter == NULL)
        return JOBD_TOO_MANY_WAITERS;
    op->waiter->deadline_us = JOBD_NEVER; /* it does not count for what has begun */
    enum jobd_result result = wait_begin_locked(op, op->waiter, WAIT_SWEEP, 0);
    if (result == JOBD_PENDING)
        waiting_of(op->waiter)->sweep = *sweep;
    return result;
}

void sweep_resume_locked(struct op *op)
{
    while (due_sweep_locked(op)) {
        struct jobd_waiter *waiter = first_waiter(&op->jobd->sweep_waiters);
        struct sweep *sweep = &waiting_of(waiter)->sweep;
        if (op->jobd->journal.failures != sweep->failures) {
            wait_end_locked(op, waiter, JOBD_STORE_FAILED);
            continue;
        }
        sweep->halted = false;
        if (step_locked(op, sweep))
            break; /* more of it in the next step, or when a change is over */
        enum jobd_result result = mark_locked(op, sweep, waiter);
        if (result != JOBD_PENDING)
            wait_end_locked(op, waiter, result);
    }
}

/* ---- the verbs */

/* Of a batch no others need be looked at. */
static void begin_filter(struct sweep *sweep)
{
    const struct jobd_filter *filter = sweep->filter;
    if (filter->batch == 0)
        return;
    sweep->after = filter->batch - 1;
    if (sweep->below > filter->batch + filter->batch_jobs)
        sweep->below = filter->batch + filter->batch_jobs;
}

static void begin_locked(struct op *op, struct sweep *sweep) REQUIRES(op->jobd->lock)
{
    sweep->below = op->jobd->next_id;
    sweep->failures = op->jobd->journal.failures;
    sweep->waits = op->waiter != NULL;
    if (sweep->filter != NULL) {
        begin_filter(sweep);
        return;
    }
    /* Two that move to and fro must end. */
    sweep->most =
        sweep->to != JOBD_NO_QUEUE ? queue_waiting(&op->jobd->queues[sweep->queue]) : UINT32_MAX;
}

/* JOBD_OK when there is more to be done at once. */
static enum jobd_result go_on_locked(struct op *op, struct sweep *sweep, unsigned steps,
                                     bool *ended) REQUIRES(op->jobd->lock)
{
    *ended = true;
    if (!change_has_room_locked(op, op->waiter))
        return wait_for_room_locked(op, sweep);
    bool more = step_locked(op, sweep);
    if (sweep->halted)
        return wait_for_room_locked(op, sweep);
    if (!more)
        return mark_locked(op, sweep, op->waiter);
    if (steps >= STEPS_AT_ONCE && op->waiter != NULL &&
        wait_for_room_locked(op, sweep) == JOBD_PENDING)
        return JOBD_PENDING;
    *ended = false;
    return JOBD_OK;
}

static enum jobd_result sweep(struct jobd *jobd, struct sweep *sweep, struct jobd_waiter *waiter,
                              int64_t now_us)
{
    struct op op;
    enum jobd_result result = JOBD_OK;
    bool ended = false;
    for (unsigned steps = 1; !ended; steps++) {
        op_begin(&op, jobd, waiter, now_us);
        if (sweep->below == 0)
            begin_locked(&op, sweep);
        result = go_on_locked(&op, sweep, steps, &ended);
        op_end(&op);
    }
    return result;
}

enum jobd_result jobd_purge(struct jobd *jobd, uint32_t queue, struct jobd_waiter *waiter,
                            int64_t now_us, uint32_t *purged)
{
    struct sweep all = {.queue = jobd_queue_index(queue), .to = JOBD_NO_QUEUE};
    verify(all.queue < jobd->queues_len);
    *purged = 0;
    if (jobd->queues[all.queue].number != queue)
        return JOBD_UNDECLARED;
    enum jobd_result result = sweep(jobd, &all, waiter, now_us);
    *purged = all.swept;
    return result;
}

enum jobd_result jobd_move(struct jobd *jobd, const struct jobd_route *route,
                           struct jobd_waiter *waiter, int64_t now_us, uint32_t *moved)
{
    struct sweep all = {.queue = jobd_queue_index(route->from), .to = jobd_queue_index(route->to)};
    verify(all.queue < jobd->queues_len && all.to < jobd->queues_len);
    const struct queue *from = &jobd->queues[all.queue], *to = &jobd->queues[all.to];
    *moved = 0;
    if (from == to || from->number != route->from || to->number != route->to ||
        to->phase != QUEUE_OPEN)
        return JOBD_UNDECLARED;
    if (from->promised != NULL || to->promised != NULL)
        return JOBD_RESERVED;
    enum jobd_result result = sweep(jobd, &all, waiter, now_us);
    *moved = all.swept;
    return result;
}

enum jobd_result jobd_change_all(struct jobd *jobd, enum jobd_bulk what,
                                 const struct jobd_filter *filter, struct jobd_waiter *waiter,
                                 int64_t now_us)
{
    struct sweep all = {.filter = filter, .what = what};
    enum jobd_result result = JOBD_OK;
    if (what == JOBD_RETRY_ALL) {
        mutex_lock(&jobd->lock);
        result = jobd->closed ? JOBD_CLOSED : jobd->journal.refuses ? JOBD_STORE_FAILED : JOBD_OK;
        mutex_unlock(&jobd->lock);
    }
    return result == JOBD_OK ? sweep(jobd, &all, waiter, now_us) : result;
}
