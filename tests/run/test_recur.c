/* SPDX-License-Identifier: MIT */
/* Plans, the engine and two clocks that this test turns: which instants happen, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/plan.h"
#include "base/text.h"
#include "base/verify.h"
#include "engine/model/check_engine.h"
#include "jobd/schedule.h"
#include "base/log.h"
#include "run/recur.h"
#include "support/chance.h"

enum { SCHEDULES = 8, CAPACITY = 200, SEEN_MAX = 100000 };

#define SECOND_US INT64_C(1000000)
#define MINUTE_US (60 * SECOND_US)
#define HOUR_US   (60 * MINUTE_US)
#define DAY_US    (24 * HOUR_US)
#define YEAR_US   (365 * DAY_US)

static struct jobd *jobd;
static struct recur *recur;
static struct jobd_moment moment;
static struct jobd_waiter worker;

/* What has happened: a schedule's name and an instant each. */
static struct seen {
    char key[80];
} seen[SEEN_MAX];
static size_t seen_len;

static void wake(struct jobd_waiter *waiter)
{
    (void)waiter;
}

static int64_t at(const char *time)
{
    int64_t us;
    verify(text_to_time(time, &us));
    return us;
}

static void begin(uint32_t capacity, const char *time)
{
    const struct jobd_queue_config queue = {
        .name = "default", .capacity = capacity, .workers = 1, .attempts = 1};
    struct jobd_schedule_config schedules = {.max = SCHEDULES};
    assert_int_equal(recur_new(&recur, &schedules), 0);
    const struct jobd_config config = {.queues = &queue,
                                       .queues_len = 1,
                                       .keep = 1,
                                       .memory_bytes = 1 << 20,
                                       .waiters_max = 4,
                                       .leases_max = 1,
                                       .first_id = 1,
                                       .schedules = &schedules};
    assert_int_equal(jobd_new(&jobd, &config), 0);
    moment = (struct jobd_moment){.now_us = 1, .wall_us = at(time)};
    seen_len = 0;
}

static void end(void)
{
    jobd_cancel_all(jobd, moment.now_us);
    jobd_free(jobd);
    recur_free(recur);
}

static int compare_seen(const void *one, const void *other)
{
    return strcmp(((const struct seen *)one)->key, ((const struct seen *)other)->key);
}

static void nothing_twice(void)
{
    qsort(seen, seen_len, sizeof *seen, compare_seen);
    for (size_t i = 1; i < seen_len; i++)
        if (strcmp(seen[i - 1].key, seen[i].key) == 0)
            fail_msg("%s has happened twice", seen[i].key);
}

/* Runs what waits; how many jobs. */
static unsigned run_jobs(void)
{
    const struct jobd_outcome done = {.state = JOBD_DONE};
    unsigned jobs = 0;
    for (;; jobs++) {
        worker = (struct jobd_waiter){
            .deadline_us = JOBD_NEVER, .wake = wake, .at_once = true, .uncounted = true};
        if (jobd_take(jobd, 0, &worker, moment.now_us) != JOBD_OK)
            return jobs;
        verify(seen_len < SEEN_MAX);
        snprintf(seen[seen_len++].key, sizeof seen->key, "%s", worker.task.key);
        jobd_finish(jobd, &worker.task, &done, moment.now_us);
    }
}

/* What is to be done now; when the next is. */
static int64_t tick(void)
{
    int64_t next_us;
    do
        next_us = recur_tick(recur, jobd, &moment);
    while (next_us <= moment.wall_us);
    check_engine(jobd);
    return next_us;
}

/* Time passes; nothing is late. */
static void pass_until(int64_t wall_us)
{
    int64_t next_us;
    while ((next_us = tick()) <= wall_us) {
        (void)run_jobs();
        moment.now_us += next_us - moment.wall_us;
        moment.wall_us = next_us;
    }
    (void)run_jobs();
    moment.now_us += wall_us - moment.wall_us;
    moment.wall_us = wall_us;
}

static struct jobd_schedule schedule_of(const char *name, const char *cron, const char *zone)
{
    return (struct jobd_schedule){.name = name,
                                  .cron = cron,
                                  .zone = cron[0] != '\0' ? zone : "",
                                  .every_us = cron[0] == '\0' ? MINUTE_US : 0,
                                  .queue = "default"};
}

