/* SPDX-License-Identifier: MIT */
/* Deliveries: with the end of a job that has a callback, or of the last job of a batch that has
 * one, a job comes into the queue for them, which tells of it. Both are one change: no end without
 * its delivery, whatever becomes of the process.
 *
 *     put ──> promised ─────────────────> the end ──> the delivery waits ──> it runs, it ends
 *             a place in the queue, a record,         the place, the record and the memory are
 *             and the memory are kept                 its own; its source is still pinned
 *
 * So an end never lacks room, and as many deliveries wait, and are promised, as the queue's
 * capacity says. Its source is pinned from the put on until the delivery has ended: who delivers
 * finds what there is to tell. An ended job that is retried is promised another delivery.
 *
 * Where there is no such queue a put with a callback is refused, and of jobs from before the start
 * nobody is told; when it is retired what has been promised is still delivered. Under the engine's
 * lock; none of these dispatches. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"

struct job_record;
struct news;

/* May this put, whose first extra has it, be promised its delivery, beside the room for its jobs?
 * JOBD_OK, also where there is none; JOBD_CALLBACKS_FULL, JOBD_NO_CALLBACKS or JOBD_OUT_OF_MEMORY.
 */
enum jobd_result deliveries_admit_locked(struct op *op, const struct job_extra *extra)
    REQUIRES(op->jobd->lock);
/* Beside its extras so many bytes count for that. */
size_t deliveries_weight(const struct job_extra *extra, bool batch);
/* A job that has come in, or has a new content, is pinned where it has a promise. */
void deliveries_pin_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock);
/* A batch has come in, with this promise, which is taken. */
void deliveries_begin_batch_locked(struct op *op, struct batch *batch, struct job_extra *promised)
    REQUIRES(op->jobd->lock);

/* An ended job is to be retried: it, or its batch, is promised another delivery; or a delivery
 * holds its source again. JOBD_OK; or JOBD_CALLBACKS_FULL or JOBD_OUT_OF_MEMORY. */
enum jobd_result deliveries_again_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock);
/* That is written; or it is not, and it has ended as before, and is remembered. */
void deliveries_revived_locked(struct op *op, const struct job *job) REQUIRES(op->jobd->lock);
void deliveries_not_revived_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock);

/* Of one end: that of a job, and of the batch that it was the last of. */
enum { DELIVERIES_MAX = 2 };

/* The deliveries of this end, new jobs, for the transition that they come from: how many. For a job
 * that has just become final and is not remembered yet. */
unsigned deliveries_make_locked(struct op *op, struct job *job, int64_t at_us,
                                struct job *made[DELIVERIES_MAX]) REQUIRES(op->jobd->lock);
/* A job that has ended, and is pinned, is remembered now: it need not be pinned where nobody is to
 * be told. */
void deliveries_settle_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock);
/* A delivery has ended: its source need not be pinned any more. */
void deliveries_over_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock);

/* The store writes this record of a job: so many deliveries come with it, new jobs. What they point
 * to stays. */
unsigned deliveries_describe_locked(struct op *op, const struct job *job,
                                    const struct job_record *record,
                                    struct job_record made[DELIVERIES_MAX])
    REQUIRES(op->jobd->lock);

/* ---- where queues are shared: its source's count, and a delivery's own, are in the news of each,
 * as either may come first */

/* What is told of that, beside all else. */
void deliveries_describe_news(const struct job *job, struct news *news);
void deliveries_describe_batch_news(const struct batch *batch, struct news *news);
/* It is as another process has told. False when memory is short. */
bool deliveries_adopt_locked(struct op *op, struct job *job, const struct news *news)
    REQUIRES(op->jobd->lock);
bool deliveries_adopt_batch_locked(struct op *op, struct batch *batch, const struct news *news)
    REQUIRES(op->jobd->lock);

/* ---- at a start */

/* A job comes back, and is in no state yet; or all have come. */
void deliveries_restore_locked(struct op *op, struct job *job, bool ended) REQUIRES(op->jobd->lock);
void deliveries_restored_locked(struct op *op) REQUIRES(op->jobd->lock);
