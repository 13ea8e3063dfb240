/* SPDX-License-Identifier: MIT */
/* Jobs that a filter means, in the order of their ids. */
#include "engine/admission.h"
#include "engine/cancel_kind.h"
#include "engine/dispatch.h"
#include "engine/filter.h"
#include "engine/forget.h"
#include "engine/retry.h"
#include "engine/stop.h"
#include "engine/sweep_step.h"
#include "engine/transition.h"

/* A change of each kind, with the jobs of this step. */
struct filter_step {
    struct sweep *sweep;
    struct change forgets, cancels, retries;
    struct dispatch_set queues;
    bool full; /* no job more in this step */
};

static void init(struct filter_step *step, struct op *op, struct sweep *sweep)
{
    step->sweep = sweep;
    step->queues.len = 0;
    step->full = false;
    change_init(&step->forgets, op, &forget_kind, NULL);
    change_init(&step->cancels, op, &cancel_kind, NULL);
    change_init(&step->retries, op, &retry_kind, NULL);
}

/* ---- one job: has it changed? */

static bool retry_locked(struct op *op, struct filter_step *step, struct job *job)
    REQUIRES(op->jobd->lock)
{
    struct queue *queue = &op->jobd->queues[job->queue];
    if (admission_open_locked(op, queue) != JOBD_OK)
        return false;
    /* Those who wait for room there come first. */
    if (!TAILQ_EMPTY(&queue->put_waiters) || admission_room(queue) == 0 ||
        retry_join_locked(op, job) != JOBD_OK) {
        if (step->sweep->tally.next == 0)
            step->sweep->tally.next = job->id;
        return false;
    }
    retry_add_locked(op, &step->retries, job);
    return true;
}

/* It is a change of its own. */
static bool stop_one_locked(struct op *op, struct filter_step *step, struct job *job)
    REQUIRES(op->jobd->lock)
{
    if (step->sweep->what != JOBD_STOP_ALL || job->stopping || job->stops_pending > 0)
        return false;
    step->full = op->stops_len == OP_STOPS || !change_has_room_locked(op, NULL);
    if (step->full)
        return false;
    return stop_locked(op, job) == JOBD_STOPPING;
}

static bool change_locked(struct op *op, struct filter_step *step, struct job *job)
    REQUIRES(op->jobd->lock)
{
    bool ended = job_has_ended(job);
    if (job->commit_pending) {
        bool stays = job->state == JOBD_RUNNING && step->sweep->what != JOBD_STOP_ALL;
        step->full = !stays && sweep_halt_locked(op, step->sweep);
        return false;
    }
    if (step->sweep->what == JOBD_RETRY_ALL)
        return ended && retry_locked(op, step, job);
    if (job->state == JOBD_RUNNING)
        return stop_one_locked(op, step, job);
    if (ended && job->pins != 0)
        return false;
    if (ended) {
        forget_add_locked(op, &step->forgets, job);
    } else {
        transition_withdraw_locked(op, job);
        change_add_job(&step->cancels, job);
    }
    return true;
}

static bool is_meant(const struct sweep *sweep, const struct job *job)
{
    bool ended = job_has_ended(job);
    if (job->state == STATE_NEW || !filter_matches(sweep->filter, job))
        return false;
    if (sweep->what == JOBD_CANCEL_ALL)
        return !ended && job->state != JOBD_RUNNING;
    return sweep->what != JOBD_RETRY_ALL || ended;
}

/* ---- the next ones */

static struct job *next_locked(struct op *op, const struct sweep *sweep) REQUIRES(op->jobd->lock)
{
    struct job *next = jobs_above(&op->jobd->jobs, sweep->after);
    return next != NULL && next->id < sweep->below ? next : NULL;
}

/* Another queue may have come into its place. */
static bool queue_is_there_locked(struct op *op, const struct jobd_filter *filter)
    REQUIRES(op->jobd->lock)
{
    return filter->queue == JOBD_NO_QUEUE ||
           op->jobd->queues[jobd_queue_index(filter->queue)].number == filter->queue;
}

static bool look_locked(struct op *op, struct filter_step *step) REQUIRES(op->jobd->lock)
{
    struct sweep *sweep = step->sweep;
    if (!queue_is_there_locked(op, sweep->filter))
        return false;
    struct job *job = next_locked(op, sweep);
    for (unsigned looks = 0; job != NULL && looks < OP_STEPS; looks++) {
        bool meant = is_meant(sweep, job);
        uint64_t id = job->id;
        struct queue *queue = &op->jobd->queues[job->queue];
        bool changed = meant && change_locked(op, step, job);
        if (step->full)
            return true;
        sweep->after = id;
        sweep->tally.matched += meant;
        sweep->tally.changed += changed;
        if (changed)
            dispatch_note(&step->queues, queue);
        job = next_locked(op, sweep);
    }
    return job != NULL;
}

static void submit_locked(struct op *op, struct change *change) REQUIRES(op->jobd->lock)
{
    if (change->rows > 0)
        (void)change_submit_locked(op, change);
}

bool sweep_filter_locked(struct op *op, struct sweep *sweep)
{
    struct filter_step step;
    struct jobd_waiter *waiter = op->waiter;
    op->waiter = NULL; /* the mark has it */
    init(&step, op, sweep);
    bool more = look_locked(op, &step);
    submit_locked(op, &step.forgets);
    submit_locked(op, &step.cancels);
    submit_locked(op, &step.retries);
    dispatch_noted_locked(op, &step.queues);
    op->waiter = waiter;
    return more;
}
