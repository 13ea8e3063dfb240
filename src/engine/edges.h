/* SPDX-License-Identifier: MIT */
/* Who waits for whose end. A job that is put `after` others, its parents, has a record of them in
 * its extra until it waits for them no longer; a parent, a job or a batch, has one as long as jobs
 * wait for it, its children, and is pinned so long (pins.h).
 *
 *     job ──> extra ──> parents ──> edge, edge ...        of the child, one allocation
 *                                    │     │
 *                                 parent  parent          each with the list of its edges
 *
 * Nothing of it is on disk but the text JOBD_AFTER of the child: a start builds it anew from the
 * texts of jobs that wait, have not begun and are not written down as settled. A parent that is not
 * there by then was forgotten, which it can be only since its child has no longer waited for it: so
 * it counts as done.
 *
 * Whether a job may begin is always asked of its parents as they are, never counted: one that has
 * ended and was put in again is waited for again. When a parent ends, its record is put on a list,
 * and blocked.h looks at its children, some at a time; so however many there are, nobody waits for
 * that, and nothing calls itself. A child that is cancelled is a parent whose end is certain,
 * though it is not written yet: its own children follow in the same journal, not behind the next
 * commit, so that a chain takes as few commits as its jobs need. All of it counts in the memory.
 * Under the engine's lock. */
#pragma once

#include "engine/engine.h"
#include "engine/parents.h"

enum verdict {
    VERDICT_WAIT,   /* one of them has not ended */
    VERDICT_BEGIN,  /* all have, as well as they had to */
    VERDICT_CANCEL, /* one of them has not ended well, and it had to */
};

/* What becomes of who waits for these. *why, if it is cancelled: the one that has not ended well.
 */
enum verdict edges_verdict(struct jobs *jobs, const struct parents *parents,
                           const struct edge **why);

/* ---- coming in, in this order */

/* Are all there, and seen? JOBD_OK; or JOBD_NO_PARENT, and which is on the receipt. Where a job is
 * `replaced` by this, else NULL, all must have come before it, or JOBD_LATER_PARENT: so nobody
 * waits for himself, through however many others, and a start brings all back before those who
 * wait for them. */
enum jobd_result edges_check(struct op *op, const struct parents *parents,
                             const struct job *replaced, struct jobd_receipt *receipt);
/* A record for each, pinned, with or without edges; what follows needs them. JOBD_OK;
 * JOBD_OUT_OF_MEMORY; or JOBD_NO_PARENT, where one was forgotten for want of memory. `like`, not
 * NULL: has the same, found before. */
enum jobd_result edges_expect_locked(struct op *op, struct parents *parents,
                                     const struct parents *like) REQUIRES(op->jobd->lock);
/* They are this job's, which waits for them; it need not have them yet. All are expected. */
void edges_link(struct parents *parents, struct job *job);
/* In the end, whatever became of it: of the fresh records those without edges are none. */
void edges_settle_locked(struct op *op) REQUIRES(op->jobd->lock);

/* ---- and going */

/* The extra, which is counted, has none any more. It may have had none. */
void edges_leave_locked(struct op *op, struct job_extra *extra) REQUIRES(op->jobd->lock);

/* Its job is to be looked at again, unless it has to wait. */
void edges_look_again_locked(struct op *op, struct parents *parents) REQUIRES(op->jobd->lock);
/* A job with PIN_CHILDREN, or a batch, has ended: its children are to be looked at. A job also when
 * it is orphaned, before its end is written. */
void edges_job_ended_locked(struct op *op, const struct job *job) REQUIRES(op->jobd->lock);
void edges_batch_ended_locked(struct op *op, const struct batch *batch) REQUIRES(op->jobd->lock);

/* ---- at a start */

/* A job with this text will come back: what it names is not forgotten before; where memory is less
 * than it was one that has ended may be, and counts as done. */
void edges_expect_back_locked(struct op *op, const char *text) REQUIRES(op->jobd->lock);
/* A job, or a batch, is back, in no state yet. `final`: it has ended. */
void edges_job_back_locked(struct op *op, struct job *job, bool final) REQUIRES(op->jobd->lock);
void edges_batch_back_locked(struct op *op, struct batch *batch) REQUIRES(op->jobd->lock);
/* A job that waits is back: it has those of the parents of this text that are there; when all have
 * ended, or there are none, it is looked at at once, and written down as settled. False
 * when memory is short. */
bool edges_child_back_locked(struct op *op, struct job *job, const char *text)
    REQUIRES(op->jobd->lock);
/* All are: who is waited for by nobody is forgotten as others are. */
void edges_all_back_locked(struct op *op) REQUIRES(op->jobd->lock);

/* ---- as other processes have changed it: in any order, so what a job waits for may come later,
 * and is waited for meanwhile */

/* The job, which has such a text, waits for all that it names. False when memory is short. */
bool edges_adopt_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock);
/* A job, or a batch, is about to be no more, while perhaps some still wait for it. */
void edges_job_gone_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock);
void edges_batch_gone_locked(struct op *op, struct batch *batch) REQUIRES(op->jobd->lock);
