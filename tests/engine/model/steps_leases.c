/* SPDX-License-Identifier: MIT */
/* Steps with leases. */
#include "engine/model/model_inside.h"

#include <stdio.h>
#include <string.h>

#include "base/verify.h"
#include "jobd/lease.h"

void model_write_token(unsigned number, char token[JOBD_TOKEN_SIZE])
{
    snprintf(token, JOBD_TOKEN_SIZE, "%032x", number);
}

/* Somebody who may ask for a lease of this queue; NULL: there is nobody, just now. */
static struct actor *begin_lease(struct model *model, unsigned queue)
{
    struct actor *leaser = &model->leasers[below(model, LEASERS)];
    if (leaser->waits || model->over_to + 2 * LEASES_MAX > TOKENS_MAX)
        return NULL;
    model_begin(model, leaser, queue);
    leaser->is_wide = false;
    leaser->waiter.lease_us = 1 + below(model, 4000);
    leaser->waiter.at_once = below(model, 4) == 0;
    leaser->waiter.worker = below(model, 3) == 0 ? model->workers_named[below(model, NAMES)] : NULL;
    model_write_token(++model->tokens, leaser->waiter.token);
    return leaser;
}

/* There is a job for it at once. */
static void give_at_once(struct model *model, struct actor *leaser, unsigned queue)
{
    model_give(model, queue, leaser);
    leaser->expected = JOBD_RESULTS; /* not woken */
    verify(leaser->waiter.task.id == leaser->id && leaser->waiter.task.queue == queue);
    jobd_blob_unref(leaser->waiter.task.payload);
    model_settle(model, queue);
}

/* Queues by chance, in an order by chance. */
static void choose(struct model *model, struct actor *leaser)
{
    unsigned first = below(model, QUEUES), step = 1 + below(model, QUEUES - 1);
    leaser->is_wide = true;
    memset(leaser->asks, 0, sizeof leaser->asks);
    leaser->choice.len = 1 + below(model, QUEUES);
    for (unsigned i = 0; i < leaser->choice.len; i++) {
        unsigned queue = (first + i * step) % QUEUES;
        leaser->choice.queues[i] = queue;
        leaser->asks[queue] = true;
    }
}

void model_step_lease_any(struct model *model)
{
    bool room = model_waiters(model) < WAITERS_MAX, gone = false;
    bool free_lease = model_leases_held(model) + model_leases_reserved(model) < LEASES_MAX;
    struct actor *leaser = begin_lease(model, 0);
    unsigned from = QUEUES;
    if (leaser == NULL)
        return;
    choose(model, leaser);
    for (unsigned i = 0; i < leaser->choice.len; i++) {
        unsigned queue = leaser->choice.queues[i];
        gone = gone || model->phase[queue] == GONE;
        if (from == QUEUES && model_can_give(model, queue, leaser))
            from = queue;
    }
    enum jobd_result result =
        jobd_take_any(model->jobd, &leaser->choice, &leaser->waiter, model->now_us);
    if (gone) {
        verify(result == JOBD_UNDECLARED);
    } else if (!free_lease) {
        verify(result == JOBD_TOO_MANY_LEASES);
    } else if (from < QUEUES) {
        verify(result == JOBD_OK);
        give_at_once(model, leaser, from);
    } else if (leaser->waiter.at_once) {
        verify(result == JOBD_TIMEOUT);
    } else {
        verify(result == (room ? JOBD_PENDING : JOBD_TOO_MANY_WAITERS));
        leaser->waits = room;
        for (unsigned i = 0; i < leaser->choice.len; i++)
            model_await_token(model, leaser->choice.queues[i]);
    }
}

void model_step_lease(struct model *model)
{
    unsigned queue = below(model, QUEUES);
    bool room = model_waiters(model) < WAITERS_MAX;
    bool free_lease = model_leases_held(model) + model_leases_reserved(model) < LEASES_MAX;
    struct actor *leaser = begin_lease(model, queue);
    if (leaser == NULL)
        return;
    enum jobd_result result = jobd_take(model->jobd, queue, &leaser->waiter, model->now_us);
    if (model->phase[queue] == GONE) {
        verify(result == JOBD_UNDECLARED);
    } else if (!free_lease) {
        verify(result == JOBD_TOO_MANY_LEASES);
    } else if (model_can_give(model, queue, leaser)) {
        verify(result == JOBD_OK);
        give_at_once(model, leaser, queue);
    } else if (leaser->waiter.at_once) {
        verify(result == JOBD_TIMEOUT);
    } else {
        verify(result == (room ? JOBD_PENDING : JOBD_TOO_MANY_WAITERS));
        leaser->waits = room;
        model_await_token(model, queue);
    }
}

unsigned model_report(const struct jobd_outcome *outcome)
{
    return outcome->state == JOBD_DONE ? DONE_REPORT : FAILED_REPORT;
}

void model_overtake(struct model *model, uint64_t id)
{
    for (unsigned i = model->over_from; i < model->over_to; i++)
        model->over[i].overtaken |= model->over[i].id == id;
}

