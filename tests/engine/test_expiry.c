/* SPDX-License-Identifier: MIT */
/* Jobs that expire. */
#include "engine/model/scene.h"

#include <string.h>

#include "base/verify.h"
#include "engine/engine.h"
#include "engine/op.h"

static enum jobd_result put_until(struct jobd *jobd, int64_t expires_us, uint32_t attempts,
                                  int64_t now_us)
{
    const struct jobd_terms terms = {.expires_us = expires_us};
    return put_with(jobd, (struct jobd_put){.attempts = attempts, .terms = &terms}, now_us);
}

static void assert_expired(struct jobd *jobd, uint64_t id)
{
    struct jobd_info info;
    struct jobd_blob *error;
    assert_int_equal(jobd_get(jobd, id, &info), JOBD_OK);
    assert_int_equal(info.state, JOBD_CANCELLED);
    assert_true(info.has_error);
    assert_int_equal(jobd_get_blob(jobd, id, JOBD_ERROR, &error), JOBD_OK);
    assert_int_equal(error->size, strlen("expired"));
    assert_memory_equal(error->bytes, "expired", error->size);
    jobd_blob_unref(error);
}

static uint64_t expired(struct jobd *jobd)
{
    struct jobd_stats stats;
    jobd_stats(jobd, 0, 0, &stats);
    return stats.expired;
}

static void test_its_slot_is_free_at_its_time(void **state)
{
    struct jobd *jobd = open_queue(2, 0, 10, 10000);
    (void)state;
    assert_int_equal(put_until(jobd, 50, 1, 0), JOBD_OK);
    assert_int_equal(put(jobd, 0), JOBD_OK);
    assert_int_equal(put(jobd, 10), JOBD_FULL);
    assert_int_equal(jobd_tick(jobd, 49), 50);
    assert_int_equal(state_of(jobd, 1), JOBD_QUEUED);
    assert_int_equal(jobd_tick(jobd, 50), JOBD_NEVER);
    assert_expired(jobd, 1);
    assert_int_equal(put(jobd, 50), JOBD_OK);
    assert_int_equal(expired(jobd), 1);
    jobd_free(jobd);
}

/* What runs goes on; what comes back after its time never begins again. */
static void test_it_holds_for_retries(void **state)
{
    struct jobd *jobd = open_queue(2, 1, 10, 10000);
    struct person worker = person();
    (void)state;
    assert_int_equal(put_until(jobd, 50, 5, 0), JOBD_OK);
    assert_int_equal(take(jobd, &worker, 49), 1);
    (void)jobd_tick(jobd, 60);
    assert_int_equal(state_of(jobd, 1), JOBD_RUNNING);
    const struct jobd_outcome failed = {.state = JOBD_FAILED, .error = jobd_blob_text("no")};
    jobd_finish(jobd, &worker.waiter.task, &failed, 70);
    (void)jobd_tick(jobd, 70);
    check_engine(jobd);
    assert_expired(jobd, 1);
    jobd_free(jobd);
}

/* The timer may be late: nobody is given what is too late, nor what is behind it in its lane. */
static void test_it_never_begins_after_its_time(void **state)
{
    struct jobd *jobd = open_queue(3, 1, 10, 10000);
    struct person worker = person();
    (void)state;
    assert_int_equal(put_until(jobd, 50, 1, 0), JOBD_OK);
    assert_int_equal(put_with(jobd, (struct jobd_put){.queue = 0}, 0), JOBD_OK);
    assert_int_equal(jobd_take(jobd, 0, &worker.waiter, 50), JOBD_PENDING);
    (void)jobd_tick(jobd, 50);
    assert_int_equal(worker.woken, 1);
    assert_int_equal(worker.waiter.task.id, 2);
    finish(jobd, &worker.waiter.task, JOBD_DONE, 51);
    jobd_free(jobd);
}

static void test_a_retry_by_hand_lifts_it(void **state)
{
    struct jobd *jobd = open_queue(3, 1, 10, 10000);
    struct jobd_receipt receipt;
    struct jobd_info info;
    (void)state;
    assert_int_equal(put_until(jobd, 50, 1, 0), JOBD_OK);
    (void)jobd_tick(jobd, 50);
    assert_int_equal(jobd_retry(jobd, 1, NULL, 60, &receipt), JOBD_OK);
    assert_int_equal(jobd_tick(jobd, 100), JOBD_NEVER);
    assert_int_equal(jobd_get(jobd, 1, &info), JOBD_OK);
    assert_int_equal(info.state, JOBD_QUEUED);
    assert_int_equal(info.expires_us, 0);
    assert_false(info.has_error);
    jobd_free(jobd);
}

static void test_a_queue_has_a_usual_time(void **state)
{
    struct jobd *jobd;
    const struct jobd_queue_config queue = {.name = "q", .capacity = 4, .expires_us = 50};
    const struct jobd_config config = {
        .queues = &queue, .queues_len = 1, .keep = 4, .memory_bytes = 10000, .first_id = 1};
    struct jobd_info info;
    (void)state;
    assert_int_equal(jobd_new(&jobd, &config), 0);
    assert_int_equal(put(jobd, 10), JOBD_OK);
    assert_int_equal(put_until(jobd, 100, 1, 10), JOBD_OK);
    assert_int_equal(jobd_get(jobd, 1, &info), JOBD_OK);
    assert_int_equal(info.expires_us, 60);
    assert_int_equal(jobd_get(jobd, 2, &info), JOBD_OK);
    assert_int_equal(info.expires_us, 100);
    jobd_free(jobd);
}

/* Very many at once: all go by one call, which lets go of the lock in between. */
static void test_very_many_at_once(void **state)
{
    enum { MANY = 10 * OP_STEPS + 3 };
    struct jobd *jobd = open_queue(MANY, 0, MANY, 64 << 20);
    struct jobd_receipt receipt;
    const struct jobd_terms terms = {.expires_us = 50};
    (void)state;
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(jobd_put(jobd, &(struct jobd_put){.terms = &terms}, NULL, 0, &receipt),
                         JOBD_OK);
    (void)jobd_tick(jobd, 50);
    check_engine(jobd);
    assert_int_equal(expired(jobd), MANY);
    jobd_free(jobd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_its_slot_is_free_at_its_time),
        cmocka_unit_test(test_it_holds_for_retries),
        cmocka_unit_test(test_it_never_begins_after_its_time),
        cmocka_unit_test(test_a_retry_by_hand_lifts_it),
        cmocka_unit_test(test_a_queue_has_a_usual_time),
        cmocka_unit_test(test_very_many_at_once),
    };
    return cmocka_run_group_tests_name("expiry", tests, NULL, NULL);
}
