/* SPDX-License-Identifier: MIT */
/* A job as two rows: one that never changes, and one that says how far it is; each with a checksum
 * over all of its columns. */
#include <string.h>
#include <zlib.h>

#include "base/text.h"
#include "store/database_inside.h"

/* States are on disk as their numbers. */
_Static_assert(JOBD_QUEUED == 0 && JOBD_SCHEDULED == 1 && JOBD_RUNNING == 2 && JOBD_DONE == 3 &&
                   JOBD_FAILED == 4 && JOBD_CANCELLED == 5,
               "a migration must follow");

enum { DELAYED = 1, STOPPING = 2, TRUNCATED = 4, EXITED = 8 }; /* progress.flags */

/* ---- checksums, over all columns of a row */

static uLong crc_number(uLong crc, int64_t number)
{
    unsigned char bytes[8];
    for (unsigned i = 0; i < 8; i++)
        bytes[i] = (unsigned char)((uint64_t)number >> 8 * i);
    return crc32(crc, bytes, sizeof bytes);
}

static uLong crc_bytes(uLong crc, const void *bytes, size_t size)
{
    return crc32_z(crc_number(crc, (int64_t)size), bytes, size);
}

static uLong crc_text(uLong crc, const char *text)
{
    return crc_bytes(crc, text, strlen(text));
}

static uLong crc_blob(uLong crc, const struct jobd_blob *blob)
{
    if (blob == NULL)
        return crc_number(crc, -1);
    return crc_bytes(crc_text(crc, blob->type), blob->bytes, blob->size);
}

static int64_t job_crc(const struct job_record *record)
{
    uLong crc = crc_number(crc32(0, NULL, 0), (int64_t)record->id);
    crc = crc_text(crc, record->queue);
    crc = crc_number(crc, record->priority);
    crc = crc_number(crc, record->attempts);
    crc = crc_number(crc, record->created_us);
    crc = crc_number(crc, record->run_at_us);
    crc = crc_number(crc, record->timeout_us);
    crc = crc_text(crc, record->key);
    crc = crc_text(crc, record->trace);
    return (int64_t)crc_blob(crc, record->payload);
}

static int flags_of(const struct job_record *record)
{
    return (record->delayed ? DELAYED : 0) | (record->stopping ? STOPPING : 0) |
           (record->output_truncated ? TRUNCATED : 0) | (record->exited ? EXITED : 0);
}

/* An error is text, whatever its blob says. */
static int64_t progress_crc(const struct job_record *record)
{
    const struct jobd_blob *error = record->error;
    uLong crc = crc_number(crc32(0, NULL, 0), (int64_t)record->id);
    crc = crc_number(crc, (int64_t)record->state);
    crc = crc_number(crc, record->attempt);
    crc = crc_number(crc, record->ready_us);
    crc = crc_number(crc, record->started_us);
    crc = crc_number(crc, record->finished_us);
    crc = crc_number(crc, flags_of(record));
    crc = crc_number(crc, record->exit_code);
    crc = crc_text(crc, record->token);
    crc = crc_number(crc, record->expires_us);
    crc = crc_blob(crc, record->output);
    return (int64_t)(error != NULL ? crc_bytes(crc, error->bytes, error->size)
                                   : crc_number(crc, -1));
}

/* ---- writing */

/* An argument that does not fit fails the statement, so the results need not be read. */
static void bind_number(sqlite3_stmt *statement, int at, int64_t number)
{
    (void)sqlite3_bind_int64(statement, at, number);
}

static void bind_text(sqlite3_stmt *statement, int at, const char *text)
{
    (void)sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC);
}

static void bind_bytes(sqlite3_stmt *statement, int at, const struct jobd_blob *blob)
{
    if (blob != NULL)
        (void)sqlite3_bind_blob64(statement, at, blob->bytes, blob->size, SQLITE_STATIC);
    else
        (void)sqlite3_bind_null(statement, at);
}

static void bind_type(sqlite3_stmt *statement, int at, const struct jobd_blob *blob)
{
    if (blob != NULL)
        bind_text(statement, at, blob->type);
    else
        (void)sqlite3_bind_null(statement, at);
}

