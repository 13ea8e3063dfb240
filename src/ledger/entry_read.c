/* SPDX-License-Identifier: MIT */
#include "ledger/entry.h"

#include <string.h>

#include "ledger/entry_fields.h"

/* ---- reading: each of these is false when there are no such bytes */

static bool get_byte(struct entry_reader *reader, unsigned *byte)
{
    if (reader->at == reader->end)
        return false;
    *byte = *reader->at++;
    return true;
}

static bool get_number(struct entry_reader *reader, uint64_t *number)
{
    unsigned byte = 0x80, shift = 0;
    *number = 0;
    for (; (byte & 0x80) != 0; shift += 7) {
        if (shift > 63 || !get_byte(reader, &byte))
            return false;
        if (shift == 63 && byte > 1)
            return false;
        *number |= (uint64_t)(byte & 0x7f) << shift;
    }
    return true;
}

static int64_t unzigzag(uint64_t number)
{
    uint64_t half = number >> 1;
    return (number & 1) == 0 ? (int64_t)half : -(int64_t)half - 1;
}

/* So many bytes as a reader of their own. */
static bool get_bytes(struct entry_reader *reader, struct entry_reader *bytes)
{
    uint64_t size;
    if (!get_number(reader, &size) || size > (size_t)(reader->end - reader->at))
        return false;
    *bytes = *reader;
    bytes->end = bytes->at + size;
    reader->at = bytes->end;
    return true;
}

static bool get_text(struct entry_reader *bytes, const char **text)
{
    size_t size = (size_t)(bytes->end - bytes->at);
    *text = (const char *)bytes->at;
    return size > 0 && memchr(bytes->at, '\0', size) == bytes->end - 1;
}

static bool get_type(struct entry_reader *bytes, const char **type)
{
    unsigned number;
    if (!get_byte(bytes, &number))
        return false;
    if (number < USUAL_TYPES) {
        *type = entry_usual_types[number];
        return true;
    }
    const unsigned char *end = number == TYPE_WRITTEN_OUT
                                   ? memchr(bytes->at, '\0', (size_t)(bytes->end - bytes->at))
                                   : NULL;
    if (end == NULL)
        return false;
    *type = (const char *)bytes->at;
    bytes->at = end + 1;
    return true;
}

static enum entry_result get_blob(struct entry_reader *bytes, const struct jobd_blob **blob)
{
    const char *type;
    if (*blob != NULL || !get_type(bytes, &type))
        return ENTRY_DAMAGED;
    size_t size = (size_t)(bytes->end - bytes->at);
    struct jobd_blob *made = jobd_blob_new(size, type);
    if (made == NULL)
        return ENTRY_NO_MEMORY;
    if (size > 0)
        memcpy(made->bytes, bytes->at, size);
    *blob = made;
    return ENTRY_OK;
}

static bool get_histogram(struct entry_reader *bytes, struct jobd_histogram *histogram)
{
    unsigned bucket;
    if (!get_number(bytes, &histogram->sum_us))
        return false;
    while (bytes->at < bytes->end)
        if (!get_byte(bytes, &bucket) || bucket >= JOBD_HISTOGRAM_BUCKETS ||
            !get_number(bytes, &histogram->counts[bucket]))
            return false;
    return true;
}

static enum entry_result result_of(bool good)
{
    return good ? ENTRY_OK : ENTRY_DAMAGED;
}

static enum entry_result get_bytes_field(struct entry_reader *reader,
                                         const struct entry_field *field, void *value)
{
    struct entry_reader bytes;
    if (!get_bytes(reader, &bytes))
        return ENTRY_DAMAGED;
    if (field->kind == FIELD_TEXT)
        return result_of(get_text(&bytes, value));
    return field->kind == FIELD_BLOB ? get_blob(&bytes, value)
                                     : result_of(get_histogram(&bytes, value));
}

/* A number that does not fit its field is damage. */
static bool store_number(const struct entry_reader *reader, const struct entry_field *field,
                         void *value, uint64_t number)
{
    int64_t with_sign = unzigzag(number);
    switch ((enum field_kind)field->kind) {
    case FIELD_U8:
        *(uint8_t *)value = (uint8_t)number;
        return number <= UINT8_MAX;
    case FIELD_U32:
        *(uint32_t *)value = (uint32_t)number;
        return number <= UINT32_MAX;
    case FIELD_I32:
        *(int32_t *)value = (int32_t)with_sign;
        return with_sign >= INT32_MIN && with_sign <= INT32_MAX;
    case FIELD_I64:
        *(int64_t *)value = with_sign;
        return true;
    case FIELD_TIME:
        *(int64_t *)value = (int64_t)((uint64_t)reader->at_us + (uint64_t)with_sign);
        return true;
    case FIELD_U64:
        *(uint64_t *)value = number;
        return true;
    case FIELD_BOOL:
        *(bool *)value = number != 0;
        return number == 1;
    case FIELD_TEXT:
    case FIELD_BLOB:
    case FIELD_HISTOGRAM:
        break;
    }
    return false;
}

