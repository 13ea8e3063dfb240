/* SPDX-License-Identifier: MIT */
#include "engine/said.h"

#include <stdlib.h>
#include <string.h>

#include "engine/blob.h"
#include "engine/waiters.h"

struct said *said_make_locked(struct op *op, struct job *job, struct job_extra **spare)
{
    struct jobs *jobs = &op->jobd->jobs;
    if (said_of(job) != NULL || spare == NULL || *spare == NULL)
        return said_of(job);
    if (job->extra == NULL)
        return jobs_extend(jobs, job, spare, op) ? job->extra->said : NULL;
    if (!jobs_make_room(jobs, sizeof *job->extra->said, op))
        return NULL;
    job->extra->said = (*spare)->said;
    (*spare)->said = NULL;
    jobs_count(jobs, sizeof *job->extra->said);
    return job->extra->said;
}

/* Without anything to be kept it is not kept either. */
static void drop_empty_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock)
{
    struct said *said = said_of(job);
    if (said->worker != NULL || said->progress != NULL)
        return;
    jobs_count(&op->jobd->jobs, -(int64_t)sizeof *said);
    job->extra->said = NULL;
    free(said);
}

void said_worker(const struct job *job, char out[JOBD_WORKER_SIZE])
{
    const struct said *said = said_of(job);
    const struct jobd_blob *worker = said != NULL ? said->worker : NULL;
    size_t size = worker != NULL ? worker->size : 0;
    size = size < JOBD_WORKER_SIZE ? size : JOBD_WORKER_SIZE - 1;
    if (size > 0)
        memcpy(out, worker->bytes, size);
    out[size] = '\0';
}

/* ---- the life of an attempt */

void said_begin_locked(struct op *op, struct job *job, struct jobd_blob *worker,
                       struct job_extra **spare)
{
    said_forget_locked(op, job);
    struct said *said = worker != NULL ? said_make_locked(op, job, spare) : NULL;
    if (said != NULL)
        (void)jobs_set(&op->jobd->jobs, &said->worker, jobd_blob_ref(worker), op);
}

struct jobd_blob *said_output_locked(struct op *op, struct job *job, bool *truncated)
{
    struct said *said = said_of(job);
    if (said == NULL || said->output == NULL)
        return NULL;
    size_t counted = blob_weight(said->output);
    said->output = blob_cut(said->output, said->used);
    jobs_count(&op->jobd->jobs, (int64_t)blob_weight(said->output) - (int64_t)counted);
    *truncated |= said->truncated;
    return jobd_blob_ref(said->output);
}

void said_end_locked(struct op *op, struct job *job)
{
    struct said *said = said_of(job);
    if (said == NULL)
        return;
    if (said->output != NULL)
        (void)jobs_set(&op->jobd->jobs, &said->output, NULL, op);
    op_discard(op, said->shown);
    said->shown = NULL;
    said->used = said->shown_bytes = 0;
    said->truncated = false;
    drop_empty_locked(op, job);
}

void said_forget_locked(struct op *op, struct job *job)
{
    struct said *said = said_of(job);
    if (said == NULL)
        return;
    (void)jobs_set(&op->jobd->jobs, &said->worker, NULL, op);
    (void)jobs_set(&op->jobd->jobs, &said->progress, NULL, op);
    said_end_locked(op, job);
}

void said_tell_locked(struct op *op, struct job *job)
{
    struct waiting *waiting;
    while ((waiting = TAILQ_FIRST(&job->awaiting)) != NULL && waiting->kind == WAIT_MORE)
        wait_end_locked(op, waiter_of(waiting), JOBD_OK);
}
