/* SPDX-License-Identifier: MIT */
/* How long it is until a moment, as poll() wants to know it. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

static void a_moment_is_past_to_come_or_never(void **state)
{
    (void)state;
    assert_int_equal(clock_ms_until(0), 0);
    assert_int_equal(clock_ms_until(clock_now_us()), 0);
    assert_in_range(clock_ms_until(clock_after_us(3600 * CLOCK_SECOND_US)), 1, 3600000);
    assert_int_equal(clock_ms_until(INT64_MAX - 1), INT_MAX);
    assert_int_equal(clock_ms_until(INT64_MAX), -1);
}

/* Else who waits would ask again and again in its last millisecond. */
static void what_is_left_is_rounded_up(void **state)
{
    (void)state;
    int64_t at_us = clock_after_us(1500);
    while (clock_ms_until(at_us) > 0)
        ;
    assert_true(clock_now_us() >= at_us);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_moment_is_past_to_come_or_never),
        cmocka_unit_test(what_is_left_is_rounded_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
