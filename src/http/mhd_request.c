/* SPDX-License-Identifier: MIT */
/* One request: its header is judged, its body collected, it is served, perhaps parked, answered. */
#include "http/mhd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/cors.h"
#include "http/canned.h"
#include "base/verify.h"

enum {
    TARGET_MAX_BYTES = 2048,
    /* Of libmicrohttpd's pool for a connection: what stands behind it is for the reply, which must
     * not fail for want of room once a job is in. A field or parameter takes a record there. */
    HEADER_MAX_BYTES = 4096,
    RECORD_BYTES = 64,
    BODY_FIRST_BYTES = 4096,
};

/* ---- the request, for the endpoints */

static const struct exchange *exchange_with(const struct request *request)
{
    return (const struct exchange *)(const void *)((const char *)request -
                                                   offsetof(struct exchange, request));
}

const char *request_parameter(const struct request *request, const char *name)
{
    const char *value = NULL;
    if (exchange_with(request)->parameters == 0) /* most have none: do not ask for each by name */
        return NULL;
    if (MHD_lookup_connection_value_n(request->source, MHD_GET_ARGUMENT_KIND, name, strlen(name),
                                      &value, NULL) != MHD_YES)
        return NULL;
    return value != NULL ? value : "";
}

struct parameters {
    bool (*each)(void *context, const char *name, const char *value);
    void *context;
};

static enum MHD_Result one_parameter(void *context, enum MHD_ValueKind kind, const char *name,
                                     const char *value)
{
    const struct parameters *parameters = context;
    (void)kind;
    return parameters->each(parameters->context, name, value != NULL ? value : "") ? MHD_YES
                                                                                   : MHD_NO;
}

void request_parameters(const struct request *request,
                        bool (*each)(void *context, const char *name, const char *value),
                        void *context)
{
    struct parameters parameters = {each, context};
    MHD_get_connection_values(request->source, MHD_GET_ARGUMENT_KIND, one_parameter, &parameters);
}

static enum method method_named(const char *name)
{
    static const struct {
        const char *name;
        enum method method;
    } methods[] = {{"GET", METHOD_GET},
                   {"POST", METHOD_POST},
                   {"HEAD", METHOD_HEAD},
                   {"DELETE", METHOD_DELETE},
                   {"OPTIONS", METHOD_OPTIONS}};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (strcmp(name, methods[i].name) == 0)
            return methods[i].method;
    return METHOD_OTHER;
}

const char *request_token(const struct request *request, size_t *size)
{
    struct field token = headers_token(&exchange_with(request)->headers);
    *size = token.size;
    return token.text;
}

bool request_key(const struct request *request, char key[JOBD_KEY_SIZE])
{
    return headers_key(&exchange_with(request)->headers, key, JOBD_KEY_SIZE);
}

uint64_t request_wait_s(const struct request *request)
{
    return exchange_with(request)->headers.wait_s;
}

void request_drop_body(struct request *request)
{
    if (!request->given) {
        jobd_blob_unref(request->body);
        for (uint32_t i = 0; request->batch != NULL && i < request->put.batch_len; i++)
            jobd_blob_unref(request->batch[i]);
    }
    free(request->batch);
    request->batch = NULL;
    request->body = NULL;
    request->given = false;
}

/* ---- refusals */

/* An error before any endpoint. */
static enum MHD_Result refuse(struct exchange *exchange, unsigned status, const char *why)
{
    struct reply reply = {.close = true, .retry_after_s = status == 503};
    if (!conn_enter(exchange->conn, PHASE_REPLY))
        return MHD_NO;
    reply_error(&reply, headers_want_json(&exchange->headers), status, why);
    return reply_send(exchange, &reply);
}

/* ---- the body */

static void drop_body(struct exchange *exchange)
{
    request_drop_body(&exchange->request);
    exchange->body_used = 0;
}

static struct jobd_blob *blob_with(const struct exchange *exchange, size_t room)
{
    char type[TYPE_SIZE] = "";
    const struct field *field = &exchange->headers.content_type;
    if (field->size < sizeof type && field->size > 0) {
        memcpy(type, field->text, field->size);
        type[field->size] = '\0';
    }
    return jobd_blob_new(room, type);
}

