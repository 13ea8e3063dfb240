/* SPDX-License-Identifier: MIT */
/* Steps in time: what is due, and who no longer waits. */
#include "engine/model/model_inside.h"

#include <string.h>

#include "engine/model/check_engine.h"
#include "base/verify.h"

/* Bytes of the error of an attempt whose lease has ended. */
static int late_bytes(const struct model *model, const struct model_job *job)
{
    static const char type[] = "text/plain; charset=utf-8";
    bool timed_out = job->timeout_us > 0 && job->started_us + job->timeout_us <= model->now_us;
    const char *error = timed_out ? "timed out" : "the lease expired";
    return (int)(strlen(error) + strlen(type));
}

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

/* When it expires, or is forgotten by time; JOBD_NEVER: not. */
static int64_t own_moment(const struct model_job *job)
{
    bool waits =
        job->state == JOBD_QUEUED || job->state == JOBD_SCHEDULED || job->state == JOBD_BLOCKED;
    if (job->leaves || (job->pin.pinned && model_final(job)))
        return JOBD_NEVER;
    if (waits && job->expiry_us != 0)
        return job->expiry_us;
    if (job->retained && !job->forgotten) {
        int64_t kept_us = job->keep_us == 0 ? job->ended_us + KEEP_FOR_US : 0;
        return job->unique_until_us > kept_us ? job->unique_until_us : kept_us;
    }
    bool ends = model_final(job) && !job->forgotten && job->keep_us != 0;
    return ends ? job->ended_us + job->keep_us : JOBD_NEVER;
}

static struct model_job *next_own_moment(struct model *model)
{
    struct model_job *due = NULL;
    for (unsigned i = 0; i < model->jobs_len; i++) {
        struct model_job *job = &model->jobs[i];
        if (own_moment(job) <= model->now_us && (due == NULL || own_moment(job) < own_moment(due)))
            due = job;
    }
    return due;
}

/* Those of one queue that follow each other, the first of them included; then they end. */
static void expire_some(struct model *model, struct model_job *due)
{
    const unsigned queue = due->queue;
    struct model_job *list[JOBS_MAX];
    unsigned len = 0;
    for (; due != NULL && !model_final(due) && due->queue == queue; due = next_own_moment(model)) {
        due->leaves = true;
        list[len++] = due;
    }
    for (unsigned i = 0; i < len; i++) {
        list[i]->leaves = false;
        model->expired[queue]++;
        model_end(model, list[i], JOBD_CANCELLED);
    }
    model_settle(model, queue);
}

static void expire_jobs(struct model *model)
{
    struct model_job *due;
    while ((due = next_own_moment(model)) != NULL) {
        if (model_final(due)) {
            if (due->retained)
                model_retention_over(model, due);
            else
                due->forgotten = true;
            continue;
        }
        expire_some(model, due);
    }
}

static void expire_waiters(struct model *model)
{
    bool left_room[QUEUES] = {false}; /* who stood behind may need less */
    struct actor *groups[] = {model->takers, model->put_waiters, model->watchers, model->leasers,
                              model->batchers};
    const unsigned lens[] = {TAKERS, PUTTERS, WATCHERS, LEASERS, BATCHERS};
    for (unsigned g = 0; g < sizeof lens / sizeof lens[0]; g++)
        for (unsigned i = 0; i < lens[g]; i++)
            if (groups[g][i].waits && groups[g][i].waiter.deadline_us <= model->now_us) {
                if (groups[g][i].kind == PUTTER && !groups[g][i].is_in)
                    left_room[groups[g][i].queue] = true;
                model_expect(&groups[g][i], JOBD_TIMEOUT, 0);
            }
    for (unsigned queue = 0; queue < QUEUES; queue++)
        if (left_room[queue])
            model_settle(model, queue);
}

/* Each queue's once, by their time. */
static void probes_due(struct model *model)
{
    for (;;) {
        unsigned first = QUEUES;
        for (unsigned queue = 0; queue < QUEUES; queue++) {
            const struct model_breaker *breaker = &model->breakers[queue];
            if (breaker->due && breaker->probe_at_us <= model->now_us &&
                (first == QUEUES || breaker->probe_at_us < model->breakers[first].probe_at_us))
                first = queue;
        }
        if (first == QUEUES)
            break;
        model->breakers[first].due = false;
        model_settle(model, first);
    }
}

/* What is due by then, in the model: those that expire, jobs, then leases, then waiters, each by
 * their time; and once more when a lease that ran out has made a job due at once. */
static void pass_time(struct model *model, int64_t now_us)
{
    struct model_job *due;
    model->now_us = now_us;
    do {
        while (model_forget_due(model, true))
            ;
        expire_jobs(model);
        model_after_tick(model);
        while ((due = next_scheduled(model)) != NULL) {
            due->state = JOBD_QUEUED;
            model_enter(model, due);
            model_settle(model, due->queue);
        }
        while ((due = next_expired(model)) != NULL)
            model_attempt_ended(model, due, &model_expired, -1, late_bytes(model, due));
        probes_due(model);
        model_limits_due(model);
        expire_waiters(model);
    } while (next_scheduled(model) != NULL || next_own_moment(model) != NULL ||
             model_after_due(model) || model_forget_due(model, false));
}

void model_tick(struct model *model)
{
    (void)jobd_tick(model->jobd, model->now_us);
    pass_time(model, model->now_us);
}

void model_step_unwait(struct model *model)
{
    struct actor *all[] = {
        &model->takers[below(model, TAKERS)], &model->put_waiters[below(model, PUTTERS)],
        &model->watchers[below(model, WATCHERS)], &model->leasers[below(model, LEASERS)],
        &model->batchers[below(model, BATCHERS)]};
    struct actor *actor = all[below(model, sizeof all / sizeof all[0])];
    verify(jobd_cancel_wait(model->jobd, &actor->waiter) == actor->waits);
    bool left_room = actor->waits && actor->kind == PUTTER && !actor->is_in;
    if (left_room)
        model_drop_put(&actor->put);
    actor->waits = false;
    if (left_room) { /* who stood behind it may need less */
        check_engine(model->jobd);
        (void)jobd_tick(model->jobd, model->now_us);
        model_settle(model, actor->queue);
        pass_time(model, model->now_us);
    }
}

void model_step_time(struct model *model)
{
    int64_t now_us = model->now_us + below(model, 1500);
    int64_t next_us = jobd_tick(model->jobd, now_us);
    verify(next_us > now_us);
    pass_time(model, now_us);
}
