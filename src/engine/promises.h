/* SPDX-License-Identifier: MIT */
/* Deliveries that are promised: of each job and each batch whose end is to be told a record is kept
 * for its delivery, and counted in the memory, until that comes (deliveries.h). A job has one, a
 * batch one for each time that it may end: again, when a job of it is retried. Under the engine's
 * lock. */
#pragma once

#include "engine/engine.h"

/* The queue that takes them; `new`: also those that are promised from now on. NULL: there is none.
 */
struct queue *promise_queue_locked(struct op *op, bool new) REQUIRES(op->jobd->lock);
/* Whom the end of this job is told to; "": nobody. */
const char *promise_callback(const struct job *job);

/* A job that lives, or is pinned, is promised this one, which is taken. */
void promise_job_locked(struct op *op, struct job *job, struct job_extra *promised)
    REQUIRES(op->jobd->lock);
/* A batch is promised one more, behind the others; the second also notes that it has changed. */
void promise_add_locked(struct op *op, struct batch *batch, struct job_extra *promised)
    REQUIRES(op->jobd->lock);
void promise_batch_locked(struct op *op, struct batch *batch, struct job_extra *promised)
    REQUIRES(op->jobd->lock);

/* The one in this place is the caller's, and counts no longer. */
struct job_extra *promise_take_locked(struct op *op, struct job_extra **place)
    REQUIRES(op->jobd->lock);
/* A batch has as many as it may end, as far as is known; and is pinned no longer, where nobody is
 * to be told any more. */
void promise_trim_batch_locked(struct op *op, struct batch *batch) REQUIRES(op->jobd->lock);
void promise_settle_batch_locked(struct op *op, struct batch *batch) REQUIRES(op->jobd->lock);
