/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/json_out.h"
#include "http/request.h"
#include "base/verify.h"

enum { PROBLEM_BYTES = 96 }; /* a problem without its detail, at most about */

void reply_field(struct reply *reply, const char *name, const char *format, ...)
{
    size_t name_size = strlen(name) + 1;
    verify(reply->fields != NULL && reply->fields_used + name_size < REPLY_FIELDS_BYTES);
    char *value = reply->fields + reply->fields_used + name_size;
    size_t room = REPLY_FIELDS_BYTES - reply->fields_used - name_size;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(value, room, format, arguments);
    va_end(arguments);
    verify(length > 0 && (size_t)length < room); /* else REPLY_FIELDS_BYTES is too small */
    memcpy(reply->fields + reply->fields_used, name, name_size);
    reply->fields_used += name_size + (size_t)length + 1;
}

static void append(struct reply *reply, const char *bytes, size_t size)
{
    verify(reply->fields != NULL && size <= REPLY_FIELDS_BYTES - reply->fields_used);
    memcpy(reply->fields + reply->fields_used, bytes, size);
    reply->fields_used += size;
}

void reply_text(struct reply *reply, const char *name, const char *before, const char *text)
{
    verify(*before != '\0' || *text != '\0');
    append(reply, name, strlen(name) + 1);
    append(reply, before, strlen(before));
    append(reply, text, strlen(text) + 1);
}

void reply_number(struct reply *reply, const char *name, const char *before, uint64_t number)
{
    char digits[TEXT_NUMBER_SIZE];
    reply_text(reply, name, before, text_number(number, digits));
}

bool reply_next_field(const struct reply *reply, size_t *at, const char **name, const char **value)
{
    if (*at >= reply->fields_used)
        return false;
    *name = reply->fields + *at;
    *value = *name + strlen(*name) + 1;
    *at = (size_t)(*value + strlen(*value) + 1 - reply->fields);
    return true;
}

/* Without a type of its own a problem's title is the status's phrase (RFC 9457, section 4.2.1);
 * those are RFC 9110's. */
const char *reply_phrase(unsigned status)
{
    static const struct {
        unsigned status;
        const char *phrase;
    } rows[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].status == status)
            return rows[i].phrase;
    return "Error"; /* a row is missing */
}

void reply_write_problem(struct json_out *out, unsigned status, const char *detail)
{
    json_out_int(out, "status", status);
    json_out_text(out, "title", reply_phrase(status));
    json_out_text(out, "detail", detail);
}

static char *problem_line(unsigned status, const char *detail)
{
    struct json_out out;
    json_out_begin(&out, strlen(detail) + PROBLEM_BYTES);
    json_out_open(&out, NULL, '{');
    reply_write_problem(&out, status, detail);
    json_out_close(&out, '}');
    return json_out_line(&out);
}

void reply_error(struct reply *reply, bool wants_json, unsigned status, const char *detail)
{
    reply->status = status;
    reply->type = wants_json ? TYPE_PROBLEM : TYPE_TEXT;
    if (wants_json) {
        reply->owned = problem_line(status, detail);
    } else if (asprintf(&reply->owned, "%s\n", detail) < 0) {
        reply->owned = NULL;
    }
    if (reply->owned == NULL) {
        reply->type = TYPE_TEXT;
        reply->text = "out of memory\n";
    }
}
