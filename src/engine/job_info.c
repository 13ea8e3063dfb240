/* SPDX-License-Identifier: MIT */
#include "engine/job_info.h"

#include <string.h>

#include "engine/account.h"

void job_info(const struct job *job, struct jobd_info *info)
{
    enum jobd_state state = (enum jobd_state)job->state;
    bool started = state == JOBD_RUNNING || jobd_state_final(state);
    const struct job_extra *extra = job->extra;
    *info = (struct jobd_info){
        .id = job->id,
        .queue = job->queue,
        .state = state,
        .priority = job->priority,
        .stopping = job->stopping,
        .attempt = job->attempt,
        .attempts = job->attempts,
        .created_us = job->created_us,
        .run_at_us = job->delayed ? job->ready_us : 0,
        .expires_us = extra != NULL ? extra->expires_us : 0,
        .started_us = started ? job->started_us : 0,
        .finished_us = jobd_state_final(state) ? job->finished_us : 0,
        .payload_bytes = job->payload != NULL ? job->payload->size : 0,
        .output_bytes = extra != NULL && extra->output != NULL ? extra->output->size : 0,
        .output_truncated = job->output_truncated,
        /* A blocked one's says why it is about to end. */
        .has_error =
            job->expired || (extra != NULL && extra->error != NULL && state != JOBD_BLOCKED),
        .has_errors = extra != NULL && extra->errors != NULL,
        .has_worker = extra != NULL && extra->said != NULL && extra->said->worker != NULL,
        .has_progress = extra != NULL && extra->said != NULL && extra->said->progress != NULL,
        .has_words = extra != NULL && extra->words != NULL,
        .batched = job->batched,
        .exited = job->exited,
        .exit_code = job->exit_code,
        .source = extra != NULL && extra->delivers ? extra->source : 0,
    };
    if (extra != NULL)
        memcpy(info->trace, extra->trace, sizeof info->trace);
}

void batch_info(const struct batch *batch, struct jobd_batch *info)
{
    *info = (struct jobd_batch){.id = batch->id,
                                .queue = batch->queue,
                                .ids = batch->len,
                                .jobs = batch->len - batch->lost,
                                .created_us = batch->created_us,
                                .finished_us = batch->finished_us};
    memcpy(info->in_state, batch->in_state, sizeof info->in_state);
}

void job_output_for(const struct job *job, struct jobd_waiter *waiter)
{
    struct jobd_blob *output = job->extra != NULL ? job->extra->output : NULL;
    bool has = waiter->wants_output && output != NULL && account_tell(waiter, output->size, false);
    waiter->output = has ? jobd_blob_ref(output) : NULL;
}
