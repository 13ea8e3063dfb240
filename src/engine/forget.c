/* SPDX-License-Identifier: MIT */
#include "engine/forget.h"

#include "jobd/change.h"

static void apply_forget_locked(struct op *op, struct change *change, struct job *job)
    REQUIRES(op->jobd->lock)
{
    (void)change;
    op->jobd->jobs.reviving--;
    jobs_drop(&op->jobd->jobs, job, op);
}

static void undo_forget_locked(struct op *op, struct change *change, struct job *job)
    REQUIRES(op->jobd->lock)
{
    (void)change;
    op->jobd->jobs.reviving--;
    job->commit_pending = job->forgetting = false;
    jobs_remember(&op->jobd->jobs, job, op);
}

const struct change_kind forget_kind = {
    .name = "forget", .row = ROW_REMOVE, .apply = apply_forget_locked, .undo = undo_forget_locked};

void forget_add_locked(struct op *op, struct change *change, struct job *job)
{
    jobs_revive(&op->jobd->jobs, job);
    op->jobd->jobs.reviving++;
    job->commit_pending = job->forgetting = true;
    change_add_job(change, job);
}

static enum jobd_result forget_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock)
{
    struct change change;
    if (job->commit_pending)
        return change_await_locked(op);
    if (!job_has_ended(job))
        return JOBD_NOT_FINAL;
    if (job->pins != 0)
        return JOBD_NEEDED;
    if (!change_has_room_locked(op, op->waiter))
        return JOBD_TOO_MANY_WAITERS;
    change_init(&change, op, &forget_kind, NULL);
    forget_add_locked(op, &change, job);
    return change_submit_locked(op, &change);
}

enum jobd_result jobd_forget(struct jobd *jobd, uint64_t id, struct jobd_waiter *waiter,
                             int64_t now_us)
{
    struct op op;
    op_begin(&op, jobd, waiter, now_us);
    struct job *job = jobs_seen(&jobd->jobs, id);
    enum jobd_result result = job != NULL ? forget_locked(&op, job) : JOBD_NO_JOB;
    op_end(&op);
    return result;
}