static enum entry_result get_field(struct entry_reader *reader, const struct entry_field *field,
                                   struct news *news)
{
    void *value = (char *)news + field->offset;
    uint64_t number;
    if (wire_of(field) == WIRE_BYTES)
        return get_bytes_field(reader, field, value);
    return result_of(get_number(reader, &number) && store_number(reader, field, value, number));
}

static enum entry_result skip_field(struct entry_reader *reader, unsigned wire)
{
    struct entry_reader bytes;
    uint64_t number;
    if (wire == WIRE_BYTES)
        return result_of(get_bytes(reader, &bytes));
    return result_of(wire <= WIRE_SIGNED && get_number(reader, &number));
}

/* They are written in the order of the table: it is mostly the next one. NULL: not known. */
static const struct entry_field *field_numbered(uint64_t number, const struct entry_field *from)
{
    for (const struct entry_field *field = from; field < entry_fields + entry_fields_len; field++)
        if (field->number == number)
            return field;
    for (const struct entry_field *field = entry_fields; field < from; field++)
        if (field->number == number)
            return field;
    return NULL;
}

static enum entry_result get_fields(struct entry_reader *reader, struct news *news)
{
    uint64_t tag;
    enum entry_result result = ENTRY_OK;
    const struct entry_field *next = entry_fields;
    while (result == ENTRY_OK) {
        if (!get_number(reader, &tag))
            return ENTRY_DAMAGED;
        if (tag == 0)
            return ENTRY_OK;
        const struct entry_field *field = field_numbered(tag >> 2, next);
        if (field == NULL) {
            result = skip_field(reader, tag & 3);
            continue;
        }
        next = field + 1;
        if ((tag & 3) != wire_of(field))
            result = ENTRY_DAMAGED;
        else
            result = get_field(reader, field, news);
    }
    return result;
}

enum entry_result entry_open(struct entry_reader *reader, const unsigned char *bytes, size_t size,
                             int64_t at_us, uint64_t *next_id)
{
    uint32_t sum = 0;
    unsigned format;
    if (size < 2 + CHECKSUM_SIZE)
        return ENTRY_DAMAGED;
    size -= CHECKSUM_SIZE;
    for (unsigned i = 0; i < CHECKSUM_SIZE; i++)
        sum |= (uint32_t)bytes[size + i] << 8 * i;
    if (sum != entry_checksum(bytes, size))
        return ENTRY_DAMAGED;
    *reader = (struct entry_reader){.at = bytes, .end = bytes + size, .at_us = at_us};
    if (!get_byte(reader, &format) || format < ENTRY_FORMAT_FIRST)
        return ENTRY_DAMAGED;
    if (format > ENTRY_FORMAT)
        return ENTRY_NEWER;
    return result_of(get_number(reader, next_id));
}

static void empty(struct news *news, enum news_kind kind)
{
    *news = (struct news){.kind = kind};
    for (size_t i = 0; i < entry_fields_len; i++)
        if (entry_fields[i].kind == FIELD_TEXT)
            *(const char **)(void *)((char *)news + entry_fields[i].offset) = "";
}

enum entry_result entry_next(struct entry_reader *reader, struct news *news)
{
    unsigned kind;
    if (!get_byte(reader, &kind))
        return ENTRY_DAMAGED;
    if (kind == 0)
        return reader->at == reader->end ? ENTRY_END : ENTRY_DAMAGED;
    if (kind >= NEWS_KINDS)
        return ENTRY_DAMAGED;
    empty(news, (enum news_kind)kind);
    enum entry_result result = get_fields(reader, news);
    if (result != ENTRY_OK)
        entry_release_news(news);
    return result;
}

void entry_release_news(struct news *news)
{
    for (size_t i = 0; i < entry_fields_len; i++) {
        if (entry_fields[i].kind != FIELD_BLOB)
            continue;
        struct jobd_blob *own;
        void *at = (char *)news + entry_fields[i].offset;
        memcpy(&own, at, sizeof own); /* as it was made */
        jobd_blob_unref(own);
        memset(at, 0, sizeof own);
    }
}
