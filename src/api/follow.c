/* SPDX-License-Identifier: MIT */
/* GET /jobs/{id}/output?follow: the output of one attempt as it comes, as bytes or as server-sent
 * events.
 *
 * A job that is followed is a topic: the thread asks the engine for what is new of it, once for all
 * who follow, and gives each a reference to the output so far. The engine tells when there is more.
 *
 *     topic ── jobd_follow() ──> view ── show_locked() ──> each follower: output, bytes, ended
 *       ^────── woken ── engine
 */
#include "api/follow.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/live_inside.h"
#include "api/respond.h"
#include "base/text.h"
#include "jobd/lease.h"

enum {
    PIECE_BYTES = 1024, /* of output in an event */
    LOOKS = 4,          /* at a job in one turn */
    TYPE_ROOM = 160
};

/* A range whose end is not known has this as its last byte (RFC 8673, section 2.2). */
#define ENDLESS "9007199254740991"

struct follower;

/* What events have been made of. */
struct seen {
    bool any, stopping;
    enum jobd_state state;
    uint32_t attempt;
    struct jobd_blob *progress; /* a reference */
};

/* A job, guarded by live->lock but for the view and what has been seen, which are the
 * thread's. */
struct topic {
    TAILQ_ENTRY(topic) link;
    struct live *live;
    uint64_t id;
    struct jobd_waiter waiter;
    struct jobd_view view;
    struct seen seen;
    bool waits; /* the waiter has begun to, or is just about to */
    bool ready; /* to be looked at */
    TAILQ_HEAD(, follower) followers;
    /* Events; NULL: there is none. */
    struct jobd_blob *state, *end; /* the job as it was last seen */
    struct jobd_blob *progress;
};

struct follower {
    struct reader reader; /* first */
    struct topic *topic;
    TAILQ_ENTRY(follower) link;
    uint32_t attempt; /* whose output it is */
    bool begun, ended, news;
    struct jobd_blob *output; /* so far: its first `bytes` */
    size_t bytes;
    size_t offset; /* of what is sent next */
    /* As events: the last ones that it has got, and the one that is under way. */
    struct jobd_blob *state, *progress, *event;
    size_t at;             /* of that has been sent */
    struct jobd_blob *end; /* what it gets last; NULL: not yet */
    bool over;             /* that is under way, or was */
};

static void set(struct jobd_blob **place, struct jobd_blob *blob)
{
    struct jobd_blob *former = *place;
    *place = blob != NULL ? jobd_blob_ref(blob) : NULL;
    jobd_blob_unref(former);
}

/* ---- what a follower gets of what there is */

/* The attempt has ended with another output than what was appended. */
static bool is_another(const struct follower *follower, const struct jobd_blob *output,
                       size_t bytes)
{
    size_t seen = follower->offset < follower->bytes ? follower->offset : follower->bytes;
    return follower->output != NULL && output != follower->output &&
           (bytes < seen || memcmp(output->bytes, follower->output->bytes, seen) != 0);
}

static void take_output(struct follower *follower, struct jobd_blob *output, size_t bytes)
{
    if (output == NULL || (!follower->ended && bytes < follower->bytes))
        return;
    if (is_another(follower, output, bytes)) { /* then that was all */
        follower->bytes = follower->offset;
        return;
    }
    set(&follower->output, output);
    follower->bytes = bytes;
}

/* `former`: the output of the attempt before, where another one runs; else NULL. */
static void show(struct follower *follower, const struct jobd_view *view, struct jobd_blob *former)
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
    struct topic *topic = container_of(waiter, struct topic, waiter);
    struct live *live = topic->live;
    mutex_lock(&live->lock);
    topic->waits = false;
    topic->ready = true;
    live_poke_locked(live);
    mutex_unlock(&live->lock);
}

static void set_waits(struct topic *topic, bool waits)
{
    mutex_lock(&topic->live->lock);
    topic->waits = waits;
    topic->ready = topic->ready && !waits;
    mutex_unlock(&topic->live->lock);
}

/* What there is of the job, once it has changed: JOBD_OK, JOBD_PENDING when it has not and will,
 * JOBD_FINISHED when it will not, JOBD_NO_JOB. */
static enum jobd_result ask(struct topic *topic)
{
    struct jobd_waiter *waiter = &topic->waiter;
    jobd_blob_unref(waiter->output);
    waiter->output = NULL;
    waiter->info.id = 0;
    set_waits(topic, true);
    enum jobd_result result = jobd_follow(topic->live->api->jobd, topic->id, &topic->view, waiter);
    if (result != JOBD_PENDING)
        set_waits(topic, false);
    return result;
}

