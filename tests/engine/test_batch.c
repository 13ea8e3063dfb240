/* SPDX-License-Identifier: MIT */
/* Batches in the engine by itself: who is told of the end, what is kept when, and what a store that
 * fails, or has lost something, leaves of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/journal_store.h"
#include "engine/model/scene.h"
#include "jobd/batch.h"
#include "jobd/change.h"

/* So many jobs; the batch's id. */
static uint64_t put_batch(struct jobd *jobd, uint32_t len, int64_t now_us)
{
    struct jobd_blob *none[64] = {NULL};
    struct jobd_receipt receipt;
    const struct jobd_put put = {
        .priority = JOBD_PRIORITY_DEFAULT, .batch = none, .batch_len = len};
    assert_true(len <= 64);
    assert_int_equal(jobd_put(jobd, &put, NULL, now_us, &receipt), JOBD_OK);
    assert_int_equal(receipt.batch, receipt.id);
    check_engine(jobd);
    return receipt.batch;
}

static void run_one(struct jobd *jobd, enum jobd_state state, int64_t now_us)
{
    struct person worker = person();
    (void)take(jobd, &worker, now_us);
    finish(jobd, &worker.waiter.task, state, now_us);
    check_engine(jobd);
}

static bool is_there(struct jobd *jobd, uint64_t id, int64_t now_us, struct jobd_batch *batch)
{
    return jobd_get_batch(jobd, id, now_us, batch) == JOBD_OK;
}

/* However little is kept, whoever waits is told, with all of it. */
static void the_end_is_told_also_when_nothing_is_kept(void **state)
{
    struct jobd *jobd = open_queue(10, 1, 0, 1000);
    struct person one = person();
    struct jobd_batch seen, batch;
    (void)state;
    uint64_t id = put_batch(jobd, 3, 1);
    one.waiter.batch = &seen;
    assert_int_equal(jobd_await_batch(jobd, id, &one.waiter, 1), JOBD_PENDING);
    run_one(jobd, JOBD_DONE, 2);
    run_one(jobd, JOBD_FAILED, 3);
    assert_true(is_there(jobd, id, 3, &batch));
    assert_int_equal(batch.finished_us, 0);
    assert_int_equal(one.woken, 0);
    run_one(jobd, JOBD_DONE, 4);
    assert_int_equal(one.woken, 1);
    assert_int_equal(one.waiter.result, JOBD_OK);
    assert_int_equal(seen.id, id);
    assert_int_equal(seen.jobs, 3);
    assert_int_equal(seen.in_state[JOBD_DONE], 2);
    assert_int_equal(seen.in_state[JOBD_FAILED], 1);
    assert_true(seen.created_us == 1 && seen.finished_us == 4);
    assert_false(is_there(jobd, id, 4, &batch));
    assert_int_equal(jobd_await_batch(jobd, id, &one.waiter, 4), JOBD_NO_JOB);
    jobd_free(jobd);
}

/* Records are used again: many more come and go than there is room for. */
static void many_come_and_go(void **state)
{
    struct jobd *jobd = open_queue(4, 1, 2, 1000);
    struct jobd_batch batch;
    uint64_t ids[200];
    (void)state;
    for (uint32_t i = 0; i < 200; i++) {
        ids[i] = put_batch(jobd, 1 + i % 3, 1);
        for (uint32_t j = 0; j < 1 + i % 3; j++)
            run_one(jobd, JOBD_DONE, 2);
    }
    size_t there = 0;
    for (size_t i = 0; i < 200; i++)
        there += is_there(jobd, ids[i], 2, &batch);
    assert_true(there >= 2 && there <= 4);
    assert_true(is_there(jobd, ids[199], 2, &batch));
    assert_false(is_there(jobd, ids[190], 2, &batch));
    jobd_free(jobd);
}

/* A job that has moved on is still one of its batch; and only what waits is cancelled. */
static void what_waits_is_cancelled_alone(void **state)
{
    struct jobd *jobd = open_queue(10, 2, 10, 1000);
    struct person one = person(), two = person();
    struct jobd_batch batch;
    (void)state;
    assert_int_equal(put(jobd, 1), JOBD_OK);
    uint64_t id = put_batch(jobd, 4, 1);
    run_one(jobd, JOBD_DONE, 1); /* not of it */
    run_one(jobd, JOBD_DONE, 1);
    assert_int_equal(take(jobd, &one, 2), id + 1);
    assert_int_equal(put(jobd, 2), JOBD_OK);
    const struct jobd_filter all = {
        .queue = JOBD_NO_QUEUE, .state = JOBD_STATES, .batch = id, .batch_jobs = 4};
    assert_int_equal(jobd_change_all(jobd, JOBD_CANCEL_ALL, &all, &two.waiter, 3), JOBD_OK);
    assert_int_equal(two.waiter.tally.matched, 2);
    assert_int_equal(two.waiter.tally.changed, 2);
    assert_int_equal(state_of(jobd, id + 4), JOBD_QUEUED);
    assert_true(is_there(jobd, id, 3, &batch));
    assert_int_equal(batch.in_state[JOBD_RUNNING], 1);
    assert_int_equal(batch.in_state[JOBD_CANCELLED], 2);
    finish(jobd, &one.waiter.task, JOBD_DONE, 4);
    assert_true(is_there(jobd, id, 4, &batch));
    assert_true(batch.finished_us == 4);
    jobd_free(jobd);
}