/* Makes the body's blob hold `room` bytes, of which the used ones are kept. */
static bool resize_body(struct exchange *exchange, size_t room)
{
    size_t now = exchange->request.body != NULL ? exchange->request.body->size : 0;
    if (room > now && !http_charge(exchange, room - now, false))
        return false;
    struct jobd_blob *blob = blob_with(exchange, room);
    if (blob == NULL)
        return false;
    if (exchange->request.body != NULL)
        memcpy(blob->bytes, exchange->request.body->bytes, exchange->body_used);
    jobd_blob_unref(exchange->request.body);
    exchange->request.body = blob;
    return true;
}

static void collect(struct exchange *exchange, const char *data, size_t size)
{
    size_t max = (size_t)exchange->loop->http->config.body_max_bytes;
    if (exchange->too_large || exchange->no_memory)
        return;
    if (size > max - exchange->body_used) {
        exchange->too_large = true;
        drop_body(exchange);
        return;
    }
    size_t room = exchange->request.body != NULL ? exchange->request.body->size : 0;
    size_t needed = exchange->body_used + size;
    if (needed > room) {
        /* Room for what has come, not for what was announced: whoever wants it must send it. */
        size_t next = room == 0 ? BODY_FIRST_BYTES : room * 2;
        if (next < needed)
            next = needed;
        if (exchange->headers.lengths > 0 && next > exchange->headers.length)
            next = (size_t)exchange->headers.length;
        if (!resize_body(exchange, next < max ? next : max)) {
            exchange->no_memory = true;
            drop_body(exchange);
            return;
        }
    }
    verify(exchange->request.body != NULL);
    memcpy(exchange->request.body->bytes + exchange->body_used, data, size);
    exchange->body_used += size;
}

/* A chunked body was given more room than it filled. */
static void fit_body(struct exchange *exchange)
{
    if (exchange->request.body == NULL || exchange->request.body->size == exchange->body_used)
        return;
    if (!resize_body(exchange, exchange->body_used)) {
        exchange->no_memory = true;
        drop_body(exchange);
    }
}

/* ---- a request's way */

struct reading {
    struct headers *headers;
    struct framing framing;
};

static enum MHD_Result one_field(void *context, enum MHD_ValueKind kind, const char *name,
                                 size_t name_size, const char *value, size_t value_size)
{
    struct reading *reading = context;
    (void)kind;
    gaps_field(&reading->framing, name, name_size, value, value_size);
    headers_field(reading->headers, name, name_size, value != NULL ? value : "",
                  value != NULL ? value_size : 0);
    return MHD_YES;
}

static size_t header_size(struct exchange *exchange)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    return info != NULL ? info->header_size : 0;
}

/* False when there is more in the header than libmicrohttpd hands out; from 1.0 on it refuses that
 * itself. */
static bool read_header(struct exchange *exchange, const char *target, const char *method,
                        const char *version)
{
    struct reading reading = {.headers = &exchange->headers};
    gaps_begin(&reading.framing, method, target, exchange->target_size, version,
               header_size(exchange));
    headers_begin(&exchange->headers, version);
    MHD_get_connection_values_n(exchange->connection, MHD_HEADER_KIND, one_field, &reading);
    return gaps_end(&reading.framing);
}

static size_t header_bytes(struct exchange *exchange)
{
    size_t records = exchange->headers.fields + exchange->parameters;
    return header_size(exchange) + records * RECORD_BYTES +
           fix_cookie_bytes(exchange, RECORD_BYTES);
}

/* The pool may be too full for libmicrohttpd to send a reply: it is said without it. */
static enum MHD_Result refuse_header(struct exchange *exchange)
{
    struct http *http = exchange->loop->http;
    if (conn_enter(exchange->conn, PHASE_REPLY)) {
        if (!http->config.tls)
            canned_too_large(exchange->conn->fd);
        reply_count(http, 431);
    }
    return MHD_NO;
}

static bool admitted(struct exchange *exchange, const char *target, struct reply *reply)
{
    const struct http *http = exchange->loop->http;
    exchange->request.path = headers_target(&exchange->headers, target);
    exchange->request.source = exchange->connection;
    return http->admits(&exchange->request, reply, http->context);
}

/* The header is complete. Whoever is refused here is answered at once and cut off; a good request
 * is not answered yet, as libmicrohttpd would close its connection too. */
