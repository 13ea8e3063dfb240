/* SPDX-License-Identifier: MIT */
#include "store/columns.h"

#include <endian.h>
#include <string.h>
#include <zlib.h>

#include "base/text.h"
#include "store/database_inside.h"

/* States are on disk as their numbers. */
_Static_assert(
    JOBD_QUEUED == 0 && JOBD_SCHEDULED == 1 && JOBD_RUNNING == 2 && JOBD_DONE == 3 &&
        JOBD_FAILED == 4 && JOBD_CANCELLED == 5,
    "a migration must follow"); /* JOBD_BLOCKED is none of them: it follows from `after` */

#define TEXT(text)   offsetof(struct job_record, texts) + (text) * sizeof(const char *), COLUMN_TEXT
#define FIELD(field) offsetof(struct job_record, field), COLUMN_KIND_OF(struct job_record, field)
#define BLOB(field)  offsetof(struct job_record, field)

static const struct column job_columns[] = {
    {"id", FIELD(id)},
    {"queue", FIELD(queue)},
    {"priority", FIELD(priority)},
    {"attempts", FIELD(attempts)},
    {"created", FIELD(created_us)},
    {"run_at", FIELD(run_at_us)},
    {"timeout", FIELD(timeout_us)},
    {"key", FIELD(key)},
    {"trace", FIELD(trace)},
    {"type", BLOB(payload), COLUMN_BLOB_TYPE},
    {"payload", BLOB(payload), COLUMN_TYPED_BLOB},
    {"crc", 0, COLUMN_CRC},
    {"job_group", TEXT(JOBD_GROUP)},
    {"tags", TEXT(JOBD_TAGS)},
    {"at", FIELD(at_us)},
    {"expiry", FIELD(expiry_us)},
    {"expiry_at", FIELD(expiry_at_us)},
    {"keep", FIELD(keep_us)},
    {"unique_until", FIELD(unique_until_us)},
    {"headers", TEXT(JOBD_HEADERS)},
    {"schedule", TEXT(JOBD_SCHEDULE)},
    {"after", TEXT(JOBD_AFTER)},
    {"callback", TEXT(JOBD_CALLBACK)},
    {"source", FIELD(source)},
};

static const struct column progress_columns[] = {
    {"id", FIELD(id)},
    {"state", FIELD(state)},
    {"attempt", FIELD(attempt)},
    {"ready", FIELD(ready_us)},
    {"started", FIELD(started_us)},
    {"finished", FIELD(finished_us)},
    {"flags", 0, COLUMN_FLAGS},
    {"exit_code", FIELD(exit_code)},
    {"token", FIELD(token)},
    {"expires", FIELD(expires_us)},
    {"output_type", BLOB(output), COLUMN_BLOB_TYPE},
    {"output", BLOB(output), COLUMN_TYPED_BLOB},
    {"error", BLOB(error), COLUMN_TEXT_BLOB},
    {"crc", 0, COLUMN_CRC},
    {"began", FIELD(began_us)}, /* 0: as started */
    {"errors", BLOB(errors), COLUMN_BLOB},
    {"errors_at", FIELD(errors_us)},
    {"worker", BLOB(worker), COLUMN_BLOB},
    {"progress", BLOB(progress), COLUMN_BLOB},
};

static const struct {
    int bit;
    size_t offset;
} flags[] = {
    {1, offsetof(struct job_record, delayed)},          {2, offsetof(struct job_record, stopping)},
    {4, offsetof(struct job_record, output_truncated)}, {8, offsetof(struct job_record, exited)},
    {16, offsetof(struct job_record, by_wall)},         {32, offsetof(struct job_record, expired)},
    {64, offsetof(struct job_record, unexpiring)},      {128, offsetof(struct job_record, settled)},
};

#define LEN(array) (sizeof(array) / sizeof((array)[0]))

_Static_assert(LEN(job_columns) <= COLUMNS_MAX && LEN(progress_columns) <= COLUMNS_MAX,
               "COLUMNS_MAX");

const struct table job_table = {"job", job_columns, LEN(job_columns)};
const struct table progress_table = {"progress", progress_columns, LEN(progress_columns)};

/* ---- SQL */

