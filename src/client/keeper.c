/* SPDX-License-Identifier: MIT */
#include "client/keeper.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/event.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/text.h"
#include "base/thread.h"
#include "base/utf8.h"
#include "base/verify.h"
#include "client/backoff.h"
#include "jobd/queue.h"

enum {
    PIECE_BYTES = 32768,    /* of one request, less where the server takes less */
    PIECE_LEAST_BYTES = 512 /* a server that does not take this gets none */
};

#define LOOK_US    (2 * CLOCK_SECOND_US)  /* how often it asks whether the lease is still ours */
#define PIECES_US  (CLOCK_SECOND_US / 10) /* between two pieces */
#define REQUEST_US (10 * CLOCK_SECOND_US)
#define EXTENDS    3 /* how often a lease is extended in its time */

struct keeper {
    struct remote_client *client;
    int64_t lease_us;
    size_t output_max; /* the most that is sent */
    int wake, stop;    /* events: something to do; the command is to end */
    pthread_t thread;
    char lease[LEASE_PATH_SIZE];

    struct mutex lock;
    unsigned char *said GUARDED_BY(lock); /* all that is sent, from its beginning */
    size_t len GUARDED_BY(lock), room GUARDED_BY(lock), said_max GUARDED_BY(lock);
    bool ended GUARDED_BY(lock);

    /* The thread's own. */
    size_t sent, piece;
    bool enough; /* the server keeps no more of it */
    bool lost;   /* also for whoever has ended it */
    int64_t lost_at_us;
    struct backoff backoff;
    int64_t extend_us, look_us, send_us; /* not before then */
};

/* ---- what is to be said */

static bool grow_locked(struct keeper *keeper, size_t size) REQUIRES(keeper->lock)
{
    size_t room = keeper->room > 0 ? keeper->room : 4096;
    while (room < size)
        room *= 2;
    if (room == keeper->room)
        return true;
    unsigned char *grown = realloc(keeper->said, room);
    if (grown == NULL)
        return false;
    keeper->said = grown;
    keeper->room = room;
    return true;
}

void keeper_output(void *context, const void *bytes, size_t size)
{
    struct keeper *keeper = context;
    mutex_lock(&keeper->lock);
    size_t left = keeper->said_max - keeper->len;
    if (size > left)
        size = left;
    /* When there is no memory for this piece, no later one is sent either: there would be a gap. */
    if (size == 0 || !grow_locked(keeper, keeper->len + size)) {
        keeper->said_max = keeper->len;
    } else {
        memcpy(keeper->said + keeper->len, bytes, size);
        keeper->len += size;
    }
    mutex_unlock(&keeper->lock);
    event_set(keeper->wake);
}

/* Text, though its last character may be cut in two? */
static bool is_text(const unsigned char *bytes, size_t size)
{
    for (size_t cut = 0; cut < 4 && cut < size; cut++)
        if (utf8_valid(bytes, size - cut))
            return true;
    return false;
}

/* The next thing to send; NULL: nothing, or memory is short. */
static struct jobd_blob *next_piece(struct keeper *keeper)
{
    struct jobd_blob *piece = NULL;
    mutex_lock(&keeper->lock);
    size_t size = keeper->len - keeper->sent;
    if (size > keeper->piece)
        size = keeper->piece;
    if (size > 0 && !keeper->enough) {
        const unsigned char *from = keeper->said + keeper->sent;
        piece = jobd_blob_new(size, is_text(from, size) ? TYPE_TEXT : NULL);
        if (piece != NULL)
            memcpy(piece->bytes, from, size);
    }
    mutex_unlock(&keeper->lock);
    return piece;
}

/* ---- requests */

/* True: it was done. An error that is about the server, not about the lease, is temporary. */
static bool ask(struct keeper *keeper, const char *what, struct jobd_blob *payload,
                struct http_answer *answer)
{
    char path[LEASE_PATH_SIZE + 64];
    snprintf(path, sizeof path, "%s%s", keeper->lease, what);
    const struct remote_request request = {
        .path = path, .payload = payload, .timeout_us = REQUEST_US, .stop_fd = -1};
    enum remote_end end = remote_ask(keeper->client, &request, answer);
    bool answered = end == REMOTE_ANSWERED;
    if (answered && (answer->status == 409 || answer->status == 404)) {
        keeper->lost = true;
        keeper->lost_at_us = clock_now_us();
        event_set(keeper->stop);
    }
    if (answered && answer->status == 200) {
        backoff_reset(&keeper->backoff);
        keeper->look_us = clock_after_us(LOOK_US);
        return true;
    }
    return false;
}

/* Tries again later. */
static int64_t later(struct keeper *keeper, const struct http_answer *answer)
{
    return clock_after_us(backoff_next(&keeper->backoff, answer->wait_for_s * CLOCK_SECOND_US));
}

static void extend(struct keeper *keeper)
{
    char what[64];
    struct http_answer answer;
    snprintf(what, sizeof what, "/extend?lease=%lldms", (long long)(keeper->lease_us / 1000));
    keeper->extend_us = ask(keeper, what, NULL, &answer)
                            ? clock_after_us(keeper->lease_us / EXTENDS)
                            : later(keeper, &answer);
}

