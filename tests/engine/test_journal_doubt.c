/* SPDX-License-Identifier: MIT */
/* A store that fails and does not know what it has written: that becomes what the engine has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/journal_scene.h"
#include "engine/model/check_engine.h"
#include "jobd/change.h"
#include "jobd/lease.h"

static void run_one(struct jobd *jobd)
{
    const struct jobd_outcome done = {.state = JOBD_DONE};
    struct person worker = person_new();
    assert_int_equal(jobd_take(jobd, 0, &worker.waiter, 2), JOBD_PENDING);
    disk_write_all(jobd, 2);
    assert_int_equal(worker.waiter.result, JOBD_OK);
    jobd_finish(jobd, &worker.waiter.task, &done, 3);
    disk_write_group(jobd, 64, SIZE_MAX, 3); /* what is forgotten by that is not yet */
}

/* The first of its jobs is forgotten while that cannot be written; it counts on, also in the next
 * process, and once. */
static void test_a_batch_goes_on_counting(void **state)
{
    enum { BATCH = KEEP + 1 };
    struct jobd_blob *none[BATCH] = {NULL};
    (void)state;
    for (unsigned landed = 0; landed < 2; landed++) {
        struct jobd *jobd = disk_open_engine(BATCH, 0, 1);
        struct jobd_receipt receipt;
        struct jobd_batch batch;
        const struct jobd_put put = {.batch = none, .batch_len = BATCH};
        assert_int_equal(jobd_put(jobd, &put, NULL, 1, &receipt), JOBD_OK);
        disk_write_all(jobd, 1);
        for (unsigned i = 0; i < BATCH; i++)
            run_one(jobd);
        assert_int_equal(state_of(jobd, 1), JOBD_STATES);
        assert_int_equal(disk_break_group(jobd, 64, landed, 4), 1);
        assert_int_equal(disk.jobs[1].there, !landed);
        disk_write_all(jobd, 5);
        assert_false(disk.jobs[1].there);
        check_engine(jobd);
        jobd_free(jobd);
        jobd = disk_restore(100, 10);
        assert_int_equal(jobd_get_batch(jobd, 1, 10, &batch), JOBD_OK);
        assert_int_equal(batch.jobs, BATCH);
        assert_int_equal(batch.in_state[JOBD_DONE], BATCH);
        jobd_free(jobd);
        disk_clear();
    }
}

static uint64_t put_in(struct jobd *jobd, uint32_t queue)
{
    struct jobd_receipt receipt;
    assert_int_equal(jobd_put(jobd, &(struct jobd_put){.queue = queue}, NULL, 1, &receipt),
                     JOBD_OK);
    disk_write_all(jobd, 1);
    return receipt.id;
}

/* A report that came may come again, and one that did not may come late: what is written anew of
 * its job still has the token. */
static void test_tokens_stay_known(void **state)
{
    static const char again[] = "0123456789abcdef0123456789abcdef";
    static const char late[] = "fedcba9876543210fedcba9876543210";
    const struct jobd_outcome done = {.state = JOBD_DONE};
    const struct jobd_amendment next = {.to_priority = true, .priority = 1};
    (void)state;
    for (unsigned landed = 0; landed < 2; landed++) {
        struct jobd *jobd = disk_open_engine(4, 0, 1);
        uint64_t id = put_in(jobd, 0), other = put_in(jobd, 1);
        struct person who = person_new();
        (void)disk_lease(jobd, 0, again, 2);
        assert_int_equal(jobd_lease_finish(jobd, again, &done, &who.waiter, 3), JOBD_PENDING);
        disk_write_all(jobd, 3);
        (void)disk_lease(jobd, 1, late, 4);
        (void)jobd_tick(jobd, 500);
        disk_write_all(jobd, 500);
        assert_int_equal(state_of(jobd, other), JOBD_SCHEDULED);
        who = person_new();
        assert_int_equal(jobd_forget(jobd, id, &who.waiter, 501), JOBD_PENDING);
        assert_int_equal(disk_break_group(jobd, 64, landed, 501), 1);
        assert_int_equal(who.waiter.result, JOBD_STORE_FAILED);
        who = person_new();
        assert_int_equal(jobd_amend(jobd, other, &next, &who.waiter, 502), JOBD_PENDING);
        assert_int_equal(disk_break_group(jobd, 64, landed, 502), 1);
        assert_int_equal(who.waiter.result, JOBD_STORE_FAILED);
        check_engine(jobd);
        jobd_free(jobd);
        jobd = disk_restore(100, 510);
        assert_int_equal(state_of(jobd, id), JOBD_DONE);
        assert_int_equal(jobd_lease_finish(jobd, again, &done, NULL, 511), JOBD_REPEATED);
        who = person_new();
        assert_int_equal(jobd_lease_finish(jobd, late, &done, &who.waiter, 511), JOBD_PENDING);
        disk_write_all(jobd, 511);
        assert_int_equal(state_of(jobd, other), JOBD_DONE);
        jobd_free(jobd);
        disk_clear();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_batch_goes_on_counting),
        cmocka_unit_test(test_tokens_stay_known),
    };
    return cmocka_run_group_tests_name("journal, in doubt", tests, NULL, NULL);
}
