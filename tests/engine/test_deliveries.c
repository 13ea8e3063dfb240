/* SPDX-License-Identifier: MIT */
/* Deliveries in the engine by itself: when one comes, what it is promised, and what it holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/model/scene.h"
#include "jobd/batch.h"
#include "jobd/change.h"

enum { WORK, DELIVERIES };

#define URL "http://a.example/done"

static struct jobd *open_both(uint32_t capacity, uint32_t keep)
{
    struct jobd *jobd = NULL;
    const struct jobd_queue_config queues[] = {
        {.name = "work", .capacity = 8, .workers = 4},
        {.name = "callbacks",
         .capacity = capacity,
         .workers = 2,
         .attempts = 3,
         .backoff_min_us = SECOND,
         .backoff_max_us = SECOND,
         .deliveries = true},
    };
    const struct jobd_config config = {
        .queues = queues,
        .queues_len = 2,
        .keep = keep,
        .memory_bytes = 100000,
        .waiters_max = 16,
        .leases_max = 4,
        .first_id = 1,
    };
    assert_int_equal(jobd_new(&jobd, &config), 0);
    return jobd;
}

static enum jobd_result try_put(struct jobd *jobd, struct jobd_put put, const char *callback,
                                struct jobd_receipt *receipt)
{
    const struct jobd_terms terms = {.texts[JOBD_CALLBACK] = callback};
    put.priority = JOBD_PRIORITY_DEFAULT;
    put.terms = &terms;
    enum jobd_result result = jobd_put(jobd, &put, NULL, 1, receipt);
    check_engine(jobd);
    return result;
}

static uint64_t put_one(struct jobd *jobd, const char *callback)
{
    struct jobd_receipt receipt;
    assert_int_equal(try_put(jobd, (struct jobd_put){.queue = WORK}, callback, &receipt), JOBD_OK);
    return receipt.id;
}

static uint64_t put_batch(struct jobd *jobd, uint32_t len)
{
    struct jobd_blob *none[8] = {NULL};
    struct jobd_receipt receipt;
    const struct jobd_put put = {.queue = WORK,
                                 .priority = JOBD_PRIORITY_DEFAULT,
                                 .batch = none,
                                 .batch_len = len,
                                 .batch_callback = URL};
    assert_int_equal(jobd_put(jobd, &put, NULL, 1, &receipt), JOBD_OK);
    check_engine(jobd);
    return receipt.batch;
}

/* Takes the next of a queue: its id; 0: there is none. */
static uint64_t take_from(struct jobd *jobd, uint32_t queue, struct person *worker)
{
    *worker = person();
    worker->waiter.at_once = true;
    enum jobd_result result = jobd_take(jobd, queue, &worker->waiter, 2);
    check_engine(jobd);
    return result == JOBD_OK ? worker->waiter.task.id : 0;
}

static void run_from(struct jobd *jobd, uint32_t queue, enum jobd_state state)
{
    struct person worker;
    assert_int_not_equal(take_from(jobd, queue, &worker), 0);
    finish(jobd, &worker.waiter.task, state, 3);
    check_engine(jobd);
}

static struct jobd_stats stats_of(struct jobd *jobd, uint32_t queue)
{
    struct jobd_stats stats;
    jobd_stats(jobd, queue, 3, &stats);
    return stats;
}

/* Whom the next delivery tells of; 0: there is none. It is done by that. */
static int64_t deliver(struct jobd *jobd)
{
    struct person worker;
    struct jobd_info info;
    uint64_t id = take_from(jobd, DELIVERIES, &worker);
    if (id == 0)
        return 0;
    assert_int_equal(jobd_get(jobd, id, &info), JOBD_OK);
    assert_string_equal(jobd_text(worker.waiter.task.words, JOBD_CALLBACK), URL);
    finish(jobd, &worker.waiter.task, JOBD_DONE, 4);
    check_engine(jobd);
    return info.source;
}

