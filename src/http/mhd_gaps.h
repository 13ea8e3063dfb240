/* SPDX-License-Identifier: MIT */
/* What stands between the words of a request's header, in the buffer it was read into.
 *
 * libmicrohttpd before 1.0 hands out each word up to its first NUL, puts lines that go on in the
 * next one together, and takes a line that begins with a colon for the end: what it leaves out
 * another server would read. But it cuts the words out in place, with a NUL for each colon, blank
 * and line break, so that what was left out can still be seen: between two lines there may be
 * nothing else.
 *
 * No memory of its own, no lock; `framing_...` in the order of the header. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct framing {
    const char *at, *end; /* of what has been looked at; of the header, its empty line included */
    bool blank;           /* blanks may follow: those of an empty value */
    bool sound;           /* up to here */
};

/* The request line, as handed out; `target_size` before anything in it was decoded. */
void gaps_begin(struct framing *framing, const char *method, const char *target, size_t target_size,
                const char *version, size_t header_size);
/* A field; `value` NULL when it is empty. */
void gaps_field(struct framing *framing, const char *name, size_t name_size, const char *value,
                size_t value_size);
/* Was there nothing but what was handed out? */
bool gaps_end(const struct framing *framing);
