/* SPDX-License-Identifier: MIT */
#include "api/live_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/job_json.h"
#include "api/respond.h"
#include "base/clock.h"
#include "base/thread.h"

enum {
    COMMENT_US = 15000000, /* a stream of events says at least a comment so often */
    TURN_US = 20000,       /* from one turn to the next, and so much more for each stream: */
    TURN_EACH_US = 500,
    BYTES_A_SECOND = 16 << 20, /* to all together, but at least these in a turn: */
    TURN_BYTES_MIN = 8192
};

static const char comment[] = ":\n\n";

/* ---- turns */

static int64_t turn_us_locked(const struct live *live) REQUIRES(live->lock)
{
    return TURN_US + (int64_t)live->streams * TURN_EACH_US;
}

static size_t turn_bytes_locked(const struct live *live) REQUIRES(live->lock)
{
    int64_t all = turn_us_locked(live) * (BYTES_A_SECOND / 1000) / 1000;
    size_t each = (size_t)all / (live->streams > 0 ? live->streams : 1);
    return each > TURN_BYTES_MIN ? each : TURN_BYTES_MIN;
}

void live_poke_locked(struct live *live)
{
    live->poked = true;
    condition_signal(&live->changed);
}

static void poke(void *context)
{
    struct live *live = context;
    mutex_lock(&live->lock);
    live_poke_locked(live);
    mutex_unlock(&live->lock);
}

/* Each that has something to say may. When the first will have to say a comment. */
static int64_t take_turn_locked(struct live *live, int64_t now_us) REQUIRES(live->lock)
{
    int64_t next_us = JOBD_NEVER;
    size_t bytes = turn_bytes_locked(live);
    struct reader *reader;
    TAILQ_FOREACH (reader, &live->readers, link) {
        bool quiet = reader->comments && now_us - reader->sent_us >= COMMENT_US;
        bool news = reader->kind->has_news(reader);
        if (news || quiet || reader->hungry) {
            reader->turn_bytes = bytes;
            reader->hungry = false;
            if (reader->stream != NULL)
                http_stream_wake(reader->stream);
        }
        int64_t due_us = (quiet ? now_us : reader->sent_us) + COMMENT_US;
        if (reader->comments && due_us < next_us)
            next_us = due_us;
    }
    return next_us;
}

/* Until somebody pokes, but not before `turn_us`; or until `until_us`. False: it is over. */
static bool wait_locked(struct live *live, int64_t turn_us, int64_t until_us) REQUIRES(live->lock)
{
    bool in_time = true;
    while (!live->over && in_time) {
        int64_t at_us = live->poked ? turn_us : until_us;
        struct timespec at = clock_monotonic(at_us);
        if (live->poked && clock_now_us() >= turn_us)
            break;
        if (at_us == JOBD_NEVER)
            condition_wait(&live->changed, &live->lock);
        else
            in_time = condition_wait_until(&live->changed, &live->lock, &at);
    }
    live->poked = false;
    return !live->over;
}

static void *run(void *context)
{
    struct live *live = context;
    int64_t turn_us = 0, comment_us = JOBD_NEVER;
    mutex_lock(&live->lock);
    while (wait_locked(live, turn_us, comment_us)) {
        mutex_unlock(&live->lock);
        events_gather(live);
        follow_gather(live);
        mutex_lock(&live->lock);
        int64_t now_us = clock_now_us();
        comment_us = take_turn_locked(live, now_us);
        turn_us = now_us + turn_us_locked(live);
    }
    mutex_unlock(&live->lock);
    return NULL;
}

/* ---- streams */

static ssize_t read_locked(struct reader *reader, char *to, size_t max) REQUIRES(reader->live->lock)
{
    if (reader->turn_bytes == 0) {
        reader->hungry = true;
        live_poke_locked(reader->live);
        return STREAM_LATER;
    }
    ssize_t size =
        reader->kind->read(reader, to, max < reader->turn_bytes ? max : reader->turn_bytes);
    int64_t now_us = clock_now_us();
    if (size == STREAM_LATER && reader->comments && now_us - reader->sent_us >= COMMENT_US &&
        max >= sizeof comment - 1) {
        memcpy(to, comment, sizeof comment - 1);
        size = sizeof comment - 1;
    }
    if (size > 0) {
        reader->turn_bytes -= (size_t)size < reader->turn_bytes ? (size_t)size : reader->turn_bytes;
        reader->sent_us = now_us;
    }
    return size;
}

