/* SPDX-License-Identifier: MIT */
/* What is remembered, in which order jobs come, and what a late report means: the engine by itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/model/scene.h"
#include "jobd/lease.h"

static struct jobd *open_two(uint32_t keep, size_t memory)
{
    struct jobd *jobd = NULL;
    const struct jobd_queue_config queues[] = {
        {.name = "q", .capacity = 2000, .workers = 4, .attempts = 1},
        {.name = "other", .capacity = 2000, .workers = 4, .attempts = 2, .backoff_max_us = 1},
    };
    const struct jobd_config config = {.queues = queues,
                                       .queues_len = 2,
                                       .keep = keep,
                                       .memory_bytes = memory,
                                       .waiters_max = 16,
                                       .leases_max = 4,
                                       .first_id = 1};
    assert_int_equal(jobd_new(&jobd, &config), 0);
    return jobd;
}

static uint64_t put_into(struct jobd *jobd, struct jobd_put put, int64_t now_us)
{
    struct jobd_receipt receipt;
    assert_int_equal(jobd_put(jobd, &put, NULL, now_us, &receipt), JOBD_OK);
    check_engine(jobd);
    return receipt.id;
}

static uint64_t ended(struct jobd *jobd, enum jobd_state state, size_t bytes, int64_t now_us)
{
    struct person worker = person();
    const struct jobd_put put = {.payload = bytes > 0 ? jobd_blob_new(bytes, NULL) : NULL};
    uint64_t id = put_into(jobd, put, now_us);
    assert_int_equal(take(jobd, &worker, now_us), id);
    finish(jobd, &worker.waiter.task, state, now_us);
    return id;
}

/* ---- for how long */

static struct jobd *open_for(int64_t keep_for_us)
{
    struct jobd *jobd = NULL;
    const struct jobd_queue_config queue = {.name = "q", .capacity = 2000, .workers = 4};
    const struct jobd_config config = {.queues = &queue,
                                       .queues_len = 1,
                                       .keep = 1000,
                                       .keep_for_us = keep_for_us,
                                       .memory_bytes = 1 << 20,
                                       .waiters_max = 16,
                                       .leases_max = 4,
                                       .first_id = 1};
    assert_int_equal(jobd_new(&jobd, &config), 0);
    return jobd;
}

static void ended_jobs_are_forgotten_in_time(void **state)
{
    struct jobd *jobd = open_for(10 * SECOND);
    (void)state;
    uint64_t failed = ended(jobd, JOBD_FAILED, 10, SECOND);
    uint64_t done = ended(jobd, JOBD_DONE, 10, 2 * SECOND);
    uint64_t cancelled = ended(jobd, JOBD_CANCELLED, 0, 3 * SECOND);
    uint64_t waiting = put_into(jobd, (struct jobd_put){.queue = 0}, 3 * SECOND);
    assert_true(jobd_tick(jobd, 11 * SECOND - 1) == 11 * SECOND);
    assert_int_equal(state_of(jobd, failed), JOBD_FAILED);
    assert_true(jobd_tick(jobd, 11 * SECOND) == 12 * SECOND);
    assert_int_equal(state_of(jobd, failed), JOBD_STATES);
    assert_int_equal(state_of(jobd, done), JOBD_DONE);
    assert_true(jobd_tick(jobd, 13 * SECOND) == JOBD_NEVER);
    assert_int_equal(state_of(jobd, done), JOBD_STATES);
    assert_int_equal(state_of(jobd, cancelled), JOBD_STATES);
    assert_int_equal(state_of(jobd, waiting), JOBD_QUEUED);
    assert_int_equal(jobd_memory(jobd), 0);
    check_engine(jobd);
    jobd_free(jobd);
}

static void one_that_goes_in_again_is_not_forgotten(void **state)
{
    struct jobd *jobd = open_for(10 * SECOND);
    struct jobd_receipt receipt;
    (void)state;
    uint64_t id = ended(jobd, JOBD_FAILED, 10, SECOND);
    assert_int_equal(jobd_retry(jobd, id, NULL, 2 * SECOND, &receipt), JOBD_OK);
    (void)jobd_tick(jobd, 20 * SECOND);
    assert_int_equal(state_of(jobd, id), JOBD_QUEUED);
    struct person worker = person();
    assert_int_equal(take(jobd, &worker, 21 * SECOND), id);
    finish(jobd, &worker.waiter.task, JOBD_DONE, 22 * SECOND);
    (void)jobd_tick(jobd, 32 * SECOND - 1);
    assert_int_equal(state_of(jobd, id), JOBD_DONE);
    (void)jobd_tick(jobd, 32 * SECOND);
    assert_int_equal(state_of(jobd, id), JOBD_STATES);
    jobd_free(jobd);
}

