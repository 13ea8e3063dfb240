/* SPDX-License-Identifier: MIT */
/* What those who ask take of memory is counted: budgets, takers who wait for room in one, outputs
 * that have none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "jobd/queue.h"
#include "jobd/lease.h"

#define HOUR INT64_C(3600000000)

/* ---- budgets */

static void a_budget_has_two_parts(void **state)
{
    struct jobd_budget budget = {.common = 75, .reserve = 25};
    struct jobd_account puts = {.budget = &budget}, other = puts,
                        done = {.budget = &budget, .empties = true};
    (void)state;
    assert_true(jobd_charge(&puts, 70));
    assert_true(jobd_charge(&other, 5));
    assert_false(jobd_charge(&other, 1));
    assert_false(jobd_charge(&puts, 1));
    assert_true(jobd_charge(&done, 20));
    assert_int_equal(budget.common_used, 75);
    assert_int_equal(budget.reserve_used, 20);
    assert_false(jobd_trim(&puts, 10));
    assert_true(jobd_charge(&other, 60));
    assert_false(jobd_trim(&done, 1));
    assert_false(jobd_trim(&done, 2)); /* it has less */
    assert_int_equal(done.bytes, 1);
    (void)jobd_trim(&puts, 0);
    (void)jobd_trim(&other, 0);
    (void)jobd_trim(&done, 0);
    assert_int_equal(budget.common_used + budget.reserve_used, 0);
}

/* And takes nothing from who does. */
static void who_claims_to_empty_has_a_part(void **state)
{
    struct jobd_budget budget = {.common = 10, .reserve = 20, .claims = 5};
    struct jobd_account claims = {.budget = &budget, .claims = true}, other = claims,
                        puts = {.budget = &budget}, done = {.budget = &budget, .empties = true};
    (void)state;
    assert_true(jobd_charge(&puts, 10));
    assert_true(jobd_charge(&claims, 4));
    assert_true(jobd_charge(&other, 1));
    assert_false(jobd_charge(&other, 1));
    assert_true(jobd_charge(&done, 21)); /* alone in the reserve */
    (void)jobd_trim(&claims, 0);
    assert_int_equal(budget.claims_used, 1);
    assert_true(jobd_charge(&other, 5));
    (void)jobd_trim(&other, 0);
    (void)jobd_trim(&puts, 0);
    (void)jobd_trim(&done, 0);
    assert_int_equal(budget.common_used + budget.reserve_used + budget.claims_used, 0);
}

static void who_is_alone_may_have_more(void **state)
{
    struct jobd_budget budget = {.common = 75, .reserve = 25};
    struct jobd_account large = {.budget = &budget}, small = large,
                        done = {.budget = &budget, .empties = true};
    (void)state;
    assert_true(jobd_charge(&large, 50));
    assert_true(jobd_charge(&large, 50)); /* still alone */
    assert_false(jobd_charge(&small, 1));
    assert_true(jobd_charge(&done, 26)); /* in the reserve */
    struct jobd_account later = {.budget = &budget, .empties = true};
    assert_false(jobd_charge(&later, 1));
    (void)jobd_trim(&large, 0);
    assert_true(jobd_charge(&small, 1));
    assert_false(jobd_charge(&large, 75));
    assert_false(jobd_charge(&small, SIZE_MAX));
}

static void little_is_not_counted(void **state)
{
    struct jobd_budget budget = {.common = 10};
    struct jobd_account account = {.budget = &budget, .uncounted = 8};
    (void)state;
    assert_true(jobd_charge(&account, 8));
    assert_int_equal(budget.common_used, 0);
    assert_true(jobd_charge(&account, 1));
    assert_int_equal(budget.common_used, 9);
    (void)jobd_trim(&account, 8);
    assert_int_equal(budget.common_used, 0);
}

/* ---- takers */

static unsigned woken;

static void wake(struct jobd_waiter *waiter)
{
    (void)waiter;
    woken++;
}

static struct jobd *new_jobd(void)
{
    struct jobd *jobd;
    const struct jobd_queue_config queue = {.name = "default", .capacity = 9};
    const struct jobd_config config = {.queues = &queue,
                                       .queues_len = 1,
                                       .keep = 1,
                                       .memory_bytes = 1000,
                                       .waiters_max = 9,
                                       .leases_max = 9,
                                       .first_id = 1};
    assert_int_equal(jobd_new(&jobd, &config), 0);
    woken = 0;
    return jobd;
}

static void put(struct jobd *jobd, size_t bytes)
{
    struct jobd_receipt receipt;
    struct jobd_blob *payload = jobd_blob_new(bytes, NULL);
    assert_non_null(payload);
    memset(payload->bytes, 'x', bytes);
    const struct jobd_put one = {.payload = payload};
    assert_int_equal(jobd_put(jobd, &one, NULL, 1, &receipt), JOBD_OK);
}

static struct jobd_waiter taker(struct jobd_account *account, char token)
{
    struct jobd_waiter waiter = {.wake = wake,
                                 .deadline_us = JOBD_NEVER,
                                 .lease_us = HOUR,
                                 .account = account,
                                 .told_bytes = 10,
                                 .told_times = 2};
    memset(waiter.token, token, JOBD_TOKEN_SIZE - 1);
    return waiter;
}

