/* SPDX-License-Identifier: MIT */
/* Jobs that wait for the ends of others: the engine by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/model/scene.h"
#include "jobd/batch.h"
#include "jobd/change.h"

enum { MANY = 10000, MEMORY = 64 << 20 };

static struct jobd *open_one(uint32_t keep)
{
    return open_queue(2 * MANY + 10, 1, keep, MEMORY);
}

/* Put after these, which are lines. */
static enum jobd_result put_lines(struct jobd *jobd, struct jobd_put put, const char *lines,
                                  struct jobd_receipt *receipt)
{
    const struct jobd_terms terms = {.texts = {[JOBD_AFTER] = lines}};
    put.terms = &terms;
    put.priority = JOBD_PRIORITY_DEFAULT;
    return jobd_put(jobd, &put, NULL, 1, receipt);
}

static uint64_t put_after(struct jobd *jobd, const char *lines)
{
    struct jobd_receipt receipt;
    assert_int_equal(put_lines(jobd, (struct jobd_put){.queue = 0}, lines, &receipt), JOBD_OK);
    return receipt.id;
}

static uint64_t after_one(struct jobd *jobd, uint64_t id)
{
    char line[64];
    snprintf(line, sizeof line, "job %llu\n", (unsigned long long)id);
    return put_after(jobd, line);
}

static uint64_t after_two(struct jobd *jobd, const char *how, uint64_t one, uint64_t other)
{
    char lines[96];
    snprintf(lines, sizeof lines, "%sjob %llu\njob %llu\n", how, (unsigned long long)one,
             (unsigned long long)other);
    return put_after(jobd, lines);
}

/* The first that waits runs, and ends so. */
static uint64_t run_one(struct jobd *jobd, enum jobd_state state)
{
    struct person worker = person();
    uint64_t id = take(jobd, &worker, 2);
    finish(jobd, &worker.waiter.task, state, 3);
    return id;
}

static void tick(struct jobd *jobd)
{
    (void)jobd_tick(jobd, 4);
    check_engine(jobd);
}

static void assert_error(struct jobd *jobd, uint64_t id, const char *expected)
{
    struct jobd_blob *error = NULL;
    struct jobd_info info;
    assert_int_equal(jobd_get(jobd, id, &info), JOBD_OK);
    assert_int_equal(info.state, JOBD_CANCELLED);
    assert_true(info.has_error);
    assert_int_equal(jobd_get_blob(jobd, id, JOBD_ERROR, &error), JOBD_OK);
    assert_int_equal(error->size, strlen(expected));
    assert_memory_equal(error->bytes, expected, error->size);
    jobd_blob_unref(error);
}

static uint32_t blocked(struct jobd *jobd)
{
    struct jobd_stats stats;
    jobd_stats(jobd, 0, 5, &stats);
    return stats.blocked;
}

static void it_begins_when_all_have_ended(void **state)
{
    struct jobd *jobd = open_one(0); /* none is remembered but for those that wait for it */
    (void)state;
    assert_int_equal(put(jobd, 1), JOBD_OK);
    assert_int_equal(put(jobd, 1), JOBD_OK);
    uint64_t child = after_two(jobd, "", 1, 2), last = after_one(jobd, child);
    check_engine(jobd);
    assert_int_equal(state_of(jobd, child), JOBD_BLOCKED);
    assert_int_equal(run_one(jobd, JOBD_DONE), 1);
    tick(jobd);
    assert_int_equal(state_of(jobd, child), JOBD_BLOCKED);
    assert_int_equal(state_of(jobd, 1), JOBD_DONE);
    assert_int_equal(jobd_forget(jobd, 1, NULL, 4), JOBD_NEEDED);
    assert_int_equal(run_one(jobd, JOBD_DONE), 2);
    tick(jobd);
    assert_int_equal(state_of(jobd, child), JOBD_QUEUED);
    assert_int_equal(state_of(jobd, 1), JOBD_STATES);
    assert_int_equal(state_of(jobd, 2), JOBD_STATES);
    assert_int_equal(run_one(jobd, JOBD_DONE), child);
    assert_int_equal(state_of(jobd, last), JOBD_BLOCKED);
    tick(jobd);
    assert_int_equal(run_one(jobd, JOBD_DONE), last);
    assert_int_equal(jobd_memory(jobd), 0);
    jobd_free(jobd);
}

