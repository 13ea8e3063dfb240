/* SPDX-License-Identifier: MIT */
/* The engine by itself: attempts that fail and go again, and what they leave behind. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "engine/model/check_engine.h"
#include "engine/model/scene.h"

static struct jobd *open_retrying(uint32_t attempts)
{
    struct jobd *jobd = NULL;
    const struct jobd_queue_config queue = {.name = "q",
                                            .capacity = 1,
                                            .workers = 1,
                                            .attempts = attempts,
                                            .timeout_us = 7,
                                            .backoff_min_us = 1000,
                                            .backoff_max_us = 60000};
    const struct jobd_config config = {
        .queues = &queue, .queues_len = 1, .keep = 4, .memory_bytes = 1000, .first_id = 1};
    assert_int_equal(jobd_new(&jobd, &config), 0);
    return jobd;
}

static struct jobd_blob *text(const char *words)
{
    struct jobd_blob *blob = jobd_blob_new(strlen(words), "text/plain");
    assert_non_null(blob);
    memcpy(blob->bytes, words, strlen(words));
    return blob;
}

/* Each failure waits about twice as long as the one before, up to the most. */
static void test_failures_come_back_later_and_later(void **state)
{
    enum { ATTEMPTS = 12 };
    struct jobd *jobd = open_retrying(ATTEMPTS);
    struct person worker = person();
    struct jobd_receipt receipt;
    struct jobd_info info;
    int64_t now_us = 1, most_us = 2000;
    (void)state;
    assert_int_equal(jobd_put(jobd, &(struct jobd_put){.queue = 0}, NULL, now_us, &receipt),
                     JOBD_OK);
    for (unsigned attempt = 1; attempt < ATTEMPTS; attempt++) {
        assert_int_equal(jobd_take(jobd, 0, &worker.waiter, now_us), JOBD_OK);
        assert_int_equal(worker.waiter.task.attempt, attempt);
        assert_int_equal(worker.waiter.task.timeout_us, 7);
        finish(jobd, &worker.waiter.task, JOBD_FAILED, now_us);
        assert_int_equal(jobd_get(jobd, 1, &info), JOBD_OK);
        assert_int_equal(info.state, JOBD_SCHEDULED);
        assert_in_range(info.run_at_us - now_us, most_us / 2, most_us);
        now_us = info.run_at_us;
        assert_int_equal(jobd_tick(jobd, now_us), JOBD_NEVER);
        most_us = most_us < 30000 ? most_us * 2 : 60000;
        check_engine(jobd);
    }
    assert_int_equal(jobd_take(jobd, 0, &worker.waiter, now_us), JOBD_OK);
    finish(jobd, &worker.waiter.task, JOBD_FAILED, now_us);
    assert_int_equal(jobd_get(jobd, 1, &info), JOBD_OK);
    assert_int_equal(info.state, JOBD_FAILED);
    assert_int_equal(info.attempt, ATTEMPTS);
    jobd_free(jobd);
}

/* Whoever took its place in the meantime keeps it, and still it comes back. */
static void test_a_full_queue_takes_back(void **state)
{
    struct jobd *jobd = open_retrying(2);
    struct person worker = person();
    struct jobd_receipt receipt;
    struct jobd_stats stats;
    const struct jobd_put one = {.queue = 0};
    (void)state;
    assert_int_equal(jobd_put(jobd, &one, NULL, 1, &receipt), JOBD_OK);
    assert_int_equal(jobd_take(jobd, 0, &worker.waiter, 1), JOBD_OK);
    assert_int_equal(jobd_put(jobd, &one, NULL, 1, &receipt), JOBD_OK);
    finish(jobd, &worker.waiter.task, JOBD_FAILED, 1);
    check_engine(jobd);
    jobd_stats(jobd, 0, 1, &stats);
    assert_int_equal(stats.queued + stats.scheduled, 2);
    assert_int_equal(stats.retried, 1);
    assert_int_equal(jobd_put(jobd, &one, NULL, 1, &receipt), JOBD_FULL);
    assert_int_equal(jobd_take(jobd, 0, &worker.waiter, 1), JOBD_OK);
    assert_int_equal(jobd_put(jobd, &one, NULL, 1, &receipt), JOBD_FULL);
    finish(jobd, &worker.waiter.task, JOBD_DONE, 2);
    jobd_free(jobd);
}

