/* SPDX-License-Identifier: MIT */
/* The store and its file: which shrinks, whatever its directory is called, and however many queues
 * have jobs in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/database.h"
#include "store/flaky_vfs.h"
#include "store/store_scene.h"
#include "support/server.h"

/* ---- the file shrinks */

static off_t file_size(void)
{
    char path[200];
    struct stat file;
    snprintf(path, sizeof path, "%s/jobd.db", folder);
    assert_int_equal(stat(path, &file), 0);
    return file.st_size;
}

enum { BURST = 60, LARGE = 250000, MUCH = 10 << 20, LITTLE = 3 << 20 };

/* A burst that came and went, but for one job. */
static struct scene open_after_burst(uint64_t *stays)
{
    char *text = malloc(LARGE + 1);
    uint64_t id;
    memset(text, 'x', LARGE);
    text[LARGE] = '\0';
    struct scene scene = open_with(CAPACITY, 1);
    assert_int_equal(put(&scene, "stays", NULL, stays), JOBD_OK);
    for (unsigned i = 0; i < BURST; i++)
        assert_int_equal(put(&scene, text, NULL, &id), JOBD_OK);
    for (unsigned i = 0; i < BURST; i++)
        assert_int_equal(cancel(&scene, id - i), JOBD_OK);
    free(text);
    return scene;
}

static void await_size(off_t most)
{
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    while (file_size() > most)
        look_again(deadline_ms, "the file to shrink");
}

static void test_the_file_shrinks_when_idle(void **state)
{
    static const struct {
        enum flaw flaw;
        unsigned nth;
    } rows[] = {{FLAW_NONE, 0},    {FLAW_WRITE, 1}, {FLAW_WRITE, 100},
                {FLAW_WRITE, 500}, {FLAW_SYNC, 2},  {FLAW_FULL, 1}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[16];
        uint64_t stays, after;
        fresh_folder();
        flaky_plan(FLAW_NONE, 0);
        struct scene scene = open_after_burst(&stays);
        assert_true(file_size() > MUCH);
        flaky_plan(rows[i].flaw, rows[i].nth);
        await_size(LITTLE);
        flaky_plan(FLAW_NONE, 0);
        await_health(&scene);
        assert_int_equal(put(&scene, "after", NULL, &after), JOBD_OK);
        drop_scene(&scene);
        scene = open_scene();
        assert_string_equal(payload_of(scene.jobd, stays, text), "stays");
        assert_string_equal(payload_of(scene.jobd, after, text), "after");
        drop_scene(&scene);
    }
}

/* ---- names */

/* More names than anybody thought of, of which the last one is the server's; more waits there than
 * may, and more ran than the journal has room for. */
static void test_very_many_queues(void **state)
{
    enum { NAMES = 1500, JOBS = 300, RAN = 5000 };
    char path[200];
    struct problem problem;
    struct jobd_stats stats;
    uint64_t id = 0;
    (void)state;
    fresh_folder();
    struct scene scene = open_scene();
    drop_scene(&scene);
    snprintf(path, sizeof path, "%s/jobd.db", folder);
    struct database *database = database_open(path, DATABASE_SYNC_FULL, &problem);
    assert_non_null(database);
    assert_int_equal(database_begin(database, &problem), DATABASE_OK);
    for (unsigned i = 0; i < NAMES + JOBS + RAN; i++) {
        char name[16];
        snprintf(name, sizeof name, "a%u", i);
        struct job_record one = {.id = ++id,
                                 .queue = i < NAMES ? name : "default",
                                 .attempts = 2,
                                 .created_us = 1,
                                 .key = "",
                                 .trace = "",
                                 .token = ""};
        assert_int_equal(database_change(database, ROW_ADD, &one, &problem), DATABASE_OK);
        one.state = JOBD_RUNNING;
        one.attempt = 1;
        if (i >= NAMES + JOBS)
            assert_int_equal(database_change(database, ROW_SET, &one, &problem), DATABASE_OK);
    }
    assert_int_equal(database_commit(database, &problem), DATABASE_OK);
    database_close(database);
    scene = open_scene();
    jobd_stats(scene.jobd, 0, clock_now_us(), &stats);
    assert_int_equal(stats.queued + stats.scheduled + stats.running, JOBS + RAN);
    assert_int_equal(put(&scene, "a", NULL, &id), JOBD_FULL);
    drop_scene(&scene);
}

/* A directory is a directory, whatever SQLite would make of its name. */
static void test_no_name_is_an_address(void **state)
{
    static const char *const names[] = {"file:x", "file:y?mode=memory", ":memory:", "a%20b"};
    char before[4096];
    (void)state;
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(temporary_directory()), 0);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[64];
        uint64_t id;
        snprintf(folder, sizeof folder, "%s", names[i]);
        struct scene scene = open_scene();
        assert_int_equal(put(&scene, "a", NULL, &id), JOBD_OK);
        drop_scene(&scene);
        scene = open_scene();
        assert_string_equal(payload_of(scene.jobd, id, path), "a");
        drop_scene(&scene);
        snprintf(path, sizeof path, "%s/jobd.db-wal", names[i]);
        assert_int_equal(access(path, F_OK), 0);
    }
    assert_int_equal(chdir(before), 0);
}

static int start(void **state)
{
    (void)state;
    log_setup(LOG_TEXT, getenv("V") ? LOG_DEBUG : LOG_ERROR);
    flaky_install();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_file_shrinks_when_idle),
        cmocka_unit_test(test_very_many_queues),
        cmocka_unit_test(test_no_name_is_an_address),
    };
    return cmocka_run_group_tests(tests, start, server_stop_all);
}
