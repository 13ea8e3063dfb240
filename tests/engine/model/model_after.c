/* SPDX-License-Identifier: MIT */
/* The model: jobs that wait for the ends of others. */
#include "engine/model/model_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/verify.h"
#include "engine/edges.h"
#include "engine/pins.h"

/* ---- texts */

enum { RECENT = 12 };

/* Some of the last jobs, which may be forgotten; or NULL. */
const char *model_after_some(struct model *model, char text[MODEL_AFTER_SIZE])
{
    char *end = text;
    if (model->next_id <= RECENT || below(model, 4) > 0)
        return NULL;
    if (below(model, 2) == 0)
        end = stpcpy(end, JOBD_AFTER_WHATEVER);
    for (unsigned len = 1 + below(model, PARENTS_MAX); len > 0; len--)
        end += sprintf(end, "job %llu\n",
                       (unsigned long long)model->next_id - 1 - below(model, RECENT));
    return text;
}

struct model_after model_after_of(const struct jobd_put *put)
{
    const char *text = put->terms != NULL ? put->terms->texts[JOBD_AFTER] : NULL;
    struct model_after after = {.len = 0};
    struct parents *parents;
    verify(parents_new(text, &parents));
    if (parents == NULL)
        return after;
    verify(parents->len <= PARENTS_MAX);
    after.whatever = parents->whatever;
    for (; after.len < parents->len; after.len++)
        after.ids[after.len] = parents->edges[after.len].id;
    after.bytes = parents_weight(parents);
    free(parents);
    return after;
}

/* ---- what becomes of who waits for these */

enum { WAIT, BEGIN, CANCEL };

static int verdict(struct model *model, const struct model_after *after, uint64_t *why)
{
    int all = BEGIN;
    for (unsigned i = 0; i < after->len; i++) {
        const struct model_job *parent = model_find(model, after->ids[i]);
        *why = parent->id;
        if (!model_final(parent))
            all = WAIT;
        else if (parent->state != JOBD_DONE && !after->whatever)
            return CANCEL;
    }
    return all;
}

enum jobd_result model_after_check(struct model *model, struct model_after *after)
{
    uint64_t why;
    for (unsigned i = 0; i < after->len; i++)
        if (model_find(model, after->ids[i]) == NULL)
            return JOBD_NO_PARENT;
    if (verdict(model, after, &why) == BEGIN)
        *after = (struct model_after){.len = 0};
    return JOBD_OK;
}

/* ---- parents are not forgotten */

size_t model_after_bytes(const struct model_job *job)
{
    return job->after.bytes + (job->pinned ? PIN_WEIGHT + sizeof(struct parent) : 0);
}

static bool is_waited_for(const struct model *model, const struct model_job *parent)
{
    for (unsigned i = 0; i < model->jobs_len; i++) {
        const struct model_job *child = &model->jobs[i];
        for (unsigned k = 0; k < child->after.len; k++)
            if (child->after.ids[k] == parent->id)
                return true;
    }
    return false;
}

static void unpin(struct model *model, struct model_job *job)
{
    job->pinned = false;
    job->due = 0;
    if (model_final(job))
        model_remember_again(model, job);
}

enum jobd_result model_after_expect(struct model *model, const struct model_after *after)
{
    for (unsigned i = 0; i < after->len; i++) {
        struct model_job *parent = model_find(model, after->ids[i]);
        if (parent != NULL && parent->pinned)
            continue;
        if (!model_may_promise(model) ||
            !model_make_room(model, PIN_WEIGHT + sizeof(struct parent)))
            return JOBD_OUT_OF_MEMORY;
        parent = model_find(model, after->ids[i]);
        if (parent == NULL)
            return JOBD_NO_PARENT;
        parent->pinned = true;
        parent->promised = model_final(parent);
        parent->fresh = ++model->clock;
    }
    return JOBD_OK;
}

void model_after_settle(struct model *model)
{
    for (;;) {
        struct model_job *first = NULL;
        for (unsigned i = 0; i < model->jobs_len; i++) {
            struct model_job *job = &model->jobs[i];
            if (job->fresh != 0 && (first == NULL || job->fresh < first->fresh))
                first = job;
        }
        if (first == NULL)
            return;
        first->fresh = 0;
        if (!is_waited_for(model, first))
            unpin(model, first);
    }
}

void model_after_link(struct model *model, struct model_job *job, const struct model_after *after)
{
    job->after = *after;
    job->linked = ++model->clock;
}

