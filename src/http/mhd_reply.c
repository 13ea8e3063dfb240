/* SPDX-License-Identifier: MIT */
/* One reply: what an endpoint said becomes a response of libmicrohttpd's. */
#include "http/mhd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/cors.h"
#include "base/verify.h"

/* A reply of up to so many bytes, like /metrics, is bounded by the connections there may be. */
enum { SMALL_BYTES = 16384 };

static bool add(struct MHD_Response *response, const char *name, const char *value)
{
    return MHD_add_response_header(response, name, value) == MHD_YES;
}

static void blob_unref(void *blob)
{
    jobd_blob_unref(blob);
}

/* Takes what the reply owns, also on failure. */
static struct MHD_Response *body_of(struct reply *reply)
{
    struct MHD_Response *response;
    if (reply->blob != NULL) {
        response = MHD_create_response_from_buffer_with_free_callback_cls(
            reply->blob->size, reply->blob->bytes, blob_unref, reply->blob);
        if (response == NULL)
            jobd_blob_unref(reply->blob);
    } else if (reply->owned != NULL) {
        response = MHD_create_response_from_buffer(strlen(reply->owned), reply->owned,
                                                   MHD_RESPMEM_MUST_FREE);
        if (response == NULL)
            free(reply->owned);
    } else {
        union {
            const char *read;
            void *given; /* libmicrohttpd only reads it, but does not say so */
        } text = {.read = reply->text != NULL ? reply->text : ""};
        response =
            MHD_create_response_from_buffer(strlen(text.read), text.given, MHD_RESPMEM_PERSISTENT);
    }
    reply->owned = NULL;
    reply->blob = NULL;
    return response;
}

static bool add_fields(struct MHD_Response *response, const struct reply *reply)
{
    for (unsigned i = 0; i < REPLY_FIELDS_MAX && reply->fields[i].name != NULL; i++)
        if (!add(response, reply->fields[i].name, reply->fields[i].value))
            return false;
    return true;
}

/* NULL when memory is short. Takes what the reply owns. */
static struct MHD_Response *response_of(struct reply *reply)
{
    char type[TYPE_SIZE] = TYPE_BYTES;
    if (reply->type != NULL)
        snprintf(type, sizeof type, "%s", reply->type);
    else if (reply->blob != NULL && reply->blob->type[0] != '\0')
        snprintf(type, sizeof type, "%s", reply->blob->type);
    bool empty = reply->blob == NULL && reply->owned == NULL && reply->text == NULL;
    struct MHD_Response *response = body_of(reply);
    if (response == NULL)
        return NULL;
    char seconds[24];
    snprintf(seconds, sizeof seconds, "%llu", (unsigned long long)reply->retry_after_s);
    if ((!empty && !add(response, MHD_HTTP_HEADER_CONTENT_TYPE, type)) ||
        (reply->location[0] != '\0' && !add(response, MHD_HTTP_HEADER_LOCATION, reply->location)) ||
        (reply->allow[0] != '\0' && !add(response, MHD_HTTP_HEADER_ALLOW, reply->allow)) ||
        (reply->retry_after_s > 0 && !add(response, MHD_HTTP_HEADER_RETRY_AFTER, seconds)) ||
        (reply->status == 415 && !add(response, MHD_HTTP_HEADER_ACCEPT_ENCODING, "identity")) ||
        (reply->unsafe && (!add(response, "X-Content-Type-Options", "nosniff") ||
                           !add(response, "Content-Security-Policy", "sandbox"))) ||
        (reply->close && !add(response, MHD_HTTP_HEADER_CONNECTION, "close")) ||
        !add_fields(response, reply)) {
        MHD_destroy_response(response);
        return NULL;
    }
    return response;
}

const struct shared_reply *http_share(struct http *http, const struct reply *reply)
{
    verify(reply->owned == NULL && reply->blob == NULL);
    if (http->shared_len == SHARED_MAX)
        return NULL;
    struct shared_reply *shared = &http->shared[http->shared_len];
    struct reply keeps = *reply, closes = *reply;
    closes.close = true;
    shared->status = reply->status;
    shared->keeps = response_of(&keeps);
    shared->closes = response_of(&closes);
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

/* libmicrohttpd before 1.0 takes lone line feeds between chunks, and a line in the trailer that
 * begins with a colon, for ends of lines and of the request: what another server reads as the rest
 * of this one must not become the next. */
static bool ends_unsure(const struct exchange *exchange)
{
    return MHD_VERSION < 0x01000000 && exchange->headers.chunked;
}

/* A large reply needs memory until its client has read it. An answer to a GET can be asked for
 * again; what another method has done must be told. */
static void charge(struct exchange *exchange, struct reply *reply)
{
    size_t size = reply->blob != NULL    ? reply->blob->size
                  : reply->owned != NULL ? strlen(reply->owned)
                                         : 0;
    bool again = exchange->request.method == METHOD_GET &&
                 !request_body_taken(&exchange->request); /* no put */
    if (size <= SMALL_BYTES)
        return;
    gate_allow(exchange->loop->http->gate, exchange->slot, size);
    if (http_charge(exchange, size, !again))
        return;
    jobd_blob_unref(reply->blob);
    free(reply->owned);
    *reply = (struct reply){.close = reply->close, .retry_after_s = 1};
    reply_error(reply, exchange->request.wants_json, 503,
                "there is no memory for the answer at the moment");
}

enum MHD_Result reply_send(struct exchange *exchange, struct reply *reply)
{
    struct http *http = exchange->loop->http;
    bool ends =
        atomic_load_explicit(&http->draining, memory_order_relaxed) || ends_unsure(exchange);
    exchange->stage = STAGE_SERVED;
    if (reply->shared != NULL) {
        reply_count(http, reply->shared->status);
        return MHD_queue_response(exchange->connection, reply->shared->status,
                                  ends ? reply->shared->closes : reply->shared->keeps);
    }
    reply->close = reply->close || ends;
    charge(exchange, reply);
    struct MHD_Response *response = response_of(reply);
    if (response == NULL)
        return MHD_NO; /* without memory for an answer, closing is the answer */
    /* A cache must not give the page what somebody else was told, without the fields for pages. */
    if ((http->config.cors_origin != NULL && !add(response, MHD_HTTP_HEADER_VARY, "Origin")) ||
        (exchange->request.cors_allowed &&
         !cors_fields(http->config.cors_origin, reply->allow, add_for_page, response))) {
        MHD_destroy_response(response);
        return MHD_NO;
    }
    reply_count(http, reply->status);
    enum MHD_Result result = MHD_queue_response(exchange->connection, reply->status, response);
    MHD_destroy_response(response);
    return result;
}
