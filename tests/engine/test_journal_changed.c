/* SPDX-License-Identifier: MIT */
/* Waiting jobs that are changed, or cancelled as others have ended, and the disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/journal_scene.h"
#include "engine/model/check_engine.h"
#include "jobd/change.h"
#include "jobd/lease.h"

#define TOKEN "0123456789abcdef0123456789abcdef"

/* Into the queue whose jobs have several attempts. */
static uint64_t put(struct jobd *jobd, int64_t now_us)
{
    struct jobd_receipt receipt;
    assert_int_equal(jobd_put(jobd, &(struct jobd_put){.queue = 1}, NULL, now_us, &receipt),
                     JOBD_OK);
    disk_write_all(jobd, now_us);
    return receipt.id;
}

/* A job that waits again, as its lease has expired, is changed: a late report still counts in the
 * next process. */
static void test_a_late_report_of_a_changed_job(void **state)
{
    const struct jobd_outcome done = {.state = JOBD_DONE};
    (void)state;
    for (unsigned how = 0; how < 3; how++) {
        struct jobd *jobd = disk_open_engine(4, 0, 1);
        struct person late = person_new();
        uint64_t id = put(jobd, 1);
        (void)disk_lease(jobd, 1, TOKEN, 2);
        jobd_tick(jobd, 150);
        disk_write_all(jobd, 150);
        const struct jobd_amendment to = {
            .to_priority = how == 0, .priority = 1, .start = how == 1};
        const struct jobd_route route = {.from = 1, .to = 0};
        uint32_t moved;
        if (how < 2)
            assert_int_equal(jobd_amend(jobd, id, &to, NULL, 151), JOBD_OK);
        else
            assert_int_equal(jobd_move(jobd, &route, NULL, 151, &moved), JOBD_OK);
        disk_write_all(jobd, 151);
        jobd_free(jobd);
        jobd = disk_restore(100, 200);
        assert_int_equal(jobd_lease_finish(jobd, TOKEN, &done, &late.waiter, 201), JOBD_PENDING);
        disk_write_all(jobd, 201);
        assert_int_equal(late.waiter.result, JOBD_OK);
        assert_int_equal(state_of(jobd, id), JOBD_DONE);
        jobd_free(jobd);
        disk_clear();
    }
}

/* Each behind the one before; the last waits for it whatever becomes of it. */
static uint64_t put_chain(struct jobd *jobd, unsigned len)
{
    struct jobd_receipt receipt = {.id = 0};
    char after[64];
    for (unsigned i = 0; i < len; i++) {
        snprintf(after, sizeof after, "%sjob %llu\n", i == len - 1 ? JOBD_AFTER_WHATEVER : "",
                 (unsigned long long)receipt.id);
        const struct jobd_terms terms = {.texts = {[JOBD_AFTER] = after}};
        const struct jobd_put put = {.queue = i % QUEUES, .terms = i > 0 ? &terms : NULL};
        assert_int_equal(jobd_put(jobd, &put, NULL, 1, &receipt), JOBD_OK);
        disk_write_all(jobd, 1);
    }
    return receipt.id;
}

/* However long a chain is, it is cancelled in one commit behind that of its first. */
static void test_a_chain_is_cancelled_in_one_commit(void **state)
{
    enum { LEN = 10 };
    struct jobd *jobd = disk_open_engine(12, 0, 1);
    struct person one = person_new();
    (void)state;
    uint64_t last = put_chain(jobd, LEN);
    one.waits = true;
    assert_int_equal(jobd_cancel(jobd, last - LEN + 1, &one.waiter, 2), JOBD_PENDING);
    assert_int_equal(disk_write_group(jobd, 64, SIZE_MAX, 2), 1);
    (void)jobd_tick(jobd, 3);
    check_engine(jobd);
    assert_int_equal(state_of(jobd, last - LEN + 2), JOBD_BLOCKED);
    assert_int_equal(disk_write_group(jobd, 64, 3, 3), LEN - 2); /* fails */
    check_engine(jobd);
    assert_int_equal(state_of(jobd, last), JOBD_BLOCKED);
    assert_int_equal(disk_write_group(jobd, 64, SIZE_MAX, 4), LEN - 2);
    check_engine(jobd);
    assert_int_equal(state_of(jobd, last - 1), JOBD_CANCELLED);
    assert_int_equal(state_of(jobd, last), JOBD_BLOCKED);
    (void)jobd_tick(jobd, 5);
    assert_int_equal(state_of(jobd, last), JOBD_QUEUED);
    disk_write_all(jobd, 5); /* that it is */
    assert_true(journal_empty(jobd));
    jobd_free(jobd);
    disk_clear();
}

/* What has waited for a parent's end does not wait again when that is put in again, in the next
 * process either; nor is it cancelled when that fails then. */
static void test_a_parent_that_goes_in_again(void **state)
{
    const struct jobd_outcome done = {.state = JOBD_DONE}, failed = {.state = JOBD_FAILED};
    struct jobd *jobd = disk_open_engine(12, 0, 1);
    struct jobd_receipt receipt;
    const struct jobd_terms after = {.texts = {[JOBD_AFTER] = "job 1\n"}};
    uint64_t parent = put_chain(jobd, 1), child = parent + 1;
    (void)state;
    assert_int_equal(
        jobd_put(jobd, &(struct jobd_put){.queue = 1, .terms = &after}, NULL, 1, &receipt),
        JOBD_OK);
    disk_write_all(jobd, 1);
    (void)disk_lease(jobd, 0, TOKEN, 2);
    assert_int_equal(jobd_lease_finish(jobd, TOKEN, &done, NULL, 3), JOBD_OK);
    disk_write_all(jobd, 3);
    (void)jobd_tick(jobd, 3);
    disk_write_all(jobd, 3);
    assert_int_equal(state_of(jobd, child), JOBD_QUEUED);
    assert_int_equal(jobd_retry(jobd, parent, NULL, 4, &receipt), JOBD_OK);
    disk_write_all(jobd, 4);
    for (unsigned i = 0; i < 2; i++) {
        jobd_free(jobd);
        jobd = disk_restore(100, 200 + i);
        (void)jobd_tick(jobd, 200 + i);
        disk_write_all(jobd, 200 + i);
        assert_int_equal(state_of(jobd, child), JOBD_QUEUED);
        assert_int_equal(state_of(jobd, parent), i == 0 ? JOBD_QUEUED : JOBD_FAILED);
        if (i == 0) {
            (void)disk_lease(jobd, 0, "1123456789abcdef0123456789abcdef", 200);
            assert_int_equal(
                jobd_lease_finish(jobd, "1123456789abcdef0123456789abcdef", &failed, NULL, 201),
                JOBD_OK);
            disk_write_all(jobd, 201);
        }
    }
    jobd_free(jobd);
    disk_clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_late_report_of_a_changed_job),
        cmocka_unit_test(test_a_chain_is_cancelled_in_one_commit),
        cmocka_unit_test(test_a_parent_that_goes_in_again),
    };
    return cmocka_run_group_tests_name("what is changed, and the disk", tests, NULL, NULL);
}