static const char *declaration(const struct column *column)
{
    switch (column->kind) {
    case COLUMN_TEXT:
        return "TEXT NOT NULL";
    case COLUMN_BLOB_TYPE:
        return "TEXT";
    case COLUMN_TYPED_BLOB:
    case COLUMN_TEXT_BLOB:
    case COLUMN_BLOB:
        return "BLOB";
    case COLUMN_U8:
    case COLUMN_U32:
    case COLUMN_I32:
    case COLUMN_64:
    case COLUMN_BOOL:
    case COLUMN_FLAGS:
    case COLUMN_CRC:
        break;
    }
    return "INTEGER NOT NULL";
}

char *columns_create(const struct table *table)
{
    sqlite3_str *text = sqlite3_str_new(NULL);
    sqlite3_str_appendf(text, "CREATE TABLE %s (%s INTEGER PRIMARY KEY", table->name,
                        table->columns[0].name);
    for (const struct column *column = table->columns; column->kind != COLUMN_CRC;) {
        column++;
        sqlite3_str_appendf(text, ", %s %s", column->name, declaration(column));
    }
    sqlite3_str_appendall(text, ")");
    return sqlite3_str_finish(text);
}

int columns_width(const struct table *table, bool plain)
{
    int len = 0;
    if (!plain)
        return table->len;
    while (table->columns[len++].kind != COLUMN_CRC)
        ;
    return len;
}

char *columns_insert(const struct table *table, bool plain, const char *condition)
{
    const int len = columns_width(table, plain);
    sqlite3_str *text = sqlite3_str_new(NULL);
    sqlite3_str_appendf(text, "INSERT OR REPLACE INTO %s (", table->name);
    for (int i = 0; i < len; i++)
        sqlite3_str_appendf(text, "%s%s", i > 0 ? "," : "", table->columns[i].name);
    sqlite3_str_appendall(text, ") VALUES (?");
    for (int i = 1; i < len; i++)
        if (i == 1 && condition != NULL)
            sqlite3_str_appendf(text, ",CASE WHEN %s THEN ? END", condition);
        else
            sqlite3_str_appendall(text, ",?");
    sqlite3_str_appendall(text, ")");
    return sqlite3_str_finish(text);
}

char *columns_list(const struct table *table, bool plain)
{
    const int len = columns_width(table, plain);
    sqlite3_str *text = sqlite3_str_new(NULL);
    for (int i = 0; i < len; i++)
        sqlite3_str_appendf(text, "%s%s.%s", i > 0 ? ", " : "", table->name,
                            table->columns[i].name);
    return sqlite3_str_finish(text);
}

/* ---- a field as SQL sees it */

struct value {
    enum { VALUE_NULL, VALUE_NUMBER, VALUE_TEXT, VALUE_BYTES } kind;
    int64_t number;
    const void *bytes;
    size_t size;
};

static struct value number(int64_t number)
{
    return (struct value){.kind = VALUE_NUMBER, .number = number};
}

static struct value text(const char *text)
{
    return (struct value){.kind = VALUE_TEXT, .bytes = text, .size = strlen(text)};
}

static const void *field_at(const void *record, size_t offset)
{
    return (const char *)record + offset;
}

static void *field_to_fill(void *record, size_t offset)
{
    return (char *)record + offset;
}

static int64_t flags_of(const void *record)
{
    int set = 0;
    for (size_t i = 0; i < LEN(flags); i++)
        if (*(const bool *)field_at(record, flags[i].offset))
            set |= flags[i].bit;
    return set;
}

static struct value value_of(const struct column *column, const void *record)
{
    const void *field = field_at(record, column->offset);
    const struct jobd_blob *blob;
    switch (column->kind) {
    case COLUMN_U8:
        return number(*(const uint8_t *)field);
    case COLUMN_U32:
        return number(*(const uint32_t *)field);
    case COLUMN_I32:
        return number(*(const int32_t *)field);
    case COLUMN_64:
        return number(*(const int64_t *)field);
    case COLUMN_BOOL:
        return number(*(const bool *)field);
    case COLUMN_FLAGS:
        return number(flags_of(record));
    case COLUMN_TEXT:
        return text(*(const char *const *)field != NULL ? *(const char *const *)field : "");
    case COLUMN_BLOB_TYPE:
        blob = *(const struct jobd_blob *const *)field;
        return blob != NULL ? text(blob->type) : (struct value){.kind = VALUE_NULL};
    case COLUMN_TYPED_BLOB:
    case COLUMN_TEXT_BLOB:
    case COLUMN_BLOB:
        blob = *(const struct jobd_blob *const *)field;
        if (blob != NULL)
            return (struct value){.kind = VALUE_BYTES, .bytes = blob->bytes, .size = blob->size};
        break;
    case COLUMN_CRC:
        break;
    }
    return (struct value){.kind = VALUE_NULL};
}