static void end_lease(struct jobd *jobd, struct jobd_waiter *waiter)
{
    const struct jobd_outcome done = {.state = JOBD_DONE};
    assert_true(jobd_lease_known(jobd, waiter->token));
    assert_int_equal(jobd_lease_finish(jobd, waiter->token, &done, NULL, 2), JOBD_OK);
    jobd_blob_unref(waiter->task.payload);
}

static void a_taker_waits_for_room(void **state)
{
    struct jobd *jobd = new_jobd();
    struct jobd_budget budget = {.common = 100};
    struct jobd_account accounts[3] = {
        {.budget = &budget}, {.budget = &budget}, {.budget = &budget}};
    struct jobd_waiter first = taker(&accounts[0], 'a'), second = taker(&accounts[1], 'b'),
                       hasty = taker(&accounts[2], 'c');
    (void)state;
    hasty.at_once = true;
    put(jobd, 40);
    put(jobd, 40);
    assert_int_equal(jobd_take(jobd, 0, &first, 1), JOBD_OK);
    assert_int_equal(accounts[0].bytes, 90);
    assert_int_equal(jobd_take(jobd, 0, &second, 1), JOBD_PENDING);
    assert_int_equal(jobd_take(jobd, 0, &hasty, 1), JOBD_OUT_OF_MEMORY);
    assert_false(jobd_lease_known(jobd, hasty.token));
    assert_int_equal(accounts[1].bytes + accounts[2].bytes, 0);
    assert_true(jobd_trim(&accounts[0], 40));
    jobd_take_again(jobd, &budget, 1);
    assert_int_equal(woken, 0); /* it was not enough */
    assert_true(jobd_trim(&accounts[0], 0));
    jobd_take_again(jobd, &budget, 1);
    assert_int_equal(woken, 1);
    assert_int_equal(second.result, JOBD_OK);
    assert_int_equal(accounts[1].bytes, 90);
    assert_false(jobd_trim(&accounts[1], 0)); /* nobody waits any more */
    end_lease(jobd, &first);
    end_lease(jobd, &second);
    jobd_free(jobd);
}

/* ---- outputs */

/* Two wait for the end of a job each; there is room for one output. */
static void an_output_without_room_is_left(void **state)
{
    struct jobd *jobd = new_jobd();
    struct jobd_budget budget = {.common = 100};
    struct jobd_account accounts[2] = {{.budget = &budget}, {.budget = &budget}};
    struct jobd_waiter waiters[2];
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct jobd_receipt receipt;
        struct jobd_put one = {.queue = 0};
        waiters[i] = (struct jobd_waiter){.wake = wake,
                                          .end_us = HOUR,
                                          .wants_output = true,
                                          .account = &accounts[i],
                                          .told_times = 1};
        assert_int_equal(jobd_put(jobd, &one, &waiters[i], 1, &receipt), JOBD_PENDING);
    }
    for (int i = 0; i < 2; i++) {
        struct jobd_waiter worker = taker(NULL, (char)('a' + i));
        struct jobd_blob *output = jobd_blob_new(60, NULL);
        const struct jobd_outcome done = {.state = JOBD_DONE, .output = output};
        memset(output->bytes, 'o', 60);
        assert_int_equal(jobd_take(jobd, 0, &worker, 1), JOBD_OK);
        assert_int_equal(jobd_lease_finish(jobd, worker.token, &done, NULL, 2), JOBD_OK);
    }
    assert_int_equal(woken, 2);
    assert_non_null(waiters[0].output);
    assert_null(waiters[1].output);
    assert_int_equal(waiters[1].info.output_bytes, 60);
    jobd_blob_unref(waiters[0].output);
    jobd_free(jobd);
}

/* ---- what waits */

static void a_type_is_shared(void **state)
{
    struct jobd_type *type = jobd_type_new("text/x");
    struct jobd_blob *blobs[3];
    (void)state;
    assert_non_null(type);
    for (int i = 0; i < 3; i++) {
        blobs[i] = jobd_blob_new_typed(1, type);
        assert_non_null(blobs[i]);
        assert_ptr_equal(blobs[i]->type, blobs[0]->type);
    }
    jobd_type_unref(type);
    jobd_blob_unref(blobs[0]);
    assert_string_equal(blobs[2]->type, "text/x");
    jobd_blob_unref(blobs[1]);
    jobd_blob_unref(blobs[2]);
    jobd_type_unref(NULL);
}

static void what_a_put_waits_with_is_known(void **state)
{
    struct jobd *jobd = new_jobd();
    struct jobd_put one = {.queue = 0};
    (void)state;
    assert_int_equal(jobd_put_weight(jobd, &one), 0);
    one.timeout_us = 1;
    size_t weight = jobd_put_weight(jobd, &one);
    assert_in_range(weight, 1, 1000);
    one.batch_len = 10;
    assert_int_equal(jobd_put_weight(jobd, &one), 10 * weight);
    jobd_free(jobd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_budget_has_two_parts),
        cmocka_unit_test(who_claims_to_empty_has_a_part),
        cmocka_unit_test(who_is_alone_may_have_more),
        cmocka_unit_test(little_is_not_counted),
        cmocka_unit_test(a_taker_waits_for_room),
        cmocka_unit_test(an_output_without_room_is_left),
        cmocka_unit_test(a_type_is_shared),
        cmocka_unit_test(what_a_put_waits_with_is_known),
    };
    return cmocka_run_group_tests_name("account", tests, NULL, NULL);
}
