/* SPDX-License-Identifier: MIT */
/* The end of a queue that takes no jobs in any more. */
#pragma once

#include "engine/engine.h"

/* One that is retired and has nothing any more is gone: takers are told. */
void retire_end_locked(struct op *op, struct queue *queue) REQUIRES(op->jobd->lock);