/* ---- checksums */

/* Small parts are gathered: each call of zlib costs more than their bytes. */
struct checksum {
    uLong crc;
    size_t used;
    unsigned char bytes[256];
};

static void checksum_flush(struct checksum *sum)
{
    sum->crc = crc32_z(sum->crc, sum->bytes, sum->used);
    sum->used = 0;
}

static void checksum_bytes(struct checksum *sum, const void *bytes, size_t size)
{
    if (size > sizeof sum->bytes - sum->used)
        checksum_flush(sum);
    if (size > sizeof sum->bytes) {
        sum->crc = crc32_z(sum->crc, bytes, size);
    } else if (size > 0) {
        memcpy(sum->bytes + sum->used, bytes, size);
        sum->used += size;
    }
}

static void checksum_number(struct checksum *sum, int64_t number)
{
    const uint64_t little = htole64((uint64_t)number);
    checksum_bytes(sum, &little, sizeof little);
}

static void checksum_value(struct checksum *sum, const struct value *value)
{
    if (value->kind == VALUE_NUMBER) {
        checksum_number(sum, value->number);
    } else if (value->kind == VALUE_NULL) {
        checksum_number(sum, -1);
    } else {
        checksum_number(sum, (int64_t)value->size);
        checksum_bytes(sum, value->bytes, value->size);
    }
}

/* What rows have that were written before there was the column. */
static bool is_zero(const struct value *value)
{
    return value->kind == VALUE_NULL || (value->kind == VALUE_NUMBER && value->number == 0) ||
           (value->kind == VALUE_TEXT && value->size == 0);
}

/* In a row's crc: not all columns behind it are zero. Rows without it, which were written before
 * there was this bit, may have such columns too: in the table of progress, which is read in whole.
 */
#define HAS_LATER (INT64_C(1) << 32)

/* Of the first `len` columns; those behind it are zero. */
static int64_t crc_of(const struct table *table, const struct value *values, int len)
{
    struct checksum sum;
    bool later = false; /* than version 1 */
    int64_t has_later = 0;
    sum.crc = crc32(0, NULL, 0);
    sum.used = 0;
    for (int i = 0; i < len; i++) {
        const struct column *column = &table->columns[i];
        const struct value *value = &values[i];
        if (column->kind == COLUMN_CRC) {
            later = true;
        } else if (later && !is_zero(value)) {
            struct value name = text(column->name);
            has_later = HAS_LATER;
            checksum_value(&sum, &name);
            checksum_value(&sum, value);
        } else if (!later && !(column->kind == COLUMN_BLOB_TYPE && value->kind == VALUE_NULL)) {
            checksum_value(&sum, value); /* that there is no blob, the blob says */
        }
    }
    checksum_flush(&sum);
    return (int64_t)sum.crc | has_later;
}

/* ---- writing */

/* An argument that does not fit fails the statement, so the results need not be read. */
static void bind(sqlite3_stmt *statement, int at, const struct value *value)
{
    switch (value->kind) {
    case VALUE_NUMBER:
        (void)sqlite3_bind_int64(statement, at, value->number);
        break;
    case VALUE_TEXT:
        (void)sqlite3_bind_text64(statement, at, value->bytes, value->size, SQLITE_STATIC,
                                  SQLITE_UTF8);
        break;
    case VALUE_BYTES:
        (void)sqlite3_bind_blob64(statement, at, value->bytes, value->size, SQLITE_STATIC);
        break;
    case VALUE_NULL:
        (void)sqlite3_bind_null(statement, at);
        break;
    }
}

bool columns_plain(const struct table *table, const void *record)
{
    for (int i = table->len; table->columns[--i].kind != COLUMN_CRC;) {
        struct value value = value_of(&table->columns[i], record);
        if (!is_zero(&value))
            return false;
    }
    return true;
}

