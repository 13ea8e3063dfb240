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

enum { RECENT = 12, BEFORE = 4 * RECENT };

/* Some of the last jobs and batches, which may be forgotten; or NULL. */
const char *model_after_some(struct model *model, char text[MODEL_AFTER_SIZE])
{
    char *end = text;
    if (model->next_id <= RECENT || below(model, 4) > 0)
        return NULL;
    if (below(model, 2) == 0)
        end = stpcpy(end, JOBD_AFTER_WHATEVER);
    for (unsigned len = 1 + below(model, PARENTS_MAX); len > 0; len--) {
        const bool old = model->next_id > BEFORE && below(model, 4) == 0;
        uint64_t id = model->next_id - 1 - below(model, old ? BEFORE : RECENT);
        const bool is_batch = model->batches_len > 0 && below(model, 3) == 0;
        if (is_batch)
            id = model->batches[model->batches_len - 1 - below(model, 3) % model->batches_len].id;
        end += sprintf(end, "%s %llu\n", is_batch ? "batch" : "job", (unsigned long long)id);
    }
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
        after.parents[after.len] =
            (struct model_parent){parents->edges[after.len].id, parents->edges[after.len].is_batch};
    after.bytes = parents_weight(parents);
    free(parents);
    return after;
}

/* ---- what becomes of who waits for these */

enum { WAIT, BEGIN, CANCEL };

/* One that is just being cancelled as an orphan has as good as ended, badly; but who is to begin
 * whatever becomes of it waits. */
static int verdict_of(struct model *model, const struct model_parent *parent, bool whatever)
{
    bool ended, well;
    if (parent->is_batch) {
        ended = model_batch_over(model, model_find_batch(model, parent->id), &well);
    } else {
        const struct model_job *job = model_find(model, parent->id);
        ended = model_final(job) || (job->leaves && !whatever);
        well = job->state == JOBD_DONE;
    }
    return !ended ? WAIT : well ? BEGIN : CANCEL;
}

static int verdict(struct model *model, const struct model_after *after,
                   const struct model_parent **why)
{
    int all = BEGIN;
    for (unsigned i = 0; i < after->len; i++) {
        const int one = verdict_of(model, &after->parents[i], after->whatever);
        *why = &after->parents[i];
        if (one == CANCEL && !after->whatever)
            return CANCEL;
        all = one == WAIT ? WAIT : all;
    }
    return all;
}

static bool is_there(struct model *model, const struct model_parent *parent)
{
    if (!parent->is_batch)
        return model_find(model, parent->id) != NULL;
    const struct model_batch *batch = model_find_batch(model, parent->id);
    return batch != NULL && model_batch_there(model, batch);
}

static bool came_before(struct model *model, const struct model_parent *parent, uint64_t id)
{
    const struct model_batch *batch = parent->is_batch ? model_find_batch(model, parent->id) : NULL;
    return parent->id + (batch != NULL ? batch->len - 1 : 0) < id;
}

enum jobd_result model_after_check(struct model *model, struct model_after *after,
                                   uint64_t replaced)
{
    const struct model_parent *why;
    for (unsigned i = 0; i < after->len; i++) {
        if (!is_there(model, &after->parents[i]))
            return JOBD_NO_PARENT;
        if (replaced != 0 && !came_before(model, &after->parents[i], replaced))
            return JOBD_LATER_PARENT;
    }
    if (verdict(model, after, &why) == BEGIN)
        *after = (struct model_after){.len = 0};
    return JOBD_OK;
}

/* ---- parents are not forgotten */

size_t model_pin_bytes(const struct model_pin *pin)
{
    return pin->pinned ? PIN_WEIGHT + sizeof(struct parent) : 0;
}

size_t model_after_bytes(const struct model_job *job)
{
    return job->after.bytes + model_pin_bytes(&job->pin);
}

static bool names(const struct model_job *job, const struct model_parent *parent)
{
    for (unsigned i = 0; i < job->after.len; i++)
        if (job->after.parents[i].id == parent->id &&
            job->after.parents[i].is_batch == parent->is_batch)
            return true;
    return false;
}

static bool is_waited_for(const struct model *model, const struct model_parent *parent)
{
    for (unsigned i = 0; i < model->jobs_len; i++)
        if (names(&model->jobs[i], parent))
            return true;
    return false;
}

/* NULL: it is not there. */
static struct model_pin *pin_of(struct model *model, const struct model_parent *parent)
{
    if (!is_there(model, parent))
        return NULL;
    return parent->is_batch ? &model_find_batch(model, parent->id)->pin
                            : &model_find(model, parent->id)->pin;
}

static void unpin(struct model *model, const struct model_parent *parent)
{
    struct model_pin *pin = pin_of(model, parent);
    pin->pinned = false;
    pin->due = 0;
    if (parent->is_batch)
        return;
    struct model_job *job = model_find(model, parent->id);
    if (model_final(job))
        model_remember_again(model, job);
}

