/* SPDX-License-Identifier: MIT */
#include "engine/expiry.h"

#include "base/container.h"
#include "engine/cancel_kind.h"
#include "engine/touched.h"
#include "engine/dispatch.h"
#include "engine/due.h"
#include "engine/transition.h"

/* The job that is due by now, or NULL. */
static struct job *next_due_locked(struct op *op) REQUIRES(op->jobd->lock)
{
    struct due *due = due_first_locked(op, DUE_DATE);
    return due != NULL ? container_of(due, struct job_extra, due)->job : NULL;
}

/* Those of one queue that are due one after the other, as one change. */
static void expire_some_locked(struct op *op, struct job *job, int *left) REQUIRES(op->jobd->lock)
{
    struct change change;
    struct queue *queue = &op->jobd->queues[job->queue];
    change_init(&change, op, &expire_kind, NULL);
    change.undo_on_failure = false;
    while (job != NULL && !job_has_ended(job) && !job_being_replaced(job) &&
           &op->jobd->queues[job->queue] == queue && *left > 0) {
        transition_withdraw_locked(op, job);
        change_add_job(&change, job);
        --*left;
        job = next_due_locked(op);
    }
    (void)change_submit_locked(op, &change);
    dispatch_locked(op, queue);
}

/* By a replacement that is not written yet; then it is looked at again. */
static void put_off_locked(struct op *op, struct job *job, int *left) REQUIRES(op->jobd->lock)
{
    jobs_unwatch(&op->jobd->jobs, job);
    --*left;
}

static void end_due_locked(struct op *op, struct job *job, int *left) REQUIRES(op->jobd->lock)
{
    jobs_end_due(&op->jobd->jobs, job, op);
    if (has_journal(op->jobd))
        op->tell_store |= journal_notify(&op->jobd->journal);
    if (op->jobd->share != NULL)
        share_touch_locked(op, job, ROW_SET);
    --*left;
}

void expiry_tick_locked(struct op *op, int *left)
{
    struct job *job;
    while (*left > 0 && !op->jobd->expiry_starved && (job = next_due_locked(op)) != NULL) {
        if (job_has_ended(job))
            end_due_locked(op, job, left);
        else if (job_being_replaced(job))
            put_off_locked(op, job, left);
        else if (change_has_room_locked(op, NULL))
            expire_some_locked(op, job, left);
        else
            op->jobd->expiry_starved = true;
    }
}

void expiry_resume_locked(struct op *op)
{
    if (op->jobd->expiry_starved && journal_has_room(&op->jobd->journal))
        op->jobd->expiry_starved = false;
}
