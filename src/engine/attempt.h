/* SPDX-License-Identifier: MIT */
/* How an attempt ends, and whether the job is tried again. */
#pragma once

#include <stdint.h>

#include "engine/engine.h"

/* The attempt of a running job is to end so: JOBD_OK, it has; JOBD_PENDING or
 * JOBD_TOO_MANY_WAITERS. When it is not JOBD_TOO_MANY_WAITERS, takes what is in the outcome, and
 * *extra when the job has none. */
enum jobd_result attempt_end_locked(struct jobd *jobd, struct job *job,
                                    const struct jobd_outcome *outcome, struct job_extra **extra,
                                    struct jobd_waiter *waiter, int64_t now_us,
                                    struct effects *after) REQUIRES(jobd->lock);
/* The same with an end that is decided; where the others say JOBD_OK it says `result`. What has no
 * waiter is never undone. */
enum jobd_result attempt_end_as_locked(struct jobd *jobd, struct job *job,
                                       const struct ending *ending, struct job_extra **extra,
                                       struct jobd_waiter *waiter, enum jobd_result result,
                                       int64_t now_us, struct effects *after) REQUIRES(jobd->lock);
/* The same: it goes back in, after so long, as if it had not been taken. */
enum jobd_result attempt_release_locked(struct jobd *jobd, struct job *job, int64_t delay_us,
                                        struct jobd_waiter *waiter, int64_t now_us,
                                        struct effects *after) REQUIRES(jobd->lock);
/* It has ended. Takes what is in the outcome, and *extra when the job has none. */
void attempt_apply_locked(struct jobd *jobd, struct job *job, const struct ending *ending,
                          struct job_extra **extra, struct effects *after) REQUIRES(jobd->lock);
