/* SPDX-License-Identifier: MIT */
#include "engine/share.h"

#include "engine/blob.h"
#include "engine/blocked.h"
#include "engine/dispatch.h"
#include "engine/due.h"
#include "engine/failures.h"
#include "engine/share_nodes.h"
#include "engine/sweep.h"
#include "engine/tally.h"
#include "engine/touched.h"
#include "engine/waiters.h"

/* ---- entering */

void jobd_enter(struct jobd *jobd, struct jobd_turn *turn)
{
    if (jobd->share != NULL) {
        jobd->share->turns.enter(jobd->share->turns.context, turn);
        return;
    }
    enum jobd_result result = turn->looks ? JOBD_OK : turn->run(turn);
    if (result != JOBD_PENDING)
        turn->over(turn, result);
}

bool jobd_leave(struct jobd *jobd, struct jobd_turn *turn, struct jobd_waiter *waiter)
{
    return jobd->share != NULL ? jobd->share->turns.leave(jobd->share->turns.context, turn, waiter)
                               : jobd_cancel_wait(jobd, waiter);
}

void jobd_looked(struct jobd *jobd)
{
    if (jobd->share != NULL)
        jobd->share->turns.looked(jobd->share->turns.context);
}

bool jobd_shared(const struct jobd *jobd)
{
    return jobd->share != NULL;
}

void jobd_kept_release(struct jobd_kept *kept)
{
    jobd_blob_unref(kept->payload);
    jobd_blob_unref(kept->words);
    kept->payload = kept->words = NULL;
}

/* ---- a turn */

/* Who was not served as the turn before had no room. */
static void serve_starved(struct jobd *jobd, int64_t now_us)
{
    struct op op;
    bool more = true;
    op_begin(&op, jobd, NULL, now_us);
    bool starved = jobd->journal.starved;
    jobd->journal.starved = false;
    for (uint32_t i = 0; i < jobd->queues_len && starved; i++)
        dispatch_locked(&op, &jobd->queues[i]);
    op_end(&op);
    while (more) {
        op_begin(&op, jobd, NULL, now_us);
        sweep_resume_locked(&op);
        more = !TAILQ_EMPTY(&jobd->sweep_waiters) && share_has_room(jobd->share);
        op_end(&op);
    }
}

void share_begin(struct jobd *jobd, int64_t now_us)
{
    struct op op;
    op_begin(&op, jobd, NULL, now_us);
    verify(!jobd->share->in_turn);
    jobd->share->in_turn = true;
    jobd->share->began_us = now_us;
    jobd->share->next_id = jobd->next_id;
    tally_begin_locked(&op);
    failures_hold(&jobd->failures);
    jobd->share->told_due = false;
    jobd->share->touched_bytes = 0;
    jobd->expiry_starved = false;
    blocked_resume_locked(&op);
    jobd->share->renews = share_runs_here_locked(&op) && share_must_renew(jobd->share, now_us);
    op_end(&op);
    (void)jobd_tick(jobd, now_us);
    if (jobd->share->orphans)
        share_node_gone(jobd, jobd->share->turns.node, now_us);
    jobd->share->orphans = false;
    share_end_nodes(jobd, now_us);
    serve_starved(jobd, now_us);
}

bool share_is_empty(struct jobd *jobd)
{
    mutex_lock(&jobd->lock);
    const struct share *share = jobd->share;
    bool empty = share->touched_len == 0 && TAILQ_EMPTY(&jobd->jobs.forgotten) &&
                 share->leases_len == 0 && share->queues_touched == 0 && !share->renews &&
                 batches_all_told(&jobd->jobs.batches) && TAILQ_EMPTY(&jobd->schedules.untold);
    mutex_unlock(&jobd->lock);
    return empty;
}

bool share_is_full(struct jobd *jobd)
{
    mutex_lock(&jobd->lock);
    bool full = !share_has_room(jobd->share) || jobd->share->outdated;
    mutex_unlock(&jobd->lock);
    return full;
}

uint64_t share_next_id(struct jobd *jobd)
{
    mutex_lock(&jobd->lock);
    uint64_t id = jobd->next_id;
    mutex_unlock(&jobd->lock);
    return id;
}

bool share_is_outdated(struct jobd *jobd)
{
    mutex_lock(&jobd->lock);
    bool outdated = jobd->share->outdated;
    mutex_unlock(&jobd->lock);
    return outdated;
}

int64_t share_due(struct jobd *jobd)
{
    struct op op;
    op_begin(&op, jobd, NULL, 0);
    op.outside = true;
    int64_t turn_us = jobd->share->outdated ? 0 : due_turn_us_locked(&op);
    int64_t nodes_us = share_nodes_due_locked(&op);
    op_end(&op);
    return turn_us < nodes_us ? turn_us : nodes_us;
}

void share_leave(struct jobd *jobd)
{
    mutex_lock(&jobd->lock);
    verify(jobd->share->in_turn);
    jobd->share->renews = true;
    jobd->share->own_until_us = 0;
    jobd->share->leaves = true;
    mutex_unlock(&jobd->lock);
}

/* It was given a job, and is not; or was told of an end that has not come. */
static void take_back_locked(struct op *op, struct jobd_waiter *waiter) REQUIRES(op->jobd->lock)
{
    if (waiter->lease_us > 0 && waiter->result == JOBD_OK) {
        jobd_blob_unref(waiter->task.payload);
        waiter->task.payload = NULL;
    }
    op_discard(op, waiter->output);
    waiter->output = NULL;
    waiter->result = share_told_locked(op, waiter);
}

void share_end(struct jobd *jobd, bool lost)
{
    struct op op;
    struct waiting *waiting;
    op_begin(&op, jobd, NULL, 0);
    struct share *share = jobd->share;
    share->in_turn = false;
    events_settle_locked(&op, lost);
    op.tell_failure |= failures_settle(&jobd->failures, lost);
    if (lost)
        tally_lose_locked(&op);
    share->ended_len = lost ? share->ended_len : 0;
    share->next_id = lost ? share->next_id : jobd->next_id;
    TAILQ_CONCAT(&op.woken, &share->held, link);
    TAILQ_FOREACH (waiting, &op.woken, link)
        if (lost)
            take_back_locked(&op, waiter_of(waiting));
    uint32_t stops = share->stops_len;
    share->stops_len = 0;
    op_end(&op);
    for (uint32_t i = 0; i < stops && !lost; i++) /* no turn begins meanwhile */
        if (share->stops[i].holder->stop != NULL)
            share->stops[i].holder->stop(share->stops[i].holder, &share->stops[i].task);
}
