/* SPDX-License-Identifier: MIT */
#include "engine/pins.h"

#include "engine/touched.h"

bool pins_have_room(const struct jobs *jobs, uint32_t more)
{
    return more <= jobs->retainable_max && jobs->retainable <= jobs->retainable_max - more;
}

/* The first is there, or the last is gone. */
static void count(struct jobs *jobs, bool more)
{
    jobs->retainable += more ? 1 : UINT32_MAX;
    jobs_count(jobs, more ? PIN_WEIGHT : -(int64_t)PIN_WEIGHT);
}

/* Has it ended, and is not just about to be retried or forgotten? */
static bool is_remembered(const struct job *job)
{
    return job_has_ended(job) && !job->commit_pending;
}

/* What others have changed is adopted: its place is theirs to say. */
static bool adopts(const struct op *op) REQUIRES(op->jobd->lock)
{
    return op->jobd->share != NULL && !op->jobd->share->in_turn;
}

static void set_pins(struct op *op, struct job *job, unsigned pins) REQUIRES(op->jobd->lock)
{
    struct jobs *jobs = &op->jobd->jobs;
    const bool was = job->pins != 0, is = pins != 0;
    job->pins = (uint8_t)pins;
    if (was == is)
        return;
    count(jobs, is);
    if (is_remembered(job))
        jobs_pins_changed(jobs, job);
}

/* Its place among those that have ended is another. */
static void tell_others(struct op *op, const struct job *job) REQUIRES(op->jobd->lock)
{
    if (op->jobd->share != NULL)
        share_touch_locked(op, job, ROW_SET);
}

void pin_job_locked(struct op *op, struct job *job, enum pin why)
{
    struct jobs *jobs = &op->jobd->jobs;
    const bool first = job->pins == 0, remembered = first && is_remembered(job);
    if (adopts(op)) {
        set_pins(op, job, job->pins | (unsigned)why);
        return;
    }
    verify(!job->forgetting);
    if (remembered)
        jobs_revive(jobs, job);
    job->pins |= (uint8_t)why;
    if (first)
        count(jobs, true);
    if (!remembered)
        return;
    jobs_remember_all(jobs, job, true);
    tell_others(op, job);
}

/* One or the other may be forgotten. */
static void tell_store(struct op *op) REQUIRES(op->jobd->lock)
{
    if (has_journal(op->jobd))
        op->tell_store |= journal_notify(&op->jobd->journal);
}

void unpin_job_locked(struct op *op, struct job *job, enum pin why)
{
    struct jobs *jobs = &op->jobd->jobs;
    const bool last = job->pins == (unsigned)why, remembered = last && is_remembered(job);
    verify((job->pins & (unsigned)why) != 0);
    if (adopts(op)) {
        set_pins(op, job, job->pins & ~(unsigned)why);
        return;
    }
    if (remembered)
        jobs_revive(jobs, job);
    job->pins &= (uint8_t) ~(unsigned)why;
    if (last)
        count(jobs, false);
    if (!remembered)
        return;
    tell_others(op, job); /* before it may be forgotten */
    jobs_remember(jobs, job, op);
    tell_store(op);
}

void pin_batch_locked(struct op *op, struct batch *batch, enum pin why)
{
    struct jobs *jobs = &op->jobd->jobs;
    if (batch->pins == 0) {
        count(jobs, true);
        if (!adopts(op))
            batches_hold(&jobs->batches, batch);
    }
    batch->pins |= (uint8_t)why;
}

void unpin_batch_locked(struct op *op, struct batch *batch, enum pin why)
{
    struct jobs *jobs = &op->jobd->jobs;
    verify((batch->pins & (unsigned)why) != 0);
    batch->pins &= (uint8_t) ~(unsigned)why;
    if (batch->pins != 0)
        return;
    count(jobs, false);
    if (adopts(op))
        return;
    batches_let_go(&jobs->batches, batch);
    jobs_settle_batches(jobs);
    tell_store(op);
}
