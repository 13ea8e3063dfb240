/* SPDX-License-Identifier: MIT */
#include "api/topics.h"

#include <stdlib.h>
#include <string.h>

#include "api/job_json.h"

enum { LOOKS = 4 }; /* at a job in one turn */

/* ---- what a follower gets of what there is */

/* The attempt has ended, with another output than what had been appended. */
static bool is_another(const struct output_follower *follower, const struct jobd_blob *output,
                       size_t bytes)
{
    size_t seen = follower->offset < follower->bytes ? follower->offset : follower->bytes;
    return follower->output != NULL && output != follower->output &&
           (bytes < seen || memcmp(output->bytes, follower->output->bytes, seen) != 0);
}

static void take_output(struct output_follower *follower, struct jobd_blob *output, size_t bytes)
{
    if (output == NULL || (!follower->ended && bytes < follower->bytes))
        return;
    if (is_another(follower, output, bytes)) { /* then that was all */
        follower->bytes = follower->offset;
        return;
    }
    blob_set(&follower->output, output);
    follower->bytes = bytes;
}

void topic_show(struct output_follower *follower, const struct jobd_view *view,
                struct jobd_blob *former)
{
    size_t bytes = follower->bytes;
    bool same = view->attempt == follower->attempt;
    if (follower->ended)
        return;
    follower->ended = same ? view->state != JOBD_RUNNING
                           : view->attempt > follower->attempt || follower->begun ||
                                 jobd_state_final(view->state);
    follower->begun = follower->begun || same;
    if (same)
        take_output(follower, view->output, view->output_bytes);
    else if (view->attempt == follower->attempt + 1 && former != NULL)
        take_output(follower, former, former->size);
    follower->news = follower->news || follower->ended || follower->bytes > bytes;
}

/* ---- topics: in the thread */

static void wake(struct jobd_waiter *waiter)
{
    struct topic *topic = container_of(waiter, struct topic, more);
    struct live *live = topic->live;
    mutex_lock(&live->lock);
    topic->waits = false;
    topic->ready = true;
    live_poke_locked(live);
    mutex_unlock(&live->lock);
}

static void wake_at_end(struct jobd_waiter *waiter)
{
    struct topic *topic = container_of(waiter, struct topic, end);
    struct live *live = topic->live;
    mutex_lock(&live->lock);
    topic->awaits = false;
    topic->told = true;
    topic->ready = topic->ready || !topic->waits;
    live_poke_locked(live);
    mutex_unlock(&live->lock);
}

static bool is_told(struct topic *topic)
{
    mutex_lock(&topic->live->lock);
    bool told = topic->told;
    mutex_unlock(&topic->live->lock);
    return told;
}

static void set_told(struct topic *topic, bool told)
{
    mutex_lock(&topic->live->lock);
    topic->told = told;
    mutex_unlock(&topic->live->lock);
}

/* Begins to await its end, unless it does so or the end is known. */
static void await_end(struct topic *topic)
{
    struct jobd_waiter *end = &topic->end;
    mutex_lock(&topic->live->lock);
    bool needed = !topic->awaits && !topic->told;
    topic->awaits = topic->awaits || needed;
    mutex_unlock(&topic->live->lock);
    if (!needed)
        return;
    jobd_blob_unref(end->output);
    end->output = NULL;
    end->info.id = 0;
    if (jobd_await(topic->live->api->jobd, topic->id, end, &end->info) != JOBD_PENDING)
        wake_at_end(end);
}

static void set_waits(struct topic *topic, bool waits)
{
    mutex_lock(&topic->live->lock);
    topic->waits = waits;
    topic->ready = topic->ready && !waits;
    mutex_unlock(&topic->live->lock);
}

/* Asks the engine for what is new of the job. JOBD_OK: `view` has it; JOBD_PENDING: nothing yet,
 * `more` waits for it; JOBD_FINISHED: nothing, and nothing will come; JOBD_NO_JOB. */
