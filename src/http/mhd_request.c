/* SPDX-License-Identifier: MIT */
/* One request: its header is judged, its body collected, it is served, perhaps parked, answered. */
#include "http/mhd.h"

#include <stdlib.h>
#include <string.h>

#include "http/cors.h"
#include "http/target.h"
#include "base/container.h"
#include "base/verify.h"

/* ---- refusals */

/* It was cut. The thread that did so may be just about to tell the client why: closes after
 * that. */
static enum MHD_Result end_cut(struct exchange *exchange)
{
    conn_await_cut(&exchange->loop->http->conns);
    return MHD_NO;
}

/* An error before any endpoint. */
static enum MHD_Result refuse(struct exchange *exchange, const struct request_error *error)
{
    struct reply reply = {.close = true, .retry_after_s = error->status == 503};
    if (!exchange_enter(exchange, PHASE_REPLY))
        return end_cut(exchange);
    reply_error(&reply, headers_want_json(&exchange->headers), error->status, error->why);
    return reply_send(exchange, &reply);
}

/* ---- what is wrong with a header: the first row that does not pass */

/* A server without tokens, which only its own machine can reach, checks where a request is from. */
static bool is_from_here(struct exchange *exchange)
{
    const struct conn *conn = exchange->conn;
    return exchange->loop->http->config.has_tokens || !conn->from_local || conn->from_unix ||
           headers_from_here(&exchange->headers, exchange->request.cors_allowed,
                             &exchange->headers.why);
}

static bool has_plain_content(struct exchange *exchange)
{
    return headers_plain_content(&exchange->headers);
}

static bool has_body_that_fits(struct exchange *exchange)
{
    return exchange->headers.length <= exchange->loop->http->config.body_max_bytes;
}

static bool is_of_client_with_few(struct exchange *exchange)
{
    return !exchange->conn->of_proxy || proxied_begin(exchange);
}

/* why NULL: what the headers say. */
static const struct check {
    bool (*passes)(struct exchange *exchange);
    struct request_error error;
} checks[] = {
    {is_from_here, {403, NULL}},
    {has_plain_content, {415, "Content-Encoding is not supported"}},
    {has_body_that_fits, {413, BODY_TOO_LARGE}},
    {is_of_client_with_few, {503, "too many requests from your address"}},
};

/* NULL when nothing is. */
static const struct check *failed_check(struct exchange *exchange)
{
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++)
        if (!checks[i].passes(exchange))
            return &checks[i];
    return NULL;
}

static enum MHD_Result refuse_for(struct exchange *exchange, const struct check *check)
{
    struct request_error error = check->error;
    if (error.why == NULL)
        error.why = exchange->headers.why;
    return refuse(exchange, &error);
}

/* ---- a request's way */

/* Whether the target was a whole URI is known before it is decoded; a decoded path may look like
 * one. */
static const char *path_in(struct exchange *exchange, const char *target)
{
    return exchange->target_whole ? headers_target(&exchange->headers, target) : target;
}

/* Checks the token before the body is read. */
static bool admitted(struct exchange *exchange, const char *target, struct reply *reply)
{
    const struct http *http = exchange->loop->http;
    exchange->request.path = path_in(exchange, target);
    exchange->request.source = exchange->connection;
    return http->admits(&exchange->request, reply, http->context);
}

static enum MHD_Result begin_body(struct exchange *exchange, const char *target)
{
    char fields[REPLY_FIELDS_BYTES];
    struct reply reply = {.status = 500, .type = TYPE_TEXT, .fields = fields};
    if (!admitted(exchange, target, &reply)) {
        reply.close = true;
        return exchange_enter(exchange, PHASE_REPLY) ? reply_send(exchange, &reply)
                                                     : end_cut(exchange);
    }
    return exchange_enter(exchange, PHASE_BODY) ? MHD_YES : end_cut(exchange);
}

/* The header is complete and sound. A request that is refused here is answered at once, after which
 * libmicrohttpd closes the connection; so a good one must not be answered yet. */
static enum MHD_Result begin(struct exchange *exchange, const char *target, const char *method)
{
    struct headers *headers = &exchange->headers;
    struct request *request = &exchange->request;
    exchange->stage = STAGE_BODY;
    (void)path_in(exchange, target);
    request->method = method_named(method);
    request->cors_allowed = cors_allows(headers, exchange->loop->http->config.cors_origin);
    const struct check *failed = failed_check(exchange);
    if (failed != NULL)
        return refuse_for(exchange, failed);
    request->wants_json = headers_want_json(headers);
    headers_trace(headers, request->trace, sizeof request->trace);
    return headers->chunked || headers->length > 0 ? begin_body(exchange, target) : MHD_YES;
}

