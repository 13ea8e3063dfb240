/* SPDX-License-Identifier: MIT */
/* Threads: the pool and calls in the background, from many threads at once. */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/model/check_engine.h"
#include "jobd/call.h"
#include "base/lock.h"
#include "base/verify.h"
#include "run/wait_sync.h"

enum { SECOND_US = 1000000, PATIENCE_US = 20 * SECOND_US };

/* A door that jobs wait at until the test opens it. */
struct door {
    struct mutex lock;
    struct condition changed;
    bool open GUARDED_BY(lock);
    unsigned waiting GUARDED_BY(lock);
};

static void door_init(struct door *door)
{
    memset(door, 0, sizeof *door);
    assert_int_equal(mutex_init(&door->lock), 0);
    assert_int_equal(condition_init(&door->changed), 0);
}

static void door_wait(struct door *door) LOCK_ATTRIBUTE(no_thread_safety_analysis)
{
    mutex_lock(&door->lock);
    door->waiting++;
    pthread_cond_broadcast(&door->changed.os);
    while (!door->open)
        condition_wait(&door->changed, &door->lock);
    mutex_unlock(&door->lock);
}

static void door_open(struct door *door) LOCK_ATTRIBUTE(no_thread_safety_analysis)
{
    mutex_lock(&door->lock);
    door->open = true;
    pthread_cond_broadcast(&door->changed.os);
    mutex_unlock(&door->lock);
}

/* Until so many jobs stand at the door. */
static void door_gather(struct door *door, unsigned jobs) LOCK_ATTRIBUTE(no_thread_safety_analysis)
{
    mutex_lock(&door->lock);
    while (door->waiting < jobs)
        condition_wait(&door->changed, &door->lock);
    mutex_unlock(&door->lock);
}

static void door_release(struct door *door)
{
    condition_release(&door->changed);
    mutex_release(&door->lock);
}

static void stand_at_door(void *argument)
{
    door_wait(argument);
}

/* ---- calls */

struct sum {
    long value;
    char text[40];
};

static _Atomic long total;

static void add_up(void *argument)
{
    const struct sum *sum = argument;
    if (strcmp(sum->text, "copied with all it holds") == 0)
        atomic_fetch_add(&total, sum->value);
}

static void test_call_copies_its_argument(void **state)
{
    struct jobd_pool *pool;
    (void)state;
    atomic_store(&total, 0);
    assert_int_equal(jobd_call_open(&pool, 100, 3), 0);
    for (long i = 1; i <= 100; i++) {
        struct sum sum = {i, "copied with all it holds"};
        assert_int_equal(jobd_call_wait(pool, add_up, &sum, sizeof sum, PATIENCE_US), JOBD_OK);
        memset(&sum, 0, sizeof sum);
    }
    assert_true(jobd_pool_drain(pool, PATIENCE_US));
    assert_int_equal(atomic_load(&total), 5050);
    assert_int_equal(jobd_call(pool, add_up, NULL, 0), JOBD_CLOSED);
    jobd_pool_free(pool);
}

static void test_call_is_bounded(void **state)
{
    struct jobd_pool *pool;
    struct door door;
    (void)state;
    door_init(&door);
    assert_int_equal(jobd_call_open(&pool, 8, 2), 0);
    for (unsigned i = 1; i <= 2; i++) {
        assert_int_equal(jobd_call(pool, stand_at_door, &door, 0), JOBD_OK);
        door_gather(&door, i);
    }
    for (int i = 0; i < 8; i++)
        assert_int_equal(jobd_call(pool, stand_at_door, &door, 0), JOBD_OK);
    assert_int_equal(jobd_call(pool, stand_at_door, &door, 0), JOBD_FULL);
    assert_int_equal(jobd_call_wait(pool, stand_at_door, &door, 0, 1000), JOBD_TIMEOUT);
    assert_false(jobd_pool_drain(pool, 1000));
    door_open(&door);
    assert_true(jobd_pool_drain(pool, PATIENCE_US));
    door_gather(&door, 10);
    jobd_pool_free(pool);
    door_release(&door);
}

static void nothing(void *argument)
{
    (void)argument;
}

static void test_process_pool(void **state)
{
    struct jobd_pool *first, *second;
    (void)state;
    assert_int_equal(jobd_call(NULL, nothing, NULL, 0), JOBD_CLOSED);
    assert_int_equal(jobd_call_open(&first, 4, 1), 0);
    assert_int_equal(jobd_call_open(&second, 4, 1), 0);
    assert_int_equal(jobd_call(NULL, nothing, NULL, 0), JOBD_OK);
    assert_true(jobd_pool_drain(first, PATIENCE_US));
    struct jobd_stats stats;
    jobd_stats(jobd_pool_jobd(first), 0, jobd_now_us(), &stats);
    assert_int_equal(stats.done, 1);
    jobd_pool_free(first);
    assert_int_equal(jobd_call(NULL, nothing, NULL, 0), JOBD_CLOSED);
    jobd_pool_free(second);
}

static _Atomic int products;