void columns_bind(const struct table *table, bool plain, sqlite3_stmt *statement,
                  const void *record)
{
    struct value values[COLUMNS_MAX];
    const int len = columns_width(table, plain);
    for (int i = 0; i < len; i++)
        values[i] = value_of(&table->columns[i], record);
    values[columns_width(table, true) - 1] = number(crc_of(table, values, len));
    for (int i = 0; i < len; i++)
        bind(statement, i + 1, &values[i]);
}

/* ---- reading */

static const char *text_at(sqlite3_stmt *row, int at)
{
    const char *found = (const char *)sqlite3_column_text(row, at);
    return found != NULL ? found : "";
}

/* False when memory is short. */
static bool read_blob(sqlite3_stmt *row, int at, const char *type, const struct jobd_blob **blob)
{
    *blob = NULL;
    if (sqlite3_column_type(row, at) == SQLITE_NULL)
        return true;
    const void *bytes = sqlite3_column_blob(row, at);
    size_t size = (size_t)sqlite3_column_bytes(row, at);
    struct jobd_blob *made = jobd_blob_new(size, type);
    if (made != NULL && size > 0)
        memcpy(made->bytes, bytes, size);
    *blob = made;
    return made != NULL;
}

static void read_flags(int set, void *record)
{
    for (size_t i = 0; i < LEN(flags); i++)
        *(bool *)field_to_fill(record, flags[i].offset) = (set & flags[i].bit) != 0;
}

static bool read_field(const struct column *column, sqlite3_stmt *row, int at, void *record)
{
    void *field = field_to_fill(record, column->offset);
    switch (column->kind) {
    case COLUMN_U8:
        *(uint8_t *)field = (uint8_t)sqlite3_column_int(row, at);
        break;
    case COLUMN_U32:
        *(uint32_t *)field = (uint32_t)sqlite3_column_int(row, at);
        break;
    case COLUMN_I32:
        *(int32_t *)field = sqlite3_column_int(row, at);
        break;
    case COLUMN_64:
        *(int64_t *)field = sqlite3_column_int64(row, at);
        break;
    case COLUMN_BOOL:
        *(bool *)field = sqlite3_column_int(row, at) != 0;
        break;
    case COLUMN_FLAGS:
        read_flags(sqlite3_column_int(row, at), record);
        break;
    case COLUMN_TEXT:
        *(const char **)field = text_at(row, at);
        break;
    case COLUMN_TYPED_BLOB:
        return read_blob(row, at, text_at(row, at - 1), field);
    case COLUMN_TEXT_BLOB:
        return read_blob(row, at, TYPE_TEXT, field);
    case COLUMN_BLOB:
        return read_blob(row, at, NULL, field);
    case COLUMN_BLOB_TYPE:
    case COLUMN_CRC:
        break;
    }
    return true;
}

bool columns_read(const struct table *table, bool plain, sqlite3_stmt *row, int first, void *record)
{
    const int len = columns_width(table, plain);
    bool good = true;
    for (int i = 0; i < len; i++)
        good = read_field(&table->columns[i], row, first + i, record) && good;
    return good;
}

void columns_release(const struct table *table, void *record)
{
    for (int i = 0; i < table->len; i++) {
        const struct column *column = &table->columns[i];
        if (column->kind != COLUMN_TYPED_BLOB && column->kind != COLUMN_TEXT_BLOB &&
            column->kind != COLUMN_BLOB)
            continue;
        const struct jobd_blob **blob = field_to_fill(record, column->offset);
        struct jobd_blob *own;
        memcpy(&own, blob, sizeof own); /* as it was made */
        jobd_blob_unref(own);
        *blob = NULL;
    }
}

static int64_t stored_crc(const struct table *table, sqlite3_stmt *row, int first)
{
    return sqlite3_column_int64(row, first + columns_width(table, true) - 1);
}

bool columns_are_plain(const struct table *table, sqlite3_stmt *row, int first)
{
    return (stored_crc(table, row, first) & HAS_LATER) == 0;
}

bool columns_whole(const struct table *table, bool plain, sqlite3_stmt *row, int first,
                   const void *record)
{
    struct value values[COLUMNS_MAX];
    const int len = columns_width(table, plain);
    for (int i = 0; i < len; i++)
        values[i] = value_of(&table->columns[i], record);
    return (uint32_t)stored_crc(table, row, first) == (uint32_t)crc_of(table, values, len);
}