static void each_end_brings_one(void **state)
{
    struct jobd *jobd = open_both(10, 10);
    struct jobd_receipt receipt;
    (void)state;
    uint64_t done = put_one(jobd, URL), failed = put_one(jobd, URL);
    run_from(jobd, WORK, JOBD_DONE);
    run_from(jobd, WORK, JOBD_FAILED);
    uint64_t cancelled = put_one(jobd, URL);
    assert_int_equal(jobd_cancel(jobd, cancelled, NULL, 3), JOBD_OK);
    put_one(jobd, NULL);
    run_from(jobd, WORK, JOBD_DONE);
    assert_true(deliver(jobd) == (int64_t)done);
    assert_true(deliver(jobd) == (int64_t)failed);
    assert_true(deliver(jobd) == (int64_t)cancelled);
    assert_true(deliver(jobd) == 0);
    /* one that expires */
    const struct jobd_terms terms = {.expires_us = 10, .texts[JOBD_CALLBACK] = URL};
    const struct jobd_put put = {.queue = WORK, .terms = &terms};
    assert_int_equal(jobd_put(jobd, &put, NULL, 5, &receipt), JOBD_OK);
    (void)jobd_tick(jobd, 10);
    check_engine(jobd);
    assert_true(deliver(jobd) == (int64_t)receipt.id);
    /* and one that ends again */
    assert_int_equal(jobd_retry(jobd, failed, NULL, 11, &receipt), JOBD_OK);
    check_engine(jobd);
    run_from(jobd, WORK, JOBD_DONE);
    assert_true(deliver(jobd) == (int64_t)failed);
    assert_true(deliver(jobd) == 0);
    jobd_free(jobd);
}

/* However little is remembered, its source is until it has ended. */
static void its_source_is_not_forgotten(void **state)
{
    struct jobd *jobd = open_both(10, 0);
    struct jobd_info info;
    (void)state;
    uint64_t id = put_one(jobd, URL);
    run_from(jobd, WORK, JOBD_DONE);
    assert_int_equal(jobd_get(jobd, id, &info), JOBD_OK);
    assert_int_equal(info.state, JOBD_DONE);
    assert_int_equal(jobd_forget(jobd, id, NULL, 3), JOBD_NEEDED);
    assert_true(deliver(jobd) == (int64_t)id);
    assert_int_equal(jobd_get(jobd, id, &info), JOBD_NO_JOB);
    id = put_batch(jobd, 2);
    run_from(jobd, WORK, JOBD_DONE);
    assert_true(deliver(jobd) == 0);
    run_from(jobd, WORK, JOBD_FAILED);
    struct jobd_batch batch;
    assert_int_equal(jobd_get_batch(jobd, id, 3, &batch), JOBD_OK);
    assert_true(deliver(jobd) == -(int64_t)id);
    assert_int_equal(jobd_get_batch(jobd, id, 3, &batch), JOBD_NO_JOB);
    jobd_free(jobd);
}

static void there_is_room_for_what_is_promised(void **state)
{
    struct jobd *jobd = open_both(2, 10);
    struct jobd_receipt receipt;
    (void)state;
    uint64_t id = put_one(jobd, URL);
    put_batch(jobd, 3);
    const struct jobd_put put = {.queue = WORK};
    assert_int_equal(try_put(jobd, put, URL, &receipt), JOBD_CALLBACKS_FULL);
    assert_int_equal(receipt.busy, JOBD_BUSY_CALLBACKS);
    assert_true(receipt.waiting == 2 && receipt.capacity == 2);
    assert_int_equal(stats_of(jobd, DELIVERIES).rejected, 1);
    put_one(jobd, NULL);
    assert_int_equal(jobd_cancel(jobd, id, NULL, 2), JOBD_OK);
    assert_int_equal(try_put(jobd, put, URL, &receipt), JOBD_CALLBACKS_FULL);
    assert_int_equal(jobd_retry(jobd, id, NULL, 2, &receipt), JOBD_CALLBACKS_FULL);
    check_engine(jobd);
    assert_true(deliver(jobd) == (int64_t)id);
    assert_int_equal(jobd_retry(jobd, id, NULL, 2, &receipt), JOBD_OK);
    check_engine(jobd);
    assert_int_equal(try_put(jobd, put, URL, &receipt), JOBD_CALLBACKS_FULL);
    jobd_free(jobd);
}

static void nobody_else_puts_or_takes(void **state)
{
    struct jobd *jobd = open_both(2, 10);
    struct jobd_receipt receipt;
    struct person worker = person();
    uint32_t moved;
    (void)state;
    const struct jobd_put put = {.queue = DELIVERIES};
    assert_int_equal(try_put(jobd, put, NULL, &receipt), JOBD_RESERVED);
    worker.waiter.lease_us = SECOND;
    assert_int_equal(jobd_take(jobd, DELIVERIES, &worker.waiter, 1), JOBD_RESERVED);
    struct jobd_route route = {.from = WORK, .to = DELIVERIES};
    assert_int_equal(jobd_move(jobd, &route, NULL, 1, &moved), JOBD_RESERVED);
    route = (struct jobd_route){.from = DELIVERIES, .to = WORK};
    assert_int_equal(jobd_move(jobd, &route, NULL, 1, &moved), JOBD_RESERVED);
    jobd_free(jobd);
}

