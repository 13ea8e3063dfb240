/* SPDX-License-Identifier: MIT */
/* The verbs that only wait: for the end of a job, until nothing is left; and that wait no longer.
 */
#include "engine/dispatch.h"
#include "engine/job_info.h"
#include "engine/keep.h"
#include "engine/waiters.h"

enum jobd_result jobd_await(struct jobd *jobd, uint64_t id, struct jobd_waiter *waiter,
                            struct jobd_info *info)
{
    struct op op;
    enum jobd_result result = JOBD_NO_JOB;
    op_begin(&op, jobd, waiter, 0);
    struct job *job = jobs_seen(&jobd->jobs, id);
    if (job != NULL) {
        job_info(job, info);
        result = JOBD_OK;
        if (jobd_state_final(info->state))
            job_output_for(job, waiter);
        else
            result = wait_for_job_end_locked(&op, waiter, job);
    }
    op_end(&op);
    return result;
}

enum jobd_result jobd_await_batch(struct jobd *jobd, uint64_t id, struct jobd_waiter *waiter,
                                  int64_t now_us)
{
    struct op op;
    enum jobd_result result = JOBD_NO_JOB;
    op_begin(&op, jobd, waiter, now_us);
    struct batch *batch = batches_seen(&jobd->jobs.batches, id);
    if (batch != NULL && keep_batch_until(&jobd->jobs, batch) > now_us) {
        batch_info(batch, waiter->batch);
        result = batches_over(batch) ? JOBD_OK : wait_for_batch_locked(&op, waiter, batch);
    }
    op_end(&op);
    return result;
}

enum jobd_result jobd_await_idle(struct jobd *jobd, struct jobd_waiter *waiter)
{
    struct op op;
    op_begin(&op, jobd, waiter, 0);
    enum jobd_result result =
        dispatch_is_idle_locked(&op) ? JOBD_OK : wait_begin_locked(&op, waiter, WAIT_IDLE, 0);
    op_end(&op);
    return result;
}

bool jobd_cancel_wait(struct jobd *jobd, struct jobd_waiter *waiter)
{
    struct op op;
    op_begin(&op, jobd, waiter, 0);
    op.outside = true;
    bool waits = waiting_of(waiter)->kind != WAIT_NOT;
    if (waits) {
        wait_unblock_others_locked(&op, waiter);
        wait_forget_locked(&op, waiter);
    }
    op_end(&op);
    return waits;
}
