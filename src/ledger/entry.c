/* SPDX-License-Identifier: MIT */
/* Writing. */
#include "ledger/entry.h"

#include <stdlib.h>
#include <string.h>

#include "ledger/entry_fields.h"

static unsigned char *room_for(struct entry *entry, size_t more)
{
    size_t needed = entry->size + more;
    if (needed > entry->room) {
        size_t room = needed > SIZE_MAX / 2 ? needed : 2 * needed;
        unsigned char *bytes = realloc(entry->bytes, room);
        if (bytes == NULL) {
            entry->failed = true;
            return NULL;
        }
        entry->bytes = bytes;
        entry->room = room;
    }
    return entry->bytes + entry->size;
}

static void put_bytes(struct entry *entry, const void *bytes, size_t size)
{
    unsigned char *at = room_for(entry, size);
    if (at == NULL)
        return;
    if (size > 0)
        memcpy(at, bytes, size);
    entry->size += size;
}

static void put_byte(struct entry *entry, unsigned byte)
{
    const unsigned char one = (unsigned char)byte;
    put_bytes(entry, &one, 1);
}

static size_t number_size(uint64_t number)
{
    size_t size = 1;
    for (; number >= 0x80; number >>= 7)
        size++;
    return size;
}

static void put_number(struct entry *entry, uint64_t number)
{
    unsigned char *at = room_for(entry, number_size(number));
    if (at == NULL)
        return;
    for (; number >= 0x80; number >>= 7, entry->size++)
        *at++ = (unsigned char)(number | 0x80);
    *at = (unsigned char)number;
    entry->size++;
}

static uint64_t zigzag(int64_t number)
{
    return (uint64_t)number << 1 ^ (number < 0 ? UINT64_MAX : 0);
}

/* As if numbers went round, so that every distance has its number. */
static int64_t distance(int64_t at_us, int64_t from_us)
{
    return (int64_t)((uint64_t)at_us - (uint64_t)from_us);
}

static unsigned type_number(const char *type)
{
    for (unsigned i = 0; i < USUAL_TYPES; i++)
        if (strcmp(type, entry_usual_types[i]) == 0)
            return i;
    return TYPE_WRITTEN_OUT;
}

/* A type: its number, or a mark and the text with its NUL. */
static void put_blob(struct entry *entry, const struct jobd_blob *blob)
{
    unsigned type = type_number(blob->type);
    size_t type_size = type == TYPE_WRITTEN_OUT ? strlen(blob->type) + 1 : 0;
    put_number(entry, 1 + type_size + blob->size);
    put_byte(entry, type);
    put_bytes(entry, blob->type, type_size);
    put_bytes(entry, blob->bytes, blob->size);
}

/* The sum, and of each bucket that is not empty its number and count. */
static void put_histogram(struct entry *entry, const struct jobd_histogram *histogram)
{
    size_t size = number_size(histogram->sum_us);
    for (unsigned i = 0; i < JOBD_HISTOGRAM_BUCKETS; i++)
        if (histogram->counts[i] > 0)
            size += 1 + number_size(histogram->counts[i]);
    put_number(entry, size);
    put_number(entry, histogram->sum_us);
    for (unsigned i = 0; i < JOBD_HISTOGRAM_BUCKETS; i++) {
        if (histogram->counts[i] == 0)
            continue;
        put_byte(entry, i);
        put_number(entry, histogram->counts[i]);
    }
}

static bool histogram_is_empty(const struct jobd_histogram *histogram)
{
    uint64_t any = histogram->sum_us;
    for (unsigned i = 0; i < JOBD_HISTOGRAM_BUCKETS; i++)
        any |= histogram->counts[i];
    return any == 0;
}

/* False when it is the one that stands for nothing, and so is left out. */
static bool is_something(const struct entry_field *field, const void *value)
{
    switch ((enum field_kind)field->kind) {
    case FIELD_U8:
        return *(const uint8_t *)value != 0;
    case FIELD_U32:
    case FIELD_I32:
        return *(const uint32_t *)value != 0;
    case FIELD_I64:
    case FIELD_TIME:
    case FIELD_U64:
        return *(const uint64_t *)value != 0;
    case FIELD_BOOL:
        return *(const bool *)value;
    case FIELD_TEXT:
        return *(const char *const *)value != NULL && (*(const char *const *)value)[0] != '\0';
    case FIELD_BLOB:
        return *(const struct jobd_blob *const *)value != NULL;
    case FIELD_HISTOGRAM:
        return !histogram_is_empty(value);
    }
    return false;
}

static void put_value(struct entry *entry, const struct entry_field *field, const void *value)
{
    const char *text;
    switch ((enum field_kind)field->kind) {
    case FIELD_U8:
        put_number(entry, *(const uint8_t *)value);
        break;
    case FIELD_U32:
        put_number(entry, *(const uint32_t *)value);
        break;
    case FIELD_I32:
        put_number(entry, zigzag(*(const int *)value));
        break;
    case FIELD_I64:
        put_number(entry, zigzag(*(const int64_t *)value));
        break;
    case FIELD_U64:
        put_number(entry, *(const uint64_t *)value);
        break;
    case FIELD_BOOL:
        put_number(entry, 1);
        break;
    case FIELD_TIME:
        put_number(entry, zigzag(distance(*(const int64_t *)value, entry->at_us)));
        break;
    case FIELD_TEXT: /* with its NUL, so that a reader can borrow it */
        text = *(const char *const *)value;
        put_number(entry, strlen(text) + 1);
        put_bytes(entry, text, strlen(text) + 1);
        break;
    case FIELD_BLOB:
        put_blob(entry, *(const struct jobd_blob *const *)value);
        break;
    case FIELD_HISTOGRAM:
        put_histogram(entry, value);
        break;
    }
}

static bool has_field(const struct news *news, const struct entry_field *field, unsigned format)
{
    bool once = (field->items & ONCE) != 0;
    return (field->items & 1U << news->kind) != 0 && field->since <= format &&
           (!once || news->fresh);
}

void entry_begin(struct entry *entry, unsigned format, int64_t at_us, uint64_t next_id)
{
    entry->size = 0;
    entry->items = 0;
    entry->format = format;
    entry->at_us = at_us;
    entry->failed = false;
    put_byte(entry, format);
    put_number(entry, next_id);
}

void entry_add(struct entry *entry, const struct news *news)
{
    entry->items++;
    put_byte(entry, (unsigned)news->kind);
    for (size_t i = 0; i < entry_fields_len; i++) {
        const struct entry_field *field = &entry_fields[i];
        const void *value = (const char *)news + field->offset;
        if (!has_field(news, field, entry->format) || !is_something(field, value))
            continue;
        put_number(entry, (uint64_t)field->number << 2 | wire_of(field));
        put_value(entry, field, value);
    }
    put_byte(entry, 0);
}

bool entry_end(struct entry *entry)
{
    put_byte(entry, 0);
    if (entry->failed)
        return false;
    uint32_t sum = entry_checksum(entry->bytes, entry->size);
    for (unsigned i = 0; i < CHECKSUM_SIZE; i++)
        put_byte(entry, sum >> 8 * i & 0xff);
    return !entry->failed;
}

void entry_release(struct entry *entry)
{
    free(entry->bytes);
    *entry = (struct entry){.bytes = NULL};
}
