/* SPDX-License-Identifier: MIT */
/* The measured drain rate, its time in the test's hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rate.h"

enum { SECOND = 1000000 };

/* Takes at an even pace with jobs waiting all the while; the time of the last. */
static int64_t drain(struct rate *rate, int64_t now_us, int64_t interval_us, unsigned takes)
{
    for (unsigned i = 0; i < takes; i++) {
        now_us += interval_us;
        rate_taken(rate, now_us, true);
    }
    return now_us;
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
    assert_int_equal(rate_next_us(&rate, 5 * SECOND, 1), 0);
    assert_true(rate_per_s(&rate) == 0);
    rate_ran(&rate, SECOND); /* still nothing was taken */
    rate_interrupted(&rate);
    assert_int_equal(rate_next_us(&rate, 5 * SECOND, 1), 0);
    assert_true(rate_per_s(&rate) == 0);
    rate_taken(&rate, 6 * SECOND, true); /* one take has no interval yet */
    assert_true(rate_per_s(&rate) == 0);
}

static void a_steady_drain_is_measured(void **state)
{
    static const int64_t intervals_us[] = {1, 17, 1000, 50000, 4 * SECOND, 86400 * (int64_t)SECOND};
    (void)state;
    for (size_t i = 0; i < sizeof intervals_us / sizeof intervals_us[0]; i++) {
        int64_t interval_us = intervals_us[i];
        struct rate rate = {0};
        int64_t now_us = drain(&rate, SECOND, interval_us, 100);
        about(rate_per_s(&rate), 1e6 / (double)interval_us);
        assert_int_equal(rate_next_us(&rate, now_us, 1), interval_us);
        assert_int_equal(rate_next_us(&rate, now_us, 7), interval_us); /* measured is measured */
        assert_int_equal(rate_next_us(&rate, now_us + interval_us / 2, 1),
                         interval_us - interval_us / 2);
    }
}

static void a_new_pace_is_learned_by_and_by(void **state)
{
    struct rate rate = {0};
    (void)state;
    int64_t now_us = drain(&rate, SECOND, 16000, 50);
    now_us = drain(&rate, now_us, 32000, 1);
    assert_int_equal(rate_next_us(&rate, now_us, 1), 17000); /* a sixteenth of the way */
    now_us = drain(&rate, now_us, 32000, 200);
    int64_t slower_us = rate_next_us(&rate, now_us, 1);
    assert_true(slower_us > 31900 && slower_us <= 32000);
    now_us = drain(&rate, now_us, 1, 400);
    assert_true(rate_next_us(&rate, now_us, 1) <= 16);
}

static void an_interruption_is_not_measured(void **state)
{
    struct rate rate = {0};
    (void)state;
    int64_t now_us = drain(&rate, SECOND, 1000, 20);
    rate_interrupted(&rate); /* paused for an hour */
    now_us += 3600 * (int64_t)SECOND;
    rate_taken(&rate, now_us, true);
    assert_int_equal(rate_next_us(&rate, now_us, 1), 1000);
    rate_taken(&rate, now_us + 1000, false); /* the last one: ran empty */
    rate_taken(&rate, now_us + 3600 * (int64_t)SECOND, true);
    now_us += 3600 * (int64_t)SECOND;
    assert_int_equal(rate_next_us(&rate, now_us, 1), 1000);
    about(rate_per_s(&rate), 1000);
    rate_taken(&rate, now_us + 17000, true); /* without a break: this counts */
    assert_int_equal(rate_next_us(&rate, now_us + 17000, 1), 2000);
}

static void overdue_takes_as_long_again(void **state)
{
    struct rate rate = {0};
    (void)state;
    int64_t now_us = drain(&rate, SECOND, 4000, 20);
    assert_int_equal(rate_next_us(&rate, now_us + 3999, 1), 1);
    assert_int_equal(rate_next_us(&rate, now_us + 4000, 1), 4000);
    for (int64_t late_us = 4000; late_us < INT64_MAX / 4; late_us *= 2)
        assert_int_equal(rate_next_us(&rate, now_us + late_us, 1), late_us);
}

