/* SPDX-License-Identifier: MIT */
/* Schedules as the engine has them: put, replaced, deleted, paused; an instant happens once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/model/check_engine.h"
#include "jobd/schedule.h"

enum { SCHEDULES = 3, CAPACITY = 4 };

#define HOUR_US INT64_C(3600000000)

static struct jobd *jobd;
static int64_t wall_us = 1000 * HOUR_US;
static unsigned told;

static void tell(void *context)
{
    (void)context;
    told++;
}

static int set_up(void **state)
{
    const struct jobd_queue_config queue = {
        .name = "default", .capacity = CAPACITY, .workers = 1, .attempts = 1};
    const struct jobd_schedule_config schedules = {.max = SCHEDULES, .on_change = {.call = tell}};
    const struct jobd_config config = {.queues = &queue,
                                       .queues_len = 1,
                                       .keep = 10,
                                       .memory_bytes = 4096,
                                       .waiters_max = 4,
                                       .leases_max = 1,
                                       .first_id = 1,
                                       .schedules = &schedules};
    (void)state;
    return jobd_new(&jobd, &config);
}

static int tear_down(void **state)
{
    (void)state;
    jobd_cancel_all(jobd, 1);
    jobd_free(jobd);
    return 0;
}

static struct jobd_schedule plain(const char *name)
{
    return (struct jobd_schedule){
        .name = name, .cron = "", .zone = "", .every_us = HOUR_US, .queue = "default"};
}

static enum jobd_result put(const struct jobd_schedule *schedule, enum jobd_schedule_change *change)
{
    const struct jobd_moment moment = {.now_us = 1, .wall_us = wall_us};
    enum jobd_result result = jobd_schedule_put(jobd, schedule, NULL, &moment, change);
    check_engine(jobd);
    return result;
}

static void put_good(const struct jobd_schedule *schedule, enum jobd_schedule_change expected)
{
    enum jobd_schedule_change change;
    assert_int_equal(put(schedule, &change), JOBD_OK);
    assert_int_equal(change, expected);
}

static struct jobd_schedule_info look(const char *name)
{
    struct jobd_schedule_info info;
    assert_int_equal(jobd_schedule_get(jobd, name, &info), JOBD_OK);
    jobd_schedule_info_release(&info); /* the engine has it still */
    return info;
}

static enum jobd_result fire(const char *name, int64_t at_us, uint64_t missed)
{
    char key[80];
    snprintf(key, sizeof key, "%s@%lld", name, (long long)at_us);
    const struct jobd_firing firing = {
        .name = name, .version = look(name).version, .at_us = at_us, .key = key, .missed = missed};
    enum jobd_result result = jobd_schedule_fire(jobd, &firing, 1);
    check_engine(jobd);
    return result;
}

static unsigned queued(void)
{
    struct jobd_stats stats;
    jobd_stats(jobd, 0, 1, &stats);
    return stats.queued;
}

/* ---- what there is */

static void test_the_same_again_changes_nothing(void **state)
{
    struct jobd_schedule schedule = plain("a");
    (void)state;
    put_good(&schedule, JOBD_SCHEDULE_NEW);
    put_good(&schedule, JOBD_SCHEDULE_SAME);
    uint64_t version = look("a").version;
    schedule.priority = 1;
    put_good(&schedule, JOBD_SCHEDULE_REPLACED);
    assert_true(look("a").version > version);
    schedule.payload = jobd_blob_text("x");
    put_good(&schedule, JOBD_SCHEDULE_REPLACED);
    struct jobd_blob *same = jobd_blob_text("x");
    jobd_blob_unref(schedule.payload);
    schedule.payload = same;
    put_good(&schedule, JOBD_SCHEDULE_SAME);
    jobd_blob_unref(same);
    schedule.payload = NULL;
    schedule.texts[JOBD_TAGS] = "one\n";
    put_good(&schedule, JOBD_SCHEDULE_REPLACED);
    schedule.queue = "other";
    put_good(&schedule, JOBD_SCHEDULE_REPLACED);
}

