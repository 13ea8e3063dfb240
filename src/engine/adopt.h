/* SPDX-License-Identifier: MIT */
/* What of share_adopt() and share_forget() has a file of its own. */
#pragma once

#include <stdbool.h>

#include "engine/engine.h"
#include "engine/share.h"

enum share_result adopt_batch_locked(struct op *op, const struct news *news,
                                     const struct share_source *source) REQUIRES(op->jobd->lock);
enum share_result adopt_schedule_locked(struct op *op, const struct news *news,
                                        const struct share_source *source) REQUIRES(op->jobd->lock);
/* Forgets one; false when there is none. */
bool adopt_forget_schedule_locked(struct op *op) REQUIRES(op->jobd->lock);
/* Forgets one, whose jobs are gone by now; false when there is none. */
bool adopt_forget_batch_locked(struct op *op) REQUIRES(op->jobd->lock);
