/* SPDX-License-Identifier: MIT */
/* Takers that ask several queues: the engine by itself. */
#include <string.h>

#include "engine/model/scene.h"
#include "jobd/lease.h"

static struct jobd *open_three(void)
{
    struct jobd *jobd = NULL;
    const struct jobd_queue_config queues[] = {{.name = "high", .capacity = 8},
                                               {.name = "low", .capacity = 8},
                                               {.name = "no", .capacity = 8}};
    const struct jobd_config config = {.queues = queues,
                                       .queues_len = 3,
                                       .memory_bytes = 1 << 20,
                                       .waiters_max = 16,
                                       .leases_max = 8,
                                       .first_id = 1};
    assert_int_equal(jobd_new(&jobd, &config), 0);
    return jobd;
}

static struct person taker(unsigned number)
{
    struct person person_ = person();
    person_.waiter.lease_us = SECOND;
    memset(person_.waiter.token, '0', JOBD_TOKEN_SIZE - 1);
    person_.waiter.token[0] = (char)('a' + number);
    return person_;
}

static void put_into(struct jobd *jobd, uint32_t queue)
{
    assert_int_equal(put_with(jobd, (struct jobd_put){.queue = queue}, 1), JOBD_OK);
}

static void the_first_queue_goes_first(void **state)
{
    struct jobd *jobd = open_three();
    struct jobd_choice choice = {.len = 2, .queues = {0, 1}};
    static const uint32_t expected[] = {0, 0, 1, 1};
    (void)state;
    put_into(jobd, 1);
    put_into(jobd, 2);
    put_into(jobd, 0);
    put_into(jobd, 1);
    put_into(jobd, 0);
    for (unsigned i = 0; i < 4; i++) {
        struct person one = taker(i);
        assert_int_equal(jobd_take_any(jobd, &choice, &one.waiter, 2), JOBD_OK);
        assert_int_equal(one.waiter.task.queue, expected[i]);
        check_engine(jobd);
    }
    struct person last = taker(4);
    last.waiter.at_once = true;
    assert_int_equal(jobd_take_any(jobd, &choice, &last.waiter, 2), JOBD_TIMEOUT);
    jobd_cancel_all(jobd, 3);
    jobd_free(jobd);
}

/* One that asks several stands in each queue where it came, and gets one job. */
static void they_are_served_in_the_order_of_coming(void **state)
{
    struct jobd *jobd = open_three();
    struct jobd_choice choice = {.len = 2, .queues = {0, 1}};
    struct person high = taker(0), both = taker(1), low = taker(2);
    (void)state;
    assert_int_equal(jobd_take(jobd, 0, &high.waiter, 1), JOBD_PENDING);
    assert_int_equal(jobd_take_any(jobd, &choice, &both.waiter, 1), JOBD_PENDING);
    assert_int_equal(jobd_take(jobd, 1, &low.waiter, 1), JOBD_PENDING);
    check_engine(jobd);
    put_into(jobd, 1);
    assert_int_equal(both.woken, 1);
    assert_int_equal(low.woken + high.woken, 0);
    put_into(jobd, 0);
    put_into(jobd, 1);
    assert_int_equal(both.woken, 1);
    assert_int_equal(low.woken, 1);
    assert_int_equal(high.woken, 1);
    jobd_cancel_all(jobd, 3);
    jobd_free(jobd);
}

static void who_goes_away_stands_nowhere(void **state)
{
    struct jobd *jobd = open_three();
    struct jobd_choice choice = {.len = 3, .queues = {2, 0, 1}}, other = choice;
    struct person gone = taker(0), late = taker(1);
    (void)state;
    late.waiter.deadline_us = 5;
    assert_int_equal(jobd_take_any(jobd, &choice, &gone.waiter, 1), JOBD_PENDING);
    assert_int_equal(jobd_take_any(jobd, &other, &late.waiter, 1), JOBD_PENDING);
    assert_true(jobd_cancel_wait(jobd, &gone.waiter));
    check_engine(jobd);
    (void)jobd_tick(jobd, 5);
    assert_int_equal(late.waiter.result, JOBD_TIMEOUT);
    check_engine(jobd);
    for (uint32_t queue = 0; queue < 3; queue++)
        put_into(jobd, queue);
    assert_int_equal(gone.woken, 0);
    assert_int_equal(late.woken, 1);
    jobd_cancel_all(jobd, 6);
    jobd_free(jobd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_queue_goes_first),
        cmocka_unit_test(they_are_served_in_the_order_of_coming),
        cmocka_unit_test(who_goes_away_stands_nowhere),
    };
    return cmocka_run_group_tests_name("several queues", tests, NULL, NULL);
}