static enum jobd_result ask(struct topic *topic)
{
    set_waits(topic, true);
    enum jobd_result result =
        jobd_follow(topic->live->api->jobd, topic->id, &topic->view, &topic->more);
    if (result != JOBD_PENDING)
        set_waits(topic, false);
    return result;
}

/* It was forgotten as soon as it had ended: takes what the engine said of its end. */
static void see_end(struct topic *topic)
{
    const struct jobd_info *info = &topic->end.info;
    struct jobd_view *view = &topic->view;
    bool told = is_told(topic) && info->id == topic->id;
    view->state = told ? info->state : JOBD_CANCELLED;
    if (told)
        view->attempt = info->attempt;
    if (!told || topic->end.output == NULL)
        return;
    blob_set(&view->output, topic->end.output);
    view->output_bytes = view->output->size;
}

/* NULL: what was said before is taken back. */
static struct jobd_blob *progress_event(const struct jobd_blob *progress)
{
    struct json_out out;
    json_out_begin(&out, progress != NULL ? progress->size + 8 : 8);
    if (progress != NULL)
        json_out_bytes(&out, NULL, progress->bytes, progress->size);
    else
        json_out_text(&out, NULL, "");
    return live_event("event: progress\ndata: ", &out);
}

/* Makes `event`, which it takes, the latest one. */
static void replace(struct topic *topic, struct jobd_blob **place, struct jobd_blob *event)
{
    mutex_lock(&topic->live->lock);
    blob_set(place, event);
    mutex_unlock(&topic->live->lock);
    jobd_blob_unref(event);
}

/* The job as it is; or, when it has been forgotten, as it was at its end. */
static bool info_of(struct topic *topic, struct jobd_info *info)
{
    if (jobd_get(topic->live->api->jobd, topic->id, info) == JOBD_OK)
        return true;
    if (!is_told(topic) || topic->end.info.id != topic->id)
        return false;
    *info = topic->end.info;
    return true;
}

static struct jobd_blob *job_event(const struct api *api, const struct jobd_info *info,
                                   const char *before)
{
    struct json_out out;
    json_out_begin(&out, JOB_JSON_BYTES);
    json_out_open(&out, NULL, '{');
    job_json_write(&out, api, info);
    job_json_write_errors(&out, api, info);
    json_out_close(&out, '}');
    return live_event(before, &out);
}

/* Makes events of what has changed, one of each kind for all followers. */
static void make_events(struct topic *topic)
{
    const struct api *api = topic->live->api;
    const struct jobd_view *view = &topic->view;
    struct seen *seen = &topic->seen;
    struct jobd_info info;
    bool moved = !seen->any || seen->state != view->state || seen->attempt != view->attempt ||
                 seen->stopping != view->stopping;
    if (seen->progress != view->progress)
        replace(topic, &topic->progress, progress_event(view->progress));
    blob_set(&seen->progress, view->progress);
    if (moved && info_of(topic, &info)) {
        replace(topic, &topic->state, job_event(api, &info, "event: state\ndata: "));
        replace(topic, &topic->ending, job_event(api, &info, "event: end\ndata: "));
    }
    seen->any = true;
    seen->state = view->state;
    seen->attempt = view->attempt;
    seen->stopping = view->stopping;
}

/* A reference to the output of the attempt before the running one, if followers have begun with it
 * and its end was not seen; else NULL. */
static struct jobd_blob *former_output(const struct topic *topic)
{
    struct jobd_blob *output = NULL;
    const struct seen *seen = &topic->seen;
    if (seen->any && topic->view.state == JOBD_RUNNING && seen->state == JOBD_RUNNING &&
        topic->view.attempt == seen->attempt + 1)
        (void)!jobd_get_blob(topic->live->api->jobd, topic->id, JOBD_OUTPUT, &output);
    return output;
}