static ssize_t read_stream(void *context, struct http_stream *stream, char *to, size_t max)
{
    struct reader *reader = context;
    struct live *live = reader->live;
    mutex_lock(&live->lock);
    reader->stream = stream;
    ssize_t size = read_locked(reader, to, max);
    mutex_unlock(&live->lock);
    return size;
}

static void free_stream(void *context)
{
    struct reader *reader = context;
    struct live *live = reader->live;
    mutex_lock(&live->lock);
    TAILQ_REMOVE(&live->readers, reader, link);
    live->streams--;
    reader->kind->free(reader);
    mutex_unlock(&live->lock);
}

bool live_has_room_locked(const struct live *live)
{
    return live->streams < live->streams_max;
}

void live_enter_locked(struct live *live, struct reader *reader, struct reply *reply)
{
    reader->live = live;
    live->streams++;
    reader->turn_bytes = turn_bytes_locked(live);
    if (reader->comments) /* one at once: the client sees that it is there */
        reader->sent_us = clock_now_us() - COMMENT_US;
    TAILQ_INSERT_TAIL(&live->readers, reader, link);
    reply->stream =
        (struct reply_stream){.read = read_stream, .free = free_stream, .context = reader};
    live_poke_locked(live);
}

enum step live_refuse(struct call *call)
{
    call->reply->retry_after_s = 10;
    return respond_error(call, 503, "too many streams: as many as --max-streams allows are open");
}

void live_fields(struct call *call)
{
    reply_field(call->reply, "Cache-Control", "no-store");
    reply_field(call->reply, "X-Accel-Buffering", "no");
}

struct jobd_blob *live_job_event(const struct api *api, const struct jobd_info *info,
                                 const char *before, bool errors)
{
    cJSON *job = job_json(api, info);
    if (job != NULL && errors && info->has_errors && !job_json_errors_of(api, job, info->id)) {
        cJSON_Delete(job);
        return NULL;
    }
    return live_event(before, job);
}

struct jobd_blob *live_event(const char *before, cJSON *data)
{
    char *text = data != NULL ? json_text(data) : NULL;
    cJSON_Delete(data);
    size_t head = strlen(before), size = text != NULL ? strlen(text) : 0;
    struct jobd_blob *event = text != NULL ? jobd_blob_new(head + size + 1, NULL) : NULL;
    if (event != NULL) {
        memcpy(event->bytes, before, head);
        memcpy(event->bytes + head, text, size); /* with a line feed */
        event->bytes[head + size] = '\n';
    }
    free(text);
    return event;
}

ssize_t live_copy(const char *text, size_t size, size_t *at, char *to, size_t max)
{
    size_t left = size - *at;
    left = left < max ? left : max;
    memcpy(to, text + *at, left);
    *at += left;
    return (ssize_t)left;
}

/* ---- its life */

int live_new(struct live **live, uint32_t streams_max, struct jobd_config *config)
{
    struct live *new = calloc(1, sizeof *new);
    if (new == NULL)
        return -ENOMEM;
    int error = mutex_init(&new->lock);
    if (error == 0 && (error = condition_init(&new->changed)) != 0)
        mutex_release(&new->lock);
    if (error != 0) {
        free(new);
        return error;
    }
    mutex_lock(&new->lock);
    new->streams_max = streams_max;
    TAILQ_INIT(&new->readers);
    TAILQ_INIT(&new->topics);
    mutex_unlock(&new->lock);
    config->on_event = poke;
    config->event_context = new;
    *live = new;
    return 0;
}

int live_start(struct live *live, const struct api *api)
{
    live->api = api;
    int error = thread_start(&live->thread, run, live);
    live->started = error == 0;
    return error;
}

void live_stop(struct live *live)
{
    if (live == NULL || !live->started)
        return;
    mutex_lock(&live->lock);
    verify(TAILQ_EMPTY(&live->readers));
    live->over = true;
    condition_signal(&live->changed);
    mutex_unlock(&live->lock);
    verify(pthread_join(live->thread, NULL) == 0);
    live->started = false;
    follow_release(live);
    events_release(live);
}

void live_free(struct live *live)
{
    if (live == NULL)
        return;
    condition_release(&live->changed);
    mutex_release(&live->lock);
    free(live);
}

void live_stats(struct live *live, struct live_stats *stats)
{
    mutex_lock(&live->lock);
    *stats = (struct live_stats){.streams = live->streams, .gaps = live->gaps};
    mutex_unlock(&live->lock);
}