/* Its wait has begun. */
static enum MHD_Result park(struct exchange *exchange)
{
    struct http *http = exchange->loop->http;
    enum parking begun = PARK_BEGUN;
    /* Its connection was cut in the meantime: there is nobody to answer. */
    if (!exchange_enter(exchange, PHASE_PARKED) &&
        request_leave(http->config.jobd, &exchange->request))
        return MHD_NO;
    /* Where queues are shared, its turn may be filling in the request at this moment. */
    if (!jobd_shared(http->config.jobd) && exchange->request.body_in)
        budget_trim(exchange, &exchange->request.body_account, 0);
    exchange->stage = STAGE_PARKED;
    atomic_fetch_add(&http->parked, 1);
    MHD_suspend_connection(exchange->connection);
    if (!atomic_compare_exchange_strong(&exchange->wait, &begun, PARK_SUSPENDED)) {
        MHD_resume_connection(exchange->connection);
        loop_wake(exchange->loop);
    } else if (exchange->request.watch_hangup) {
        acceptor_watch_hangup(http->acceptor, exchange->conn);
    }
    return MHD_YES;
}

static void unpark(struct exchange *exchange)
{
    atomic_fetch_sub(&exchange->loop->http->parked, 1);
    acceptor_unwatch_hangup(exchange->loop->http->acceptor, exchange->conn);
    exchange->stage = STAGE_BODY;
}

static void abandon(struct exchange *exchange)
{
    struct request *request = &exchange->request;
    if (request->abandoned != NULL && request->waiter.result == JOBD_OK)
        request->abandoned(request, exchange->loop->http->context);
    request->abandoned = NULL;
}

static enum MHD_Result serve_request(struct exchange *exchange, const char *path)
{
    struct http *http = exchange->loop->http;
    char fields[REPLY_FIELDS_BYTES];
    struct reply reply = {.status = 500, .type = TYPE_TEXT, .fields = fields};
    if (exchange->refused != NULL)
        return refuse(exchange, exchange->refused);
    /* This comes first: a request whose connection was cut must not put a job in. */
    if (!exchange_enter(exchange, PHASE_REPLY)) {
        abandon(exchange);
        return end_cut(exchange);
    }
    exchange->request.path = path_in(exchange, path);
    exchange->request.source = exchange->connection;
    atomic_store(&exchange->wait, PARK_BEGUN);
    return http->serve(&exchange->request, &reply, http->context) ? reply_send(exchange, &reply)
                                                                  : park(exchange);
}

enum MHD_Result request_handle(void *context, struct MHD_Connection *connection, const char *path,
                               const char *method, const char *version, const char *data,
                               size_t *data_size, void **request)
{
    struct exchange *exchange = *request;
    (void)context;
    (void)version;
    if (exchange == NULL)
        return MHD_NO;
    exchange->connection = connection;
    switch (exchange->stage) {
    case STAGE_HEADER:
        return begin(exchange, path, method);
    case STAGE_BODY:
        if (*data_size > 0) {
            body_add(exchange, data, *data_size);
            *data_size = 0;
            return conn_phase(exchange->conn) != PHASE_CUT ? MHD_YES : end_cut(exchange);
        }
        if (data != NULL) /* an empty body with another request behind it: not the last call yet */
            return MHD_YES;
        body_end(exchange);
        return serve_request(exchange, path);
    case STAGE_PARKED:
        unpark(exchange);
        if (exchange->gone)
            return MHD_NO;
        if (exchange->request.abandoned != NULL && conn_hung_up(exchange->conn)) {
            abandon(exchange);
            return MHD_NO;
        }
        exchange->request.resumed = true;
        return serve_request(exchange, path);
    case STAGE_SERVED:
        break;
    }
    return MHD_NO;
}

/* ---- what libmicrohttpd tells */

/* A request line has come; the exchange is the request's context from here on. */
void *request_begins(void *context, const char *target, struct MHD_Connection *connection)
{
    struct exchange *exchange = exchange_of(connection);
    (void)context;
    if (exchange == NULL)
        return NULL;
    verify(exchange->gate.busy); /* it reads by no other way */
    exchange->stage = STAGE_HEADER;
    quirk_set(exchange, QUIRK_NONE);
    exchange->target = target;
    exchange->target_whole = target_is_whole(target);
    exchange->gone = false;
    exchange->refused = NULL;
    request_reset(&exchange->request);
    budget_open(exchange);
    exchange->request.has_parameters = exchange->parameters > 0;
    exchange->request.wants_job = exchange->access_open;
    if (conn_phase(exchange->conn) != PHASE_HEADER)
        (void)exchange_enter(exchange, PHASE_HEADER); /* begin() sees a cut */
    return exchange;
}

