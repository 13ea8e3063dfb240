/* SPDX-License-Identifier: MIT */
/* The engine by itself, its time in the test's hand: order, room, time, memory. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "engine/model/check_engine.h"
#include "engine/model/scene.h"

#define HOUR (INT64_C(3600) * SECOND)
#define YEAR (365 * 24 * HOUR)

static uint32_t purge(struct jobd *jobd, int64_t now_us)
{
    uint32_t purged;
    assert_int_equal(jobd_purge(jobd, 0, NULL, now_us, &purged), JOBD_OK);
    return purged;
}

static void test_capacity_is_exact(void **state)
{
    struct jobd *jobd = open_queue(8, 1, 10, 100);
    struct person worker = person();
    (void)state;
    for (int i = 0; i < 8; i++)
        assert_int_equal(put(jobd, 1), JOBD_OK);
    assert_int_equal(put(jobd, 1), JOBD_FULL);
    assert_int_equal(take(jobd, &worker, 2), 1);
    assert_int_equal(put(jobd, 3), JOBD_OK);
    assert_int_equal(put(jobd, 3), JOBD_FULL);
    assert_int_equal(jobd_cancel(jobd, 5, NULL, 4), JOBD_OK); /* from the middle of the ring */
    assert_int_equal(put(jobd, 5), JOBD_OK);
    assert_int_equal(put(jobd, 5), JOBD_FULL);
    finish(jobd, &worker.waiter.task, JOBD_DONE, 6);
    assert_int_equal(put(jobd, 6), JOBD_FULL); /* an end frees a worker, not a slot */
    jobd_free(jobd);
}

static void test_slots_outlive_many_cancels(void **state)
{
    struct jobd *jobd = open_queue(3, 1, 0, 100);
    (void)state;
    assert_int_equal(put(jobd, 1), JOBD_OK); /* stays at the head of the ring */
    for (uint64_t id = 2; id < 1000; id++) {
        assert_int_equal(put(jobd, 1), JOBD_OK);
        assert_int_equal(jobd_cancel(jobd, id, NULL, 1), JOBD_OK);
        assert_int_equal(state_of(jobd, id), JOBD_STATES); /* keep 0: forgotten at once */
    }
    check_engine(jobd);
    assert_int_equal(state_of(jobd, 1), JOBD_QUEUED);
    jobd_free(jobd);
}

static void test_priorities_then_order(void **state)
{
    static const uint8_t priorities[] = {3, 7, 0, 3, 0};
    static const uint64_t order[] = {3, 5, 1, 4, 2};
    struct jobd *jobd = open_queue(8, 1, 10, 100);
    (void)state;
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(put_with(jobd, (struct jobd_put){.priority = priorities[i]}, 1), JOBD_OK);
    for (size_t i = 0; i < 5; i++) {
        struct person worker = person();
        assert_int_equal(take(jobd, &worker, 2), order[i]);
        finish(jobd, &worker.waiter.task, JOBD_DONE, 2);
    }
    jobd_free(jobd);
}

static void test_delays_over_a_year(void **state)
{
    struct jobd *jobd = open_queue(400, 1, 10, 100);
    (void)state;
    for (int64_t day = 365; day >= 1; day--)
        assert_int_equal(put_with(jobd, (struct jobd_put){.delay_us = day * 24 * HOUR}, 1),
                         JOBD_OK);
    assert_int_equal(jobd_tick(jobd, 1), 1 + 24 * HOUR);
    for (uint64_t day = 1; day <= 365; day++) {
        int64_t now_us = 1 + (int64_t)day * 24 * HOUR;
        assert_int_equal(state_of(jobd, 366 - day), JOBD_SCHEDULED);
        int64_t next_us = jobd_tick(jobd, now_us);
        assert_true(next_us == (day < 365 ? now_us + 24 * HOUR : JOBD_NEVER));
        assert_int_equal(state_of(jobd, 366 - day), JOBD_QUEUED);
    }
    check_engine(jobd);
    assert_int_equal(purge(jobd, YEAR), 365);
    jobd_free(jobd);
}

