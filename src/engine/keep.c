/* SPDX-License-Identifier: MIT */
#include "engine/keep.h"

/* By the engine's clock. */
static int64_t by_engine_us(const struct jobs *jobs, int64_t finished_us)
{
    if (finished_us > 0)
        return finished_us;
    int64_t then_us = -finished_us - jobs->wall_ahead_us;
    return then_us < jobs->restored_us ? then_us : jobs->restored_us;
}

static int64_t ended_us(const struct jobs *jobs, const struct job *job)
{
    return by_engine_us(jobs, job->finished_us);
}

int64_t keep_batch_until(const struct jobs *jobs, const struct batch *batch)
{
    if (jobs->keep_for_us == 0 || batch->there > 0 || batch->pins != 0)
        return JOBD_NEVER;
    return later_us(by_engine_us(jobs, batch->finished_us), jobs->keep_for_us);
}

int64_t keep_until(const struct jobs *jobs, const struct job *job)
{
    if (job->extra != NULL && job->extra->keep_us != 0) /* before all others */
        return job->extra->forget_us;
    return jobs->keep_for_us > 0 ? later_us(ended_us(jobs, job), jobs->keep_for_us) : JOBD_NEVER;
}

/* Of those without a time of their own: one duration is for all of them, so who ended first is due
 * first. */
struct job *keep_next(const struct jobs *jobs)
{
    struct job *done = TAILQ_FIRST(&jobs->by_age[0]),
               *failed = TAILQ_FIRST(&jobs->by_age[AGE_FAILED]);
    if (done == NULL || failed == NULL)
        return done != NULL ? done : failed;
    return ended_us(jobs, done) <= ended_us(jobs, failed) ? done : failed;
}

int64_t keep_next_end_us(const struct jobs *jobs)
{
    const struct job *next = jobs->keep_for_us > 0 ? keep_next(jobs) : NULL;
    return next != NULL ? keep_until(jobs, next) : JOBD_NEVER;
}