/* Appends nothing: the answer says whether the lease is still good. */
static void look(struct keeper *keeper)
{
    struct http_answer answer;
    if (!ask(keeper, "/output", NULL, &answer))
        keeper->look_us = later(keeper, &answer);
}

static void send_piece(struct keeper *keeper, struct jobd_blob *piece)
{
    struct http_answer answer;
    char truncated[8];
    bool sent = ask(keeper, "/output", piece, &answer);
    keeper->send_us = sent ? clock_after_us(PIECES_US) : later(keeper, &answer);
    if (sent) {
        keeper->sent += piece->size;
        keeper->enough =
            remote_field(keeper->client, "Jobd-Output-Truncated", truncated, sizeof truncated);
    } else if (answer.status == 413) {
        keeper->piece /= 2;
        keeper->enough = keeper->piece < PIECE_LEAST_BYTES;
        keeper->send_us = 0;
    }
}

/* ---- the thread */

static bool has_ended(struct keeper *keeper)
{
    mutex_lock(&keeper->lock);
    bool ended = keeper->ended;
    mutex_unlock(&keeper->lock);
    return ended;
}

static bool has_more(struct keeper *keeper)
{
    mutex_lock(&keeper->lock);
    bool more = keeper->len > keeper->sent && !keeper->enough;
    mutex_unlock(&keeper->lock);
    return more;
}

static void wait_for_work(const struct keeper *keeper, bool more)
{
    int64_t until_us = keeper->extend_us < keeper->look_us ? keeper->extend_us : keeper->look_us;
    if (more && keeper->send_us < until_us)
        until_us = keeper->send_us;
    struct pollfd wake = {.fd = keeper->wake, .events = POLLIN};
    (void)poll(&wake, 1, clock_ms_until(until_us));
    event_clear(keeper->wake);
}

static void *keep(void *context)
{
    struct keeper *keeper = context;
    while (!keeper->lost && !has_ended(keeper)) {
        wait_for_work(keeper, has_more(keeper));
        int64_t now_us = clock_now_us();
        struct jobd_blob *piece =
            now_us >= keeper->send_us && !has_ended(keeper) ? next_piece(keeper) : NULL;
        if (piece != NULL)
            send_piece(keeper, piece);
        jobd_blob_unref(piece);
        if (!keeper->lost && now_us >= keeper->extend_us)
            extend(keeper);
        if (!keeper->lost && now_us >= keeper->look_us)
            look(keeper);
    }
    return NULL;
}

void keeper_send_rest(struct keeper *keeper)
{
    struct jobd_blob *piece;
    bool good = true;
    while (good && !keeper->lost && (piece = next_piece(keeper)) != NULL) {
        size_t sent = keeper->sent, size = keeper->piece;
        send_piece(keeper, piece);
        jobd_blob_unref(piece);
        good = keeper->sent > sent || keeper->piece < size;
    }
}

/* ---- from outside */

struct keeper *keeper_new(struct remote_client *client, int64_t lease_us, size_t output_max_bytes)
{
    struct keeper *keeper = calloc(1, sizeof *keeper);
    if (keeper == NULL)
        return NULL;
    if (mutex_init(&keeper->lock) != 0) {
        free(keeper);
        return NULL;
    }
    keeper->client = client;
    keeper->lease_us = lease_us;
    keeper->output_max = output_max_bytes;
    keeper->wake = event_new();
    keeper->stop = event_new();
    if (keeper->wake >= 0 && keeper->stop >= 0)
        return keeper;
    keeper_free(keeper);
    return NULL;
}

void keeper_free(struct keeper *keeper)
{
    if (keeper == NULL)
        return;
    if (keeper->wake >= 0)
        close(keeper->wake);
    if (keeper->stop >= 0)
        close(keeper->stop);
    mutex_lock(&keeper->lock);
    free(keeper->said);
    mutex_unlock(&keeper->lock);
    mutex_release(&keeper->lock);
    free(keeper);
}

int keeper_begin(struct keeper *keeper, const char *lease)
{
    snprintf(keeper->lease, sizeof keeper->lease, "%s", lease);
    event_clear(keeper->wake);
    event_clear(keeper->stop);
    mutex_lock(&keeper->lock);
    keeper->len = 0;
    keeper->said_max = keeper->output_max;
    keeper->ended = false;
    mutex_unlock(&keeper->lock);
    keeper->sent = 0;
    keeper->piece = PIECE_BYTES;
    keeper->enough = keeper->lost = false;
    keeper->lost_at_us = JOBD_NEVER;
    backoff_reset(&keeper->backoff);
    keeper->extend_us = clock_after_us(keeper->lease_us / EXTENDS);
    keeper->look_us = clock_after_us(LOOK_US);
    keeper->send_us = clock_after_us(PIECES_US); /* a shorter command's output is sent at its end */
    return thread_start(&keeper->thread, keep, keeper);
}

int keeper_stop_descriptor(const struct keeper *keeper)
{
    return keeper->stop;
}

bool keeper_end(struct keeper *keeper)
{
    mutex_lock(&keeper->lock);
    keeper->ended = true;
    mutex_unlock(&keeper->lock);
    event_set(keeper->wake);
    verify(pthread_join(keeper->thread, NULL) == 0);
    return !keeper->lost;
}

int64_t keeper_lost_at_us(const struct keeper *keeper)
{
    return keeper->lost_at_us;
}