static void test_takers_in_their_order(void **state)
{
    struct jobd *jobd = open_queue(8, 3, 10, 100);
    struct person takers[3] = {person(), person(), person()};
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(jobd_take(jobd, 0, &takers[i].waiter, 1), JOBD_PENDING);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(put(jobd, 1), JOBD_OK);
        for (unsigned k = 0; k < 3; k++)
            assert_int_equal(takers[k].woken, k <= i);
        assert_int_equal(takers[i].waiter.task.id, i + 1);
    }
    for (int i = 0; i < 3; i++)
        finish(jobd, &takers[i].waiter.task, JOBD_DONE, 2);
    jobd_free(jobd);
}

static void test_room_in_order_of_coming(void **state)
{
    struct jobd *jobd = open_queue(1, 1, 10, 100);
    struct person put_waiters[2] = {person(), person()}, worker = person();
    struct jobd_receipt receipt;
    const struct jobd_put one = {.priority = 3};
    (void)state;
    assert_int_equal(put(jobd, 1), JOBD_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(jobd_put_wait(jobd, &one, &put_waiters[i].waiter, 1, &receipt),
                         JOBD_PENDING);
    take(jobd, &worker, 2);
    assert_int_equal(put_waiters[0].woken, 1);
    assert_int_equal(put_waiters[0].waiter.result, JOBD_OK);
    assert_int_equal(put_waiters[0].waiter.receipt.id, 2);
    assert_int_equal(put_waiters[1].woken, 0);
    jobd_close(jobd);
    assert_int_equal(put_waiters[1].waiter.result, JOBD_CLOSED);
    assert_int_equal(put(jobd, 3), JOBD_CLOSED);
    finish(jobd, &worker.waiter.task, JOBD_FAILED, 4);
    check_engine(jobd);
    jobd_free(jobd);
}

static void test_deadlines(void **state)
{
    struct jobd *jobd = open_queue(1, 1, 10, 100);
    struct person take_waiter = person(), watcher = person();
    struct jobd_info info;
    (void)state;
    take_waiter.waiter.deadline_us = 5 * SECOND;
    assert_int_equal(jobd_take(jobd, 0, &take_waiter.waiter, 1), JOBD_PENDING);
    assert_true(jobd_tick(jobd, 5 * SECOND - 1) == 5 * SECOND);
    assert_int_equal(take_waiter.woken, 0);
    assert_true(jobd_tick(jobd, 5 * SECOND) == JOBD_NEVER);
    assert_int_equal(take_waiter.woken, 1);
    assert_int_equal(take_waiter.waiter.result, JOBD_TIMEOUT);
    assert_false(jobd_cancel_wait(jobd, &take_waiter.waiter));

    assert_int_equal(put(jobd, 6 * SECOND), JOBD_OK);
    watcher.waiter.deadline_us = 7 * SECOND;
    assert_int_equal(jobd_await(jobd, 1, &watcher.waiter, &info), JOBD_PENDING);
    assert_int_equal(jobd_cancel(jobd, 1, NULL, 6 * SECOND), JOBD_OK);
    assert_int_equal(watcher.waiter.result, JOBD_OK);
    assert_int_equal(watcher.waiter.info.state, JOBD_CANCELLED);
    assert_int_equal(jobd_await(jobd, 1, &watcher.waiter, &info), JOBD_OK);
    assert_int_equal(jobd_await(jobd, 2, &watcher.waiter, &info), JOBD_NO_JOB);
    jobd_free(jobd);
}

static void test_what_is_forgotten(void **state)
{
    struct jobd *jobd = open_queue(10, 1, 2, 100);
    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        struct person worker = person();
        put(jobd, 1);
        take(jobd, &worker, 1);
        finish(jobd, &worker.waiter.task, i % 2 == 0 ? JOBD_DONE : JOBD_FAILED, 2);
    }
    for (uint64_t id = 1; id <= 4; id++)
        assert_int_equal(state_of(jobd, id), JOBD_STATES);
    for (uint64_t id = 5; id <= 8; id++)
        assert_int_equal(state_of(jobd, id), id % 2 == 1 ? JOBD_DONE : JOBD_FAILED);
    check_engine(jobd);
    jobd_free(jobd);
}

