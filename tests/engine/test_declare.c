/* SPDX-License-Identifier: MIT */
/* Queues that come and go while the engine runs. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/model/scene.h"

static struct jobd *open_with(uint32_t spare_queues, uint32_t spare_capacity, uint32_t keep)
{
    struct jobd *jobd = NULL;
    const struct jobd_queue_config queue = {.name = "m", .capacity = 4, .workers = 1};
    const struct jobd_config config = {.queues = &queue,
                                       .queues_len = 1,
                                       .spare_queues = spare_queues,
                                       .spare_capacity = spare_capacity,
                                       .spare_workers = 8,
                                       .keep = keep,
                                       .memory_bytes = 1 << 20,
                                       .waiters_max = 16,
                                       .leases_max = 4,
                                       .first_id = 1};
    assert_int_equal(jobd_new(&jobd, &config), 0);
    return jobd;
}

static int add(struct jobd *jobd, const char *name, uint32_t capacity, uint32_t *number)
{
    const struct jobd_queue_config config = {.name = name, .capacity = capacity, .workers = 1};
    int result = jobd_queue_add(jobd, &config, 1, number);
    check_engine(jobd);
    return result;
}

static void retire(struct jobd *jobd, uint32_t number)
{
    jobd_queue_retire(jobd, number, 1);
    check_engine(jobd);
}

static void they_are_found_by_name(void **state)
{
    static const char *const names[] = {"z", "a", "n", "l"};
    struct jobd *jobd = open_with(4, 100, 10);
    uint32_t numbers[4];
    (void)state;
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(add(jobd, names[i], 2, &numbers[i]), 0);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(jobd_queue_named(jobd, names[i]), numbers[i]);
        assert_string_equal(jobd_queue_name(jobd, numbers[i]), names[i]);
        assert_true(jobd_queue_declared(jobd, numbers[i]));
    }
    assert_int_equal(add(jobd, "a", 2, &numbers[0]), -EEXIST);
    assert_int_equal(add(jobd, "fifth", 2, &numbers[0]), -ENOSPC);
    assert_int_equal(jobd_queue_named(jobd, "fifth"), JOBD_NO_QUEUE);
    retire(jobd, numbers[1]);
    assert_int_equal(jobd_queue_named(jobd, "a"), JOBD_NO_QUEUE);
    assert_int_equal(jobd_queue_named(jobd, "l"), numbers[3]);
    jobd_free(jobd);
}

/* A number that somebody has kept means the queue it was of, never the next one in its place. */
static void a_place_is_used_again_under_another_number(void **state)
{
    struct jobd *jobd = open_with(1, 10, 10);
    struct jobd_receipt receipt;
    struct person taker = person();
    uint32_t first, second, moved;
    (void)state;
    assert_int_equal(add(jobd, "first", 10, &first), 0);
    const char *name = jobd_queue_name(jobd, first);
    retire(jobd, first);
    assert_int_equal(add(jobd, "second", 10, &second), 0);
    assert_true(first != second);
    assert_string_equal(name, "first"); /* stays readable */
    assert_int_equal(jobd_put(jobd, &(struct jobd_put){.queue = first}, NULL, 2, &receipt),
                     JOBD_UNDECLARED);
    assert_int_equal(jobd_take(jobd, first, &taker.waiter, 2), JOBD_UNDECLARED);
    assert_int_equal(jobd_purge(jobd, first, NULL, 2, &moved), JOBD_UNDECLARED);
    const struct jobd_route route = {.from = 0, .to = first};
    assert_int_equal(jobd_move(jobd, &route, NULL, 2, &moved), JOBD_UNDECLARED);
    assert_int_equal(jobd_pause(jobd, first, true, NULL, 2), JOBD_UNDECLARED);
    jobd_queue_retire(jobd, first, 2);
    assert_false(jobd_queue_declared(jobd, first) || jobd_queue_gives(jobd, first));
    assert_int_equal(jobd_put(jobd, &(struct jobd_put){.queue = second}, NULL, 2, &receipt),
                     JOBD_OK);
    assert_int_equal(jobd_take(jobd, second, &taker.waiter, 2), JOBD_OK);
    assert_int_equal(taker.waiter.task.id, receipt.id);
    finish(jobd, &taker.waiter.task, JOBD_DONE, 3);
    check_engine(jobd);
    jobd_free(jobd);
}

/* Its ended jobs are another's no more than their queue's: the place is not free before they are
 * forgotten. */
static void remembered_jobs_hold_the_place(void **state)
{
    struct jobd *jobd = open_with(1, 10, 10);
    struct jobd_receipt receipt;
    uint32_t first, second;
    (void)state;
    assert_int_equal(add(jobd, "first", 10, &first), 0);
    assert_int_equal(jobd_put(jobd, &(struct jobd_put){.queue = first}, NULL, 2, &receipt),
                     JOBD_OK);
    retire(jobd, first);
    assert_int_equal(jobd_queue_named(jobd, "first"), first); /* not empty yet */
    assert_int_equal(jobd_cancel(jobd, receipt.id, NULL, 3), JOBD_OK);
    check_engine(jobd);
    assert_int_equal(jobd_queue_named(jobd, "first"), JOBD_NO_QUEUE);
    assert_int_equal(add(jobd, "second", 10, &second), -ENOSPC);
    assert_int_equal(state_of(jobd, receipt.id), JOBD_CANCELLED);
    assert_int_equal(add(jobd, "first", 9, &second), 1);
    assert_int_equal(second, first);
    assert_int_equal(jobd_retry(jobd, receipt.id, NULL, 4, &receipt), JOBD_OK);
    check_engine(jobd);
    jobd_free(jobd);
}

static void room_is_shared(void **state)
{
    struct jobd *jobd = open_with(3, 10, 0);
    uint32_t first, second, third;
    (void)state;
    assert_int_equal(add(jobd, "first", 6, &first), 0);
    assert_int_equal(add(jobd, "second", 6, &second), -ENOSPC);
    assert_int_equal(add(jobd, "second", 4, &second), 0);
    retire(jobd, first);
    assert_int_equal(add(jobd, "third", 7, &third), -ENOSPC);
    assert_int_equal(add(jobd, "third", 6, &third), 0);
    assert_int_equal(jobd_queue_resize(jobd, third, 7, 1, 5), -EINVAL);
    jobd_free(jobd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_are_found_by_name),
        cmocka_unit_test(a_place_is_used_again_under_another_number),
        cmocka_unit_test(remembered_jobs_hold_the_place),
        cmocka_unit_test(room_is_shared),
    };
    return cmocka_run_group_tests_name("queues that come and go", tests, NULL, NULL);
}
