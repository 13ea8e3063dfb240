/* SPDX-License-Identifier: MIT */
/* Jobs by id. */
#include "base/verify.h"
#include "engine/job_table.h"

static int job_compare(const struct job *a, const struct job *b)
{
    return (a->id > b->id) - (a->id < b->id);
}

RB_GENERATE(job_tree, job, by_id, job_compare)

/* ---- in and out */

/* Ids mostly rise: then its place is behind all others, and need not be looked for. */
void jobs_enter_tree(struct jobs *jobs, struct job *job)
{
    struct job *newest = jobs->newest;
    if (newest != NULL && newest->id < job->id) {
        RB_SET(job, newest, by_id);
        RB_RIGHT(newest, by_id) = job;
        job_tree_RB_INSERT_COLOR(&jobs->tree, job);
        jobs->newest = job;
        return;
    }
    verify(RB_INSERT(job_tree, &jobs->tree, job) == NULL);
    if (newest == NULL)
        jobs->newest = job;
}

void jobs_leave_tree(struct jobs *jobs, struct job *job)
{
    if (job == jobs->newest)
        jobs->newest = RB_PREV(job_tree, &jobs->tree, job);
    RB_REMOVE(job_tree, &jobs->tree, job);
}

/* ---- looking up */

struct job *jobs_find(struct jobs *jobs, uint64_t id)
{
    struct job key = {.id = id};
    return RB_FIND(job_tree, &jobs->tree, &key);
}

struct job *jobs_seen(struct jobs *jobs, uint64_t id)
{
    struct job *job = jobs_find(jobs, id);
    return job != NULL && job->state != STATE_NEW ? job : NULL;
}

struct job *jobs_above(struct jobs *jobs, uint64_t id)
{
    if (id == UINT64_MAX)
        return NULL;
    struct job key = {.id = id + 1};
    return RB_NFIND(job_tree, &jobs->tree, &key);
}

struct job *jobs_below(struct jobs *jobs, uint64_t id)
{
    struct job key = {.id = id};
    struct job *from = RB_NFIND(job_tree, &jobs->tree, &key);
    return from != NULL ? RB_PREV(job_tree, &jobs->tree, from) : RB_MAX(job_tree, &jobs->tree);
}