static void test_memory_forgets_the_finished_only(void **state)
{
    struct jobd *jobd = open_queue(10, 1, 10, 100);
    struct person worker = person();
    (void)state;
    assert_int_equal(put_with(jobd, (struct jobd_put){.payload = jobd_blob_new(60, NULL)}, 1),
                     JOBD_OK);
    assert_int_equal(put_with(jobd, (struct jobd_put){.payload = jobd_blob_new(60, NULL)}, 1),
                     JOBD_OUT_OF_MEMORY);
    take(jobd, &worker, 1);
    assert_int_equal(put_with(jobd, (struct jobd_put){.payload = jobd_blob_new(60, NULL)}, 1),
                     JOBD_OUT_OF_MEMORY);
    finish(jobd, &worker.waiter.task, JOBD_DONE, 2);
    assert_int_equal(jobd_memory(jobd), 60);
    assert_int_equal(put_with(jobd, (struct jobd_put){.payload = jobd_blob_new(101, NULL)}, 3),
                     JOBD_OUT_OF_MEMORY);
    assert_int_equal(state_of(jobd, 1), JOBD_DONE); /* in vain: so nothing is forgotten */
    assert_int_equal(put_with(jobd, (struct jobd_put){.payload = jobd_blob_new(60, NULL)}, 3),
                     JOBD_OK);
    assert_int_equal(state_of(jobd, 1), JOBD_STATES);
    assert_int_equal(jobd_memory(jobd), 60);
    jobd_free(jobd);
}

static void test_a_payload_outlives_its_job(void **state)
{
    struct jobd *jobd = open_queue(1, 1, 0, 100);
    struct jobd_blob *blob = jobd_blob_new(3, "text/plain"), *seen;
    (void)state;
    memcpy(blob->bytes, "abc", 3);
    assert_int_equal(put_with(jobd, (struct jobd_put){.payload = blob}, 1), JOBD_OK);
    assert_int_equal(jobd_get_blob(jobd, 1, JOBD_PAYLOAD, &seen), JOBD_OK);
    assert_int_equal(jobd_cancel(jobd, 1, NULL, 2), JOBD_OK);
    assert_memory_equal(seen->bytes, "abc", 3);
    assert_string_equal(seen->type, "text/plain");
    jobd_blob_unref(seen);
    assert_int_equal(jobd_get_blob(jobd, 1, JOBD_PAYLOAD, &seen), JOBD_NO_JOB);
    jobd_free(jobd);
}

static void test_retry_after_is_measured(void **state)
{
    struct jobd *jobd = open_queue(2, 1, 10, 100);
    struct jobd_receipt receipt;
    const struct jobd_put one = {.priority = 3};
    int64_t now_us = SECOND;
    (void)state;
    /* One job every four seconds, and always some waiting. */
    for (int i = 0; i < 100; i++) {
        struct person worker = person();
        while (put(jobd, now_us) == JOBD_OK)
            ;
        take(jobd, &worker, now_us);
        put(jobd, now_us);
        now_us += 4 * SECOND;
        finish(jobd, &worker.waiter.task, JOBD_DONE, now_us);
    }
    struct person worker = person();
    take(jobd, &worker, now_us);
    put(jobd, now_us);
    assert_int_equal(jobd_put(jobd, &one, NULL, now_us, &receipt), JOBD_FULL);
    assert_int_equal(receipt.room_in_us, 4 * SECOND);
    struct jobd_blob *lines[] = {NULL, NULL};
    const struct jobd_put two = {.priority = 3, .batch = lines, .batch_len = 2};
    assert_int_equal(jobd_put(jobd, &two, NULL, now_us, &receipt), JOBD_FULL);
    assert_int_equal(receipt.room_in_us, 8 * SECOND);
    const struct jobd_filter queued = {.queue = 0, .state = JOBD_QUEUED};
    struct jobd_info info;
    uint64_t next;
    assert_int_equal(jobd_list(jobd, &queued, &info, 1, &next), 1);
    assert_int_equal(jobd_cancel(jobd, info.id, NULL, now_us), JOBD_OK);
    assert_int_equal(jobd_put(jobd, &two, NULL, now_us, &receipt), JOBD_FULL);
    assert_int_equal(receipt.room_in_us, 4 * SECOND); /* one of the two is there */
    assert_int_equal(put(jobd, now_us), JOBD_OK);
    assert_int_equal(jobd_put(jobd, &one, NULL, now_us + 3 * SECOND, &receipt), JOBD_FULL);
    assert_int_equal(receipt.room_in_us, SECOND);
    /* Overdue: late by as much again. */
    assert_int_equal(jobd_put(jobd, &one, NULL, now_us + 60 * SECOND, &receipt), JOBD_FULL);
    assert_int_equal(receipt.room_in_us, 56 * SECOND);
    struct jobd_stats stats;
    jobd_stats(jobd, 0, now_us, &stats);
    assert_true(stats.drain_per_s > 0.249 && stats.drain_per_s < 0.251);
    finish(jobd, &worker.waiter.task, JOBD_DONE, now_us);
    jobd_free(jobd);
}

