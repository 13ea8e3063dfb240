/* SPDX-License-Identifier: MIT */
/* Replies that are streams.
 *
 * libmicrohttpd asks read_part() for the next part when the former is with the system. When there
 * is none yet, the connection is suspended in that very call. It is resumed by its loop alone, in
 * the thread that suspends: a wake only puts the stream on the loop's list, so that it may come at
 * any time, and one that comes before the suspension is found behind it.
 *
 * A stream ends with its request (stream_end), its memory with libmicrohttpd's response. */
#include "http/mhd.h"

#include <netinet/tcp.h>
#include <stdlib.h>

#include "base/verify.h"

enum {
    BLOCK_BYTES = 4096,  /* at most in a part, for HTTP/1.0; else the pool's rest bounds it */
    SIZED_BYTES = 65536, /* the same where the size of all is known */
    UNSENT_BYTES = 16384 /* that the system takes beyond what is on its way to the client */
};

struct http_stream {
    struct loop *loop;
    struct exchange *exchange; /* NULL: it has ended */
    struct reply_stream reply;
    bool suspended;
    TAILQ_ENTRY(http_stream) entry;       /* in the loop's list of all */
    bool woken GUARDED;                   /* by the loop's lock, as is the next */
    TAILQ_ENTRY(http_stream) woken_entry; /* in the loop's list of those */
};

/* Bounds what the system holds unsent; 0: as usual. Without this it would take megabytes and ask
 * for more only when a third of them is gone, and a client that reads slowly would look like one
 * that does not read. No effect on unix sockets. */
static void bound_unsent(const struct exchange *exchange, int bytes)
{
    (void)setsockopt(exchange->conn->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes);
}

/* ---- its parts */

static ssize_t suspend(struct http_stream *stream)
{
    struct exchange *exchange = stream->exchange;
    if (!exchange_enter(exchange, PHASE_STREAM_PARKED))
        return MHD_CONTENT_READER_END_WITH_ERROR;
    stream->suspended = true;
    atomic_fetch_add(&stream->loop->http->streams_parked, 1);
    MHD_suspend_connection(exchange->connection);
    return 0;
}

static void resume(struct http_stream *stream)
{
    if (!stream->suspended)
        return;
    stream->suspended = false;
    atomic_fetch_sub(&stream->loop->http->streams_parked, 1);
    MHD_resume_connection(stream->exchange->connection);
}

static bool is_sized(const struct http_stream *stream)
{
    return stream->reply.size > 0;
}

/* For libmicrohttpd. What it has asked for before is with the system now: the client takes it. */
static ssize_t read_part(void *context, uint64_t at, char *to, size_t max)
{
    struct http_stream *stream = context;
    (void)at;
    if (stream->exchange == NULL || !exchange_enter(stream->exchange, PHASE_STREAM))
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (atomic_load(&stream->loop->http->draining) && !is_sized(stream))
        return MHD_CONTENT_READER_END_OF_STREAM;
    ssize_t size = stream->reply.read(stream->reply.context, stream, to, max);
    verify(size >= STREAM_END && (size < 0 || (size_t)size <= max));
    if (size == STREAM_END)
        return is_sized(stream) ? MHD_CONTENT_READER_END_WITH_ERROR
                                : MHD_CONTENT_READER_END_OF_STREAM;
    if (size == STREAM_LATER)
        return suspend(stream);
    access_part(stream->exchange, (size_t)size);
    return size;
}

/* ---- waking */

void http_stream_wake(struct http_stream *stream)
{
    struct loop *loop = stream->loop;
    mutex_lock(&loop->lock);
    bool first = !stream->woken;
    if (first)
        TAILQ_INSERT_TAIL(&loop->woken_streams, stream, woken_entry);
    stream->woken = true;
    mutex_unlock(&loop->lock);
    if (first)
        loop_wake(loop);
}

