/* SPDX-License-Identifier: MIT */
/* Steps that change jobs which wait or have ended, one or many at a time. */
#include "engine/model/model_inside.h"

#include "base/verify.h"
#include "jobd/change.h"

static uint64_t any_id(struct model *model)
{
    return model->jobs_len == 0 ? 1 : model->next_id - 1 - below(model, 30);
}

static bool waits(const struct model_job *job)
{
    return job->state == JOBD_QUEUED || job->state == JOBD_SCHEDULED;
}

static struct jobd_amendment random_amendment(struct model *model)
{
    struct jobd_amendment to = {.start = below(model, 2) == 0, .to_priority = below(model, 2) == 0};
    if (to.start && below(model, 2) == 0)
        to.delay_us = below(model, 4000);
    else if (to.start)
        to.at_us = model->now_us - 500 + below(model, 4000);
    if (to.to_priority)
        to.priority = (uint8_t)below(model, JOBD_PRIORITIES);
    if (below(model, 3) == 0)
        to.expires_us = model->now_us - 50 + below(model, 4000);
    return to;
}

/* Whether anything is another now. */
static bool amend(struct model *model, struct model_job *job, const struct jobd_amendment *to)
{
    int64_t ready_us = to->at_us > model->now_us ? to->at_us : model->now_us + to->delay_us;
    bool later = to->start && ready_us > model->now_us;
    bool sooner = to->start && !later && job->state == JOBD_SCHEDULED;
    bool moves = to->to_priority && to->priority != job->priority;
    if ((later && (job->state == JOBD_QUEUED || ready_us != job->ready_us)) || sooner) {
        job->state = later ? JOBD_SCHEDULED : JOBD_QUEUED;
        job->ready_us = ready_us;
        moves = true;
    }
    if (to->to_priority)
        job->priority = to->priority;
    if (to->expires_us != 0)
        job->too_late_us = to->expires_us;
    return moves || to->expires_us != 0;
}

void model_step_amend(struct model *model)
{
    uint64_t id = any_id(model);
    struct model_job *job = model_find(model, id);
    const struct jobd_amendment to = random_amendment(model);
    enum jobd_result expected = JOBD_OK;
    if (job == NULL)
        expected = JOBD_NO_JOB;
    else if (!waits(job))
        expected = job->state == JOBD_RUNNING ? JOBD_BEGUN : JOBD_FINISHED;
    if (expected == JOBD_OK && to.expires_us != 0 && job->extra == 0) {
        if (model_make_room(model, model->extra))
            job->extra = model->extra;
        else
            expected = JOBD_OUT_OF_MEMORY;
    }
    verify(jobd_amend(model->jobd, id, &to, NULL, model->now_us) == expected);
    if (expected != JOBD_OK)
        return;
    if (amend(model, job, &to)) {
        job->order = (int)++model->clock;
        if (job->state == JOBD_SCHEDULED)
            job->order = -job->order;
    }
    model_settle(model, job->queue);
    model_tick(model); /* it may be too late already */
}

void model_step_forget(struct model *model)
{
    uint64_t id = any_id(model);
    struct model_job *job = model_find(model, id);
    enum jobd_result expected = job == NULL        ? JOBD_NO_JOB
                                : model_final(job) ? JOBD_OK
                                                   : JOBD_NOT_FINAL;
    if (below(model, 3) > 0) /* others must get old */
        return;
    verify(jobd_forget(model->jobd, id, NULL, model->now_us) == expected);
    if (expected == JOBD_OK)
        job->forgotten = true;
}