static void put(const struct jobd_schedule *schedule)
{
    enum jobd_schedule_change change;
    assert_int_equal(jobd_schedule_put(jobd, schedule, NULL, &moment, &change), JOBD_OK);
}

static struct jobd_schedule_info look(const char *name)
{
    struct jobd_schedule_info info;
    assert_int_equal(jobd_schedule_get(jobd, name, &info), JOBD_OK);
    jobd_schedule_info_release(&info);
    return info;
}

static void last_is(const char *key)
{
    assert_true(seen_len > 0);
    assert_string_equal(seen[seen_len - 1].key, key);
}

/* ---- instants as they come */

static void test_all_that_the_plan_says(void **state)
{
    static const struct {
        const char *name, *cron, *zone;
    } rows[] = {
        {"minutely", "", ""},
        {"paris", "30 2 * * *", "Europe/Paris"},
        {"howe", "*/20 * * * *", "UTC"},
        {"monthly", "0 0 31 * *", "America/New_York"},
        {"leap", "0 12 29 2 *", "UTC"},
        {"never", "0 0 31 2 *", "UTC"},
    };
    (void)state;
    begin(CAPACITY, "2027-12-30T00:00:00Z");
    const int64_t from_us = moment.wall_us, until_us = from_us + 65 * DAY_US;
    uint64_t expected = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct jobd_schedule schedule = schedule_of(rows[i].name, rows[i].cron, rows[i].zone);
        struct plan plan = {.every_us = schedule.every_us};
        struct problem problem;
        put(&schedule);
        if (plan.every_us == 0)
            assert_int_equal(plan_cron(&plan, rows[i].cron, rows[i].zone, &problem), 0);
        expected += plan_count(&plan, from_us, until_us);
        plan_release(&plan);
    }
    assert_int_equal(jobd_schedule_delete(jobd, "minutely", false, NULL, moment.now_us), JOBD_OK);
    expected -= 65 * 24 * 60;
    pass_until(until_us);
    assert_int_equal(seen_len, expected);
    assert_int_equal(look("leap").last_us, at("2028-02-29T12:00:00Z"));
    nothing_twice();
    end();
}

static void test_keys_say_which(void **state)
{
    (void)state;
    begin(CAPACITY, "2026-10-24T12:00:00Z");
    const struct jobd_schedule schedule = schedule_of("n", "0 3 * * *", "Europe/Paris");
    put(&schedule);
    pass_until(at("2026-10-25T12:00:00Z"));
    assert_int_equal(seen_len, 1);
    last_is("n@2026-10-25T02:00:00Z");
    end();
}

/* ---- late */

static void late(enum jobd_late how, int64_t away_us, unsigned jobs, uint64_t missed)
{
    begin(CAPACITY, "2026-06-01T00:00:30Z");
    struct jobd_schedule schedule = schedule_of("m", "", "");
    schedule.late = how;
    put(&schedule);
    assert_true(tick() == moment.wall_us + MINUTE_US / 2);
    moment.wall_us += away_us;
    moment.now_us += away_us;
    (void)tick();
    assert_int_equal(run_jobs(), jobs);
    assert_int_equal(look("m").missed, missed);
    pass_until(moment.wall_us + 10 * MINUTE_US);
    assert_int_equal(seen_len, jobs + 10);
    assert_int_equal(look("m").missed, missed);
    nothing_twice();
    end();
}

static void test_late_instants(void **state)
{
    const uint64_t year = 365 * 24 * 60;
    (void)state;
    late(JOBD_LATE_ONCE, 5 * MINUTE_US, 1, 4);
    late(JOBD_LATE_SKIP, 5 * MINUTE_US + 29 * SECOND_US, 1, 4); /* the last is not late */
    late(JOBD_LATE_ALL, 5 * MINUTE_US, 5, 0);
    late(JOBD_LATE_ONCE, YEAR_US, 1, year - 1);
    late(JOBD_LATE_ALL, YEAR_US, RECUR_ALL_MAX, year - RECUR_ALL_MAX);
}