static enum database_result add(struct database *database, const struct job_record *record)
{
    sqlite3_stmt *statement = database->statements[ADD];
    bind_number(statement, 1, (int64_t)record->id);
    bind_text(statement, 2, record->queue);
    bind_number(statement, 3, record->priority);
    bind_number(statement, 4, record->attempts);
    bind_number(statement, 5, record->created_us);
    bind_number(statement, 6, record->run_at_us);
    bind_number(statement, 7, record->timeout_us);
    bind_text(statement, 8, record->key);
    bind_text(statement, 9, record->trace);
    bind_type(statement, 10, record->payload);
    bind_bytes(statement, 11, record->payload);
    bind_number(statement, 12, job_crc(record));
    if (record->id > database->highest)
        database->highest = record->id;
    return database_step(database, ADD, 1);
}

static enum database_result set(struct database *database, const struct job_record *record)
{
    sqlite3_stmt *statement = database->statements[SET];
    bind_number(statement, 1, (int64_t)record->id);
    bind_number(statement, 2, (int64_t)record->state);
    bind_number(statement, 3, record->attempt);
    bind_number(statement, 4, record->ready_us);
    bind_number(statement, 5, record->started_us);
    bind_number(statement, 6, record->finished_us);
    bind_number(statement, 7, flags_of(record));
    bind_number(statement, 8, record->exit_code);
    bind_text(statement, 9, record->token);
    bind_number(statement, 10, record->expires_us);
    bind_type(statement, 11, record->output);
    bind_bytes(statement, 12, record->output);
    bind_bytes(statement, 13, record->error);
    bind_number(statement, 14, progress_crc(record));
    return database_step(database, SET, 1);
}

static enum database_result remove_row(struct database *database, enum statement which, uint64_t id)
{
    bind_number(database->statements[which], 1, (int64_t)id);
    return database_step(database, which, -1);
}

enum database_result database_change(struct database *database, enum row_kind kind,
                                     const struct job_record *record)
{
    switch (kind) {
    case ROW_ADD:
        return add(database, record);
    case ROW_SET:
        return set(database, record);
    case ROW_REMOVE:
        break;
    }
    enum database_result result = remove_row(database, REMOVE_PROGRESS, record->id);
    return result == DATABASE_OK ? remove_row(database, REMOVE_JOB, record->id) : result;
}

static const char *column_text(sqlite3_stmt *row, int at)
{
    const char *text = (const char *)sqlite3_column_text(row, at);
    return text != NULL ? text : "";
}

/* False when memory is short. */
static bool column_blob(sqlite3_stmt *row, int at, const char *type, struct jobd_blob **blob)
{
    *blob = NULL;
    if (sqlite3_column_type(row, at) == SQLITE_NULL)
        return true;
    const void *bytes = sqlite3_column_blob(row, at);
    size_t size = (size_t)sqlite3_column_bytes(row, at);
    *blob = jobd_blob_new(size, type);
    if (*blob != NULL && size > 0)
        memcpy((*blob)->bytes, bytes, size);
    return *blob != NULL;
}

static bool failed(struct database *database, const char *what)
{
    (void)database_failed(database, what);
    return false;
}

bool database_count(struct database *database,
                    bool (*each)(void *context, const char *queue, uint64_t jobs), void *context)
{
    static const char text[] = "SELECT queue, count(*) FROM job LEFT JOIN progress USING (id)"
                               " WHERE coalesce(state, 0) < 3 GROUP BY queue";
    sqlite3_stmt *row;
    if (sqlite3_prepare_v2(database->handle, text, -1, &row, NULL) != SQLITE_OK)
        return failed(database, "count");
    int code;
    bool good = true;
    while (good && (code = sqlite3_step(row)) == SQLITE_ROW)
        good = each(context, column_text(row, 0), (uint64_t)sqlite3_column_int64(row, 1));
    if (good && code != SQLITE_DONE)
        good = failed(database, "count");
    (void)sqlite3_finalize(row);
    return good;
}

/* The columns of a scan. */
enum {
    AT_ID,
    AT_QUEUE,
    AT_PRIORITY,
    AT_ATTEMPTS,
    AT_CREATED,
    AT_RUN_AT,
    AT_TIMEOUT,
    AT_KEY,
    AT_TRACE,
    AT_TYPE,
    AT_PAYLOAD,
    AT_CRC,
    AT_STATE,
    AT_ATTEMPT,
    AT_READY,
    AT_STARTED,
    AT_FINISHED,
    AT_FLAGS,
    AT_EXIT_CODE,
    AT_TOKEN,
    AT_EXPIRES,
    AT_OUTPUT_TYPE,
    AT_OUTPUT,
    AT_ERROR,
    AT_PROGRESS_CRC
};

