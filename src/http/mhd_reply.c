/* SPDX-License-Identifier: MIT */
/* One reply: what an endpoint said becomes a response of libmicrohttpd's. */
#include "http/mhd.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/cors.h"
#include "base/verify.h"

enum { SMALL_BYTES = 16384 };

static bool add(struct MHD_Response *response, const char *name, const char *value)
{
    return MHD_add_response_header(response, name, value) == MHD_YES;
}

static void blob_unref(void *blob)
{
    jobd_blob_unref(blob);
}

static struct MHD_Response *lasting(const void *bytes, size_t size)
{
    union {
        const void *read;
        void *given; /* libmicrohttpd only reads it, but does not say so */
    } body = {.read = bytes};
    return MHD_create_response_from_buffer(size, body.given, MHD_RESPMEM_PERSISTENT);
}

/* Takes what the reply owns, also on failure. */
static struct MHD_Response *body_of(struct exchange *exchange, struct reply *reply)
{
    struct MHD_Response *response;
    if (exchange != NULL && reply->stream.read != NULL) { /* no shared reply is one */
        response = stream_response(exchange, &reply->stream);
    } else if (reply->blob != NULL) {
        response = MHD_create_response_from_buffer_with_free_callback_cls(
            reply->blob->size, reply->blob->bytes, blob_unref, reply->blob);
        if (response == NULL)
            jobd_blob_unref(reply->blob);
    } else if (reply->owned != NULL) {
        response = MHD_create_response_from_buffer(strlen(reply->owned), reply->owned,
                                                   MHD_RESPMEM_MUST_FREE);
        if (response == NULL)
            free(reply->owned);
    } else if (reply->bytes != NULL) {
        response = lasting(reply->bytes, reply->size);
    } else {
        const char *text = reply->text != NULL ? reply->text : "";
        response = lasting(text, strlen(text));
    }
    return response;
}

static const char *type_of(const struct reply *reply)
{
    if (reply->type != NULL)
        return reply->type;
    return reply->blob != NULL && reply->blob->type[0] != '\0' ? reply->blob->type : TYPE_BYTES;
}

static bool has_body(const struct reply *reply)
{
    return reply->blob != NULL || reply->owned != NULL || reply->bytes != NULL ||
           reply->text != NULL || reply->stream.read != NULL;
}

static bool add_allow(struct MHD_Response *response, unsigned allow)
{
    char methods[METHODS_SIZE];
    methods_list(allow, methods);
    return add(response, MHD_HTTP_HEADER_ALLOW, methods);
}

static bool add_retry_after(struct MHD_Response *response, uint64_t s)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRIu64, s);
    return add(response, MHD_HTTP_HEADER_RETRY_AFTER, digits);
}

static bool add_fields(struct MHD_Response *response, const struct reply *reply)
{
    const char *name, *value;
    size_t at = 0;
    while (reply_next_field(reply, &at, &name, &value))
        if (!add(response, name, value))
            return false;
    return true;
}

/* For a body that browsers run: what it may do there, and that they ask each time whether it has
 * changed. */
