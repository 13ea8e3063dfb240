/* SPDX-License-Identifier: MIT */
/* The verb that changes a waiting job: when it may run, how urgent it is, when it expires. */
#include "engine/changes.h"
#include "engine/dispatch.h"
#include "engine/transition.h"
#include "jobd/change.h"

/* ---- the change */

static void describe_amend(const struct change *change, struct job_record *record)
{
    const struct amended *amended = &change->amended;
    record->state = waits_as(NULL, amended->delayed);
    record->priority = amended->priority;
    record->ready_us = amended->ready_us;
    record->delayed = amended->delayed;
    record->by_wall = amended->by_wall;
    record->run_at_us = amended->delayed ? amended->ready_us : 0;
    record->at_us = amended->by_wall ? amended->ready_us : 0;
    if (amended->expires_us != 0) {
        record->expiry_us = amended->expires_us;
        record->expiry_at_us = amended->expires_by_wall ? amended->expires_us : 0;
        record->unexpiring = false;
    }
}

static void apply_amend_locked(struct op *op, struct change *change, struct job *job)
    REQUIRES(op->jobd->lock)
{
    const struct amended *amended = &change->amended;
    TAILQ_REMOVE(&op->jobd->queues[job->queue].amending, job, link);
    job->priority = amended->priority;
    job->ready_us = amended->ready_us;
    job->delayed = amended->delayed;
    job->by_wall = amended->by_wall;
    if (amended->expires_us != 0) {
        job->extra->expires_us = amended->expires_us;
        job->extra->expires_by_wall = amended->expires_by_wall;
        job->unexpiring = false;
    }
    transition_amend_locked(op, job, amended->state);
}

static void undo_amend_locked(struct op *op, struct change *change, struct job *job)
    REQUIRES(op->jobd->lock)
{
    (void)change;
    TAILQ_REMOVE(&op->jobd->queues[job->queue].amending, job, link);
    transition_reinstate_locked(op, job);
}

/* Of its start alone less is written: the payload stays where it is. */
static const struct change_kind delay_kind = {.name = "amend",
                                              .row = ROW_SET,
                                              .describe = describe_amend,
                                              .apply = apply_amend_locked,
                                              .undo = undo_amend_locked};
static const struct change_kind amend_kind = {.name = "amend",
                                              .row = ROW_AMEND,
                                              .describe = describe_amend,
                                              .apply = apply_amend_locked,
                                              .undo = undo_amend_locked};

/* ---- the verb */

static struct amended amended_of(const struct op *op, const struct job *job,
                                 const struct jobd_amendment *to)
{
    struct amended amended = {.ready_us = job->ready_us,
                              .expires_us = to->expires_us,
                              .state = (enum jobd_state)job->state,
                              .priority = to->to_priority ? to->priority : job->priority,
                              .delayed = job->delayed,
                              .by_wall = job->by_wall,
                              .expires_by_wall = to->expires_by_wall};
    if (!to->start)
        return amended;
    amended.by_wall = to->at_us > op->now_us;
    amended.delayed = amended.by_wall || to->delay_us > 0;
    if (!amended.delayed && job->state == JOBD_QUEUED) { /* it may run already */
        amended.delayed = job->delayed;
        return amended;
    }
    amended.ready_us = amended.by_wall ? to->at_us : later_us(op->now_us, to->delay_us);
    amended.state = waits_as(job->extra, amended.delayed);
    return amended;
}

static bool changes_nothing(const struct job *job, const struct amended *amended)
{
    return amended->expires_us == 0 && amended->priority == job->priority &&
           amended->ready_us == job->ready_us && amended->state == (enum jobd_state)job->state;
}

static enum jobd_result may_change(const struct job *job)
{
    if (job->commit_pending || (job_waits(job) && job_being_replaced(job)))
        return JOBD_CHANGING;
    if (job->state == JOBD_RUNNING)
        return JOBD_BEGUN;
    return job_has_ended(job) ? JOBD_FINISHED : JOBD_OK;
}

static enum jobd_result amend_locked(struct op *op, struct job *job,
                                     const struct jobd_amendment *to, struct job_extra **extra)
    REQUIRES(op->jobd->lock)
{
    struct change change;
    const struct amended amended = amended_of(op, job, to);
    enum jobd_result result = may_change(job);
    if (result == JOBD_CHANGING)
        return change_await_locked(op);
    if (result != JOBD_OK || changes_nothing(job, &amended))
        return result;
    if (!change_has_room_locked(op, op->waiter))
        return JOBD_TOO_MANY_WAITERS;
    if (to->expires_us != 0 && !jobs_extend(&op->jobd->jobs, job, extra, op))
        return JOBD_OUT_OF_MEMORY;
    bool more = amended.priority != job->priority || amended.by_wall || to->expires_us != 0;
    change_init(&change, op, more ? &amend_kind : &delay_kind, job);
    change.amended = amended;
    transition_withdraw_locked(op, job);
    job->changing = true;
    TAILQ_INSERT_TAIL(&op->jobd->queues[job->queue].amending, job, link);
    return change_submit_locked(op, &change);
}

enum jobd_result jobd_amend(struct jobd *jobd, uint64_t id, const struct jobd_amendment *amendment,
                            struct jobd_waiter *waiter, int64_t now_us)
{
    static const struct jobd_put nothing;
    struct op op;
    struct job_extra *extra = amendment->expires_us != 0 ? extra_new(&nothing, NULL) : NULL;
    enum jobd_result result = JOBD_NO_JOB;
    verify(!amendment->to_priority || amendment->priority < JOBD_PRIORITIES);
    op_begin(&op, jobd, waiter, now_us);
    struct job *job = jobs_seen(&jobd->jobs, id);
    if (job != NULL) {
        result = amend_locked(&op, job, amendment, &extra);
        dispatch_locked(&op, &jobd->queues[job->queue]);
    }
    op_end(&op);
    extra_free(extra);
    return result;
}
