/* SPDX-License-Identifier: MIT */
/* What those are told who are not let in. */
#pragma once

#include "engine/engine.h"

/* Counts so many jobs that were refused, and says on the receipt when to come again. */
void admission_refuse_locked(struct op *op, struct queue *queue, uint32_t jobs,
                             enum jobd_result result, struct jobd_receipt *receipt)
    REQUIRES(op->jobd->lock);
