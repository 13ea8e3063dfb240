/* SPDX-License-Identifier: MIT */
/* The acceptor: one thread that accepts connections from all listening sockets and hands them over.
 *
 * One too many, in all or from an address, is told so and closed. When the system has no descriptor
 * or memory for another, accepting pauses. The same thread sweeps: it cuts connections that are too
 * late (deadlines.h), and watches for clients that hang up while the HTTP library is not looking.
 *
 *     events ──> accept, hand over │ a hang-up │ a refused client's rest │ the stop
 *     then    ──> is the pause over? is accepting to stop? is a sweep due?
 *     then    ──> sleep until the next of these, for ever when nobody is connected */
#pragma once

#include <sys/socket.h>

#include "http/deadlines.h"
#include "http/listen.h"

struct acceptor_config {
    struct listeners *listeners; /* borrowed; closed by acceptor_stop() */
    struct conn_table *conns;    /* borrowed */
    bool mute; /* connections speak TLS: a client that is refused, or cut, is told nothing */
    /* A new connection: takes the descriptor. Must not block. */
    void (*hand_over)(void *context, int fd, const struct sockaddr *address, socklen_t size);
    void (*refused)(void *context, const struct sockaddr *address); /* one too many */
    void *context;                                                  /* of these two */
    struct conn_events events;
};

struct acceptor;

/* 0 and *acceptor, or -errno. Starts no thread. */
__attribute__((warn_unused_result)) int acceptor_new(struct acceptor **acceptor,
                                                     const struct acceptor_config *config);
/* 0 or -errno. */
__attribute__((warn_unused_result)) int acceptor_start(struct acceptor *acceptor);
/* Cuts idle connections, accepts what is in the backlog then, closes the listening sockets, lets
 * replies finish for at most wait_ms, and cuts what is left. In this order, so that a client that
 * loses an idle connection while it sends a request can connect again. Blocks. Does nothing when it
 * was not started. */
void acceptor_stop(struct acceptor *acceptor, int64_t wait_ms);
/* After acceptor_stop(), or when it was never started. Takes NULL. */
void acceptor_free(struct acceptor *acceptor);

/* Begins to watch for a hang-up of the client of a suspended connection. In the loop's thread. */
void acceptor_watch_hangup(struct acceptor *acceptor, struct conn *conn);
void acceptor_unwatch_hangup(struct acceptor *acceptor, struct conn *conn);
