/* SPDX-License-Identifier: MIT */
/* GET /jobs/{id}/output?follow: the output of one attempt as it comes, as bytes or as server-sent
 * events. */
#include "api/follow.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/respond.h"
#include "api/topics.h"
#include "base/text.h"
#include "base/utf8.h"

enum {
    PIECE_BYTES = 1024, /* of output in an event */
    EVENT_ROOM = 32,    /* what it usually takes beside its bytes */
    TYPE_ROOM = 160
};

/* A range whose end is not known has this as its last byte (RFC 8673, section 2.2). */
#define ENDLESS "9007199254740991"

/* ---- a stream of bytes */

static ssize_t read_bytes(struct live_reader *reader, char *to, size_t max)
    REQUIRES(reader->live->lock)
{
    struct output_follower *follower = container_of(reader, struct output_follower, reader);
    if (follower->offset < follower->bytes)
        return live_copy((const char *)follower->output->bytes, follower->bytes, &follower->offset,
                         to, max);
    return follower->ended ? STREAM_END : STREAM_LATER;
}

/* ---- a stream of events */

/* How many bytes from the start are no text; text may begin after them. */
static size_t binary_run(const unsigned char *bytes, size_t size)
{
    size_t run = 1;
    while (run < size && utf8_prefix(bytes + run, size - run) == 0 &&
           !utf8_begun(bytes + run, size - run))
        run++;
    return run;
}

/* Makes an event of the next piece of output. False when memory is short. None yet while the piece
 * is only the beginning of a character. */
static bool output_event(struct output_follower *follower)
{
    const unsigned char *bytes = follower->output->bytes + follower->offset;
    size_t left = follower->bytes - follower->offset;
    size_t size = left < PIECE_BYTES ? left : PIECE_BYTES;
    size_t text = utf8_prefix(bytes, size);
    char before[64];
    struct json_out data;
    if (text == 0 && size == left && !follower->ended && utf8_begun(bytes, size))
        return true;
    size_t taken = text > 0 ? text : binary_run(bytes, size);
    snprintf(before, sizeof before, "id: %zu\nevent: output\ndata: ", follower->offset + taken);
    json_out_begin(&data, 2 * taken + EVENT_ROOM);
    if (text > 0) {
        json_out_bytes(&data, NULL, bytes, taken);
    } else {
        json_out_open(&data, NULL, '{');
        json_out_base64(&data, "base64", bytes, taken);
        json_out_close(&data, '}');
    }
    follower->event = live_event(before, &data);
    follower->offset += follower->event != NULL ? taken : 0;
    return follower->event != NULL;
}

/* Chooses the next event, if there is one. False: the stream ends. */
static bool next_event(struct output_follower *follower)
{
    const struct topic *topic = follower->topic;
    follower->at = 0;
    if (follower->over)
        return false;
    if (!follower->ended && !topic->looked)
        return true; /* the state comes first */
    if (!follower->ended && follower->state != topic->state) {
        blob_set(&follower->state, topic->state);
        blob_set(&follower->event, topic->state);
    } else if (!follower->ended && follower->progress != topic->progress) {
        blob_set(&follower->progress, topic->progress);
        blob_set(&follower->event, topic->progress);
    } else if (follower->offset < follower->bytes) {
        return output_event(follower);
    } else if (follower->end != NULL) {
        blob_set(&follower->event, follower->end);
        follower->over = true;
    }
    return true;
}

static ssize_t read_events(struct live_reader *reader, char *to, size_t max)
    REQUIRES(reader->live->lock)
{
    struct output_follower *follower = container_of(reader, struct output_follower, reader);
    if (follower->event == NULL && !next_event(follower))
        return STREAM_END;
    struct jobd_blob *event = follower->event;
    if (event == NULL)
        return STREAM_LATER;
    ssize_t size = live_copy((const char *)event->bytes, event->size, &follower->at, to, max);
    if (follower->at == event->size)
        blob_set(&follower->event, NULL);
    return size;
}

/* ---- streams */

static bool has_news(struct live_reader *reader)
{
    struct output_follower *follower = container_of(reader, struct output_follower, reader);
    bool news = follower->news;
    follower->news = false;
    return news;
}

static void follower_free(struct output_follower *follower)
{
    jobd_blob_unref(follower->output);
    jobd_blob_unref(follower->state);
    jobd_blob_unref(follower->progress);
    jobd_blob_unref(follower->event);
    jobd_blob_unref(follower->end);
    bearer_free(follower->reader.bearer);
    free(follower);
}

static void free_reader(struct live_reader *reader) REQUIRES(reader->live->lock)
{
    struct output_follower *follower = container_of(reader, struct output_follower, reader);
    TAILQ_REMOVE(&follower->topic->followers, follower, link);
    live_poke_locked(reader->live); /* the topic may go */
    follower_free(follower);
}

static const struct reader_kind bytes_kind = {.read = read_bytes,
                                              .has_news = has_news,
                                              .free = free_reader},
                                events_kind = {
                                    .read = read_events, .has_news = has_news, .free = free_reader};

/* What has become of it. */
enum entered { ENTERED, NO_ROOM, NO_MEMORY };

