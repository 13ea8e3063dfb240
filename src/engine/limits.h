/* SPDX-License-Identifier: MIT */
/* How many jobs of a queue may run, and how many may begin: jobd_limits of the queue. Those of a
 * group are seen to in fair.h; when a bucket will have a token again, of either, is known here,
 * and the queue is looked at then.
 *
 * Running jobs are those in the state, leased ones included, also while their end is being written
 * down; that is so after a start too. A start takes its token for good, also when it is undone or
 * its job is given back. Buckets are full after a start of the process. Under the engine's lock. */
#pragma once

#include "engine/engine.h"

/* Others from now on; a rate that is another one begins with a full bucket. */
void limits_change_locked(struct op *op, struct queue *queue, const struct jobd_limits *limits)
    REQUIRES(op->jobd->lock);

/* May a job of the queue begin? Its group is not looked at. */
bool limits_let(const struct queue *queue, int64_t now_us);
/* Is it the rate that keeps them from it? */
bool limits_rate_holds(const struct queue *queue, int64_t now_us);
/* None may, and the end of a job, or the timer, will bring the queue about again. */
bool limits_are_awaited(const struct queue *queue);
/* One begins. */
void limits_started(struct queue *queue, int64_t now_us);
/* Jobs that could be running at a time, of so many that workers would run. */
uint32_t limits_running(const struct queue *queue, uint32_t workers);

/* Somebody waits for a job, and the rate alone keeps it from him: the queue is looked at again as
 * soon as there is a token. */
void limits_await_locked(struct op *op, struct queue *queue) REQUIRES(op->jobd->lock);
/* A group of the queue may be due earlier, or later, than before. */
void limits_place_locked(struct op *op, struct queue *queue) REQUIRES(op->jobd->lock);
/* The time has come; what is due of groups is fair_due_locked(). */
void limits_due_locked(struct op *op, struct queue *queue) REQUIRES(op->jobd->lock);
/* Its queue is gone, and another one comes in its place. */
void limits_forget_locked(struct op *op, struct queue *queue) REQUIRES(op->jobd->lock);
