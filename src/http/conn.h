/* SPDX-License-Identifier: MIT */
/* One connection: its phase, and until when that may last.
 *
 * Both stand in one atomic word. A connection is served by its loop's thread and cut by the
 * acceptor's: whoever changes the word first has won, and the other sees that.
 *
 *       FREE                                    ┌──────> PARKED ──┐
 *         │ accepted                            │        waits    │
 *         v                                     │        for a job│
 *        NEW ──> HEADER ────────────────────> REPLY <─────────────┘
 *                 ^  │                         ^ │ │
 *                 │  └──────────> BODY ────────┘ │ └────> STREAM <──> STREAM_PARKED
 *     the next    │                              │          │         waits for its
 *     request     └──────── IDLE <───────────────┴──────────┘         next bytes
 *
 * A request may end early, so IDLE follows on all phases of one. A connection that is too late is
 * CUT, from any phase but FREE and PARKED: its socket is shut down, and the HTTP library closes it.
 * Once closed it is FREE, from any phase.
 *
 *     phase           may last                     what holds
 *     FREE            for ever                     nobody is connected; fd is -1
 *     NEW             header_ms                    no request line yet; with TLS, the handshake
 *     HEADER          header_ms; a connection's    a request line is there
 *                     first one began with NEW
 *     BODY            body_ms                      the header is sound, the body is wanted
 *     REPLY           reply_ms, more for a large   the endpoint decides, or the reply goes out
 *                     one
 *     PARKED          for ever                     suspended in the HTTP library; the engine has
 *                                                  its waiter
 *     STREAM          reply_ms, anew whenever the  a part of the reply goes out
 *                     client has taken a part
 *     STREAM_PARKED   for ever                     suspended in the HTTP library; what has come
 *                                                  so far is with the client
 *     IDLE            idle_ms                      between two requests
 *     CUT             CONN_STUCK_MS, then the      nothing is served any more, the HTTP library is
 *                     loop looks after it          to close it; the socket is shut down, perhaps
 *                                                  after a last answer (canned.h)
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum phase {
    PHASE_FREE,
    PHASE_NEW,
    PHASE_HEADER,
    PHASE_BODY,
    PHASE_REPLY,
    PHASE_PARKED,
    PHASE_STREAM,
    PHASE_STREAM_PARKED,
    PHASE_IDLE,
    PHASE_CUT,
    PHASES
};

enum { CONN_STUCK_MS = 1000 }; /* a cut connection is closed by then, or was forgotten */

/* How long a client may take. */
struct conn_times {
    int64_t header_ms, body_ms, reply_ms, idle_ms;
    int64_t slowest_bytes_per_s; /* of replies that conn_extend_deadline() knows of */
};

/* What a connection's word says. */
struct conn_state {
    enum phase phase;
    int64_t deadline_ms; /* by clock_coarse_ms(); 0: none */
};

struct address;

struct conn {
    _Atomic uint64_t word;          /* conn.c's */
    const struct conn_times *times; /* borrowed from its table */
    int fd;
    uint32_t index, generation; /* in its table; how often it has been another connection */
    bool started;               /* the HTTP library has taken it up */
    bool hangup_watched;
    atomic_bool timed_out;    /* cut as its client was too slow, which it was told */
    bool from_local;          /* came in over a loopback or unix socket */
    bool from_unix;           /* came in over a unix socket */
    bool of_proxy;            /* a proxy that is believed who its clients are */
    struct conn_state probed; /* when it was last asked whether its client is still there */
    struct address *address;  /* for which it counts; NULL: none, as with a unix socket */
    void *loop;               /* which serves it, as conn_start() was told */
    void *owner; /* the HTTP layer's, from malloc(); stays with the entry and is freed with it */
};

struct conn_state conn_state(const struct conn *conn);
enum phase conn_phase(const struct conn *conn);

/* Moves from the state *seen to this one: the only way to change the state. The move must be legal.
 * False when the state is another one by now; then *seen is that one. Any thread. */
bool conn_move(struct conn *conn, struct conn_state *seen, enum phase phase, int64_t deadline_ms);

/* Enters a phase, perhaps the same one again, with that phase's deadline. now_ms is
 * clock_coarse_ms(). False when the connection was cut before. In the loop's thread. */
bool conn_enter(struct conn *conn, enum phase phase, int64_t now_ms);

/* In PHASE_REPLY: the reply has so many bytes, and time for them is added. In the loop's thread. */
void conn_extend_deadline(struct conn *conn, size_t bytes);

/* Has its client closed the connection, or half of it? Bytes that it sent before may still be
 * unread, such as TLS's close_notify. */
bool conn_hung_up(const struct conn *conn);
/* The same, and nothing is left to be read? */
bool conn_client_left(const struct conn *conn);
