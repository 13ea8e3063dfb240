/* SPDX-License-Identifier: MIT */
/* Jobs whose attempts must have begun by some moment: one that waits then is cancelled. Each is in
 * jobs->dues while it waits (jobs_watch()), and costs the others nothing. */
#pragma once

#include "engine/engine.h"

/* Ends what is due, up to *left jobs, which is counted down. What has no room in the journal waits
 * for expiry_resume_locked(), and is not due until then. */
void expiry_tick_locked(struct op *op, int *left) REQUIRES(op->jobd->lock);
/* The journal may have room again. */
void expiry_resume_locked(struct op *op) REQUIRES(op->jobd->lock);
