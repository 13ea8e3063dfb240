/* SPDX-License-Identifier: MIT */
/* The model: who is let in, as what. */
#include "engine/model/model_inside.h"

#include <string.h>

#include "base/verify.h"

unsigned model_jobs_of(const struct jobd_put *put)
{
    return put->batch_len > 0 ? put->batch_len : 1;
}

bool model_has_room(const struct model *model, const struct jobd_put *put)
{
    return model_waiting(model, put->queue) + model_jobs_of(put) <= model->capacity[put->queue];
}

static struct model_job *newest_with_key(struct model *model, const struct jobd_put *put)
{
    struct model_job *newest = NULL;
    for (unsigned i = 0; put->key != NULL && i < model->jobs_len; i++) {
        struct model_job *job = &model->jobs[i];
        if (!job->forgotten && job->queue == put->queue && job->key != NULL &&
            strcmp(job->key, put->key) == 0)
            newest = job;
    }
    return newest;
}

static bool not_begun(const struct model_job *job)
{
    return (job->state == JOBD_QUEUED || job->state == JOBD_SCHEDULED ||
            job->state == JOBD_BLOCKED) &&
           job->attempt == 0;
}

static enum jobd_unique unique_of(const struct jobd_put *put)
{
    return put->terms != NULL ? put->terms->unique : JOBD_WHILE_KNOWN;
}

struct model_job *model_same(struct model *model, const struct jobd_put *put)
{
    struct model_job *job = newest_with_key(model, put);
    enum jobd_unique unique = unique_of(put);
    if (job == NULL || unique == JOBD_WHILE_KNOWN)
        return job;
    if (unique == JOBD_WHILE_WAITING && !not_begun(job))
        return NULL;
    if (unique == JOBD_WHILE_ACTIVE && model_final(job))
        return NULL;
    if (unique == JOBD_FOR_SOME_TIME && model->now_us >= job->came_us + put->terms->unique_us)
        return NULL;
    return put->terms->replace && !model_final(job) && !not_begun(job) ? NULL : job;
}

/* Until when the key of a job that came then is not forgotten; 0: it may be. */
static int64_t unique_until(const struct jobd_put *put, int64_t came_us)
{
    return unique_of(put) == JOBD_FOR_SOME_TIME ? came_us + put->terms->unique_us : 0;
}

/* What a job counts for beside its bytes. */
static size_t model_extra(const struct model *model, const struct jobd_put *put, bool retained)
{
    size_t words = 0, record = retained ? model->retained : 0,
           key = put->key != NULL ? strlen(put->key) : 0;
    for (unsigned i = 0; put->terms != NULL && i < JOBD_TEXTS; i++)
        words += put->terms->texts[i] != NULL ? strlen(put->terms->texts[i]) + 1 : 0;
    if (words > 0)
        words += JOBD_TEXTS * sizeof(uint32_t); /* where they begin */
    bool needed = key > 0 || put->timeout_us > 0 || put->terms != NULL;
    return needed ? model->extra + key + words + record : 0;
}

bool model_may_retain(const struct model *model)
{
    unsigned retained = 0;
    for (unsigned i = 0; i < model->jobs_len; i++) {
        retained += !model->jobs[i].forgotten && model->jobs[i].unique_until_us != 0;
        retained += model->jobs[i].pin.pinned;
    }
    for (unsigned i = 0; i < model->batches_len; i++)
        retained += model->batches[i].pin.pinned;
    return retained < MEMORY / (model->retained + model->extra - 1);
}

static void add(struct model *model, const struct jobd_put *put, size_t size,
                const struct model_after *after)
{
    unsigned usual = model_queues[put->queue].attempts > 0 ? model_queues[put->queue].attempts : 1;
    verify(model->jobs_len < JOBS_MAX);
    struct model_job *job = &model->jobs[model->jobs_len++];
    int64_t ready_us = put->at_us > model->now_us ? put->at_us : model->now_us + put->delay_us;
    *job = (struct model_job){
        .id = model->next_id++,
        .queue = put->queue,
        .priority = put->priority,
        .state = ready_us > model->now_us ? JOBD_SCHEDULED : JOBD_QUEUED,
        .ready_us = ready_us,
        .keep_us = put->terms != NULL ? put->terms->keep_us : 0,
        .expiry_us = put->terms != NULL ? put->terms->expires_us : 0,
        .attempts = put->attempts > 0 ? put->attempts : usual,
        .payload = size,
        .timeout_us = put->timeout_us,
        .extra = model_extra(model, put, unique_until(put, 1) != 0),
        .came_us = model->now_us,
        .unique_until_us = unique_until(put, model->now_us),
        .key = put->key,
        .created_us = model->now_us,
        .order = (int)++model->clock,
    };
    if (put->terms != NULL)
        memcpy(job->texts, put->terms->texts, sizeof job->texts);
    if (after->len > 0) {
        model_after_link(model, job, after);
        job->state = JOBD_BLOCKED;
    }
    if (job->state == JOBD_QUEUED)
        model_enter(model, job);
}

