/* SPDX-License-Identifier: MIT */
/* A job's rows as they are on disk: what version 2 of the schema has written is read, and written
 * again bit for bit; and a column that comes later leaves the rows valid that were there before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "store/columns.h"
#include "store/database.h"
#include "support/server.h"

/* A file that jobd 0.1.0 wrote, as `sqlite3 jobd.db .dump` shows it. Never to be changed. */
static const char written_before[] =
    "PRAGMA application_id = 1785684580; PRAGMA user_version = 2;"
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE job (id INTEGER PRIMARY KEY, queue TEXT NOT NULL, priority INTEGER NOT NULL,"
    " attempts INTEGER NOT NULL, created INTEGER NOT NULL, run_at INTEGER NOT NULL,"
    " timeout INTEGER NOT NULL, key TEXT NOT NULL, trace TEXT NOT NULL, type TEXT, payload BLOB,"
    " crc INTEGER NOT NULL);"
    "CREATE TABLE progress (id INTEGER PRIMARY KEY, state INTEGER NOT NULL,"
    " attempt INTEGER NOT NULL, ready INTEGER NOT NULL, started INTEGER NOT NULL,"
    " finished INTEGER NOT NULL, flags INTEGER NOT NULL, exit_code INTEGER NOT NULL,"
    " token TEXT NOT NULL, expires INTEGER NOT NULL, output_type TEXT, output BLOB, error BLOB,"
    " crc INTEGER NOT NULL);"
    "CREATE VIEW jobs AS SELECT id, queue, CASE coalesce(state, 0) WHEN 0 THEN"
    " iif(run_at / 1000000 > strftime('%s', 'now')  AND state IS NULL, 'scheduled', 'queued')"
    " WHEN 1 THEN 'scheduled' WHEN 2 THEN 'running'  WHEN 3 THEN 'done' WHEN 4 THEN 'failed'"
    " WHEN 5 THEN 'cancelled' END AS state, priority, coalesce(attempt, 0) AS attempt, attempts,"
    " datetime(created / 1000000, 'unixepoch') AS created_at,"
    " datetime(nullif(started, 0) / 1000000, 'unixepoch') AS started_at,"
    " datetime(nullif(finished, 0) / 1000000, 'unixepoch') AS finished_at,"
    " nullif(key, '') AS key, type, payload, output, CAST(error AS TEXT) AS error"
    " FROM job LEFT JOIN progress USING (id);"
    "INSERT INTO meta VALUES('next_id',1009);"
    "INSERT INTO job VALUES(1,'default',3,2,1000,0,0,'','',NULL,NULL,4218362652);"
    "INSERT INTO job VALUES(7,'mail',9,4,1767225600000000,1767225600005000,9,'k','00-1-2-3',"
    "'image/png',X'000102',4268941254);"
    "INSERT INTO job VALUES(8,'default',0,1,2000,0,0,'','','',X'',2564030246);"
    "INSERT INTO job VALUES(9,'default',1,1,2000,0,0,'','','text/plain; charset=utf-8',X'6F7574',"
    "1674160782);"
    "INSERT INTO progress VALUES(7,2,2,1767225600005000,1767225600006000,0,14,9,"
    "'0123456789abcdef0123456789abcdef',1767225600070000,'text/plain; charset=utf-8',X'6F7574',"
    "X'657272',1028709965);"
    "INSERT INTO progress VALUES(8,1,1,3000,0,0,1,0,'',0,NULL,NULL,NULL,1696820504);"
    "INSERT INTO progress VALUES(9,4,1,2000,2100,2200,0,-1,'',0,'',X'',NULL,1048145685);";

enum { JOBS = 4 };

static char path[200], other_path[200];
static unsigned files;
static struct problem problem; /* the last one */

static void fresh_paths(void)
{
    files++;
    snprintf(path, sizeof path, "%s/columns-%u.db", temporary_directory(), files);
    snprintf(other_path, sizeof other_path, "%s/columns-%u-other.db", temporary_directory(), files);
}

static void run(sqlite3 *handle, const char *sql)
{
    if (sqlite3_exec(handle, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(handle));
}

static void change_file(const char *file, const char *sql)
{
    sqlite3 *handle;
    assert_int_equal(sqlite3_open(file, &handle), SQLITE_OK);
    run(handle, sql);
    sqlite3_close(handle);
}

static struct database *open_it(const char *file)
{
    struct database *database = database_open(file, DATABASE_SYNC_FULL, &problem);
    if (database == NULL)
        fail_msg("%s", problem.text);
    return database;
}

/* ---- what is in it */

struct scene {
    struct jobd_blob *image, *empty, *out, *err;
    struct job_record put[JOBS], now[JOBS]; /* as they were put in, as they are */
};

static struct job_record put(uint64_t id, uint8_t priority, uint32_t attempts, int64_t created_us)
{
    return (struct job_record){.id = id,
                               .queue = "default",
                               .priority = priority,
                               .attempts = attempts,
                               .created_us = created_us,
                               .key = "",
                               .trace = "",
                               .token = "",
                               .ready_us = created_us};
}

static void make_running(struct scene *scene)
{
    struct job_record *job = &scene->put[1];
    *job = put(7, 9, 4, INT64_C(1767225600000000));
    job->queue = "mail";
    job->run_at_us = INT64_C(1767225600005000);
    job->timeout_us = 9;
    job->key = "k";
    job->trace = "00-1-2-3";
    job->payload = scene->image;
    scene->now[1] = *job;
    job = &scene->now[1];
    job->state = JOBD_RUNNING;
    job->attempt = 2;
    job->ready_us = INT64_C(1767225600005000);
    job->started_us = INT64_C(1767225600006000);
    job->stopping = job->output_truncated = job->exited = true;
    job->exit_code = 9;
    job->token = "0123456789abcdef0123456789abcdef";
    job->expires_us = INT64_C(1767225600070000);
    job->output = scene->out;
    job->error = scene->err;
}

static void make_jobs(struct scene *scene)
{
    scene->image = jobd_blob_new(3, "image/png");
    memcpy(scene->image->bytes, "\0\1\2", 3);
    scene->empty = jobd_blob_new(0, NULL);
    scene->out = jobd_blob_text("out");
    scene->err = jobd_blob_text("err");
    scene->put[0] = scene->now[0] = put(1, 3, 2, 1000);
    scene->now[0].ready_us = 0; /* since it was created */
    make_running(scene);
    scene->put[2] = put(8, 0, 1, 2000);
    scene->put[2].payload = scene->empty;
    struct job_record *job = &scene->now[2];
    *job = scene->put[2];
    job->state = JOBD_SCHEDULED;
    job->attempt = 1;
    job->ready_us = 3000;
    job->delayed = true;
    scene->put[3] = put(9, 1, 1, 2000);
    scene->put[3].payload = scene->out;
    job = &scene->now[3];
    *job = scene->put[3];
    job->state = JOBD_FAILED;
    job->attempt = 1;
    job->started_us = 2100;
    job->finished_us = 2200;
    job->exit_code = -1;
    job->output = scene->empty;
}

static void free_jobs(struct scene *scene)
{
    jobd_blob_unref(scene->image);
    jobd_blob_unref(scene->empty);
    jobd_blob_unref(scene->out);
    jobd_blob_unref(scene->err);
}

static void same_blob(const struct jobd_blob *a, const struct jobd_blob *b)
{
    assert_int_equal(a == NULL, b == NULL);
    if (a == NULL)
        return;
    assert_string_equal(a->type, b->type);
    assert_int_equal(a->size, b->size);
    assert_memory_equal(a->bytes, b->bytes, a->size);
}

static void same_job(const struct job_record *a, const struct job_record *b)
{
    assert_int_equal(a->id, b->id);
    assert_string_equal(a->queue, b->queue);
    assert_int_equal(a->priority, b->priority);
    assert_int_equal(a->attempts, b->attempts);
    assert_int_equal(a->created_us, b->created_us);
    assert_int_equal(a->run_at_us, b->run_at_us);
    assert_int_equal(a->timeout_us, b->timeout_us);
    assert_string_equal(a->key, b->key);
    assert_string_equal(a->trace, b->trace);
    for (int i = 0; i < JOBD_TEXTS; i++)
        assert_string_equal(a->texts[i] != NULL ? a->texts[i] : "",
                            b->texts[i] != NULL ? b->texts[i] : "");
    same_blob(a->payload, b->payload);
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->attempt, b->attempt);
    assert_int_equal(a->ready_us, b->ready_us);
    assert_int_equal(a->started_us, b->started_us);
    assert_int_equal(a->finished_us, b->finished_us);
    assert_int_equal(a->delayed, b->delayed);
    assert_int_equal(a->stopping, b->stopping);
    assert_int_equal(a->output_truncated, b->output_truncated);
    assert_int_equal(a->exited, b->exited);
    assert_int_equal(a->exit_code, b->exit_code);
    assert_string_equal(a->token, b->token);
    assert_int_equal(a->expires_us, b->expires_us);
    same_blob(a->output, b->output);
    same_blob(a->error, b->error);
}

struct seen {
    const struct scene *scene;
    unsigned jobs;
};

static bool see(void *context, uint64_t id, const struct job_record *record)
{
    struct seen *seen = context;
    if (record == NULL)
        fail_msg("job %llu is damaged", (unsigned long long)id);
    same_job(record, &seen->scene->now[seen->jobs++]);
    return true;
}

/* In the order in which they are read: job 9 alone has ended, and is the last of all. */
static void is_all_there(struct database *database, const struct scene *scene)
{
    struct seen seen = {.scene = scene};
    assert_true(database_scan(database, false, see, &seen, &problem));
    assert_int_equal(seen.jobs, JOBS - 1);
    assert_true(database_scan(database, true, see, &seen, &problem));
    assert_int_equal(seen.jobs, JOBS);
}

static void test_what_was_written_before_is_read(void **state)
{
    struct scene scene;
    (void)state;
    fresh_paths();
    make_jobs(&scene);
    change_file(path, written_before);
    struct database *database = open_it(path);
    is_all_there(database, &scene);
    database_close(database);
    free_jobs(&scene);
}

static void write_all(const char *file, const struct scene *scene)
{
    struct database *database = open_it(file);
    assert_int_equal(database_begin(database, &problem), DATABASE_OK);
    for (unsigned i = 0; i < JOBS; i++)
        assert_int_equal(database_change(database, ROW_ADD, &scene->put[i], &problem), DATABASE_OK);
    for (unsigned i = 1; i < JOBS; i++)
        assert_int_equal(database_change(database, ROW_SET, &scene->now[i], &problem), DATABASE_OK);
    assert_int_equal(database_commit(database, &problem), DATABASE_OK);
    assert_int_equal(database_checkpoint(database, LOG_ENDS, &problem), DATABASE_OK);
    database_close(database);
}

/* Whether the SELECT gives the same rows, in the same order, of the same types. */
static void same_rows(sqlite3 *a, sqlite3 *b, const char *sql)
{
    sqlite3_stmt *one, *other;
    int code;
    assert_int_equal(sqlite3_prepare_v2(a, sql, -1, &one, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(b, sql, -1, &other, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_column_count(one), sqlite3_column_count(other));
    while ((code = sqlite3_step(one)) == SQLITE_ROW) {
        assert_int_equal(sqlite3_step(other), SQLITE_ROW);
        for (int i = 0; i < sqlite3_column_count(one); i++) {
            assert_int_equal(sqlite3_column_type(one, i), sqlite3_column_type(other, i));
            const void *bytes = sqlite3_column_blob(one, i), *same = sqlite3_column_blob(other, i);
            int size = sqlite3_column_bytes(one, i);
            assert_int_equal(size, sqlite3_column_bytes(other, i));
            assert_true(size == 0 || memcmp(bytes, same, (size_t)size) == 0);
        }
    }
    assert_int_equal(code, SQLITE_DONE);
    assert_int_equal(sqlite3_step(other), SQLITE_DONE);
    sqlite3_finalize(one);
    sqlite3_finalize(other);
}

static void created_as_before(sqlite3 *before, const struct table *table)
{
    sqlite3_stmt *row;
    char *now = columns_create(table);
    assert_int_equal(
        sqlite3_prepare_v2(before, "SELECT sql FROM sqlite_schema WHERE name = ?", -1, &row, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_bind_text(row, 1, table->name, -1, SQLITE_STATIC), SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(row, 0), now);
    sqlite3_finalize(row);
    sqlite3_free(now);
}

/* Beside a file that was brought to the present version, with its rows as they were. */
static void test_it_is_written_as_before(void **state)
{
    struct scene scene;
    sqlite3 *before, *now;
    (void)state;
    fresh_paths();
    make_jobs(&scene);
    change_file(other_path, written_before);
    assert_int_equal(sqlite3_open(other_path, &before), SQLITE_OK);
    created_as_before(before, &job_table);
    created_as_before(before, &progress_table);
    sqlite3_close(before);
    database_close(open_it(other_path));
    write_all(path, &scene);
    assert_int_equal(sqlite3_open(other_path, &before), SQLITE_OK);
    assert_int_equal(sqlite3_open(path, &now), SQLITE_OK);
    same_rows(before, now, "SELECT type, name, sql FROM sqlite_schema ORDER BY rowid");
    same_rows(before, now, "PRAGMA application_id");
    same_rows(before, now, "PRAGMA user_version");
    same_rows(before, now, "SELECT * FROM meta ORDER BY name");
    same_rows(before, now, "SELECT * FROM job ORDER BY id");
    same_rows(before, now, "SELECT * FROM progress ORDER BY id");
    sqlite3_close(before);
    sqlite3_close(now);
    free_jobs(&scene);
}

/* ---- columns that come later: two more in the table of jobs, here exit_code and token */

static struct column later_columns[32];
static struct table first_table, later_table;

static void add_columns(sqlite3 *handle)
{
    run(handle, "ALTER TABLE job ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;"
                "ALTER TABLE job ADD COLUMN owner TEXT NOT NULL DEFAULT ''");
}

static void make_tables(void)
{
    int len = 0;
    do
        later_columns[len] = job_table.columns[len];
    while (later_columns[len++].kind != COLUMN_CRC);
    first_table = (struct table){"job", later_columns, len};
    later_columns[len++] =
        (struct column){"tries", offsetof(struct job_record, exit_code), COLUMN_I32};
    later_columns[len++] =
        (struct column){"owner", offsetof(struct job_record, token), COLUMN_TEXT};
    later_table = (struct table){"job", later_columns, len};
}

static void insert(sqlite3 *handle, const struct table *table, const struct job_record *record)
{
    sqlite3_stmt *statement;
    const bool plain = columns_plain(table, record);
    char *text = columns_insert(table, plain, NULL);
    assert_int_equal(sqlite3_prepare_v2(handle, text, -1, &statement, NULL), SQLITE_OK);
    columns_bind(table, plain, statement, record);
    assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
    sqlite3_finalize(statement);
    sqlite3_free(text);
}

/* Reads the one row; whether it is whole. */
static bool is_whole(sqlite3 *handle, const struct job_record *expected)
{
    sqlite3_stmt *row;
    struct job_record record = {.id = 0};
    char *list = columns_list(&later_table, false),
         *text = sqlite3_mprintf("SELECT 'before', %s FROM job", list);
    assert_int_equal(sqlite3_prepare_v2(handle, text, -1, &row, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    assert_true(columns_read(&later_table, false, row, 1, &record));
    bool whole = columns_whole(&later_table, false, row, 1, &record);
    if (whole) {
        assert_int_equal(columns_are_plain(&later_table, row, 1),
                         columns_plain(&later_table, expected));
        assert_int_equal(record.exit_code, expected->exit_code);
        assert_string_equal(record.token, expected->token);
        same_blob(record.payload, expected->payload);
    }
    columns_release(&later_table, &record);
    sqlite3_finalize(row);
    sqlite3_free(list);
    sqlite3_free(text);
    return whole;
}

static void test_a_column_that_comes_later(void **state)
{
    struct jobd_blob *payload = jobd_blob_text("payload");
    struct job_record record = put(1, 3, 2, 1000);
    sqlite3 *handle;
    (void)state;
    record.payload = payload;
    assert_int_equal(sqlite3_open(":memory:", &handle), SQLITE_OK);
    make_tables();
    char *create = columns_create(&first_table);
    run(handle, create);
    insert(handle, &first_table, &record);
    add_columns(handle);
    char *again = columns_create(&later_table);
    assert_string_equal(create, again); /* a new file gets them by the migration, too */
    assert_true(is_whole(handle, &record));

    run(handle, "UPDATE job SET tries = 5");
    assert_false(is_whole(handle, &record));
    record.exit_code = 5;
    insert(handle, &later_table, &record);
    assert_true(is_whole(handle, &record));
    run(handle, "UPDATE job SET tries = 0"); /* also what looks like a row of before */
    assert_false(is_whole(handle, &record));
    run(handle, "UPDATE job SET tries = 5, owner = 'me'");
    assert_false(is_whole(handle, &record));
    record.token = "me";
    insert(handle, &later_table, &record);
    assert_true(is_whole(handle, &record));
    run(handle, "UPDATE job SET priority = 4");
    assert_false(is_whole(handle, &record));

    assert_false(columns_plain(&later_table, &record));
    record.exit_code = 0; /* in its place one that has none of them: they are zero again */
    record.token = "";
    assert_true(columns_plain(&later_table, &record));
    insert(handle, &later_table, &record);
    assert_true(is_whole(handle, &record));

    sqlite3_free(create);
    sqlite3_free(again);
    sqlite3_close(handle);
    jobd_blob_unref(payload);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_written_before_is_read),
        cmocka_unit_test(test_it_is_written_as_before),
        cmocka_unit_test(test_a_column_that_comes_later),
    };
    return cmocka_run_group_tests(tests, NULL, server_stop_all);
}
