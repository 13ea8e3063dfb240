/* SPDX-License-Identifier: MIT */
/* How long ended jobs are remembered, over a start. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "engine/journal_scene.h"
#include "engine/model/check_engine.h"

/* A start does not begin anew what is remembered for a time; nor does a wall clock that was put
 * back make it remembered longer than that from the start. */
static void test_the_end_of_a_memory_outlives_the_process(void **state)
{
    const int64_t began_us = INT64_C(1000) * 1000000, half_us = KEEP_FOR_US / 2;
    (void)state;
    for (int put_back = 0; put_back < 2; put_back++) {
        struct jobd *jobd = disk_restore(1, began_us);
        struct jobd_receipt receipt;
        assert_int_equal(jobd_put(jobd, &(struct jobd_put){.queue = 0}, NULL, began_us, &receipt),
                         JOBD_OK);
        disk_write_all(jobd, began_us);
        const uint64_t id = receipt.id;
        assert_int_equal(jobd_cancel(jobd, id, NULL, began_us), JOBD_OK);
        disk_write_all(jobd, began_us);
        assert_int_equal(state_of(jobd, id), JOBD_CANCELLED);
        jobd_free(jobd);

        const int64_t start_us = put_back ? began_us / 2 : began_us + half_us;
        const int64_t end_us = put_back ? start_us + KEEP_FOR_US : began_us + KEEP_FOR_US;
        jobd = disk_restore(100, start_us);
        assert_true(jobd_tick(jobd, end_us - 1) == end_us);
        assert_int_equal(state_of(jobd, id), JOBD_CANCELLED);
        (void)jobd_tick(jobd, end_us);
        assert_int_equal(state_of(jobd, id), JOBD_STATES);
        assert_true(disk.jobs[id].there);
        disk_write_all(jobd, end_us);
        assert_false(disk.jobs[id].there);
        check_engine(jobd);
        jobd_free(jobd);
        disk_clear();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_end_of_a_memory_outlives_the_process),
    };
    return cmocka_run_group_tests_name("remembered for a time", tests, NULL, NULL);
}
