/* SPDX-License-Identifier: MIT */
#include "ledger/entry.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/text.h"

/* ---- the fields */

enum kind {
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
    NODE = 1 << NEWS_NODE
};

struct field {
    uint8_t number; /* never changed, never used again */
    uint8_t since;  /* the format */
    uint8_t kind;   /* enum kind */
    uint8_t items;  /* that have it */
    size_t offset;  /* in struct news */
};

/* A type that is not here does not compile. */
#define KIND_OF(field)                                                                             \
    _Generic(((struct news *)NULL)->field,                                                         \
        uint8_t: FIELD_U8,                                                                         \
        uint32_t: FIELD_U32,                                                                       \
        int: FIELD_I32,                                                                            \
        int64_t: FIELD_I64,                                                                        \
        uint64_t: FIELD_U64,                                                                       \
        bool: FIELD_BOOL,                                                                          \
        const char *: FIELD_TEXT,                                                                  \
        const struct jobd_blob *: FIELD_BLOB,                                                      \
        struct jobd_histogram: FIELD_HISTOGRAM)
#define FIELD(number, field, items)                                                                \
    {number, ENTRY_FORMAT_FIRST, KIND_OF(field), items, offsetof(struct news, field)}
#define MOMENT(number, field, items)                                                               \
    {number, ENTRY_FORMAT_FIRST, FIELD_TIME, items, offsetof(struct news, field)}

#define TEXT(number, text)                                                                         \
    {number, ENTRY_FORMAT_FIRST, FIELD_TEXT, JOB | ONCE,                                           \
     offsetof(struct news, record.texts) + (text) * sizeof(const char *)}

static const struct field fields[] = {
    FIELD(1, record.id, JOB | GONE | LEASE),
    FIELD(2, fresh, JOB),
    FIELD(3, record.queue, JOB | QUEUE),
    FIELD(4, record.priority, JOB | ONCE),
    FIELD(5, record.attempts, JOB),
    MOMENT(6, record.created_us, JOB | ONCE),
    MOMENT(7, record.run_at_us, JOB | ONCE),
    FIELD(8, record.timeout_us, JOB | ONCE),
    FIELD(9, record.key, JOB),
    FIELD(10, record.trace, JOB | ONCE),
    FIELD(11, record.payload, JOB | ONCE),
    FIELD(12, record.state, JOB),
    FIELD(13, record.attempt, JOB | LEASE),
    MOMENT(14, record.ready_us, JOB),
    MOMENT(15, record.started_us, JOB | LEASE),
    MOMENT(16, record.finished_us, JOB),
    FIELD(17, record.delayed, JOB),
    FIELD(18, record.stopping, JOB),
    FIELD(19, record.output_truncated, JOB),
    FIELD(20, record.exited, JOB),
    FIELD(21, record.exit_code, JOB),
    FIELD(22, record.token, JOB | LEASE),
    MOMENT(23, record.expires_us, JOB),
    MOMENT(24, record.began_us, JOB | LEASE),
    FIELD(25, record.output, JOB),
    FIELD(26, record.error, JOB),
    FIELD(27, has_extra, JOB),
    FIELD(28, node, JOB | NODE),
    FIELD(29, word, LEASE),
    FIELD(30, paused, QUEUE),
    FIELD(31, totals.admitted, QUEUE),
    FIELD(32, totals.done, QUEUE),
    FIELD(33, totals.failed, QUEUE),
    FIELD(34, totals.cancelled, QUEUE),
    FIELD(35, totals.retried, QUEUE),
    FIELD(36, waited, QUEUE),
    FIELD(37, ran, QUEUE),
    FIELD(38, waiting, QUEUE),
    FIELD(39, running, QUEUE),
    MOMENT(40, until_us, NODE),
    FIELD(41, totals.moved_in, QUEUE),
    FIELD(42, totals.moved_out, QUEUE),
    FIELD(43, totals.expired, QUEUE),
    TEXT(44, JOBD_GROUP),
    TEXT(45, JOBD_TAGS),
    MOMENT(46, record.expiry_us, JOB | ONCE),
    MOMENT(47, record.expiry_at_us, JOB | ONCE),
    FIELD(48, record.by_wall, JOB),
    FIELD(49, record.expired, JOB),
    FIELD(50, record.unexpiring, JOB),
};

enum { FIELDS = sizeof fields / sizeof fields[0] };

/* How a value is written. */
enum wire { WIRE_NUMBER, WIRE_SIGNED, WIRE_BYTES };

static enum wire wire_of(const struct field *field)
{
    switch ((enum kind)field->kind) {
    case FIELD_I32:
    case FIELD_I64:
    case FIELD_TIME:
        return WIRE_SIGNED;
    case FIELD_TEXT:
    case FIELD_BLOB:
    case FIELD_HISTOGRAM:
        return WIRE_BYTES;
    case FIELD_U8:
    case FIELD_U32:
    case FIELD_U64:
    case FIELD_BOOL:
        break;
    }
    return WIRE_NUMBER;
}

