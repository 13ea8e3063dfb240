/* SPDX-License-Identifier: MIT */
/* A put with the key of a job that has not begun takes the place of what the job was put with: one
 * change, so that a crash leaves the one or the other.
 *
 * It counts at once, before it is written, so that an attempt which begins meanwhile has it; that
 * attempt is told of behind it. A change that fails gives the job back what it had before. Of
 * several on their way each has what the one before it has put:
 *
 *     job: C      A's change: before     B's: A      C's: B */
#pragma once

#include "engine/engine.h"

/* All that this content says, in place of the job's: JOBD_OK or JOBD_PENDING, and it is taken;
 * JOBD_STORE_FAILED, JOBD_TOO_MANY_WAITERS, JOBD_CALLBACKS_FULL or JOBD_OUT_OF_MEMORY. Dispatch is
 * due in any case. */
enum jobd_result replace_locked(struct op *op, struct job *job, struct job_content *content,
                                struct jobd_waiter *waiter, struct jobd_receipt *receipt)
    REQUIRES(op->jobd->lock);
/* What the job was put with, but for what is on its way to disk. */
struct job_content replace_written(const struct job *job);
