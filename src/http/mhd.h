/* SPDX-License-Identifier: MIT */
/* What the files that know libmicrohttpd share; no other file includes this, mhd_fixes.h or
 * microhttpd.h. */
#pragma once

#include <bsd/sys/queue.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "http/acceptor.h"
#include "http/conn_table.h"
#include "http/headers.h"
#include "http/http.h"
#include "http/mhd_fixes.h"
#include "http/mhd_gate.h"
#include "base/lock.h"
#include "http/request.h"

enum {
    LOOPS_MAX = 16,
    SHARED_MAX = 80, /* the api's busy replies, 60, and some more */
    TYPE_SIZE = 256
};

/* Where a request stands. */
enum stage { STAGE_HEADER, STAGE_BODY, STAGE_SERVED, STAGE_PARKED };

/* A waiter may be woken before the connection that waits could be suspended: whoever comes second
 * sees that the other was there.
 *
 *     loop:    BEGUN ── starts the wait ── suspends ── BEGUN to SUSPENDED; was it OVER, resumes
 *     waker:                    to OVER; was it SUSPENDED, resumes */
enum parking { PARK_BEGUN, PARK_SUSPENDED, PARK_OVER };

/* Why a request is refused before any endpoint sees it. */
struct request_error {
    unsigned status;
    const char *why; /* one line without a line feed */
};

#define BODY_TOO_LARGE "the body is larger than --max-body allows"

/* One connection as the HTTP layer sees it, and its request of the moment. */
struct exchange {
    struct loop *loop;
    struct conn *conn;
    struct MHD_Connection *connection;
    enum stage stage;
    _Atomic enum parking wait;
    struct quirk quirk;
    struct gate gate;
    const char *target; /* where the request line has it, for request_decode() alone */
    bool target_whole;  /* it was a whole URI, with its authority */
    const struct request_error
        *refused;               /* not NULL: at the end of its body, which is thrown away */
    bool gone;                  /* parked, and the client has hung up */
    size_t body_used;           /* of request.body */
    unsigned parameters;        /* in the query */
    struct http_stream *stream; /* its reply is one; NULL: is none */
    struct access *access;      /* for the access log, from malloc(); NULL: none yet */
    bool access_open;           /* a request of which no line is written yet */
    struct headers headers;
    struct request request;
};

/* A connection on its way from the acceptor to a loop. */
struct accepted {
    int fd;
    socklen_t address_size;
    struct sockaddr_in6 address; /* the largest there is; of a unix socket only the family */
};

/* A connection that was cut but not closed. */
struct stuck {
    struct conn *conn;
    uint32_t generation;
};

/* One libmicrohttpd daemon and the thread that runs it. */
struct loop {
    struct http *http;
    struct MHD_Daemon *daemon;
    int events, wakeup; /* the daemon's epoll descriptor; an eventfd that ends a poll() */
    int64_t now_ms;     /* by clock_coarse_ms(), when this turn of it began */
    pthread_t thread;
    bool started;
    atomic_bool over, woken; /* woken: and has not looked yet */
    _Atomic uint32_t connections;
    struct quirks quirks;
    struct kick_list kicks;
    TAILQ_HEAD(stream_list, http_stream) streams; /* all; its own thread only */
    bool saw_start;                               /* MHD_add_connection() got so far */
    struct mutex lock;
    struct accepted *accepted GUARDED_BY(lock);
    uint32_t accepted_len GUARDED_BY(lock);
    struct stream_list woken_streams GUARDED_BY(lock);
    struct stuck *stuck GUARDED_BY(lock);
    uint32_t stuck_len GUARDED_BY(lock);
};

struct shared_reply {
    struct MHD_Response *keeps, *closes; /* the connection */
    unsigned status;
    size_t bytes; /* of its body */
};

struct http {
    struct http_config config;
    request_handler *serve;
    request_admitter *admits;
    void *context;
    struct conn_table conns;
    _Atomic(struct exchange *) *exchanges; /* by descriptor; conns.by_fd_len of them */
    struct acceptor *acceptor;
    struct loop loops[LOOPS_MAX];
    unsigned loops_len;
    struct shared_reply shared[SHARED_MAX];
    unsigned shared_len;
    atomic_bool draining;
    _Atomic uint32_t parked;         /* requests */
    _Atomic uint32_t streams_parked; /* replies that are streams, and suspended */
    struct jobd_budget budget;       /* of bodies and replies under way */
    _Atomic uint64_t replies[6];
};

/* ---- mhd_wake.c */

/* A connection in this loop was resumed: the loop shall look. Any thread. */
void loop_wake(struct loop *loop);
/* In the loop's thread, before it looks. */
void loop_take_wakeup(struct loop *loop);

/* ---- mhd_exchange.c: in the loop's thread */

/* As conn_enter(), by the time of this turn of the loop. */
static inline bool exchange_enter(struct exchange *exchange, enum phase phase)
{
    return conn_enter(exchange->conn, phase, exchange->loop->now_ms);
}

