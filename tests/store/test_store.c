/* SPDX-License-Identifier: MIT */
/* The store on a disk that fails: what was acknowledged is there when it is opened again, what was
 * refused is not, and it goes on by itself when the disk is well again. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "run/wait_sync.h"
#include "base/clock.h"
#include "store/database.h"
#include "store/flaky_vfs.h"
#include "engine/journal.h"
#include "base/log.h"
#include "support/server.h"
#include "store/store.h"

enum { CAPACITY = 100, KEEP = 50, PUTS = 12 };

struct scene {
    struct store *store;
    struct jobd *jobd;
};

static char folder[160];
static unsigned folders;

static void fresh_folder(void)
{
    snprintf(folder, sizeof folder, "%s/store-%u", temporary_directory(), ++folders);
}

static struct jobd *heart_for(struct store *store, uint32_t capacity, uint32_t keep)
{
    struct jobd *jobd = NULL;
    const struct jobd_queue_config queue = {.name = "default",
                                            .capacity = capacity,
                                            .workers = 1,
                                            .attempts = 2,
                                            .restored = store_waiting(store, "default")};
    assert_int_equal(jobd_new(&jobd, &(struct jobd_config){.queues = &queue,
                                                           .queues_len = 1,
                                                           .keep = keep,
                                                           .memory_bytes = 64 << 20,
                                                           .waiters_max = 64,
                                                           .leases_max = 64,
                                                           .first_id = store_first_id(store),
                                                           .on_journal_ready = store_wake,
                                                           .journal_context = store}),
                     0);
    return jobd;
}

static struct scene open_scene(void)
{
    struct problem problem;
    struct scene scene = {.store = store_open(folder, STORE_SYNC_COMMIT, &problem)};
    if (scene.store == NULL)
        fail_msg("%s", problem.text);
    scene.jobd = heart_for(scene.store, CAPACITY, KEEP);
    if (!store_load(scene.store, scene.jobd, clock_now_us(), &problem))
        fail_msg("%s", problem.text);
    assert_int_equal(store_start(scene.store, scene.jobd), 0);
    return scene;
}

/* As a kill does it: nothing is written any more. */
static void drop_scene(struct scene *scene)
{
    store_free(scene->store);
    jobd_free(scene->jobd);
}

static void await_health(struct scene *scene)
{
    struct problem reason;
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    while (store_failing(scene->store, &reason))
        look_again(deadline_ms, reason.text);
}

/* Waits for the disk where the verb has to. */
static enum jobd_result done_by(struct scene *scene, struct wait_sync *block,
                                enum jobd_result result)
{
    return result == JOBD_PENDING ? wait_sync_until(block, scene->jobd, JOBD_NEVER) : result;
}

static enum jobd_result put(struct scene *scene, const char *text, const char *key, uint64_t *id)
{
    struct wait_sync block;
    struct jobd_receipt receipt;
    const struct jobd_put put = {.payload = jobd_blob_text(text), .key = key};
    assert_int_equal(wait_sync_init(&block), 0);
    enum jobd_result result = done_by(
        scene, &block, jobd_put(scene->jobd, &put, &block.waiter, clock_now_us(), &receipt));
    if (!block.waiter.accepted)
        jobd_blob_unref(put.payload);
    *id = result == JOBD_OK ? receipt.id : 0;
    wait_sync_release(&block);
    return result;
}

static enum jobd_result cancel(struct scene *scene, uint64_t id)
{
    struct wait_sync block;
    assert_int_equal(wait_sync_init(&block), 0);
    enum jobd_result result =
        done_by(scene, &block, jobd_cancel(scene->jobd, id, &block.waiter, clock_now_us()));
    wait_sync_release(&block);
    return result;
}

/* The id of the job; 0 when there is none. */
static uint64_t lease(struct scene *scene, unsigned number, char token[JOBD_TOKEN_SIZE])
{
    struct wait_sync block;
    assert_int_equal(wait_sync_init(&block), 0);
    snprintf(token, JOBD_TOKEN_SIZE, "%032x", number);
    memcpy(block.waiter.token, token, JOBD_TOKEN_SIZE);
    block.waiter.lease_us = 3600 * CLOCK_SECOND_US;
    block.waiter.no_wait = true;
    enum jobd_result result =
        done_by(scene, &block, jobd_take(scene->jobd, 0, &block.waiter, clock_now_us()));
    uint64_t id = result == JOBD_OK ? block.waiter.task.id : 0;
    if (result == JOBD_OK)
        jobd_blob_unref(block.waiter.task.payload);
    wait_sync_release(&block);
    return id;
}

static enum jobd_result finish(struct scene *scene, const char *token, enum jobd_state state)
{
    struct wait_sync block;
    const struct jobd_outcome outcome = {
        .state = state, .for_good = true, .output = jobd_blob_text("output")};
    assert_int_equal(wait_sync_init(&block), 0);
    enum jobd_result result =
        done_by(scene, &block,
                jobd_lease_finish(scene->jobd, token, &outcome, &block.waiter, clock_now_us()));
    if (result == JOBD_TOO_MANY_WAITERS || result == JOBD_NO_LEASE || result == JOBD_LEASE_EXPIRED)
        jobd_blob_unref(outcome.output);
    wait_sync_release(&block);
    return result;
}

