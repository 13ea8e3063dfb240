/* SPDX-License-Identifier: MIT */
/* Some jobs at a time. The mark at the end stands behind all of it in the journal: when that is
 * written everything is, if nothing failed in between. Where the journal is full the rest waits for
 * room. */
#include "engine/sweep.h"

#include "engine/admission.h"
#include "engine/cancel_kind.h"
#include "engine/dispatch.h"
#include "engine/transition.h"
#include "engine/turns.h"
#include "engine/waiters.h"

/* ---- a job that goes to another queue, in which it has a place from the beginning */

static void describe_move(const struct change *change, struct job_record *record)
{
    record->queue = change->to->name;
    record->run_at_us = record->delayed ? record->ready_us : 0;
}

static void apply_move_locked(struct op *op, struct change *change, struct job *job)
    REQUIRES(op->jobd->lock)
{
    change->to->put_pending--;
    transition_move_locked(op, job, (uint16_t)(change->to - op->jobd->queues));
}

static void undo_move_locked(struct op *op, struct change *change, struct job *job)
    REQUIRES(op->jobd->lock)
{
    change->to->put_pending--;
    turns_expect_no_more_locked(op, change->to, job);
    transition_reinstate_locked(op, job);
}

static const struct change_kind move_kind = {.name = "move",
                                             .row = ROW_MOVE,
                                             .describe = describe_move,
                                             .apply = apply_move_locked,
                                             .undo = undo_move_locked};

/* ---- the next jobs */

struct step {
    struct change change;
    struct sweep *sweep;
    size_t most;
    unsigned looks; /* at groups that have none, at most */
};

static struct queue *queue_of(const struct op *op, const struct sweep *sweep)
{
    return &op->jobd->queues[sweep->queue];
}

/* NULL: it is purged. */
static struct queue *target_of(const struct op *op, const struct sweep *sweep)
{
    return sweep->to != JOBD_NO_QUEUE ? &op->jobd->queues[sweep->to] : NULL;
}

/* Those who wait for room there come first. */
static size_t room_in(const struct queue *queue)
{
    return TAILQ_EMPTY(&queue->put_waiters) && queue->phase == QUEUE_OPEN ? admission_room(queue)
                                                                          : 0;
}

/* Where memory is too short to move it no other is. */
static void add_locked(struct op *op, struct step *step, struct job *job) REQUIRES(op->jobd->lock)
{
    struct queue *to = step->change.to;
    struct group *joins = NULL;
    if (to != NULL && !turns_expect_locked(op, to, job, &joins)) {
        step->most = 0;
        return;
    }
    transition_withdraw_locked(op, job);
    change_add_job(&step->change, job);
    if (to != NULL) {
        job->joins = joins;
        to->put_pending++;
    }
}

static void add_scheduled_locked(struct op *op, struct step *step) REQUIRES(op->jobd->lock)
{
    struct job *next = TAILQ_FIRST(&queue_of(op, step->sweep)->scheduled);
    while (next != NULL && step->change.rows < step->most) {
        struct job *job = next;
        next = TAILQ_NEXT(job, link);
        if (job->id < step->sweep->below) /* one that came back stands in front, whatever its id */
            add_locked(op, step, job);
    }
}

static void add_queued_locked(struct op *op, struct step *step) REQUIRES(op->jobd->lock)
{
    struct lane_walk *walk = &step->sweep->walk;
    struct queue *queue = queue_of(op, step->sweep);
    while (walk->lane < JOBD_PRIORITIES && step->change.rows < step->most) {
        struct job *job = lane_next_below_locked(op, queue, walk, step->sweep->below, &step->looks);
        if (job != NULL)
            add_locked(op, step, job);
        else if (step->looks > 0)
            *walk = (struct lane_walk){.lane = walk->lane + 1};
        else
            break;
    }
}

/* What can run now moves first. */
static void add_jobs_locked(struct op *op, struct step *step) REQUIRES(op->jobd->lock)
{
    if (step->change.to != NULL)
        add_queued_locked(op, step);
    add_scheduled_locked(op, step);
    if (step->change.to == NULL)
        add_queued_locked(op, step);
}

