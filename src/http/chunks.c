/* SPDX-License-Identifier: MIT */
#include "http/chunks.h"

#include <string.h>

#include "base/chars.h"
#include "http/headers.h"

enum {
    DIGITS_MAX = 15,       /* a body that large does not come, and nothing overflows */
    LINE_MAX_BYTES = 1024, /* of extensions */
    TRAILER_MAX_BYTES = 8192
};

void chunks_begin(struct chunks *chunks)
{
    *chunks = (struct chunks){.state = CHUNK_SIZE};
}

/* What may follow a size, or an extension that is complete. */
static enum chunk_state behind_part(char c)
{
    return c == '\r'          ? CHUNK_LINE_END
           : c == ';'         ? CHUNK_EXTENSION
           : char_is_blank(c) ? CHUNK_EXTENSION_BLANK
                              : CHUNK_BAD;
}

static enum chunk_state next_digit(struct chunks *chunks, char c)
{
    int digit = char_hex(c);
    if (digit >= 0) {
        chunks->left = chunks->left << 4 | (unsigned)digit;
        return ++chunks->digits <= DIGITS_MAX ? CHUNK_DIGITS : CHUNK_BAD;
    }
    return chunks->digits > 0 ? behind_part(c) : CHUNK_BAD;
}

/* ;name, ;name=token and ;name="quoted", with blanks around the signs. */
static enum chunk_state next_in_extension(enum chunk_state state, char c)
{
    switch (state) {
    case CHUNK_EXTENSION_BLANK:
        return c == ';' ? CHUNK_EXTENSION : char_is_blank(c) ? state : CHUNK_BAD;
    case CHUNK_EXTENSION:
        return char_is_blank(c) ? state : char_is(c, CHARS_TOKEN) ? CHUNK_NAME : CHUNK_BAD;
    case CHUNK_NAME:
        if (char_is(c, CHARS_TOKEN))
            return state;
        return c == '=' ? CHUNK_EQUALS : char_is_blank(c) ? CHUNK_NAME_BLANK : behind_part(c);
    case CHUNK_NAME_BLANK:
        return c == '='           ? CHUNK_EQUALS
               : c == ';'         ? CHUNK_EXTENSION
               : char_is_blank(c) ? state
                                  : CHUNK_BAD;
    case CHUNK_EQUALS:
        return c == '"'                  ? CHUNK_QUOTED
               : char_is_blank(c)        ? state
               : char_is(c, CHARS_TOKEN) ? CHUNK_VALUE
                                         : CHUNK_BAD;
    case CHUNK_VALUE:
        return char_is(c, CHARS_TOKEN) ? state : behind_part(c);
    case CHUNK_QUOTED:
        return c == '"'                 ? CHUNK_QUOTED_END
               : c == '\\'              ? CHUNK_ESCAPED
               : char_is(c, CHARS_TEXT) ? state
                                        : CHUNK_BAD;
    case CHUNK_ESCAPED:
        return char_is(c, CHARS_TEXT) ? CHUNK_QUOTED : CHUNK_BAD;
    default:
        return behind_part(c);
    }
}

static enum chunk_state next_in_trailer(enum chunk_state state, char c)
{
    switch (state) {
    case CHUNK_TRAILER:
        return c == '\r' ? CHUNK_LAST_LF : char_is(c, CHARS_TOKEN) ? CHUNK_TRAILER_NAME : CHUNK_BAD;
    case CHUNK_TRAILER_NAME:
        return c == ':' ? CHUNK_TRAILER_VALUE : char_is(c, CHARS_TOKEN) ? state : CHUNK_BAD;
    case CHUNK_TRAILER_VALUE:
        return c == '\r' ? CHUNK_TRAILER_LF : char_is(c, CHARS_TEXT) ? state : CHUNK_BAD;
    default:
        return c == '\n' ? CHUNK_TRAILER : CHUNK_BAD;
    }
}

static enum chunk_state behind_line(struct chunks *chunks, char c)
{
    if (c != '\n')
        return CHUNK_BAD;
    chunks->ignored = 0;
    return chunks->left > 0 ? CHUNK_DATA : CHUNK_TRAILER;
}

static enum chunk_state behind_data(struct chunks *chunks, char c)
{
    chunks->digits = 0;
    return c == '\n' ? CHUNK_SIZE : CHUNK_BAD;
}

static enum chunk_state next(struct chunks *chunks, char c)
{
    switch (chunks->state) {
    case CHUNK_SIZE:
    case CHUNK_DIGITS:
        return next_digit(chunks, c);
    case CHUNK_LINE_END:
        return behind_line(chunks, c);
    case CHUNK_DATA_END:
        return c == '\r' ? CHUNK_DATA_END_LF : CHUNK_BAD;
    case CHUNK_DATA_END_LF:
        return behind_data(chunks, c);
    case CHUNK_TRAILER:
    case CHUNK_TRAILER_NAME:
    case CHUNK_TRAILER_VALUE:
    case CHUNK_TRAILER_LF:
        return next_in_trailer(chunks->state, c);
    case CHUNK_LAST_LF:
        return c == '\n' ? CHUNK_DONE : CHUNK_BAD;
    default:
        return next_in_extension(chunks->state, c);
    }
}

/* Does the library get this byte too, which has led from that state to this one? */
static bool is_passed_on(enum chunk_state before, enum chunk_state now)
{
    switch (now) {
    case CHUNK_DIGITS:
    case CHUNK_LINE_END:
    case CHUNK_DATA:
    case CHUNK_DATA_END_LF:
    case CHUNK_SIZE:
    case CHUNK_LAST_LF:
    case CHUNK_DONE:
        return true;
    case CHUNK_TRAILER:
        return before == CHUNK_LINE_END;
    default:
        return false;
    }
}

static void step(struct chunks *chunks, char c, char **to)
{
    enum chunk_state before = chunks->state, now = next(chunks, c);
    unsigned most = before >= CHUNK_TRAILER ? TRAILER_MAX_BYTES : LINE_MAX_BYTES;
    if (now != CHUNK_BAD && is_passed_on(before, now))
        *(*to)++ = c;
    else if (now != CHUNK_BAD && ++chunks->ignored > most)
        now = CHUNK_BAD;
    chunks->state = now;
}

size_t chunks_read(struct chunks *chunks, char *bytes, size_t size, size_t *used)
{
    char *to = bytes;
    size_t at = 0;
    while (at < size && chunks->state != CHUNK_DONE && chunks->state != CHUNK_BAD) {
        if (chunks->state != CHUNK_DATA) {
            step(chunks, bytes[at++], &to);
            continue;
        }
        size_t part = size - at < chunks->left ? size - at : (size_t)chunks->left;
        memmove(to, bytes + at, part);
        to += part;
        at += part;
        chunks->left -= part;
        if (chunks->left == 0)
            chunks->state = CHUNK_DATA_END;
    }
    *used = at;
    return (size_t)(to - bytes);
}