static bool add_policy(struct MHD_Response *response, const struct reply *reply)
{
    return add(response, "Content-Security-Policy", reply->policy) &&
           add(response, "X-Content-Type-Options", "nosniff") &&
           add(response, "Referrer-Policy", "no-referrer") &&
           add(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache") &&
           add(response, MHD_HTTP_HEADER_VARY, "Accept");
}

/* NULL when memory is short, or a stream's connection was cut. Takes what the reply owns. */
static struct MHD_Response *response_of(struct exchange *exchange, struct reply *reply)
{
    struct MHD_Response *response = body_of(exchange, reply);
    if (response == NULL)
        return NULL;
    if ((has_body(reply) && !add(response, MHD_HTTP_HEADER_CONTENT_TYPE, type_of(reply))) ||
        (reply->allow != 0 && !add_allow(response, reply->allow)) ||
        (reply->retry_after_s > 0 && !add_retry_after(response, reply->retry_after_s)) ||
        (reply->status == 415 && !add(response, MHD_HTTP_HEADER_ACCEPT_ENCODING, "identity")) ||
        (reply->unsafe && (!add(response, "X-Content-Type-Options", "nosniff") ||
                           !add(response, "Content-Security-Policy", "sandbox"))) ||
        (reply->policy != NULL && !add_policy(response, reply)) ||
        (reply->close && !add(response, MHD_HTTP_HEADER_CONNECTION, "close")) ||
        !add_fields(response, reply)) {
        MHD_destroy_response(response);
        return NULL;
    }
    return response;
}

/* Of its body, as far as that is known before. */
static size_t body_bytes(const struct reply *reply)
{
    if (reply->blob != NULL)
        return reply->blob->size;
    if (reply->owned != NULL || reply->text != NULL)
        return strlen(reply->owned != NULL ? reply->owned : reply->text);
    return reply->bytes != NULL ? reply->size : 0;
}

const struct shared_reply *http_share(struct http *http, const struct reply *reply)
{
    verify(reply->owned == NULL && reply->blob == NULL && reply->stream.read == NULL);
    if (http->shared_len == SHARED_MAX)
        return NULL;
    struct shared_reply *shared = &http->shared[http->shared_len];
    struct reply keeps = *reply, closes = *reply;
    closes.close = true;
    shared->status = reply->status;
    shared->bytes = body_bytes(reply);
    shared->keeps = response_of(NULL, &keeps);
    shared->closes = response_of(NULL, &closes);
    http->shared_len++; /* from here on http_free() has it */
    return shared->keeps != NULL && shared->closes != NULL ? shared : NULL;
}

void reply_count(struct http *http, unsigned status)
{
    atomic_fetch_add_explicit(&http->replies[status / 100 % 6], 1, memory_order_relaxed);
}

static bool add_for_page(void *response, const char *name, const char *value)
{
    return add(response, name, value);
}

/* Fields for pages of another site. Vary goes out to all, or a cache would give such a page a reply
 * without them. */
static bool add_for_pages(struct MHD_Response *response, const struct exchange *exchange,
                          const struct reply *reply)
{
    const char *origin = exchange->loop->http->config.cors_origin;
    char methods[METHODS_SIZE];
    if (origin == NULL)
        return true;
    if (!add(response, MHD_HTTP_HEADER_VARY, "Origin"))
        return false;
    methods_list(reply->allow, methods);
    return !exchange->request.cors_allowed || cors_fields(origin, methods, add_for_page, response);
}

/* Counts the reply's memory, of which some may have been counted before it was made. False: there
 * is none for it. */
static bool count(struct exchange *exchange, const struct reply *reply, size_t size)
{
    struct request *request = &exchange->request;
    struct jobd_account *account = &request->reply_account;
    /* The answer to a GET can be asked for again; what another method did must be told now. */
    bool again = (request->method & (METHOD_GET | METHOD_HEAD)) != 0;
    if (request_body_taken(request)) { /* a put, also as a GET: the engine counts it */
        budget_trim(exchange, &request->body_account, 0);
        again = false;
    }
    if (size <= account->bytes) {
        budget_trim(exchange, account, size);
        return true;
    }
    bool small = reply->vital && size <= SMALL_BYTES;
    return small || jobd_charge(account, size - account->bytes) || !again;
}

/* A reply needs memory until its client has read it, and a large one time. */
static void charge(struct exchange *exchange, struct reply *reply)
{
    size_t size = reply->blob != NULL    ? reply->blob->size
                  : reply->owned != NULL ? strlen(reply->owned)
                                         : 0;
    if (size > SMALL_BYTES)
        conn_extend_deadline(exchange->conn, size);
    if (count(exchange, reply, size))
        return;
    jobd_blob_unref(reply->blob);
    free(reply->owned);
    *reply = (struct reply){.close = reply->close, .retry_after_s = 1, .fields = reply->fields};
    reply_error(reply, exchange->request.wants_json, 503,
                "there is no memory for the answer at the moment");
}

enum MHD_Result reply_send(struct exchange *exchange, struct reply *reply)
{
    struct http *http = exchange->loop->http;
    bool ends = atomic_load_explicit(&http->draining, memory_order_relaxed);
    exchange->stage = STAGE_SERVED;
    if (reply->shared != NULL) {
        reply_count(http, reply->shared->status);
        access_reply(exchange, reply->shared->status, reply->shared->bytes);
        return MHD_queue_response(exchange->connection, reply->shared->status,
                                  ends ? reply->shared->closes : reply->shared->keeps);
    }
    reply->close = reply->close || ends;
    charge(exchange, reply);
    const size_t bytes = body_bytes(reply);
    struct MHD_Response *response = response_of(exchange, reply);
    if (response == NULL)
        return MHD_NO; /* without memory for an answer, closing is the answer */
    if (!add_for_pages(response, exchange, reply)) {
        MHD_destroy_response(response);
        return MHD_NO;
    }
    reply_count(http, reply->status);
    access_reply(exchange, reply->status, bytes);
    enum MHD_Result result = MHD_queue_response(exchange->connection, reply->status, response);
    MHD_destroy_response(response);
    return result;
}
