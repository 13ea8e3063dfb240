/* SPDX-License-Identifier: MIT */
/* What is pinned is not forgotten: not by number, by time, for memory or by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/engine.h"
#include "engine/model/scene.h"
#include "engine/pins.h"
#include "jobd/batch.h"
#include "jobd/change.h"

static const enum pin OURS = (enum pin)128; /* nobody else's */

enum { KEEP = 2, MEMORY = 64 << 10, KEEP_FOR = 10 * SECOND };

static struct jobd *open_keeping(int64_t keep_for_us)
{
    struct jobd *jobd = NULL;
    const struct jobd_config config = {
        .queues = &(struct jobd_queue_config){.name = "q", .capacity = 100, .workers = 1},
        .queues_len = 1,
        .keep = KEEP,
        .keep_for_us = keep_for_us,
        .memory_bytes = MEMORY,
        .waiters_max = 16,
        .first_id = 1,
    };
    assert_int_equal(jobd_new(&jobd, &config), 0);
    return jobd;
}

static void pin(struct jobd *jobd, uint64_t id, int64_t now_us)
{
    struct op op;
    op_begin(&op, jobd, NULL, now_us);
    assert_true(pins_have_room(&jobd->jobs, 1));
    assert_true(jobs_make_room(&jobd->jobs, PIN_WEIGHT, &op));
    pin_job_locked(&op, jobs_find(&jobd->jobs, id), OURS);
    op_end(&op);
    check_engine(jobd);
}

static void unpin(struct jobd *jobd, uint64_t id, int64_t now_us)
{
    struct op op;
    op_begin(&op, jobd, NULL, now_us);
    unpin_job_locked(&op, jobs_find(&jobd->jobs, id), OURS);
    op_end(&op);
    check_engine(jobd);
}

static uint64_t put_bytes(struct jobd *jobd, size_t bytes, const struct jobd_terms *terms,
                          int64_t now_us)
{
    struct jobd_receipt receipt;
    const struct jobd_put put = {.payload = bytes > 0 ? jobd_blob_new(bytes, NULL) : NULL,
                                 .key = terms != NULL ? "k" : NULL,
                                 .terms = terms};
    assert_int_equal(jobd_put(jobd, &put, NULL, now_us, &receipt), JOBD_OK);
    check_engine(jobd);
    return receipt.id;
}

/* Put and ended at once. */
static uint64_t ended(struct jobd *jobd, size_t bytes, int64_t now_us)
{
    uint64_t id = put_bytes(jobd, bytes, NULL, now_us);
    assert_int_equal(jobd_cancel(jobd, id, NULL, now_us), JOBD_OK);
    check_engine(jobd);
    return id;
}

static void a_pinned_job_outlives_others(void **state)
{
    struct jobd *jobd = open_keeping(0);
    (void)state;
    uint64_t before = put_bytes(jobd, 0, NULL, 1);
    pin(jobd, before, 1);
    assert_int_equal(jobd_cancel(jobd, before, NULL, 1), JOBD_OK);
    uint64_t after = ended(jobd, 0, 2);
    pin(jobd, after, 2);
    for (unsigned i = 0; i < 3 * KEEP; i++)
        (void)ended(jobd, MEMORY / 4, 3);
    assert_int_equal(state_of(jobd, before), JOBD_CANCELLED);
    assert_int_equal(state_of(jobd, after), JOBD_CANCELLED);
    /* It is the newest now, and two are kept. */
    unpin(jobd, before, 4);
    (void)ended(jobd, 0, 5);
    assert_int_equal(state_of(jobd, before), JOBD_CANCELLED);
    (void)ended(jobd, 0, 5);
    assert_int_equal(state_of(jobd, before), JOBD_STATES);
    unpin(jobd, after, 6);
    jobd_free(jobd);
}

static void a_pinned_job_counts_in_the_memory(void **state)
{
    struct jobd *jobd = open_keeping(0);
    (void)state;
    uint64_t id = ended(jobd, MEMORY / 2 + 1, 1);
    pin(jobd, id, 1);
    struct jobd_blob *payload = jobd_blob_new(MEMORY / 2, NULL);
    assert_int_equal(put_with(jobd, (struct jobd_put){.payload = payload}, 2), JOBD_OUT_OF_MEMORY);
    unpin(jobd, id, 3);
    (void)put_bytes(jobd, MEMORY / 2, NULL, 4);
    assert_int_equal(state_of(jobd, id), JOBD_STATES);
    jobd_cancel_all(jobd, 5);
    jobd_free(jobd);
}