static void test_there_are_so_many(void **state)
{
    const char *const names[] = {"b", "c", "a"};
    struct jobd_schedule_info info;
    enum jobd_schedule_change change;
    (void)state;
    for (unsigned i = 0; i < SCHEDULES; i++) {
        const struct jobd_schedule schedule = plain(names[i]);
        put_good(&schedule, JOBD_SCHEDULE_NEW);
    }
    const struct jobd_schedule more = plain("d");
    assert_int_equal(put(&more, &change), JOBD_TOO_MANY_SCHEDULES);
    assert_int_equal(jobd_schedule_after(jobd, "", &info), JOBD_OK);
    assert_string_equal(info.name, "a");
    jobd_schedule_info_release(&info);
    assert_int_equal(jobd_schedule_after(jobd, "b", &info), JOBD_OK);
    assert_string_equal(info.name, "c");
    jobd_schedule_info_release(&info);
    assert_int_equal(jobd_schedule_after(jobd, "c", &info), JOBD_NO_SCHEDULE);
    assert_int_equal(jobd_schedule_delete(jobd, "b", false, NULL, 1), JOBD_OK);
    assert_int_equal(jobd_schedule_delete(jobd, "b", false, NULL, 1), JOBD_NO_SCHEDULE);
    check_engine(jobd);
    put_good(&more, JOBD_SCHEDULE_NEW);
}

static void test_the_configurations_are_its_own(void **state)
{
    struct jobd_schedule schedule = plain("a");
    enum jobd_schedule_change change;
    (void)state;
    schedule.fixed = true;
    put_good(&schedule, JOBD_SCHEDULE_NEW);
    schedule.fixed = false;
    assert_int_equal(put(&schedule, &change), JOBD_SCHEDULE_FIXED);
    assert_int_equal(jobd_schedule_delete(jobd, "a", false, NULL, 1), JOBD_SCHEDULE_FIXED);
    assert_int_equal(jobd_schedule_delete(jobd, "a", true, NULL, 1), JOBD_OK);
}

static void test_it_counts_for_the_memory(void **state)
{
    struct jobd_schedule schedule = plain("a");
    enum jobd_schedule_change change;
    size_t before = jobd_memory(jobd);
    (void)state;
    schedule.payload = jobd_blob_new(2000, NULL);
    memset(schedule.payload->bytes, 'x', 2000);
    put_good(&schedule, JOBD_SCHEDULE_NEW);
    assert_true(jobd_memory(jobd) >= before + 2000);
    schedule.name = "b";
    assert_int_equal(put(&schedule, &change), JOBD_OUT_OF_MEMORY);
    jobd_blob_unref(schedule.payload);
    assert_int_equal(jobd_schedule_delete(jobd, "a", false, NULL, 1), JOBD_OK);
    assert_int_equal(jobd_memory(jobd), before);
}

static void test_what_has_changed_is_told(void **state)
{
    const struct jobd_schedule schedule = plain("a");
    struct jobd_schedule_info info;
    uint32_t number = 99, again;
    (void)state;
    told = 0;
    put_good(&schedule, JOBD_SCHEDULE_NEW);
    assert_int_equal(told, 1);
    assert_true(jobd_schedule_changed(jobd, &number, &info));
    assert_true(number == 0 && strcmp(info.name, "a") == 0 && !info.restored);
    jobd_schedule_info_release(&info);
    assert_false(jobd_schedule_changed(jobd, &again, &info));
    put_good(&schedule, JOBD_SCHEDULE_SAME);
    assert_int_equal(told, 1);
    assert_int_equal(jobd_schedule_delete(jobd, "a", false, NULL, 1), JOBD_OK);
    assert_true(jobd_schedule_changed(jobd, &again, &info));
    assert_true(again == number && info.terms == NULL);
}

/* ---- instants */

static void test_an_instant_happens_once(void **state)
{
    const struct jobd_schedule schedule = plain("a");
    (void)state;
    put_good(&schedule, JOBD_SCHEDULE_NEW);
    assert_int_equal(fire("a", wall_us, 0), JOBD_REPEATED); /* it is behind now */
    assert_int_equal(fire("a", wall_us + HOUR_US, 0), JOBD_OK);
    assert_int_equal(fire("a", wall_us + HOUR_US, 0), JOBD_REPEATED);
    assert_int_equal(queued(), 1);
    assert_int_equal(fire("a", wall_us + 4 * HOUR_US, 2), JOBD_OK);
    assert_int_equal(fire("a", wall_us + 3 * HOUR_US, 0), JOBD_REPEATED);
    assert_int_equal(queued(), 2);
    const struct jobd_schedule_info info = look("a");
    struct jobd_schedule_stats stats;
    assert_true(info.missed == 2 && info.last_us == wall_us + 4 * HOUR_US && info.last_job == 2);
    jobd_schedule_stats(jobd, &stats);
    assert_true(stats.fired == 2 && stats.missed == 2 && stats.schedules == 1);
}

