/* SPDX-License-Identifier: MIT */
/* JSON written as text, one value behind the other, without a tree: for answers that tell of much.
 * Its bytes are those that a tree of json.h is printed as. What does not get memory is noted, and
 * said at the end. */
#pragma once

#include "base/json.h"

struct json_out {
    char *text; /* from malloc(), or NULL; `used` bytes, without a NUL */
    size_t used, room;
    bool goes_on;      /* there is a value in front: a comma is due */
    bool short_memory; /* nothing is written any more */
};

/* Begins, with room for so many bytes; more is taken as it is needed. json_out_line() ends it. */
void json_out_begin(struct json_out *out, size_t room);

/* Below, a value is a member of an object when it has a name, printable ASCII without quotes or
 * backslashes; with NULL it is an item of an array, or the whole. */

/* '{' or '[', and the same with '}' or ']'. */
void json_out_open(struct json_out *out, const char *name, char bracket);
void json_out_close(struct json_out *out, char bracket);

void json_out_int(struct json_out *out, const char *name, int64_t value);
/* UTF-8. */
void json_out_text(struct json_out *out, const char *name, const char *text);
/* Whatever bytes a client has sent, as json_add_bytes(). */
void json_out_bytes(struct json_out *out, const char *name, const void *bytes, size_t size);
/* As json_add_time(). */
void json_out_time(struct json_out *out, const char *name, int64_t us);
/* JSON as it stands. */
void json_out_raw(struct json_out *out, const char *name, const char *json, size_t size);
/* The members of an object; NULL, memory was short for it. */
void json_out_members(struct json_out *out, const cJSON *object);

/* Ends a line; what is behind it is another value of its own. */
void json_out_next_line(struct json_out *out);

/* All of it and a line feed, to be freed; NULL when memory was short. */
char *json_out_line(struct json_out *out);
