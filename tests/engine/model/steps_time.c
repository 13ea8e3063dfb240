/* SPDX-License-Identifier: MIT */
/* Steps in time: what is due, and who no longer waits. */
#include "engine/model/model_inside.h"

#include "engine/model/check_engine.h"
#include "base/verify.h"

enum { LATE_BYTES = sizeof "the lease expired" - 1 + sizeof "text/plain; charset=utf-8" - 1 };

static struct model_job *next_scheduled(struct model *model)
{
    struct model_job *due = NULL;
    for (unsigned i = 0; i < model->jobs_len; i++) {
        struct model_job *job = &model->jobs[i];
        if (job->state == JOBD_SCHEDULED && job->ready_us <= model->now_us &&
            (due == NULL || job->ready_us < due->ready_us))
            due = job;
    }
    return due;
}

static struct model_job *next_expired(struct model *model)
{
    struct model_job *due = NULL;
    for (unsigned i = 0; i < model->jobs_len; i++) {
        struct model_job *job = &model->jobs[i];
        if (job->token > 0 && job->expires_us <= model->now_us &&
            (due == NULL || job->expires_us < due->expires_us))
            due = job;
    }
    return due;
}

static void expire_waiters(struct model *model)
{
    struct actor *groups[] = {model->takers, model->put_waiters, model->watchers, model->leasers};
    const unsigned lens[] = {TAKERS, PUTTERS, WATCHERS, LEASERS};
    for (unsigned g = 0; g < 4; g++)
        for (unsigned i = 0; i < lens[g]; i++)
            if (groups[g][i].waits && groups[g][i].waiter.deadline_us <= model->now_us)
                model_expect(&groups[g][i], JOBD_TIMEOUT, 0);
}

/* What is due by then, in the model: jobs first, then leases, then waiters, each by their time; and
 * once more when a lease that ran out has made a job due at once. */
static void pass_time(struct model *model, int64_t now_us)
{
    static const struct jobd_outcome late = {.state = JOBD_FAILED};
    struct model_job *due;
    model->now_us = now_us;
    do {
        while ((due = next_scheduled(model)) != NULL) {
            due->state = JOBD_QUEUED;
            due->order = (int)++model->clock;
            model_settle(model, due->queue);
        }
        while ((due = next_expired(model)) != NULL)
            model_attempt_ended(model, due, &late, -1, LATE_BYTES);
        expire_waiters(model);
        for (unsigned queue = 0; queue < QUEUES; queue++)
            model_settle(model, queue);
    } while (next_scheduled(model) != NULL);
}

/* The engine leaves the order open in which leases end that expire at the same moment; so no two
 * may here. */
static bool moments_differ(const struct model *model)
{
    for (unsigned i = 0; i < model->jobs_len; i++)
        for (unsigned k = 0; k < i; k++)
            if (model->jobs[i].token > 0 && model->jobs[k].token > 0 &&
                model->jobs[i].expires_us == model->jobs[k].expires_us)
                return false;
    return true;
}

void model_step_unwait(struct model *model)
{
    struct actor *all[] = {
        &model->takers[below(model, TAKERS)], &model->put_waiters[below(model, PUTTERS)],
        &model->watchers[below(model, WATCHERS)], &model->leasers[below(model, LEASERS)]};
    struct actor *actor = all[below(model, 4)];
    if (actor->kind == PUTTER && !moments_differ(model))
        return;
    verify(jobd_cancel_wait(model->jobd, &actor->waiter) == actor->waits);
    bool left_room = actor->waits && actor->kind == PUTTER && !actor->is_in;
    if (left_room)
        model_drop_put(&actor->put);
    actor->waits = false;
    if (left_room) { /* who stood behind it may need less */
        check_engine(model->jobd);
        (void)jobd_tick(model->jobd, model->now_us);
        pass_time(model, model->now_us);
    }
}

void model_step_time(struct model *model)
{
    if (!moments_differ(model))
        return;
    int64_t now_us = model->now_us + below(model, 1500);
    int64_t next_us = jobd_tick(model->jobd, now_us);
    verify(next_us > now_us);
    pass_time(model, now_us);
}
