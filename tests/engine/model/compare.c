/* SPDX-License-Identifier: MIT */
/* Both agree: on who was woken and with what, on the last jobs, and on all that is counted. */
#include "engine/model/model_inside.h"

#include <string.h>

#include "engine/model/check_engine.h"
#include "base/verify.h"

static void compare_actor(struct actor *actor)
{
    if (actor->expected == JOBD_RESULTS) {
        verify(!actor->woken);
        return;
    }
    /* Set by the model when the engine should have woken it; a take_waiter served at once is not
     * woken. */
    if (actor->woken) {
        verify(actor->waiter.result == actor->expected);
        if (actor->kind == TAKER && actor->expected == JOBD_OK)
            verify(actor->waiter.task.id == actor->expected_id);
        if (actor->kind == LEASER && actor->expected == JOBD_OK) {
            verify(actor->waiter.task.id == actor->expected_id);
            jobd_blob_unref(actor->waiter.task.payload);
        }
        bool put = actor->kind == PUTTER;
        verify(!put || actor->waiter.accepted == (actor->is_in || actor->expected == JOBD_OK));
        if (put && actor->expected == JOBD_OK)
            verify(actor->waiter.receipt.id == actor->expected_id);
        if (put && !actor->waiter.accepted)
            model_drop_put(&actor->put);
        bool ended = actor->kind == WATCHER || (put && actor->waiter.end_us > 0);
        if (ended && actor->expected == JOBD_OK) {
            verify(actor->waiter.info.id == actor->expected_id &&
                   jobd_state_final(actor->waiter.info.state));
            model_drop_output(actor, actor->waiter.info.output_bytes);
        }
    } else {
        verify(actor->kind == TAKER && actor->holds);
    }
    actor->expected = JOBD_RESULTS;
    actor->woken = false;
}

static void compare_errors(struct model *model, const struct model_job *job)
{
    struct jobd_error list[JOBD_ERRORS_MAX];
    struct jobd_blob *errors;
    int64_t last_us;
    verify(jobd_get_errors(model->jobd, job->id, &errors, &last_us) == JOBD_OK);
    verify(jobd_errors(errors, last_us, list) == job->errors_len);
    for (unsigned i = 0; i < job->errors_len; i++)
        verify(list[i].attempt == job->errors[i].attempt && list[i].at_us == job->errors[i].at_us &&
               list[i].size == job->errors[i].bytes);
    jobd_blob_unref(errors);
}

static void compare_jobs(struct model *model)
{
    unsigned from = model->jobs_len > 64 ? model->jobs_len - 64 : 0;
    for (unsigned i = from; i < model->jobs_len; i++) {
        const struct model_job *job = &model->jobs[i];
        struct jobd_info info;
        enum jobd_result result = jobd_get(model->jobd, job->id, &info);
        verify(result == (job->forgotten ? JOBD_NO_JOB : JOBD_OK));
        if (result != JOBD_OK)
            continue;
        compare_errors(model, job);
        verify(info.state == job->state && info.queue == job->queue &&
               info.attempt == job->attempt && info.payload_bytes == job->payload &&
               info.output_bytes == job->output && info.stopping == job->stopping &&
               info.expires_us == job->expiry_us && info.has_worker == (job->worker > 0) &&
               info.has_progress == (job->progress > 0));
    }
}

static bool has(const char *list, const char *tag)
{
    size_t size = strlen(tag);
    for (; list != NULL && *list != '\0'; list = strchr(list, '\n') + 1)
        if (strncmp(list, tag, size) == 0 && list[size] == '\n')
            return true;
    return false;
}

bool model_matches(const struct jobd_filter *filter, const struct model_job *job)
{
    return !job->forgotten && (filter->queue == JOBD_NO_QUEUE || filter->queue == job->queue) &&
           (filter->state == JOBD_STATES || filter->state == job->state) &&
           (filter->batch == 0 ||
            (job->id >= filter->batch && job->id - filter->batch < filter->batch_jobs)) &&
           (filter->group == NULL || filter->group == job->texts[JOBD_GROUP]) &&
           (filter->tag == NULL || has(job->texts[JOBD_TAGS], filter->tag)) &&
           (filter->since_us == 0 || job->created_us >= filter->since_us) &&
           (filter->before_us == 0 || job->created_us < filter->before_us);
}

struct jobd_filter model_filter(struct model *model, unsigned turn)
{
    unsigned queue = turn % (QUEUES + 1), later = turn / (QUEUES + 1) / (JOBD_STATES + 1);
    struct jobd_filter filter = {.queue = queue < QUEUES ? queue : JOBD_NO_QUEUE,
                                 .state =
                                     (enum jobd_state)(turn / (QUEUES + 1) % (JOBD_STATES + 1)),
                                 .group = model_groups[later % GROUPS]};
    if (later % 5 == 1)
        filter.tag = model_tags[later % TAGS];
    if (later % 3 == 1 && model->batches_len > 0) {
        const struct model_batch *batch = &model->batches[model->batches_len - 1];
        filter.batch = batch->id;
        filter.batch_jobs = batch->len;
    }
    if (later % 4 == 2)
        filter.since_us = model->now_us - 3000;
    if (later % 7 == 3)
        filter.before_us = model->now_us - 2000;
    return filter;
}

