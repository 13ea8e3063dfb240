/* SPDX-License-Identifier: MIT */
/* Verbs for very many jobs: some are changed at once, the others by the tick, while who asked
 * waits.
 */
#include "engine/model/scene.h"
#include "jobd/change.h"

enum { MANY = 30000 };

static struct jobd *open_with_many(void)
{
    struct jobd *jobd = open_queue(MANY, 0, MANY, 1 << 20);
    struct jobd_receipt receipt;
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(jobd_put(jobd, &(struct jobd_put){.queue = 0}, NULL, 1, &receipt),
                         JOBD_OK);
    return jobd;
}

static const struct jobd_filter all = {.queue = JOBD_NO_QUEUE, .state = JOBD_STATES};

static const struct jobd_filter cancelled = {.queue = JOBD_NO_QUEUE, .state = JOBD_CANCELLED};

static void assert_tally(const struct person *who, uint64_t matched, uint64_t changed)
{
    assert_int_equal(who->waiter.tally.matched, matched);
    assert_int_equal(who->waiter.tally.changed, changed);
    assert_int_equal(who->waiter.tally.next, 0);
}

static void the_tick_goes_on_with_many(void **state)
{
    struct jobd *jobd = open_with_many();
    struct person one = person(), two = person();
    struct jobd_receipt receipt;
    (void)state;
    one.waiter.deadline_us = 0; /* it does not count for what has begun */
    assert_int_equal(jobd_change_all(jobd, JOBD_DROP_ALL, &all, &one.waiter, 2), JOBD_PENDING);
    assert_int_equal(one.woken, 0);
    assert_int_equal(state_of(jobd, 1), JOBD_CANCELLED);
    assert_int_equal(state_of(jobd, MANY), JOBD_QUEUED);
    /* What comes now is not meant; and who asks now comes next. */
    assert_int_equal(jobd_put(jobd, &(struct jobd_put){.queue = 0}, NULL, 2, &receipt), JOBD_OK);
    assert_int_equal(jobd_change_all(jobd, JOBD_DROP_ALL, &cancelled, &two.waiter, 2),
                     JOBD_PENDING);
    check_engine(jobd);
    assert_int_equal(jobd_tick(jobd, 3), JOBD_NEVER);
    assert_int_equal(one.woken, 1);
    assert_int_equal(one.waiter.result, JOBD_OK);
    assert_tally(&one, MANY, MANY);
    assert_int_equal(state_of(jobd, receipt.id), JOBD_QUEUED);
    assert_int_equal(two.woken, 1);
    assert_tally(&two, MANY, MANY);
    assert_int_equal(state_of(jobd, MANY), JOBD_STATES);
    check_engine(jobd);
    jobd_free(jobd);
}

static void nobody_waits_for_them(void **state)
{
    struct jobd *jobd = open_with_many();
    struct person one = person();
    (void)state;
    assert_int_equal(jobd_change_all(jobd, JOBD_DROP_ALL, &all, NULL, 2), JOBD_OK);
    assert_int_equal(state_of(jobd, MANY), JOBD_CANCELLED);
    assert_int_equal(jobd_change_all(jobd, JOBD_DROP_ALL, &all, &one.waiter, 3), JOBD_PENDING);
    assert_true(jobd_cancel_wait(jobd, &one.waiter)); /* the rest stays */
    assert_int_equal(state_of(jobd, 1), JOBD_STATES);
    assert_int_equal(state_of(jobd, MANY), JOBD_CANCELLED);
    check_engine(jobd);
    assert_int_equal(jobd_tick(jobd, 4), JOBD_NEVER);
    assert_int_equal(jobd_change_all(jobd, JOBD_DROP_ALL, &all, NULL, 5), JOBD_OK);
    assert_int_equal(jobd_memory(jobd), 0);
    jobd_free(jobd);
}

static void a_purge_of_many_too(void **state)
{
    struct jobd *jobd = open_with_many();
    struct person one = person();
    uint32_t purged;
    (void)state;
    assert_int_equal(jobd_purge(jobd, 0, &one.waiter, 2, &purged), JOBD_PENDING);
    (void)jobd_tick(jobd, 3);
    assert_int_equal(one.waiter.result, JOBD_OK);
    assert_int_equal(one.waiter.swept, MANY);
    jobd_free(jobd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tick_goes_on_with_many),
        cmocka_unit_test(nobody_waits_for_them),
        cmocka_unit_test(a_purge_of_many_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