/* It has been forgotten as soon as it had ended: what the engine has told then. */
static void see_end(struct topic *topic)
{
    const struct jobd_info *info = &topic->waiter.info;
    struct jobd_view *view = &topic->view;
    bool told = info->id == topic->id && jobd_state_final(info->state);
    view->state = told ? info->state : JOBD_CANCELLED;
    if (!told || topic->waiter.output == NULL)
        return;
    set(&view->output, topic->waiter.output);
    view->output_bytes = view->output->size;
}

static struct jobd_blob *progress_event(const struct jobd_blob *progress)
{
    char *text = progress != NULL ? text_utf8(progress->bytes, progress->size) : NULL;
    struct jobd_blob *event =
        text != NULL ? live_event("event: progress\ndata: ", cJSON_CreateString(text)) : NULL;
    free(text);
    return event;
}

/* Takes the event; it is the last one from here on. */
static void replace(struct topic *topic, struct jobd_blob **place, struct jobd_blob *event)
{
    mutex_lock(&topic->live->lock);
    set(place, event);
    mutex_unlock(&topic->live->lock);
    jobd_blob_unref(event);
}

/* Makes events of what has changed, one of each for all who follow. */
static void make_events(struct topic *topic)
{
    const struct api *api = topic->live->api;
    const struct jobd_view *view = &topic->view;
    struct seen *seen = &topic->seen;
    struct jobd_info info = topic->waiter.info;
    bool moved = !seen->any || seen->state != view->state || seen->attempt != view->attempt ||
                 seen->stopping != view->stopping;
    if (seen->progress != view->progress)
        replace(topic, &topic->progress, progress_event(view->progress));
    set(&seen->progress, view->progress);
    if (moved && (jobd_get(api->jobd, topic->id, &info) == JOBD_OK || info.id == topic->id)) {
        replace(topic, &topic->state, live_job_event(api, &info, "event: state\ndata: ", true));
        replace(topic, &topic->end, live_job_event(api, &info, "event: end\ndata: ", true));
    }
    seen->any = true;
    seen->state = view->state;
    seen->attempt = view->attempt;
    seen->stopping = view->stopping;
}

/* The output of the attempt before the one that runs, if that has been followed and its end was not
 * seen; a reference, or NULL. */
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
    struct follower *follower;
    TAILQ_FOREACH (follower, &topic->followers, link) {
        show(follower, &topic->view, former);
        follower->news = true;
        if (follower->ended && follower->end == NULL)
            set(&follower->end, topic->end);
    }
    mutex_unlock(&topic->live->lock);
    jobd_blob_unref(former);
}

static void look(struct topic *topic)
{
    enum jobd_result result = JOBD_OK;
    for (int i = 0; i < LOOKS && result == JOBD_OK; i++)
        result = ask(topic);
    if (result == JOBD_NO_JOB)
        see_end(topic);
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
    jobd_blob_unref(topic->waiter.output);
    jobd_view_release(&topic->view);
    jobd_blob_unref(topic->seen.progress);
    jobd_blob_unref(topic->state);
    jobd_blob_unref(topic->end);
    jobd_blob_unref(topic->progress);
    free(topic);
}