static void before_the_second_take_the_run_time_counts(void **state)
{
    struct rate rate = {0};
    (void)state;
    rate_taken(&rate, SECOND, true);
    assert_int_equal(rate_next_us(&rate, SECOND, 1), 0);
    assert_int_equal(rate_next_us(&rate, SECOND + 300, 1), 300);
    rate_ran(&rate, 8000);
    assert_int_equal(rate_next_us(&rate, SECOND, 1), 8000);
    assert_int_equal(rate_next_us(&rate, SECOND, 4), 2000); /* four of them side by side */
    assert_int_equal(rate_next_us(&rate, SECOND + 500, 4), 1500);
    assert_int_equal(rate_next_us(&rate, SECOND + 500, 0), 500);
    rate_ran(&rate, 8000 + 1600);
    assert_int_equal(rate_next_us(&rate, SECOND, 1), 8100);
    assert_true(rate_per_s(&rate) == 0); /* which is measured only */
}

/* Two threads may read the clock in one order and take in the other. */
static void a_moment_before_the_last_take_counts_as_that(void **state)
{
    struct rate rate = {0};
    (void)state;
    rate_taken(&rate, SECOND, true);
    assert_int_equal(rate_next_us(&rate, SECOND - 5, 1), 0);
    int64_t now_us = drain(&rate, SECOND, 1000, 20);
    assert_int_equal(rate_next_us(&rate, now_us - 5, 1), 1000);
    rate_taken(&rate, now_us - 5, true);
    assert_true(rate_next_us(&rate, now_us - 5, 1) >= 1);
    assert_true(rate_per_s(&rate) > 0);
}

static void several_takes_come_one_after_the_other(void **state)
{
    struct rate rate = {0};
    (void)state;
    assert_int_equal(rate_nth_us(&rate, SECOND, 1, 100), 0); /* nothing is known */
    rate_taken(&rate, SECOND, true);
    rate_ran(&rate, 8000);
    assert_int_equal(rate_nth_us(&rate, SECOND + 500, 4, 3), 1500 + 2 * 2000);
    rate = (struct rate){0};
    int64_t now_us = drain(&rate, SECOND, 4000, 20);
    assert_int_equal(rate_nth_us(&rate, now_us + 1000, 1, 1), 3000);
    assert_int_equal(rate_nth_us(&rate, now_us + 1000, 1, 5), 3000 + 4 * 4000);
    assert_int_equal(rate_nth_us(&rate, now_us + 9000, 1, 5), 9000 + 4 * 4000); /* overdue */
}

/* No sum or difference overflows: the sanitizer would say so. */
static void times_at_the_ends_of_all_time(void **state)
{
    static const int64_t moments[] = {1, 2, SECOND, INT64_MAX / 2, INT64_MAX - 1, INT64_MAX};
    enum { MOMENTS = sizeof moments / sizeof moments[0] };
    (void)state;
    for (size_t i = 0; i < MOMENTS * MOMENTS * MOMENTS; i++) {
        struct rate rate = {0};
        rate_taken(&rate, moments[i % MOMENTS], true);
        rate_taken(&rate, moments[i / MOMENTS % MOMENTS], true);
        rate_ran(&rate, moments[i % MOMENTS]);
        rate_ran(&rate, -moments[i / MOMENTS % MOMENTS]);
        int64_t asked_us = moments[i / MOMENTS / MOMENTS];
        assert_true(rate_next_us(&rate, asked_us, 1) >= 0);
        assert_true(rate_next_us(&rate, asked_us, UINT32_MAX) >= 0);
        assert_true(rate_nth_us(&rate, asked_us, 1, 1) == rate_next_us(&rate, asked_us, 1));
        assert_true(rate_nth_us(&rate, asked_us, 1, UINT32_MAX) >=
                    rate_next_us(&rate, asked_us, 1));
        assert_true(rate_nth_us(&rate, asked_us, 1, UINT64_MAX) >=
                    rate_next_us(&rate, asked_us, 1));
        assert_true(rate_per_s(&rate) > 0 && rate_per_s(&rate) <= 1e6);
        rate_interrupted(&rate);
        rate_taken(&rate, asked_us, true);
        assert_true(rate_next_us(&rate, INT64_MAX, 0) >= 0);
        assert_true(rate_next_us(&rate, 1, 0) >= 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_known_at_first),
        cmocka_unit_test(a_steady_drain_is_measured),
        cmocka_unit_test(a_new_pace_is_learned_by_and_by),
        cmocka_unit_test(an_interruption_is_not_measured),
        cmocka_unit_test(overdue_takes_as_long_again),
        cmocka_unit_test(before_the_second_take_the_run_time_counts),
        cmocka_unit_test(a_moment_before_the_last_take_counts_as_that),
        cmocka_unit_test(several_takes_come_one_after_the_other),
        cmocka_unit_test(times_at_the_ends_of_all_time),
    };
    return cmocka_run_group_tests_name("rate", tests, NULL, NULL);
}
