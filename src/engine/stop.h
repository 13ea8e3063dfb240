/* SPDX-License-Identifier: MIT */
/* A job that runs is to stop: a worker is told at once, and that it was told is written; a lease is
 * taken away, and whoever has it learns of it when it comes back. */
#pragma once

#include "engine/engine.h"

/* JOBD_STOPPING, JOBD_PENDING or JOBD_TOO_MANY_WAITERS. The operation must have room for one stop
 * more. Does not dispatch. */
enum jobd_result stop_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock);
/* Whoever runs it in this process is told by op_end(). */
void stop_tell(struct op *op, const struct job *job);
