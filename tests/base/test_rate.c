/* SPDX-License-Identifier: MIT */
/* The measured drain rate, its time in the test's hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rate.h"

enum { SECOND = 1000000 };

/* Takes at an even pace with jobs waiting all the while; the time of the last. */
static int64_t drain(struct rate *rate, int64_t now_us, int64_t interval_us, unsigned takes)
{
    for (unsigned i = 0; i < takes; i++) {
        now_us += interval_us;
        rate_taken(rate, now_us);
    }
    return now_us;
}

/* Workers in step: so many takes together, and then a gap. */
static int64_t drain_in_waves(struct rate *rate, int64_t now_us, int64_t gap_us, unsigned workers,
                              unsigned waves)
{
    for (unsigned i = 0; i < waves; i++)
        now_us = drain(rate, now_us + gap_us, 5, workers) - 5 * (int64_t)workers;
    return now_us;
}

static int64_t next_us(const struct rate *rate, int64_t now_us)
{
    return rate_nth_us(rate, now_us, 1, 1);
}

static void about(double value, double expected)
{
    if (!(value > expected * 0.999 && value < expected * 1.001))
        fail_msg("%f, not %f", value, expected);
}

static void nothing_is_known_at_first(void **state)
{
    struct rate rate = {0};
    (void)state;
    assert_int_equal(next_us(&rate, 5 * SECOND), 0);
    assert_true(rate_per_s(&rate, 0, false) == 0);
    assert_int_equal(rate_run_us(&rate), 0);
    rate_ran(&rate, SECOND); /* still nothing was taken */
    assert_int_equal(next_us(&rate, 5 * SECOND), 0);
    assert_true(rate_per_s(&rate, 0, false) == 0);
    rate_taken(&rate, 6 * SECOND); /* one take has no gap yet */
    assert_true(rate_per_s(&rate, 0, false) == 0);
}

/* But for how long nobody has come. */
static void silence_alone_says_something(void **state)
{
    struct rate rate = {0};
    (void)state;
    rate_waits(&rate, 5 * SECOND);
    assert_int_equal(next_us(&rate, 5 * SECOND), 0);
    assert_int_equal(next_us(&rate, 65 * SECOND), 60 * SECOND);
    rate_taken(&rate, 66 * SECOND);
    assert_int_equal(next_us(&rate, 68 * SECOND), 2 * SECOND);
    /* Ran empty, for an hour: that was no silence. */
    rate_waits(&rate, 3666 * (int64_t)SECOND);
    assert_int_equal(next_us(&rate, 3667 * (int64_t)SECOND), SECOND);
}

static void a_steady_drain_is_measured(void **state)
{
    static const int64_t intervals_us[] = {1, 17, 1000, 50000, 4 * SECOND, 86400 * (int64_t)SECOND};
    (void)state;
    for (size_t i = 0; i < sizeof intervals_us / sizeof intervals_us[0]; i++) {
        int64_t interval_us = intervals_us[i];
        struct rate rate = {0};
        int64_t now_us = drain(&rate, SECOND, interval_us, 100);
        about(rate_per_s(&rate, 0, false), 1e6 / (double)interval_us);
        assert_int_equal(next_us(&rate, now_us), interval_us);
        assert_int_equal(rate_nth_us(&rate, now_us, 7, 1), interval_us); /* measured is measured */
        assert_int_equal(next_us(&rate, now_us + interval_us / 2), interval_us - interval_us / 2);
    }
}

/* Whoever meets a full queue meets the gap between two waves. */
static void workers_in_step_take_in_waves(void **state)
{
    static const struct {
        unsigned workers;
        int64_t gap_us;
    } rows[] = {{2, 2 * SECOND}, {4, 3 * SECOND}, {64, 3 * SECOND}, {1000, 60 * SECOND}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned workers = rows[i].workers;
        int64_t gap_us = rows[i].gap_us;
        struct rate rate = {0};
        int64_t now_us = drain_in_waves(&rate, SECOND, gap_us, workers, 30) + 5 * (int64_t)workers;
        assert_in_range(next_us(&rate, now_us), gap_us * 98 / 100, gap_us);
        assert_in_range(next_us(&rate, now_us + gap_us - SECOND), SECOND * 9 / 10, SECOND);
        unsigned some = workers / 50; /* the bounds of waves are not that exact */
        for (unsigned wave = 1; wave <= 3; wave++) {
            unsigned first = (wave - 1) * workers + 1 + some, last = wave * workers - some;
            assert_in_range(rate_nth_us(&rate, now_us, 0, first), wave * gap_us * 98 / 100,
                            wave * gap_us);
            assert_in_range(rate_nth_us(&rate, now_us, 0, last), wave * gap_us * 98 / 100,
                            wave * gap_us);
        }
        double per_s = rate_per_s(&rate, 0, false) * (double)gap_us / workers / 1e6;
        assert_true(per_s > 0.95 && per_s < 1.05);
    }
}

