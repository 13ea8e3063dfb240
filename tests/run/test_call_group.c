/* SPDX-License-Identifier: MIT */
/* Groups of function calls: ids, results, ends that are waited for, from many threads at once. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/event.h"
#include "base/lock.h"
#include "base/verify.h"
#include "engine/model/check_engine.h"
#include "jobd/call.h"
#include "jobd/group.h"

enum { PATIENCE_US = 20 * 1000000 };

static struct jobd_pool *pool;
static struct jobd_group *group;

static void open_group(uint32_t capacity, uint32_t workers, uint32_t calls)
{
    assert_int_equal(jobd_call_open(&pool, capacity, workers), 0);
    assert_int_equal(jobd_group_new(&group, pool, calls), 0);
}

static void close_group(void)
{
    jobd_group_free(group);
    check_engine(jobd_pool_jobd(pool));
    jobd_pool_free(pool);
}

static bool is_readable(int fd, int wait_ms)
{
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    return poll(&polled, 1, wait_ms) == 1;
}

/* ---- functions that are called */

struct text {
    char bytes[32];
};

static void *count(void *argument)
{
    const struct text *text = argument;
    return (void *)(uintptr_t)strlen(text->bytes);
}

static void *same(void *argument)
{
    return argument;
}

/* Its argument is set when it runs, and it returns when it is told to stop. */
static void *run_until_told(void *argument)
{
    struct pollfd stop = {.fd = jobd_stop_descriptor(), .events = POLLIN};
    event_set(*(int *)argument);
    while (!jobd_stopping())
        (void)poll(&stop, 1, -1);
    return argument;
}

static uint64_t call(void *(*function)(void *), void *argument)
{
    uint64_t id = 0;
    assert_int_equal(jobd_group_call(group, function, argument, 0, &id), JOBD_OK);
    assert_int_not_equal(id, 0);
    return id;
}

/* A call that runs: the worker is busy until it is told to stop. */
static uint64_t occupy(int *runs)
{
    *runs = event_new();
    assert_true(*runs >= 0);
    uint64_t id = call(run_until_told, runs);
    assert_true(is_readable(*runs, -1));
    return id;
}

/* ---- results */

static void a_result(void **state)
{
    struct jobd_end end;
    struct text text = {"copied"};
    uint64_t id;
    (void)state;
    open_group(10, 1, 10);
    assert_int_equal(jobd_group_call(group, count, &text, sizeof text, &id), JOBD_OK);
    memset(&text, 0, sizeof text);
    assert_int_equal(jobd_group_await(group, id, PATIENCE_US, &end), JOBD_OK);
    assert_int_equal(end.id, id);
    assert_int_equal(end.state, JOBD_DONE);
    assert_int_equal((uintptr_t)end.result, strlen("copied"));
    assert_null(end.argument);
    assert_int_equal(jobd_group_await(group, id, PATIENCE_US, &end), JOBD_NO_JOB);
    assert_int_equal(jobd_group_cancel(group, id), JOBD_NO_JOB);

    id = call(same, &text);
    assert_int_equal(jobd_group_next(group, PATIENCE_US, &end), JOBD_OK);
    assert_int_equal(end.id, id);
    assert_ptr_equal(end.result, &text);
    assert_ptr_equal(end.argument, &text);
    assert_int_equal(jobd_group_next(group, PATIENCE_US, &end), JOBD_NO_JOB);
    close_group();
}

static void without_an_id(void **state)
{
    struct jobd_end end;
    uintptr_t sum = 0;
    (void)state;
    open_group(100, 2, 100);
    for (uintptr_t i = 1; i <= 100; i++)
        while (jobd_group_call(group, same, (void *)i, 0, NULL) == JOBD_FULL)
            ;
    assert_int_equal(jobd_group_wait(group, PATIENCE_US), JOBD_OK);
    while (jobd_group_next(group, 0, &end) == JOBD_OK)
        sum += (uintptr_t)end.result;
    assert_int_equal(sum, 5050);
    close_group();
}

