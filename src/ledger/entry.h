/* SPDX-License-Identifier: MIT */
/* News as bytes: what one turn has changed, as it stands in the log, and a part of a snapshot.
 *
 *     entry    format(1)  next_id  item*  0  crc32(4)
 *     item     kind(1)  (tag  value)*  0
 *     tag      number of the field << 2 | how its value is written
 *     value    a number (LEB128), one with a sign (zigzag), or a length and so many bytes
 *
 * A field that is zero, or empty, is left out. A field is a row of the table in entry_fields.c; a
 * reader skips tags that it does not know. To add a field: its place in struct job_record or struct
 * news, a row with a number of its own, and the format from which on it is written.
 *
 * Times are written as their distance from the entry's time, `at_us`, which stands beside it in the
 * log. No lock; nothing blocks. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/news.h"

/* The newest format that is known here. Servers of two versions can share a log: which format is
 * written stands in the database, and becomes a newer one when all there are know it, see peers.c.
 * A test builds a server that knows a newer one. */
#ifndef ENTRY_FORMAT_NEWEST
#define ENTRY_FORMAT_NEWEST 1
#endif

enum { ENTRY_FORMAT_FIRST = 1, ENTRY_FORMAT = ENTRY_FORMAT_NEWEST };

/* ---- writing */

struct entry {
    unsigned char *bytes; /* from malloc() */
    size_t size, room;
    uint32_t items;
    unsigned format;
    int64_t at_us;
    bool failed; /* memory was short */
};

/* An empty one, in place of what was there; `entry` is zeros at first. */
void entry_begin(struct entry *entry, unsigned format, int64_t at_us, uint64_t next_id);
void entry_add(struct entry *entry, const struct news *news);
/* Whole from now on. False when memory was short: then it is worth nothing. */
bool entry_end(struct entry *entry);
void entry_release(struct entry *entry);

/* ---- reading */

enum entry_result {
    ENTRY_OK,
    ENTRY_END,     /* there are no more items */
    ENTRY_DAMAGED, /* these are not the bytes that somebody has written */
    ENTRY_NEWER,   /* written in a format that is not known here */
    ENTRY_NO_MEMORY
};

struct entry_reader {
    const unsigned char *at, *end; /* borrowed */
    int64_t at_us;
};

/* ENTRY_OK and *next_id; else nothing may be read. Looks at all bytes. */
enum entry_result entry_open(struct entry_reader *reader, const unsigned char *bytes, size_t size,
                             int64_t at_us, uint64_t *next_id);

/* The next item: ENTRY_OK, and the caller releases it. Texts are borrowed from the bytes; blobs are
 * its own. Else there is nothing to release. */
enum entry_result entry_next(struct entry_reader *reader, struct news *news);
void entry_release_news(struct news *news);

/* ---- for the tests: is this byte of struct job_record part of a field? */
bool entry_knows(size_t offset);
