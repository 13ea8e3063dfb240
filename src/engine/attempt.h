/* SPDX-License-Identifier: MIT */
/* How an attempt ends, and whether the job is tried again. */
#pragma once

#include <stdint.h>

#include "engine/engine.h"

/* The attempt of a running job is to end so: JOBD_OK, it has; JOBD_PENDING or JOBD_CROWDED. When
 * it is not JOBD_CROWDED, takes what is in the outcome, and *extra when the job has none. */
enum jobd_result life_end_attempt_locked(struct jobd *jobd, struct job *job,
                                         const struct jobd_outcome *outcome, struct extra **extra,
                                         struct jobd_waiter *waiter, int64_t now_us,
                                         struct aftermath *after) REQUIRES(jobd->lock);
/* The same with an end that is decided; where the others say JOBD_OK it says `result`. What has no
 * waiter is never undone. */
enum jobd_result life_end_so_locked(struct jobd *jobd, struct job *job, const struct ending *ending,
                                    struct extra **extra, struct jobd_waiter *waiter,
                                    enum jobd_result result, int64_t now_us,
                                    struct aftermath *after) REQUIRES(jobd->lock);
/* The same: it goes back in, after so long, as if it had not been taken. */
enum jobd_result life_give_back_locked(struct jobd *jobd, struct job *job, int64_t delay_us,
                                       struct jobd_waiter *waiter, int64_t now_us,
                                       struct aftermath *after) REQUIRES(jobd->lock);
/* It has ended. Takes what is in the outcome, and *extra when the job has none. */
void life_ended_locked(struct jobd *jobd, struct job *job, const struct ending *ending,
                       struct extra **extra, struct aftermath *after) REQUIRES(jobd->lock);
