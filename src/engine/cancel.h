/* SPDX-License-Identifier: MIT */
#pragma once

#include "engine/engine.h"

/* Goes on with purges that waited for room in the journal, some jobs at a time: call it when there
 * may be room. */
void cancel_resume_purges_locked(struct op *op) REQUIRES(op->jobd->lock);
