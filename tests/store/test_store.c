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
#include "engine/journal_store.h"
#include "base/log.h"
#include "support/server.h"
#include "store/store_scene.h"
#include "store/unsynced.h"

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

static struct ledger last;
static unsigned refusals; /* of puts, in all runs */

static void run_last(struct scene *scene)
{
    run_script(scene, &last);
}

static void count_refused(struct scene *scene)
{
    (void)scene;
    for (unsigned i = 0; i < PUTS; i++)
        refusals += last.ids[i] == 0;
}

static void compare_last(bool strict, const char *what, unsigned nth)
{
    compare(&last, strict, what, nth);
}

static void strike_at_every(enum flaw flaw)
{
    static const struct script script = {
        .run = run_last, .look = count_refused, .compare = compare_last, .calls = 20};
    refusals = 0;
    at_every(&script, flaw);
    assert_true(refusals > 0); /* the flaw can be seen */
}

static void test_every_write_failing(void **state)
{
    (void)state;
    strike_at_every(FLAW_WRITE);
}

static void test_every_sync_failing(void **state)
{
    (void)state;
    strike_at_every(FLAW_SYNC);
}

static void test_every_write_torn(void **state)
{
    (void)state;
    strike_at_every(FLAW_TEAR);
}

static void test_the_disk_dies_at_every_write(void **state)
{
    (void)state;
    strike_at_every(FLAW_DEAD);
}

/* ---- the power fails, and what was not synced gets to the disk in part */

/* Until the nth write. */
static void run_until_cut(unsigned nth, enum flaw flaw, struct ledger *ledger)
{
    fresh_folder();
    unsynced_begin();
    struct scene scene = open_scene();
    flaky_plan(flaw, nth);
    run_script(&scene, ledger);
    drop_scene(&scene);
    flaky_plan(FLAW_NONE, 0);
}

static void test_a_cut_at_every_write(void **state)
{
    struct ledger ledger;
    struct chance chance = chance_begin();
    bool struck = true;
    (void)state;
    for (unsigned nth = 1; struck; nth++) {
        for (unsigned way = 0; way < 3; way++) {
            run_until_cut(nth, FLAW_DEAD, &ledger);
            struck = ledger.ids[PUTS - 1] == 0;
            unsynced_lose(&chance);
            compare(&ledger, false, "cut", nth);
        }
    }
}

/* Or it cannot be opened at all. */
static bool has_lost(const struct ledger *ledger)
{
    struct problem problem;
    struct jobd_info info;
    bool lost = false;
    struct scene scene = {.store = store_open(folder, STORE_SYNC_COMMIT, &problem)};
    if (scene.store == NULL)
        return true;
    scene.jobd = engine_for(scene.store, CAPACITY, KEEP);
    lost = !store_load(scene.store, scene.jobd, clock_now_us(), &problem);
    for (unsigned i = 0; i < PUTS; i++)
        lost |= jobd_get(scene.jobd, ledger->ids[i], &info) != JOBD_OK;
    drop_scene(&scene);
    return lost;
}

/* So the test above would see it. */
static void test_without_syncs_a_cut_loses(void **state)
{
    struct ledger ledger;
    struct chance chance = chance_begin();
    unsigned lost = 0;
    (void)state;
    for (unsigned i = 0; i < 10; i++) {
        run_until_cut(0, FLAW_BLIND, &ledger);
        unsynced_lose(&chance);
        lost += has_lost(&ledger);
    }
    assert_true(lost > 0);
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
        cmocka_unit_test(test_a_cut_at_every_write),
        cmocka_unit_test(test_without_syncs_a_cut_loses),
        cmocka_unit_test(test_no_space_for_growth),
        cmocka_unit_test(test_a_file_goes_while_the_disk_fails),
    };
    return cmocka_run_group_tests(tests, start, server_stop_all);
}
