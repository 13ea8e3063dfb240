/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>

#include "json.h"
#include "request.h"
#include "verify.h"

void reply_field(struct reply *reply, const char *name, const char *format, ...)
{
    unsigned i = 0;
    while (i < REPLY_FIELDS_MAX && reply->fields[i].name != NULL)
        i++;
    verify(i < REPLY_FIELDS_MAX);
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(reply->fields[i].value, REPLY_VALUE_SIZE, format, arguments);
    va_end(arguments);
    verify(length >= 0 && length < REPLY_VALUE_SIZE);
    reply->fields[i].name = name;
}

void reply_error(struct reply *reply, bool wants_json, unsigned status, const char *title)
{
    reply->status = status;
    reply->type = wants_json ? TYPE_PROBLEM : TYPE_TEXT;
    if (wants_json) {
        cJSON *problem = cJSON_CreateObject();
        if (json_add_int(problem, "status", status) &&
            cJSON_AddStringToObject(problem, "title", title) != NULL)
            reply->owned = json_text(problem);
        cJSON_Delete(problem);
    } else if (asprintf(&reply->owned, "%s\n", title) < 0) {
        reply->owned = NULL;
    }
    if (reply->owned == NULL) {
        reply->type = TYPE_TEXT;
        reply->text = "out of memory\n";
    }
}
