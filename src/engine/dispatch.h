/* SPDX-License-Identifier: MIT */
/* Matches jobs with takers, and room with put_waiters. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"

/* Hands jobs to takers and room to put_waiters until neither has both. */
void dispatch_locked(struct jobd *jobd, struct queue *queue, int64_t now_us, struct effects *after)
    REQUIRES(jobd->lock);
/* For a take_waiter who just came: JOBD_OK or JOBD_PENDING, it has a job; JOBD_TIMEOUT, there is
 * none. */
enum jobd_result dispatch_take_locked(struct jobd *jobd, struct queue *queue,
                                      struct jobd_waiter *take_waiter, int64_t now_us,
                                      struct effects *after) REQUIRES(jobd->lock);
bool jobd_idle_locked(struct jobd *jobd) REQUIRES(jobd->lock);