/* However many are due, each tick ends, and all are gone behind the last. */
static void many_are_forgotten_in_steps(void **state)
{
    struct jobd *jobd = open_for(SECOND);
    uint32_t purged;
    (void)state;
    for (int i = 0; i < 900; i++)
        (void)put_into(jobd, (struct jobd_put){.queue = 0}, 1);
    assert_int_equal(jobd_purge(jobd, 0, NULL, 2, &purged), JOBD_OK);
    assert_int_equal(purged, 900);
    assert_int_equal(state_of(jobd, 900), JOBD_CANCELLED);
    assert_true(jobd_tick(jobd, 2 + SECOND) == JOBD_NEVER);
    for (uint64_t id = 1; id <= 900; id++)
        assert_int_equal(state_of(jobd, id), JOBD_STATES);
    check_engine(jobd);
    jobd_free(jobd);
}

/* ---- what is kept */

static void dead_letters_outlive_a_purge_elsewhere(void **state)
{
    struct jobd *jobd = open_two(10, 1 << 20);
    uint64_t failed[5];
    uint32_t purged;
    (void)state;
    for (int i = 0; i < 5; i++)
        failed[i] = ended(jobd, JOBD_FAILED, 0, 1);
    for (uint32_t queue = 0; queue < 2; queue++) {
        for (int i = 0; i < 1000; i++)
            (void)put_into(jobd, (struct jobd_put){.queue = queue}, 2);
        assert_int_equal(jobd_purge(jobd, queue, NULL, 3, &purged), JOBD_OK);
        assert_int_equal(purged, 1000);
    }
    for (int i = 0; i < 5; i++)
        assert_int_equal(state_of(jobd, failed[i]), JOBD_FAILED);
    check_engine(jobd);
    jobd_free(jobd);
}

static void dead_letters_are_forgotten_last(void **state)
{
    enum { MEMORY = 2000 };
    struct jobd *jobd = open_two(100, MEMORY);
    (void)state;
    uint64_t failed = ended(jobd, JOBD_FAILED, 100, 1);
    size_t room = MEMORY - jobd_memory(jobd);
    for (int i = 0; i < 50; i++)
        (void)ended(jobd, i % 2 == 0 ? JOBD_DONE : JOBD_CANCELLED, 100, 2);
    assert_int_equal(state_of(jobd, failed), JOBD_FAILED);
    (void)put_into(jobd, (struct jobd_put){.payload = jobd_blob_new(room, NULL)}, 3);
    assert_int_equal(state_of(jobd, failed), JOBD_FAILED);
    (void)put_into(jobd, (struct jobd_put){.payload = jobd_blob_new(1, NULL)}, 3);
    assert_int_equal(state_of(jobd, failed), JOBD_STATES); /* nothing else was left */
    jobd_free(jobd);
}

/* ---- in which order */

static void a_delayed_batch_keeps_its_order(void **state)
{
    enum { JOBS = 10 };
    struct jobd *jobd = open_two(10, 1 << 20);
    struct jobd_blob *batch[JOBS] = {NULL};
    (void)state;
    uint64_t first =
        put_into(jobd, (struct jobd_put){.delay_us = SECOND, .batch = batch, .batch_len = JOBS}, 1);
    jobd_tick(jobd, 2 * SECOND);
    for (uint64_t i = 0; i < JOBS; i++) {
        struct person worker = person();
        assert_int_equal(take(jobd, &worker, 2 * SECOND), first + i);
        finish(jobd, &worker.waiter.task, JOBD_DONE, 2 * SECOND);
    }
    jobd_free(jobd);
}

/* A batch waits for room; puts that do not block must not take it away, one place at a time. */
static void who_waits_for_room_comes_first(void **state)
{
    struct jobd *jobd = open_queue(4, 1, 10, 1000);
    struct jobd_blob *none[4] = {NULL};
    const struct jobd_put batch = {.batch = none, .batch_len = 4}, one = {.priority = 3};
    struct person putter = person();
    struct jobd_receipt receipt;
    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(put(jobd, 1), JOBD_OK);
    assert_int_equal(jobd_put_wait(jobd, &batch, &putter.waiter, 1, &receipt), JOBD_PENDING);
    for (int i = 0; i < 4; i++) {
        struct person worker = person();
        take(jobd, &worker, 2);
        finish(jobd, &worker.waiter.task, JOBD_DONE, 2);
        assert_int_equal(putter.woken, i == 3);
        assert_int_equal(jobd_put(jobd, &one, NULL, 2, &receipt), JOBD_FULL);
    }
    assert_int_equal(putter.waiter.result, JOBD_OK);
    jobd_free(jobd);
}