/* ---- a script of each kind of change, and what became of each */

struct ledger {
    uint64_t ids[PUTS]; /* acknowledged; 0: refused */
    enum jobd_state state[PUTS];
    bool unsure[PUTS]; /* its last change was refused */
};

static void note(struct ledger *ledger, uint64_t id, enum jobd_result result, enum jobd_state state)
{
    for (unsigned i = 0; i < PUTS; i++) {
        if (ledger->ids[i] != id || id == 0)
            continue;
        if (result == JOBD_OK || result == JOBD_STOPPING)
            ledger->state[i] = state;
        else
            ledger->unsure[i] = true;
    }
}

static void run_script(struct scene *scene, struct ledger *ledger)
{
    char token[JOBD_TOKEN_SIZE];
    *ledger = (struct ledger){.ids = {0}};
    for (unsigned i = 0; i < PUTS; i++) {
        char text[16], key[16];
        snprintf(text, sizeof text, "job %u", i);
        snprintf(key, sizeof key, "key %u", i);
        (void)put(scene, text, i % 2 == 0 ? key : NULL, &ledger->ids[i]);
        if (i % 3 == 2)
            note(ledger, ledger->ids[i], cancel(scene, ledger->ids[i]), JOBD_CANCELLED);
        if (i % 4 == 3) {
            uint64_t id = lease(scene, i, token);
            note(ledger, id, JOBD_OK, JOBD_RUNNING);
            enum jobd_state end = i % 8 == 3 ? JOBD_DONE : JOBD_FAILED;
            if (id != 0)
                note(ledger, id, finish(scene, token, end), end);
        }
    }
}

static const char *payload_of(struct jobd *jobd, uint64_t id, char out[16])
{
    struct jobd_blob *payload = NULL;
    assert_int_equal(jobd_part(jobd, id, JOBD_PAYLOAD, &payload), JOBD_OK);
    assert_non_null(payload);
    assert_true(payload->size < 16);
    memcpy(out, payload->bytes, payload->size);
    out[payload->size] = '\0';
    jobd_blob_unref(payload);
    return out;
}

/* `strict`: what was refused must not be there. */
static void compare(const struct ledger *ledger, bool strict, const char *what, unsigned nth)
{
    struct scene scene = open_scene();
    struct jobd_info infos[2 * PUTS];
    uint64_t next;
    size_t found =
        jobd_list(scene.jobd, &(struct jobd_filter){.queue = JOBD_NO_QUEUE, .state = JOBD_STATES},
                  infos, 2 * PUTS, &next);
    size_t known = 0;
    for (unsigned i = 0; i < PUTS; i++) {
        struct jobd_info info;
        char text[16], expected[16];
        if (ledger->ids[i] == 0)
            continue;
        known++;
        snprintf(expected, sizeof expected, "job %u", i);
        if (jobd_get(scene.jobd, ledger->ids[i], &info) != JOBD_OK)
            fail_msg("%s %u: job %u was acknowledged and is lost", what, nth, i);
        assert_string_equal(payload_of(scene.jobd, info.id, text), expected);
        if (info.state != ledger->state[i] && (strict || !ledger->unsure[i]))
            fail_msg("%s %u: job %u is %s, acknowledged was %s", what, nth, i,
                     jobd_state_name(info.state), jobd_state_name(ledger->state[i]));
    }
    if (strict && found != known)
        fail_msg("%s %u: %zu jobs are there, %zu were acknowledged", what, nth, found, known);
    drop_scene(&scene);
}

static void at_every(enum flaw flaw, unsigned (*count)(void), bool recovers, const char *what)
{
    struct ledger ledger;
    fresh_folder();
    flaky_plan(FLAW_NONE, 0);
    struct scene scene = open_scene();
    run_script(&scene, &ledger);
    unsigned most = count(), refused = 0;
    drop_scene(&scene);
    compare(&ledger, true, "no flaw", 0);
    assert_true(most > 20);
    for (unsigned nth = 1; nth <= most; nth++) {
        fresh_folder();
        flaky_plan(FLAW_NONE, 0);
        scene = open_scene();
        flaky_plan(flaw, nth);
        run_script(&scene, &ledger);
        bool struck = flaky_struck();
        if (recovers)
            await_health(&scene);
        for (unsigned i = 0; i < PUTS; i++)
            refused += ledger.ids[i] == 0;
        drop_scene(&scene);
        flaky_plan(FLAW_NONE, 0);
        compare(&ledger, recovers, what, nth);
        if (!struck)
            break;
    }
    assert_true(refused > 0); /* the flaw can be seen */
}

static void test_every_write_failing(void **state)
{
    (void)state;
    at_every(FLAW_WRITE, flaky_writes, true, "write");
}