static void what_cannot_be(void **state)
{
    struct jobd_end end;
    struct jobd_group *none;
    (void)state;
    assert_int_equal(jobd_group_new(&none, NULL, 1), -EINVAL); /* there is no pool */
    open_group(1, 1, 1);
    assert_int_equal(jobd_group_new(&none, NULL, 0), -EINVAL);
    assert_int_equal(jobd_group_call(group, same, NULL, SIZE_MAX, NULL), JOBD_OUT_OF_MEMORY);
    assert_int_equal(jobd_group_await(group, 0, 0, &end), JOBD_NO_JOB);
    assert_int_equal(jobd_group_await(group, 17, JOBD_NEVER, &end), JOBD_NO_JOB);
    assert_int_equal(jobd_group_next(group, JOBD_NEVER, &end), JOBD_NO_JOB);
    assert_int_equal(jobd_group_wait(group, 0), JOBD_OK);
    jobd_group_free(NULL);
    assert_true(jobd_pool_drain(pool, PATIENCE_US));
    assert_int_equal(jobd_group_call(group, same, NULL, 0, NULL), JOBD_CLOSED);
    close_group();
}

/* ---- bounds */

static void at_most_so_many(void **state)
{
    struct jobd_end end;
    (void)state;
    open_group(10, 1, 2);
    call(same, NULL);
    call(same, NULL);
    assert_int_equal(jobd_group_wait(group, PATIENCE_US), JOBD_OK);
    assert_int_equal(jobd_group_call(group, same, NULL, 0, NULL), JOBD_FULL);
    assert_int_equal(jobd_group_next(group, 0, &end), JOBD_OK);
    call(same, NULL);
    assert_int_equal(jobd_group_call(group, same, NULL, 0, NULL), JOBD_FULL);
    close_group();
}

static void a_queue_that_is_full(void **state)
{
    int runs;
    (void)state;
    open_group(1, 1, 10);
    uint64_t first = occupy(&runs);
    uint64_t second = call(same, NULL);
    assert_int_equal(jobd_group_call(group, same, NULL, 0, NULL), JOBD_FULL);
    assert_int_equal(jobd_group_cancel(group, second), JOBD_OK);
    call(same, NULL);
    assert_int_equal(jobd_group_cancel(group, first), JOBD_STOPPING);
    close_group();
    close(runs);
}

/* ---- cancelling */

static void cancelled(void **state)
{
    struct jobd_end end;
    int runs;
    (void)state;
    open_group(10, 1, 10);
    uint64_t running = occupy(&runs);
    uint64_t waiting = call(same, &runs);
    assert_int_equal(jobd_group_cancel(group, waiting), JOBD_OK);
    assert_int_equal(jobd_group_cancel(group, waiting), JOBD_FINISHED);
    assert_int_equal(jobd_group_await(group, waiting, 0, &end), JOBD_OK);
    assert_int_equal(end.state, JOBD_CANCELLED);
    assert_null(end.result);
    assert_ptr_equal(end.argument, &runs);

    assert_int_equal(jobd_group_await(group, running, 0, &end), JOBD_TIMEOUT);
    assert_int_equal(jobd_group_await(group, running, 1000, &end), JOBD_TIMEOUT);
    assert_int_equal(jobd_group_wait(group, 1000), JOBD_TIMEOUT);
    assert_int_equal(jobd_group_next(group, 1000, &end), JOBD_TIMEOUT);
    assert_int_equal(jobd_group_cancel(group, running), JOBD_STOPPING);
    assert_int_equal(jobd_group_await(group, running, PATIENCE_US, &end), JOBD_OK);
    assert_int_equal(end.state, JOBD_DONE);
    assert_ptr_equal(end.result, &runs);
    close_group();
    close(runs);
}

/* What waits, what runs, and ends that nobody has taken. */
static void freed_with_all_it_has(void **state)
{
    int runs;
    (void)state;
    open_group(10, 1, 10);
    call(same, NULL);
    occupy(&runs);
    for (int i = 0; i < 5; i++)
        call(same, NULL);
    close_group();
    close(runs);
}

static void the_pool_goes_first(void **state)
{
    struct jobd_end end;
    int runs;
    unsigned cancelled = 0;
    (void)state;
    open_group(10, 1, 10);
    uint64_t first = occupy(&runs);
    for (int i = 0; i < 5; i++)
        call(same, NULL);
    jobd_pool_free(pool);
    assert_int_equal(jobd_group_wait(group, 0), JOBD_OK);
    assert_int_equal(jobd_group_await(group, first, 0, &end), JOBD_OK);
    assert_ptr_equal(end.result, &runs);
    while (jobd_group_next(group, 0, &end) == JOBD_OK)
        cancelled += end.state == JOBD_CANCELLED;
    assert_int_equal(cancelled, 5);
    jobd_group_free(group);
    close(runs);
}

/* ---- poll */