static void test_pause_and_purge(void **state)
{
    struct jobd *jobd = open_queue(600, 1, 1000, 100);
    struct person worker = person();
    (void)state;
    assert_int_equal(jobd_pause(jobd, 0, true, NULL, 1), JOBD_OK);
    for (int i = 0; i < 600; i++)
        put_with(jobd,
                 (struct jobd_put){.priority = (uint8_t)(i % 8), .delay_us = i % 3 == 0 ? HOUR : 0},
                 1);
    assert_int_equal(jobd_take(jobd, 0, &worker.waiter, 1), JOBD_PENDING);
    assert_int_equal(purge(jobd, 2), 600); /* more than one lock's worth */
    check_engine(jobd);
    put(jobd, 3);
    assert_int_equal(worker.woken, 0);
    assert_int_equal(jobd_pause(jobd, 0, false, NULL, 4), JOBD_OK);
    assert_int_equal(worker.woken, 1);
    finish(jobd, &worker.waiter.task, JOBD_DONE, 5);
    jobd_free(jobd);
}

static void test_abandon_tells_all(void **state)
{
    struct jobd *jobd = open_queue(4, 2, 10, 100);
    struct person workers[2] = {person(), person()}, idle_waiter = person();
    (void)state;
    for (int i = 0; i < 4; i++)
        put(jobd, 1);
    take(jobd, &workers[0], 1);
    take(jobd, &workers[1], 1);
    jobd_close(jobd);
    assert_int_equal(jobd_await_idle(jobd, &idle_waiter.waiter), JOBD_PENDING);
    jobd_cancel_all(jobd, 2);
    assert_int_equal(jobd_cancel(jobd, 1, NULL, 2), JOBD_STOPPING);
    assert_int_equal(workers[0].stopped, 2); /* told again, as asked again */
    assert_int_equal(workers[1].stopped, 1);
    finish(jobd, &workers[0].waiter.task, JOBD_CANCELLED, 3);
    assert_int_equal(idle_waiter.woken, 0);
    finish(jobd, &workers[1].waiter.task, JOBD_DONE, 3);
    assert_int_equal(idle_waiter.woken, 1);
    assert_int_equal(jobd_await_idle(jobd, &idle_waiter.waiter), JOBD_OK);
    jobd_stop_takers(jobd);
    assert_int_equal(jobd_take(jobd, 0, &workers[0].waiter, 4), JOBD_CLOSED);
    jobd_free(jobd);
}

static void test_waits_have_an_end(void **state)
{
    struct jobd *jobd = open_queue(4, 0, 10, 100);
    struct jobd_info info;
    struct person early = person(), late = person(), untimed = person();
    (void)state;
    put(jobd, 1);
    early.waiter.deadline_us = late.waiter.deadline_us = 1000;
    assert_int_equal(jobd_await(jobd, 1, &early.waiter, &info), JOBD_PENDING);
    assert_int_equal(jobd_await(jobd, 1, &untimed.waiter, &info), JOBD_PENDING);
    jobd_stop_waits(jobd);
    assert_int_equal(early.woken, 1);
    assert_int_equal(early.waiter.result, JOBD_TIMEOUT);
    assert_int_equal(untimed.woken, 0);
    assert_int_equal(jobd_await(jobd, 1, &late.waiter, &info), JOBD_TIMEOUT);
    assert_int_equal(jobd_cancel(jobd, 1, NULL, 2), JOBD_OK);
    assert_int_equal(untimed.woken, 1);
    assert_int_equal(jobd_await(jobd, 1, &late.waiter, &info), JOBD_OK);
    jobd_free(jobd);
}

