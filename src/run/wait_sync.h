/* SPDX-License-Identifier: MIT */
/* A thread that blocks on a jobd_waiter: the bridge from the heart's callbacks to plain waiting. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "jobd/queue.h"
#include "base/lock.h"

struct block {
    struct jobd_waiter waiter; /* first: a waiter is its block */
    struct mutex lock;
    struct condition changed;
    bool woken GUARDED;
};

/* 0 or -errno. */
__attribute__((warn_unused_result)) int block_init(struct block *block);
void block_release(struct block *block);

/* After JOBD_PENDING: blocks until the waiter is woken, at most until `at_us` (JOBD_NEVER: no end)
 * and then ends the wait. The waiter's result, or JOBD_TIMEOUT. */
enum jobd_result block_until(struct block *block, struct jobd *jobd, int64_t at_us)
    EXCLUDES(block->lock);