#define SCAN                                                                                       \
    "SELECT job.*, state, attempt, ready, started, finished, flags, exit_code, token, expires,"    \
    " output_type, output, error, progress.crc FROM job LEFT JOIN progress USING (id) "

static void read_job(sqlite3_stmt *row, struct job_record *record)
{
    *record = (struct job_record){
        .id = (uint64_t)sqlite3_column_int64(row, AT_ID),
        .queue = column_text(row, AT_QUEUE),
        .priority = (uint8_t)sqlite3_column_int(row, AT_PRIORITY),
        .attempts = (uint32_t)sqlite3_column_int(row, AT_ATTEMPTS),
        .created_us = sqlite3_column_int64(row, AT_CREATED),
        .run_at_us = sqlite3_column_int64(row, AT_RUN_AT),
        .timeout_us = sqlite3_column_int64(row, AT_TIMEOUT),
        .key = column_text(row, AT_KEY),
        .trace = column_text(row, AT_TRACE),
        .token = "",
    };
    record->delayed = record->run_at_us > 0;
    record->state = record->delayed ? JOBD_SCHEDULED : JOBD_QUEUED;
    record->ready_us = record->delayed ? record->run_at_us : record->created_us;
}

static void read_progress(sqlite3_stmt *row, struct job_record *record)
{
    int flags = sqlite3_column_int(row, AT_FLAGS);
    record->state = (enum jobd_state)sqlite3_column_int(row, AT_STATE);
    record->attempt = (uint32_t)sqlite3_column_int(row, AT_ATTEMPT);
    record->ready_us = sqlite3_column_int64(row, AT_READY);
    record->started_us = sqlite3_column_int64(row, AT_STARTED);
    record->finished_us = sqlite3_column_int64(row, AT_FINISHED);
    record->delayed = (flags & DELAYED) != 0;
    record->stopping = (flags & STOPPING) != 0;
    record->output_truncated = (flags & TRUNCATED) != 0;
    record->exited = (flags & EXITED) != 0;
    record->exit_code = sqlite3_column_int(row, AT_EXIT_CODE);
    record->token = column_text(row, AT_TOKEN);
    record->expires_us = sqlite3_column_int64(row, AT_EXPIRES);
}

/* The row, when it is whole. */
static bool each_row(sqlite3_stmt *row,
                     bool (*each)(void *context, uint64_t id, const struct job_record *record),
                     void *context)
{
    struct jobd_blob *payload, *output = NULL, *error = NULL;
    struct job_record record;
    read_job(row, &record);
    bool moved = sqlite3_column_type(row, AT_STATE) != SQLITE_NULL;
    bool good = column_blob(row, AT_PAYLOAD, column_text(row, AT_TYPE), &payload);
    record.payload = payload;
    bool whole = sqlite3_column_int64(row, AT_CRC) == job_crc(&record);
    if (good && moved) {
        read_progress(row, &record);
        good = column_blob(row, AT_OUTPUT, column_text(row, AT_OUTPUT_TYPE), &output) &&
               column_blob(row, AT_ERROR, TYPE_TEXT, &error);
        record.output = output;
        record.error = error;
        whole = whole && sqlite3_column_int64(row, AT_PROGRESS_CRC) == progress_crc(&record) &&
                (unsigned)record.state < JOBD_STATES;
    }
    good = good && each(context, record.id, whole ? &record : NULL);
    jobd_blob_unref(payload);
    jobd_blob_unref(output);
    jobd_blob_unref(error);
    return good;
}

bool database_scan(struct database *database, bool ended,
                   bool (*each)(void *context, uint64_t id, const struct job_record *record),
                   void *context)
{
    sqlite3_stmt *row;
    const char *text = ended ? SCAN "WHERE state >= 3 ORDER BY finished, id"
                             : SCAN "WHERE coalesce(state, 0) < 3 ORDER BY job.id";
    if (sqlite3_prepare_v2(database->handle, text, -1, &row, NULL) != SQLITE_OK)
        return failed(database, "scan");
    int code;
    bool good = true;
    while (good && (code = sqlite3_step(row)) == SQLITE_ROW)
        good = each_row(row, each, context);
    if (good && code != SQLITE_DONE)
        good = failed(database, "scan");
    (void)sqlite3_finalize(row);
    return good;
}