enum jobd_result model_after_expect(struct model *model, const struct model_after *after)
{
    for (unsigned i = 0; i < after->len; i++) {
        const struct model_parent *parent = &after->parents[i];
        struct model_pin *pin = pin_of(model, parent);
        if (pin != NULL && pin->pinned)
            continue;
        if (!model_may_retain(model) || !model_make_room(model, PIN_WEIGHT + sizeof(struct parent)))
            return JOBD_OUT_OF_MEMORY;
        if ((pin = pin_of(model, parent)) == NULL)
            return JOBD_NO_PARENT;
        pin->pinned = true;
        pin->fresh = ++model->clock;
        if (!parent->is_batch) {
            struct model_job *job = model_find(model, parent->id);
            job->retained = model_final(job);
        }
    }
    return JOBD_OK;
}

/* Of the jobs and batches, the one with the least of such numbers above 0; NULL: there is none. */
static struct model_pin *least(struct model *model, unsigned (*number)(const struct model_pin *pin),
                               struct model_parent *parent)
{
    struct model_pin *first = NULL;
    for (unsigned i = 0; i < model->jobs_len + model->batches_len; i++) {
        const bool is_batch = i >= model->jobs_len;
        struct model_batch *batch = is_batch ? &model->batches[i - model->jobs_len] : NULL;
        struct model_pin *pin = is_batch ? &batch->pin : &model->jobs[i].pin;
        if (number(pin) == 0 || (first != NULL && number(pin) > number(first)))
            continue;
        first = pin;
        *parent = (struct model_parent){is_batch ? batch->id : model->jobs[i].id, is_batch};
    }
    return first;
}

static unsigned fresh_of(const struct model_pin *pin)
{
    return pin->fresh;
}

static unsigned due_of(const struct model_pin *pin)
{
    return pin->due;
}

void model_after_settle(struct model *model)
{
    struct model_parent parent;
    struct model_pin *first;
    while ((first = least(model, fresh_of, &parent)) != NULL) {
        first->fresh = 0;
        if (!is_waited_for(model, &parent))
            unpin(model, &parent);
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
        if (!is_waited_for(model, &before->parents[i]))
            unpin(model, &before->parents[i]);
    }
}

/* ---- some tick later */

void model_after_look(struct model *model, struct model_job *job)
{
    const struct model_parent *why;
    if (job->again == 0 && verdict(model, &job->after, &why) != WAIT)
        job->again = ++model->clock;
}

static void ended(struct model *model, struct model_pin *pin)
{
    if (!pin->pinned)
        return;
    pin->cursor = 0;
    if (pin->due == 0)
        pin->due = ++model->clock;
}

/* Its batch's end comes first. */
void model_after_ended(struct model *model, struct model_job *job)
{
    bool well;
    struct model_batch *batch = model_batch_of(model, job);
    if (batch != NULL && model_batch_over(model, batch, &well))
        ended(model, &batch->pin);
    ended(model, &job->pin);
}

bool model_after_due(struct model *model)
{
    struct model_parent parent;
    for (unsigned i = 0; i < model->jobs_len; i++)
        if (model->jobs[i].again != 0)
            return true;
    return least(model, due_of, &parent) != NULL;
}

static struct model_job *next_child(struct model *model, const struct model_parent *parent,
                                    unsigned cursor)
{
    struct model_job *next = NULL;
    for (unsigned i = 0; i < model->jobs_len; i++) {
        struct model_job *job = &model->jobs[i];
        if (names(job, parent) && job->linked > cursor &&
            (next == NULL || job->linked < next->linked))
            next = job;
    }
    return next;
}

/* Those to be looked at again first; then the children of who has ended first. */
static struct model_job *next_to_look_at(struct model *model)
{
    struct model_job *again = NULL;
    struct model_parent parent;
    struct model_pin *pin;
    for (unsigned i = 0; i < model->jobs_len; i++) {
        struct model_job *job = &model->jobs[i];
        if (job->again != 0 && (again == NULL || job->again < again->again))
            again = job;
    }
    if (again != NULL) {
        again->again = 0;
        return again;
    }
    while ((pin = least(model, due_of, &parent)) != NULL) {
        struct model_job *child = next_child(model, &parent, pin->cursor);
        if (child != NULL) {
            pin->cursor = child->linked;
            return child;
        }
        pin->due = 0;
    }
    return NULL;
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
                   const struct model_parent *why)
{
    char text[80];
    if (orphans->len > 0 && orphans->list[0]->queue != job->queue)
        cancel_all(model, orphans);
    snprintf(text, sizeof text, "a job it waits for failed: /%s/%llu",
             why->is_batch ? "batches" : "jobs", (unsigned long long)why->id);
    job->after.bytes -= model->error_room;
    job->error = 0;
    size_t bytes = strlen(text) + strlen("text/plain; charset=utf-8");
    if (model_make_room(model, bytes))
        job->error = bytes;
    job->leaves = true;
    orphans->list[orphans->len++] = job;
    ended(model, &job->pin);
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
    const struct model_parent *why;
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