static void a_refused_batch_counts_its_jobs(void **state)
{
    struct jobd *jobd = open_queue(4, 1, 10, 1000);
    struct jobd_blob *none[10] = {NULL};
    struct jobd_receipt receipt;
    struct jobd_stats stats;
    (void)state;
    assert_int_equal(
        jobd_put(jobd, &(struct jobd_put){.batch = none, .batch_len = 10}, NULL, 1, &receipt),
        JOBD_FULL);
    jobd_stats(jobd, 0, 1, &stats);
    assert_int_equal(stats.rejected, 10);
    jobd_free(jobd);
}

/* ---- what a report of a lease's holder means */

#define TOKEN       "0123456789abcdef0123456789abcdef"
#define OTHER_TOKEN "00000000000000000000000000000001"

static enum jobd_result lease(struct jobd *jobd, const char *token, int64_t lease_us,
                              int64_t now_us)
{
    struct person taker = person();
    taker.waiter.lease_us = lease_us;
    taker.waiter.at_once = true;
    strcpy(taker.waiter.token, token);
    enum jobd_result result = jobd_take(jobd, 1, &taker.waiter, now_us);
    check_engine(jobd);
    return result;
}

static enum jobd_result say(struct jobd *jobd, enum jobd_state state, const char *token,
                            int64_t now_us)
{
    const struct jobd_outcome outcome = {.state = state};
    enum jobd_result result = jobd_lease_finish(jobd, token, &outcome, NULL, now_us);
    check_engine(jobd);
    return result;
}

static void a_late_done_counts_until_somebody_takes_it(void **state)
{
    struct jobd *jobd = open_two(10, 1000);
    (void)state;
    uint64_t late = put_into(jobd, (struct jobd_put){.queue = 1}, 1);
    assert_int_equal(lease(jobd, TOKEN, 100, 1), JOBD_OK);
    jobd_tick(jobd, 200);
    assert_int_equal(jobd_lease_extend(jobd, TOKEN, 100, NULL, 200), JOBD_LEASE_EXPIRED);
    assert_int_equal(say(jobd, JOBD_FAILED, TOKEN, 200), JOBD_LEASE_EXPIRED);
    assert_int_equal(jobd_lease_release(jobd, TOKEN, 0, NULL, 200), JOBD_LEASE_EXPIRED);
    assert_int_equal(say(jobd, JOBD_DONE, TOKEN, 201), JOBD_OK);
    assert_int_equal(state_of(jobd, late), JOBD_DONE);
    assert_int_equal(say(jobd, JOBD_DONE, TOKEN, 202), JOBD_REPEATED);

    uint64_t taken = put_into(jobd, (struct jobd_put){.queue = 1}, 300);
    assert_int_equal(lease(jobd, OTHER_TOKEN, 100, 300), JOBD_OK);
    jobd_tick(jobd, 500);
    jobd_tick(jobd, 600); /* its backoff is over */
    assert_int_equal(lease(jobd, "00000000000000000000000000000002", 1000, 600), JOBD_OK);
    assert_int_equal(say(jobd, JOBD_DONE, OTHER_TOKEN, 601), JOBD_LEASE_EXPIRED);
    assert_int_equal(state_of(jobd, taken), JOBD_RUNNING);
    jobd_cancel_all(jobd, 602);
    jobd_free(jobd);
}

