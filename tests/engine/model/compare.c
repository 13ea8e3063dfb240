/* SPDX-License-Identifier: MIT */
/* Both agree: on who was woken and with what, on the last jobs, and on all that is counted. */
#include "engine/model/model_inside.h"

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

static void compare_jobs(struct model *model)
{
    unsigned from = model->jobs_len > 64 ? model->jobs_len - 64 : 0;
    for (unsigned i = from; i < model->jobs_len; i++) {
        const struct model_job *job = &model->jobs[i];
        struct jobd_info info;
        enum jobd_result result = jobd_get(model->jobd, job->id, &info);
        verify(result == (job->forgotten ? JOBD_NO_JOB : JOBD_OK));
        if (result == JOBD_OK)
            verify(info.state == job->state && info.queue == job->queue &&
                   info.attempt == job->attempt && info.payload_bytes == job->payload &&
                   info.output_bytes == job->output && info.stopping == job->stopping &&
                   info.expires_us == job->too_late_us);
    }
}

static bool is_listed(const struct jobd_filter *filter, const struct model_job *job)
{
    return !job->forgotten && (filter->queue == JOBD_NO_QUEUE || filter->queue == job->queue) &&
           (filter->state == JOBD_STATES || filter->state == job->state);
}

/* Page by page; each time another filter, so that all get their turn. */
static void compare_list(struct model *model)
{
    struct jobd_info infos[3];
    unsigned turn = model->lists++, at = 0;
    size_t limit = 1 + turn % 3;
    uint64_t next = turn / 3 % 2 == 0 || model->next_id < 20 ? 0 : model->next_id - 20;
    struct jobd_filter filter = {.queue = turn / 6 % (QUEUES + 1),
                                 .state = (enum jobd_state)(turn / 24 % (JOBD_STATES + 1))};
    if (filter.queue == QUEUES)
        filter.queue = JOBD_NO_QUEUE;
    while (at < model->jobs_len && model->jobs[at].id <= next)
        at++;
    do {
        filter.after = next;
        size_t len = jobd_list(model->jobd, &filter, infos, limit, &next);
        verify(len == limit || next == 0);
        for (size_t i = 0; i < len; at++) {
            const struct model_job *job = &model->jobs[at];
            verify(at < model->jobs_len);
            if (is_listed(&filter, job))
                verify(infos[i].id == job->id && infos[i++].state == job->state);
        }
    } while (next != 0);
    for (; at < model->jobs_len; at++)
        verify(!is_listed(&filter, &model->jobs[at]));
}

void model_compare(struct model *model)
{
    for (unsigned i = 0; i < TAKERS; i++)
        compare_actor(&model->takers[i]);
    for (unsigned i = 0; i < LEASERS; i++)
        compare_actor(&model->leasers[i]);
    for (unsigned i = 0; i < PUTTERS; i++)
        compare_actor(&model->put_waiters[i]);
    for (unsigned i = 0; i < WATCHERS; i++)
        compare_actor(&model->watchers[i]);
    for (unsigned i = 0; i < QUEUES; i++) {
        struct jobd_stats stats;
        jobd_stats(model->jobd, i, model->now_us, &stats);
        verify(stats.queued == model_count(model, i, JOBD_QUEUED));
        verify(stats.scheduled == model_count(model, i, JOBD_SCHEDULED));
        verify(stats.running == model_count(model, i, JOBD_RUNNING));
        verify(stats.done == model->ended[i][JOBD_DONE]);
        verify(stats.failed == model->ended[i][JOBD_FAILED]);
        verify(stats.cancelled == model->ended[i][JOBD_CANCELLED]);
        verify(stats.expired == model->expired[i]);
        verify(stats.rejected == model->rejected[i] && stats.retried == model->retried[i]);
        verify(stats.forgotten_early == model->forgotten_early[i]);
        verify(stats.paused == model->paused[i]);
    }
    compare_jobs(model);
    compare_list(model);
    verify(jobd_memory(model->jobd) == model_bytes(model, false));
    check_engine(model->jobd);
}