/* False when nothing is left, or nothing has room. */
static bool sweep_some_locked(struct op *op, struct sweep *sweep) REQUIRES(op->jobd->lock)
{
    struct queue *to = target_of(op, sweep);
    struct step step = {.sweep = sweep, .most = OP_STEPS, .looks = OP_STEPS};
    if (sweep->walk.lane == JOBD_PRIORITIES) /* some may have come back meanwhile */
        sweep->walk = (struct lane_walk){.lane = 0};
    change_init(&step.change, op, to != NULL ? &move_kind : &cancel_kind, NULL);
    step.change.waiter = NULL; /* the mark has it */
    step.change.to = to;
    if (to != NULL && step.most > room_in(to))
        step.most = room_in(to);
    if (step.most > sweep->most - sweep->swept)
        step.most = sweep->most - sweep->swept;
    add_jobs_locked(op, &step);
    size_t swept = step.change.rows;
    if (swept > 0)
        (void)change_submit_locked(op, &step.change);
    dispatch_locked(op, queue_of(op, sweep));
    if (to != NULL)
        dispatch_locked(op, to);
    sweep->swept += (uint32_t)swept;
    return swept > 0 || step.looks == 0;
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
    enum jobd_result result = wait_begin_locked(op, op->waiter, WAIT_SWEEP, sweep->queue);
    waiting_of(op->waiter)->sweep = *sweep;
    return result;
}

void sweep_resume_locked(struct op *op)
{
    struct jobd_waiter *waiter;
    while ((waiter = first_waiter(&op->jobd->sweep_waiters)) != NULL &&
           change_has_room_locked(op, NULL)) {
        struct sweep *sweep = &waiting_of(waiter)->sweep;
        if (op->jobd->journal.failures != sweep->failures)
            wait_end_locked(op, waiter, JOBD_STORE_FAILED);
        else if (!sweep_some_locked(op, sweep))
            (void)mark_locked(op, sweep, waiter);
        else
            break; /* more of it in the next step */
    }
}

/* ---- the verbs */

static void begin_locked(struct op *op, struct sweep *sweep) REQUIRES(op->jobd->lock)
{
    sweep->below = op->jobd->next_id;
    /* Two that move to and fro must end. */
    sweep->most = sweep->to != JOBD_NO_QUEUE ? queue_waiting(queue_of(op, sweep)) : UINT32_MAX;
    sweep->failures = op->jobd->journal.failures;
}

static enum jobd_result sweep(struct jobd *jobd, struct sweep *sweep, struct jobd_waiter *waiter,
                              int64_t now_us)
{
    struct op op;
    enum jobd_result result = JOBD_OK;
    for (bool more = true; more;) {
        op_begin(&op, jobd, waiter, now_us);
        if (sweep->below == 0)
            begin_locked(&op, sweep);
        if (!change_has_room_locked(&op, waiter)) {
            result = wait_for_room_locked(&op, sweep);
            more = false;
        } else if (!sweep_some_locked(&op, sweep)) {
            result = mark_locked(&op, sweep, waiter);
            more = false;
        }
        op_end(&op);
    }
    return result;
}

enum jobd_result jobd_purge(struct jobd *jobd, uint32_t queue, struct jobd_waiter *waiter,
                            int64_t now_us, uint32_t *purged)
{
    struct sweep all = {.queue = queue_index(queue), .to = JOBD_NO_QUEUE};
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
    struct sweep all = {.queue = queue_index(route->from), .to = queue_index(route->to)};
    verify(all.queue < jobd->queues_len && all.to < jobd->queues_len);
    const struct queue *from = &jobd->queues[all.queue], *to = &jobd->queues[all.to];
    *moved = 0;
    if (from == to || from->number != route->from || to->number != route->to ||
        to->phase != QUEUE_OPEN)
        return JOBD_UNDECLARED;
    enum jobd_result result = sweep(jobd, &all, waiter, now_us);
    *moved = all.swept;
    return result;
}
