/* SPDX-License-Identifier: MIT */
/* A thread that blocks on a jobd_waiter: the bridge from the engine's callbacks to plain waiting.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "jobd/queue.h"
#include "base/lock.h"

struct wait_sync {
    struct jobd_waiter waiter; /* first: a waiter is its sync */
    struct mutex lock;
    struct condition changed;
    bool woken GUARDED_BY(lock);
};

/* 0 or -errno. */
__attribute__((warn_unused_result)) int wait_sync_init(struct wait_sync *sync);
void wait_sync_release(struct wait_sync *sync);

/* After JOBD_PENDING: blocks until the waiter is woken, at most until `at_us` (JOBD_NEVER: no end)
 * and then ends the wait. The waiter's result, or JOBD_TIMEOUT. */
enum jobd_result wait_sync_until(struct wait_sync *sync, struct jobd *jobd, int64_t at_us)
    EXCLUDES(sync->lock);