void model_after_leave(struct model *model, struct model_job *job)
{
    const struct model_after before = job->after;
    job->after = (struct model_after){.len = 0};
    job->again = 0;
    model_after_left(model, &before);
}

void model_after_left(struct model *model, const struct model_after *before)
{
    for (unsigned i = 0; i < before->len; i++) {
        struct model_job *parent = model_find(model, before->ids[i]);
        if (!is_waited_for(model, parent))
            unpin(model, parent);
    }
}

/* ---- some tick later */

void model_after_look(struct model *model, struct model_job *job)
{
    uint64_t why;
    if (job->again == 0 && verdict(model, &job->after, &why) != WAIT)
        job->again = ++model->clock;
}

void model_after_ended(struct model *model, struct model_job *job)
{
    if (!job->pinned)
        return;
    job->cursor = 0;
    if (job->due == 0)
        job->due = ++model->clock;
}

bool model_after_due(const struct model *model)
{
    for (unsigned i = 0; i < model->jobs_len; i++)
        if (model->jobs[i].again != 0 || model->jobs[i].due != 0)
            return true;
    return false;
}

static bool names(const struct model_job *job, uint64_t id)
{
    for (unsigned i = 0; i < job->after.len; i++)
        if (job->after.ids[i] == id)
            return true;
    return false;
}

static struct model_job *next_child(struct model *model, const struct model_job *parent)
{
    struct model_job *next = NULL;
    for (unsigned i = 0; i < model->jobs_len; i++) {
        struct model_job *job = &model->jobs[i];
        if (names(job, parent->id) && job->linked > parent->cursor &&
            (next == NULL || job->linked < next->linked))
            next = job;
    }
    return next;
}

/* Those to be looked at again first; then the children of who has ended first. */
static struct model_job *next_to_look_at(struct model *model)
{
    struct model_job *again = NULL, *parent = NULL;
    for (unsigned i = 0; i < model->jobs_len; i++) {
        struct model_job *job = &model->jobs[i];
        if (job->again != 0 && (again == NULL || job->again < again->again))
            again = job;
        if (job->due != 0 && (parent == NULL || job->due < parent->due))
            parent = job;
    }
    if (again != NULL) {
        again->again = 0;
        return again;
    }
    if (parent == NULL)
        return NULL;
    struct model_job *child = next_child(model, parent);
    if (child == NULL) {
        parent->due = 0;
        return next_to_look_at(model);
    }
    parent->cursor = child->linked;
    return child;
}

/* Those of one queue that are to be cancelled, one after the other. */
struct orphans {
    struct model_job *list[JOBS_MAX];
    unsigned len;
};

static void cancel_all(struct model *model, struct orphans *orphans)
{
    for (unsigned i = 0; i < orphans->len; i++) {
        orphans->list[i]->leaves = false;
        model_end(model, orphans->list[i], JOBD_CANCELLED);
    }
    orphans->len = 0;
}

static void orphan(struct model *model, struct orphans *orphans, struct model_job *job,
                   uint64_t why)
{
    char text[80];
    if (orphans->len > 0 && orphans->list[0]->queue != job->queue)
        cancel_all(model, orphans);
    snprintf(text, sizeof text, "a job it waits for failed: /jobs/%llu", (unsigned long long)why);
    job->after.bytes -= model->error_room;
    job->error = 0;
    size_t bytes = strlen(text) + strlen("text/plain; charset=utf-8");
    if (model_make_room(model, bytes))
        job->error = bytes;
    job->leaves = true;
    orphans->list[orphans->len++] = job;
}

static void unblock(struct model *model, struct model_job *job)
{
    model_after_leave(model, job);
    job->state = JOBD_SCHEDULED;
    job->order = -(int)++model->clock;
    if (job->ready_us > model->now_us)
        return;
    job->ready_us = model->now_us;
    job->state = JOBD_QUEUED;
    model_enter(model, job);
}

void model_after_tick(struct model *model)
{
    static struct orphans orphans;
    unsigned queues[JOBS_MAX], queues_len = 0;
    struct model_job *job;
    uint64_t why;
    while ((job = next_to_look_at(model)) != NULL) {
        int what = job->leaves ? WAIT : verdict(model, &job->after, &why);
        if (what == WAIT)
            continue;
        if (queues_len == 0 || queues[queues_len - 1] != job->queue)
            queues[queues_len++] = job->queue;
        if (what == CANCEL)
            orphan(model, &orphans, job, why);
        else
            unblock(model, job);
    }
    cancel_all(model, &orphans);
    for (unsigned i = 0; i < queues_len; i++)
        model_settle(model, queues[i]);
}
