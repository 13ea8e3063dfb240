/* SPDX-License-Identifier: MIT */
#include "api/pass_headers.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/respond.h"
#include "base/lock.h"
#include "base/utf8.h"
#include "http/headers.h"
#include "run/passed_fields.h"

struct pass_headers {
    /* Held while a list is read or exchanged; whether there is one can be seen without it. */
    struct mutex lock;
    uint32_t queues_max;
    _Atomic(char *const *) names[];
};

struct pass_headers *pass_headers_new(uint32_t queues_max)
{
    struct pass_headers *new = calloc(1, sizeof *new + queues_max * sizeof new->names[0]);
    if (new == NULL || mutex_init(&new->lock) != 0) {
        free(new);
        return NULL;
    }
    new->queues_max = queues_max;
    return new;
}

void pass_headers_free(struct pass_headers *headers)
{
    if (headers != NULL)
        mutex_release(&headers->lock);
    free(headers);
}

static _Atomic(char *const *) *names_of(struct pass_headers *headers, uint32_t queue)
{
    uint32_t place = jobd_queue_index(queue);
    verify(place < headers->queues_max);
    return &headers->names[place];
}

void pass_headers_set(struct pass_headers *headers, uint32_t queue, char *const *names)
{
    mutex_lock(&headers->lock);
    atomic_store(names_of(headers, queue), names);
    mutex_unlock(&headers->lock);
}

/* ---- reading */

struct kept {
    const char *name;  /* that is looked for */
    const char *wrong; /* a field of this name is no text; NULL: none is */
    bool too_large;
    size_t used;
    char text[JOBD_TEXT_MAX + 1];
};

/* One without a value says nothing, and could not be sent. */
static bool keep(void *context, struct field name, struct field value)
{
    struct kept *kept = context;
    if (name.size != strlen(kept->name) || strncasecmp(name.text, kept->name, name.size) != 0 ||
        value.size == 0)
        return true;
    if (!utf8_valid((const unsigned char *)value.text, value.size)) {
        kept->wrong = kept->name;
        return false;
    }
    size_t room = sizeof kept->text - kept->used;
    int written = snprintf(kept->text + kept->used, room, "%s: %.*s\n", kept->name, (int)value.size,
                           value.text);
    kept->too_large = written < 0 || (size_t)written >= room;
    if (!kept->too_large)
        kept->used += (size_t)written;
    return !kept->too_large;
}

static enum step keep_text(struct call *call, const struct kept *kept)
{
    struct request *request = call->request;
    char detail[PASSED_NAME_SIZE + 40];
    if (kept->wrong != NULL) {
        snprintf(detail, sizeof detail, "the field %s must be UTF-8", kept->wrong);
        return respond_error(call, 400, detail);
    }
    if (kept->too_large)
        return respond_error(call, 431,
                             "the fields that the queue keeps take more than 8192 bytes");
    if (kept->used == 0)
        return STEP_START;
    if (!jobd_charge(&request->body_account, kept->used + 1)) {
        call->reply->retry_after_s = 1;
        return respond_error(call, 503, "there is no memory for the request at the moment");
    }
    request->texts = strdup(kept->text);
    return request->texts != NULL ? STEP_START : respond_no_memory(call);
}

bool pass_headers_any(struct pass_headers *headers, uint32_t queue)
{
    return headers != NULL && atomic_load(names_of(headers, queue)) != NULL;
}

enum step pass_headers_read(struct call *call, uint32_t queue)
{
    struct pass_headers *headers = call->api->pass_headers;
    struct kept kept = {.used = 0};
    mutex_lock(&headers->lock);
    char *const *name = atomic_load(names_of(headers, queue));
    for (; name != NULL && *name != NULL && kept.wrong == NULL && !kept.too_large; name++) {
        kept.name = *name;
        request_fields(call->request, keep, &kept);
    }
    enum step step = keep_text(call, &kept);
    mutex_unlock(&headers->lock);
    return step;
}
