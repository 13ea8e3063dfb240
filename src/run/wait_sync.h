/* SPDX-License-Identifier: MIT */
/* A thread that blocks on a jobd_waiter: from the engine's callbacks to plain waiting. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "jobd/queue.h"
#include "base/lock.h"

struct wait_sync {
    struct jobd_waiter waiter;
    struct mutex lock;
    struct condition changed;
    bool woken GUARDED_BY(lock);
};

/* 0 or -errno. */
__attribute__((warn_unused_result)) int wait_sync_init(struct wait_sync *sync);
void wait_sync_release(struct wait_sync *sync);

/* After JOBD_PENDING: blocks until the waiter is woken, or until `at_us` (JOBD_NEVER: no end),
 * which ends the wait. The waiter's result, or JOBD_TIMEOUT. */
enum jobd_result wait_sync_until(struct wait_sync *sync, struct jobd *jobd, int64_t at_us)
    EXCLUDES(sync->lock);

/* Wakes the thread with this result, in place of the engine: for what it waits for in a turn. Any
 * other thread. */
void wait_sync_end(struct wait_sync *sync, enum jobd_result result) EXCLUDES(sync->lock);
