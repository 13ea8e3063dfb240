/* SPDX-License-Identifier: MIT */
/* GET /events: each change of state, as the job's JSON. Once somebody has followed them, the engine
 * keeps the last ones, even while nobody does. They become text only while somebody follows, once
 * for all of them. */
#include "api/live_inside.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/job_filter.h"
#include "api/job_json.h"
#include "api/respond.h"
#include "base/clock.h"
#include "jobd/live.h"

enum { BATCH = 256, GAP_SIZE = 96 };

struct event_follower {
    struct live_reader reader; /* first */
    char queue[JOBD_QUEUE_NAME_MAX + 1];
    uint32_t number;       /* of that queue, JOBD_NO_QUEUE: there is none of the name now */
    enum jobd_state state; /* JOBD_STATES: all */
    uint64_t next;         /* the change to look at next */
    bool resumes;          /* it came with an id, and nothing has been sent yet */
    char gap[GAP_SIZE];    /* that some are missed; "": not now */
    struct jobd_blob *text;
    size_t at; /* of the gap or the text: what has been sent */
};

/* ---- the last changes */

static void drop_first_locked(struct live *live) REQUIRES(live->lock)
{
    struct frames *frames = &live->frames;
    struct frame *frame = &frames->ring[frames->first++ % FRAMES_MAX];
    frames->bytes -= frame->text != NULL ? frame->text->size : 0;
    jobd_blob_unref(frame->text);
    frame->text = NULL;
}

static void add_locked(struct live *live, const struct jobd_event *event, struct jobd_blob *text)
    REQUIRES(live->lock)
{
    struct frames *frames = &live->frames;
    size_t size = text != NULL ? text->size : 0;
    if (event->number != frames->next) { /* some were not kept */
        while (frames->first < frames->next)
            drop_first_locked(live);
        frames->first = frames->next = event->number;
    }
    while (frames->first < frames->next &&
           (frames->next - frames->first == FRAMES_MAX || frames->bytes + size > FRAMES_BYTES_MAX))
        drop_first_locked(live);
    frames->ring[frames->next++ % FRAMES_MAX] =
        (struct frame){.queue = event->queue, .state = event->info.state, .text = text};
    frames->bytes += size;
}

static struct jobd_blob *text_of(const struct live *live, const struct jobd_event *event,
                                 uint64_t base)
{
    char before[48];
    snprintf(before, sizeof before, "id: %" PRIu64 "\ndata: ", base + event->number);
    struct json_out out;
    json_out_begin(&out, JOB_JSON_BYTES);
    json_out_open(&out, NULL, '{');
    job_json_write(&out, live->api, &event->info);
    if (event->was != JOBD_STATES)
        json_out_text(&out, "was", jobd_state_name(event->was));
    json_out_close(&out, '}');
    return live_event(before, &out);
}

void events_gather(struct live *live)
{
    struct jobd *jobd = live->api->jobd;
    mutex_lock(&live->lock);
    struct jobd_event *batch = live->frames.readers > 0 ? live->frames.batch : NULL;
    uint64_t base = live->frames.base;
    mutex_unlock(&live->lock);
    const uint64_t until = jobd_events_last(jobd);
    bool more = batch != NULL && until > 0;
    uint64_t number = 0;
    while (more && number < until) {
        struct jobd_blob *texts[BATCH];
        const size_t len = jobd_events(jobd, batch, BATCH);
        more = len == BATCH;
        for (size_t i = 0; i < len; i++)
            texts[i] = text_of(live, &batch[i], base);
        number = len > 0 ? batch[len - 1].number : 0;
        mutex_lock(&live->lock);
        for (size_t i = 0; i < len; i++)
            add_locked(live, &batch[i], texts[i]);
        mutex_unlock(&live->lock);
    }
    if (more) { /* the engine tells only of what comes after none */
        mutex_lock(&live->lock);
        live_poke_locked(live);
        mutex_unlock(&live->lock);
    }
}

void events_release(struct live *live)
{
    mutex_lock(&live->lock);
    struct frames *frames = &live->frames;
    while (frames->first < frames->next)
        drop_first_locked(live);
    free(frames->ring);
    free(frames->batch);
    frames->ring = NULL;
    frames->batch = NULL;
    mutex_unlock(&live->lock);
}

