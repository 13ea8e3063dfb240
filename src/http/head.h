/* SPDX-License-Identifier: MIT */
/* A request's header as text: its lines are cut here, to the letter of RFC 9112, and its fields
 * given to headers.h. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "http/headers.h"

struct head {
    struct field method, target, version; /* point into the text */
    unsigned parameters;                  /* in the target's query */
};

#define HEAD_BAD_LINE "the request line is not: method, target, HTTP/1.1"

/* How many of these bytes are the header, with the empty line at its end, well formed or not; 0:
 * that line has not come. It does not end in the first `from` bytes. */
size_t head_end(const char *text, size_t size, size_t from);

/* Reads a whole header. False when it is not sound: headers->status and headers->why say what is
 * wrong. Blanks behind a value are moved in front of it, because libraries skip them only there. */
bool head_read(struct head *head, struct headers *headers, char *text, size_t size);

/* Calls `each` for every field of a header that head_read() found sound, until it returns false. */
typedef bool head_field(void *context, struct field name, struct field value);
void head_each_field(const char *text, size_t size, head_field *each, void *context);

/* The same request with no fields but those that say where it ends and what is to become of the
 * connection; at most HEAD_SHORT_BYTES and the target. Returns its size. */
enum { HEAD_SHORT_BYTES = 256, METHOD_MAX_BYTES = 64, HEAD_SHORT_FIELDS = 5 };
size_t head_shorten(const struct head *head, const struct headers *headers, char *out, size_t size);
