/* SPDX-License-Identifier: MIT */
/* What few jobs have. */
#include <stdlib.h>
#include <string.h>

#include "engine/blob.h"
#include "engine/job_table.h"
#include "engine/parents.h"
#include "engine/words.h"

/* Of one that is no job yet. */
static size_t delivery_weight(const struct job_extra *extra)
{
    return sizeof *extra + 1 + blob_weight(extra->words);
}

size_t extra_weight(const struct job_extra *extra)
{
    /* Its record too, when it may outlive the others'. */
    size_t record = extra->unique_until_us != 0 ? RECORD_WEIGHT : 0;
    size_t said = extra->said != NULL ? sizeof *extra->said : 0;
    const struct job_extra *promise = extra_promise(extra);
    return sizeof *extra + strlen(extra->key) + 1 + blob_weight(extra->words) + record + said +
           parents_weight(extra->parents) + (promise != NULL ? delivery_weight(promise) : 0);
}

struct job_extra *extra_for_delivery(const char *callback, const char *trace)
{
    const struct jobd_terms terms = {.texts[JOBD_CALLBACK] = callback};
    struct job_extra *extra = calloc(1, sizeof *extra + 1);
    if (extra == NULL || !words_new(terms.texts, &extra->words)) {
        free(extra);
        return NULL;
    }
    extra->delivers = true;
    if (trace != NULL)
        memcpy(extra->trace, trace, strlen(trace) + 1);
    return extra;
}

/* False when memory is short. */
static bool promise_delivery(const struct jobd_put *put, struct job_extra *extra)
{
    const char *callback = put->terms != NULL ? put->terms->texts[JOBD_CALLBACK] : NULL;
    if (callback == NULL || callback[0] == '\0')
        return true;
    extra->promised = extra_for_delivery(callback, put->trace);
    return extra->promised != NULL;
}

struct job_extra *extra_new(const struct jobd_put *put, struct job_extra *next)
{
    size_t key_size = put->key != NULL ? strlen(put->key) + 1 : 1;
    struct job_extra *extra = calloc(1, sizeof *extra + key_size);
    if (extra == NULL)
        return NULL;
    /* The jobs of a batch have one put, unless each has its own. */
    if (put->batch_len > 0 && next != NULL && next->words != NULL) {
        extra->words = jobd_blob_ref(next->words);
    } else if (put->terms != NULL && !words_new(put->terms->texts, &extra->words)) {
        free(extra);
        return NULL;
    }
    if (put->terms != NULL && !parents_new(put->terms->texts[JOBD_AFTER], &extra->parents)) {
        jobd_blob_unref(extra->words);
        free(extra);
        return NULL;
    }
    if (!promise_delivery(put, extra)) {
        extra_free(extra);
        return NULL;
    }
    extra->next = next;
    extra->timeout_us = put->timeout_us;
    if (put->terms != NULL) {
        extra->unique = (uint8_t)put->terms->unique;
        extra->unique_us = put->terms->unique_us;
        extra->replace = put->terms->replace;
    }
    extra->expires_by_wall = put->terms != NULL && put->terms->expires_by_wall;
    if (put->trace != NULL)
        memcpy(extra->trace, put->trace, strlen(put->trace) + 1);
    if (put->key != NULL)
        memcpy(extra->key, put->key, key_size);
    return extra;
}

struct job_extra *extra_for(const struct jobd_outcome *outcome)
{
    static const struct jobd_put nothing;
    bool leaves =
        outcome->output != NULL || outcome->error != NULL || outcome->state == JOBD_FAILED;
    return leaves ? extra_new(&nothing, NULL) : NULL;
}

struct job_extra *extra_for_said(void)
{
    static const struct jobd_put nothing;
    struct job_extra *extra = extra_new(&nothing, NULL);
    if (extra == NULL)
        return NULL;
    extra->said = calloc(1, sizeof *extra->said);
    if (extra->said != NULL)
        return extra;
    extra_free(extra);
    return NULL;
}

bool job_too_late(const struct job *job, int64_t now_us)
{
    const struct job_extra *extra = job->extra;
    return extra != NULL && extra->expires_us != 0 && extra->expires_us <= now_us;
}

bool job_not_begun(const struct job *job)
{
    return job->state == STATE_NEW || (job_waits(job) && job->attempt == 0 && !job->commit_pending);
}

struct job_content job_content(const struct job *job)
{
    return (struct job_content){.payload = job->payload,
                                .extra = job->extra,
                                .ready_us = job->ready_us,
                                .attempts = job->attempts,
                                .priority = job->priority,
                                .delayed = job->delayed,
                                .by_wall = job->by_wall,
                                .unexpiring = job->unexpiring};
}

static void said_free(struct said *said)
{
    if (said == NULL)
        return;
    jobd_blob_unref(said->worker);
    jobd_blob_unref(said->progress);
    jobd_blob_unref(said->output);
    jobd_blob_unref(said->shown);
    free(said);
}

void extra_free(struct job_extra *extra)
{
    while (extra != NULL) {
        struct job_extra *next = extra->next;
        said_free(extra->said);
        free(extra->parents);
        jobd_blob_unref(extra->words);
        if (!extra->delivers && extra->promised != NULL) {
            jobd_blob_unref(extra->promised->words);
            free(extra->promised);
        }
        free(extra);
        extra = next;
    }
}
