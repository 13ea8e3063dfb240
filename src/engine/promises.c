/* SPDX-License-Identifier: MIT */
#include "engine/promises.h"

#include "engine/pins.h"
#include "engine/words.h"

struct queue *promise_queue_locked(struct op *op, bool new)
{
    struct queue *queue =
        op->jobd->deliveries != JOBD_NO_QUEUE ? &op->jobd->queues[op->jobd->deliveries] : NULL;
    if (queue == NULL || queue->promised == NULL)
        return NULL;
    enum queue_phase phase = queue->phase;
    return phase == QUEUE_OPEN || (phase == QUEUE_RETIRED && !new) ? queue : NULL;
}

const char *promise_callback(const struct job *job)
{
    const struct job_extra *extra = job->extra;
    return extra != NULL && !extra->delivers ? jobd_text(extra->words, JOBD_CALLBACK) : "";
}

void promise_add_locked(struct op *op, struct batch *batch, struct job_extra *promised)
{
    struct jobs *jobs = &op->jobd->jobs;
    struct job_extra **last = &batch->promised;
    while (*last != NULL)
        last = &(*last)->next;
    *last = promised;
    jobs->deliveries++;
    jobs_count(jobs, (int64_t)extra_weight(promised));
}

void promise_batch_locked(struct op *op, struct batch *batch, struct job_extra *promised)
{
    promise_add_locked(op, batch, promised);
    batches_note(&op->jobd->jobs.batches, batch);
}

struct job_extra *promise_take_locked(struct op *op, struct job_extra **place)
{
    struct job_extra *promised = *place;
    *place = promised->next;
    promised->next = NULL;
    op->jobd->jobs.deliveries--;
    jobs_count(&op->jobd->jobs, -(int64_t)extra_weight(promised));
    return promised;
}

void promise_settle_batch_locked(struct op *op, struct batch *batch)
{
    if ((batch->pins & PIN_CALLBACK) == 0 || batch->promised != NULL || batch->deliveries > 0)
        return;
    unpin_batch_locked(op, batch, PIN_CALLBACK);
}

void promise_trim_batch_locked(struct op *op, struct batch *batch)
{
    bool ends = !batches_over(batch) && promise_queue_locked(op, false) != NULL;
    struct job_extra **place = &batch->promised;
    for (uint32_t most = batch->reviving + ends; most > 0 && *place != NULL; most--)
        place = &(*place)->next;
    if (*place != NULL)
        batches_note(&op->jobd->jobs.batches, batch);
    while (*place != NULL)
        extra_free(promise_take_locked(op, place));
    promise_settle_batch_locked(op, batch);
}

void promise_job_locked(struct op *op, struct job *job, struct job_extra *promised)
{
    struct jobs *jobs = &op->jobd->jobs;
    job->extra->promised = promised;
    jobs->deliveries++;
    jobs_count(jobs, (int64_t)extra_weight(promised));
}
