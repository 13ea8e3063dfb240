/* SPDX-License-Identifier: MIT */
/* How an attempt ends, and whether the job is tried again.
 *
 *     the report                        attempts left          none left, or told to stop
 *     done                              DONE                   DONE
 *     failed, lease expired             SCHEDULED, by backoff  FAILED; told to stop: CANCELLED
 *     lost: the server crashed          SCHEDULED, at once     FAILED; told to stop: CANCELLED
 *     failed for good                   FAILED                 FAILED; told to stop: CANCELLED
 *     cancelled: told to stop, and did  CANCELLED
 *     released                          back, this attempt not counted
 *     failed, as what it needs is down  back, not counted, while the breaker is open (breaker.h)
 *     any but done, as the process ends back, not counted
 *     done, after the lease expired     DONE, if the job still waits for its next attempt
 *
 * None of these dispatches: whoever calls them does that next. */
#pragma once

#include <stdint.h>

#include "engine/engine.h"

/* The attempt of a running job ends with this outcome. JOBD_OK or JOBD_PENDING: output and error
 * are taken, and so is `*extra`, which comes from extra_for() and is set to NULL.
 * JOBD_TOO_MANY_WAITERS: nothing is. */
enum jobd_result attempt_end_locked(struct op *op, struct job *job,
                                    const struct jobd_outcome *outcome, struct job_extra **extra)
    REQUIRES(op->jobd->lock);
/* The job waits again since its lease has expired, and now the holder says that it was done: as
 * attempt_end_locked() with JOBD_DONE. */
enum jobd_result attempt_end_late_locked(struct op *op, struct job *job, const struct lease *lease,
                                         const struct jobd_outcome *outcome,
                                         struct job_extra **extra) REQUIRES(op->jobd->lock);
/* It returns to its queue, after delay_us, and this attempt is not counted. */
enum jobd_result attempt_release_locked(struct op *op, struct job *job, int64_t delay_us)
    REQUIRES(op->jobd->lock);
/* The lease is revoked, and the job is cancelled: JOBD_STOPPING in place of JOBD_OK. */
enum jobd_result attempt_revoke_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock);
/* Nobody is left who could end it, as the process that ran it has ended: it has failed, and the
 * next one need not wait for the backoff. */
void attempt_lose_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock);
/* Nobody was told of it: it goes back, as if it had not been taken, now and unwritten. */
void attempt_undo_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock);