size_t request_decode(void *context, struct MHD_Connection *connection, char *text)
{
    const struct exchange *exchange = exchange_of(connection);
    (void)context;
    return exchange != NULL && text == exchange->target
               ? target_decode(text, exchange->target_whole)
               : MHD_http_unescape(text);
}

/* A second call does nothing. */
static void end_request(struct exchange *exchange)
{
    if (exchange->stage == STAGE_PARKED) { /* resumed, but its client turned out to be gone */
        unpark(exchange);
        abandon(exchange);
    }
    if (exchange->request.release != NULL)
        exchange->request.release(&exchange->request);
    exchange->request.release = NULL;
    access_end(exchange);
    proxied_end(exchange);
    if (exchange->stream != NULL)
        stream_end(exchange);
    quirk_set(exchange, QUIRK_NONE);
    body_drop(exchange);
    jobd_blob_unref(exchange->request.waiter.output); /* nobody has answered with it */
    exchange->request.waiter.output = NULL;
    budget_trim(exchange, &exchange->request.reply_account, 0);
    gate_next(exchange);
}

void request_ended(void *context, struct MHD_Connection *connection, void **request,
                   enum MHD_RequestTerminationCode why)
{
    struct exchange *exchange = *request;
    (void)context;
    (void)connection;
    (void)why;
    if (exchange == NULL)
        return;
    end_request(exchange);
    *request = NULL;
    (void)exchange_enter(exchange, PHASE_IDLE);
}

static void wake(struct jobd_waiter *waiter)
{
    struct exchange *exchange = container_of(waiter, struct exchange, request.waiter);
    struct loop *loop = exchange->loop;
    struct MHD_Connection *connection = exchange->connection;
    if (atomic_exchange(&exchange->wait, PARK_OVER) != PARK_SUSPENDED)
        return;
    MHD_resume_connection(connection); /* from here on the exchange may be over */
    loop_wake(loop);
}

void request_hung_up(struct exchange *exchange)
{
    struct loop *loop = exchange->loop;
    exchange->gone = true;
    MHD_resume_connection(exchange->connection);
    loop_wake(loop);
}

static void connection_closed(struct loop *loop, void **socket_context)
{
    struct exchange *exchange = *socket_context;
    atomic_fetch_sub(&loop->connections, 1);
    if (exchange == NULL)
        return;
    *socket_context = NULL;
    end_request(exchange); /* libmicrohttpd may have closed it without saying so before */
    access_close(exchange);
    exchange_set_at(loop->http, exchange->conn->fd, NULL);
    gate_release(exchange);
    conn_end(&loop->http->conns, exchange->conn);
}

/* It stays with the connection's entry in the table. NULL when memory is short. */
static struct exchange *exchange_for(struct conn *conn)
{
    struct exchange *exchange = conn->owner != NULL ? conn->owner : calloc(1, sizeof *exchange);
    if (exchange != NULL)
        exchange->request.waiter.wake = wake;
    conn->owner = exchange;
    return exchange;
}

static void connection_started(struct loop *loop, struct MHD_Connection *connection,
                               void **socket_context)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    loop->saw_start = true;
    struct conn *conn =
        info != NULL ? conn_start(&loop->http->conns, info->connect_fd, loop) : NULL;
    struct exchange *exchange = conn != NULL ? exchange_for(conn) : NULL;
    if (exchange == NULL) { /* memory is short, or the acceptor gave it up before we came to it */
        if (info != NULL)
            shutdown(info->connect_fd, SHUT_RDWR);
        if (conn != NULL)
            conn_end(&loop->http->conns, conn);
        return;
    }
    exchange->loop = loop;
    exchange->conn = conn;
    exchange->connection = connection;
    *socket_context = exchange;
    gate_open(exchange);
    exchange_set_at(loop->http, conn->fd, exchange);
    if (loop->http->config.tls)
        quirk_set(exchange, QUIRK_HANDSHAKE);
}

void connection_changed(void *context, struct MHD_Connection *connection, void **socket_context,
                        enum MHD_ConnectionNotificationCode what)
{
    if (what == MHD_CONNECTION_NOTIFY_CLOSED)
        connection_closed(context, socket_context);
    else
        connection_started(context, connection, socket_context);
}
