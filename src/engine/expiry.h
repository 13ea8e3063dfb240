/* SPDX-License-Identifier: MIT */
/* What becomes of a job at moments of its own, which few have: jobs->dues has those, and the others
 * cost nothing. One that waits when its attempts must have begun is cancelled; one that has ended
 * and is remembered for some time is forgotten then. */
#pragma once

#include "engine/engine.h"

/* Sees to what is due, up to *left jobs, which is counted down. What has no room in the journal
 * waits for expiry_resume_locked(), and is not due until then. */
void expiry_tick_locked(struct op *op, int *left) REQUIRES(op->jobd->lock);
/* The journal may have room again. */
void expiry_resume_locked(struct op *op) REQUIRES(op->jobd->lock);
