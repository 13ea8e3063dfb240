/* SPDX-License-Identifier: MIT */
/* The next job of a queue. */
#include "engine/engine.h"

#include "engine/dispatch.h"
#include "engine/waiters.h"

enum jobd_result jobd_take(struct jobd *jobd, uint32_t queue_index, struct jobd_waiter *waiter,
                           int64_t now_us)
{
    verify(queue_index < jobd->queues_len);
    enum jobd_result result;
    EFFECTS(after);
    mutex_lock(&jobd->lock);
    if (jobd->takers_stopped) {
        result = JOBD_CLOSED;
    } else if (waiter->lease_us > 0 &&
               jobd->leases.held + jobd->leases.promised >= jobd->leases.max) {
        result = JOBD_TOO_MANY_WAITERS;
    } else {
        result = dispatch_take_locked(jobd, &jobd->queues[queue_index], waiter, now_us, &after);
        if (result == JOBD_TIMEOUT && !waiter->no_wait)
            result = wait_begin_locked(jobd, waiter, WAIT_JOB, NULL, queue_index);
    }
    unlock_and_tell(jobd, &after);
    return result;
}