static int multiply(int a, long b, double c)
{
    atomic_fetch_add(&products, (int)((double)a * (double)b * c));
    return 0;
}

static void shout(const char *text)
{
    if (strcmp(text, "hey") == 0)
        atomic_fetch_add(&products, 1000);
}

JOBD_BACKGROUND3(multiply, int, long, double)
JOBD_BACKGROUND1(shout, const char *)

static void test_any_signature(void **state)
{
    struct jobd_pool *pool;
    (void)state;
    atomic_store(&products, 0);
    assert_int_equal(jobd_call_open(&pool, 4, 1), 0);
    assert_int_equal(multiply_in_background(2, 3, 1.5), JOBD_OK);
    assert_int_equal(shout_in_background("hey"), JOBD_OK);
    assert_true(jobd_pool_drain(pool, PATIENCE_US));
    assert_int_equal(atomic_load(&products), 1009);
    jobd_pool_free(pool);
}

/* ---- many threads */

enum { PUTTERS = 8, EACH = 3000 };

static _Atomic unsigned char runs[PUTTERS * EACH];
static _Atomic unsigned admitted, refused;

static void run_once(void *argument)
{
    atomic_fetch_add(&runs[*(unsigned *)argument], 1);
}

static void *put_many(void *argument)
{
    unsigned putter = *(unsigned *)argument;
    for (unsigned i = 0; i < EACH; i++) {
        unsigned number = putter * EACH + i;
        /* Every second one waits for room; the others take no for an answer. */
        enum jobd_result result =
            i % 2 == 0 ? jobd_call(NULL, run_once, &number, sizeof number)
                       : jobd_call_wait(NULL, run_once, &number, sizeof number, PATIENCE_US);
        if (result == JOBD_OK)
            atomic_fetch_add(&admitted, 1);
        else if (result == JOBD_FULL && i % 2 == 0)
            atomic_fetch_add(&refused, 1);
        else
            verify(false);
    }
    return NULL;
}

static void test_none_lost_none_twice(void **state)
{
    struct jobd_pool *pool;
    pthread_t threads[PUTTERS];
    unsigned numbers[PUTTERS], ran = 0;
    (void)state;
    assert_int_equal(jobd_call_open(&pool, 8, 4), 0);
    for (unsigned i = 0; i < PUTTERS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, put_many, &numbers[i]), 0);
    }
    for (unsigned i = 0; i < PUTTERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    check_engine(jobd_pool_jobd(pool));
    assert_true(jobd_pool_drain(pool, PATIENCE_US));
    for (unsigned i = 0; i < PUTTERS * EACH; i++) {
        assert_true(runs[i] <= 1);
        ran += runs[i];
    }
    assert_int_equal(ran, admitted);
    assert_int_equal(admitted + refused, PUTTERS * EACH);
    check_engine(jobd_pool_jobd(pool));
    jobd_pool_free(pool);
}

/* ---- stopping */

static _Atomic unsigned stopped_early; /* attempts that were told so before they had begun */

static void sleep_long(const struct jobd_task *task, struct jobd_outcome *outcome, void *context)
{
    struct pollfd stop = {.fd = jobd_stop_descriptor(), .events = POLLIN};
    (void)task;
    atomic_fetch_add(&stopped_early, jobd_stopping() || poll(&stop, 1, 0) != 0);
    door_wait(context);
    if (!jobd_sleep(3600 * (int64_t)SECOND_US) && jobd_stopping() && poll(&stop, 1, 0) == 1)
        outcome->state = JOBD_CANCELLED;
}

static struct jobd_pool *open_sleepers(struct door *door, uint32_t workers)
{
    struct jobd_pool *pool;
    const struct jobd_config config = {
        .queues = &(struct jobd_queue_config){.name = "q", .capacity = 4, .workers = workers},
        .queues_len = 1,
        .keep = 10,
        .memory_bytes = 1000,
        .waiters_max = 10,
        .first_id = 1,
    };
    assert_int_equal(jobd_pool_new(&pool, &config, &(struct jobd_runner){sleep_long, door}), 0);
    assert_int_equal(jobd_pool_start(pool), 0);
    return pool;
}

static uint64_t put_one(struct jobd_pool *pool, int64_t delay_us)
{
    struct jobd_receipt receipt;
    const struct jobd_put put = {.delay_us = delay_us};
    assert_int_equal(jobd_put(jobd_pool_jobd(pool), &put, NULL, jobd_now_us(), &receipt), JOBD_OK);
    return receipt.id;
}

static void test_cancel_reaches_the_runner(void **state)
{
    struct door door;
    struct jobd_info info;
    (void)state;
    door_init(&door);
    door_open(&door);
    struct jobd_pool *pool = open_sleepers(&door, 1);
    struct jobd *jobd = jobd_pool_jobd(pool);
    for (unsigned i = 1; i <= 20; i++) {
        uint64_t id = put_one(pool, 0);
        /* From the second half on without waiting: the stop may come before the start. */
        if (i <= 10)
            door_gather(&door, i);
        (void)jobd_cancel(jobd, id, NULL, jobd_now_us());
    }
    assert_true(jobd_pool_drain(pool, PATIENCE_US));
    struct jobd_stats stats;
    jobd_stats(jobd, 0, jobd_now_us(), &stats);
    assert_int_equal(stats.cancelled, 20);
    assert_int_equal(jobd_get(jobd, 20, &info), JOBD_OK);
    assert_int_equal(info.state, JOBD_CANCELLED);
    jobd_pool_free(pool);
    door_release(&door);
}

