/* SPDX-License-Identifier: MIT */
#include "run/wait_sync.h"

#include "base/clock.h"
#include "base/container.h"

static void wake(struct jobd_waiter *waiter)
{
    struct wait_sync *sync = container_of(waiter, struct wait_sync, waiter);
    mutex_lock(&sync->lock);
    sync->woken = true;
    condition_signal(&sync->changed);
    mutex_unlock(&sync->lock);
}

int wait_sync_init(struct wait_sync *sync)
{
    *sync = (struct wait_sync){.waiter = {.deadline_us = JOBD_NEVER, .wake = wake}};
    int error = mutex_init(&sync->lock);
    if (error != 0)
        return error;
    error = condition_init(&sync->changed);
    if (error != 0)
        mutex_release(&sync->lock);
    return error;
}

void wait_sync_release(struct wait_sync *sync)
{
    condition_release(&sync->changed);
    mutex_release(&sync->lock);
}

static bool woken_locked(struct wait_sync *sync, int64_t at_us) REQUIRES(sync->lock)
{
    if (at_us == JOBD_NEVER) {
        while (!sync->woken)
            condition_wait(&sync->changed, &sync->lock);
    } else {
        struct timespec until = clock_monotonic(at_us);
        while (!sync->woken && condition_wait_until(&sync->changed, &sync->lock, &until))
            ;
    }
    return sync->woken;
}

enum jobd_result wait_sync_until(struct wait_sync *sync, struct jobd *jobd, int64_t at_us)
{
    mutex_lock(&sync->lock);
    bool woken = woken_locked(sync, at_us);
    mutex_unlock(&sync->lock);
    if (!woken && jobd_cancel_wait(jobd, &sync->waiter))
        return JOBD_TIMEOUT;
    /* Woken, or just being: wake() must have let go before the sync may end. */
    mutex_lock(&sync->lock);
    (void)woken_locked(sync, JOBD_NEVER);
    sync->woken = false;
    mutex_unlock(&sync->lock);
    return sync->waiter.result;
}

void wait_sync_end(struct wait_sync *sync, enum jobd_result result)
{
    sync->waiter.result = result;
    wake(&sync->waiter);
}
