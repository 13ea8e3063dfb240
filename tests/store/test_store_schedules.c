/* SPDX-License-Identifier: MIT */
/* Schedules on a disk that fails at each write and each sync in turn: an instant and its job are
 * there together, or neither. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/journal_store.h"
#include "jobd/schedule.h"
#include "store/store_scene.h"
#include "support/server.h"

enum { INSTANTS = 8 };

/* What could be seen last. */
struct last {
    bool there;
    int64_t after_us;
    uint64_t job, fired;
};

static struct last seen;

static void settle(struct scene *scene)
{
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    struct problem reason;
    while (!journal_empty(scene->jobd) && !store_failing(scene->store, &reason))
        look_again(deadline_ms, "the journal to be written");
}

static void put_schedule(struct scene *scene, const char *name)
{
    struct wait_sync block;
    enum jobd_schedule_change change;
    const struct jobd_moment moment = {.now_us = clock_now_us(), .wall_us = 10};
    const struct jobd_schedule schedule = {
        .name = name, .cron = "", .zone = "", .every_us = 10, .queue = "default"};
    assert_int_equal(wait_sync_init(&block), 0);
    (void)done_by(scene, &block,
                  jobd_schedule_put(scene->jobd, &schedule, &block.waiter, &moment, &change));
    wait_sync_release(&block);
}

static void run_script(struct scene *scene)
{
    put_schedule(scene, "a");
    for (int i = 1; i <= INSTANTS; i++) {
        struct jobd_schedule_info info;
        char key[16];
        if (i == INSTANTS / 2)
            put_schedule(scene, "b");
        if (jobd_schedule_get(scene->jobd, "a", &info) != JOBD_OK)
            continue;
        snprintf(key, sizeof key, "a@%d", i);
        const struct jobd_firing firing = {
            .name = "a", .version = info.version, .at_us = 10 + i, .key = key};
        jobd_schedule_info_release(&info);
        (void)!jobd_schedule_fire(scene->jobd, &firing, clock_now_us());
        settle(scene);
    }
}

static struct last look(struct scene *scene)
{
    struct jobd_schedule_info info;
    struct jobd_schedule_stats stats;
    struct last last = {.there = false};
    jobd_schedule_stats(scene->jobd, &stats);
    last.fired = stats.fired;
    if (jobd_schedule_get(scene->jobd, "a", &info) != JOBD_OK)
        return last;
    last.there = true;
    last.after_us = info.after_us;
    last.job = info.last_job;
    jobd_schedule_info_release(&info);
    return last;
}

static void look_at_last(struct scene *scene)
{
    settle(scene);
    seen = look(scene);
}

/* `strict`: what was not seen is not there. */
static void compare(bool strict, const char *what, unsigned nth)
{
    const struct last *before = &seen;
    struct scene scene = open_scene();
    const struct last now = look(&scene);
    struct jobd_info infos[2 * INSTANTS];
    uint64_t next;
    size_t jobs =
        jobd_list(scene.jobd, &(struct jobd_filter){.queue = JOBD_NO_QUEUE, .state = JOBD_STATES},
                  infos, 2 * INSTANTS, &next);
    if (strict ? now.there != before->there || now.after_us != before->after_us ||
                     now.job != before->job || jobs != before->fired
               : (before->there && !now.there) || now.after_us < before->after_us ||
                     jobs < before->fired)
        fail_msg("%s %u: up to %lld with %zu jobs; it was %lld with %llu", what, nth,
                 (long long)now.after_us, jobs, (long long)before->after_us,
                 (unsigned long long)before->fired);
    if (nth == 0)
        assert_int_equal(before->fired, INSTANTS);
    if (now.job != 0 && infos[jobs - 1].id != now.job)
        fail_msg("%s %u: the last instant has no job", what, nth);
    drop_scene(&scene);
}

static const struct script script = {
    .run = run_script, .look = look_at_last, .compare = compare, .calls = INSTANTS};

static void test_every_write_failing(void **state)
{
    (void)state;
    at_every(&script, FLAW_WRITE);
}

static void test_every_sync_failing(void **state)
{
    (void)state;
    at_every(&script, FLAW_SYNC);
}

static void test_every_write_torn(void **state)
{
    (void)state;
    at_every(&script, FLAW_TEAR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_write_failing),
        cmocka_unit_test(test_every_sync_failing),
        cmocka_unit_test(test_every_write_torn),
    };
    log_setup(LOG_TEXT, LOG_ERROR);
    flaky_install();
    return cmocka_run_group_tests_name("schedules on a failing disk", tests, NULL, server_stop_all);
}
