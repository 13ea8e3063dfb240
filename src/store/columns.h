/* SPDX-License-Identifier: MIT */
/* A job's columns: of each its name, and where it stands in struct job_record. All that handles a
 * row walks these tables: CREATE TABLE, INSERT and SELECT, binding, reading, the checksum. Those of
 * schedules (schedule_columns.h) are alike, of struct schedule_record.
 *
 * To add one:
 *   1. a field in struct job_record (engine/journal_store.h), which the engine fills and takes
 * back;
 *   2. a row at the end of job_table or progress_table, behind `crc`;
 *   3. a migration in database.c: ALTER TABLE job ADD COLUMN, of a type alone: with NOT NULL and a
 * DEFAULT each row that has not got it would be made and checked with it.
 * A bool is one row of `flags` in columns.c instead, and needs no migration.
 *
 * Rows that were written before, and those that are plain, have NULL in it, which is read as 0 or
 * '' and must mean "as before". The checksum of a row covers the columns before `crc` always, and
 * those behind it, with their names, only when they are not zero: so the checksums of old rows stay
 * right, and nothing is written again. A bit above it says that there are any.
 *
 * What stands here was written to disk by somebody: no row is changed, moved or removed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "engine/journal_store.h"

struct sqlite3_stmt;

enum column_kind {
    COLUMN_U8,
    COLUMN_U32,
    COLUMN_I32,
    COLUMN_64, /* with a sign or without */
    COLUMN_TEXT,
    COLUMN_BOOL,
    COLUMN_FLAGS,      /* several bools of a job */
    COLUMN_BLOB_TYPE,  /* the media type of the blob in the next column */
    COLUMN_TYPED_BLOB, /* whose media type is the column before */
    COLUMN_TEXT_BLOB,  /* text, whatever its blob says */
    COLUMN_BLOB,       /* of no type */
    COLUMN_CRC         /* of the record; no field */
};

/* Of a field, by its type; one that is not here does not compile. */
#define COLUMN_KIND_OF(record, field)                                                              \
    _Generic(((record *)NULL)->field,                                                              \
        bool: COLUMN_BOOL,                                                                         \
        uint8_t: COLUMN_U8,                                                                        \
        uint32_t: COLUMN_U32,                                                                      \
        int: COLUMN_I32,                                                                           \
        int64_t: COLUMN_64,                                                                        \
        uint64_t: COLUMN_64,                                                                       \
        const char *: COLUMN_TEXT)

struct column {
    const char *name;
    size_t offset; /* in the table's record */
    enum column_kind kind;
};

enum { COLUMNS_MAX = 32 };

/* As many columns as one SQL table has, in the file's order; the first is the job's id. */
struct table {
    const char *name;
    const struct column *columns;
    int len;
};

extern const struct table job_table;      /* what never changes; written once */
extern const struct table progress_table; /* how far it is; no row as long as the job waits as it
                                             was put in */

/* Below, `record` is what the table is about: a struct job_record, or a struct schedule_record.
 *
 * SQL, returned: the caller frees it with sqlite3_free(). NULL: out of memory. */

/* As version 1 of the schema has it: without the columns behind `crc`. */
char *columns_create(const struct table *table);
/* With a ? for each column, or when it is `plain` for each up to `crc`: a row of which the others
 * are zero, as nearly all are, costs no more than before there were any. `condition`, when not
 * NULL, is an SQL expression in which ?1 is the id: where it is false the statement fails, as the
 * second column is NULL then and must not be. (By WHERE it would be an INSERT of a SELECT, for
 * which SQLite opens a savepoint.) */
char *columns_insert(const struct table *table, bool plain, const char *condition);
/* Its columns, each with the table's name, for a SELECT; when it is `plain` up to `crc`. */
char *columns_list(const struct table *table, bool plain);
/* How many these are. */
int columns_width(const struct table *table, bool plain);

/* Whether all behind `crc` are zero. */
bool columns_plain(const struct table *table, const void *record);
/* Binds the columns to such an INSERT; what the record points to must stay until it is stepped. */
void columns_bind(const struct table *table, bool plain, struct sqlite3_stmt *statement,
                  const void *record);

/* Whether a row of the table of jobs, whose columns begin at `first`, has nothing but zeros behind
 * `crc`, which says it. */
bool columns_are_plain(const struct table *table, struct sqlite3_stmt *row, int first);

/* Fills the table's fields from a row whose columns begin at `first`, when it is `plain` those up
 * to `crc`. Texts are borrowed from the row, blobs are the record's: columns_release() frees them,
 * also when this is false: memory is short. */
bool columns_read(const struct table *table, bool plain, struct sqlite3_stmt *row, int first,
                  void *record);
void columns_release(const struct table *table, void *record);

/* Whether the row's checksum is that of the record that was read from it, `plain` as it was read.
 */
bool columns_whole(const struct table *table, bool plain, struct sqlite3_stmt *row, int first,
                   const void *record);
