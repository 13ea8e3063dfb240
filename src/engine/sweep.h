/* SPDX-License-Identifier: MIT */
/* The verbs for many jobs: purge of a queue, move to another queue, changes of all that a filter
 * means. */
#pragma once

#include "engine/engine.h"

/* Goes on with sweeps that waited for room in the journal, some jobs at a time: call it when there
 * may be room. */
void sweep_resume_locked(struct op *op) REQUIRES(op->jobd->lock);