static void test_late_and_alone(void **state)
{
    (void)state;
    begin(CAPACITY, "2026-06-01T00:00:00Z");
    struct jobd_schedule schedule = schedule_of("h", "0 * * * *", "UTC");
    schedule.late = JOBD_LATE_SKIP;
    put(&schedule);
    (void)tick();
    moment.wall_us += HOUR_US + 10 * MINUTE_US;
    (void)tick();
    assert_true(run_jobs() == 0 && look("h").missed == 1);
    pass_until(at("2026-06-01T02:00:30Z"));
    assert_int_equal(seen_len, 1);
    end();
}

/* ---- no room */

static void fill(unsigned jobs)
{
    struct jobd_receipt receipt;
    for (unsigned i = 0; i < jobs; i++)
        assert_int_equal(
            jobd_put(jobd, &(struct jobd_put){.queue = 0}, NULL, moment.now_us, &receipt), JOBD_OK);
}

static void test_a_full_queue_is_tried_again(void **state)
{
    (void)state;
    begin(2, "2026-06-01T00:00:30Z");
    const struct jobd_schedule schedule = schedule_of("m", "", "");
    put(&schedule);
    (void)tick();
    fill(2);
    moment.wall_us = at("2026-06-01T00:01:00Z");
    int64_t next_us = tick();
    assert_true(next_us > moment.wall_us && next_us < moment.wall_us + SECOND_US);
    assert_int_equal(look("m").missed, 0);
    assert_int_equal(jobd_cancel(jobd, 1, NULL, moment.now_us), JOBD_OK);
    moment.wall_us = next_us;
    (void)tick();
    assert_int_equal(run_jobs(), 2);
    last_is("m@2026-06-01T00:01:00Z");
    end();
}

static void test_without_room_it_is_missed(void **state)
{
    (void)state;
    begin(2, "2026-06-01T00:00:30Z");
    const struct jobd_schedule schedule = schedule_of("m", "", "");
    put(&schedule);
    (void)tick();
    fill(2);
    for (unsigned minute = 1; minute <= 3; minute++) {
        for (int64_t next_us;
             (next_us = tick()) < at("2026-06-01T00:01:00Z") + (int64_t)minute * MINUTE_US;)
            moment.wall_us = next_us;
        assert_int_equal(look("m").missed, minute - 1);
        moment.wall_us = at("2026-06-01T00:01:00Z") + (int64_t)minute * MINUTE_US;
    }
    assert_int_equal(run_jobs(), 2);
    (void)tick();
    assert_int_equal(run_jobs(), 1);
    last_is("m@2026-06-01T00:04:00Z");
    assert_int_equal(look("m").missed, 3);
    end();
}

/* ---- clocks */

static void test_a_clock_that_goes_back_is_waited_for(void **state)
{
    (void)state;
    begin(CAPACITY, "2026-06-01T00:00:30Z");
    const struct jobd_schedule schedule = schedule_of("m", "", "");
    put(&schedule);
    pass_until(at("2026-06-01T01:00:30Z"));
    assert_int_equal(seen_len, 60);
    moment.wall_us -= 20 * MINUTE_US;
    pass_until(at("2026-06-01T01:00:30Z"));
    assert_int_equal(seen_len, 60);
    pass_until(at("2026-06-01T01:10:30Z"));
    assert_int_equal(seen_len, 70);
    nothing_twice();
    end();
}

static void test_a_clock_that_was_ahead(void **state)
{
    (void)state;
    begin(CAPACITY, "2026-06-01T00:00:30Z");
    const struct jobd_schedule schedule = schedule_of("m", "", "");
    put(&schedule);
    pass_until(at("2026-06-01T00:10:30Z"));
    moment.wall_us += 10 * YEAR_US;
    pass_until(moment.wall_us + 10 * MINUTE_US);
    assert_int_equal(seen_len, 10 + 1 + 10);
    moment.wall_us -= 10 * YEAR_US + 5 * MINUTE_US; /* the test took five minutes there */
    pass_until(at("2026-06-01T01:00:30Z"));
    assert_int_equal(seen_len, 10 + 1 + 10 + 45);
    nothing_twice();
    end();
}