/* The next of all jobs in the filter's order: NULL when the list behind `after` has not got it. */
static const struct model_job *next_listed(const struct model *model,
                                           const struct jobd_filter *filter, uint64_t after,
                                           unsigned *looked)
{
    verify(*looked < model->jobs_len);
    unsigned at = (*looked)++;
    const struct model_job *job = &model->jobs[filter->newest ? model->jobs_len - 1 - at : at];
    bool behind = filter->newest ? after == 0 || job->id < after : job->id > after;
    return behind && model_matches(filter, job) ? job : NULL;
}

/* Page by page; each time another filter, so that all get their turn. */
static void compare_list(struct model *model)
{
    struct jobd_info infos[3];
    unsigned turn = model->lists++, looked = 0;
    size_t limit = 1 + turn % 3;
    struct jobd_filter filter = model_filter(model, turn / 12);
    filter.newest = turn / 3 % 2 == 1;
    const uint64_t after = turn / 6 % 2 == 0 || model->next_id < 20 ? 0 : model->next_id - 20;
    uint64_t next = after;
    do {
        filter.after = next;
        size_t len = jobd_list(model->jobd, &filter, infos, limit, &next);
        verify(len == limit || next == 0);
        for (size_t i = 0; i < len;) {
            const struct model_job *job = next_listed(model, &filter, after, &looked);
            if (job != NULL)
                verify(infos[i].id == job->id && infos[i++].state == job->state);
        }
    } while (next != 0);
    while (looked < model->jobs_len)
        verify(next_listed(model, &filter, after, &looked) == NULL);
}

/* Page by page: each that is held, once. */
static void compare_leases(struct model *model)
{
    struct jobd_lease_info infos[2];
    struct jobd_lease_filter filter = {.queue = model->lists % 5 == 0 ? model->lists % QUEUES
                                                                      : JOBD_NO_QUEUE};
    unsigned expected = 0, found = 0;
    for (unsigned i = 0; i < model->jobs_len; i++)
        expected += model->jobs[i].token > 0 &&
                    (filter.queue == JOBD_NO_QUEUE || filter.queue == model->jobs[i].queue);
    do {
        size_t len = jobd_leases(model->jobd, &filter, infos, 2, &filter.after);
        for (size_t i = 0; i < len; i++) {
            const struct model_job *job = model_find(model, infos[i].id);
            verify(job != NULL && job->token > 0 && infos[i].queue == job->queue);
            verify(infos[i].attempt == job->attempt && infos[i].expires_us == job->expires_us);
            verify(infos[i].since_us == job->started_us && strlen(infos[i].worker) == job->worker);
            found++;
        }
    } while (filter.after != 0);
    verify(found == expected);
}

void model_compare(struct model *model)
{
    model_compare_batches(model); /* before it is no longer known who was woken */
    compare_leases(model);
    model_check_followers(model);
    model_check_events(model);
    for (unsigned i = 0; i < TAKERS; i++)
        compare_actor(&model->takers[i]);
    for (unsigned i = 0; i < LEASERS; i++)
        compare_actor(&model->leasers[i]);
    for (unsigned i = 0; i < PUTTERS; i++)
        compare_actor(&model->put_waiters[i]);
    for (unsigned i = 0; i < WATCHERS; i++)
        compare_actor(&model->watchers[i]);
    for (unsigned i = 0; i < BATCHERS; i++)
        compare_actor(&model->batchers[i]);
    for (unsigned i = 0; i < QUEUES; i++) {
        struct jobd_stats stats;
        jobd_stats(model->jobd, i, model->now_us, &stats);
        verify(stats.queued == model_count(model, i, JOBD_QUEUED));
        verify(stats.scheduled == model_count(model, i, JOBD_SCHEDULED));
        verify(stats.blocked == model_count(model, i, JOBD_BLOCKED));
        verify(stats.waiting == model_waiting(model, i));
        verify(stats.running == model_count(model, i, JOBD_RUNNING));
        verify(stats.done == model->ended[i][JOBD_DONE]);
        verify(stats.failed == model->ended[i][JOBD_FAILED]);
        verify(stats.cancelled == model->ended[i][JOBD_CANCELLED]);
        verify(stats.expired == model->expired[i]);
        verify(stats.rejected == model->rejected[i] && stats.retried == model->retried[i]);
        verify(stats.leases_expired == model->leases_expired[i]);
        verify(stats.leases_released == model->leases_released[i]);
        verify(stats.forgotten_early == model->forgotten_early[i]);
        verify(stats.paused == model->paused[i]);
        verify(stats.held == model_holds(model, i));
        verify(stats.probing == (stats.held && model->breakers[i].probe != 0));
        verify(stats.breaker_opened == model->breakers[i].opened);
        model_compare_turns(model, i, &stats);
    }
    compare_jobs(model);
    compare_list(model);
    verify(jobd_memory(model->jobd) == model_bytes(model, false));
    check_engine(model->jobd);
}
