/* SPDX-License-Identifier: MIT */
/* What live.c, live_thread.c, events.c and follow.c share. */
#pragma once

#include <bsd/sys/queue.h>
#include <pthread.h>
#include <sys/types.h>

#include "api/bearer.h"
#include "api/endpoint.h"
#include "api/live.h"
#include "base/container.h"
#include "base/json_out.h"
#include "base/lock.h"
#include "jobd/live.h"

struct live_reader;

/* What a kind of stream does; called with live->lock held. */
struct reader_kind {
    /* As reply_stream.read. It must not return STREAM_LATER in the middle of an event, because a
     * comment may be sent next. */
    ssize_t (*read)(struct live_reader *reader, char *to, size_t max);
    /* In each round: is there something new for it? May move it past events that it does not
     * want. */
    bool (*has_news)(struct live_reader *reader);
    void (*free)(struct live_reader *reader); /* it is in no list any more */
};

/* A stream. live->lock guards all of it. */
struct live_reader {
    const struct reader_kind *kind;
    struct live *live;
    TAILQ_ENTRY(live_reader) link;
    struct http_stream *stream; /* to wake it; NULL: it has not been read from yet */
    size_t round_bytes;         /* how much more it may send in this round */
    bool hungry;                /* it has more to send than that */
    bool comments;              /* is of server-sent events: a comment keeps it alive */
    bool over;                  /* its token does not allow it any more */
    struct bearer *bearer;      /* owned */
    int64_t sent_us;            /* when it last sent something */
};

/* A change of state as it is sent. */
struct frame {
    uint32_t queue;
    enum jobd_state state;
    struct jobd_blob *text;
};

enum { FRAMES_MAX = JOBD_EVENTS_MAX, FRAMES_BYTES_MAX = 16 << 20 };

/* The last changes of state: those numbered from `first` to before `next`. */
struct frames {
    struct frame *ring; /* FRAMES_MAX; NULL: nobody has followed yet */
    uint64_t first, next;
    uint64_t base; /* an event's id is the sum of this and its number */
    size_t bytes;
    uint32_t readers;
    struct jobd_event *batch; /* only the thread uses it */
};

struct topic;
TAILQ_HEAD(topic_list, topic);

struct live {
    const struct api *api;
    uint32_t streams_max;
    pthread_t thread;
    bool started;
    struct mutex lock;
    struct condition changed;
    bool poked GUARDED_BY(lock), over GUARDED_BY(lock);
    bool tokens_changed GUARDED_BY(lock);
    TAILQ_HEAD(, live_reader) readers GUARDED_BY(lock);
    uint32_t streams GUARDED_BY(lock);
    uint64_t gaps GUARDED_BY(lock);
    struct frames frames GUARDED_BY(lock);
    struct topic_list topics GUARDED_BY(lock);
};

enum {
    LIVE_COMMENT_US = 15000000
}; /* a stream of events that is silent for so long sends a comment */

/* The time from one round to the next, and how much each stream may send in one. */
int64_t live_round_us_locked(const struct live *live) REQUIRES(live->lock);
size_t live_round_bytes_locked(const struct live *live) REQUIRES(live->lock);
/* There is something for the thread to do. */
void live_poke_locked(struct live *live) REQUIRES(live->lock);
/* Is there room for one more? */
bool live_has_room_locked(const struct live *live) REQUIRES(live->lock);
/* Adds the stream, and makes it the body of the reply. */
void live_enter_locked(struct live *live, struct live_reader *reader, struct reply *reply)
    REQUIRES(live->lock);
/* 503: there are too many streams. */
enum step live_refuse(struct call *call);
/* Fields that all streams have. */
void live_fields(struct call *call);

#define TYPE_EVENTS "text/event-stream"

/* A server-sent event: `before`, then `data` as one line. Takes `data`. NULL when memory is short,
 * or was for `data`. */
struct jobd_blob *live_event(const char *before, struct json_out *data);
/* Copies as much of the text from *at on as fits, moves *at, and returns how much. */
ssize_t live_copy(const char *text, size_t size, size_t *at, char *to, size_t max);

/* ---- events.c, follow.c: called by the thread, without the lock */

/* Asks the engine for what is new. What comes meanwhile is for the next round, which they ask for:
 * otherwise no stream would get its turn while jobs change faster than that can be told. */
void events_gather(struct live *live);
void follow_gather(struct live *live);
/* Frees what is kept; no stream is left. */
void events_release(struct live *live);
void follow_release(struct live *live);