static struct http_stream *next_woken(struct loop *loop)
{
    mutex_lock(&loop->lock);
    struct http_stream *stream = TAILQ_FIRST(&loop->woken_streams);
    if (stream != NULL) {
        TAILQ_REMOVE(&loop->woken_streams, stream, woken_entry);
        stream->woken = false;
    }
    mutex_unlock(&loop->lock);
    return stream;
}

void streams_resume_woken(struct loop *loop)
{
    struct http_stream *stream;
    while ((stream = next_woken(loop)) != NULL)
        resume(stream);
}

void streams_resume_all(struct loop *loop)
{
    struct http_stream *stream;
    TAILQ_FOREACH (stream, &loop->streams, entry)
        resume(stream);
}

bool stream_resume_cut(struct exchange *exchange)
{
    struct http_stream *stream = exchange->stream;
    bool suspended = stream != NULL && stream->suspended;
    if (suspended)
        resume(stream);
    return suspended;
}

/* ---- its life */

void stream_end(struct exchange *exchange)
{
    struct http_stream *stream = exchange->stream;
    struct loop *loop = stream->loop;
    acceptor_unwatch_hangup(loop->http->acceptor, exchange->conn);
    bound_unsent(exchange, 0);
    exchange->stream = NULL;
    stream->exchange = NULL;
    if (stream->suspended)
        atomic_fetch_sub(&loop->http->streams_parked, 1);
    stream->suspended = false;
    TAILQ_REMOVE(&loop->streams, stream, entry);
    stream->reply.free(stream->reply.context); /* nobody wakes it from here on */
    mutex_lock(&loop->lock);
    if (stream->woken)
        TAILQ_REMOVE(&loop->woken_streams, stream, woken_entry);
    stream->woken = false;
    mutex_unlock(&loop->lock);
}

/* For libmicrohttpd, when the response goes. */
static void release(void *context)
{
    struct http_stream *stream = context;
    if (stream->exchange != NULL)
        stream_end(stream->exchange);
    free(stream);
}

/* For libmicrohttpd, of a reply to HEAD. */
static ssize_t read_nothing(void *context, uint64_t at, char *to, size_t max)
{
    (void)context, (void)at, (void)to, (void)max;
    return MHD_CONTENT_READER_END_OF_STREAM;
}

/* A header that promises a body of unknown size. */
static struct MHD_Response *header_only(void)
{
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_nothing, NULL, NULL);
    if (response != NULL && !fix_chunked_head(response)) {
        MHD_destroy_response(response);
        return NULL;
    }
    return response;
}

static struct MHD_Response *body_of(struct exchange *exchange, const struct reply_stream *reply)
{
    struct loop *loop = exchange->loop;
    struct http_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL)
        return NULL;
    const bool sized = reply->size > 0;
    struct MHD_Response *response = MHD_create_response_from_callback(
        sized ? reply->size : MHD_SIZE_UNKNOWN, sized ? SIZED_BYTES : BLOCK_BYTES, read_part,
        stream, release);
    if (response == NULL) {
        free(stream);
        return NULL;
    }
    stream->loop = loop;
    stream->exchange = exchange;
    stream->reply = *reply;
    exchange->stream = stream;
    TAILQ_INSERT_TAIL(&loop->streams, stream, entry);
    if (!sized)
        bound_unsent(exchange, UNSENT_BYTES);
    acceptor_watch_hangup(loop->http->acceptor, exchange->conn);
    return response;
}

struct MHD_Response *stream_response(struct exchange *exchange, const struct reply_stream *reply)
{
    struct MHD_Response *response = NULL;
    bool head = exchange->request.method == METHOD_HEAD;
    /* In its phase before it is watched: a hang-up is told once. */
    if (!head && exchange_enter(exchange, PHASE_STREAM))
        response = body_of(exchange, reply);
    if (response == NULL)
        reply->free(reply->context);
    return head ? header_only() : response;
}