static void time_counts_when_the_pin_is_gone(void **state)
{
    struct jobd *jobd = open_keeping(KEEP_FOR);
    const struct jobd_terms own = {.keep_us = SECOND},
                            promise = {.unique = JOBD_FOR_SOME_TIME, .unique_us = 20 * SECOND};
    (void)state;
    uint64_t plain = ended(jobd, 0, 1), brief = put_bytes(jobd, 0, &own, 1);
    assert_int_equal(jobd_cancel(jobd, brief, NULL, 1), JOBD_OK);
    pin(jobd, plain, 1);
    pin(jobd, brief, 1);
    assert_true(jobd_tick(jobd, 11 * SECOND) == JOBD_NEVER);
    check_engine(jobd);
    assert_int_equal(state_of(jobd, plain), JOBD_CANCELLED);
    assert_int_equal(state_of(jobd, brief), JOBD_CANCELLED);
    unpin(jobd, plain, 12 * SECOND);
    unpin(jobd, brief, 12 * SECOND);
    assert_true(jobd_tick(jobd, 12 * SECOND) == JOBD_NEVER);
    check_engine(jobd);
    assert_int_equal(state_of(jobd, plain), JOBD_STATES);
    assert_int_equal(state_of(jobd, brief), JOBD_STATES);
    uint64_t promised = put_bytes(jobd, 0, &promise, 13 * SECOND);
    assert_int_equal(jobd_cancel(jobd, promised, NULL, 13 * SECOND), JOBD_OK);
    pin(jobd, promised, 14 * SECOND);
    unpin(jobd, promised, 30 * SECOND); /* its promise lasts */
    (void)jobd_tick(jobd, 32 * SECOND);
    assert_int_equal(state_of(jobd, promised), JOBD_CANCELLED);
    (void)jobd_tick(jobd, 33 * SECOND);
    check_engine(jobd);
    assert_int_equal(state_of(jobd, promised), JOBD_STATES);
    jobd_free(jobd);
}

static void one_cannot_forget_it_by_hand(void **state)
{
    struct jobd *jobd = open_keeping(0);
    const struct jobd_filter all = {.queue = JOBD_NO_QUEUE, .state = JOBD_STATES};
    struct person asker = person();
    struct jobd_receipt receipt;
    (void)state;
    uint64_t id = ended(jobd, 0, 1), other = ended(jobd, 0, 1);
    pin(jobd, id, 1);
    assert_int_equal(jobd_forget(jobd, id, NULL, 2), JOBD_NEEDED);
    assert_int_equal(jobd_change_all(jobd, JOBD_DROP_ALL, &all, &asker.waiter, 2), JOBD_OK);
    check_engine(jobd);
    assert_int_equal(asker.waiter.tally.matched, 2);
    assert_int_equal(asker.waiter.tally.changed, 1);
    assert_int_equal(state_of(jobd, other), JOBD_STATES);
    /* It may be retried, and end again. */
    assert_int_equal(jobd_retry(jobd, id, NULL, 3, &receipt), JOBD_OK);
    check_engine(jobd);
    assert_int_equal(jobd_cancel(jobd, id, NULL, 3), JOBD_OK);
    check_engine(jobd);
    unpin(jobd, id, 4);
    assert_int_equal(jobd_forget(jobd, id, NULL, 5), JOBD_OK);
    check_engine(jobd);
    jobd_free(jobd);
}

static uint64_t ended_batch(struct jobd *jobd, int64_t now_us)
{
    struct jobd_blob *none[2] = {NULL, NULL};
    struct jobd_receipt receipt;
    const struct jobd_put put = {.batch = none, .batch_len = 2};
    assert_int_equal(jobd_put(jobd, &put, NULL, now_us, &receipt), JOBD_OK);
    for (uint64_t id = receipt.id; id < receipt.id + 2; id++) {
        assert_int_equal(jobd_cancel(jobd, id, NULL, now_us), JOBD_OK);
        assert_int_equal(jobd_forget(jobd, id, NULL, now_us), JOBD_OK);
    }
    check_engine(jobd);
    return receipt.batch;
}

static bool has_batch(struct jobd *jobd, uint64_t id, int64_t now_us)
{
    struct jobd_batch batch;
    return jobd_get_batch(jobd, id, now_us, &batch) == JOBD_OK;
}

static void a_pinned_batch_outlives_its_jobs(void **state)
{
    struct jobd *jobd = open_keeping(KEEP_FOR);
    struct op op;
    (void)state;
    uint64_t id = ended_batch(jobd, 1);
    op_begin(&op, jobd, NULL, 1);
    pin_batch_locked(&op, batches_seen(&jobd->jobs.batches, id), OURS);
    op_end(&op);
    check_engine(jobd);
    for (unsigned i = 0; i <= KEEP; i++)
        (void)ended_batch(jobd, 2);
    assert_true(has_batch(jobd, id, 2 * (int64_t)KEEP_FOR));
    op_begin(&op, jobd, NULL, 3);
    unpin_batch_locked(&op, batches_seen(&jobd->jobs.batches, id), OURS);
    op_end(&op);
    check_engine(jobd);
    assert_true(has_batch(jobd, id, 3));
    for (unsigned i = 0; i < KEEP; i++)
        (void)ended_batch(jobd, 4);
    assert_false(has_batch(jobd, id, 4));
    jobd_free(jobd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pinned_job_outlives_others),
        cmocka_unit_test(a_pinned_job_counts_in_the_memory),
        cmocka_unit_test(time_counts_when_the_pin_is_gone),
        cmocka_unit_test(one_cannot_forget_it_by_hand),
        cmocka_unit_test(a_pinned_batch_outlives_its_jobs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
