/* SPDX-License-Identifier: MIT */
#include "api/live_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/respond.h"
#include "base/clock.h"

enum {
    ROUND_US = 20000, /* from one round to the next, and so much more for each stream: */
    TURN_EACH_US = 500,
    BYTES_A_SECOND = 16 << 20, /* to all together, but at least these in a round: */
    TURN_BYTES_MIN = 8192
};

static const char comment[] = ":\n\n";

/* ---- rounds */

int64_t live_round_us_locked(const struct live *live)
{
    return ROUND_US + (int64_t)live->streams * TURN_EACH_US;
}

size_t live_round_bytes_locked(const struct live *live)
{
    int64_t all = live_round_us_locked(live) * (BYTES_A_SECOND / 1000) / 1000;
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

/* ---- streams */

static ssize_t read_locked(struct live *live, struct live_reader *reader, char *to, size_t max)
    REQUIRES(live->lock)
{
    if (reader->over)
        return STREAM_END;
    if (reader->round_bytes == 0) {
        reader->hungry = true;
        live_poke_locked(live);
        return STREAM_LATER;
    }
    ssize_t size =
        reader->kind->read(reader, to, max < reader->round_bytes ? max : reader->round_bytes);
    int64_t now_us = clock_now_us();
    if (size == STREAM_LATER && reader->comments && now_us - reader->sent_us >= LIVE_COMMENT_US &&
        max >= sizeof comment - 1) {
        memcpy(to, comment, sizeof comment - 1);
        size = sizeof comment - 1;
    }
    if (size > 0) {
        reader->round_bytes -=
            (size_t)size < reader->round_bytes ? (size_t)size : reader->round_bytes;
        reader->sent_us = now_us;
    }
    return size;
}

static ssize_t read_stream(void *context, struct http_stream *stream, char *to, size_t max)
{
    struct live_reader *reader = context;
    struct live *live = reader->live;
    mutex_lock(&live->lock);
    reader->stream = stream;
    ssize_t size = read_locked(live, reader, to, max);
    mutex_unlock(&live->lock);
    return size;
}

static void free_stream(void *context)
{
    struct live_reader *reader = context;
    struct live *live = reader->live;
    mutex_lock(&live->lock);
    TAILQ_REMOVE(&live->readers, reader, link);
    live->streams--;
    bearer_free(reader->bearer);
    reader->bearer = NULL;
    reader->kind->free(reader);
    mutex_unlock(&live->lock);
}

bool live_has_room_locked(const struct live *live)
{
    return live->streams < live->streams_max;
}

void live_enter_locked(struct live *live, struct live_reader *reader, struct reply *reply)
{
    reader->live = live;
    reader->over = !bearer_may(reader->bearer); /* it was let in a moment ago */
    live->streams++;
    reader->round_bytes = live_round_bytes_locked(live);
    if (reader->comments) /* one at once: the client sees that it is there */
        reader->sent_us = clock_now_us() - LIVE_COMMENT_US;
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
    reply_text(call->reply, "Cache-Control", "", "no-store");
    reply_text(call->reply, "X-Accel-Buffering", "", "no");
}

struct jobd_blob *live_event(const char *before, struct json_out *data)
{
    char *text = json_out_line(data);
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
    config->on_event = (struct jobd_hook){.call = poke, .context = new};
    *live = new;
    return 0;
}

void live_free(struct live *live)
{
    if (live == NULL)
        return;
    condition_release(&live->changed);
    mutex_release(&live->lock);
    free(live);
}

void live_judge_again(struct live *live)
{
    mutex_lock(&live->lock);
    live->tokens_changed = true;
    live_poke_locked(live);
    mutex_unlock(&live->lock);
}

uint64_t live_last_event(struct live *live)
{
    mutex_lock(&live->lock);
    uint64_t base = live->frames.base;
    mutex_unlock(&live->lock);
    return base > 0 ? base + jobd_events_last(live->api->jobd) : 0;
}

void live_stats(struct live *live, struct live_stats *stats)
{
    mutex_lock(&live->lock);
    *stats = (struct live_stats){.streams = live->streams, .gaps = live->gaps};
    mutex_unlock(&live->lock);
}