static void test_every_sync_failing(void **state)
{
    (void)state;
    at_every(FLAW_SYNC, flaky_syncs, true, "sync");
}

static void test_every_write_torn(void **state)
{
    (void)state;
    at_every(FLAW_TEAR, flaky_writes, false, "torn write");
}

static void test_the_disk_dies_at_every_write(void **state)
{
    (void)state;
    at_every(FLAW_DEAD, flaky_writes, false, "last write");
}

static void test_no_space_for_growth(void **state)
{
    struct ledger ledger;
    struct problem reason;
    uint64_t id;
    (void)state;
    fresh_folder();
    flaky_plan(FLAW_NONE, 0);
    struct scene scene = open_scene();
    flaky_plan(FLAW_FULL, 30);
    run_script(&scene, &ledger);
    assert_true(flaky_struck());
    assert_true(store_failing(scene.store, &reason));
    assert_string_equal(reason.text, "the disk is full");
    assert_int_equal(put(&scene, "no", NULL, &id), JOBD_STORE_FAILED);
    flaky_plan(FLAW_NONE, 0);
    await_health(&scene);
    assert_int_equal(put(&scene, "yes", NULL, &id), JOBD_OK);
    drop_scene(&scene);
    scene = open_scene();
    char text[16];
    assert_string_equal(payload_of(scene.jobd, id, text), "yes");
    drop_scene(&scene);
}

static void await_reason(struct scene *scene, const char *text)
{
    struct problem reason;
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    while (!store_failing(scene->store, &reason) || strcmp(reason.text, text) != 0)
        look_again(deadline_ms, text);
}

/* The log's file may have room for some, which was used before. */
static void put_until_refused(struct scene *scene)
{
    uint64_t id;
    enum jobd_result result = JOBD_OK;
    for (unsigned i = 0; i < CAPACITY && result == JOBD_OK; i++)
        result = put(scene, "some", NULL, &id);
    assert_int_equal(result, JOBD_STORE_FAILED);
}

/* The database is open while the disk is full, and closed when it is broken: it goes on from both.
 */
static void test_a_file_goes_while_the_disk_fails(void **state)
{
    static const enum flaw flaws[] = {FLAW_FULL, FLAW_DEAD};
    (void)state;
    for (size_t i = 0; i < sizeof flaws / sizeof flaws[0]; i++) {
        char file[200], away[200], text[16];
        uint64_t before, refused, after;
        fresh_folder();
        flaky_plan(FLAW_NONE, 0);
        struct scene scene = open_scene();
        snprintf(file, sizeof file, "%s/jobd.db", folder);
        snprintf(away, sizeof away, "%s/away", folder);
        assert_int_equal(put(&scene, "before", NULL, &before), JOBD_OK);
        flaky_plan(flaws[i], 1);
        put_until_refused(&scene);
        assert_int_equal(rename(file, away), 0);
        await_reason(&scene, "the store fails: jobd.db is gone");
        assert_int_equal(put(&scene, "no", NULL, &refused), JOBD_STORE_FAILED);
        flaky_plan(FLAW_NONE, 0);
        assert_int_equal(rename(away, file), 0);
        await_health(&scene);
        assert_int_equal(put(&scene, "after", NULL, &after), JOBD_OK);
        drop_scene(&scene);
        scene = open_scene();
        assert_string_equal(payload_of(scene.jobd, before, text), "before");
        assert_string_equal(payload_of(scene.jobd, after, text), "after");
        drop_scene(&scene);
    }
}

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
    struct problem problem;
    char *text = malloc(LARGE + 1);
    uint64_t id;
    memset(text, 'x', LARGE);
    text[LARGE] = '\0';
    struct scene scene = {.store = store_open(folder, STORE_SYNC_COMMIT, &problem)};
    scene.jobd = heart_for(scene.store, CAPACITY, 1);
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
    scene.jobd = heart_for(scene.store, CAPACITY, 3);
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
    scene.jobd = heart_for(scene.store, 5, KEEP);
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
        cmocka_unit_test(test_every_write_failing),
        cmocka_unit_test(test_every_sync_failing),
        cmocka_unit_test(test_every_write_torn),
        cmocka_unit_test(test_the_disk_dies_at_every_write),
        cmocka_unit_test(test_no_space_for_growth),
        cmocka_unit_test(test_a_file_goes_while_the_disk_fails),
        cmocka_unit_test(test_the_file_shrinks_when_idle),
        cmocka_unit_test(test_ids_go_on_rising),
        cmocka_unit_test(test_the_forgotten_leave_the_disk),
        cmocka_unit_test(test_a_smaller_keep_forgets_at_the_start),
        cmocka_unit_test(test_more_wait_than_may),
        cmocka_unit_test(test_very_many_queues),
        cmocka_unit_test(test_no_name_is_an_address),
        cmocka_unit_test(test_one_store_a_directory),
        cmocka_unit_test(test_no_directory_can_be_made),
    };
    return cmocka_run_group_tests(tests, start, server_stop_all);
}