static enum MHD_Result begin(struct exchange *exchange, const char *target, const char *method,
                             const char *version)
{
    const struct http *http = exchange->loop->http;
    struct headers *headers = &exchange->headers;
    struct reply reply = {.status = 500, .type = TYPE_TEXT};
    const char *why;
    bool whole = read_header(exchange, target, method, version);
    exchange->request.method = method_named(method);
    quirk_set(exchange, QUIRK_NONE);
    exchange->request.crosses = cors_allows(headers, http->config.cors_origin);
    exchange->stage = STAGE_BODY;
    (void)headers_target(headers, target);
    if (!headers_end(headers))
        return refuse(exchange, headers->status, headers->why);
    if (!whole)
        return refuse(exchange, 400,
                      "malformed header: a NUL, an empty field name, or a folded line");
    if (exchange->target_bad)
        return refuse(exchange, 400, "the request's target has a NUL");
    if (exchange->target_size > TARGET_MAX_BYTES)
        return refuse(exchange, 414, "the request's target is longer than 2048 bytes");
    if (header_bytes(exchange) > HEADER_MAX_BYTES)
        return refuse_header(exchange);
    bool by_place =
        !http->config.has_tokens && exchange->conn->from_local && !exchange->conn->from_unix;
    if (by_place && !headers_from_here(headers, exchange->request.crosses, &why))
        return refuse(exchange, 403, why);
    if (!headers_plain_content(headers))
        return refuse(exchange, 415, "Content-Encoding is not supported");
    if (headers->length > http->config.body_max_bytes)
        return refuse(exchange, 413, "the body is larger than --max-body allows");
    exchange->request.wants_json = headers_want_json(headers);
    headers_trace(headers, exchange->request.trace, sizeof exchange->request.trace);
    if (!headers->chunked && headers->length == 0)
        return MHD_YES;
    if (!admitted(exchange, target, &reply)) {
        reply.close = true;
        return conn_enter(exchange->conn, PHASE_REPLY) ? reply_send(exchange, &reply) : MHD_NO;
    }
    if (!conn_enter(exchange->conn, PHASE_BODY))
        return MHD_NO;
    if (headers->chunked)
        quirk_set(exchange, QUIRK_CHUNKS);
    return MHD_YES;
}

static enum MHD_Result park(struct exchange *exchange, start_wait *start)
{
    struct http *http = exchange->loop->http;
    if (!conn_enter(exchange->conn, PHASE_PARKED))
        return MHD_NO;
    exchange->stage = STAGE_PARKED;
    atomic_fetch_add(&http->parked, 1);
    /* Suspended before anybody can wake it: a resume that came first would be lost. */
    MHD_suspend_connection(exchange->connection);
    enum jobd_result result = start(&exchange->request, http->context);
    if (result == JOBD_PENDING) {
        if (!exchange->request.brief)
            acceptor_watch_hangup(http->acceptor, exchange->conn);
    } else {
        exchange->request.waiter.result = result;
        MHD_resume_connection(exchange->connection);
        loop_wake(exchange->loop);
    }
    return MHD_YES;
}

static void unpark(struct exchange *exchange)
{
    atomic_fetch_sub(&exchange->loop->http->parked, 1);
    acceptor_unwatch_hangup(exchange->loop->http->acceptor, exchange->conn);
    exchange->stage = STAGE_BODY;
    if (exchange->request.offers && exchange->request.waiter.accepted)
        exchange->request.given = true;
    exchange->request.offers = false;
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
    struct reply reply = {.status = 500, .type = TYPE_TEXT};
    start_wait *start = NULL;
    if (exchange->too_large)
        return refuse(exchange, 413, "the body is larger than --max-body allows");
    if (exchange->no_memory)
        return refuse(exchange, 503, "there is no memory for the body at the moment");
    /* Before anything is done for it: who was cut must not get a job in. */
    if (!conn_enter(exchange->conn, PHASE_REPLY)) {
        abandon(exchange);
        return MHD_NO;
    }
    exchange->request.path = headers_target(&exchange->headers, path);
    exchange->request.source = exchange->connection;
    exchange->request.brief = false;
    if (http->serve(&exchange->request, &reply, &start, http->context) == STEP_PARK)
        return park(exchange, start);
    return reply_send(exchange, &reply);
}

