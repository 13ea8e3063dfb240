/* SPDX-License-Identifier: MIT */
/* The thread that feeds the streams, while jobs change faster than it can tell. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "api/api.h"
#include "api/live_inside.h"
#include "base/thread.h"
#include "jobd/change.h"

enum { BATCH = 256, CHANGES_MAX = 6000000, PRODUCERS = 2 };

static struct api api;
static atomic_bool told;

/* As if somebody followed all changes. */
static void follow(struct live *live)
{
    assert_int_equal(jobd_events_keep(api.jobd, true), 0);
    mutex_lock(&live->lock);
    live->frames.ring = calloc(FRAMES_MAX, sizeof *live->frames.ring);
    live->frames.batch = calloc(BATCH, sizeof *live->frames.batch);
    live->frames.first = live->frames.next = 1;
    live->frames.readers = 1;
    mutex_unlock(&live->lock);
    assert_non_null(live->frames.ring);
    assert_non_null(live->frames.batch);
}

/* Puts and cancels until the changes are told, or there were far more than a round may tell. */
static void *produce(void *context)
{
    bool *in_time = context;
    int changes = 0;
    while (!atomic_load(&told) && changes < CHANGES_MAX / PRODUCERS) {
        struct jobd_receipt receipt;
        if (jobd_put(api.jobd, &(struct jobd_put){0}, NULL, 1, &receipt) == JOBD_OK)
            (void)jobd_cancel(api.jobd, receipt.id, NULL, 1);
        changes += 2;
    }
    *in_time = atomic_load(&told);
    return NULL;
}

static bool poked(struct live *live)
{
    mutex_lock(&live->lock);
    bool is = live->poked;
    live->poked = false;
    mutex_unlock(&live->lock);
    return is;
}

static struct live *open_live(void)
{
    const struct jobd_queue_config queue = {.name = "q", .capacity = 100, .workers = 1};
    struct jobd_config config = {.queues = &queue,
                                 .queues_len = 1,
                                 .keep = 10,
                                 .memory_bytes = 1 << 20,
                                 .waiters_max = 16,
                                 .first_id = 1};
    struct live *live;
    assert_int_equal(live_new(&live, 1, &config), 0);
    assert_int_equal(jobd_new(&api.jobd, &config), 0);
    live->api = &api;
    follow(live);
    return live;
}

static void close_live(struct live *live)
{
    events_release(live);
    live_free(live);
    jobd_free(api.jobd);
}

static void it_rests_while_nothing_changes(void **state)
{
    struct live *live = open_live();
    (void)state;
    events_gather(live);
    assert_false(poked(live));
    close_live(live);
}

static void it_ends_while_changes_come_faster(void **state)
{
    pthread_t producers[PRODUCERS];
    bool in_time[PRODUCERS];
    struct live *live = open_live();
    (void)state;
    for (int i = 0; i < PRODUCERS; i++)
        assert_int_equal(thread_start(&producers[i], produce, &in_time[i]), 0);
    while (jobd_events_last(api.jobd) < JOBD_EVENTS_MAX)
        sched_yield();
    (void)poked(live);
    events_gather(live);
    atomic_store(&told, true);
    for (int i = 0; i < PRODUCERS; i++) {
        assert_int_equal(pthread_join(producers[i], NULL), 0);
        assert_true(in_time[i]);
    }
    /* What has come meanwhile is told in the rounds after, which it asks for. */
    while (poked(live))
        events_gather(live);
    struct jobd_event event;
    assert_int_equal(jobd_events(api.jobd, &event, 1), 0);
    mutex_lock(&live->lock);
    assert_int_equal(live->frames.next, jobd_events_last(api.jobd) + 1);
    mutex_unlock(&live->lock);
    close_live(live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(it_rests_while_nothing_changes),
                                       cmocka_unit_test(it_ends_while_changes_come_faster)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
