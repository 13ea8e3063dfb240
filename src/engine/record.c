/* SPDX-License-Identifier: MIT */
#include "engine/record.h"

void record_describe_locked(const struct jobd *jobd, const struct job *job,
                            struct job_record *record)
{
    const struct job_extra *extra = job->extra;
    enum jobd_state state = job_state(job);
    bool started = state == JOBD_RUNNING || jobd_state_final(state);
    bool expires = extra != NULL && !job->unexpiring;
    *record = (struct job_record){
        .id = job->id,
        .queue = jobd->queues[job->queue].name,
        .priority = job->priority,
        .attempts = job->attempts,
        .created_us = job->created_us,
        .run_at_us = job->state == STATE_NEW && job->delayed ? job->ready_us : 0,
        .keep_us = extra != NULL ? extra->keep_us : 0,
        .at_us = job->by_wall ? job->ready_us : 0,
        .timeout_us = extra != NULL ? extra->timeout_us : 0,
        .expiry_us = expires ? extra->expires_us : 0,
        .expiry_at_us = expires && extra->expires_by_wall ? extra->expires_us : 0,
        .key = extra != NULL ? extra->key : "",
        .trace = extra != NULL ? extra->trace : "",
        .payload = job->payload,
        .state = state,
        .attempt = job->attempt,
        .ready_us = job->ready_us,
        .started_us = started ? job->started_us : 0,
        .finished_us = jobd_state_final(state) ? job->finished_us : 0,
        .delayed = job->delayed,
        .by_wall = job->by_wall,
        .expired = job->expired,
        .unexpiring = job->unexpiring,
        .stopping = job->stopping,
        .output_truncated = job->output_truncated,
        .exited = job->exited,
        .exit_code = job->exit_code,
        .token = job->leased ? job->lease->token : "",
        .expires_us = job->leased ? job->lease->due.at_us : 0,
        .began_us = job->leased ? job->lease->began_us : 0,
        .output = extra != NULL ? extra->output : NULL,
        .error = extra != NULL ? extra->error : NULL,
        .errors = extra != NULL ? extra->errors : NULL,
        .errors_us = extra != NULL ? extra->errors_us : 0,
    };
    for (unsigned i = 0; extra != NULL && i < JOBD_TEXTS; i++)
        record->texts[i] = jobd_text(extra->words, (enum jobd_text)i);
}
