/* SPDX-License-Identifier: MIT */
/* How long ended jobs are remembered, over a start. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "engine/journal_scene.h"
#include "engine/model/check_engine.h"
#include "jobd/batch.h"
#include "jobd/change.h"

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

/* Of a batch without jobs no more is known when its time is over, whenever its record goes. */
static void test_no_job_is_put_after_a_forgotten_batch(void **state)
{
    struct jobd *jobd = NULL;
    struct jobd_blob *none = NULL;
    struct jobd_batch batch;
    struct jobd_receipt receipt;
    const struct jobd_queue_config queue = {.name = "q", .capacity = 4};
    const struct jobd_config config = {.queues = &queue,
                                       .queues_len = 1,
                                       .keep = 4,
                                       .keep_for_us = KEEP_FOR_US,
                                       .memory_bytes = 1 << 20,
                                       .waiters_max = 4,
                                       .first_id = 1};
    const struct jobd_put one = {.batch = &none, .batch_len = 1};
    const struct jobd_terms after = {.texts[JOBD_AFTER] = "batch 1\n"};
    const struct jobd_put other = {.terms = &after};
    (void)state;
    assert_int_equal(jobd_new(&jobd, &config), 0);
    assert_int_equal(jobd_put(jobd, &one, NULL, 1, &receipt), JOBD_OK);
    assert_int_equal(jobd_cancel(jobd, 1, NULL, 1), JOBD_OK);
    assert_int_equal(jobd_forget(jobd, 1, NULL, 1), JOBD_OK);
    assert_int_equal(jobd_put(jobd, &other, NULL, KEEP_FOR_US, &receipt), JOBD_OK);
    assert_int_equal(jobd_cancel(jobd, receipt.id, NULL, KEEP_FOR_US), JOBD_OK);
    assert_int_equal(jobd_get_batch(jobd, 1, KEEP_FOR_US + 1, &batch), JOBD_NO_JOB);
    assert_int_equal(jobd_put(jobd, &other, NULL, KEEP_FOR_US + 1, &receipt), JOBD_NO_PARENT);
    check_engine(jobd);
    jobd_free(jobd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_end_of_a_memory_outlives_the_process),
        cmocka_unit_test(test_no_job_is_put_after_a_forgotten_batch),
    };
    return cmocka_run_group_tests_name("remembered for a time", tests, NULL, NULL);
}
