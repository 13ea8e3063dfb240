/* SPDX-License-Identifier: MIT */
/* Waiting for the end of a job, for nothing to be left; and waiting no longer. */
#include "engine/waiters.h"

#include "engine/dispatch.h"

enum jobd_result jobd_await(struct jobd *jobd, uint64_t id, struct jobd_waiter *waiter,
                            struct jobd_info *info)
{
    enum jobd_result result = JOBD_NO_JOB;
    mutex_lock(&jobd->lock);
    struct job *job = jobs_seen(&jobd->jobs, id);
    if (job != NULL)
        result = wait_await_locked(jobd, job, waiter, info);
    EFFECTS(after);
    unlock_and_tell(jobd, &after);
    return result;
}

enum jobd_result jobd_await_idle(struct jobd *jobd, struct jobd_waiter *waiter)
{
    EFFECTS(after);
    mutex_lock(&jobd->lock);
    enum jobd_result result =
        jobd_idle_locked(jobd) ? JOBD_OK : wait_begin_locked(jobd, waiter, WAIT_IDLE, NULL, 0);
    unlock_and_tell(jobd, &after);
    return result;
}

bool jobd_cancel_wait(struct jobd *jobd, struct jobd_waiter *waiter)
{
    EFFECTS(after);
    mutex_lock(&jobd->lock);
    bool waited = waiter->link.kind != WAIT_NOT;
    if (waited) {
        wait_leave_room_locked(jobd, waiter);
        wait_forget_locked(jobd, waiter);
    }
    unlock_and_tell(jobd, &after);
    return waited;
}