static void test_paused_plans_wait(void **state)
{
    (void)state;
    begin(CAPACITY, "2026-06-01T00:00:30Z");
    const struct jobd_schedule schedule = schedule_of("m", "", "");
    put(&schedule);
    (void)tick();
    assert_int_equal(jobd_schedule_pause(jobd, "m", true, NULL, &moment), JOBD_OK);
    assert_true(tick() == JOBD_NEVER);
    moment.wall_us += HOUR_US;
    (void)tick();
    assert_int_equal(jobd_schedule_pause(jobd, "m", false, NULL, &moment), JOBD_OK);
    (void)tick();
    assert_int_equal(run_jobs(), 0);
    pass_until(moment.wall_us + 2 * MINUTE_US);
    assert_true(seen_len == 2 && look("m").missed == 0);
    end();
}

static void test_plans_are_read_again(void **state)
{
    (void)state;
    begin(CAPACITY, "2026-06-01T00:00:30Z");
    const struct jobd_schedule schedule = schedule_of("p", "*/5 * * * *", "Europe/Paris");
    put(&schedule);
    int64_t next_us = tick();
    recur_reread(recur);
    assert_true(tick() == next_us);
    pass_until(moment.wall_us + HOUR_US);
    assert_int_equal(seen_len, 12);
    end();
}

/* ---- at random: an instant never happens twice, whatever the clock does */

static void some_change(struct chance *chance)
{
    static const char *const crons[] = {"", "*/7 * * * *", "0 */2 * * *", "30 1 * * sun", "@daily"};
    static const char *const zones[] = {"UTC", "Europe/Paris", "Australia/Lord_Howe"};
    static const char *const names[] = {"a", "b", "c", "d"};
    const char *name = names[chance_below(chance, 4)];
    struct jobd_schedule schedule =
        schedule_of(name, crons[chance_below(chance, 5)], zones[chance_below(chance, 3)]);
    schedule.late = (enum jobd_late)chance_below(chance, 3);
    schedule.alone = chance_below(chance, 4) == 0;
    switch (chance_below(chance, 4)) {
    case 0:
    case 1:
        put(&schedule);
        break;
    case 2:
        (void)!jobd_schedule_pause(jobd, name, chance_below(chance, 2) == 0, NULL, &moment);
        break;
    default:
        recur_reread(recur);
        break;
    }
}

static void turn_the_clock(struct chance *chance)
{
    static const int64_t steps[] = {SECOND_US, MINUTE_US, HOUR_US, DAY_US, 10 * YEAR_US};
    int64_t step_us = steps[chance_below(chance, 5)] * (1 + (int64_t)chance_below(chance, 5));
    moment.wall_us += chance_below(chance, 2) == 0 ? step_us : -step_us;
    if (moment.wall_us < at("1971-01-01T00:00:00Z") || moment.wall_us > at("2150-01-01T00:00:00Z"))
        moment.wall_us = at("2026-06-01T00:00:00Z");
}

static void test_at_random(void **state)
{
    struct chance chance = chance_begin();
    (void)state;
    begin(20, "2026-06-01T00:00:00Z");
    for (unsigned step = 0; step < 6000 && seen_len < SEEN_MAX - 1000; step++) {
        unsigned which = chance_below(&chance, 20);
        if (which == 0)
            turn_the_clock(&chance);
        else if (which < 3)
            some_change(&chance);
        int64_t us = (int64_t)chance_below(&chance, 20) * MINUTE_US / 4;
        moment.wall_us += us;
        moment.now_us += us;
        (void)tick();
        if (chance_below(&chance, 3) > 0)
            (void)run_jobs();
    }
    assert_true(seen_len > 100);
    nothing_twice();
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_that_the_plan_says),
        cmocka_unit_test(test_keys_say_which),
        cmocka_unit_test(test_late_instants),
        cmocka_unit_test(test_late_and_alone),
        cmocka_unit_test(test_a_full_queue_is_tried_again),
        cmocka_unit_test(test_without_room_it_is_missed),
        cmocka_unit_test(test_a_clock_that_goes_back_is_waited_for),
        cmocka_unit_test(test_a_clock_that_was_ahead),
        cmocka_unit_test(test_paused_plans_wait),
        cmocka_unit_test(test_plans_are_read_again),
        cmocka_unit_test(test_at_random),
    };
    log_setup(LOG_TEXT, LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