static void who_waits_for_one_that_failed_is_cancelled(void **state)
{
    struct jobd *jobd = open_one(10);
    (void)state;
    assert_int_equal(put(jobd, 1), JOBD_OK);
    assert_int_equal(put(jobd, 1), JOBD_OK);
    uint64_t child = after_two(jobd, "", 1, 2), next = after_one(jobd, child);
    uint64_t whatever = after_two(jobd, JOBD_AFTER_WHATEVER, 1, next);
    assert_int_equal(run_one(jobd, JOBD_FAILED), 1);
    tick(jobd);
    assert_error(jobd, child, "a job it waits for failed: /jobs/1");
    assert_error(jobd, next, "a job it waits for failed: /jobs/3");
    assert_int_equal(state_of(jobd, whatever), JOBD_QUEUED);
    /* What has ended when it comes counts at once. */
    uint64_t late = after_one(jobd, 1);
    check_engine(jobd);
    tick(jobd);
    assert_error(jobd, late, "a job it waits for failed: /jobs/1");
    assert_int_equal(run_one(jobd, JOBD_DONE), 2);
    uint64_t ready = after_one(jobd, 2);
    assert_int_equal(state_of(jobd, ready), JOBD_QUEUED);
    check_engine(jobd);
    /* By hand it goes in again, and waits for nothing. */
    struct jobd_receipt receipt;
    assert_int_equal(jobd_retry(jobd, child, NULL, 5, &receipt), JOBD_OK);
    assert_int_equal(receipt.state, JOBD_QUEUED);
    jobd_cancel_all(jobd, 6);
    jobd_free(jobd);
}

static void who_is_not_there_is_named(void **state)
{
    struct jobd *jobd = open_one(0);
    struct jobd_receipt receipt;
    (void)state;
    assert_int_equal(put(jobd, 1), JOBD_OK);
    assert_int_equal(put_lines(jobd, (struct jobd_put){.queue = 0}, "job 1\njob 7\n", &receipt),
                     JOBD_NO_PARENT);
    assert_int_equal(receipt.id, 7);
    assert_int_equal(put_lines(jobd, (struct jobd_put){.queue = 0}, "batch 1\n", &receipt),
                     JOBD_NO_PARENT);
    assert_int_equal(receipt.id, 0);
    assert_int_equal(receipt.batch, 1);
    check_engine(jobd);
    (void)run_one(jobd, JOBD_DONE); /* and is forgotten */
    assert_int_equal(put_lines(jobd, (struct jobd_put){.queue = 0}, "job 1\n", &receipt),
                     JOBD_NO_PARENT);
    jobd_free(jobd);
}

static void one_that_goes_in_again_is_waited_for_again(void **state)
{
    struct jobd *jobd = open_one(10);
    struct jobd_receipt receipt;
    (void)state;
    assert_int_equal(put(jobd, 1), JOBD_OK);
    assert_int_equal(put(jobd, 1), JOBD_OK);
    uint64_t child = after_two(jobd, "", 1, 2);
    assert_int_equal(run_one(jobd, JOBD_DONE), 1);
    tick(jobd);
    assert_int_equal(jobd_retry(jobd, 1, NULL, 4, &receipt), JOBD_OK);
    check_engine(jobd);
    assert_int_equal(run_one(jobd, JOBD_DONE), 2);
    tick(jobd);
    assert_int_equal(state_of(jobd, child), JOBD_BLOCKED);
    assert_int_equal(run_one(jobd, JOBD_DONE), 1);
    tick(jobd);
    assert_int_equal(state_of(jobd, child), JOBD_QUEUED);
    jobd_cancel_all(jobd, 6);
    jobd_free(jobd);
}

