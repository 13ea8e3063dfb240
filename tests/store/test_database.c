/* SPDX-License-Identifier: MIT */
/* The database's file: what is ours and what is refused, what is read back, what is damaged. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "store/database.h"
#include "support/server.h"

static char path[200];
static unsigned files;
static struct problem problem; /* the last one */

static void fresh_path(void)
{
    snprintf(path, sizeof path, "%s/jobs-%u.db", temporary_directory(), ++files);
}

static struct database *open_it(void)
{
    struct database *database = database_open(path, DATABASE_SYNC_FULL, &problem);
    if (database == NULL || !database_make_shrinkable(database, &problem))
        fail_msg("%s", problem.text);
    return database;
}

static void refused_with(const char *text)
{
    assert_null(database_open(path, DATABASE_SYNC_FULL, &problem));
    if (strstr(problem.text, path) == NULL || strstr(problem.text, text) == NULL)
        fail_msg("\"%s\" does not say \"%s\" of %s", problem.text, text, path);
}

/* By another program. */
static void change_file(const char *sql)
{
    sqlite3 *handle;
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    if (sqlite3_exec(handle, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(handle));
    sqlite3_close(handle);
}

static struct job_record job(uint64_t id)
{
    return (struct job_record){.id = id,
                               .queue = "default",
                               .priority = 3,
                               .attempts = 2,
                               .created_us = 1000,
                               .key = "",
                               .trace = "",
                               .token = ""};
}

static void add(struct database *database, const struct job_record *record)
{
    assert_int_equal(database_begin(database, &problem), DATABASE_OK);
    assert_int_equal(database_change(database, ROW_ADD, record, &problem), DATABASE_OK);
    assert_int_equal(database_commit(database, &problem), DATABASE_OK);
}

static void set(struct database *database, const struct job_record *record)
{
    assert_int_equal(database_begin(database, &problem), DATABASE_OK);
    assert_int_equal(database_change(database, ROW_SET, record, &problem), DATABASE_OK);
    assert_int_equal(database_commit(database, &problem), DATABASE_OK);
}

struct seen {
    uint64_t ids[16];
    bool damaged[16];
    size_t len;
};

static bool see(void *context, uint64_t id, const struct job_record *record)
{
    struct seen *seen = context;
    seen->damaged[seen->len] = record == NULL;
    seen->ids[seen->len++] = id;
    return true;
}

static void same_bytes(const struct jobd_blob *a, const struct jobd_blob *b)
{
    assert_int_equal(a->size, b->size);
    assert_memory_equal(a->bytes, b->bytes, a->size);
}

static bool compare(void *context, uint64_t id, const struct job_record *record)
{
    const struct job_record *one = context;
    assert_int_equal(id, one->id);
    assert_non_null(record);
    assert_string_equal(record->queue, one->queue);
    assert_string_equal(record->key, one->key);
    assert_string_equal(record->trace, one->trace);
    for (int i = 0; i < JOBD_TEXTS; i++)
        assert_string_equal(record->texts[i], one->texts[i] != NULL ? one->texts[i] : "");
    assert_string_equal(record->token, one->token);
    assert_int_equal(record->priority, one->priority);
    assert_int_equal(record->attempts, one->attempts);
    assert_int_equal(record->created_us, one->created_us);
    assert_int_equal(record->run_at_us, one->run_at_us);
    assert_int_equal(record->timeout_us, one->timeout_us);
    assert_int_equal(record->source, one->source);
    assert_int_equal(record->state, one->state);
    assert_int_equal(record->attempt, one->attempt);
    assert_int_equal(record->ready_us, one->ready_us);
    assert_int_equal(record->started_us, one->started_us);
    assert_int_equal(record->finished_us, one->finished_us);
    assert_int_equal(record->expires_us, one->expires_us);
    assert_int_equal(record->began_us, one->began_us);
    assert_true(record->stopping && record->output_truncated && record->exited);
    assert_false(record->delayed);
    assert_int_equal(record->exit_code, one->exit_code);
    same_bytes(record->payload, one->payload);
    assert_string_equal(record->payload->type, one->payload->type);
    same_bytes(record->output, one->output);
    same_bytes(record->error, one->error);
    return true;
}

static void test_a_job_comes_back_as_it_was(void **state)
{
    struct jobd_blob *payload = jobd_blob_new(3, "image/png"), *output = jobd_blob_text("out"),
                     *error = jobd_blob_text("err");
    struct job_record one = job(7);
    (void)state;
    fresh_path();
    memcpy(payload->bytes, "\0\1\2", 3);
    one.payload = payload;
    one.key = "k";
    one.trace = "00-1-2-3";
    one.texts[JOBD_GROUP] = "tenant";
    one.texts[JOBD_TAGS] = "a\nb\n";
    one.run_at_us = 5000;
    one.timeout_us = 9;
    struct database *database = open_it();
    add(database, &one);
    one.state = JOBD_RUNNING;
    one.attempt = 2;
    one.started_us = 6000;
    one.ready_us = 5000;
    one.stopping = one.output_truncated = one.exited = true;
    one.exit_code = 9;
    one.token = "0123456789abcdef0123456789abcdef";
    one.expires_us = 70000;
    one.began_us = 6500;
    one.output = output;
    one.error = error;
    set(database, &one);
    assert_int_equal(database_checkpoint(database, LOG_ENDS, &problem), DATABASE_OK);
    database_close(database);

    database = open_it();
    assert_true(database_scan(database, false, compare, &one, &problem));
    database_close(database);
    jobd_blob_unref(payload);
    jobd_blob_unref(output);
    jobd_blob_unref(error);
}

static void see_ended(void *context, const struct batch_record *batch)
{
    *(uint32_t *)context = batch->ended[JOBD_DONE];
}

static uint32_t counted(struct database *database)
{
    uint32_t ended = UINT32_MAX;
    assert_true(database_batches(database, see_ended, &ended, &problem));
    return ended;
}

/* What a failed commit may have left is written anew: a job that is there is not counted, one that
 * is removed is counted once. */
static void test_a_batch_counts_what_is_not_there(void **state)
{
    struct job_record one = job(7);
    (void)state;
    fresh_path();
    struct database *database = open_it();
    one.batch = 7;
    one.batch_jobs = 1;
    add(database, &one);
    one.state = JOBD_DONE;
    one.finished_us = 2000;
    set(database, &one);
    for (unsigned i = 0; i < 8; i++) { /* each twice */
        enum row_kind kind = i & 2 ? ROW_ADD : ROW_REMOVE;
        assert_int_equal(database_change(database, kind, &one, &problem), DATABASE_OK);
        assert_int_equal(counted(database), kind == ROW_REMOVE);
    }
    database_close(database);
}

static void test_the_order_of_a_scan(void **state)
{
    struct seen living = {.len = 0}, ended = {.len = 0};
    (void)state;
    fresh_path();
    struct database *database = open_it();
    for (uint64_t id = 1; id <= 6; id++) {
        struct job_record one = job(id);
        add(database, &one);
        if (id % 2 != 0)
            continue;
        one.state = JOBD_DONE;
        one.finished_us = 100 - (int64_t)id;
        set(database, &one);
    }
    assert_true(database_scan(database, false, see, &living, &problem));
    assert_true(database_scan(database, true, see, &ended, &problem));
    assert_int_equal(living.len, 3);
    assert_int_equal(ended.len, 3);
    assert_memory_equal(living.ids, ((uint64_t[]){1, 3, 5}), 3 * sizeof(uint64_t));
    assert_memory_equal(ended.ids, ((uint64_t[]){6, 4, 2}), 3 * sizeof(uint64_t));
    database_close(database);
}

static void test_ids_are_reserved(void **state)
{
    struct job_record one = job(41);
    (void)state;
    fresh_path();
    struct database *database = open_it();
    assert_int_equal(database_first_id(database), 1);
    add(database, &one);
    assert_int_equal(database_begin(database, &problem), DATABASE_OK);
    assert_int_equal(database_change(database, ROW_REMOVE, &one, &problem), DATABASE_OK);
    assert_int_equal(database_commit(database, &problem), DATABASE_OK);
    database_close(database);
    database = open_it();
    assert_true(database_first_id(database) > 41);
    database_close(database);
}

static void test_ids_that_nobody_can_ask_for(void **state)
{
    struct job_record one = job(41), far = job(UINT64_C(1) << 53);
    (void)state;
    fresh_path();
    struct database *database = open_it();
    add(database, &one);
    add(database, &far);
    assert_int_equal(database_checkpoint(database, LOG_ENDS, &problem), DATABASE_OK);
    database_close(database);
    change_file("UPDATE meta SET value = (1 << 53) + 1000 WHERE name = 'next_id'");
    database = open_it();
    assert_int_equal(database_first_id(database), 42);
    database_close(database);
}

/* ---- its size */

static off_t size_now(void)
{
    struct stat file;
    assert_int_equal(stat(path, &file), 0);
    return file.st_size;
}

/* So many jobs of 10 kB come, the first of them goes nowhere. */
static void come_and_go(struct database *database, uint64_t jobs)
{
    struct jobd_blob *payload = jobd_blob_new(10000, NULL);
    memset(payload->bytes, 'x', payload->size);
    assert_int_equal(database_begin(database, &problem), DATABASE_OK);
    for (uint64_t id = 1; id <= jobs; id++) {
        struct job_record one = job(id);
        one.payload = payload;
        assert_int_equal(database_change(database, ROW_ADD, &one, &problem), DATABASE_OK);
    }
    assert_int_equal(database_commit(database, &problem), DATABASE_OK);
    assert_int_equal(database_begin(database, &problem), DATABASE_OK);
    for (uint64_t id = 2; id <= jobs; id++) {
        const struct job_record one = {.id = id};
        assert_int_equal(database_change(database, ROW_REMOVE, &one, &problem), DATABASE_OK);
    }
    assert_int_equal(database_commit(database, &problem), DATABASE_OK);
    assert_int_equal(database_checkpoint(database, LOG_ENDS, &problem), DATABASE_OK);
    jobd_blob_unref(payload);
}

enum { MUCH = 8 << 20, LITTLE = 2 << 20 };

static void test_it_shrinks_in_steps(void **state)
{
    struct seen seen = {.len = 0};
    unsigned steps = 0;
    (void)state;
    fresh_path();
    struct database *database = open_it();
    assert_false(database_can_shrink(database));
    come_and_go(database, 1000);
    assert_true(size_now() > MUCH);
    for (; database_can_shrink(database); steps++)
        assert_int_equal(database_shrink(database, &problem), DATABASE_OK);
    assert_in_range(steps, 20, 200);
    assert_int_equal(database_checkpoint(database, LOG_GOES_ON, &problem), DATABASE_OK);
    assert_true(size_now() < LITTLE);
    assert_true(database_scan(database, false, see, &seen, &problem));
    assert_true(seen.len == 1 && !seen.damaged[0]);
    database_close(database);
    database_close(open_it()); /* and it is whole */
}

/* A file of before, which has no map, is rewritten when little of it is used. */
static void test_an_old_file_learns_to_shrink(void **state)
{
    struct seen seen = {.len = 0};
    (void)state;
    for (uint64_t jobs = 20; jobs <= 1000; jobs += 980) {
        fresh_path();
        change_file("PRAGMA auto_vacuum = 0; PRAGMA journal_mode = WAL; CREATE TABLE t (x);"
                    " DROP TABLE t");
        struct database *database = open_it();
        come_and_go(database, jobs);
        off_t before = size_now();
        assert_false(database_can_shrink(database));
        database_close(database);
        database = open_it();
        seen.len = 0;
        assert_true(database_scan(database, false, see, &seen, &problem));
        assert_true(seen.len == 1 && !seen.damaged[0]);
        assert_int_equal(database_checkpoint(database, LOG_ENDS, &problem), DATABASE_OK);
        assert_true(jobs == 1000 ? size_now() < LITTLE : size_now() == before);
        come_and_go(database, 1000);
        assert_true(database_can_shrink(database) == (jobs == 1000));
        database_close(database);
    }
}

static void test_an_undone_transaction_leaves_nothing(void **state)
{
    struct job_record one = job(1);
    struct seen seen = {.len = 0};
    (void)state;
    fresh_path();
    struct database *database = open_it();
    assert_int_equal(database_begin(database, &problem), DATABASE_OK);
    assert_int_equal(database_change(database, ROW_ADD, &one, &problem), DATABASE_OK);
    database_rollback(database);
    assert_true(database_scan(database, false, see, &seen, &problem));
    assert_int_equal(seen.len, 0);
    /* how far a job is, that is not there: the database has lost it */
    assert_int_equal(database_begin(database, &problem), DATABASE_OK);
    assert_int_equal(database_change(database, ROW_SET, &one, &problem), DATABASE_BROKEN);
    assert_non_null(strstr(problem.text, "NOT NULL constraint failed: progress.state"));
    database_rollback(database);
    database_close(database);
}

static void test_damaged_rows_are_seen(void **state)
{
    struct job_record one = job(1), two = job(2), three = job(3);
    struct jobd_blob *payload = jobd_blob_text("pay 10");
    struct seen seen = {.len = 0};
    (void)state;
    fresh_path();
    one.payload = two.payload = payload;
    struct database *database = open_it();
    add(database, &one);
    add(database, &two);
    add(database, &three);
    three.attempt = 1;
    set(database, &three);
    assert_int_equal(database_checkpoint(database, LOG_ENDS, &problem), DATABASE_OK);
    database_close(database);
    change_file("UPDATE job SET payload = 'pay 99' WHERE id = 1;"
                "UPDATE progress SET attempt = 0 WHERE id = 3");
    database = open_it();
    assert_true(database_scan(database, false, see, &seen, &problem));
    assert_int_equal(seen.len, 3);
    assert_true(seen.damaged[0] && !seen.damaged[1] && seen.damaged[2]);
    database_close(database);
    jobd_blob_unref(payload);
}

/* ---- what is refused, and not written to */

static void test_others_files_are_refused(void **state)
{
    struct stat before, after;
    (void)state;
    fresh_path();
    FILE *file = fopen(path, "we");
    for (int i = 0; i < 1000; i++)
        fprintf(file, "this is a diary, and no database\n");
    fclose(file);
    refused_with("not an SQLite database; move it away");

    fresh_path();
    change_file("CREATE TABLE diary (day TEXT)");
    assert_int_equal(stat(path, &before), 0);
    refused_with("it is a database of another program: move it away");
    assert_int_equal(stat(path, &after), 0);
    assert_memory_equal(&before.st_mtim, &after.st_mtim, sizeof before.st_mtim);

    fresh_path();
    change_file("PRAGMA application_id = 17");
    refused_with("another program");
}

static void test_a_newer_schema_is_refused(void **state)
{
    (void)state;
    fresh_path();
    database_close(open_it());
    change_file("PRAGMA user_version = 99");
    refused_with("its schema is of version 99, this jobd knows 4: start a newer jobd");
}

static void test_an_older_schema_is_migrated(void **state)
{
    struct job_record one = job(5);
    struct seen seen = {.len = 0};
    (void)state;
    fresh_path();
    struct database *database = open_it();
    add(database, &one);
    assert_int_equal(database_checkpoint(database, LOG_ENDS, &problem), DATABASE_OK);
    database_close(database);
    /* what versions 2 to 4 have brought */
    change_file("ALTER TABLE progress DROP COLUMN began; DROP VIEW jobs;"
                "ALTER TABLE job DROP COLUMN job_group; ALTER TABLE job DROP COLUMN tags;"
                "ALTER TABLE job DROP COLUMN at; ALTER TABLE job DROP COLUMN expiry;"
                "ALTER TABLE job DROP COLUMN expiry_at; ALTER TABLE job DROP COLUMN keep;"
                "ALTER TABLE job DROP COLUMN unique_until;"
                "ALTER TABLE job DROP COLUMN headers;"
                "ALTER TABLE progress DROP COLUMN errors;"
                "ALTER TABLE progress DROP COLUMN errors_at;"
                "DROP TABLE batch;"
                "ALTER TABLE job DROP COLUMN schedule; DROP TABLE schedule;"
                "ALTER TABLE job DROP COLUMN after;"
                "DROP TABLE schedule_place;"
                "ALTER TABLE progress DROP COLUMN worker;"
                "ALTER TABLE progress DROP COLUMN progress;"
                "ALTER TABLE job DROP COLUMN callback;"
                "ALTER TABLE job DROP COLUMN source;"
                "PRAGMA user_version = 1");
    database = open_it();
    assert_true(database_scan(database, false, see, &seen, &problem));
    assert_int_equal(seen.len, 1);
    database_close(database);
    change_file("SELECT state, created_at FROM jobs");
}

static void count_after(void *context, const char *after)
{
    assert_string_equal(after, "job 1\n");
    ++*(int *)context;
}

static void links_are(struct database *database, int after, uint32_t promised)
{
    int found = 0;
    uint32_t promises = 99;
    assert_true(database_after(database, count_after, &found, &problem));
    assert_true(database_promised(database, &promises, &problem));
    assert_int_equal(found, after);
    assert_int_equal(promises, promised);
}

/* They are looked for only where there has been one: that is noted with the first. */
static void test_those_that_come_after_others_are_found(void **state)
{
    struct job_record plain = job(1), one = job(2), other = job(3), teller = job(4);
    (void)state;
    one.texts[JOBD_AFTER] = "job 1\n";
    other.texts[JOBD_CALLBACK] = "http://a/";
    teller.source = 1;
    fresh_path();
    struct database *database = open_it();
    add(database, &plain);
    links_are(database, 0, 0);
    assert_int_equal(database_begin(database, &problem), DATABASE_OK);
    assert_int_equal(database_change(database, ROW_ADD, &one, &problem), DATABASE_OK);
    database_rollback(database); /* the note too */
    add(database, &one);
    database_close(database);
    database = open_it();
    links_are(database, 1, 0);
    add(database, &other);
    database_close(database);
    database = open_it();
    links_are(database, 1, 1);
    database_close(database);

    fresh_path();
    database = open_it();
    add(database, &other);
    database_close(database);
    database = open_it();
    links_are(database, 0, 1);
    database_close(database);

    fresh_path();
    database = open_it();
    add(database, &teller);
    links_are(database, 1, 0);
    database_close(database);
}

/* With one on its table, each job costs a third more. */
static void test_no_job_is_in_an_index(void **state)
{
    sqlite3 *handle;
    sqlite3_stmt *row;
    (void)state;
    fresh_path();
    database_close(open_it());
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(handle,
                                        "SELECT count(*) FROM sqlite_schema WHERE type = 'index'"
                                        " AND tbl_name IN ('job', 'progress')",
                                        -1, &row, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(row, 0), 0);
    sqlite3_finalize(row);
    sqlite3_close(handle);
}

static void test_damage_is_refused(void **state)
{
    struct jobd_blob *payload = jobd_blob_new(3000, NULL);
    (void)state;
    fresh_path();
    memset(payload->bytes, 'x', payload->size);
    struct database *database = open_it();
    for (uint64_t id = 1; id <= 50; id++) {
        struct job_record one = job(id);
        one.payload = payload;
        add(database, &one);
    }
    assert_int_equal(database_checkpoint(database, LOG_ENDS, &problem), DATABASE_OK);
    database_close(database);
    jobd_blob_unref(payload);
    struct stat file;
    assert_int_equal(stat(path, &file), 0);
    assert_int_equal(truncate(path, file.st_size / 2), 0);
    refused_with("it is damaged");
    assert_int_equal(truncate(path, file.st_size), 0); /* half of it zeros */
    refused_with("it is damaged");
}

static void test_another_process_has_it(void **state)
{
    (void)state;
    fresh_path();
    struct database *database = open_it();
    refused_with("another process uses it");
    database_close(database);
}

static void test_only_its_owner_reads_it(void **state)
{
    struct stat file;
    (void)state;
    fresh_path();
    database_close(open_it());
    assert_int_equal(stat(path, &file), 0);
    assert_int_equal(file.st_mode & 0777, 0600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_job_comes_back_as_it_was),
        cmocka_unit_test(test_a_batch_counts_what_is_not_there),
        cmocka_unit_test(test_the_order_of_a_scan),
        cmocka_unit_test(test_ids_are_reserved),
        cmocka_unit_test(test_ids_that_nobody_can_ask_for),
        cmocka_unit_test(test_it_shrinks_in_steps),
        cmocka_unit_test(test_an_old_file_learns_to_shrink),
        cmocka_unit_test(test_an_undone_transaction_leaves_nothing),
        cmocka_unit_test(test_damaged_rows_are_seen),
        cmocka_unit_test(test_others_files_are_refused),
        cmocka_unit_test(test_a_newer_schema_is_refused),
        cmocka_unit_test(test_an_older_schema_is_migrated),
        cmocka_unit_test(test_those_that_come_after_others_are_found),
        cmocka_unit_test(test_no_job_is_in_an_index),
        cmocka_unit_test(test_damage_is_refused),
        cmocka_unit_test(test_another_process_has_it),
        cmocka_unit_test(test_only_its_owner_reads_it),
    };
    return cmocka_run_group_tests(tests, NULL, server_stop_all);
}
