/* SPDX-License-Identifier: MIT */
/* What the files that know libmicrohttpd share; no other file includes this, or microhttpd.h. */
#pragma once

#include <bsd/sys/queue.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "http/gate.h"
#include "http/headers.h"
#include "http/http.h"
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
enum wait { WAIT_BEGUN, WAIT_SUSPENDED, WAIT_OVER };

/* What is wrong with libmicrohttpd while a connection does this; see mhd_fixes.c. */
enum watch { WATCH_NONE, WATCH_HANDSHAKE, WATCH_ASLEEP, WATCH_HEADER, WATCH_CHUNKS, WATCHES };

/* Why a request is refused before any endpoint sees it. */
struct request_error {
    unsigned status;
    const char *why; /* one line without a line feed */
};

#define BODY_TOO_LARGE "the body is larger than --max-body allows"

/* One connection as the HTTP layer sees it, and its request of the moment. */
struct exchange {
    struct loop *loop;
    struct slot *slot;
    struct MHD_Connection *connection;
    enum stage stage;
    _Atomic enum wait wait;
    enum watch watched;
    TAILQ_ENTRY(exchange) entry; /* in the loop's list of those */
    unsigned turns;              /* of the loop, that changed nothing */
    size_t target_size;          /* as the request line said it */
    bool target_bad;             /* it had a NUL, encoded */
    bool malformed;              /* its header has what libmicrohttpd does not hand out */
    const struct request_error
        *refused;      /* not NULL: at the end of its body, which is thrown away */
    bool gone;         /* parked, and the client has hung up */
    size_t body_used;  /* of request.body */
    size_t charged;    /* for body and reply, by http_charge() */
    size_t parameters; /* in the query */
    struct headers headers;
    struct request request;
};

/* A connection on its way from the gate to a loop. */
struct accepted {
    int fd;
    socklen_t address_size;
    struct sockaddr_in6 address; /* the largest there is; of a unix socket only the family */
};

/* A connection that was cut but not closed. */
struct stuck {
    struct slot *slot;
    uint32_t generation;
};

/* One libmicrohttpd daemon and the thread that runs it. */
struct loop {
    struct http *http;
    struct MHD_Daemon *daemon;
    int events, wakeup; /* the daemon's epoll descriptor; an eventfd that ends a poll() */
    pthread_t thread;
    bool started;
    atomic_bool over, woken; /* woken: and has not looked yet */
    _Atomic uint32_t connections;
    TAILQ_HEAD(watched, exchange) watched[WATCHES];
    int sleepers;   /* an epoll descriptor: of WATCH_ASLEEP those whose client goes on */
    bool saw_start; /* MHD_add_connection() got so far */
    struct mutex lock;
    struct accepted *accepted GUARDED_BY(lock);
    uint32_t accepted_len GUARDED_BY(lock);
    struct stuck *stuck GUARDED_BY(lock);
    uint32_t stuck_len GUARDED_BY(lock);
};

struct shared_reply {
    struct MHD_Response *keeps, *closes; /* the connection */
    unsigned status;
};

struct http {
    struct http_config config;
    request_handler *serve;
    request_admitter *admits;
    void *context;
    struct gate *gate;
    struct loop loops[LOOPS_MAX];
    unsigned loops_len;
    struct shared_reply shared[SHARED_MAX];
    unsigned shared_len;
    atomic_bool draining;
    _Atomic uint32_t parked;
    _Atomic size_t bytes; /* of bodies and replies under way */
    _Atomic uint64_t replies[6];
};

/* ---- mhd_loop.c */

/* A connection in this loop was resumed: the loop shall look. Any thread. */
void loop_wake(struct loop *loop);
/* In the loop's thread, before it looks. */
void loop_take_wakeup(struct loop *loop);

/* ---- budget.c */

/* So many bytes more of the exchange are under way, until its end. False when these are too many;
 * never for what `must` be. Any of the loops' threads. */
bool http_charge(struct exchange *exchange, size_t size, bool must);
void http_discharge(struct exchange *exchange);

/* ---- request.c */

/* Zeros all but the waiter's wake(). Its body has been dropped, and nothing waits. */
void request_reset(struct request *request);

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

/* ---- mhd_fixes.c: in the loop's thread */

void watch_init(struct loop *loop);
/* From now on, until the next of these. WATCH_NONE when the connection is closed at the latest. */
void watch(struct exchange *exchange, enum watch what);
/* After a turn of the daemon. */
void watch_turn(struct loop *loop);
/* `sleepers` is readable; or nobody may sleep any more. */
void watch_wake(struct loop *loop);
void watch_wake_all(struct loop *loop);
/* libmicrohttpd says this for the log. When it is about to refuse a header in two answers, and it
 * can be told whose, that is refused here in one. */
void watch_message(struct loop *loop, const char *format);
/* The gate has reported some. */
void watch_close_stuck(struct loop *loop);

/* ---- mhd_request.c: what libmicrohttpd calls, with the loop as context */

enum MHD_Result request_handle(void *context, struct MHD_Connection *connection, const char *path,
                               const char *method, const char *version, const char *data,
                               size_t *data_size, void **request);
void *request_begins(void *context, const char *target, struct MHD_Connection *connection);
void request_ended(void *context, struct MHD_Connection *connection, void **request,
                   enum MHD_RequestTerminationCode why);
void connection_changed(void *context, struct MHD_Connection *connection, void **socket_context,
                        enum MHD_ConnectionNotificationCode what);

/* The client of a parked request has hung up; its wait is over already. */
void request_hung_up(struct exchange *exchange);