static enum entered enter(struct call *call, struct output_follower *follower, uint64_t id)
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
static void set_type(struct call *call, const struct output_follower *follower)
{
    const struct jobd_blob *output = follower->output;
    char *room = request_state(call->request, TYPE_ROOM);
    size_t text = output != NULL ? utf8_prefix(output->bytes, follower->bytes) : 0;
    bool is_text = output == NULL || text == follower->bytes ||
                   utf8_begun(output->bytes + text, follower->bytes - text);
    call->reply->type = is_text ? TYPE_TEXT : TYPE_BYTES;
    call->reply->unsafe = true;
    if (follower->ended && output != NULL && output->type[0] != '\0' &&
        strlen(output->type) < TYPE_ROOM)
        call->reply->type = memcpy(room, output->type, strlen(output->type) + 1);
}

/* Without an end as long as the attempt goes on. */
static void set_range(struct call *call, const struct output_follower *follower)
{
    size_t from = follower->offset, bytes = follower->bytes;
    call->reply->status = 206;
    if (follower->ended)
        reply_field(call->reply, "Content-Range", "bytes %zu-%zu/%zu", from, bytes - 1, bytes);
    else
        reply_field(call->reply, "Content-Range", "bytes %zu-" ENDLESS "/*", from);
}

/* Where it begins, and in which form; *ranged: bytes from there on were asked for. STEP_START: that
 * is good. */
static enum step read_place(struct call *call, struct output_follower *follower, bool *ranged)
{
    uint64_t offset = 0;
    bool there = false;
    bool events = request_accepts(call->request, TYPE_EVENTS);
    follower->reader.kind = events ? &events_kind : &bytes_kind;
    follower->reader.comments = events;
    if (events && !request_last_event(call->request, &there, &offset))
        return respond_bad_value(call, "Last-Event-ID", "a byte's offset");
    if (!events)
        there = request_range_from(call->request, &offset);
    *ranged = there && !events;
    follower->offset = offset < SIZE_MAX ? (size_t)offset : SIZE_MAX; /* beyond any output */
    if (*ranged && follower->ended && follower->offset >= follower->bytes) {
        (void)respond_error(call, 416, "the output ends before that byte");
        reply_field(call->reply, "Content-Range", "bytes */%zu", follower->bytes);
        return STEP_REPLY;
    }
    return STEP_START;
}

/* What goes before the output. Once it has entered it is its reader's alone. */
static void set_header(struct call *call, const struct output_follower *follower, bool ranged)
{
    call->reply->status = 200;
    if (follower->attempt > 0)
        reply_number(call->reply, "Jobd-Attempt", "", follower->attempt);
    live_fields(call);
    if (follower->reader.comments)
        call->reply->type = TYPE_EVENTS;
    else
        set_type(call, follower);
    if (ranged)
        set_range(call, follower);
}

/* It has not entered: with nothing of what would have gone before the output. */
static enum step refuse(struct call *call, bool has_room)
{
    call->reply->fields_used = 0;
    call->reply->unsafe = false;
    return has_room ? respond_no_memory(call) : live_refuse(call);
}

static bool has_bearer(struct call *call, struct output_follower *follower, uint64_t id)
{
    struct jobd *jobd = call->api->jobd;
    struct jobd_info info;
    const char *queue =
        jobd_get(jobd, id, &info) == JOBD_OK ? jobd_queue_name(jobd, info.queue) : NULL;
    return bearer_of(call, queue, &follower->reader.bearer);
}

/* Who will follow it, as it is now; *truncated: not all of it is there. NULL: it has been answered.
 */
static struct output_follower *follower_of(struct call *call, uint64_t id, bool *truncated)
{
    struct jobd_view view = {.seen = false};
    enum jobd_result result = jobd_follow(call->api->jobd, id, &view, NULL);
    struct output_follower *follower = result == JOBD_OK ? calloc(1, sizeof *follower) : NULL;
    if (follower == NULL) {
        (void)respond_result(call, result != JOBD_OK ? result : JOBD_OUT_OF_MEMORY);
    } else {
        bool began = view.state == JOBD_RUNNING || jobd_state_final(view.state);
        follower->attempt = view.attempt + !began;
        topic_show(follower, &view, NULL);
    }
    *truncated = follower != NULL && follower->ended && view.truncated;
    jobd_view_release(&view);
    return follower;
}

enum step follow_answer(struct call *call)
{
    uint64_t id = path_id(call);
    bool truncated, ranged = false;
    struct output_follower *follower = follower_of(call, id, &truncated);
    if (follower == NULL)
        return STEP_REPLY;
    if (read_place(call, follower, &ranged) == STEP_REPLY) {
        follower_free(follower);
        return STEP_REPLY;
    }
    if (truncated)
        reply_text(call->reply, "Jobd-Output-Truncated", "", "true");
    set_header(call, follower, ranged);
    enum entered entered = has_bearer(call, follower, id) ? enter(call, follower, id) : NO_MEMORY;
    if (entered == ENTERED)
        return STEP_REPLY;
    follower_free(follower);
    return refuse(call, entered != NO_ROOM);
}
