/* SPDX-License-Identifier: MIT */
/* Steps of holders who say something while they run a job, and of those who follow it. */
#include "engine/model/model_inside.h"

#include <string.h>

#include "base/verify.h"

enum { OUTPUT_MAX = 250 };

bool model_make_said(struct model *model, struct model_job *job)
{
    size_t extra = job->extra == 0 ? model->extra : 0;
    if (job->said > 0)
        return true;
    if (!model_make_room(model, extra + model->said))
        return false;
    job->extra += extra;
    job->said = model->said;
    return true;
}

void model_say_begin(struct model *model, struct model_job *job, size_t worker)
{
    model_say_forget(job);
    bool said = worker > 0 && model_make_said(model, job);
    if (said && model_make_room(model, worker))
        job->worker = worker;
}

void model_say_end(struct model_job *job)
{
    job->used = job->room = 0;
    job->truncated = false;
    if (job->worker == 0 && job->progress == 0)
        job->said = 0;
}

void model_say_forget(struct model_job *job)
{
    job->worker = job->progress = 0;
    model_say_end(job);
}

static enum jobd_result append(struct model *model, struct model_job *job, size_t size)
{
    size_t fits = job->used < OUTPUT_MAX ? OUTPUT_MAX - job->used : 0;
    size_t some = size < fits ? size : fits, need = job->used + size;
    size_t room = job->room + job->room / 2;
    if (!model_make_said(model, job))
        return JOBD_OUT_OF_MEMORY;
    if (some > job->room - job->used) {
        room = room > need ? room : need;
        room = room < OUTPUT_MAX ? room : OUTPUT_MAX;
        if (!model_make_room(model, room))
            return JOBD_OUT_OF_MEMORY;
        job->room = room;
    }
    job->used += some;
    job->truncated = job->truncated || size > some;
    return JOBD_OK;
}

static void say_more(struct model *model)
{
    char token[JOBD_TOKEN_SIZE];
    struct model_job *job = NULL;
    bool truncated;
    struct jobd_blob *bytes = jobd_blob_new(below(model, 120), NULL);
    verify(bytes != NULL);
    memset(bytes->bytes, 'o', bytes->size);
    enum jobd_result expected = model_pick_lease(model, NO_REPORT, token, &job);
    if (expected == JOBD_OK)
        expected = append(model, job, bytes->size);
    verify(jobd_lease_append(model->jobd, token, bytes, OUTPUT_MAX, &truncated) == expected);
    verify(expected != JOBD_OK || truncated == job->truncated);
    jobd_blob_unref(bytes);
}

void model_step_say(struct model *model)
{
    char token[JOBD_TOKEN_SIZE];
    struct model_job *job = NULL;
    if (below(model, 2) == 0) {
        say_more(model);
        return;
    }
    size_t size = below(model, 60);
    struct jobd_blob *text = size > 0 ? jobd_blob_new(size, NULL) : NULL;
    enum jobd_result expected = model_pick_lease(model, NO_REPORT, token, &job);
    if (expected == JOBD_OK && !model_make_said(model, job))
        expected = JOBD_OUT_OF_MEMORY;
    if (expected == JOBD_OK) {
        job->progress = 0;
        expected = model_make_room(model, size) ? JOBD_OK : JOBD_OUT_OF_MEMORY;
        job->progress = expected == JOBD_OK ? size : 0;
    }
    verify(jobd_lease_progress(model->jobd, token, text) == expected);
    jobd_blob_unref(text);
}

/* ---- who follows */

static void check_view(const struct model_job *job, const struct jobd_view *view)
{
    bool runs = job->state == JOBD_RUNNING;
    size_t bytes = runs ? job->used : job->output;
    verify(view->state == job->state && view->attempt == job->attempt);
    verify(view->output_bytes == bytes && view->stopping == job->stopping);
    verify(!runs || view->truncated == job->truncated);
    verify((view->progress != NULL ? view->progress->size : 0) == job->progress);
    for (size_t i = 0; runs && i < bytes; i++)
        verify(view->output->bytes[i] == 'o');
}

void model_step_follow(struct model *model)
{
    struct follower *follower = &model->followers[below(model, FOLLOWERS)];
    if (follower->waits) {
        if (below(model, 3) == 0)
            follower->waits = !jobd_cancel_wait(model->jobd, &follower->waiter);
        return;
    }
    if (below(model, 3) == 0) {
        jobd_view_release(&follower->view);
        follower->id = model->next_id - 1 - below(model, 10);
    }
    bool room = model_waiters(model) < WAITERS_MAX, seen = follower->view.seen;
    const struct model_job *job = model_find(model, follower->id);
    follower->waiter.deadline_us = JOBD_NEVER;
    enum jobd_result result =
        jobd_follow(model->jobd, follower->id, &follower->view, &follower->waiter);
    verify((job == NULL) == (result == JOBD_NO_JOB));
    verify(seen || job == NULL || result == JOBD_OK);
    verify(result != JOBD_FINISHED || model_final(job));
    verify(result != JOBD_TOO_MANY_WAITERS || !room);
    if (job != NULL)
        check_view(job, &follower->view);
    follower->waits = result == JOBD_PENDING;
}

void model_check_followers(struct model *model)
{
    for (unsigned i = 0; i < FOLLOWERS; i++) {
        struct follower *follower = &model->followers[i];
        struct jobd_view now = {.seen = false};
        verify(follower->waits || !follower->woken);
        if (follower->woken)
            follower->waits = follower->woken = false;
        if (!follower->waits)
            continue;
        verify(jobd_follow(model->jobd, follower->id, &now, NULL) == JOBD_OK);
        check_view(model_find(model, follower->id), &follower->view);
        verify(now.progress == follower->view.progress);
        jobd_view_release(&now);
    }
}
