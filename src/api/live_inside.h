/* SPDX-License-Identifier: MIT */
/* What the files that stream know of each other. */
#pragma once

#include <bsd/sys/queue.h>
#include <pthread.h>
#include <sys/types.h>

#include "api/bearer.h"
#include "api/endpoint.h"
#include "api/live.h"
#include "base/container.h"
#include "base/json.h"
#include "base/lock.h"
#include "jobd/live.h"

struct live_reader;

/* What is streamed; called with live->lock held. */
struct reader_kind {
    /* As reply_stream.read. Not in the midst of what it has begun may it say STREAM_LATER: then a
     * comment may follow. */
    ssize_t (*read)(struct live_reader *reader, char *to, size_t max);
    /* A round comes: is there something new for it? May move it over what it does not want. */
    bool (*has_news)(struct live_reader *reader);
    void (*free)(struct live_reader *reader); /* all of it; it is in no list any more */
};

/* A stream, all guarded by live->lock. */
struct live_reader {
    const struct reader_kind *kind;
    struct live *live;
    TAILQ_ENTRY(live_reader) link;
    struct http_stream *stream; /* to be woken; NULL: it has not been read yet */
    size_t round_bytes;         /* that it may still send in this round */
    bool hungry;                /* it has more than that */
    bool comments;              /* server-sent events */
    bool over;                  /* its token does not let it follow any more */
    struct bearer *bearer;      /* owned */
    int64_t sent_us;            /* when something went out */
};

/* A change of state as it is sent. */
struct frame {
    uint32_t queue;
    enum jobd_state state;
    struct jobd_blob *text;
};

enum { FRAMES_MAX = JOBD_EVENTS_MAX, FRAMES_BYTES_MAX = 16 << 20 };

/* The last changes of state: those numbered from `first` on, up to but not `next`. */
struct frames {
    struct frame *ring; /* FRAMES_MAX; NULL: nobody has followed yet */
    uint64_t first, next;
    uint64_t base; /* an event's id is this and its number */
    size_t bytes;
    uint32_t readers;
    struct jobd_event *batch; /* the thread's own */
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

enum { LIVE_COMMENT_US = 15000000 }; /* a stream of events says at least a comment so often */

/* From one round to the next, and how much each may send in it. */
int64_t live_round_us_locked(const struct live *live) REQUIRES(live->lock);
size_t live_round_bytes_locked(const struct live *live) REQUIRES(live->lock);
/* There is something for the thread to do. */
void live_poke_locked(struct live *live) REQUIRES(live->lock);
/* Is there room for one more? */
bool live_has_room_locked(const struct live *live) REQUIRES(live->lock);
/* Makes it a stream, the reply's. */
void live_enter_locked(struct live *live, struct live_reader *reader, struct reply *reply)
    REQUIRES(live->lock);
/* 503: there are too many streams. */
enum step live_refuse(struct call *call);
/* Fields that all streams have. */
void live_fields(struct call *call);

#define TYPE_EVENTS "text/event-stream"

/* An event: what stands before its data, and that, taken. NULL when memory is short, or data is. */
struct jobd_blob *live_event(const char *before, cJSON *data);
/* Of the text, from *at on, as much as there is room for. */
ssize_t live_copy(const char *text, size_t size, size_t *at, char *to, size_t max);

/* ---- events.c, follow.c: in the thread, without the lock */

void events_gather(struct live *live);
void follow_gather(struct live *live);
/* No stream is left. */
void events_release(struct live *live);
void follow_release(struct live *live);