/* Another one has put the job in. */
static void test_a_job_with_its_key_is_its_job(void **state)
{
    const struct jobd_schedule schedule = plain("a");
    struct jobd_receipt receipt;
    char key[80];
    (void)state;
    put_good(&schedule, JOBD_SCHEDULE_NEW);
    snprintf(key, sizeof key, "a@%lld", (long long)(wall_us + HOUR_US));
    const struct jobd_put job = {.key = key};
    assert_int_equal(jobd_put(jobd, &job, NULL, 1, &receipt), JOBD_OK);
    assert_int_equal(fire("a", wall_us + HOUR_US, 0), JOBD_OK);
    assert_int_equal(queued(), 1);
    assert_int_equal(look("a").last_job, receipt.id);
}

static void test_a_full_queue_has_no_room(void **state)
{
    const struct jobd_schedule schedule = plain("a");
    struct jobd_receipt receipt;
    (void)state;
    put_good(&schedule, JOBD_SCHEDULE_NEW);
    for (unsigned i = 0; i < CAPACITY; i++)
        assert_int_equal(jobd_put(jobd, &(struct jobd_put){.queue = 0}, NULL, 1, &receipt),
                         JOBD_OK);
    assert_int_equal(fire("a", wall_us + HOUR_US, 0), JOBD_FULL);
    assert_int_equal(jobd_schedule_run(jobd, "a", NULL, 1, &receipt), JOBD_FULL);
    assert_int_equal(jobd_cancel(jobd, 1, NULL, 1), JOBD_OK);
    assert_int_equal(fire("a", wall_us + HOUR_US, 0), JOBD_OK);
    struct jobd_stats stats;
    jobd_stats(jobd, 0, 1, &stats);
    assert_int_equal(stats.rejected, 1); /* the one that somebody asked for */
}

static void test_it_waits_for_the_one_before(void **state)
{
    struct jobd_schedule schedule = plain("a");
    (void)state;
    schedule.alone = true;
    put_good(&schedule, JOBD_SCHEDULE_NEW);
    assert_int_equal(fire("a", wall_us + HOUR_US, 0), JOBD_OK);
    assert_int_equal(fire("a", wall_us + 2 * HOUR_US, 0), JOBD_OK);
    assert_true(queued() == 1 && look("a").skipped == 1);
    assert_int_equal(jobd_cancel(jobd, 1, NULL, 1), JOBD_OK);
    assert_int_equal(fire("a", wall_us + 3 * HOUR_US, 0), JOBD_OK);
    assert_true(queued() == 1 && look("a").skipped == 1);
}

static void test_its_jobs_are_as_was_asked_for(void **state)
{
    struct jobd_schedule schedule = plain("a");
    struct jobd_receipt receipt;
    struct jobd_info info;
    struct jobd_blob *words, *payload;
    (void)state;
    schedule.priority = 6;
    schedule.attempts = 4;
    schedule.expires_us = HOUR_US;
    schedule.texts[JOBD_GROUP] = "tenant";
    schedule.texts[JOBD_TAGS] = "x\n";
    schedule.payload = jobd_blob_text("report");
    put_good(&schedule, JOBD_SCHEDULE_NEW);
    jobd_blob_unref(schedule.payload);
    assert_int_equal(jobd_schedule_run(jobd, "a", NULL, 1, &receipt), JOBD_OK);
    assert_int_equal(fire("a", wall_us + HOUR_US, 0), JOBD_OK);
    for (uint64_t id = 1; id <= 2; id++) {
        assert_int_equal(jobd_get(jobd, id, &info), JOBD_OK);
        assert_true(info.priority == 6 && info.attempts == 4 && info.expires_us == 1 + HOUR_US);
        assert_int_equal(jobd_get_blob(jobd, id, JOBD_WORDS, &words), JOBD_OK);
        assert_string_equal(jobd_text(words, JOBD_GROUP), "tenant");
        assert_string_equal(jobd_text(words, JOBD_TAGS), "x\n");
        assert_string_equal(jobd_text(words, JOBD_SCHEDULE), "a");
        jobd_blob_unref(words);
        assert_int_equal(jobd_get_blob(jobd, id, JOBD_PAYLOAD, &payload), JOBD_OK);
        assert_memory_equal(payload->bytes, "report", 6);
        jobd_blob_unref(payload);
    }
    assert_int_equal(look("a").last_job, 2); /* the other was beside the plan */
}

