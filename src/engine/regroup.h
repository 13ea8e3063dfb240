/* SPDX-License-Identifier: MIT */
/* Whether a queue serves its groups round robin, and their limits, change while it is used. */
#pragma once

#include "engine/engine.h"

/* As the config says from now on. Some jobs, and then some groups, at a time; nothing is given out
 * meanwhile, all else goes on. What waits stands in the order of its ids when that begins or ends.
 * By one thread at a time, without the lock. 0 or -ENOMEM, and nothing is changed. */
int regroup(struct jobd *jobd, struct queue *queue, const struct jobd_queue_config *config,
            int64_t now_us);