/* A gap that is much longer than all before is believed at once, shorter ones by and by. */
static void a_new_pace_is_learned(void **state)
{
    struct rate rate = {0};
    (void)state;
    int64_t now_us = drain(&rate, SECOND, 50000, 20);
    assert_int_equal(next_us(&rate, now_us), 50000);
    now_us = drain(&rate, now_us, 4 * SECOND, 1);
    assert_in_range(next_us(&rate, now_us), 3 * SECOND + 1, 4 * SECOND);
    now_us = drain(&rate, now_us, 4 * SECOND, 20);
    assert_in_range(next_us(&rate, now_us), 4 * SECOND - 1000, 4 * SECOND);
    assert_true(rate_per_s(&rate, 0, false) > 0.24 && rate_per_s(&rate, 0, false) < 0.3);
    now_us = drain(&rate, now_us, 50000, 8 * 20); /* two gaps of before */
    assert_in_range(next_us(&rate, now_us), 50000, SECOND);
    now_us = drain(&rate, now_us, 50000, 60 * 20);
    assert_in_range(next_us(&rate, now_us), 50000, 60000);
    assert_true(rate_per_s(&rate, 0, false) > 19);
    /* Of ten minutes in which nobody came nothing is left after one. */
    now_us = drain(&rate, now_us, 600 * SECOND, 1);
    now_us = drain(&rate, now_us, 50000, 60 * 20);
    assert_in_range(next_us(&rate, now_us), 50000, SECOND);
}

static void an_interruption_is_not_measured(void **state)
{
    struct rate rate = {0};
    const int64_t hour_us = 3600 * (int64_t)SECOND;
    (void)state;
    int64_t now_us = drain(&rate, SECOND, 1000, 20);
    rate_waits(&rate, now_us + 1); /* paused for an hour, and let go */
    now_us += hour_us;
    rate_waits(&rate, now_us);
    rate_taken(&rate, now_us);
    assert_int_equal(next_us(&rate, now_us), 1000);
    now_us += hour_us; /* ran empty; a job came and was taken at once */
    rate_waits(&rate, now_us);
    rate_taken(&rate, now_us);
    assert_int_equal(next_us(&rate, now_us), 1000);
    about(rate_per_s(&rate, 0, false), 1000);
    now_us = drain(&rate, now_us, 17000, 1); /* without a break: this counts */
    assert_in_range(next_us(&rate, now_us), 15000, 17000);
}

/* Jobs that come while all workers are busy have not seen when they began. */
static void half_a_gap_is_better_than_none(void **state)
{
    struct rate rate = {0};
    (void)state;
    int64_t now_us = drain(&rate, SECOND, 50000, 20);
    rate_waits(&rate, now_us + SECOND);
    now_us = drain(&rate, now_us, 5 * SECOND, 1);
    assert_in_range(next_us(&rate, now_us), 3 * SECOND + 1, 4 * SECOND); /* at least */
    about(rate_per_s(&rate, 0, false), 20);
    rate_waits(&rate, now_us + SECOND);
    now_us = drain(&rate, now_us, SECOND + 1000, 1); /* which says nothing about a longer one */
    assert_in_range(next_us(&rate, now_us), 3 * SECOND + 1, 4 * SECOND);
}

static void overdue_is_late_by_as_much_again(void **state)
{
    struct rate rate = {0};
    (void)state;
    int64_t now_us = drain(&rate, SECOND, 4000, 20);
    assert_int_equal(next_us(&rate, now_us + 3999), 1);
    assert_int_equal(next_us(&rate, now_us + 4000), 0);
    assert_int_equal(next_us(&rate, now_us + 4010), 10);
    for (int64_t late_us = 8000; late_us < INT64_MAX / 1024; late_us *= 2)
        assert_in_range(next_us(&rate, now_us + late_us), late_us / 2, late_us);
}

static void before_the_second_take_the_run_time_counts(void **state)
{
    struct rate rate = {0};
    (void)state;
    rate_taken(&rate, SECOND);
    assert_int_equal(next_us(&rate, SECOND), 0);
    assert_int_equal(next_us(&rate, SECOND + 300), 300);
    rate_ran(&rate, 8000);
    assert_int_equal(next_us(&rate, SECOND), 8000);
    assert_int_equal(rate_nth_us(&rate, SECOND, 4, 1), 2000); /* four of them side by side */
    assert_int_equal(rate_nth_us(&rate, SECOND + 500, 4, 1), 1500);
    assert_int_equal(rate_nth_us(&rate, SECOND + 500, 0, 1), 500);
    assert_true(rate_per_s(&rate, 0, false) == 0); /* which is measured only */
}

