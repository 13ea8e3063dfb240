/* SPDX-License-Identifier: MIT */
/* A reply whose body goes out in parts, as they come to be: output that is followed, events.
 *
 *     read() gives bytes ──> they go out ──> read() again, once the client has taken them
 *            STREAM_LATER ──> the connection is suspended ──> http_stream_wake() ──> read() again
 *            STREAM_END ──> the body is complete
 *     free() once, whatever ended it
 *
 * A client that does not take a part in the time a reply may last is cut, and one that closes the
 * connection, or half of it, is noticed at once; no other client waits for either. The reply to
 * HEAD has no body, and read() is not called.
 *
 * Where nobody knows how long it will be, a server that stops ends the body after what has gone
 * out; it is chunked, for a client of HTTP/1.0 it ends with the connection. Where that is known,
 * the header says so, parts are larger, and what ends early cuts the connection. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* One that goes out. */
struct http_stream;

enum { STREAM_LATER = 0, STREAM_END = -1 };

/* What an endpoint gives: `read` may be called from the moment the reply is given until free() is,
 * both in one of the server's threads, with none of its locks held. Neither may block. */
struct reply_stream {
    /* Up to `max` bytes, at least one, into `to`: how many; or one of the above. `stream` is what
     * to wake: by whoever learns of it here, until free() returns. */
    ssize_t (*read)(void *context, struct http_stream *stream, char *to, size_t max);
    void (*free)(void *context);
    void *context; /* taken */
    uint64_t size; /* of all parts together; then read() does not say STREAM_LATER. 0: not known */
};

/* There is more, or the end has come: read() will be called. Any thread, also while read() or
 * free() runs, so that no wake is lost that comes before STREAM_LATER is returned; but not after
 * free(). So the caller must hold a lock that free() takes too, and under which free() makes it
 * forget the stream. Does not block; takes loop.lock. */
void http_stream_wake(struct http_stream *stream);