static void test_list_pages(void **state)
{
    struct jobd *jobd = open_queue(1000, 1, 1000, 100);
    struct jobd_info infos[100];
    struct jobd_filter filter = {.queue = JOBD_NO_QUEUE, .state = JOBD_QUEUED};
    uint64_t expected = 1, next;
    (void)state;
    for (int i = 0; i < 1000; i++)
        put(jobd, 1);
    for (uint64_t id = 3; id <= 1000; id += 3)
        jobd_cancel(jobd, id, NULL, 2);
    do {
        size_t len = jobd_list(jobd, &filter, infos, 100, &next);
        for (size_t i = 0; i < len; i++) {
            assert_int_equal(infos[i].id, expected);
            expected += expected % 3 == 2 ? 2 : 1;
        }
        filter.after = next;
    } while (next != 0);
    assert_int_equal(expected, 1001);
    filter = (struct jobd_filter){.queue = 0, .state = JOBD_CANCELLED, .after = 990};
    assert_int_equal(jobd_list(jobd, &filter, infos, 100, &next), 3);
    assert_int_equal(infos[0].id, 993);
    assert_int_equal(next, 0);
    jobd_free(jobd);
}

/* 30,000 jobs wait in the first queue, and behind each 1000 of them one in the second. */
static struct jobd *open_crowd(void)
{
    enum { BATCH = 1000, BATCHES = 30 };
    static struct jobd_blob *batch[BATCH];
    struct jobd *jobd = NULL;
    struct jobd_receipt receipt;
    const struct jobd_queue_config queues[] = {{.name = "crowd", .capacity = BATCH * BATCHES},
                                               {.name = "few", .capacity = BATCHES}};
    const struct jobd_config config = {
        .queues = queues, .queues_len = 2, .keep = 2000, .memory_bytes = 100, .first_id = 1};
    const struct jobd_put crowd = {.queue = 0, .batch = batch, .batch_len = BATCH};
    const struct jobd_put one = {.queue = 1};
    assert_int_equal(jobd_new(&jobd, &config), 0);
    for (int i = 0; i < BATCHES; i++) {
        assert_int_equal(jobd_put(jobd, &crowd, NULL, 1, &receipt), JOBD_OK);
        assert_int_equal(jobd_put(jobd, &one, NULL, 1, &receipt), JOBD_OK);
    }
    return jobd;
}

static void test_a_page_costs_little(void **state)
{
    struct jobd *jobd = open_crowd();
    struct jobd_filter filter = {.queue = 1, .state = JOBD_STATES};
    struct jobd_info infos[100];
    uint64_t expected = 1001, next;
    unsigned pages = 0;
    (void)state;
    do {
        size_t len = jobd_list(jobd, &filter, infos, 100, &next);
        assert_in_range(len, 0, 15);
        for (size_t i = 0; i < len; i++, expected += 1001)
            assert_int_equal(infos[i].id, expected);
        assert_true(next == 0 || next > filter.after);
        filter.after = next;
        pages++;
    } while (next != 0);
    assert_int_equal(expected, 31 * 1001);
    assert_in_range(pages, 3, 6);
    jobd_free(jobd);
}

