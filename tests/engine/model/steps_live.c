/* SPDX-License-Identifier: MIT */
/* Steps of who reads the changes of state, and of workers whose output is shown while they run. */
#include "engine/model/model_inside.h"

#include <string.h>

#include "base/verify.h"
#include "jobd/live.h"

enum { BATCH = 7 };

void model_note_event(void *context)
{
    struct model *model = context;
    model->event_told = true;
}

/* ---- changes of state */

static unsigned place_of(uint64_t id)
{
    verify(id < EVENTS_IDS);
    return (unsigned)id;
}

static bool may_follow(enum jobd_state before, enum jobd_state state)
{
    switch (before) {
    case JOBD_STATES: /* it has just come */
        return state == JOBD_QUEUED || state == JOBD_SCHEDULED || state == JOBD_BLOCKED;
    case JOBD_BLOCKED:
        return state == JOBD_QUEUED || state == JOBD_SCHEDULED || state == JOBD_CANCELLED;
    case JOBD_QUEUED:
        return state != JOBD_QUEUED && state != JOBD_FAILED;
    case JOBD_SCHEDULED:
        return state == JOBD_QUEUED || state == JOBD_BLOCKED || state == JOBD_CANCELLED ||
               state == JOBD_DONE;
    case JOBD_RUNNING:
        return state != JOBD_RUNNING;
    default:
        return state == JOBD_QUEUED;
    }
}

/* From now on: as it is. */
static void begin(struct model *model)
{
    for (unsigned i = 0; i < EVENTS_IDS; i++)
        model->event_states[i] = JOBD_STATES;
    for (unsigned i = 0; i < model->jobs_len; i++)
        model->event_states[place_of(model->jobs[i].id)] = model->jobs[i].state;
}

void model_step_events(struct model *model)
{
    if (below(model, 10) != 0)
        return;
    model->events_kept = !model->events_kept;
    verify(jobd_events_keep(model->jobd, model->events_kept) == 0);
    model->event_told = false;
    model->event_number = jobd_events_last(model->jobd);
    begin(model);
}

static void read_events(struct model *model)
{
    struct jobd_event events[BATCH];
    size_t len;
    do {
        len = jobd_events(model->jobd, events, BATCH);
        verify(len == 0 || model->event_told);
        for (size_t i = 0; i < len; i++) {
            const struct jobd_info *info = &events[i].info;
            enum jobd_state *state = &model->event_states[place_of(info->id)];
            verify(events[i].number == ++model->event_number);
            verify(events[i].was == *state);
            verify(may_follow(*state, info->state));
            verify(jobd_queue_index(events[i].queue) == info->queue);
            *state = info->state;
        }
    } while (len == BATCH);
    model->event_told = false;
}

void model_check_events(struct model *model)
{
    if (model->events_kept && below(model, 3) == 0)
        return;
    read_events(model);
    for (unsigned i = 0; i < model->jobs_len && model->events_kept; i++) {
        const struct model_job *job = &model->jobs[i];
        enum jobd_state state = model->event_states[place_of(job->id)];
        verify(job->forgotten ? jobd_state_final(state) : state == job->state);
    }
}

/* ---- output */

void model_step_show(struct model *model)
{
    struct actor *taker = &model->takers[below(model, TAKERS)];
    if (!taker->holds)
        return;
    struct model_job *job = model_find(model, taker->id);
    struct jobd_blob *bytes = jobd_blob_new(below(model, 100), NULL);
    size_t shown = below(model, (unsigned)bytes->size + 1);
    bool truncated = below(model, 2) == 0;
    memset(bytes->bytes, 'o', bytes->size);
    if (model_make_said(model, job)) {
        job->used = shown;
        job->truncated = truncated;
    }
    jobd_show_output(model->jobd, &taker->waiter.task, bytes, shown, truncated);
    jobd_blob_unref(bytes);
}