/* Nobody follows it: it goes, unless it is just being woken, or somebody comes. */
static void leave_locked(struct live *live, struct topic *topic) REQUIRES(live->lock)
{
    if (topic->waits) {
        mutex_unlock(&live->lock);
        bool over = jobd_cancel_wait(live->api->jobd, &topic->waiter);
        mutex_lock(&live->lock);
        topic->waits = topic->waits && !over;
        topic->ready = topic->ready || over;
    }
    if (topic->waits || !TAILQ_EMPTY(&topic->followers))
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

/* ---- a stream of bytes */

static ssize_t read_bytes(struct reader *reader, char *to, size_t max) REQUIRES(reader->live->lock)
{
    struct follower *follower = container_of(reader, struct follower, reader);
    if (follower->offset < follower->bytes)
        return live_copy((const char *)follower->output->bytes, follower->bytes, &follower->offset,
                         to, max);
    return follower->ended ? STREAM_END : STREAM_LATER;
}

/* ---- a stream of events */

/* Of so many bytes, those that are no text, up to where it may begin. */
static size_t binary_run(const unsigned char *bytes, size_t size)
{
    size_t run = 1;
    while (run < size && text_utf8_prefix(bytes + run, size - run) == 0 &&
           !text_utf8_begun(bytes + run, size - run))
        run++;
    return run;
}

static cJSON *text_data(const unsigned char *bytes, size_t size)
{
    char text[PIECE_BYTES + 1];
    memcpy(text, bytes, size);
    text[size] = '\0';
    return cJSON_CreateString(text);
}

static cJSON *binary_data(const unsigned char *bytes, size_t size)
{
    char *text = text_base64(bytes, size);
    cJSON *data = text != NULL ? cJSON_CreateObject() : NULL;
    if (data != NULL && cJSON_AddStringToObject(data, "base64", text) == NULL) {
        cJSON_Delete(data);
        data = NULL;
    }
    free(text);
    return data;
}

/* The next piece of output: false when memory is short. It has none yet where the piece is the
 * beginning of a character. */
static bool output_event(struct follower *follower)
{
    const unsigned char *bytes = follower->output->bytes + follower->offset;
    size_t left = follower->bytes - follower->offset;
    size_t size = left < PIECE_BYTES ? left : PIECE_BYTES;
    size_t text = text_utf8_prefix(bytes, size);
    char before[64];
    if (text == 0 && size == left && !follower->ended && text_utf8_begun(bytes, size))
        return true;
    size_t taken = text > 0 ? text : binary_run(bytes, size);
    snprintf(before, sizeof before, "id: %zu\nevent: output\ndata: ", follower->offset + taken);
    follower->event =
        live_event(before, text > 0 ? text_data(bytes, taken) : binary_data(bytes, taken));
    follower->offset += follower->event != NULL ? taken : 0;
    return follower->event != NULL;
}

/* What there is to be said next, if anything is. False: no more. */
static bool next_event(struct follower *follower)
{
    const struct topic *topic = follower->topic;
    follower->at = 0;
    if (follower->over)
        return false;
    if (!follower->ended && follower->state != topic->state) {
        set(&follower->state, topic->state);
        set(&follower->event, topic->state);
    } else if (!follower->ended && follower->progress != topic->progress) {
        set(&follower->progress, topic->progress);
        set(&follower->event, topic->progress);
    } else if (follower->offset < follower->bytes) {
        return output_event(follower);
    } else if (follower->end != NULL) {
        set(&follower->event, follower->end);
        follower->over = true;
    }
    return true;
}

static ssize_t read_events(struct reader *reader, char *to, size_t max) REQUIRES(reader->live->lock)
{
    struct follower *follower = container_of(reader, struct follower, reader);
    if (follower->event == NULL && !next_event(follower))
        return STREAM_END;
    struct jobd_blob *event = follower->event;
    if (event == NULL)
        return STREAM_LATER;
    ssize_t size = live_copy((const char *)event->bytes, event->size, &follower->at, to, max);
    if (follower->at == event->size)
        set(&follower->event, NULL);
    return size;
}

/* ---- streams */

static bool has_news(struct reader *reader)
{
    struct follower *follower = container_of(reader, struct follower, reader);
    bool news = follower->news;
    follower->news = false;
    return news;
}

static void follower_free(struct follower *follower)
{
    jobd_blob_unref(follower->output);
    jobd_blob_unref(follower->state);
    jobd_blob_unref(follower->progress);
    jobd_blob_unref(follower->event);
    jobd_blob_unref(follower->end);
    free(follower);
}

static void free_reader(struct reader *reader) REQUIRES(reader->live->lock)
{
    struct follower *follower = container_of(reader, struct follower, reader);
    TAILQ_REMOVE(&follower->topic->followers, follower, link);
    live_poke_locked(reader->live); /* the topic may go */
    follower_free(follower);
}

static const struct reader_kind bytes_kind = {.read = read_bytes,
                                              .has_news = has_news,
                                              .free = free_reader},
                                events_kind = {
                                    .read = read_events, .has_news = has_news, .free = free_reader};

/* The one there is, or a new one; NULL when memory is short. */
static struct topic *topic_locked(struct live *live, uint64_t id) REQUIRES(live->lock)
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
    topic->waiter = (struct jobd_waiter){
        .deadline_us = JOBD_NEVER, .uncounted = true, .wake = wake, .wants_output = true};
    TAILQ_INIT(&topic->followers);
    TAILQ_INSERT_TAIL(&live->topics, topic, link);
    return topic;
}

/* What has become of it. */
enum entered { ENTERED, NO_ROOM, NO_MEMORY };