static void it_counts_as_one_that_waits(void **state)
{
    struct jobd *jobd = open_queue(3, 1, 10, MEMORY);
    const struct jobd_amendment later = {.start = true, .delay_us = 100, .to_priority = true};
    struct jobd_receipt receipt;
    struct jobd_info info;
    (void)state;
    assert_int_equal(put(jobd, 1), JOBD_OK);
    uint64_t delayed = after_one(jobd, 1), purged = after_one(jobd, 1);
    assert_int_equal(put(jobd, 1), JOBD_FULL);
    assert_int_equal(jobd_amend(jobd, delayed, &later, NULL, 4), JOBD_OK);
    check_engine(jobd);
    assert_int_equal(jobd_get(jobd, delayed, &info), JOBD_OK);
    assert_int_equal(info.state, JOBD_BLOCKED);
    assert_int_equal(info.run_at_us, 104);
    assert_int_equal(jobd_cancel(jobd, purged, NULL, 4), JOBD_OK);
    check_engine(jobd);
    (void)run_one(jobd, JOBD_DONE);
    tick(jobd);
    assert_int_equal(state_of(jobd, delayed), JOBD_SCHEDULED);
    (void)jobd_tick(jobd, 104);
    assert_int_equal(state_of(jobd, delayed), JOBD_QUEUED);
    uint32_t count;
    uint64_t last = after_one(jobd, delayed);
    assert_int_equal(jobd_purge(jobd, 0, NULL, 105, &count), JOBD_OK);
    check_engine(jobd);
    assert_int_equal(count, 2);
    assert_int_equal(state_of(jobd, last), JOBD_CANCELLED);
    /* It expires as others do. */
    const struct jobd_terms terms = {.texts = {[JOBD_AFTER] = "job 5\n"}, .expires_us = 120};
    assert_int_equal(put(jobd, 105), JOBD_OK);
    assert_int_equal(jobd_put(jobd, &(struct jobd_put){.terms = &terms}, NULL, 106, &receipt),
                     JOBD_OK);
    assert_true(jobd_tick(jobd, 110) == 120);
    (void)jobd_tick(jobd, 120);
    check_engine(jobd);
    assert_error(jobd, receipt.id, "expired");
    jobd_cancel_all(jobd, 130);
    jobd_free(jobd);
}

static void a_batch_is_waited_for(void **state)
{
    struct jobd *jobd = open_one(0);
    struct jobd_blob *none[2] = {NULL, NULL};
    const struct jobd_put put = {.batch = none, .batch_len = 2};
    struct jobd_receipt receipt;
    (void)state;
    assert_int_equal(put_lines(jobd, put, NULL, &receipt), JOBD_OK);
    assert_int_equal(put_lines(jobd, put, "batch 1\n", &receipt), JOBD_OK);
    assert_int_equal(receipt.state, JOBD_BLOCKED);
    check_engine(jobd);
    uint64_t last = put_after(jobd, "batch 3\n");
    (void)run_one(jobd, JOBD_DONE);
    tick(jobd);
    assert_int_equal(blocked(jobd), 3);
    (void)run_one(jobd, JOBD_DONE);
    tick(jobd);
    assert_int_equal(blocked(jobd), 1);
    (void)run_one(jobd, JOBD_DONE);
    assert_int_equal(jobd_cancel(jobd, 4, NULL, 4), JOBD_OK);
    struct person watcher = person();
    struct jobd_info info;
    assert_int_equal(jobd_await(jobd, last, &watcher.waiter, &info), JOBD_PENDING);
    tick(jobd);
    assert_int_equal(watcher.woken, 1);
    assert_int_equal(watcher.waiter.info.state, JOBD_CANCELLED);
    assert_int_equal(jobd_memory(jobd), 0);
    jobd_free(jobd);
}

