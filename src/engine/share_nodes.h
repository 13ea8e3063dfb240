/* SPDX-License-Identifier: MIT */
/* Processes that share queues, and the jobs that their workers run: those are a process's own for a
 * minute at a time, which it renews as long as there are any. When it has not, they are free, and
 * are run again. */
#pragma once

#include "engine/engine.h"
#include "engine/touched.h"

/* Do workers of that process run a job, as far as is known here? Those of this one? */
bool share_runs_locked(struct op *op, uint32_t node) REQUIRES(op->jobd->lock);
bool share_runs_here_locked(struct op *op) REQUIRES(op->jobd->lock);

/* Is it time to say again that the jobs are its own, where there are any? It is said now: until
 * when. */
bool share_must_renew(const struct share *share, int64_t now_us);
void share_renew(struct share *share, int64_t now_us);

/* When the next minute of a process is over, or this one has to renew its own. */
int64_t share_nodes_due_locked(struct op *op) REQUIRES(op->jobd->lock);
/* In a turn: whose is over by now runs nothing any more. */
void share_end_nodes(struct jobd *jobd, int64_t now_us);
