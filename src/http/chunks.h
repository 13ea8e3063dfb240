/* SPDX-License-Identifier: MIT */
/* The framing of a chunked body (RFC 9112, section 7.1), byte by byte and to the letter: what one
 * server takes for the end of a line, of a chunk or of the body, every other one does too.
 *
 * Extensions and the trailer, which nobody here asks for, are checked and left out: the HTTP
 * library reads sizes and data alone. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum chunk_state {
    CHUNK_SIZE, /* the first digit, and the others */
    CHUNK_DIGITS,
    CHUNK_EXTENSION_BLANK,
    CHUNK_EXTENSION,
    CHUNK_NAME,
    CHUNK_NAME_BLANK,
    CHUNK_EQUALS,
    CHUNK_VALUE,
    CHUNK_QUOTED,
    CHUNK_ESCAPED,
    CHUNK_QUOTED_END,
    CHUNK_LINE_END, /* a line feed must follow */
    CHUNK_DATA,
    CHUNK_DATA_END,
    CHUNK_DATA_END_LF,
    CHUNK_TRAILER,
    CHUNK_TRAILER_NAME,
    CHUNK_TRAILER_VALUE,
    CHUNK_TRAILER_LF,
    CHUNK_LAST_LF,
    CHUNK_DONE,
    CHUNK_BAD
};

struct chunks {
    enum chunk_state state;
    uint64_t left;            /* of the chunk's data */
    unsigned digits, ignored; /* in a size; bytes left out, of a line or of the trailer */
};

/* Before the first byte. */
void chunks_begin(struct chunks *chunks);
/* Reads up to the end of the body, or the first wrong byte, and sets *used to how many bytes that
 * is. Leaves those that are for the library at the front of `bytes`; returns how many these are. */
size_t chunks_read(struct chunks *chunks, char *bytes, size_t size, size_t *used);