/* Though an attempt that goes back, or is retried by hand, leaves its number to the next. */
static void a_late_done_does_not_count_after_another_has_had_it(void **state)
{
    struct jobd *jobd = open_two(10, 1000);
    struct jobd_receipt receipt;
    (void)state;
    uint64_t released = put_into(jobd, (struct jobd_put){.queue = 1}, 1);
    assert_int_equal(lease(jobd, TOKEN, 100, 1), JOBD_OK);
    jobd_tick(jobd, 200);
    jobd_tick(jobd, 300);
    assert_int_equal(lease(jobd, OTHER_TOKEN, 100, 300), JOBD_OK);
    assert_int_equal(jobd_lease_release(jobd, OTHER_TOKEN, 0, NULL, 301), JOBD_OK);
    assert_int_equal(say(jobd, JOBD_DONE, TOKEN, 302), JOBD_LEASE_EXPIRED);
    assert_int_equal(state_of(jobd, released), JOBD_QUEUED);
    assert_int_equal(jobd_cancel(jobd, released, NULL, 303), JOBD_OK);

    uint64_t retried = put_into(jobd, (struct jobd_put){.queue = 1}, 400);
    const char *first = "00000000000000000000000000000002",
               *second = "00000000000000000000000000000003";
    assert_int_equal(lease(jobd, first, 100, 400), JOBD_OK);
    jobd_tick(jobd, 600);
    assert_int_equal(jobd_cancel(jobd, retried, NULL, 601), JOBD_OK);
    assert_int_equal(jobd_retry(jobd, retried, NULL, 602, &receipt), JOBD_OK);
    assert_int_equal(say(jobd, JOBD_DONE, first, 603), JOBD_LEASE_EXPIRED);
    assert_int_equal(lease(jobd, second, 100, 604), JOBD_OK);
    jobd_tick(jobd, 800);
    assert_int_equal(say(jobd, JOBD_DONE, first, 801), JOBD_LEASE_EXPIRED);
    assert_int_equal(say(jobd, JOBD_DONE, second, 802), JOBD_OK);
    assert_int_equal(state_of(jobd, retried), JOBD_DONE);
    jobd_free(jobd);
}

static void a_word_may_be_said_again(void **state)
{
    struct jobd *jobd = open_two(10, 1000);
    (void)state;
    (void)put_into(jobd, (struct jobd_put){.queue = 1}, 1);
    assert_int_equal(lease(jobd, TOKEN, SECOND, 1), JOBD_OK);
    assert_int_equal(jobd_lease_release(jobd, TOKEN, 0, NULL, 2), JOBD_OK);
    assert_int_equal(jobd_lease_release(jobd, TOKEN, 0, NULL, 3), JOBD_REPEATED);
    assert_int_equal(say(jobd, JOBD_DONE, TOKEN, 4), JOBD_LEASE_EXPIRED); /* it gave it back */
    assert_int_equal(lease(jobd, OTHER_TOKEN, SECOND, 5), JOBD_OK);
    assert_int_equal(say(jobd, JOBD_FAILED, OTHER_TOKEN, 6), JOBD_OK);
    assert_int_equal(say(jobd, JOBD_FAILED, OTHER_TOKEN, 7), JOBD_REPEATED);
    assert_int_equal(say(jobd, JOBD_DONE, OTHER_TOKEN, 8), JOBD_LEASE_EXPIRED);
    jobd_free(jobd);
}

static void a_lease_ends_with_the_timeout(void **state)
{
    struct jobd *jobd = open_two(10, 1000);
    struct jobd_blob *error;
    (void)state;
    uint64_t id =
        put_into(jobd, (struct jobd_put){.queue = 1, .attempts = 1, .timeout_us = 500}, 1);
    assert_int_equal(lease(jobd, TOKEN, SECOND, 1), JOBD_OK);
    assert_int_equal(jobd_lease_extend(jobd, TOKEN, SECOND, NULL, 400), JOBD_OK);
    assert_int_equal(jobd_tick(jobd, 500), 501);
    assert_int_equal(state_of(jobd, id), JOBD_RUNNING);
    jobd_tick(jobd, 501);
    assert_int_equal(state_of(jobd, id), JOBD_FAILED);
    assert_int_equal(jobd_get_blob(jobd, id, JOBD_ERROR, &error), JOBD_OK);
    assert_int_equal(error->size, strlen("timed out"));
    assert_memory_equal(error->bytes, "timed out", error->size);
    jobd_blob_unref(error);
    jobd_free(jobd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ended_jobs_are_forgotten_in_time),
        cmocka_unit_test(one_that_goes_in_again_is_not_forgotten),
        cmocka_unit_test(many_are_forgotten_in_steps),
        cmocka_unit_test(dead_letters_outlive_a_purge_elsewhere),
        cmocka_unit_test(dead_letters_are_forgotten_last),
        cmocka_unit_test(a_delayed_batch_keeps_its_order),
        cmocka_unit_test(who_waits_for_room_comes_first),
        cmocka_unit_test(a_refused_batch_counts_its_jobs),
        cmocka_unit_test(a_late_done_counts_until_somebody_takes_it),
        cmocka_unit_test(a_late_done_does_not_count_after_another_has_had_it),
        cmocka_unit_test(a_word_may_be_said_again),
        cmocka_unit_test(a_lease_ends_with_the_timeout),
    };
    return cmocka_run_group_tests_name("what is kept", tests, NULL, NULL);
}