enum jobd_result model_look_up_lease(struct model *model, unsigned number, unsigned report,
                                     struct model_job **job)
{
    for (unsigned i = 0; i < model->jobs_len; i++) {
        if (model->jobs[i].token == number) {
            *job = &model->jobs[i];
            return JOBD_OK;
        }
    }
    for (unsigned i = model->over_from; i < model->over_to; i++) {
        struct model_lease *over = &model->over[i];
        if (over->token != number)
            continue;
        if (over->report == report && report != NO_REPORT)
            return JOBD_REPEATED;
        *job = model_find(model, over->id);
        bool waits =
            *job != NULL && ((*job)->state == JOBD_QUEUED || (*job)->state == JOBD_SCHEDULED);
        if (report != DONE_REPORT || over->report != NO_REPORT || !waits || over->overtaken ||
            (*job)->attempt != over->attempt)
            return JOBD_LEASE_EXPIRED;
        over->report = DONE_REPORT;
        return JOBD_OK;
    }
    return JOBD_NO_LEASE;
}

static unsigned any_token(struct model *model)
{
    return model->tokens + 2 - below(model, 14 < model->tokens ? 14 : 2);
}

enum jobd_result model_pick_lease(struct model *model, unsigned report, char token[JOBD_TOKEN_SIZE],
                                  struct model_job **job)
{
    unsigned number = any_token(model);
    model_write_token(number, token);
    return model_look_up_lease(model, number, report, job);
}

/* One of several reports: what the model says of it. */
static void report_one(struct model *model, unsigned number, const struct jobd_report *report,
                       const int sizes[2], struct model_job **job)
{
    const struct jobd_outcome *outcome = &report->outcome;
    *job = NULL;
    enum jobd_result expected = model_look_up_lease(model, number, model_report(outcome), job);
    verify(report->result == expected);
    if (expected == JOBD_OK) {
        model_attempt_over(model, *job, outcome, sizes[0], sizes[1]);
    } else {
        *job = NULL;
        jobd_blob_unref(outcome->output);
        jobd_blob_unref(outcome->error);
    }
}

void model_step_reports(struct model *model)
{
    enum { REPORTS = 4 };
    struct jobd_report reports[REPORTS];
    char tokens[REPORTS][JOBD_TOKEN_SIZE];
    unsigned numbers[REPORTS], len = below(model, REPORTS + 1);
    int sizes[REPORTS][2];
    struct model_job *jobs[REPORTS];
    for (unsigned i = 0; i < len; i++) {
        numbers[i] = any_token(model);
        model_write_token(numbers[i], tokens[i]);
        reports[i] = (struct jobd_report){
            .token = tokens[i], .outcome = model_random_outcome(model), .result = JOBD_PENDING};
        sizes[i][0] = model_size_or_none(reports[i].outcome.output);
        sizes[i][1] = model_size_or_none(reports[i].outcome.error);
    }
    verify(jobd_lease_finish_all(model->jobd, reports, len, NULL, model->now_us) == JOBD_OK);
    for (unsigned i = 0; i < len; i++)
        report_one(model, numbers[i], &reports[i], sizes[i], &jobs[i]);
    for (unsigned i = 0; i < len; i++)
        if (jobs[i] != NULL)
            model_settle(model, jobs[i]->queue);
}

void model_step_lease_finish(struct model *model)
{
    char token[JOBD_TOKEN_SIZE];
    struct model_job *job = NULL;
    struct jobd_outcome outcome = model_random_outcome(model);
    enum jobd_result expected = model_pick_lease(model, model_report(&outcome), token, &job);
    int output = model_size_or_none(outcome.output), error = model_size_or_none(outcome.error);
    verify(jobd_lease_finish(model->jobd, token, &outcome, NULL, model->now_us) == expected);
    if (expected == JOBD_OK) {
        model_attempt_ended(model, job, &outcome, output, error);
    } else {
        jobd_blob_unref(outcome.output);
        jobd_blob_unref(outcome.error);
    }
}

static void extend(struct model *model, int64_t us)
{
    char token[JOBD_TOKEN_SIZE];
    struct model_job *job = NULL;
    enum jobd_result expected = model_pick_lease(model, NO_REPORT, token, &job);
    verify(jobd_lease_extend(model->jobd, token, us, NULL, model->now_us) == expected);
    if (expected == JOBD_OK)
        job->expires_us = model_lease_end(model, job, us);
}

void model_step_lease_keep(struct model *model)
{
    char token[JOBD_TOKEN_SIZE];
    struct model_job *job = NULL;
    int64_t us = below(model, 3000);
    if (below(model, 2) == 0) {
        extend(model, us + 1);
        return;
    }
    us = below(model, 2) == 0 ? 0 : us;
    enum jobd_result expected = model_pick_lease(model, RELEASED_REPORT, token, &job);
    verify(jobd_lease_release(model->jobd, token, us, NULL, model->now_us) == expected);
    if (expected != JOBD_OK)
        return;
    model->leases_released[job->queue]++;
    model_end_lease(model, job, RELEASED_REPORT);
    model_say_forget(job);
    job->attempt--;
    model_go_back(model, job, us);
    model_settle(model, job->queue);
}