static void test_nothing_happens_while_it_is_paused(void **state)
{
    const struct jobd_schedule schedule = plain("a");
    struct jobd_moment moment = {.now_us = 1, .wall_us = wall_us};
    (void)state;
    put_good(&schedule, JOBD_SCHEDULE_NEW);
    assert_int_equal(jobd_schedule_pause(jobd, "a", true, NULL, &moment), JOBD_OK);
    assert_int_equal(fire("a", wall_us + HOUR_US, 0), JOBD_NO_SCHEDULE);
    moment.wall_us += 2 * HOUR_US;
    assert_int_equal(jobd_schedule_pause(jobd, "a", false, NULL, &moment), JOBD_OK);
    assert_int_equal(fire("a", wall_us + 2 * HOUR_US, 0), JOBD_REPEATED);
    assert_int_equal(fire("a", wall_us + 3 * HOUR_US, 0), JOBD_OK);
    assert_int_equal(jobd_schedule_pause(jobd, "b", false, NULL, &moment), JOBD_NO_SCHEDULE);
}

static void test_an_older_plan_does_nothing(void **state)
{
    struct jobd_schedule schedule = plain("a");
    (void)state;
    put_good(&schedule, JOBD_SCHEDULE_NEW);
    const struct jobd_firing firing = {
        .name = "a", .version = look("a").version, .at_us = wall_us + HOUR_US, .key = "k"};
    schedule.every_us = 2 * HOUR_US;
    put_good(&schedule, JOBD_SCHEDULE_REPLACED);
    assert_int_equal(jobd_schedule_fire(jobd, &firing, 1), JOBD_NO_SCHEDULE);
}

/* The clock was a year ahead, and is set right: what has happened does not happen again, and what
 * has not does. */
static void test_a_clock_is_set_right(void **state)
{
    const struct jobd_schedule schedule = plain("a");
    const struct jobd_moment moment = {.now_us = 1, .wall_us = wall_us + HOUR_US};
    const int64_t ahead_us = wall_us + 9000 * HOUR_US;
    (void)state;
    put_good(&schedule, JOBD_SCHEDULE_NEW);
    assert_int_equal(fire("a", wall_us + HOUR_US, 0), JOBD_OK);
    assert_int_equal(jobd_schedule_turn_back(jobd, "a", &moment), JOBD_REPEATED);
    assert_int_equal(fire("a", ahead_us, 8998), JOBD_OK);
    assert_int_equal(fire("a", ahead_us + HOUR_US, 0), JOBD_OK);
    assert_int_equal(jobd_schedule_turn_back(jobd, "a", &moment), JOBD_OK);
    assert_int_equal(jobd_schedule_turn_back(jobd, "a", &moment), JOBD_REPEATED);
    check_engine(jobd);
    assert_int_equal(fire("a", wall_us + HOUR_US, 0), JOBD_REPEATED);
    assert_int_equal(fire("a", wall_us + 2 * HOUR_US, 0), JOBD_OK);
    assert_int_equal(fire("a", ahead_us, 0), JOBD_REPEATED);
    assert_int_equal(fire("a", ahead_us + HOUR_US, 0), JOBD_REPEATED);
    assert_int_equal(queued(), 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_same_again_changes_nothing),
        TEST(test_there_are_so_many),
        TEST(test_the_configurations_are_its_own),
        TEST(test_it_counts_for_the_memory),
        TEST(test_what_has_changed_is_told),
        TEST(test_an_instant_happens_once),
        TEST(test_a_job_with_its_key_is_its_job),
        TEST(test_a_full_queue_has_no_room),
        TEST(test_it_waits_for_the_one_before),
        TEST(test_its_jobs_are_as_was_asked_for),
        TEST(test_nothing_happens_while_it_is_paused),
        TEST(test_an_older_plan_does_nothing),
        TEST(test_a_clock_is_set_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
