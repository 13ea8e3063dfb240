/* SPDX-License-Identifier: MIT */
/* What waits in a queue is cancelled, or goes to another. */
#include "engine/admission.h"
#include "engine/cancel_kind.h"
#include "engine/dispatch.h"
#include "engine/fair.h"
#include "engine/lanes.h"
#include "engine/sweep_step.h"
#include "engine/transition.h"

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
    fair_expect_no_more_locked(op, change->to, job);
    transition_reinstate_locked(op, job);
}

static const struct change_kind move_kind = {.name = "move",
                                             .row = ROW_MOVE,
                                             .describe = describe_move,
                                             .apply = apply_move_locked,
                                             .undo = undo_move_locked};

/* ---- the next jobs */

struct queue_step {
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
static void add_locked(struct op *op, struct queue_step *step, struct job *job)
    REQUIRES(op->jobd->lock)
{
    struct queue *to = step->change.to;
    struct group *joins = NULL;
    if (to != NULL && !fair_expect_locked(op, to, job, &joins)) {
        step->most = 0;
        return;
    }
    transition_withdraw_locked(op, job);
    change_add_job(&step->change, job);
    if (to != NULL) {
        job->joins = joins;
        to->put_pending++;
        job->changing = true;
    }
}

static void add_listed_locked(struct op *op, struct queue_step *step, const struct job_list *list)
    REQUIRES(op->jobd->lock)
{
    struct job *next = TAILQ_FIRST(list);
    while (next != NULL && step->change.rows < step->most) {
        struct job *job = next;
        next = TAILQ_NEXT(job, link);
        if (job->id < step->sweep->below) /* one that came back stands in front, whatever its id */
            add_locked(op, step, job);
    }
}

static void add_queued_locked(struct op *op, struct queue_step *step) REQUIRES(op->jobd->lock)
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
static void add_jobs_locked(struct op *op, struct queue_step *step) REQUIRES(op->jobd->lock)
{
    const struct queue *queue = queue_of(op, step->sweep);
    if (step->change.to != NULL)
        add_queued_locked(op, step);
    add_listed_locked(op, step, &queue->scheduled);
    add_listed_locked(op, step, &queue->blocked);
    if (step->change.to == NULL)
        add_queued_locked(op, step);
}

/* Is one that was there then being changed? Where very many are, it is assumed. */
static bool is_changing_locked(struct op *op, const struct sweep *sweep) REQUIRES(op->jobd->lock)
{
    const struct job *job = TAILQ_FIRST(&queue_of(op, sweep)->amending);
    for (unsigned looks = 0; job != NULL && looks < OP_STEPS; looks++) {
        if (job->id < sweep->below)
            return true;
        job = TAILQ_NEXT(job, link);
    }
    return job != NULL;
}

bool sweep_queue_locked(struct op *op, struct sweep *sweep)
{
    struct queue *to = target_of(op, sweep);
    struct queue_step step = {.sweep = sweep, .most = OP_STEPS, .looks = OP_STEPS};
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
    if (swept > 0 || step.looks == 0)
        return true;
    return step.most > 0 && is_changing_locked(op, sweep) && sweep_halt_locked(op, sweep);
}