/* By a put with the same key, the job would wait for what came after it: perhaps for itself. */
static void nobody_waits_for_himself(void **state)
{
    struct jobd *jobd = open_one(0);
    struct jobd_receipt receipt;
    const struct jobd_terms first = {.unique = JOBD_WHILE_WAITING, .replace = true};
    (void)state;
    assert_int_equal(put(jobd, 1), JOBD_OK);
    assert_int_equal(
        jobd_put(jobd, &(struct jobd_put){.key = "k", .terms = &first}, NULL, 1, &receipt),
        JOBD_OK);
    uint64_t id = receipt.id;
    assert_int_equal(put_lines(jobd, (struct jobd_put){.batch_len = 0}, "job 2\n", &receipt),
                     JOBD_OK);
    struct jobd_blob *batch[2] = {NULL};
    assert_int_equal(
        jobd_put(jobd, &(struct jobd_put){.batch = batch, .batch_len = 2}, NULL, 1, &receipt),
        JOBD_OK);
    static const char *const lines[] = {"job 2\n", "job 3\n", "job 1\nbatch 4\n"};
    for (unsigned i = 0; i < 3; i++) {
        struct jobd_terms later = first;
        later.texts[JOBD_AFTER] = lines[i];
        assert_int_equal(
            jobd_put(jobd, &(struct jobd_put){.key = "k", .terms = &later}, NULL, 1, &receipt),
            JOBD_LATER_PARENT);
        assert_int_equal(receipt.id, i < 2 ? 2 + i : 0);
        assert_int_equal(receipt.batch, i < 2 ? 0 : 4);
        assert_int_equal(receipt.instead, id);
        check_engine(jobd);
    }
    jobd_cancel_all(jobd, 6);
    jobd_free(jobd);
}

static void it_may_be_replaced(void **state)
{
    struct jobd *jobd = open_one(10);
    const struct jobd_terms blocks = {
        .texts = {[JOBD_AFTER] = "job 1\n"}, .unique = JOBD_WHILE_WAITING, .replace = true};
    const struct jobd_terms plain = {.unique = JOBD_WHILE_WAITING, .replace = true};
    const struct jobd_terms wrong = {
        .texts = {[JOBD_AFTER] = "job 9\n"}, .unique = JOBD_WHILE_WAITING, .replace = true};
    const struct jobd_put puts[] = {{.key = "k", .terms = &plain},
                                    {.key = "k", .terms = &blocks},
                                    {.key = "k", .terms = &blocks, .priority = 1},
                                    {.key = "k", .terms = &plain},
                                    {.key = "k", .terms = &blocks}};
    const enum jobd_state states[] = {JOBD_QUEUED, JOBD_BLOCKED, JOBD_BLOCKED, JOBD_QUEUED,
                                      JOBD_BLOCKED};
    struct jobd_receipt receipt;
    (void)state;
    assert_int_equal(put(jobd, 1), JOBD_OK);
    for (size_t i = 0; i < sizeof puts / sizeof puts[0]; i++) {
        assert_int_equal(jobd_put(jobd, &puts[i], NULL, 2, &receipt), JOBD_OK);
        check_engine(jobd);
        assert_int_equal(receipt.id, 2);
        assert_int_equal(receipt.state, states[i]);
        assert_int_equal(state_of(jobd, 2), states[i]);
    }
    assert_int_equal(
        jobd_put(jobd, &(struct jobd_put){.key = "k", .terms = &wrong}, NULL, 2, &receipt),
        JOBD_NO_PARENT);
    check_engine(jobd);
    (void)run_one(jobd, JOBD_DONE);
    tick(jobd);
    assert_int_equal(run_one(jobd, JOBD_DONE), 2);
    jobd_free(jobd);
}

