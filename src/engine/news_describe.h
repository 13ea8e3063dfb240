/* SPDX-License-Identifier: MIT */
/* What other processes are told of a job, a batch, a schedule, a queue. All is borrowed from it:
 * good until the engine's lock is let go of. What a caller adds, it says: whether it is fresh, and
 * who runs it. */
#pragma once

#include "engine/engine.h"
#include "engine/news.h"

/* But for who runs it, and what its attempt has said so far. */
void news_describe_job(const struct jobd *jobd, const struct job *job, struct news *news);
/* Gives these news of the job, with what its attempt has said. */
void news_give_job_locked(struct op *op, const struct job *job, struct news *news,
                          share_each_news *each, void *context) REQUIRES(op->jobd->lock);
/* A batch that nobody knows, but for how its jobs are; and any, in how they are. */
void news_describe_fresh_batch(const struct jobd *jobd, const struct batch *batch,
                               struct news *news);
void news_describe_batch(const struct batch *batch, struct news *news);
/* All of it. */
void news_describe_schedule(const struct schedule *schedule, struct news *news);
/* But for its name and its histograms. */
void news_describe_queue(const struct queue *queue, struct news *news);