/* ---- with a store */

static void wanted(void *context)
{
    (void)context;
}

static struct jobd *open_durable(void)
{
    struct jobd *jobd = NULL;
    const struct jobd_queue_config queue = {.name = "q", .capacity = 10, .workers = 1};
    const struct jobd_config config = {.queues = &queue,
                                       .queues_len = 1,
                                       .keep = 2,
                                       .memory_bytes = 1000,
                                       .waiters_max = 16,
                                       .first_id = 1,
                                       .on_journal_ready = {.call = wanted}};
    assert_int_equal(jobd_new(&jobd, &config), 0);
    return jobd;
}

static bool any_row(void *context, enum row_kind kind, const struct job_record *record)
{
    (void)context;
    (void)kind;
    (void)record;
    return true;
}

/* Nothing is seen of one that is not written, and nothing is left of one that could not be. */
static void one_that_cannot_be_written_is_none(void **state)
{
    struct jobd *jobd = open_durable();
    struct jobd_batch batch;
    (void)state;
    for (int good = 0; good < 2; good++) {
        uint64_t id = put_batch(jobd, 3, 1);
        assert_false(is_there(jobd, id, 1, &batch));
        assert_int_equal(journal_gather(jobd, 100, 1000), 3);
        assert_true(journal_each(jobd, any_row, NULL));
        if (good)
            journal_written(jobd, 2);
        else
            journal_failed(jobd, 2);
        check_engine(jobd);
        assert_int_equal(is_there(jobd, id, 2, &batch), good);
    }
    jobd_free(jobd);
}

/* A job that could not be read is not one of it any more; a batch whose jobs are all gone is
 * forgotten, and one whose ids are another's is none. */
static void what_is_lost_is_not_waited_for(void **state)
{
    struct jobd *jobd = open_durable();
    struct jobd_batch batch;
    (void)state;
    const struct batch_record records[] = {
        {.id = 10, .queue = "q", .jobs = 3, .ended = {[JOBD_DONE] = 1}, .created_us = -5},
        {.id = 20, .queue = "q", .jobs = 2, .created_us = -5},
        {.id = 12, .queue = "q", .jobs = 2, .created_us = -5},
        {.id = 8, .queue = "q", .jobs = 3, .created_us = -5},
        {.id = 30, .queue = "gone", .jobs = 3, .created_us = -5},
        {.id = 40, .queue = "q", .jobs = 1, .ended = {[JOBD_FAILED] = 1}, .finished_us = -9},
    };
    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++)
        jobd_restore_batch(jobd, &records[i]);
    const struct job_record job = {
        .id = 12, .queue = "q", .attempts = 1, .key = "", .trace = "", .token = ""};
    assert_true(jobd_restore(jobd, &job, 1));
    jobd_restored(jobd);
    check_engine(jobd);
    assert_true(is_there(jobd, 10, 1, &batch));
    assert_int_equal(batch.jobs, 2);
    assert_int_equal(batch.ids, 3);
    assert_int_equal(batch.in_state[JOBD_QUEUED], 1);
    assert_int_equal(jobd_batch_of(jobd, 12), 10);
    for (uint64_t id = 11; id < 40; id++)
        assert_false(is_there(jobd, id, 1, &batch));
    assert_true(is_there(jobd, 40, 1, &batch));
    assert_true(batch.finished_us == -9);
    assert_int_equal(journal_gather(jobd, 100, 1000), 1); /* that the second is forgotten */
    assert_true(journal_each(jobd, any_row, NULL));
    journal_written(jobd, 2);
    check_engine(jobd);
    jobd_free(jobd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_end_is_told_also_when_nothing_is_kept),
        cmocka_unit_test(many_come_and_go),
        cmocka_unit_test(what_waits_is_cancelled_alone),
        cmocka_unit_test(one_that_cannot_be_written_is_none),
        cmocka_unit_test(what_is_lost_is_not_waited_for),
    };
    return cmocka_run_group_tests_name("batches, the engine", tests, NULL, NULL);
}
