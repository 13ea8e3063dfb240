/* SPDX-License-Identifier: MIT */
/* A token bucket, its time in the test's hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/token_bucket.h"

enum { SECOND = 1000000 };

static const struct token_rate three = {.tokens = 3, .per_us = SECOND};

/* Takes what there is: how many. */
static unsigned take_all(struct token_bucket *bucket, struct token_rate rate, int64_t now_us)
{
    unsigned taken = 0;
    for (; token_bucket_has(bucket, rate, now_us); taken++)
        token_bucket_take(bucket, rate, now_us);
    return taken;
}

static void test_begins_full(void **state)
{
    struct token_bucket bucket;
    (void)state;
    token_bucket_fill(&bucket, three, 5);
    assert_true(token_bucket_is_full(&bucket, three, 5));
    assert_int_equal(take_all(&bucket, three, 5), 3);
    assert_false(token_bucket_is_full(&bucket, three, 5));
}

/* A third of a second is no whole number of microseconds: none is lost over a day. */
static void test_exact(void **state)
{
    struct token_bucket bucket;
    uint64_t taken = 0;
    (void)state;
    token_bucket_fill(&bucket, three, 0);
    taken += take_all(&bucket, three, 0);
    for (int64_t now_us = 0; now_us < 86400 * (int64_t)SECOND;) {
        int64_t next_us = token_bucket_when(&bucket, three, now_us, 1);
        assert_true(next_us > now_us);
        assert_false(token_bucket_has(&bucket, three, next_us - 1));
        now_us = next_us;
        taken += take_all(&bucket, three, now_us);
    }
    assert_int_equal(taken, 3 + 3 * 86400);
}

static void test_when(void **state)
{
    struct token_bucket bucket;
    (void)state;
    token_bucket_fill(&bucket, three, 0);
    assert_int_equal(token_bucket_when(&bucket, three, 7, 3), 7);
    assert_int_equal(token_bucket_when(&bucket, three, 7, 6), 7 + SECOND);
    assert_int_equal(take_all(&bucket, three, 7), 3);
    assert_int_equal(token_bucket_when(&bucket, three, 7, 1), 7 + 333334);
    assert_int_equal(token_bucket_when(&bucket, three, 7, 9), 7 + 3 * SECOND);
    assert_int_equal(token_bucket_full_at(&bucket, three, 7), 7 + SECOND);
    assert_true(token_bucket_is_full(&bucket, three, 7 + SECOND));
    assert_int_equal(token_bucket_when(&bucket, three, 7, UINT64_MAX), INT64_MAX);
}

/* However long nobody takes, it holds no more; and a clock that goes back brings nothing. */
static void test_bounds(void **state)
{
    const struct token_rate most = {.tokens = TOKEN_RATE_MAX, .per_us = TOKEN_PERIOD_MAX_US};
    struct token_bucket bucket;
    (void)state;
    token_bucket_fill(&bucket, three, 0);
    assert_int_equal(take_all(&bucket, three, INT64_MAX / 2), 3);
    assert_int_equal(take_all(&bucket, three, 9), 0);
    token_bucket_fill(&bucket, most, 0);
    assert_int_equal(take_all(&bucket, most, 1), TOKEN_RATE_MAX);
    assert_int_equal(token_bucket_when(&bucket, most, 1, 1), 1 + TOKEN_PERIOD_MAX_US / 1000000);
    assert_true(token_bucket_is_full(&bucket, most, 1 + TOKEN_PERIOD_MAX_US));
}

static void test_without(void **state)
{
    const struct token_rate none = {.tokens = 0};
    struct token_bucket bucket = {.level = 0};
    (void)state;
    token_bucket_take(&bucket, none, 3);
    assert_true(token_bucket_has(&bucket, none, 3) && token_bucket_is_full(&bucket, none, 3));
    assert_int_equal(token_bucket_when(&bucket, none, 3, 100), 3);
    assert_int_equal(token_bucket_full_at(&bucket, none, 3), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_begins_full), cmocka_unit_test(test_exact),
        cmocka_unit_test(test_when),        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_without),
    };
    return cmocka_run_group_tests_name("token bucket", tests, NULL, NULL);
}