/* Media types that most blobs have, as one byte; what is not here is written out. */
static const char *const usual_types[] = {"",
                                          TYPE_TEXT,
                                          "application/json",
                                          "application/octet-stream",
                                          "application/x-www-form-urlencoded",
                                          "text/plain"};

enum { USUAL_TYPES = sizeof usual_types / sizeof usual_types[0], TYPE_WRITTEN_OUT = 255 };

bool entry_knows(size_t offset)
{
    bool known = false;
    for (size_t i = 0; i < FIELDS && !known; i++)
        known = fields[i].offset == offsetof(struct news, record) + offset;
    return known;
}

/* ---- writing */

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

static int64_t unzigzag(uint64_t number)
{
    uint64_t half = number >> 1;
    return (number & 1) == 0 ? (int64_t)half : -(int64_t)half - 1;
}

/* As if numbers went round, so that every distance has its number. */
static int64_t distance(int64_t at_us, int64_t from_us)
{
    return (int64_t)((uint64_t)at_us - (uint64_t)from_us);
}

static unsigned type_number(const char *type)
{
    for (unsigned i = 0; i < USUAL_TYPES; i++)
        if (strcmp(type, usual_types[i]) == 0)
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
static bool is_something(const struct field *field, const void *value)
{
    switch ((enum kind)field->kind) {
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

static void put_value(struct entry *entry, const struct field *field, const void *value)
{
    const char *text;
    switch ((enum kind)field->kind) {
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

static bool has_field(const struct news *news, const struct field *field, unsigned format)
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
    for (size_t i = 0; i < FIELDS; i++) {
        const struct field *field = &fields[i];
        const void *value = (const char *)news + field->offset;
        if (!has_field(news, field, entry->format) || !is_something(field, value))
            continue;
        put_number(entry, (uint64_t)field->number << 2 | wire_of(field));
        put_value(entry, field, value);
    }
    put_byte(entry, 0);
}

static uint32_t checksum(const unsigned char *bytes, size_t size)
{
    return (uint32_t)crc32_z(crc32_z(0, NULL, 0), bytes, size);
}

enum { CHECKSUM_SIZE = 4 };

bool entry_end(struct entry *entry)
{
    put_byte(entry, 0);
    if (entry->failed)
        return false;
    uint32_t sum = checksum(entry->bytes, entry->size);
    for (unsigned i = 0; i < CHECKSUM_SIZE; i++)
        put_byte(entry, sum >> 8 * i & 0xff);
    return !entry->failed;
}

void entry_release(struct entry *entry)
{
    free(entry->bytes);
    *entry = (struct entry){.bytes = NULL};
}

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
        *type = usual_types[number];
        return true;
    }
    const unsigned char *end =
        number == TYPE_WRITTEN_OUT ? memchr(bytes->at, '\0', (size_t)(bytes->end - bytes->at))
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

static enum entry_result get_bytes_field(struct entry_reader *reader, const struct field *field,
                                         void *value)
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
static bool store_number(const struct entry_reader *reader, const struct field *field, void *value,
                         uint64_t number)
{
    int64_t with_sign = unzigzag(number);
    switch ((enum kind)field->kind) {
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

static enum entry_result get_field(struct entry_reader *reader, const struct field *field,
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
static const struct field *field_numbered(uint64_t number, const struct field *from)
{
    for (const struct field *field = from; field < fields + FIELDS; field++)
        if (field->number == number)
            return field;
    for (const struct field *field = fields; field < from; field++)
        if (field->number == number)
            return field;
    return NULL;
}

static enum entry_result get_fields(struct entry_reader *reader, struct news *news)
{
    uint64_t tag;
    enum entry_result result = ENTRY_OK;
    const struct field *next = fields;
    while (result == ENTRY_OK) {
        if (!get_number(reader, &tag))
            return ENTRY_DAMAGED;
        if (tag == 0)
            return ENTRY_OK;
        const struct field *field = field_numbered(tag >> 2, next);
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
    if (sum != checksum(bytes, size))
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
    for (size_t i = 0; i < FIELDS; i++)
        if (fields[i].kind == FIELD_TEXT)
            *(const char **)(void *)((char *)news + fields[i].offset) = "";
}

enum entry_result entry_next(struct entry_reader *reader, struct news *news)
{
    unsigned kind;
    if (!get_byte(reader, &kind))
        return ENTRY_DAMAGED;
    if (kind == 0)
        return reader->at == reader->end ? ENTRY_END : ENTRY_DAMAGED;
    if (kind > NEWS_NODE)
        return ENTRY_DAMAGED;
    empty(news, (enum news_kind)kind);
    enum entry_result result = get_fields(reader, news);
    if (result != ENTRY_OK)
        entry_release_news(news);
    return result;
}

void entry_release_news(struct news *news)
{
    for (size_t i = 0; i < FIELDS; i++) {
        if (fields[i].kind != FIELD_BLOB)
            continue;
        struct jobd_blob *own;
        void *at = (char *)news + fields[i].offset;
        memcpy(&own, at, sizeof own); /* as it was made */
        jobd_blob_unref(own);
        memset(at, 0, sizeof own);
    }
}
