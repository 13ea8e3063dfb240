/* SPDX-License-Identifier: MIT */
/* The fields of news, as a table: how each is written and where it stands. No other file than those
 * of entry.h includes this. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/news.h"

enum field_kind {
    FIELD_U8,
    FIELD_U32,
    FIELD_I32,
    FIELD_I64,
    FIELD_U64,
    FIELD_BOOL,
    FIELD_TIME, /* 0: none, else its distance from the entry's */
    FIELD_TEXT,
    FIELD_BLOB,
    FIELD_HISTOGRAM
};

/* Whether an item has the field. A job's own: those that never change only when it is fresh. */
enum {
    ONCE = 1 << 0,
    JOB = 1 << NEWS_JOB,
    GONE = 1 << NEWS_GONE,
    LEASE = 1 << NEWS_LEASE,
    QUEUE = 1 << NEWS_QUEUE,
    NODE = 1 << NEWS_NODE,
    BATCH = 1 << NEWS_BATCH,
    SCHEDULE = 1 << NEWS_SCHEDULE
};

struct entry_field {
    uint8_t number; /* never changed, never used again */
    uint8_t since;  /* the format */
    uint8_t kind;   /* enum field_kind */
    uint8_t items;  /* that have it */
    size_t offset;  /* in struct news */
};

/* How a value is written. */
enum wire_form { WIRE_NUMBER, WIRE_SIGNED, WIRE_BYTES };

enum { USUAL_TYPES = 6, TYPE_WRITTEN_OUT = 255, CHECKSUM_SIZE = 4 };

extern const struct entry_field entry_fields[];
extern const size_t entry_fields_len;
/* Media types that most blobs have, as one byte; what is not here is written out. */
extern const char *const entry_usual_types[USUAL_TYPES];

enum wire_form wire_of(const struct entry_field *field);
uint32_t entry_checksum(const unsigned char *bytes, size_t size);