static void test_what_an_attempt_leaves(void **state)
{
    struct jobd *jobd = open_retrying(1);
    struct person worker = person();
    struct jobd_receipt receipt;
    struct jobd_info info;
    struct jobd_blob *seen;
    const struct jobd_terms terms = {.texts = {[JOBD_TAGS] = "a\nb\n"}};
    const struct jobd_put one = {
        .timeout_us = 9, .attempts = 2, .trace = "00-1-2-01", .terms = &terms};
    (void)state;
    assert_int_equal(jobd_put(jobd, &one, NULL, 1, &receipt), JOBD_OK);
    assert_int_equal(jobd_take(jobd, 0, &worker.waiter, 1), JOBD_OK);
    assert_int_equal(worker.waiter.task.timeout_us, 9);
    assert_string_equal(worker.waiter.task.trace, "00-1-2-01");
    jobd_finish(jobd, &worker.waiter.task,
                &(struct jobd_outcome){.state = JOBD_FAILED,
                                       .for_good = true,
                                       .exited = true,
                                       .exit_code = 3,
                                       .output = text("half"),
                                       .error = text("no disk")},
                2);
    assert_int_equal(jobd_get(jobd, 1, &info), JOBD_OK);
    assert_int_equal(info.state, JOBD_FAILED);
    assert_true(info.exited && info.has_error);
    assert_int_equal(info.exit_code, 3);
    assert_int_equal(info.output_bytes, 4);
    assert_string_equal(info.trace, "00-1-2-01");
    assert_true(info.has_words);
    assert_int_equal(jobd_get_blob(jobd, 1, JOBD_WORDS, &seen), JOBD_OK);
    assert_string_equal(jobd_text(seen, JOBD_TAGS), "a\nb\n");
    assert_string_equal(jobd_text(seen, JOBD_GROUP), "");
    jobd_blob_unref(seen);
    assert_int_equal(jobd_get_blob(jobd, 1, JOBD_ERROR, &seen), JOBD_OK);
    assert_memory_equal(seen->bytes, "no disk", 7);
    jobd_blob_unref(seen);
    assert_int_equal(jobd_retry(jobd, 1, NULL, 3, &receipt), JOBD_OK);
    assert_int_equal(jobd_get(jobd, 1, &info), JOBD_OK);
    assert_int_equal(info.state, JOBD_QUEUED);
    assert_int_equal(info.attempt, 0);
    assert_false(info.exited || info.has_error);
    assert_int_equal(info.output_bytes, 0);
    check_engine(jobd);
    assert_int_equal(jobd_retry(jobd, 1, NULL, 3, &receipt), JOBD_NOT_FINAL);
    assert_int_equal(jobd_cancel(jobd, 1, NULL, 4), JOBD_OK);
    jobd_free(jobd);
}

/* Nothing is remembered, but who waits for the end gets it, and the output when wanted. */
static void test_an_output_outlives_its_job(void **state)
{
    struct jobd *jobd = open_queue(1, 1, 0, 10000);
    struct person worker = person(), plain = person(), eager = person();
    struct jobd_info info;
    (void)state;
    eager.waiter.wants_output = true;
    assert_int_equal(put(jobd, 1), JOBD_OK);
    assert_int_equal(jobd_await(jobd, 1, &plain.waiter, &info), JOBD_PENDING);
    assert_int_equal(jobd_await(jobd, 1, &eager.waiter, &info), JOBD_PENDING);
    take(jobd, &worker, 1);
    jobd_finish(jobd, &worker.waiter.task,
                &(struct jobd_outcome){.state = JOBD_DONE, .output = text("half")}, 2);
    assert_int_equal(state_of(jobd, 1), JOBD_STATES);
    assert_int_equal(plain.woken, 1);
    assert_int_equal(eager.woken, 1);
    assert_int_equal(eager.waiter.info.output_bytes, 4);
    assert_null(plain.waiter.output);
    assert_memory_equal(eager.waiter.output->bytes, "half", 4);
    jobd_blob_unref(eager.waiter.output);
    check_engine(jobd);
    jobd_free(jobd);
}