/* NULL: none. */
struct exchange *exchange_of(struct MHD_Connection *connection);
struct exchange *exchange_at(struct http *http, int fd);
void exchange_set_at(struct http *http, int fd, struct exchange *exchange);

/* ---- budget.c */

void budget_init(struct jobd_budget *budget, size_t bytes);
/* As counted. Any thread. */
size_t budget_used(const struct jobd_budget *budget);
/* The exchange's request gets its accounts, with nothing in them. */
void budget_open(struct exchange *exchange);
/* One of these has no more than so many bytes from here on; who waits for them is served. */
void budget_trim(struct exchange *exchange, struct jobd_account *account, size_t bytes);

/* ---- request.c */

/* Zeros all but the waiter's wake(). Its body has been dropped, and nothing waits. */
void request_reset(struct request *request);
/* Ends its wait early: as jobd_leave() says. */
bool request_leave(struct jobd *jobd, struct request *request);

/* ---- body.c: in the loop's thread */

/* Some more of it has come. */
void body_add(struct exchange *exchange, const char *data, size_t size);
/* It is whole. */
void body_end(struct exchange *exchange);
/* It is not needed any more; what the engine has taken is not given back. */
void body_drop(struct exchange *exchange);

/* ---- mhd_reply.c */

/* In PHASE_REPLY. Takes what the reply owns, also on failure. */
enum MHD_Result reply_send(struct exchange *exchange, struct reply *reply);
/* For the statistics, when the answer did not go through reply_send(). */
void reply_count(struct http *http, unsigned status);

/* ---- mhd_proxied.c: a connection of a proxy that is believed; in the loop's thread */

/* Its header is complete: whom it is of, as the access log shows and --max-per-address counts.
 * False when that one has too many. */
bool proxied_begin(struct exchange *exchange);
/* Once more does nothing. */
void proxied_end(struct exchange *exchange);

/* ---- mhd_access.c: nothing is done where there is no access log; in the loop's thread */

/* Its first bytes have come. Once more does nothing. */
void access_begin(struct exchange *exchange);
/* Its first `size` bytes have come, with the first line, or a part of that. */
void access_request(struct exchange *exchange, const char *text, size_t size);
/* What it is answered; a part more of a reply that is a stream. */
void access_reply(struct exchange *exchange, unsigned status, uint64_t bytes);
void access_part(struct exchange *exchange, size_t bytes);
/* It is over: its line. Once more does nothing. */
void access_end(struct exchange *exchange);
/* Its connection is closed: a line if that was refused without a request. */
void access_close(struct exchange *exchange);
/* Who its client is, as a proxy says. */
void access_client(struct exchange *exchange, const struct sockaddr *client);
/* A connection was one too many. Any thread. */
void access_refused(const struct http *http, const struct sockaddr *from);

/* ---- mhd_stream.c: in the loop's thread */

/* In PHASE_REPLY. Takes the stream, also on failure: NULL when memory is short, or it was cut. */
struct MHD_Response *stream_response(struct exchange *exchange, const struct reply_stream *reply);
/* Its request ends. Nothing when it has none. */
void stream_end(struct exchange *exchange);
void streams_resume_woken(struct loop *loop);
void streams_resume_all(struct loop *loop);
/* It was cut; false when its connection is not suspended for a stream. */
bool stream_resume_cut(struct exchange *exchange);

/* ---- mhd_loop.c */

/* The next of the server's loops. 0 or -errno; loop_release() undoes what has begun. */
int loop_start(struct loop *loop, struct http *http);
/* Its thread ends. Nothing when it was not started. */
void loop_join(struct loop *loop);
/* Once no thread can wake any loop any more. */
void loop_release(struct loop *loop);
/* For the acceptor: a new connection, whose descriptor is taken; and one that was cut and is still
 * there, under the connections' lock. */
void loop_hand_over(struct loop *loop, const struct accepted *accepted);
void loop_look_after(struct loop *loop, struct conn *conn);

/* ---- mhd_request.c: what libmicrohttpd calls, with the loop as context */

enum MHD_Result request_handle(void *context, struct MHD_Connection *connection, const char *path,
                               const char *method, const char *version, const char *data,
                               size_t *data_size, void **request);
void *request_begins(void *context, const char *target, struct MHD_Connection *connection);
/* Decodes a path, a parameter's name or its value in place; its new length. */
size_t request_decode(void *context, struct MHD_Connection *connection, char *text);
void request_ended(void *context, struct MHD_Connection *connection, void **request,
                   enum MHD_RequestTerminationCode why);
void connection_changed(void *context, struct MHD_Connection *connection, void **socket_context,
                        enum MHD_ConnectionNotificationCode what);

/* The client of a parked request has hung up; its wait is over already. */
void request_hung_up(struct exchange *exchange);