/* What was promised is still delivered; what comes later is not. */
static void a_retired_queue_keeps_its_word(void **state)
{
    struct jobd *jobd = open_both(2, 10);
    struct jobd_receipt receipt;
    (void)state;
    uint64_t id = put_one(jobd, URL);
    jobd_queue_retire(jobd, DELIVERIES, 1);
    check_engine(jobd);
    assert_int_equal(try_put(jobd, (struct jobd_put){.queue = WORK}, URL, &receipt),
                     JOBD_NO_CALLBACKS);
    run_from(jobd, WORK, JOBD_DONE);
    assert_true(jobd_queue_gives(jobd, DELIVERIES));
    assert_true(deliver(jobd) == (int64_t)id);
    assert_false(jobd_queue_gives(jobd, DELIVERIES));
    jobd_free(jobd);
}

static void a_failed_one_is_retried_and_finds_its_source(void **state)
{
    struct jobd *jobd = open_both(2, 10);
    struct jobd_receipt receipt;
    struct jobd_info info;
    struct person worker;
    (void)state;
    uint64_t id = put_one(jobd, URL);
    run_from(jobd, WORK, JOBD_DONE);
    uint64_t delivery = take_from(jobd, DELIVERIES, &worker);
    finish(jobd, &worker.waiter.task, JOBD_FAILED, 3);
    assert_int_equal(state_of(jobd, delivery), JOBD_SCHEDULED);
    assert_int_equal(jobd_forget(jobd, id, NULL, 3), JOBD_NEEDED);
    assert_int_equal(jobd_cancel(jobd, delivery, NULL, 3), JOBD_OK);
    check_engine(jobd);
    assert_int_equal(jobd_retry(jobd, delivery, NULL, 4, &receipt), JOBD_OK);
    check_engine(jobd);
    assert_int_equal(jobd_forget(jobd, id, NULL, 4), JOBD_NEEDED);
    assert_true(deliver(jobd) == (int64_t)id);
    assert_int_equal(jobd_forget(jobd, id, NULL, 5), JOBD_OK);
    check_engine(jobd);
    /* without it, it goes in all the same */
    assert_int_equal(jobd_retry(jobd, delivery, NULL, 6, &receipt), JOBD_OK);
    check_engine(jobd);
    assert_true(deliver(jobd) == (int64_t)id);
    assert_int_equal(jobd_get(jobd, id, &info), JOBD_NO_JOB);
    jobd_free(jobd);
}

static void what_takes_its_place_says_who_is_told(void **state)
{
    struct jobd *jobd = open_both(4, 10);
    struct jobd_receipt receipt;
    struct jobd_terms terms = {.unique = JOBD_WHILE_WAITING, .replace = true};
    struct jobd_put put = {.queue = WORK, .key = "k", .terms = &terms};
    (void)state;
    for (int i = 0; i < 5; i++) {
        terms.texts[JOBD_CALLBACK] = i % 2 == 0 ? URL : NULL;
        assert_int_equal(jobd_put(jobd, &put, NULL, 1, &receipt), JOBD_OK);
        assert_true(receipt.replaced == (i > 0));
        check_engine(jobd);
    }
    run_from(jobd, WORK, JOBD_DONE);
    assert_true(deliver(jobd) == (int64_t)receipt.id);
    assert_true(deliver(jobd) == 0);
    jobd_free(jobd);
}

/* A batch whose jobs are retried ends again. */
static void a_batch_ends_again(void **state)
{
    struct jobd *jobd = open_both(4, 10);
    struct jobd_receipt receipt;
    (void)state;
    uint64_t id = put_batch(jobd, 3);
    for (int i = 0; i < 3; i++)
        run_from(jobd, WORK, JOBD_FAILED);
    assert_true(deliver(jobd) == -(int64_t)id);
    assert_int_equal(jobd_retry(jobd, id, NULL, 4, &receipt), JOBD_OK);
    assert_int_equal(jobd_retry(jobd, id + 2, NULL, 4, &receipt), JOBD_OK);
    check_engine(jobd);
    run_from(jobd, WORK, JOBD_DONE);
    assert_true(deliver(jobd) == 0);
    run_from(jobd, WORK, JOBD_DONE);
    assert_true(deliver(jobd) == -(int64_t)id);
    assert_true(deliver(jobd) == 0);
    jobd_free(jobd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_end_brings_one),
        cmocka_unit_test(its_source_is_not_forgotten),
        cmocka_unit_test(there_is_room_for_what_is_promised),
        cmocka_unit_test(nobody_else_puts_or_takes),
        cmocka_unit_test(a_retired_queue_keeps_its_word),
        cmocka_unit_test(a_failed_one_is_retried_and_finds_its_source),
        cmocka_unit_test(what_takes_its_place_says_who_is_told),
        cmocka_unit_test(a_batch_ends_again),
    };
    return cmocka_run_group_tests_name("deliveries", tests, NULL, NULL);
}