/* An output that has no room is dropped, and that is said. */
static void test_outputs_count_for_memory(void **state)
{
    struct jobd *jobd = open_retrying(1);
    struct person worker = person();
    struct jobd_receipt receipt;
    struct jobd_info info;
    struct jobd_blob *payload = jobd_blob_new(900, NULL), *output = jobd_blob_new(101, NULL);
    (void)state;
    assert_non_null(payload);
    assert_non_null(output);
    assert_int_equal(jobd_put(jobd, &(struct jobd_put){.payload = payload}, NULL, 1, &receipt),
                     JOBD_OK);
    assert_int_equal(jobd_take(jobd, 0, &worker.waiter, 1), JOBD_OK);
    jobd_finish(jobd, &worker.waiter.task,
                &(struct jobd_outcome){.state = JOBD_DONE, .output = output}, 2);
    assert_int_equal(jobd_get(jobd, 1, &info), JOBD_OK);
    assert_int_equal(info.output_bytes, 0);
    assert_true(info.output_truncated);
    assert_in_range(jobd_memory(jobd), 900, 1000);
    jobd_free(jobd);
}

/* What a queue's config says of attempts, timeouts and backoff can be changed while jobs are there.
 */
static void test_terms_can_change(void **state)
{
    struct jobd *jobd = open_queue(4, 2, 10, 1000);
    struct jobd_queue_config terms = {.attempts = 3,
                                      .timeout_us = 5 * SECOND,
                                      .backoff_min_us = 2 * SECOND,
                                      .backoff_max_us = 2 * SECOND};
    struct person early = person(), late = person();
    struct jobd_info info;
    (void)state;
    assert_int_equal(put(jobd, 1), JOBD_OK);
    take(jobd, &early, 1);
    assert_int_equal(jobd_queue_change(jobd, 0, &terms, 0), 0);
    assert_int_equal(put(jobd, 2), JOBD_OK);
    take(jobd, &late, 2);
    assert_int_equal(early.waiter.task.timeout_us, 0);
    assert_int_equal(late.waiter.task.timeout_us, 5 * SECOND);
    finish(jobd, &early.waiter.task, JOBD_FAILED, 3);
    finish(jobd, &late.waiter.task, JOBD_FAILED, 3);
    assert_int_equal(state_of(jobd, 1), JOBD_FAILED); /* one attempt, as it came in */
    assert_int_equal(jobd_get(jobd, 2, &info), JOBD_OK);
    assert_int_equal(info.state, JOBD_SCHEDULED);
    assert_int_equal(info.attempts, 3);
    assert_int_equal(info.run_at_us, 2 * SECOND + 3);
    terms.backoff_max_us = SECOND;
    assert_int_equal(jobd_queue_change(jobd, 0, &terms, 0), -EINVAL);
    terms.backoff_max_us = 2 * SECOND;
    terms.attempts = JOBD_ATTEMPTS_MAX + 1;
    assert_int_equal(jobd_queue_change(jobd, 0, &terms, 0), -EINVAL);
    check_engine(jobd);
    jobd_free(jobd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failures_come_back_later_and_later),
        cmocka_unit_test(test_a_full_queue_takes_back),
        cmocka_unit_test(test_what_an_attempt_leaves),
        cmocka_unit_test(test_an_output_outlives_its_job),
        cmocka_unit_test(test_outputs_count_for_memory),
        cmocka_unit_test(test_terms_can_change),
    };
    return cmocka_run_group_tests_name("engine, attempts", tests, NULL, NULL);
}
