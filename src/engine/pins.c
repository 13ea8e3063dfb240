/* SPDX-License-Identifier: MIT */
#include "engine/pins.h"

#include "engine/engine.h"

bool pins_have_room(const struct jobs *jobs, uint32_t more)
{
    return more <= jobs->promises_max && jobs->promises <= jobs->promises_max - more;
}

/* The first is there, or the last is gone. */
static void count(struct jobs *jobs, bool more)
{
    jobs->promises += more ? 1 : UINT32_MAX;
    jobs_count(jobs, more ? PIN_WEIGHT : -(int64_t)PIN_WEIGHT);
}

/* Has it ended, and is not just about to be retried or forgotten? */
static bool is_remembered(const struct job *job)
{
    return job_has_ended(job) && !job->commit_pending;
}

void pin_job(struct jobs *jobs, struct job *job, enum pin why)
{
    const bool first = job->pins == 0, remembered = first && is_remembered(job);
    verify(!job->forgetting);
    if (remembered)
        jobs_revive(jobs, job);
    job->pins |= (uint8_t)why;
    if (first)
        count(jobs, true);
    if (remembered)
        jobs_remember_all(jobs, job, true);
}

/* One or the other may be forgotten. */
static void tell_store(struct op *op)
{
    if (has_journal(op->jobd))
        op->tell_store |= journal_notify(&op->jobd->journal);
}

void unpin_job(struct op *op, struct job *job, enum pin why)
{
    struct jobs *jobs = &op->jobd->jobs;
    const bool last = job->pins == (unsigned)why, remembered = last && is_remembered(job);
    verify((job->pins & (unsigned)why) != 0);
    if (remembered)
        jobs_revive(jobs, job);
    job->pins &= (uint8_t) ~(unsigned)why;
    if (last)
        count(jobs, false);
    if (!remembered)
        return;
    jobs_remember(jobs, job, op);
    tell_store(op);
}

void pin_batch(struct jobs *jobs, struct batch *batch, enum pin why)
{
    if (batch->pins == 0) {
        count(jobs, true);
        batches_hold(&jobs->batches, batch);
    }
    batch->pins |= (uint8_t)why;
}

void unpin_batch(struct op *op, struct batch *batch, enum pin why)
{
    struct jobs *jobs = &op->jobd->jobs;
    verify((batch->pins & (unsigned)why) != 0);
    batch->pins &= (uint8_t) ~(unsigned)why;
    if (batch->pins != 0)
        return;
    count(jobs, false);
    batches_let_go(&jobs->batches, batch);
    jobs_settle_batches(jobs);
    tell_store(op);
}
