/* SPDX-License-Identifier: MIT */
/* Matches jobs with takers, and room with putters. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"

/* Hands jobs to takers and room to putters until neither has both. */
void life_settle_locked(struct jobd *jobd, struct queue *queue, int64_t now_us,
                        struct aftermath *after) REQUIRES(jobd->lock);
/* For a taker who just came: JOBD_OK or JOBD_PENDING, it has a job; JOBD_TIMEOUT, there is none. */
enum jobd_result dispatch_take_locked(struct jobd *jobd, struct queue *queue,
                                      struct jobd_waiter *taker, int64_t now_us,
                                      struct aftermath *after) REQUIRES(jobd->lock);
bool jobd_idle_locked(struct jobd *jobd) REQUIRES(jobd->lock);
