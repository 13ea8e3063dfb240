/* SPDX-License-Identifier: MIT */
/* Waiting jobs that are changed, and the disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "engine/journal_scene.h"
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_late_report_of_a_changed_job),
    };
    return cmocka_run_group_tests_name("changed jobs and the disk", tests, NULL, NULL);
}
