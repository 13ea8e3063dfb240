/* SPDX-License-Identifier: MIT */
/* A queue whose service is down holds its jobs back (a circuit breaker).
 *
 *     CLOSED ── so many attempts in a row have failed as it is down ──> OPEN
 *       ^                                                                │ ^
 *       │                                              time for a probe  v │ it is still down
 *       └───────────── the probe ends in any other way ───────────── HALF-OPEN
 *
 * While it is not closed, jobs are given to nobody, but for one a time, the probe, to a worker of
 * the queue's own. An attempt that then ends with the service down is not counted: the job goes
 * back. That holds for the probe and for what had begun before. Those that have opened it were
 * attempts like any other. Leases neither open nor close it: their holders do not call the service.
 * Without workers there is nobody who could try, and nothing is held back.
 *
 * Under the engine's lock. It is not kept on disk: after a start it is closed. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"

/* Does it hold jobs back, but for probes? */
bool breaker_holds(const struct queue *queue);

/* May a job be given to this taker? */
bool breaker_lets(const struct queue *queue, const struct jobd_waiter *taker, int64_t now_us);

/* The same where the time is not known: is there nothing to wait for, neither a probe's end nor the
 * time for one? */
bool breaker_may_let(const struct queue *queue, const struct jobd_waiter *taker);

/* A worker begins an attempt of this job: perhaps the probe. */
void breaker_begun_locked(struct op *op, struct queue *queue, const struct job *job)
    REQUIRES(op->jobd->lock);

/* An attempt of this job, by a worker, has ended so. False: it is not to be counted. */
bool breaker_ended_locked(struct op *op, struct queue *queue, const struct job *job,
                          const struct jobd_outcome *outcome) REQUIRES(op->jobd->lock);

/* The job runs no more, however that came. */
void breaker_left(struct queue *queue, const struct job *job);

/* The time for a probe has come. */
void breaker_due_locked(struct op *op, struct queue *queue) REQUIRES(op->jobd->lock);

/* Other terms from now on; without any it is closed. */
void breaker_change_locked(struct op *op, struct queue *queue,
                           const struct jobd_queue_config *config) REQUIRES(op->jobd->lock);

/* Its queue is gone, and another one comes in its place. */
void breaker_forget_locked(struct op *op, struct queue *queue) REQUIRES(op->jobd->lock);