static void readable_while_there_are_ends(void **state)
{
    struct jobd_end end;
    (void)state;
    open_group(10, 1, 10);
    int fd = jobd_group_descriptor(group);
    assert_true(fd >= 0);
    assert_int_equal(jobd_group_descriptor(group), fd);
    assert_false(is_readable(fd, 0));
    uint64_t first = call(same, NULL), second = call(same, NULL);
    assert_true(is_readable(fd, -1));
    assert_int_equal(jobd_group_wait(group, PATIENCE_US), JOBD_OK);
    assert_int_equal(jobd_group_await(group, second, 0, &end), JOBD_OK);
    assert_true(is_readable(fd, 0));
    assert_int_equal(jobd_group_await(group, first, 0, &end), JOBD_OK);
    assert_false(is_readable(fd, 0));
    close_group();
}

static void asked_for_late(void **state)
{
    (void)state;
    open_group(10, 1, 10);
    call(same, NULL);
    assert_int_equal(jobd_group_wait(group, PATIENCE_US), JOBD_OK);
    assert_true(is_readable(jobd_group_descriptor(group), 0));
    close_group();
}

/* ---- many threads */

enum { THREADS = 4, EACH = 5000, AT_ONCE = 16 };

static _Atomic uint64_t taken, made, dropped;

static void take_one(int64_t wait_us)
{
    struct jobd_end end;
    if (jobd_group_next(group, wait_us, &end) != JOBD_OK)
        return;
    verify((end.state == JOBD_DONE) == (end.result != NULL));
    verify(end.result == NULL || end.result == end.argument);
    atomic_fetch_add(&taken, 1);
    atomic_fetch_add(end.state == JOBD_DONE ? &made : &dropped, 1);
}

/* Calls, cancels every third, and takes what has ended, whoever called it. */
static void *use(void *argument)
{
    const uint64_t first = *(const uint64_t *)argument;
    for (uint64_t i = 0; i < EACH; i++) {
        uint64_t id;
        void *number = (void *)(uintptr_t)(first + i + 1);
        enum jobd_result result;
        while ((result = jobd_group_call(group, same, number, 0, &id)) == JOBD_FULL)
            take_one(1000);
        verify(result == JOBD_OK);
        if (i % 3 == 0)
            (void)jobd_group_cancel(group, id);
        if (i % 5 == 0)
            take_one(0);
    }
    return NULL;
}

static void none_lost_none_twice(void **state)
{
    pthread_t threads[THREADS];
    uint64_t first[THREADS];
    (void)state;
    open_group(8, 2, AT_ONCE);
    int fd = jobd_group_descriptor(group);
    for (unsigned i = 0; i < THREADS; i++) {
        first[i] = (uint64_t)i * EACH;
        assert_int_equal(pthread_create(&threads[i], NULL, use, &first[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(jobd_group_wait(group, PATIENCE_US), JOBD_OK);
    while (is_readable(fd, 0))
        take_one(0);
    assert_int_equal(taken, (uint64_t)THREADS * EACH);
    assert_int_equal(made + dropped, taken);
    close_group();
}

/* One thread waits for all while others take and call. */
static void *wait_for_all(void *argument)
{
    for (int i = 0; i < 1000; i++)
        verify(jobd_group_wait(argument, JOBD_NEVER) == JOBD_OK);
    return NULL;
}

static void waited_for_meanwhile(void **state)
{
    pthread_t waiter;
    struct jobd_end end;
    (void)state;
    open_group(8, 2, AT_ONCE);
    assert_int_equal(pthread_create(&waiter, NULL, wait_for_all, group), 0);
    for (uintptr_t i = 1; i <= EACH; i++) {
        uint64_t id = call(same, (void *)i);
        assert_int_equal(jobd_group_await(group, id, JOBD_NEVER, &end), JOBD_OK);
        assert_int_equal((uintptr_t)end.result, i);
    }
    assert_int_equal(pthread_join(waiter, NULL), 0);
    close_group();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_result),
        cmocka_unit_test(without_an_id),
        cmocka_unit_test(what_cannot_be),
        cmocka_unit_test(at_most_so_many),
        cmocka_unit_test(a_queue_that_is_full),
        cmocka_unit_test(cancelled),
        cmocka_unit_test(freed_with_all_it_has),
        cmocka_unit_test(the_pool_goes_first),
        cmocka_unit_test(readable_while_there_are_ends),
        cmocka_unit_test(asked_for_late),
        cmocka_unit_test(none_lost_none_twice),
        cmocka_unit_test(waited_for_meanwhile),
    };
    return cmocka_run_group_tests_name("groups of calls", tests, NULL, NULL);
}
