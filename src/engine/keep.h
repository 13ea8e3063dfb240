/* SPDX-License-Identifier: MIT */
/* Until when ended jobs are remembered, by time: what a job itself or its queue says comes first,
 * and is in jobs->dues (expiry.h); the others end by keep_for_us. By number and memory:
 * job_table.h. No lock of its own. */
#pragma once

#include <stdint.h>

#include "engine/job_table.h"

/* Until when this ended job is remembered, if nothing else makes it forgotten: JOBD_NEVER, without
 * an end. One that ended before this process counts from then by the wall clock, but from no later
 * than the start. */
int64_t keep_until(const struct jobs *jobs, const struct job *job);
/* The same for a batch none of whose jobs is there any more; while it is pinned, JOBD_NEVER. */
int64_t keep_batch_until(const struct jobs *jobs, const struct batch *batch);
/* Of the others the one that is forgotten next, however late; NULL when none is remembered. */
struct job *keep_next(const struct jobs *jobs);
/* When that is, or JOBD_NEVER. */
int64_t keep_next_end_us(const struct jobs *jobs);
