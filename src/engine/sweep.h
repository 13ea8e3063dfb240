/* SPDX-License-Identifier: MIT */
/* The verbs on all that waits in a queue: purge, and move to another queue. */
#pragma once

#include "engine/engine.h"

/* Goes on with sweeps that waited for room in the journal, some jobs at a time: call it when there
 * may be room. */
void sweep_resume_locked(struct op *op) REQUIRES(op->jobd->lock);
