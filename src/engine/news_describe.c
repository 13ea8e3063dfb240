/* SPDX-License-Identifier: MIT */
#include "engine/news_describe.h"

#include <string.h>

#include "engine/blob.h"
#include "engine/deliveries.h"
#include "engine/describe.h"
#include "engine/said.h"
#include "engine/words.h"

/* The rest of the blob is empty. NULL when memory is short, too: then it is said later. */
static struct jobd_blob *said_so_far(const struct said *said)
{
    if (said == NULL || said->output == NULL)
        return NULL;
    struct jobd_blob *copy = jobd_blob_new(said->used, said->output->type);
    if (copy != NULL && said->used > 0)
        memcpy(copy->bytes, said->output->bytes, said->used);
    return copy;
}

void news_give_job_locked(struct op *op, const struct job *job, struct news *news,
                          share_each_news *each, void *context)
{
    const struct said *said = said_of(job);
    struct jobd_blob *output = said_so_far(said);
    news->has_said = said != NULL;
    if (said != NULL) {
        news->record.worker = said->worker;
        news->record.progress = said->progress;
        news->said_truncated = said->truncated;
        news->said = output;
    }
    each(context, news);
    op_discard(op, output);
}

void news_describe_job(const struct jobd *jobd, const struct job *job, struct news *news)
{
    const struct job_content content = job_content(job);
    describe_job(jobd->queues[job->queue].name, job, &content, &news->record);
    news->retained = job->retained;
    news->has_extra = job->extra != NULL;
    deliveries_describe_news(job, news);
    if (job->state == JOBD_BLOCKED)
        news->record.state = JOBD_BLOCKED;
}

void news_describe_fresh_batch(const struct jobd *jobd, const struct batch *batch,
                               struct news *news)
{
    news->record.id = batch->id;
    news->record.batch_jobs = batch->len;
    news->record.batch_callback = jobd_text(batch->words, JOBD_CALLBACK);
    news->record.queue = jobd->queues[batch->queue].name;
    news->record.created_us = batch->created_us;
}

void news_describe_batch(const struct batch *batch, struct news *news)
{
    news->record.id = batch->id;
    news->record.finished_us = batch->finished_us;
    memcpy(news->ended, batch->gone, sizeof news->ended);
    news->retained = batch->pins != 0;
    deliveries_describe_batch_news(batch, news);
}

void news_describe_schedule(const struct schedule *schedule, struct news *news)
{
    schedule_record(schedule->name, &schedule->now, &news->schedule);
    news->gone = schedule->now.terms == NULL;
}

void news_describe_queue(const struct queue *queue, struct news *news)
{
    news->paused = queue->paused;
    news->totals = (struct news_totals){.admitted = queue->admitted,
                                        .done = queue->ended[JOBD_DONE],
                                        .failed = queue->ended[JOBD_FAILED],
                                        .cancelled = queue->ended[JOBD_CANCELLED],
                                        .retried = queue->retried,
                                        .moved_in = queue->moved_in,
                                        .moved_out = queue->moved_out,
                                        .expired = queue->expired};
    news->waiting = queue_waiting(queue);
    news->running = queue->in_state[JOBD_RUNNING];
}
