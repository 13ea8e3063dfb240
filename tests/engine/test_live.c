/* SPDX-License-Identifier: MIT */
/* Changes of state as they happen, and output that is shown while it grows: the engine by itself.
 */
#include <string.h>

#include "engine/model/scene.h"
#include "jobd/lease.h"
#include "jobd/live.h"

static unsigned told;

static void note(void *context)
{
    (void)context;
    told++;
}

static struct jobd *open_told(uint32_t capacity)
{
    struct jobd *jobd = NULL;
    const struct jobd_queue_config queue = {
        .name = "q", .capacity = capacity, .workers = 1, .attempts = 2};
    const struct jobd_config config = {.queues = &queue,
                                       .queues_len = 1,
                                       .keep = 1000,
                                       .memory_bytes = 1 << 20,
                                       .waiters_max = 16,
                                       .first_id = 1,
                                       .on_event = {.call = note}};
    assert_int_equal(jobd_new(&jobd, &config), 0);
    told = 0;
    return jobd;
}

static void assert_next(struct jobd *jobd, uint64_t id, enum jobd_state state)
{
    struct jobd_event event;
    assert_int_equal(jobd_events(jobd, &event, 1), 1);
    assert_int_equal(event.info.id, id);
    assert_int_equal(event.info.state, state);
    assert_int_equal(event.queue, 0);
}

static size_t left(struct jobd *jobd)
{
    struct jobd_event events[16];
    return jobd_events(jobd, events, 16);
}

/* Nothing before it is asked for, then each change once, as the job was then. */
static void each_change_of_state_is_told(void **state)
{
    struct jobd *jobd = open_told(8);
    struct person worker = person();
    struct jobd_event event;
    (void)state;
    (void)put(jobd, 1);
    assert_int_equal(left(jobd), 0);
    assert_int_equal(jobd_events_keep(jobd, true), 0);
    (void)put(jobd, 2);
    assert_int_equal(told, 1);
    (void)take(jobd, &worker, 3);
    assert_int_equal(told, 1); /* there was something already */
    assert_next(jobd, 2, JOBD_QUEUED);
    assert_int_equal(jobd_events(jobd, &event, 1), 1);
    assert_int_equal(event.info.state, JOBD_RUNNING);
    assert_int_equal(event.info.attempt, 1);
    assert_int_equal(event.info.started_us, 3);
    const struct jobd_outcome failed = {.state = JOBD_FAILED, .error = jobd_blob_text("oh")};
    jobd_finish(jobd, &worker.waiter.task, &failed, 4);
    check_engine(jobd);
    assert_int_equal(told, 2);
    assert_int_equal(jobd_events(jobd, &event, 1), 1);
    assert_int_equal(event.info.state, JOBD_SCHEDULED);
    assert_true(event.info.has_error);
    (void)jobd_cancel(jobd, 1, NULL, 5);
    assert_next(jobd, 1, JOBD_CANCELLED);
    assert_int_equal(left(jobd), 0);
    (void)jobd_cancel(jobd, 2, NULL, 5);
    assert_int_equal(jobd_events_keep(jobd, false), 0);
    assert_int_equal(left(jobd), 0);
    (void)put(jobd, 6);
    assert_int_equal(left(jobd), 0);
    assert_int_equal(jobd_events_last(jobd), 5);
    jobd_free(jobd);
}

/* When nobody reads the oldest go, and are counted. */
static void what_nobody_reads_is_missed(void **state)
{
    enum { MORE = 10 };
    struct jobd *jobd = open_told(JOBD_EVENTS_MAX + MORE);
    struct jobd_event event;
    struct jobd_receipt receipt;
    const struct jobd_put one = {.queue = 0};
    (void)state;
    assert_int_equal(jobd_events_keep(jobd, true), 0);
    for (unsigned i = 0; i < JOBD_EVENTS_MAX + MORE; i++)
        assert_int_equal(jobd_put(jobd, &one, NULL, 1, &receipt), JOBD_OK);
    assert_int_equal(jobd_events(jobd, &event, 1), 1);
    assert_int_equal(event.number, MORE + 1);
    assert_int_equal(event.info.id, MORE + 1);
    assert_next(jobd, MORE + 2, JOBD_QUEUED);
    assert_int_equal(told, 1);
    jobd_free(jobd);
}

static void what_a_worker_shows_is_followed(void **state)
{
    struct jobd *jobd = open_told(8);
    struct person worker = person(), follower = person();
    struct jobd_view view = {.seen = false};
    struct jobd_blob *output = jobd_blob_new(100, NULL);
    (void)state;
    memcpy(output->bytes, "onetwo", 6);
    (void)put(jobd, 1);
    (void)take(jobd, &worker, 2);
    size_t before = jobd_memory(jobd);
    assert_int_equal(jobd_follow(jobd, 1, &view, &follower.waiter), JOBD_OK);
    assert_int_equal(jobd_follow(jobd, 1, &view, &follower.waiter), JOBD_PENDING);
    jobd_show_output(jobd, &worker.waiter.task, output, 3, false);
    assert_int_equal(follower.woken, 1);
    assert_int_equal(jobd_follow(jobd, 1, &view, &follower.waiter), JOBD_OK);
    assert_int_equal(view.output_bytes, 3);
    jobd_show_output(jobd, &worker.waiter.task, output, 6, true);
    assert_int_equal(jobd_follow(jobd, 1, &view, &follower.waiter), JOBD_OK);
    assert_int_equal(view.output_bytes, 6);
    assert_true(view.truncated);
    assert_memory_equal(view.output->bytes, "onetwo", 6);
    assert_true(jobd_memory(jobd) - before < 2 * 1024); /* what is shown does not count */
    finish(jobd, &worker.waiter.task, JOBD_DONE, 3);
    assert_int_equal(jobd_follow(jobd, 1, &view, &follower.waiter), JOBD_OK);
    assert_int_equal(view.output_bytes, 0); /* it ended without */
    jobd_view_release(&view);
    jobd_blob_unref(output);
    jobd_free(jobd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_change_of_state_is_told),
        cmocka_unit_test(what_nobody_reads_is_missed),
        cmocka_unit_test(what_a_worker_shows_is_followed),
    };
    return cmocka_run_group_tests_name("live", tests, NULL, NULL);
}
