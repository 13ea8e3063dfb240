/* SPDX-License-Identifier: MIT */
/* The thread that feeds the streams, in rounds. */
#include "api/live_inside.h"

#include "base/clock.h"
#include "base/thread.h"

/* Wakes each stream that has something to send. Returns when the first one will need a comment. */
static int64_t go_round_locked(struct live *live, int64_t now_us) REQUIRES(live->lock)
{
    int64_t next_us = JOBD_NEVER;
    size_t bytes = live_round_bytes_locked(live);
    struct live_reader *reader;
    TAILQ_FOREACH (reader, &live->readers, link) {
        bool quiet = reader->comments && now_us - reader->sent_us >= LIVE_COMMENT_US;
        bool news = reader->kind->has_news(reader);
        if (news || quiet || reader->hungry) {
            reader->round_bytes = bytes;
            reader->hungry = false;
            if (reader->stream != NULL)
                http_stream_wake(reader->stream);
        }
        int64_t due_us = (quiet ? now_us : reader->sent_us) + LIVE_COMMENT_US;
        if (reader->comments && due_us < next_us)
            next_us = due_us;
    }
    return next_us;
}

static void judge_again_locked(struct live *live) REQUIRES(live->lock)
{
    struct live_reader *reader;
    if (!live->tokens_changed)
        return;
    live->tokens_changed = false;
    TAILQ_FOREACH (reader, &live->readers, link) {
        reader->over = !bearer_may(reader->bearer);
        if (reader->over && reader->stream != NULL)
            http_stream_wake(reader->stream);
    }
}

/* Waits until somebody pokes, but at least until `round_us`; or until `until_us`. False: the thread
 * is to end. */
static bool wait_locked(struct live *live, int64_t round_us, int64_t until_us) REQUIRES(live->lock)
{
    bool in_time = true;
    while (!live->over && in_time) {
        int64_t at_us = live->poked ? round_us : until_us;
        struct timespec at = clock_monotonic(at_us);
        if (live->poked && clock_now_us() >= round_us)
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
    int64_t round_us = 0, comment_us = JOBD_NEVER;
    mutex_lock(&live->lock);
    while (wait_locked(live, round_us, comment_us)) {
        mutex_unlock(&live->lock);
        events_gather(live);
        follow_gather(live);
        mutex_lock(&live->lock);
        judge_again_locked(live);
        int64_t now_us = clock_now_us();
        comment_us = go_round_locked(live, now_us);
        round_us = now_us + live_round_us_locked(live);
    }
    mutex_unlock(&live->lock);
    return NULL;
}

/* ---- its life */

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