static void the_time_of_a_run_is_known_when_they_are_alike(void **state)
{
    struct rate rate = {0};
    (void)state;
    rate_ran(&rate, 3 * SECOND);
    assert_int_equal(rate_run_us(&rate), 3 * SECOND);
    for (int64_t i = 0; i < 50; i++)
        rate_ran(&rate, 3 * SECOND + (i % 3 - 1) * 100000);
    assert_in_range(rate_run_us(&rate), 2900000, 3100000);
    for (int64_t i = 0; i < 50; i++)
        rate_ran(&rate, SECOND + i % 5 * SECOND);
    assert_int_equal(rate_run_us(&rate), 0);
    for (int i = 0; i < 20; i++)
        rate_ran(&rate, SECOND / 2);
    for (int i = 0; i < 20; i++)
        rate_ran(&rate, 4 * SECOND);
    assert_in_range(rate_run_us(&rate), 3900000, 4000000);
}

/* Two threads may read the clock in one order and take in the other. */
static void a_moment_before_the_last_take_counts_as_that(void **state)
{
    struct rate rate = {0};
    (void)state;
    rate_taken(&rate, SECOND);
    assert_int_equal(next_us(&rate, SECOND - 5), 0);
    int64_t now_us = drain(&rate, SECOND, 1000, 20);
    assert_int_equal(next_us(&rate, now_us - 5), 1000);
    rate_taken(&rate, now_us - 5);
    assert_true(next_us(&rate, now_us - 5) >= 1);
    assert_true(rate_per_s(&rate, 0, false) > 0);
}

static void several_takes_come_one_after_the_other(void **state)
{
    struct rate rate = {0};
    (void)state;
    assert_int_equal(rate_nth_us(&rate, SECOND, 1, 100), 0); /* nothing is known */
    rate_taken(&rate, SECOND);
    rate_ran(&rate, 8000);
    assert_int_equal(rate_nth_us(&rate, SECOND + 500, 4, 3), 1500 + 2 * 2000);
    rate = (struct rate){0};
    int64_t now_us = drain(&rate, SECOND, 4000, 20);
    assert_int_equal(rate_nth_us(&rate, now_us + 1000, 1, 1), 3000);
    assert_int_equal(rate_nth_us(&rate, now_us + 1000, 1, 5), 3000 + 4 * 4000);
    assert_int_equal(rate_nth_us(&rate, now_us + 9000, 1, 5), 5000 + 4 * 4000); /* overdue */
}

/* No sum or difference overflows: the sanitizer would say so. */
static void times_at_the_ends_of_all_time(void **state)
{
    static const int64_t moments[] = {1, 2, SECOND, INT64_MAX / 2, INT64_MAX - 1, INT64_MAX};
    enum { MOMENTS = sizeof moments / sizeof moments[0] };
    (void)state;
    for (size_t i = 0; i < MOMENTS * MOMENTS * MOMENTS; i++) {
        struct rate rate = {0};
        rate_taken(&rate, moments[i % MOMENTS]);
        rate_taken(&rate, moments[i / MOMENTS % MOMENTS]);
        rate_ran(&rate, moments[i % MOMENTS]);
        rate_ran(&rate, -moments[i / MOMENTS % MOMENTS]);
        int64_t asked_us = moments[i / MOMENTS / MOMENTS];
        assert_true(rate_run_us(&rate) >= 0);
        assert_true(rate_nth_us(&rate, asked_us, 1, 1) >= 0);
        assert_true(rate_nth_us(&rate, asked_us, UINT32_MAX, 1) >= 0);
        assert_true(rate_nth_us(&rate, asked_us, 1, UINT32_MAX) >=
                    rate_nth_us(&rate, asked_us, 1, 1));
        assert_true(rate_nth_us(&rate, asked_us, 1, UINT64_MAX) >=
                    rate_nth_us(&rate, asked_us, 1, 1));
        assert_true(rate_per_s(&rate, 0, false) > 0 && rate_per_s(&rate, 0, false) <= 1e6);
        rate_waits(&rate, asked_us);
        rate_taken(&rate, asked_us);
        assert_true(rate_nth_us(&rate, INT64_MAX, 0, 1) >= 0);
        assert_true(rate_nth_us(&rate, 1, 0, 1) >= 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_known_at_first),
        cmocka_unit_test(silence_alone_says_something),
        cmocka_unit_test(a_steady_drain_is_measured),
        cmocka_unit_test(workers_in_step_take_in_waves),
        cmocka_unit_test(a_new_pace_is_learned),
        cmocka_unit_test(an_interruption_is_not_measured),
        cmocka_unit_test(half_a_gap_is_better_than_none),
        cmocka_unit_test(overdue_is_late_by_as_much_again),
        cmocka_unit_test(before_the_second_take_the_run_time_counts),
        cmocka_unit_test(the_time_of_a_run_is_known_when_they_are_alike),
        cmocka_unit_test(a_moment_before_the_last_take_counts_as_that),
        cmocka_unit_test(several_takes_come_one_after_the_other),
        cmocka_unit_test(times_at_the_ends_of_all_time),
    };
    return cmocka_run_group_tests_name("rate", tests, NULL, NULL);
}
