/* SPDX-License-Identifier: MIT */
/* Jobs whose parents have ended (edges.h) are queued, or cancelled: that is a change. */
#pragma once

#include "engine/engine.h"

/* Looks at children of those that have ended, as many as *left allows, which is counted down. */
void blocked_tick_locked(struct op *op, int *left) REQUIRES(op->jobd->lock);
/* The journal has room again, perhaps; or a turn begins. */
void blocked_resume_locked(struct op *op) REQUIRES(op->jobd->lock);