static void tell(struct topic *topic)
{
    struct jobd_blob *former = former_output(topic);
    make_events(topic);
    mutex_lock(&topic->live->lock);
    topic->looked = true;
    struct output_follower *follower;
    TAILQ_FOREACH (follower, &topic->followers, link) {
        topic_show(follower, &topic->view, former);
        follower->news = true;
        if (follower->ended && follower->end == NULL)
            blob_set(&follower->end, topic->ending);
    }
    mutex_unlock(&topic->live->lock);
    jobd_blob_unref(former);
}

static void look(struct topic *topic)
{
    enum jobd_result result = JOBD_OK;
    bool was_told = is_told(topic);
    await_end(topic);
    for (int i = 0; i < LOOKS && result == JOBD_OK; i++)
        result = ask(topic);
    if (result == JOBD_NO_JOB) {
        see_end(topic);
    } else if (was_told && !jobd_state_final(topic->view.state)) { /* it was retried */
        set_told(topic, false);
        await_end(topic);
    }
    tell(topic);
    mutex_lock(&topic->live->lock);
    if (result == JOBD_OK) { /* there is more already */
        topic->ready = true;
        live_poke_locked(topic->live);
    }
    mutex_unlock(&topic->live->lock);
}

static void topic_free(struct topic *topic)
{
    jobd_blob_unref(topic->end.output);
    jobd_view_release(&topic->view);
    jobd_blob_unref(topic->seen.progress);
    jobd_blob_unref(topic->state);
    jobd_blob_unref(topic->ending);
    jobd_blob_unref(topic->progress);
    free(topic);
}

/* Ends the wait. False: it is just being woken, or was already. */
static bool cancel_locked(struct live *live, struct jobd_waiter *waiter) REQUIRES(live->lock)
{
    mutex_unlock(&live->lock);
    bool over = jobd_cancel_wait(live->api->jobd, waiter);
    mutex_lock(&live->lock);
    return over;
}

/* Nobody follows it: frees it, unless it is just being woken, or a follower has come meanwhile. */
static void leave_locked(struct live *live, struct topic *topic) REQUIRES(live->lock)
{
    if (topic->waits && cancel_locked(live, &topic->more))
        topic->waits = false;
    if (topic->awaits && cancel_locked(live, &topic->end))
        topic->awaits = false;
    topic->ready = topic->ready || !topic->waits;
    if (topic->waits || topic->awaits || !TAILQ_EMPTY(&topic->followers))
        return;
    TAILQ_REMOVE(&live->topics, topic, link);
    topic_free(topic);
}

void follow_gather(struct live *live)
{
    struct topic *next;
    mutex_lock(&live->lock);
    for (struct topic *topic = TAILQ_FIRST(&live->topics); topic != NULL; topic = next) {
        if (topic->ready && !TAILQ_EMPTY(&topic->followers)) {
            mutex_unlock(&live->lock);
            look(topic);
            mutex_lock(&live->lock);
        }
        next = TAILQ_NEXT(topic, link);
        if (TAILQ_EMPTY(&topic->followers))
            leave_locked(live, topic);
    }
    mutex_unlock(&live->lock);
}

void follow_release(struct live *live)
{
    follow_gather(live);
    mutex_lock(&live->lock);
    verify(TAILQ_EMPTY(&live->topics));
    mutex_unlock(&live->lock);
}

/* ---- who comes */

struct topic *topic_locked(struct live *live, uint64_t id)
{
    struct topic *topic;
    TAILQ_FOREACH (topic, &live->topics, link)
        if (topic->id == id)
            return topic;
    topic = calloc(1, sizeof *topic);
    if (topic == NULL)
        return NULL;
    topic->live = live;
    topic->id = id;
    topic->more = (struct jobd_waiter){.deadline_us = JOBD_NEVER, .uncounted = true, .wake = wake};
    topic->end = (struct jobd_waiter){
        .deadline_us = JOBD_NEVER, .uncounted = true, .wake = wake_at_end, .wants_output = true};
    TAILQ_INIT(&topic->followers);
    TAILQ_INSERT_TAIL(&live->topics, topic, link);
    return topic;
}
