/* SPDX-License-Identifier: MIT */
/* JSON written as text, one value after the other, without a tree; its bytes are those that cJSON
 * would print, but whole numbers are exact up to 2^63. When memory is short that is noted, and
 * nothing is written any more: json_out_line() says so at the end. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_out {
    char *text; /* from malloc(), or NULL; `used` bytes, without a NUL */
    size_t used, room;
    bool goes_on;      /* a value stands in front: a comma comes next */
    bool short_memory; /* nothing is written any more */
};

/* Begins, with room for this many bytes; it grows as needed. json_out_line() must end it. */
void json_out_begin(struct json_out *out, size_t room);

/* Below, a value is a member of an object when it has a name, printable ASCII without quotes or
 * backslashes; with NULL it is an item of an array, or the whole. */

/* `bracket` is '{' or '[', and then '}' or ']'. */
void json_out_open(struct json_out *out, const char *name, char bracket);
void json_out_close(struct json_out *out, char bracket);

void json_out_int(struct json_out *out, const char *name, int64_t value);
/* So many thousandths, with no more digits than they need: 1500 is 1.5. */
void json_out_thousandths(struct json_out *out, const char *name, uint64_t value);
void json_out_bool(struct json_out *out, const char *name, bool value);
void json_out_null(struct json_out *out, const char *name);
/* UTF-8. */
void json_out_text(struct json_out *out, const char *name, const char *text);
/* The same, but nothing where the text is empty. */
void json_out_text_if(struct json_out *out, const char *name, const char *text);
/* Whatever bytes a client has sent: what is not UTF-8 is replaced by U+FFFD. */
void json_out_bytes(struct json_out *out, const char *name, const void *bytes, size_t size);
/* Any bytes, in base64 (RFC 4648). */
void json_out_base64(struct json_out *out, const char *name, const void *bytes, size_t size);
/* RFC 3339, of a moment of clock_now_us(), by the wall clock as it is now. */
void json_out_time(struct json_out *out, const char *name, int64_t us);
/* JSON as it stands; a copy. */
void json_out_raw(struct json_out *out, const char *name, const char *json, size_t size);
/* Where writing stands, and back to there: what has been written since is taken back. */
struct json_mark {
    size_t used;
    bool goes_on;
};

struct json_mark json_out_mark(const struct json_out *out);
void json_out_back(struct json_out *out, struct json_mark mark);

/* Ends the line; the next value stands alone in the next one. */
void json_out_next_line(struct json_out *out);

/* All of it and a line feed, to be freed; NULL when memory was short. */
char *json_out_line(struct json_out *out);