/* One, ten thousand after it, one after thirty-two of these at a time, and so on. */
static void a_large_diamond_is_worked_off_in_steps(void **state)
{
    struct jobd *jobd = open_one(MANY);
    (void)state;
    assert_int_equal(put(jobd, 1), JOBD_OK);
    for (unsigned i = 0; i < MANY; i++)
        (void)after_one(jobd, 1);
    uint64_t last = 0;
    for (unsigned i = 0; i < MANY; i += JOBD_PARENTS_MAX) {
        char lines[JOBD_PARENTS_MAX * 32], *end = lines;
        for (unsigned one = i; one < MANY && one < i + JOBD_PARENTS_MAX; one++)
            end += sprintf(end, "job %u\n", one + 2);
        last = put_after(jobd, lines);
    }
    assert_int_equal(blocked(jobd), MANY + (MANY + JOBD_PARENTS_MAX - 1) / JOBD_PARENTS_MAX);
    (void)run_one(jobd, JOBD_DONE);
    (void)jobd_tick(jobd, 4);
    assert_int_equal(blocked(jobd), (MANY + JOBD_PARENTS_MAX - 1) / JOBD_PARENTS_MAX);
    struct person worker = person();
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(jobd_take(jobd, 0, &worker.waiter, 5), JOBD_OK);
        assert_int_equal(worker.waiter.task.id, i + 2);
        jobd_finish(jobd, &worker.waiter.task, &(struct jobd_outcome){.state = JOBD_DONE}, 5);
        (void)jobd_tick(jobd, 5);
    }
    assert_int_equal(blocked(jobd), 0);
    assert_int_equal(state_of(jobd, last), JOBD_QUEUED);
    jobd_cancel_all(jobd, 6);
    jobd_free(jobd);
}

static void a_long_chain_is_cancelled(void **state)
{
    struct jobd *jobd = open_one(MANY);
    (void)state;
    assert_int_equal(put(jobd, 1), JOBD_OK);
    for (uint64_t id = 1; id < MANY; id++)
        assert_int_equal(after_one(jobd, id), id + 1);
    assert_int_equal(jobd_cancel(jobd, 1, NULL, 2), JOBD_OK);
    (void)jobd_tick(jobd, 4);
    assert_int_equal(blocked(jobd), 0);
    assert_error(jobd, MANY, "a job it waits for failed: /jobs/9999");
    jobd_free(jobd);
}

static void memory_bounds_it(void **state)
{
    struct jobd *jobd = open_queue(100, 1, 10, 2048);
    struct jobd_receipt receipt;
    enum jobd_result result = JOBD_OK;
    unsigned count = 0;
    (void)state;
    assert_int_equal(put(jobd, 1), JOBD_OK);
    for (; result == JOBD_OK; count++) {
        result = put_lines(jobd, (struct jobd_put){.queue = 0}, "job 1\n", &receipt);
        check_engine(jobd);
    }
    assert_int_equal(result, JOBD_OUT_OF_MEMORY);
    assert_in_range(count, 2, 10);
    jobd_cancel_all(jobd, 6);
    check_engine(jobd);
    jobd_free(jobd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_begins_when_all_have_ended),
        cmocka_unit_test(who_waits_for_one_that_failed_is_cancelled),
        cmocka_unit_test(who_is_not_there_is_named),
        cmocka_unit_test(one_that_goes_in_again_is_waited_for_again),
        cmocka_unit_test(it_counts_as_one_that_waits),
        cmocka_unit_test(a_batch_is_waited_for),
        cmocka_unit_test(nobody_waits_for_himself),
        cmocka_unit_test(it_may_be_replaced),
        cmocka_unit_test(a_large_diamond_is_worked_off_in_steps),
        cmocka_unit_test(a_long_chain_is_cancelled),
        cmocka_unit_test(memory_bounds_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