/* Its first attempt was told to stop; the one after a retry has the same number. */
static void test_a_retry_is_not_stopped(void **state)
{
    enum { RETRIES = 10 };
    struct door door;
    struct jobd_receipt receipt;
    struct jobd_info info;
    struct wait_sync ended;
    (void)state;
    atomic_store(&stopped_early, 0);
    door_init(&door);
    door_open(&door);
    assert_int_equal(wait_sync_init(&ended), 0);
    struct jobd_pool *pool = open_sleepers(&door, 1);
    struct jobd *jobd = jobd_pool_jobd(pool);
    uint64_t id = put_one(pool, 0);
    for (unsigned i = 1; i <= RETRIES; i++) {
        door_gather(&door, i);
        assert_int_equal(jobd_cancel(jobd, id, NULL, jobd_now_us()), JOBD_STOPPING);
        if (jobd_await(jobd, id, &ended.waiter, &info) == JOBD_PENDING)
            assert_int_equal(wait_sync_until(&ended, jobd, JOBD_NEVER), JOBD_OK);
        assert_int_equal(jobd_retry(jobd, id, NULL, jobd_now_us(), &receipt), JOBD_OK);
    }
    door_gather(&door, RETRIES + 1);
    jobd_pool_free(pool);
    assert_int_equal(atomic_load(&stopped_early), 0);
    wait_sync_release(&ended);
    door_release(&door);
}

static void test_timer_starts_what_is_due(void **state)
{
    struct door door;
    (void)state;
    door_init(&door);
    struct jobd_pool *pool = open_sleepers(&door, 2);
    put_one(pool, 3600 * (int64_t)SECOND_US);
    put_one(pool, 20000); /* earlier than what the timer sleeps for */
    put_one(pool, 10000);
    door_gather(&door, 2);
    door_open(&door);
    jobd_pool_free(pool); /* cancels all three */
    door_release(&door);
}

/* The pool's own threads wait for jobs however many others may wait. */
static void test_workers_always_wait(void **state)
{
    struct door door;
    struct jobd_pool *pool;
    (void)state;
    door_init(&door);
    const struct jobd_config config = {
        .queues = &(struct jobd_queue_config){.name = "q", .capacity = 4, .workers = 3},
        .queues_len = 1,
        .waiters_max = 0,
        .first_id = 1,
    };
    assert_int_equal(jobd_pool_new(&pool, &config, &(struct jobd_runner){sleep_long, &door}), 0);
    assert_int_equal(jobd_pool_start(pool), 0);
    for (unsigned i = 1; i <= 3; i++) {
        put_one(pool, 0);
        door_gather(&door, i);
    }
    door_open(&door);
    jobd_pool_free(pool);
    door_release(&door);
}

static void test_free_before_start(void **state)
{
    struct jobd_pool *pool;
    struct jobd_receipt receipt;
    (void)state;
    const struct jobd_config config = {
        .queues = &(struct jobd_queue_config){.name = "q", .capacity = 1, .workers = 1},
        .queues_len = 1,
        .memory_bytes = 1000,
        .waiters_max = 1,
        .first_id = 1,
    };
    assert_int_equal(jobd_pool_new(&pool, &config, &(struct jobd_runner){sleep_long, NULL}), 0);
    const struct jobd_put put = {.payload = jobd_blob_new(10, "text/plain")};
    assert_int_equal(jobd_put(jobd_pool_jobd(pool), &put, NULL, 1, &receipt), JOBD_OK);
    jobd_pool_free(pool);
}

static void test_example_in_the_readme(void **state)
{
    char line[64];
    unsigned lines = 0;
    (void)state;
    FILE *out = popen(EXAMPLE_BINARY, "r");
    assert_non_null(out);
    while (fgets(line, sizeof line, out) != NULL)
        lines += strncmp(line, "cat.png at ", 11) == 0;
    assert_int_equal(pclose(out), 0);
    assert_int_equal(lines, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_call_copies_its_argument),
        cmocka_unit_test(test_call_is_bounded),
        cmocka_unit_test(test_process_pool),
        cmocka_unit_test(test_any_signature),
        cmocka_unit_test(test_none_lost_none_twice),
        cmocka_unit_test(test_cancel_reaches_the_runner),
        cmocka_unit_test(test_a_retry_is_not_stopped),
        cmocka_unit_test(test_timer_starts_what_is_due),
        cmocka_unit_test(test_workers_always_wait),
        cmocka_unit_test(test_free_before_start),
        cmocka_unit_test(test_example_in_the_readme),
    };
    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
