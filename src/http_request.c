/* SPDX-License-Identifier: MIT */
/* One request: its header is judged, its body collected, it is served, perhaps parked, answered. */
#include "http_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cors.h"
#include "farewell.h"
#include "verify.h"

enum {
    TARGET_MAX_BYTES = 2048,
    /* Of libmicrohttpd's pool for a connection: what stands behind it is for the reply, which must
     * not fail for want of room once a job is in. A field or parameter takes a record there. */
    HEADER_MAX_BYTES = 4096,
    RECORD_BYTES = 64,
    BODY_FIRST_BYTES = 4096,
};

/* ---- the request, for the endpoints */

static const struct visit *visit_with(const struct request *request)
{
    return (const struct visit *)(const void *)((const char *)request -
                                                offsetof(struct visit, request));
}

const char *request_parameter(const struct request *request, const char *name)
{
    const char *value = NULL;
    if (visit_with(request)->parameters == 0) /* most have none: do not ask for each by name */
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
    struct field token = headers_token(&visit_with(request)->headers);
    *size = token.size;
    return token.text;
}

bool request_key(const struct request *request, char key[JOBD_KEY_SIZE])
{
    return headers_key(&visit_with(request)->headers, key, JOBD_KEY_SIZE);
}

uint64_t request_wait_s(const struct request *request)
{
    return visit_with(request)->headers.wait_s;
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
static enum MHD_Result refuse(struct visit *visit, unsigned status, const char *why)
{
    struct reply reply = {.close = true};
    if (!gate_enter(visit->loop->http->gate, visit->guest, PHASE_REPLY))
        return MHD_NO;
    reply_error(&reply, headers_want_json(&visit->headers), status, why);
    return reply_send(visit, &reply);
}

/* ---- the body */

static void drop_body(struct visit *visit)
{
    request_drop_body(&visit->request);
    visit->body_used = 0;
}

static struct jobd_blob *blob_with(const struct visit *visit, size_t room)
{
    char type[TYPE_SIZE] = "";
    const struct field *field = &visit->headers.content_type;
    if (field->size < sizeof type && field->size > 0) {
        memcpy(type, field->text, field->size);
        type[field->size] = '\0';
    }
    return jobd_blob_new(room, type);
}

/* Makes the body's blob hold `room` bytes, of which the used ones are kept. */
static bool resize_body(struct visit *visit, size_t room)
{
    struct jobd_blob *blob = blob_with(visit, room);
    if (blob == NULL)
        return false;
    if (visit->request.body != NULL)
        memcpy(blob->bytes, visit->request.body->bytes, visit->body_used);
    jobd_blob_unref(visit->request.body);
    visit->request.body = blob;
    return true;
}

static void collect(struct visit *visit, const char *data, size_t size)
{
    size_t max = (size_t)visit->loop->http->config.body_max_bytes;
    if (visit->too_large || visit->no_memory)
        return;
    if (size > max - visit->body_used) {
        visit->too_large = true;
        drop_body(visit);
        return;
    }
    size_t room = visit->request.body != NULL ? visit->request.body->size : 0;
    size_t needed = visit->body_used + size;
    if (needed > room) {
        size_t next = room == 0 ? BODY_FIRST_BYTES : room * 2;
        if (visit->headers.lengths > 0)
            next = (size_t)visit->headers.length;
        if (next < needed)
            next = needed;
        if (!resize_body(visit, next < max ? next : max)) {
            visit->no_memory = true;
            drop_body(visit);
            return;
        }
    }
    verify(visit->request.body != NULL);
    memcpy(visit->request.body->bytes + visit->body_used, data, size);
    visit->body_used += size;
}

/* A chunked body was given more room than it filled. */
static void fit_body(struct visit *visit)
{
    if (visit->request.body == NULL || visit->request.body->size == visit->body_used)
        return;
    if (!resize_body(visit, visit->body_used)) {
        visit->no_memory = true;
        drop_body(visit);
    }
}

/* ---- a request's way */

static enum MHD_Result one_field(void *context, enum MHD_ValueKind kind, const char *name,
                                 size_t name_size, const char *value, size_t value_size)
{
    (void)kind;
    headers_field(context, name, name_size, value != NULL ? value : "",
                  value != NULL ? value_size : 0);
    return MHD_YES;
}

/* libmicrohttpd before 1.0 takes a line that begins with a colon for the empty one that ends the
 * header: what follows would be another request. So behind the last field only that one may stand.
 * The method is the header's first byte there. */
static bool ends_well(struct visit *visit, const char *method)
{
    if (MHD_VERSION >= 0x01000000)
        return true;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(visit->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    const char *at = visit->headers.end, *end = info != NULL ? method + info->header_size : NULL;
    if (at == NULL || end == NULL || at < method || at > end)
        return at == NULL;
    size_t breaks = 0;
    for (; at < end; at++)
        if (*at == '\0' || *at == '\r' || *at == '\n')
            breaks++;
        else if (*at != ' ' && *at != '\t')
            return false;
    return breaks <= 4;
}

static size_t header_bytes(struct visit *visit)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(visit->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    size_t records = visit->headers.fields + visit->parameters;
    return (info != NULL ? info->header_size : 0) + records * RECORD_BYTES;
}

/* The pool may be too full for libmicrohttpd to send a reply: the gate says it instead. */
static enum MHD_Result refuse_header(struct visit *visit)
{
    struct http *http = visit->loop->http;
    if (gate_enter(http->gate, visit->guest, PHASE_REPLY)) {
        if (!http->config.tls)
            farewell_too_large(visit->guest->fd);
        reply_count(http, 431);
    }
    return MHD_NO;
}

/* The header is complete. Whoever is refused here is answered at once and cut off; a good request
 * is not answered yet, as libmicrohttpd would close its connection too. */
static enum MHD_Result begin(struct visit *visit, const char *target, const char *method,
                             const char *version)
{
    const struct http *http = visit->loop->http;
    struct headers *headers = &visit->headers;
    const char *why;
    headers_begin(headers, version);
    MHD_get_connection_values_n(visit->connection, MHD_HEADER_KIND, one_field, headers);
    visit->request.method = method_named(method);
    LIST_REMOVE(visit, head);
    visit->request.crosses = cors_allows(headers, http->config.cors_origin);
    visit->stage = STAGE_BODY;
    (void)headers_target(headers, target);
    if (!headers_end(headers))
        return refuse(visit, headers->status, headers->why);
    if (!ends_well(visit, method))
        return refuse(visit, 400, "a header field has no name, or goes on in the next line");
    if (visit->target_bad)
        return refuse(visit, 400, "the request's target has a NUL");
    if (visit->target_long)
        return refuse(visit, 414, "the request's target is longer than 2048 bytes");
    if (header_bytes(visit) > HEADER_MAX_BYTES)
        return refuse_header(visit);
    bool by_place = !http->config.keyed && visit->guest->from_local && !visit->guest->from_unix;
    if (by_place && !headers_from_here(headers, visit->request.crosses, &why))
        return refuse(visit, 403, why);
    if (!headers_plain_content(headers))
        return refuse(visit, 415, "a payload is taken as it is: no Content-Encoding");
    if (headers->length > http->config.body_max_bytes)
        return refuse(visit, 413, "the body is larger than --max-body allows");
    visit->request.wants_json = headers_want_json(headers);
    headers_trace(headers, visit->request.trace, sizeof visit->request.trace);
    if ((headers->chunked || headers->length > 0) &&
        !gate_enter(http->gate, visit->guest, PHASE_BODY))
        return MHD_NO;
    return MHD_YES;
}

static enum MHD_Result park(struct visit *visit, start_wait *start)
{
    struct http *http = visit->loop->http;
    if (!gate_enter(http->gate, visit->guest, PHASE_PARKED))
        return MHD_NO;
    visit->stage = STAGE_PARKED;
    atomic_fetch_add(&http->parked, 1);
    /* Suspended before anybody can wake it: a resume that came first would be lost. */
    MHD_suspend_connection(visit->connection);
    enum jobd_result result = start(&visit->request, http->context);
    if (result == JOBD_PENDING) {
        if (!visit->request.brief)
            gate_watch(http->gate, visit->guest);
    } else {
        visit->request.waiter.result = result;
        MHD_resume_connection(visit->connection);
        loop_ring(visit->loop);
    }
    return MHD_YES;
}

static void unpark(struct visit *visit)
{
    atomic_fetch_sub(&visit->loop->http->parked, 1);
    gate_unwatch(visit->loop->http->gate, visit->guest);
    visit->stage = STAGE_BODY;
    if (visit->request.offers && visit->request.waiter.accepted)
        visit->request.given = true;
    visit->request.offers = false;
}

static void abandon(struct visit *visit)
{
    struct request *request = &visit->request;
    if (request->abandoned != NULL && request->waiter.result == JOBD_OK)
        request->abandoned(request, visit->loop->http->context);
    request->abandoned = NULL;
}

static enum MHD_Result serve_request(struct visit *visit, const char *path)
{
    struct http *http = visit->loop->http;
    struct reply reply = {.status = 500, .type = TYPE_TEXT};
    start_wait *start = NULL;
    if (visit->too_large)
        return refuse(visit, 413, "the body is larger than --max-body allows");
    if (visit->no_memory)
        return refuse(visit, 503, "out of memory");
    /* Before anything is done for it: who was cut must not get a job in. */
    if (!gate_enter(http->gate, visit->guest, PHASE_REPLY)) {
        abandon(visit);
        return MHD_NO;
    }
    visit->request.path = headers_target(&visit->headers, path);
    visit->request.source = visit->connection;
    visit->request.brief = false;
    if (http->serve(&visit->request, &reply, &start, http->context) == STEP_PARK)
        return park(visit, start);
    return reply_send(visit, &reply);
}

enum MHD_Result request_handle(void *context, struct MHD_Connection *connection, const char *path,
                               const char *method, const char *version, const char *data,
                               size_t *data_size, void **request)
{
    struct visit *visit = *request;
    (void)context;
    if (visit == NULL)
        return MHD_NO;
    visit->connection = connection;
    switch (visit->stage) {
    case STAGE_HEADER:
        return begin(visit, path, method, version);
    case STAGE_BODY:
        if (*data_size > 0) {
            collect(visit, data, *data_size);
            *data_size = 0;
            return gate_phase(visit->guest) != PHASE_CUT ? MHD_YES : MHD_NO;
        }
        if (data != NULL) /* an empty body with another request behind it: not the last call yet */
            return MHD_YES;
        fit_body(visit);
        return serve_request(visit, path);
    case STAGE_PARKED:
        unpark(visit);
        if (visit->gone)
            return MHD_NO;
        if (visit->request.abandoned != NULL && gate_left(visit->guest)) {
            abandon(visit);
            return MHD_NO;
        }
        visit->request.resumed = true;
        return serve_request(visit, path);
    case STAGE_SERVED:
        break;
    }
    return MHD_NO;
}

/* ---- what libmicrohttpd tells */

void request_bad_length(struct loop *loop)
{
    struct http *http = loop->http;
    struct visit *visit = LIST_FIRST(&loop->heads);
    if (http->config.tls || visit == NULL || LIST_NEXT(visit, head) != NULL ||
        !gate_enter(http->gate, visit->guest, PHASE_REPLY))
        return;
    farewell_bad_length(visit->guest->fd);
    reply_count(http, 400);
    shutdown(visit->guest->fd, SHUT_WR); /* what it says itself goes nowhere */
}

static struct visit *visit_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

/* A request line has come; the visit is the request's context from here on. */
void *request_begins(void *context, const char *target, struct MHD_Connection *connection)
{
    struct visit *visit = visit_of(connection);
    (void)context;
    if (visit == NULL)
        return NULL;
    visit->stage = STAGE_HEADER;
    LIST_INSERT_HEAD(&visit->loop->heads, visit, head);
    visit->target_bad = strstr(target, "%00") != NULL;
    visit->parameters = 0;
    for (const char *at = strchr(target, '?'); at != NULL; at = strchr(at + 1, '&'))
        visit->parameters++;
    visit->target_long = strnlen(target, TARGET_MAX_BYTES + 1) > TARGET_MAX_BYTES;
    visit->too_large = visit->no_memory = visit->gone = false;
    visit->request.wants_json = visit->request.resumed = false;
    visit->request.abandoned = NULL;
    visit->request.takers = NULL;
    visit->request.waiter.wants_output = false;
    visit->request.waiter.end_us = 0;
    (void)gate_enter(visit->loop->http->gate, visit->guest, PHASE_HEADER); /* begin() sees a cut */
    return visit;
}

void request_ended(void *context, struct MHD_Connection *connection, void **request,
                   enum MHD_RequestTerminationCode why)
{
    struct visit *visit = *request;
    (void)context;
    (void)connection;
    (void)why;
    if (visit == NULL)
        return;
    if (visit->stage == STAGE_PARKED) { /* resumed, but its client turned out to be gone */
        unpark(visit);
        abandon(visit);
    }
    if (visit->stage == STAGE_HEADER) /* libmicrohttpd has refused it by itself */
        LIST_REMOVE(visit, head);
    drop_body(visit);
    jobd_blob_unref(visit->request.waiter.output); /* nobody has answered with it */
    visit->request.waiter.output = NULL;
    *request = NULL;
    (void)gate_enter(visit->loop->http->gate, visit->guest, PHASE_IDLE);
}

static void wake(struct jobd_waiter *waiter)
{
    struct visit *visit =
        (struct visit *)(void *)((char *)waiter - offsetof(struct visit, request.waiter));
    struct loop *loop = visit->loop; /* once resumed, the visit may be over */
    MHD_resume_connection(visit->connection);
    loop_ring(loop);
}

void request_hung_up(struct visit *visit)
{
    struct loop *loop = visit->loop;
    visit->gone = true;
    MHD_resume_connection(visit->connection);
    loop_ring(loop);
}

void connection_changed(void *context, struct MHD_Connection *connection, void **socket_context,
                        enum MHD_ConnectionNotificationCode what)
{
    struct loop *loop = context;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        struct visit *visit = *socket_context;
        atomic_fetch_sub(&loop->connections, 1);
        if (visit != NULL) {
            *socket_context = NULL;
            gate_ended(loop->http->gate, visit->guest);
        }
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    loop->saw_start = true;
    struct guest *guest =
        info != NULL ? gate_started(loop->http->gate, info->connect_fd, loop) : NULL;
    if (guest == NULL) {
        /* The gate gave it up before we came to it, and looks after it no more. */
        if (info != NULL)
            shutdown(info->connect_fd, SHUT_RDWR);
        return;
    }
    struct visit *visit = guest->owner;
    if (visit == NULL) {
        visit = calloc(1, sizeof *visit);
        if (visit == NULL) {
            shutdown(info->connect_fd, SHUT_RDWR);
            gate_ended(loop->http->gate, guest);
            return;
        }
        visit->request.waiter.wake = wake;
        guest->owner = visit;
    }
    visit->loop = loop;
    visit->guest = guest;
    visit->connection = connection;
    *socket_context = visit;
}
