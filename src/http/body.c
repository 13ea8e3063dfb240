/* SPDX-License-Identifier: MIT */
/* The body of a request, as it comes in: in one blob with room for what has come, not for what was
 * announced: a Content-Length alone takes no memory. */
#include "http/mhd.h"

#include <stdlib.h>
#include <string.h>

#include "base/verify.h"

enum { BODY_FIRST_BYTES = 4096 };

static const struct request_error too_large = {413, BODY_TOO_LARGE};
static const struct request_error no_memory = {503,
                                               "there is no memory for the body at the moment"};

void body_drop(struct exchange *exchange)
{
    struct request *request = &exchange->request;
    if (!request_body_taken(request)) {
        jobd_blob_unref(request->body);
        for (uint32_t i = 0; request->batch != NULL && i < request->batch_len; i++)
            jobd_blob_unref(request->batch[i]);
    }
    free(request->batch);
    free(request->batch_jobs);
    free(request->texts);
    request->batch = NULL;
    request->batch_jobs = NULL;
    request->texts = NULL;
    request->body = NULL;
    request->body_offered = false;
    exchange->body_used = 0;
    budget_trim(exchange, &request->body_account, 0);
}

/* The rest of it is thrown away, and the request refused at its end. */
static void refuse(struct exchange *exchange, const struct request_error *error)
{
    exchange->refused = error;
    body_drop(exchange);
}

static struct jobd_blob *blob_with(const struct exchange *exchange, size_t room)
{
    char type[TYPE_SIZE];
    const struct field *field = &exchange->headers.content_type;
    size_t size = field->size < sizeof type ? field->size : 0;
    if (size > 0)
        memcpy(type, field->text, size);
    type[size] = '\0';
    return jobd_blob_new(room, type);
}

/* Makes the blob hold `room` bytes, of which the used ones are kept. */
static bool resize(struct exchange *exchange, size_t room)
{
    size_t now = exchange->request.body != NULL ? exchange->request.body->size : 0;
    struct jobd_account *account = &exchange->request.body_account;
    if (room > now && !jobd_charge(account, room - now))
        return false;
    struct jobd_blob *blob = blob_with(exchange, room);
    if (blob == NULL)
        return false;
    if (exchange->request.body != NULL)
        memcpy(blob->bytes, exchange->request.body->bytes, exchange->body_used);
    jobd_blob_unref(exchange->request.body);
    exchange->request.body = blob;
    budget_trim(exchange, account, room);
    return true;
}

/* Twice as much as there is, but no more than will come. */
static size_t next_room(const struct exchange *exchange, size_t room, size_t needed, size_t max)
{
    size_t next = room == 0 ? BODY_FIRST_BYTES : room * 2;
    if (next < needed)
        next = needed;
    if (exchange->headers.lengths > 0 && next > exchange->headers.length)
        next = (size_t)exchange->headers.length;
    return next < max ? next : max;
}

void body_add(struct exchange *exchange, const char *data, size_t size)
{
    size_t max = (size_t)exchange->loop->http->config.body_max_bytes;
    if (exchange->refused != NULL)
        return;
    if (size > max - exchange->body_used) {
        refuse(exchange, &too_large);
        return;
    }
    size_t room = exchange->request.body != NULL ? exchange->request.body->size : 0;
    size_t needed = exchange->body_used + size;
    if (exchange->request.body_unused) {
        exchange->body_used = needed;
        return;
    }
    if (needed > room && !resize(exchange, next_room(exchange, room, needed, max))) {
        refuse(exchange, &no_memory);
        return;
    }
    verify(exchange->request.body != NULL);
    memcpy(exchange->request.body->bytes + exchange->body_used, data, size);
    exchange->body_used += size;
}

void body_end(struct exchange *exchange)
{
    if (exchange->request.body == NULL || exchange->request.body->size == exchange->body_used)
        return;
    if (!resize(exchange, exchange->body_used)) /* chunked, it was given more than it filled */
        refuse(exchange, &no_memory);
}
