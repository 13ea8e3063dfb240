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
    return job->state == JOBD_QUEUED || job->state == JOBD_SCHEDULED || job->state == JOBD_BLOCKED;
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
    if (job->state == JOBD_BLOCKED && to->start && ready_us != job->ready_us) {
        job->ready_us = later ? ready_us : model->now_us;
        moves = true;
    } else if (job->state == JOBD_BLOCKED) {
        later = sooner = false;
    } else if ((later && (job->state == JOBD_QUEUED || ready_us != job->ready_us)) || sooner) {
        job->state = later ? JOBD_SCHEDULED : JOBD_QUEUED;
        job->ready_us = ready_us;
        moves = true;
    }
    if (to->to_priority)
        job->priority = to->priority;
    if (to->expires_us != 0)
        job->expiry_us = to->expires_us;
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
        if (job->state != JOBD_QUEUED)
            job->order = -(int)++model->clock;
        else
            model_enter(model, job);
        if (job->state == JOBD_BLOCKED)
            model_after_look(model, job);
    }
    model_settle(model, job->queue);
    model_tick(model); /* it may be too late already */
}

void model_step_forget(struct model *model)
{
    uint64_t id = any_id(model);
    struct model_job *job = model_find(model, id);
    enum jobd_result expected = job == NULL         ? JOBD_NO_JOB
                                : !model_final(job) ? JOBD_NOT_FINAL
                                : job->pin.pinned   ? JOBD_NEEDED
                                                    : JOBD_OK;
    if (below(model, 3) > 0) /* others must get old */
        return;
    verify(jobd_forget(model->jobd, id, NULL, model->now_us) == expected);
    if (expected == JOBD_OK)
        job->forgotten = true;
}

/* ---- many */

static struct model_job *next_meant(struct model *model, const struct jobd_filter *filter,
                                    unsigned *at)
{
    while (*at < model->jobs_len) {
        struct model_job *job = &model->jobs[(*at)++];
        if (model_matches(filter, job))
            return job;
    }
    return NULL;
}

static bool has_room(struct model *model, unsigned queue)
{
    return model_first_putter(model, queue) == NULL &&
           model_waiting(model, queue) < model->capacity[queue];
}

static void settle_all(struct model *model)
{
    for (unsigned queue = 0; queue < QUEUES; queue++)
        model_settle(model, queue);
}

static void retry_all(struct model *model, const struct jobd_filter *filter,
                      struct jobd_tally *tally)
{
    struct model_job *job, *again[JOBS_MAX];
    for (unsigned at = 0; (job = next_meant(model, filter, &at)) != NULL;) {
        if (!model_final(job))
            continue;
        tally->matched++;
        if (model->phase[job->queue] != OPEN)
            continue;
        if (has_room(model, job->queue) && model_retry_in_group(model, job) == JOBD_OK) {
            job->state = JOBD_SCHEDULED;
            again[tally->changed++] = job;
        } else if (tally->next == 0) {
            tally->next = job->id;
        }
    }
    for (unsigned i = 0; i < tally->changed; i++) /* what they had counts until then */
        model_retried(model, again[i]);
    settle_all(model);
}

/* What has ended is forgotten first, then what waits is cancelled, as one does not make the other;
 * what runs is told when it is met. */
static void drop_all(struct model *model, const struct jobd_filter *filter, bool running,
                     struct jobd_tally *tally)
{
    uint64_t waiting[64];
    unsigned len = 0;
    struct model_job *job;
    for (unsigned at = 0; (job = next_meant(model, filter, &at)) != NULL;) {
        bool stops = job->state == JOBD_RUNNING && running && !job->stopping;
        tally->matched++;
        if (model_final(job) && job->pin.pinned)
            continue;
        tally->changed += stops || job->state != JOBD_RUNNING;
        if (model_final(job)) {
            job->forgotten = true;
        } else if (waits(job)) {
            verify(len < sizeof waiting / sizeof waiting[0]);
            waiting[len++] = job->id;
        } else if (stops) {
            model_stop(model, job);
        }
    }
    for (unsigned i = 0; i < len; i++)
        model_end(model, model_find(model, waiting[i]), JOBD_CANCELLED);
    settle_all(model);
}

static void cancel_all(struct model *model, const struct jobd_filter *filter,
                       struct jobd_tally *tally)
{
    struct model_job *job;
    for (unsigned at = 0; (job = next_meant(model, filter, &at)) != NULL;) {
        if (!waits(job))
            continue;
        tally->matched++;
        tally->changed++;
        model_end(model, job, JOBD_CANCELLED);
    }
    settle_all(model);
}

static bool anybody_waits_for_room(struct model *model)
{
    for (unsigned queue = 0; queue < QUEUES; queue++)
        if (model_first_putter(model, queue) != NULL)
            return true;
    return false;
}

void model_step_change_all(struct model *model)
{
    struct jobd_filter filter = model_filter(model, below(model, 10000));
    enum jobd_bulk what = (enum jobd_bulk)below(model, JOBD_CANCEL_ALL + 1);
    struct jobd_waiter waiter = {.deadline_us = JOBD_NEVER};
    struct jobd_tally tally = {.matched = 0};
    if (anybody_waits_for_room(model) || below(model, 3) > 0)
        return; /* as for a purge */
    verify(jobd_change_all(model->jobd, what, &filter, &waiter, model->now_us) == JOBD_OK);
    if (what == JOBD_RETRY_ALL)
        retry_all(model, &filter, &tally);
    else if (what == JOBD_CANCEL_ALL)
        cancel_all(model, &filter, &tally);
    else
        drop_all(model, &filter, what == JOBD_STOP_ALL, &tally);
    verify(waiter.tally.matched == tally.matched && waiter.tally.changed == tally.changed);
    verify(waiter.tally.next == tally.next);
}