static enum entered enter(struct call *call, struct follower *follower, uint64_t id)
{
    struct live *live = call->api->live;
    enum entered entered = NO_ROOM;
    mutex_lock(&live->lock);
    if (live_has_room_locked(live)) {
        struct topic *topic = topic_locked(live, id);
        entered = topic != NULL ? ENTERED : NO_MEMORY;
        follower->topic = topic;
    }
    if (entered == ENTERED) {
        TAILQ_INSERT_TAIL(&follower->topic->followers, follower, link);
        follower->topic->ready = !follower->topic->waits;
        live_enter_locked(live, &follower->reader, call->reply);
    }
    mutex_unlock(&live->lock);
    return entered;
}

/* ---- the endpoint */

/* Its output's type, as far as it is known. */
static void set_type(struct call *call, const struct follower *follower)
{
    const struct jobd_blob *output = follower->output;
    char *room = request_state(call->request, TYPE_ROOM);
    size_t text = output != NULL ? text_utf8_prefix(output->bytes, follower->bytes) : 0;
    bool is_text = output == NULL || text == follower->bytes ||
                   text_utf8_begun(output->bytes + text, follower->bytes - text);
    call->reply->type = is_text ? TYPE_TEXT : TYPE_BYTES;
    call->reply->unsafe = true;
    if (follower->ended && output != NULL && output->type[0] != '\0' &&
        strlen(output->type) < TYPE_ROOM)
        call->reply->type = memcpy(room, output->type, strlen(output->type) + 1);
}

/* The range that is asked for, 206; or 416. Without an end as long as the attempt goes on. */
static enum step set_range(struct call *call, const struct follower *follower)
{
    size_t from = follower->offset, bytes = follower->bytes;
    if (follower->ended && from >= bytes) {
        (void)respond_error(call, 416, "the output ends before that byte");
        reply_field(call->reply, "Content-Range", "bytes */%zu", bytes);
        return STEP_REPLY;
    }
    call->reply->status = 206;
    if (follower->ended)
        reply_field(call->reply, "Content-Range", "bytes %zu-%zu/%zu", from, bytes - 1, bytes);
    else
        reply_field(call->reply, "Content-Range", "bytes %zu-" ENDLESS "/*", from);
    return STEP_START;
}

/* Where it begins, and in which form; STEP_START: that is good. */
static enum step read_place(struct call *call, struct follower *follower)
{
    uint64_t offset = 0;
    bool there = false;
    bool events = request_accepts(call->request, TYPE_EVENTS);
    follower->reader.kind = events ? &events_kind : &bytes_kind;
    follower->reader.comments = events;
    call->reply->status = 200;
    if (events && !request_last_event(call->request, &there, &offset))
        return respond_bad_value(call, "Last-Event-ID", "a byte's offset");
    if (!events)
        there = request_range_from(call->request, &offset);
    follower->offset = offset;
    if (events)
        call->reply->type = TYPE_EVENTS;
    else
        set_type(call, follower);
    return there && !events ? set_range(call, follower) : STEP_START;
}

/* Who will follow it, as it is now. NULL: it has been answered. */
static struct follower *follower_of(struct call *call, uint64_t id)
{
    struct jobd_view view = {.seen = false};
    enum jobd_result result = jobd_follow(call->api->jobd, id, &view, NULL);
    struct follower *follower = result == JOBD_OK ? calloc(1, sizeof *follower) : NULL;
    if (follower == NULL) {
        (void)respond_result(call, result != JOBD_OK ? result : JOBD_OUT_OF_MEMORY);
    } else {
        bool began = view.state == JOBD_RUNNING || jobd_state_final(view.state);
        follower->attempt = view.attempt + !began;
        show(follower, &view, NULL);
    }
    if (follower != NULL && follower->ended && view.truncated)
        reply_field(call->reply, "Jobd-Output-Truncated", "true");
    jobd_view_release(&view);
    return follower;
}

enum step follow_answer(struct call *call)
{
    uint64_t id = path_id(call);
    struct follower *follower = follower_of(call, id);
    if (follower == NULL)
        return STEP_REPLY;
    if (follower->attempt > 0)
        reply_field(call->reply, "Jobd-Attempt", "%" PRIu32, follower->attempt);
    live_fields(call);
    if (read_place(call, follower) == STEP_REPLY) {
        follower_free(follower);
        return STEP_REPLY;
    }
    enum entered entered = enter(call, follower, id);
    if (entered == ENTERED)
        return STEP_REPLY;
    follower_free(follower);
    return entered == NO_ROOM ? live_refuse(call) : respond_no_memory(call);
}
