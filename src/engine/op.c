/* SPDX-License-Identifier: MIT */
#include "engine/op.h"

#include "engine/blob.h"
#include "engine/due.h"
#include "engine/touched.h"
#include "engine/waiters.h"

/* Who has read the clock may have waited for the lock while others went on: what happens next is
 * not earlier. Where queues are shared the turns say what time it is. */
static int64_t not_before_locked(struct op *op) REQUIRES(op->jobd->lock)
{
    struct jobd *jobd = op->jobd;
    if (jobd->share == NULL && op->now_us > jobd->latest_us)
        jobd->latest_us = op->now_us;
    return jobd->share == NULL ? jobd->latest_us : op->now_us;
}

void op_begin(struct op *op, struct jobd *jobd, struct jobd_waiter *waiter, int64_t now_us)
{
    op->jobd = jobd;
    op->now_us = now_us;
    op->waiter = waiter;
    op->grouped = op->outside = false;
    op->tell_store = op->forgot_early = op->tell_failure = op->tell_schedules = false;
    op->tell_event = op->delivers = false;
    op->garbage = NULL;
    op->stops_len = 0;
    TAILQ_INIT(&op->woken);
    mutex_lock(&op->jobd->lock);
    op->now_us = not_before_locked(op);
}

/* What is left to be done in a turn, by whoever takes the next one; true when he has to know. */
static bool wants_turn_locked(struct op *op) REQUIRES(op->jobd->lock)
{
    struct share *share = op->jobd->share;
    bool due = due_at_once_locked(op) || share->outdated;
    bool tell = due && !share->in_turn && !share->told_due;
    share->told_due |= tell;
    return tell;
}

static void call(const struct jobd_hook *hook)
{
    if (hook->call != NULL)
        hook->call(hook->context);
}

/* ---- what is left to be done without the lock */

static void wake_all(struct op *op)
{
    struct waiting *waiting;
    while ((waiting = TAILQ_FIRST(&op->woken)) != NULL) {
        TAILQ_REMOVE(&op->woken, waiting, link);
        struct jobd_waiter *waiter = waiter_of(waiting);
        waiter->wake(waiter); /* after that it is no longer ours to touch */
    }
}

static void free_garbage(struct op *op)
{
    while (op->garbage != NULL) {
        struct jobd_blob *blob = op->garbage;
        op->garbage = *blob_next(blob);
        blob_free(blob);
    }
}

static void stop_holders(const struct op *op)
{
    for (unsigned i = 0; i < op->stops_len; i++) {
        const struct op_stop *stop = &op->stops[i];
        if (stop->holder->stop != NULL)
            stop->holder->stop(stop->holder, &stop->task);
    }
}

static void call_hooks(const struct op *op, bool earlier)
{
    const struct jobd *jobd = op->jobd;
    if (op->forgot_early)
        call(&jobd->on_forgotten_early);
    if (earlier)
        call(&jobd->on_earlier_deadline);
    if (op->tell_schedules)
        call(&jobd->on_schedule);
    if (op->tell_failure)
        call(&jobd->on_failure);
    if (op->tell_event)
        call(&jobd->on_event);
}

void op_end(struct op *op)
{
    struct jobd *jobd = op->jobd;
    bool shared = jobd->share != NULL, wants_turn = shared && wants_turn_locked(op);
    if (shared)
        share_hold_locked(op);
    int64_t next_us = shared ? due_deadline_us_locked(op) : due_tick_us_locked(op);
    bool earlier = next_us < jobd->ticks_at_us;
    if (earlier)
        jobd->ticks_at_us = next_us;
    mutex_unlock(&op->jobd->lock);

    if (op->tell_store)
        call(&jobd->on_journal_ready);
    wake_all(op);
    free_garbage(op);
    stop_holders(op);
    call_hooks(op, earlier);
    if (wants_turn)
        jobd->share->turns.due(jobd->share->turns.context);
}

void op_discard(struct op *op, struct jobd_blob *blob)
{
    if (blob != NULL && blob_unref_last(blob)) {
        *blob_next(blob) = op->garbage;
        op->garbage = blob;
    }
}