/* Begins to keep changes. False when memory is short. Ids begin with the wall clock's microseconds:
 * so they are above those of a server that ran before, which had fewer changes than that. */
static bool begin_locked(struct live *live) REQUIRES(live->lock)
{
    struct frames *frames = &live->frames;
    if (frames->ring != NULL)
        return true;
    struct frame *ring = calloc(FRAMES_MAX, sizeof *ring);
    struct jobd_event *batch = calloc(BATCH, sizeof *batch);
    if (ring == NULL || batch == NULL || jobd_events_keep(live->api->jobd, true) != 0) {
        free(ring);
        free(batch);
        return false;
    }
    frames->ring = ring;
    frames->batch = batch;
    frames->base = (uint64_t)clock_wall_us(clock_now_us());
    frames->first = frames->next = jobd_events_last(live->api->jobd) + 1;
    return true;
}

/* ---- who follows */

/* Changes that it should have got are lost: tells it so, and goes on with change `to`. */
static void tell_gap_locked(struct live *live, struct event_follower *follower, uint64_t to)
    REQUIRES(live->lock)
{
    uint64_t id = live->frames.base + to - 1;
    if (follower->resumes)
        snprintf(follower->gap, sizeof follower->gap, "id: %" PRIu64 "\nevent: gap\ndata: {}\n\n",
                 id);
    else
        snprintf(follower->gap, sizeof follower->gap,
                 "id: %" PRIu64 "\nevent: gap\ndata: {\"missed\":%" PRIu64 "}\n\n", id,
                 to - follower->next);
    follower->next = to;
    follower->at = 0;
    follower->resumes = false;
    live->gaps++;
}

static bool wants(const struct event_follower *follower, const struct frame *frame)
{
    return frame->text != NULL &&
           (follower->queue[0] == '\0' || frame->queue == follower->number) &&
           (follower->state == JOBD_STATES || frame->state == follower->state);
}

/* Moves on to the next change that it wants, if there is one. */
static bool has_news(struct live_reader *reader) REQUIRES(reader->live->lock)
{
    struct event_follower *follower = container_of(reader, struct event_follower, reader);
    const struct frames *frames = &reader->live->frames;
    if (follower->queue[0] != '\0')
        follower->number = jobd_queue_named(reader->live->api->jobd, follower->queue);
    if (follower->gap[0] != '\0' || follower->text != NULL)
        return true;
    if (follower->next < frames->first)
        tell_gap_locked(reader->live, follower, follower->resumes ? frames->first : frames->next);
    while (follower->next < frames->next &&
           !wants(follower, &frames->ring[follower->next % FRAMES_MAX]))
        follower->next++;
    return follower->gap[0] != '\0' || follower->next < frames->next;
}

static ssize_t read_gap(struct event_follower *follower, char *to, size_t max)
{
    size_t size = strlen(follower->gap);
    ssize_t sent = live_copy(follower->gap, size, &follower->at, to, max);
    if (follower->at == size)
        follower->gap[0] = '\0';
    return sent;
}

static ssize_t read_text(struct event_follower *follower, char *to, size_t max)
{
    struct jobd_blob *text = follower->text;
    ssize_t sent = live_copy((const char *)text->bytes, text->size, &follower->at, to, max);
    if (follower->at == text->size) {
        jobd_blob_unref(text);
        follower->text = NULL;
    }
    return sent;
}

static ssize_t read_events(struct live_reader *reader, char *to, size_t max)
    REQUIRES(reader->live->lock)
{
    struct event_follower *follower = container_of(reader, struct event_follower, reader);
    const struct frames *frames = &reader->live->frames;
    if (follower->text == NULL && follower->gap[0] == '\0') {
        if (!has_news(reader))
            return STREAM_LATER;
        if (follower->gap[0] == '\0') {
            follower->text = jobd_blob_ref(frames->ring[follower->next++ % FRAMES_MAX].text);
            follower->at = 0;
            follower->resumes = false;
        }
    }
    return follower->text != NULL ? read_text(follower, to, max) : read_gap(follower, to, max);
}

static void free_events(struct live_reader *reader) REQUIRES(reader->live->lock)
{
    struct event_follower *follower = container_of(reader, struct event_follower, reader);
    reader->live->frames.readers--;
    jobd_blob_unref(follower->text);
    free(follower);
}

