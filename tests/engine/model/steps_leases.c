/* SPDX-License-Identifier: MIT */
/* Steps with leases. */
#include "engine/model/model_inside.h"

#include <stdio.h>

#include "base/verify.h"

static void write_token(unsigned number, char token[JOBD_TOKEN_SIZE])
{
    snprintf(token, JOBD_TOKEN_SIZE, "%032x", number);
}

void model_step_lease(struct model *model)
{
    struct actor *leaser = &model->leasers[below(model, LEASERS)];
    unsigned queue = below(model, QUEUES);
    if (leaser->waits || model->over_to + 2 * LEASES_MAX > TOKENS_MAX)
        return;
    bool room = model_waiters(model) < WAITERS_MAX;
    bool free_lease = model_leased(model) + model_promised(model) < LEASES_MAX;
    model_begin(model, leaser, queue);
    leaser->waiter.lease_us = 1 + below(model, 4000);
    leaser->waiter.at_once = below(model, 4) == 0;
    write_token(++model->tokens, leaser->waiter.token);
    enum jobd_result result = jobd_take(model->jobd, queue, &leaser->waiter, model->now_us);
    if (model->phase[queue] == GONE) {
        verify(result == JOBD_UNDECLARED);
    } else if (!free_lease) {
        verify(result == JOBD_TOO_MANY_LEASES);
    } else if (model_can_give(model, queue, leaser)) {
        verify(result == JOBD_OK);
        model_give(model, queue, leaser);
        leaser->expected = JOBD_RESULTS; /* not woken */
        verify(leaser->waiter.task.id == leaser->id);
        jobd_blob_unref(leaser->waiter.task.payload);
        model_settle(model, queue);
    } else if (leaser->waiter.at_once) {
        verify(result == JOBD_TIMEOUT);
    } else {
        verify(result == (room ? JOBD_PENDING : JOBD_TOO_MANY_WAITERS));
        leaser->waits = room;
    }
}

/* A token that may be any: of a lease that is held, over, forgotten, or never was; and what this
 * report of its holder is answered. JOBD_OK: *job is leased, or waits again since its lease has
 * expired. */
static enum jobd_result pick_lease(struct model *model, unsigned report,
                                   char token[JOBD_TOKEN_SIZE], struct model_job **job)
{
    unsigned number = model->tokens + 2 - below(model, 14 < model->tokens ? 14 : 2);
    write_token(number, token);
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
        if (report != DONE_REPORT || over->report != NO_REPORT || !waits ||
            (*job)->attempt != over->attempt)
            return JOBD_LEASE_EXPIRED;
        over->report = DONE_REPORT;
        return JOBD_OK;
    }
    return JOBD_NO_LEASE;
}

void model_step_lease_finish(struct model *model)
{
    char token[JOBD_TOKEN_SIZE];
    struct model_job *job = NULL;
    struct jobd_outcome outcome = model_random_outcome(model);
    enum jobd_result expected = pick_lease(model, model_report(&outcome), token, &job);
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
    enum jobd_result expected = pick_lease(model, NO_REPORT, token, &job);
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
    enum jobd_result expected = pick_lease(model, RELEASED_REPORT, token, &job);
    verify(jobd_lease_release(model->jobd, token, us, NULL, model->now_us) == expected);
    if (expected != JOBD_OK)
        return;
    model_end_lease(model, job, RELEASED_REPORT);
    job->attempt--;
    model_go_back(model, job, us);
    model_settle(model, job->queue);
}