void model_add(struct model *model, const struct jobd_put *put, size_t size)
{
    const struct model_after nobody = {.len = 0};
    add(model, put, size, &nobody);
}

/* As an index of model_groups. */
static unsigned group_of(const struct jobd_put *put)
{
    struct model_job job = {.id = 0};
    if (put->terms != NULL)
        memcpy(job.texts, put->terms->texts, sizeof job.texts);
    return model_group_of(&job);
}

static int64_t ready_at(const struct model *model, const struct jobd_put *put)
{
    return put->at_us > model->now_us ? put->at_us : model->now_us + put->delay_us;
}

/* All of the put in place of what the job had, which counts until then. */
static enum jobd_result replace(struct model *model, struct model_job *job,
                                const struct jobd_put *put, size_t size,
                                const struct model_after *after)
{
    const struct model_after before = job->after;
    int64_t until_us = unique_until(put, job->came_us), ready_us = ready_at(model, put);
    unsigned usual = model_queues[put->queue].attempts > 0 ? model_queues[put->queue].attempts : 1;
    if (until_us < job->unique_until_us)
        until_us = job->unique_until_us;
    size_t extra = model_extra(model, put, until_us != 0);
    unsigned from = model_group_of(job), group = group_of(put);
    bool changes = from != group && model->limits[put->queue].by_group;
    if (changes && !model_group_has_room(model, put->queue, group, 1))
        return JOBD_GROUP_FULL;
    if (changes)
        model_join(model, put->queue, group);
    if ((until_us != 0 && job->unique_until_us == 0 && !model_may_retain(model)) ||
        !model_make_room(model, size + extra + after->bytes)) {
        model_quit(model, put->queue, group);
        return JOBD_OUT_OF_MEMORY;
    }
    enum jobd_state to = ready_us > model->now_us ? JOBD_SCHEDULED : JOBD_QUEUED;
    to = after->len > 0 ? JOBD_BLOCKED : to;
    bool stays = to == JOBD_QUEUED && job->state == JOBD_QUEUED && job->priority == put->priority &&
                 !changes;
    if (to != JOBD_QUEUED)
        job->order = -(int)++model->clock;
    job->state = to;
    if (!stays)
        job->ready_us = ready_us;
    job->again = 0;
    model_after_link(model, job, after);
    if (to == JOBD_BLOCKED)
        model_after_look(model, job);
    job->priority = put->priority;
    job->attempts = put->attempts > 0 ? put->attempts : usual;
    job->timeout_us = put->timeout_us;
    job->expiry_us = put->terms->expires_us;
    job->keep_us = put->terms->keep_us;
    job->unique_until_us = until_us;
    job->extra = extra;
    job->payload = size;
    job->output = job->error = job->said = 0;
    job->errors_len = 0;
    memcpy(job->texts, put->terms->texts, sizeof job->texts);
    model_quit(model, put->queue, from);
    if (to == JOBD_QUEUED && !stays)
        model_enter(model, job);
    model_after_left(model, &before);
    return JOBD_OK;
}

