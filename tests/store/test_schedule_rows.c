/* SPDX-License-Identifier: MIT */
/* Schedules in the database's file: written, read back, damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "store/database.h"
#include "store/schedules.h"
#include "support/server.h"

static char path[200];
static struct problem problem;

static struct database *open_it(void)
{
    struct database *database = database_open(path, DATABASE_SYNC_FULL, &problem);
    if (database == NULL)
        fail_msg("%s", problem.text);
    return database;
}

static int fresh(void **state)
{
    static unsigned files;
    (void)state;
    snprintf(path, sizeof path, "%s/schedules-%u.db", temporary_directory(), ++files);
    return 0;
}

static struct schedule_record plain(const char *name)
{
    return (struct schedule_record){.name = name,
                                    .queue = "default",
                                    .cron = "0 3 * * *",
                                    .zone = "Europe/Paris",
                                    .priority = 3,
                                    .after_us = 1000};
}

static void put_row(struct database *database, enum row_kind kind,
                    const struct schedule_record *schedule)
{
    const struct job_record record = {.schedule = schedule};
    assert_int_equal(database_begin(database, &problem), DATABASE_OK);
    assert_int_equal(database_change(database, kind, &record, &problem), DATABASE_OK);
    assert_int_equal(database_commit(database, &problem), DATABASE_OK);
}

struct seen {
    char names[8][16];
    bool damaged[8];
    unsigned len;
};

static bool see(void *context, const char *name, const struct schedule_record *record)
{
    struct seen *seen = context;
    snprintf(seen->names[seen->len], sizeof seen->names[0], "%s", name);
    seen->damaged[seen->len++] = record == NULL;
    return true;
}

static struct seen scan(struct database *database)
{
    struct seen seen = {.len = 0};
    assert_true(schedules_scan(database, see, &seen, &problem));
    return seen;
}

static bool compare(void *context, const char *name, const struct schedule_record *record)
{
    const struct schedule_record *one = context;
    assert_string_equal(name, one->name);
    assert_non_null(record);
    assert_string_equal(record->queue, one->queue);
    assert_string_equal(record->cron, one->cron);
    assert_string_equal(record->zone, one->zone);
    for (unsigned i = 0; i < JOBD_TEXTS; i++)
        assert_string_equal(record->texts[i] != NULL ? record->texts[i] : "",
                            one->texts[i] != NULL ? one->texts[i] : "");
    assert_true(record->every_us == one->every_us && record->priority == one->priority &&
                record->attempts == one->attempts && record->timeout_us == one->timeout_us &&
                record->expires_us == one->expires_us && record->late == one->late &&
                record->alone == one->alone && record->fixed == one->fixed);
    assert_true(record->paused == one->paused && record->after_us == one->after_us &&
                record->floor_us == one->floor_us && record->since_us == one->since_us &&
                record->done_from_us == one->done_from_us &&
                record->done_to_us == one->done_to_us && record->last_us == one->last_us &&
                record->last_job == one->last_job && record->missed == one->missed &&
                record->skipped == one->skipped);
    assert_int_equal(record->payload->size, one->payload->size);
    assert_string_equal(record->payload->type, one->payload->type);
    return true;
}

static void test_a_schedule_comes_back_as_it_was(void **state)
{
    struct jobd_blob *payload = jobd_blob_text("report");
    struct schedule_record one = plain("nightly");
    uint32_t count;
    (void)state;
    one.payload = payload;
    one.every_us = 5;
    one.attempts = 6;
    one.timeout_us = 7;
    one.expires_us = 8;
    one.late = 2;
    one.alone = one.fixed = one.paused = true;
    one.texts[JOBD_GROUP] = "tenant";
    one.texts[JOBD_TAGS] = "a\nb\n";
    struct database *database = open_it();
    put_row(database, ROW_SCHEDULE, &one);
    one.after_us = 2000;
    one.floor_us = 11;
    one.since_us = 12;
    one.done_from_us = 13;
    one.done_to_us = 14;
    one.last_us = 15;
    one.last_job = 16;
    one.missed = 17;
    one.skipped = 18;
    one.paused = false;
    put_row(database, ROW_SCHEDULE_STEP, &one);
    database_close(database);
    database = open_it();
    assert_true(schedules_count(database, &count, &problem) && count == 1);
    assert_true(schedules_scan(database, compare, &one, &problem));
    database_close(database);
    jobd_blob_unref(payload);
}

static void test_what_is_deleted_is_gone(void **state)
{
    const struct schedule_record a = plain("a"), b = plain("b"), c = plain("c");
    (void)state;
    struct database *database = open_it();
    put_row(database, ROW_SCHEDULE, &c);
    put_row(database, ROW_SCHEDULE, &a);
    put_row(database, ROW_SCHEDULE, &b);
    put_row(database, ROW_UNSCHEDULE, &b);
    struct seen seen = scan(database);
    assert_int_equal(seen.len, 2);
    assert_string_equal(seen.names[0], "a");
    assert_string_equal(seen.names[1], "c");
    put_row(database, ROW_UNSCHEDULE_ALL, NULL);
    assert_int_equal(scan(database).len, 0);
    database_close(database);
}

/* By another program. */
static void change_file(const char *sql)
{
    sqlite3 *handle;
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(handle);
}

static void test_damaged_rows_are_seen(void **state)
{
    const char *const names[] = {"a", "b", "c", "d"};
    (void)state;
    struct database *database = open_it();
    for (unsigned i = 0; i < 4; i++) {
        const struct schedule_record one = plain(names[i]);
        put_row(database, ROW_SCHEDULE, &one);
    }
    assert_int_equal(database_checkpoint(database, LOG_ENDS, &problem), DATABASE_OK);
    database_close(database);
    change_file("UPDATE schedule SET cron = '0 4 * * *' WHERE name = 'a';"
                "UPDATE schedule_place SET after_at = 5 WHERE name = 'b';"
                "DELETE FROM schedule_place WHERE name = 'c'");
    database = open_it();
    const struct seen seen = scan(database);
    assert_int_equal(seen.len, 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_string_equal(seen.names[i], names[i]);
        assert_int_equal(seen.damaged[i], i < 3);
    }
    database_close(database);
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_schedule_comes_back_as_it_was),
        TEST(test_what_is_deleted_is_gone),
        TEST(test_damaged_rows_are_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