enum MHD_Result request_handle(void *context, struct MHD_Connection *connection, const char *path,
                               const char *method, const char *version, const char *data,
                               size_t *data_size, void **request)
{
    struct exchange *exchange = *request;
    (void)context;
    if (exchange == NULL)
        return MHD_NO;
    exchange->connection = connection;
    switch (exchange->stage) {
    case STAGE_HEADER:
        return begin(exchange, path, method, version);
    case STAGE_BODY:
        if (*data_size > 0) {
            collect(exchange, data, *data_size);
            quirk_progress(exchange);
            *data_size = 0;
            return conn_phase(exchange->conn) != PHASE_CUT ? MHD_YES : MHD_NO;
        }
        if (data != NULL) /* an empty body with another request behind it: not the last call yet */
            return MHD_YES;
        quirk_set(exchange, QUIRK_NONE);
        fit_body(exchange);
        return serve_request(exchange, path);
    case STAGE_PARKED:
        unpark(exchange);
        if (exchange->gone)
            return MHD_NO;
        if (exchange->request.abandoned != NULL && conn_client_left(exchange->conn)) {
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

static struct exchange *exchange_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

/* A request line has come; the exchange is the request's context from here on. */
void *request_begins(void *context, const char *target, struct MHD_Connection *connection)
{
    struct exchange *exchange = exchange_of(connection);
    (void)context;
    if (exchange == NULL)
        return NULL;
    exchange->stage = STAGE_HEADER;
    quirk_set(exchange, QUIRK_HEADER);
    exchange->target_bad = strstr(target, "%00") != NULL;
    exchange->parameters = 0;
    for (const char *at = strchr(target, '?'); at != NULL; at = strchr(at + 1, '&'))
        exchange->parameters++;
    exchange->target_size = strlen(target);
    exchange->too_large = exchange->no_memory = exchange->gone = false;
    exchange->request.wants_json = exchange->request.resumed = false;
    exchange->request.abandoned = NULL;
    exchange->request.takers = NULL;
    exchange->request.waiter.wants_output = false;
    exchange->request.waiter.end_us = 0;
    (void)conn_enter(exchange->conn, PHASE_HEADER); /* begin() sees a cut */
    return exchange;
}

/* Once more changes nothing. */
static void end_request(struct exchange *exchange)
{
    if (exchange->stage == STAGE_PARKED) { /* resumed, but its client turned out to be gone */
        unpark(exchange);
        abandon(exchange);
    }
    stream_end(exchange);
    quirk_set(exchange, QUIRK_NONE);
    drop_body(exchange);
    http_discharge(exchange);
    jobd_blob_unref(exchange->request.waiter.output); /* nobody has answered with it */
    exchange->request.waiter.output = NULL;
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
    (void)conn_enter(exchange->conn, PHASE_IDLE);
}

static void wake(struct jobd_waiter *waiter)
{
    struct exchange *exchange =
        (struct exchange *)(void *)((char *)waiter - offsetof(struct exchange, request.waiter));
    struct loop *loop = exchange->loop; /* once resumed, the exchange may be over */
    MHD_resume_connection(exchange->connection);
    loop_wake(loop);
}

void request_hung_up(struct exchange *exchange)
{
    struct loop *loop = exchange->loop;
    exchange->gone = true;
    MHD_resume_connection(exchange->connection);
    loop_wake(loop);
}

void connection_changed(void *context, struct MHD_Connection *connection, void **socket_context,
                        enum MHD_ConnectionNotificationCode what)
{
    struct loop *loop = context;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        struct exchange *exchange = *socket_context;
        atomic_fetch_sub(&loop->connections, 1);
        if (exchange != NULL) {
            *socket_context = NULL;
            end_request(exchange); /* libmicrohttpd may have closed it without saying so before */
            conn_end(&loop->http->conns, exchange->conn);
        }
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    loop->saw_start = true;
    struct conn *conn =
        info != NULL ? conn_start(&loop->http->conns, info->connect_fd, loop) : NULL;
    if (conn == NULL) {
        /* The acceptor gave it up before we came to it, and looks after it no more. */
        if (info != NULL)
            shutdown(info->connect_fd, SHUT_RDWR);
        return;
    }
    struct exchange *exchange = conn->owner;
    if (exchange == NULL) {
        exchange = calloc(1, sizeof *exchange);
        if (exchange == NULL) {
            shutdown(info->connect_fd, SHUT_RDWR);
            conn_end(&loop->http->conns, conn);
            return;
        }
        exchange->request.waiter.wake = wake;
        conn->owner = exchange;
    }
    exchange->loop = loop;
    exchange->conn = conn;
    exchange->connection = connection;
    *socket_context = exchange;
    if (loop->http->config.tls)
        quirk_set(exchange, QUIRK_HANDSHAKE);
}
