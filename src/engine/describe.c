/* SPDX-License-Identifier: MIT */
#include "engine/describe.h"

#include "engine/lease_table.h"

static void describe_extra(struct job_record *record, const struct job_extra *extra,
                           bool unexpiring)
{
    bool expires = extra != NULL && !unexpiring;
    record->timeout_us = extra != NULL ? extra->timeout_us : 0;
    record->expiry_us = expires ? extra->expires_us : 0;
    record->expiry_at_us = expires && extra->expires_by_wall ? extra->expires_us : 0;
    record->unique_until_us = extra != NULL ? extra->unique_until_us : 0;
    record->keep_us = extra != NULL ? extra->keep_us : 0;
    record->key = extra != NULL ? extra->key : "";
    record->trace = extra != NULL ? extra->trace : "";
    record->source = extra != NULL && extra->delivers ? extra->source : 0;
    for (unsigned i = 0; extra != NULL && i < JOBD_TEXTS; i++)
        record->texts[i] = jobd_text(extra->words, (enum jobd_text)i);
}

static bool is_settled(const struct job_extra *extra)
{
    return extra != NULL && extra->parents == NULL &&
           jobd_text(extra->words, JOBD_AFTER)[0] != '\0';
}

void describe_content(struct job_record *record, const struct job_content *content)
{
    record->settled = is_settled(content->extra);
    describe_extra(record, content->extra, content->unexpiring);
    record->payload = content->payload;
    record->priority = content->priority;
    record->attempts = content->attempts;
    record->run_at_us = content->delayed ? content->ready_us : 0;
    record->at_us = content->by_wall ? content->ready_us : 0;
    record->state = waits_as(NULL, content->delayed);
    record->ready_us = content->ready_us;
    record->delayed = content->delayed;
    record->by_wall = content->by_wall;
    record->unexpiring = content->unexpiring;
}

/* A record has references of these. */
void describe_nothing_said(struct job_record *record)
{
    jobd_blob_unref(record->worker);
    jobd_blob_unref(record->progress);
    record->worker = record->progress = NULL;
}

void describe_job(const char *queue, const struct job *job, const struct job_content *content,
                  struct job_record *record)
{
    const struct job_extra *extra = content->extra;
    enum jobd_state state = job_state(job);
    bool started = state == JOBD_RUNNING || jobd_state_final(state);
    *record = (struct job_record){
        .id = job->id,
        .queue = queue,
        .created_us = job->created_us,
        .attempt = job->attempt,
        .started_us = started ? job->started_us : 0,
        .finished_us = jobd_state_final(state) ? job->finished_us : 0,
        .expired = job->expired,
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
        .worker = extra != NULL && extra->said != NULL ? extra->said->worker : NULL,
        .progress = extra != NULL && extra->said != NULL ? extra->said->progress : NULL,
    };
    describe_content(record, content);
    if (job->state != STATE_NEW) {
        record->run_at_us = 0;
        if (state != JOBD_BLOCKED) /* which follows from its texts */
            record->state = state;
    }
}
