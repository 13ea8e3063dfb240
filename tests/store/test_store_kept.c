/* SPDX-License-Identifier: MIT */
/* What the store keeps on a good disk, for how long, in how much space; and where. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "run/wait_sync.h"
#include "base/clock.h"
#include "store/database.h"
#include "engine/journal_store.h"
#include "base/log.h"
#include "support/server.h"
#include "store/flaky_vfs.h"
#include "store/store_scene.h"

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
    struct problem problem;
    char *text = malloc(LARGE + 1);
    uint64_t id;
    memset(text, 'x', LARGE);
    text[LARGE] = '\0';
    struct scene scene = {.store = store_open(folder, STORE_SYNC_COMMIT, &problem)};
    scene.jobd = engine_for(scene.store, CAPACITY, 1);
    assert_true(store_load(scene.store, scene.jobd, clock_now_us(), &problem));
    assert_int_equal(store_start(scene.store, scene.jobd), 0);
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

/* ---- what stays, what goes */

static void test_ids_go_on_rising(void **state)
{
    uint64_t first, second;
    (void)state;
    fresh_folder();
    struct scene scene = open_scene();
    assert_int_equal(put(&scene, "a", NULL, &first), JOBD_OK);
    assert_int_equal(cancel(&scene, first), JOBD_OK);
    drop_scene(&scene);
    scene = open_scene();
    assert_int_equal(put(&scene, "b", NULL, &second), JOBD_OK);
    assert_true(second > first);
    drop_scene(&scene);
}

static void test_the_forgotten_leave_the_disk(void **state)
{
    (void)state;
    fresh_folder();
    struct scene scene = open_scene();
    for (unsigned i = 0; i < 3 * KEEP; i++) {
        uint64_t id;
        char key[16];
        snprintf(key, sizeof key, "key %u", i % (KEEP + 1)); /* forgotten just before */
        assert_int_equal(put(&scene, "a", key, &id), JOBD_OK);
        assert_int_equal(cancel(&scene, id), JOBD_OK);
    }
    assert_true(store_stop(scene.store, CLOCK_SECOND_US));
    drop_scene(&scene);
    scene = open_scene();
    struct jobd_info infos[4 * KEEP];
    uint64_t next;
    size_t found =
        jobd_list(scene.jobd, &(struct jobd_filter){.queue = JOBD_NO_QUEUE, .state = JOBD_STATES},
                  infos, 4 * KEEP, &next);
    assert_true(found <= KEEP);
    drop_scene(&scene);
}

static void test_a_smaller_keep_forgets_at_the_start(void **state)
{
    struct problem problem;
    uint64_t id, last = 0;
    (void)state;
    fresh_folder();
    struct scene scene = open_scene();
    for (unsigned i = 0; i < KEEP; i++) {
        assert_int_equal(put(&scene, "a", NULL, &id), JOBD_OK);
        assert_int_equal(cancel(&scene, last = id), JOBD_OK);
    }
    drop_scene(&scene);
    scene.store = store_open(folder, STORE_SYNC_COMMIT, &problem);
    scene.jobd = engine_for(scene.store, CAPACITY, 3);
    assert_true(store_load(scene.store, scene.jobd, clock_now_us(), &problem));
    struct jobd_info info;
    assert_int_equal(jobd_get(scene.jobd, last, &info), JOBD_OK);
    assert_int_equal(jobd_get(scene.jobd, last - 3, &info), JOBD_NO_JOB);
    drop_scene(&scene);
    scene = open_scene(); /* and they are off the disk */
    assert_int_equal(jobd_get(scene.jobd, last - 3, &info), JOBD_NO_JOB);
    drop_scene(&scene);
}

static void test_more_wait_than_may(void **state)
{
    struct problem problem;
    uint64_t id;
    struct jobd_stats stats;
    (void)state;
    fresh_folder();
    struct scene scene = open_scene();
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(put(&scene, "a", NULL, &id), JOBD_OK);
    drop_scene(&scene);
    scene.store = store_open(folder, STORE_SYNC_COMMIT, &problem);
    scene.jobd = engine_for(scene.store, 5, KEEP);
    assert_true(store_load(scene.store, scene.jobd, clock_now_us(), &problem));
    assert_int_equal(store_start(scene.store, scene.jobd), 0);
    jobd_stats(scene.jobd, 0, clock_now_us(), &stats);
    assert_int_equal(stats.queued, 20);
    assert_int_equal(put(&scene, "a", NULL, &id), JOBD_FULL);
    drop_scene(&scene);
}

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

/* ---- one at a time */

static void test_one_store_a_directory(void **state)
{
    struct problem problem;
    (void)state;
    fresh_folder();
    struct scene scene = open_scene();
    assert_null(store_open(folder, STORE_SYNC_COMMIT, &problem));
    assert_non_null(strstr(problem.text, "in use by another jobd"));
    drop_scene(&scene);
    scene = open_scene();
    drop_scene(&scene);
}

static unsigned times_open(const char *path)
{
    char link[300], target[PATH_MAX];
    unsigned found = 0;
    DIR *all = opendir("/proc/self/fd");
    assert_non_null(all);
    for (const struct dirent *entry; (entry = readdir(all)) != NULL;) {
        snprintf(link, sizeof link, "/proc/self/fd/%s", entry->d_name);
        ssize_t size = readlink(link, target, sizeof target - 1);
        target[size > 0 ? size : 0] = '\0';
        found += strcmp(target, path) == 0;
    }
    closedir(all);
    return found;
}

static void *open_store(void *context)
{
    struct problem problem;
    (void)context;
    return store_open(folder, STORE_SYNC_COMMIT, &problem);
}

/* A command of the jobd that was killed is about to start, and has what that jobd had open. */
static void test_who_is_about_to_go_is_waited_for(void **state)
{
    pthread_t opener;
    char path[PATH_MAX];
    void *store;
    (void)state;
    fresh_folder();
    struct scene scene = open_scene(); /* makes it */
    drop_scene(&scene);
    assert_non_null(realpath(folder, path));
    int held = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(held, LOCK_EX), 0);
    assert_int_equal(pthread_create(&opener, NULL, open_store, NULL), 0);
    while (times_open(path) < 2)
        sched_yield();
    close(held);
    assert_int_equal(pthread_join(opener, &store), 0);
    assert_non_null(store);
    store_free(store);
}

static void test_no_directory_can_be_made(void **state)
{
    struct problem problem;
    (void)state;
    assert_null(store_open("/proc/none", STORE_SYNC_COMMIT, &problem));
    assert_non_null(strstr(problem.text, "/proc/none: "));
    assert_null(store_open(temporary_file("file", "x"), STORE_SYNC_COMMIT, &problem));
    assert_non_null(strstr(problem.text, "file: "));
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
        cmocka_unit_test(test_ids_go_on_rising),
        cmocka_unit_test(test_the_forgotten_leave_the_disk),
        cmocka_unit_test(test_a_smaller_keep_forgets_at_the_start),
        cmocka_unit_test(test_more_wait_than_may),
        cmocka_unit_test(test_very_many_queues),
        cmocka_unit_test(test_no_name_is_an_address),
        cmocka_unit_test(test_one_store_a_directory),
        cmocka_unit_test(test_who_is_about_to_go_is_waited_for),
        cmocka_unit_test(test_no_directory_can_be_made),
    };
    return cmocka_run_group_tests(tests, start, server_stop_all);
}
