/* SPDX-License-Identifier: MIT */
/* A request as its endpoint sees it. What stands in the query or the header is looked up when it is
 * asked for. */
#include "http/head.h"
#include "http/mhd.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- methods */

static const struct {
    const char *name;
    enum method method;
} methods[] = {
    {"GET", METHOD_GET},         {"HEAD", METHOD_HEAD},   {"POST", METHOD_POST},
    {"PUT", METHOD_PUT},         {"PATCH", METHOD_PATCH}, {"DELETE", METHOD_DELETE},
    {"OPTIONS", METHOD_OPTIONS},
};
enum { METHODS = sizeof methods / sizeof methods[0] };

enum method method_named(const char *name)
{
    for (size_t i = 0; i < METHODS; i++)
        if (strcmp(name, methods[i].name) == 0)
            return methods[i].method;
    return METHOD_OTHER;
}

void methods_list(unsigned set, char out[METHODS_SIZE])
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < METHODS; i++)
        if ((set & methods[i].method) != 0)
            used += (size_t)snprintf(out + used, METHODS_SIZE - used, "%s%s", used > 0 ? ", " : "",
                                     methods[i].name);
}

/* ---- from one request to the next */

/* From there on nothing is cleared: whoever reads a member there has set it before. */
enum { CLEARED_BYTES = offsetof(struct request, waiter.info) };

void request_reset(struct request *request)
{
    void (*wake)(struct jobd_waiter * waiter) = request->waiter.wake;
    memset(request, 0, CLEARED_BYTES);
    request->waiter.wake = wake;
    request->waiter.output = NULL;
    request->trace[0] = request->subject[0] = '\0';
}

bool request_leave(struct jobd *jobd, struct request *request)
{
    return request->leave != NULL ? request->leave(request)
                                  : jobd_leave(jobd, &request->turn, &request->waiter);
}

/* ---- the query */

static const struct exchange *exchange_with(const struct request *request)
{
    return (const struct exchange *)(const void *)((const char *)request -
                                                   offsetof(struct exchange, request));
}

const char *request_query(const struct request *request, const char *name)
{
    const char *value = NULL;
    if (MHD_lookup_connection_value_n(request->source, MHD_GET_ARGUMENT_KIND, name, strlen(name),
                                      &value, NULL) != MHD_YES)
        return NULL;
    return value != NULL ? value : "";
}

struct pairs {
    bool (*each)(void *context, const char *name, const char *value);
    void *context;
};

static enum MHD_Result one_pair(void *context, enum MHD_ValueKind kind, const char *name,
                                const char *value)
{
    const struct pairs *pairs = context;
    (void)kind;
    return pairs->each(pairs->context, name, value != NULL ? value : "") ? MHD_YES : MHD_NO;
}

void request_parameters(const struct request *request,
                        bool (*each)(void *context, const char *name, const char *value),
                        void *context)
{
    struct pairs pairs = {each, context};
    if (request->has_parameters)
        MHD_get_connection_values(request->source, MHD_GET_ARGUMENT_KIND, one_pair, &pairs);
}

/* ---- the header */

struct fields {
    head_field *each;
    void *context;
};

static enum MHD_Result one_field(void *context, enum MHD_ValueKind kind, const char *name,
                                 const char *value)
{
    const struct fields *fields = context;
    struct field text = {value, value != NULL ? strlen(value) : 0};
    (void)kind;
    return fields->each(fields->context, (struct field){name, strlen(name)}, text) ? MHD_YES
                                                                                   : MHD_NO;
}

/* The library has all of them, or few. */
void request_fields(const struct request *request, head_field *each, void *context)
{
    const struct gate *gate = &exchange_with(request)->gate;
    struct fields fields = {each, context};
    if (gate->head != NULL)
        head_each_field(gate->head, gate->head_size, each, context);
    else
        MHD_get_connection_values(request->source, MHD_HEADER_KIND, one_field, &fields);
}

bool request_base(const struct request *request, char out[REQUEST_BASE_SIZE])
{
    const struct exchange *exchange = exchange_with(request);
    const struct field *host = &exchange->headers.host;
    const char *scheme = exchange->loop->http->config.tls ? "https" : "http";
    if (host->size == 0 || host->size >= REQUEST_BASE_SIZE - sizeof "https://")
        return false;
    snprintf(out, REQUEST_BASE_SIZE, "%s://%.*s", scheme, (int)host->size, host->text);
    return true;
}

const char *request_none_match(const struct request *request, char *room, size_t size)
{
    const struct field *field = &exchange_with(request)->headers.none_match;
    size_t used = field->size < size ? field->size : 0;
    if (used > 0)
        memcpy(room, field->text, used);
    room[used] = '\0';
    return room;
}

/* A whole number. */
static bool read_number(const char *text, size_t size, uint64_t *number)
{
    char digits[24];
    if (size == 0 || size >= sizeof digits)
        return false;
    memcpy(digits, text, size);
    digits[size] = '\0';
    return text_to_number(digits, UINT64_MAX / 2, number);
}

bool request_last_event(const struct request *request, bool *there, uint64_t *id)
{
    const struct field *field = &exchange_with(request)->headers.last_event;
    *there = field->size > 0;
    return field->size == 0 || read_number(field->text, field->size, id);
}

bool request_range_from(const struct request *request, uint64_t *from)
{
    static const char unit[] = "bytes=";
    enum { UNIT = sizeof unit - 1 };
    const struct field *field = &exchange_with(request)->headers.range;
    return field->size > UNIT + 1 && strncasecmp(field->text, unit, UNIT) == 0 &&
           field->text[field->size - 1] == '-' &&
           read_number(field->text + UNIT, field->size - UNIT - 1, from);
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

bool request_accepts(const struct request *request, const char *type)
{
    return headers_accept(&exchange_with(request)->headers, type);
}

uint64_t request_wait_s(const struct request *request)
{
    return exchange_with(request)->headers.wait_s;
}