static enum jobd_result admit(struct model *model, const struct jobd_put *put,
                              const size_t sizes[BATCH_MAX], uint64_t *id)
{
    struct model_after after = model_after_of(put);
    enum jobd_result result;
    struct model_job *same = model_same(model, put);
    bool retained = unique_until(put, 1) != 0;
    size_t size = model_jobs_of(put) * model_extra(model, put, retained);
    if (same != NULL) {
        *id = same->id;
        if (unique_of(put) == JOBD_WHILE_KNOWN)
            return same->payload == sizes[0] ? JOBD_OK : JOBD_CONFLICT;
        if (!put->terms->replace || !not_begun(same))
            return JOBD_OK;
        if ((result = model_after_check(model, &after, same->id)) != JOBD_OK ||
            (result = model_after_expect(model, &after)) != JOBD_OK)
            return result;
        return replace(model, same, put, sizes[0], &after);
    }
    if ((result = model_after_check(model, &after, 0)) != JOBD_OK)
        return result;
    size += model_jobs_of(put) * after.bytes;
    if (!model_has_room(model, put))
        return JOBD_FULL;
    for (unsigned i = 0; i < model_jobs_of(put); i++)
        size += sizes[i];
    if (retained && !model_may_retain(model))
        return JOBD_OUT_OF_MEMORY;
    if (!model_group_has_room(model, put->queue, group_of(put), model_jobs_of(put)))
        return JOBD_GROUP_FULL;
    model_join(model, put->queue, group_of(put));
    result = model_after_expect(model, &after);
    if (result == JOBD_OK && !model_make_room(model, size))
        result = JOBD_OUT_OF_MEMORY;
    if (result != JOBD_OK) {
        model_quit(model, put->queue, group_of(put));
        return result;
    }
    *id = model->next_id;
    if (put->batch_len > 0)
        model_add_batch(model, put->queue, put->batch_len);
    unsigned from = model->jobs_len;
    for (unsigned i = 0; i < model_jobs_of(put); i++)
        add(model, put, sizes[i], &after);
    for (unsigned i = from; i < model->jobs_len; i++)
        if (model->jobs[i].state == JOBD_BLOCKED)
            model_after_look(model, &model->jobs[i]);
    return JOBD_OK;
}

enum jobd_result model_admit(struct model *model, const struct jobd_put *put,
                             const size_t sizes[BATCH_MAX], uint64_t *id)
{
    enum jobd_result result = admit(model, put, sizes, id);
    model_after_settle(model);
    return result;
}

/* ---- a batch whose jobs say all themselves */

struct known {
    unsigned jobs;
    size_t bytes;
};

static size_t payload_size(const struct jobd_put *put)
{
    return put->payload != NULL ? put->payload->size : 0;
}

static enum jobd_result count_known(struct model *model, const struct jobd_put *put,
                                    struct known *known)
{
    *known = (struct known){.jobs = 0};
    for (unsigned i = 0; i < put->batch_len; i++) {
        const struct model_job *job = newest_with_key(model, &put->puts[i]);
        if (job == NULL)
            continue;
        if (job->payload != payload_size(&put->puts[i]))
            return JOBD_CONFLICT;
        known->jobs++;
        known->bytes += payload_size(&put->puts[i]) + model_extra(model, &put->puts[i], false);
    }
    return JOBD_OK;
}

static enum jobd_result make_way(struct model *model, const struct jobd_put *put)
{
    struct known known, before = {.jobs = UINT32_MAX};
    size_t bytes = 0;
    for (unsigned i = 0; i < put->batch_len; i++)
        bytes += payload_size(&put->puts[i]) + model_extra(model, &put->puts[i], false);
    for (;; before = known) {
        enum jobd_result result = count_known(model, put, &known);
        if (result != JOBD_OK || known.jobs == before.jobs || known.jobs == put->batch_len)
            return result;
        struct jobd_put rest = {.queue = put->queue, .batch_len = put->batch_len - known.jobs};
        if (model_first_putter(model, put->queue) != NULL || !model_has_room(model, &rest))
            return JOBD_FULL;
        if (!model_make_room(model, bytes - known.bytes))
            return JOBD_OUT_OF_MEMORY;
    }
}

enum jobd_result model_admit_jobs(struct model *model, const struct jobd_put *put, uint64_t *ids)
{
    enum jobd_result result = make_way(model, put);
    uint64_t first = model->next_id;
    for (unsigned i = 0; i < put->batch_len && result == JOBD_OK; i++) {
        const struct model_job *known = newest_with_key(model, &put->puts[i]);
        ids[i] = known != NULL ? known->id : model->next_id;
        if (known == NULL)
            model_add(model, &put->puts[i], payload_size(&put->puts[i]));
    }
    if (model->next_id > first) {
        unsigned len = (unsigned)(model->next_id - first);
        model->next_id = first;
        model_add_batch(model, put->queue, len);
        model->next_id += len;
    }
    return result;
}
