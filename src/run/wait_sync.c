/* SPDX-License-Identifier: MIT */
#include "run/wait_sync.h"

#include "base/clock.h"

static void wake(struct jobd_waiter *waiter)
{
    struct block *block = (struct block *)waiter;
    mutex_lock(&block->lock);
    block->woken = true;
    condition_signal(&block->changed);
    mutex_unlock(&block->lock);
}

int block_init(struct block *block)
{
    *block = (struct block){.waiter = {.deadline_us = JOBD_NEVER, .wake = wake}};
    int error = mutex_init(&block->lock);
    if (error != 0)
        return error;
    error = condition_init(&block->changed);
    if (error != 0)
        mutex_release(&block->lock);
    return error;
}

void block_release(struct block *block)
{
    condition_release(&block->changed);
    mutex_release(&block->lock);
}

static bool woken_locked(struct block *block, int64_t at_us) REQUIRES(block->lock)
{
    if (at_us == JOBD_NEVER) {
        while (!block->woken)
            condition_wait(&block->changed, &block->lock);
    } else {
        struct timespec until = clock_monotonic(at_us);
        while (!block->woken && condition_wait_until(&block->changed, &block->lock, &until))
            ;
    }
    return block->woken;
}

enum jobd_result block_until(struct block *block, struct jobd *jobd, int64_t at_us)
{
    mutex_lock(&block->lock);
    bool woken = woken_locked(block, at_us);
    mutex_unlock(&block->lock);
    if (!woken && jobd_unwait(jobd, &block->waiter))
        return JOBD_TIMEOUT;
    /* Woken, or just being: wake() must have let go before the block may end. */
    mutex_lock(&block->lock);
    (void)woken_locked(block, JOBD_NEVER);
    block->woken = false;
    mutex_unlock(&block->lock);
    return block->waiter.result;
}