static const struct reader_kind events_kind = {
    .read = read_events, .has_news = has_news, .free = free_events};

/* ---- the endpoint */

/* Reads which changes the request follows, and after which id. STEP_REPLY: something is wrong with
 * it, and the reply says what. */
static enum step read_request(struct call *call, struct event_follower *follower, uint64_t *last_id)
{
    const char *queue = request_parameter(call->request, "queue");
    const char *state = request_parameter(call->request, "state");
    follower->state = state != NULL ? jobd_state_named(state) : JOBD_STATES;
    if (queue != NULL && (queue[0] == '\0' || strlen(queue) > JOBD_QUEUE_NAME_MAX ||
                          jobd_queue_named(call->api->jobd, queue) == JOBD_NO_QUEUE))
        return respond_bad_value(call, "queue", "the name of a queue");
    if (state != NULL && follower->state == JOBD_STATES)
        return respond_bad_value(call, "state", STATE_VALUES);
    if (!request_last_event(call->request, &follower->resumes, last_id))
        return respond_bad_value(call, "Last-Event-ID", "an id of GET /events");
    snprintf(follower->queue, sizeof follower->queue, "%s", queue != NULL ? queue : "");
    return STEP_START;
}

/* It begins with the next change, or after the last one that it has seen. An id that is none of
 * this server's counts as older than all: it will be told of a gap. */
static void place_locked(struct live *live, struct event_follower *follower, uint64_t last_id)
    REQUIRES(live->lock)
{
    uint64_t newest = jobd_events_last(live->api->jobd), base = live->frames.base;
    follower->next = newest + 1;
    if (follower->resumes)
        follower->next = last_id >= base && last_id <= base + newest ? last_id - base + 1 : 0;
}

static bool enter_locked(struct live *live, struct event_follower *follower, uint64_t last_id,
                         struct reply *reply) REQUIRES(live->lock)
{
    if (!begin_locked(live))
        return false;
    place_locked(live, follower, last_id);
    live->frames.readers++;
    follower->reader.kind = &events_kind;
    follower->reader.comments = true;
    live_enter_locked(live, &follower->reader, reply);
    return true;
}

/* Frees one that has not entered. */
static void drop_follower(struct event_follower *follower)
{
    bearer_free(follower->reader.bearer);
    free(follower);
}

/* A follower for the request; NULL: it has been answered with an error. */
static struct event_follower *follower_of(struct call *call, uint64_t *last_id)
{
    struct event_follower *follower = calloc(1, sizeof *follower);
    if (follower == NULL) {
        (void)respond_no_memory(call);
        return NULL;
    }
    if (read_request(call, follower, last_id) == STEP_REPLY) {
        drop_follower(follower);
        return NULL;
    }
    const char *queue = follower->queue[0] != '\0' ? follower->queue : NULL;
    if (!bearer_of(call, queue, &follower->reader.bearer)) {
        (void)respond_no_memory(call);
        drop_follower(follower);
        return NULL;
    }
    return follower;
}

static enum step answer_events(struct call *call, enum jobd_result result)
{
    struct live *live = call->api->live;
    uint64_t last_id = 0;
    struct event_follower *follower = follower_of(call, &last_id);
    (void)result;
    if (follower == NULL)
        return STEP_REPLY;
    mutex_lock(&live->lock);
    bool has_room = live_has_room_locked(live);
    bool entered = has_room && enter_locked(live, follower, last_id, call->reply);
    mutex_unlock(&live->lock);
    if (!entered) {
        drop_follower(follower);
        return has_room ? respond_no_memory(call) : live_refuse(call);
    }
    call->reply->status = 200;
    call->reply->type = TYPE_EVENTS;
    live_fields(call);
    return STEP_REPLY;
}

const struct endpoint event_endpoints[] = {
    {
        .paths = {"/events"},
        .methods = GET_OR_HEAD,
        .scope = SCOPE_READ,
        .about = ABOUT_FILTER,
        .parameters = {"queue", "state"},
        .summary = "Streams the changes of jobs' states, as they come.",
        .answers = "200 text/event-stream",
        .sent = "200 Cache-Control! X-Accel-Buffering!",
        .fields = {"Last-Event-ID"},
        .answer = answer_events,
    },
    {.methods = 0},
};