static void test_a_rare_state_is_one_page(void **state)
{
    struct jobd *jobd = open_crowd();
    static struct jobd_info infos[1500];
    struct jobd_filter filter = {.queue = JOBD_NO_QUEUE, .state = JOBD_CANCELLED};
    uint64_t next, id;
    size_t len, found = 0;
    (void)state;
    for (id = 30030; id > 30000; id -= 3) /* the last to end is the first of the page */
        assert_int_equal(jobd_cancel(jobd, id, NULL, 2), JOBD_OK);
    assert_int_equal(jobd_list(jobd, &filter, infos, 4, &next), 4);
    assert_int_equal(next, infos[3].id);
    for (int i = 0; i < 4; i++)
        assert_int_equal(infos[i].id, 30003 + 3 * i);
    filter.after = next;
    assert_int_equal(jobd_list(jobd, &filter, infos, 6, &next), 6);
    assert_int_equal(next, 0);
    assert_int_equal(infos[5].id, 30030);
    filter.queue = 1;
    assert_int_equal(jobd_list(jobd, &filter, infos, 6, &next), 1);
    assert_int_equal(infos[0].id, 30030);
    filter.state = JOBD_RUNNING;
    assert_int_equal(jobd_list(jobd, &filter, infos, 6, &next), 0);
    assert_int_equal(next, 0);
    /* More than are gathered. */
    filter = (struct jobd_filter){.queue = 0, .state = JOBD_CANCELLED};
    for (id = 20; id <= 29800; id += 20)
        assert_int_equal(jobd_cancel(jobd, id, NULL, 3), JOBD_OK);
    id = 0;
    do {
        len = jobd_list(jobd, &filter, infos, 1500, &next);
        for (size_t i = 0; i < len; i++) {
            assert_true(infos[i].id > id && infos[i].state == JOBD_CANCELLED);
            id = infos[i].id;
        }
        found += len;
        filter.after = next;
    } while (next != 0);
    assert_int_equal(found, 29800 / 20 - 1 + 9); /* 20020 is the second queue's, as is 30030 */
    jobd_free(jobd);
}

static void test_bad_configurations(void **state)
{
    struct jobd *jobd = NULL;
    struct jobd_queue_config queue = {.name = "q", .capacity = 1, .workers = 1};
    struct jobd_config config = {.queues = &queue, .queues_len = 1, .first_id = 1};
    (void)state;
    queue.capacity = 0;
    assert_int_equal(jobd_new(&jobd, &config), -EINVAL);
    queue = (struct jobd_queue_config){.name = "", .capacity = 1, .workers = 1};
    assert_int_equal(jobd_new(&jobd, &config), -EINVAL);
    queue = (struct jobd_queue_config){.name = "q", .capacity = UINT32_MAX, .workers = 1};
    assert_int_equal(jobd_new(&jobd, &config), -EINVAL);
    queue.capacity = 1;
    config.first_id = 0;
    assert_int_equal(jobd_new(&jobd, &config), -EINVAL);
    assert_null(jobd);
    jobd_free(NULL);
}

/* Whoever reads the clock, and then waits for the lock, comes later than those who had it
 * meanwhile. */
static void test_time_does_not_go_back(void **state)
{
    struct jobd *jobd = open_queue(2, 1, 2, 1 << 20);
    struct person worker = person();
    struct jobd_info info;
    (void)state;
    assert_int_equal(put(jobd, 7 * SECOND), JOBD_OK);
    const uint64_t id = take(jobd, &worker, 6 * SECOND);
    finish(jobd, &worker.waiter.task, JOBD_DONE, 5 * SECOND);
    assert_int_equal(jobd_get(jobd, id, &info), JOBD_OK);
    assert_true(info.created_us <= info.started_us && info.started_us <= info.finished_us);
    jobd_free(jobd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_capacity_is_exact),
        cmocka_unit_test(test_slots_outlive_many_cancels),
        cmocka_unit_test(test_priorities_then_order),
        cmocka_unit_test(test_delays_over_a_year),
        cmocka_unit_test(test_takers_in_their_order),
        cmocka_unit_test(test_room_in_order_of_coming),
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_what_is_forgotten),
        cmocka_unit_test(test_memory_forgets_the_finished_only),
        cmocka_unit_test(test_a_payload_outlives_its_job),
        cmocka_unit_test(test_retry_after_is_measured),
        cmocka_unit_test(test_pause_and_purge),
        cmocka_unit_test(test_abandon_tells_all),
        cmocka_unit_test(test_waits_have_an_end),
        cmocka_unit_test(test_list_pages),
        cmocka_unit_test(test_a_page_costs_little),
        cmocka_unit_test(test_a_rare_state_is_one_page),
        cmocka_unit_test(test_bad_configurations),
        cmocka_unit_test(test_time_does_not_go_back),
    };
    return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
