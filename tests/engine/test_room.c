/* SPDX-License-Identifier: MIT */
/* What a full queue says of when there will be room, beside when there is: workers with jobs of
 * known length, the time in the test's hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/model/check_engine.h"
#include "jobd/queue.h"
#include "jobd/lease.h"

enum {
    MS = 1000,
    SECOND = 1000 * MS,
    WORKERS_MAX = 64,
    BATCH_MAX = 64,
    TAKES_MAX = 4096,
    SAID_MAX = 1024
};
#define HOUR     (INT64_C(3600) * SECOND)
#define START_US HOUR

struct worker {
    struct jobd_waiter waiter; /* first */
    bool elsewhere, runs;
    int64_t ends_us;
    int64_t run_us; /* 0: the shop's */
};

struct shop {
    struct jobd *jobd;
    int64_t now_us;
    struct worker workers[WORKERS_MAX];
    unsigned workers_len;
    bool full; /* whatever place is left is taken at once */
    unsigned taken, tokens;
    int64_t taken_us[TAKES_MAX]; /* when the nth was, from 1 */
    int64_t run_us;              /* of a job that is taken from now on */
};

static void wake(struct jobd_waiter *waiter)
{
    (void)waiter;
}

static struct shop *open_shop(unsigned workers, unsigned elsewhere, uint32_t capacity)
{
    static struct shop shop;
    shop = (struct shop){.now_us = START_US, .workers_len = workers + elsewhere};
    for (unsigned i = workers; i < workers + elsewhere; i++)
        shop.workers[i].elsewhere = true;
    const struct jobd_queue_config queues[] = {
        {.name = "q", .capacity = capacity, .workers = workers},
        {.name = "other", .capacity = 4, .workers = 1}};
    const struct jobd_config config = {.queues = queues,
                                       .queues_len = 2,
                                       .keep = 10,
                                       .memory_bytes = 1000,
                                       .waiters_max = 4,
                                       .leases_max = WORKERS_MAX,
                                       .first_id = 1};
    assert_int_equal(jobd_new(&shop.jobd, &config), 0);
    return &shop;
}

static enum jobd_result put_later(struct shop *shop, int64_t delay_us)
{
    struct jobd_receipt receipt;
    const struct jobd_put put = {.delay_us = delay_us};
    return jobd_put(shop->jobd, &put, NULL, shop->now_us, &receipt);
}

static void fill(struct shop *shop)
{
    while (put_later(shop, 0) == JOBD_OK)
        ;
}

static void take_next(struct shop *shop, struct worker *worker)
{
    worker->waiter = (struct jobd_waiter){
        .wake = wake, .at_once = true, .deadline_us = JOBD_NEVER, .lease_us = 0};
    if (worker->elsewhere) {
        worker->waiter.lease_us = HOUR;
        snprintf(worker->waiter.token, JOBD_TOKEN_SIZE, "%032x", ++shop->tokens);
    }
    worker->runs = jobd_take(shop->jobd, 0, &worker->waiter, shop->now_us) == JOBD_OK;
    worker->ends_us = shop->now_us + (worker->run_us > 0 ? worker->run_us : shop->run_us);
    if (worker->runs) {
        assert_in_range(shop->taken, 0, TAKES_MAX - 2);
        shop->taken_us[++shop->taken] = shop->now_us;
    }
    if (shop->full)
        fill(shop);
}

static void end_attempt(struct shop *shop, struct worker *worker)
{
    const struct jobd_outcome done = {.state = JOBD_DONE};
    worker->runs = false;
    if (worker->elsewhere)
        assert_int_equal(
            jobd_lease_finish(shop->jobd, worker->waiter.token, &done, NULL, shop->now_us),
            JOBD_OK);
    else
        jobd_finish(shop->jobd, &worker->waiter.task, &done, shop->now_us);
}

static void let_workers_take(struct shop *shop)
{
    for (unsigned i = 0; i < shop->workers_len; i++)
        if (!shop->workers[i].runs)
            take_next(shop, &shop->workers[i]);
}

/* Whoever ends a job takes the next; all that happens until then, that moment included. */
static void work_until(struct shop *shop, int64_t until_us)
{
    for (;;) {
        struct worker *first = NULL;
        for (unsigned i = 0; i < shop->workers_len; i++) {
            struct worker *worker = &shop->workers[i];
            if (worker->runs && (first == NULL || worker->ends_us < first->ends_us))
                first = worker;
        }
        if (first == NULL || first->ends_us > until_us)
            break;
        shop->now_us = first->ends_us;
        end_attempt(shop, first);
        take_next(shop, first);
    }
    shop->now_us = until_us;
    check_engine(shop->jobd);
}

static void close_shop(struct shop *shop)
{
    for (unsigned i = 0; i < shop->workers_len; i++)
        if (shop->workers[i].runs)
            end_attempt(shop, &shop->workers[i]);
    jobd_free(shop->jobd);
}

static int64_t seconds(int64_t us)
{
    return us > SECOND ? (us + SECOND - 1) / SECOND : 1;
}

/* So many jobs are not let in: Retry-After. */
static int64_t says_s(struct shop *shop, unsigned jobs)
{
    static struct jobd_blob *none[BATCH_MAX];
    struct jobd_receipt receipt;
    const struct jobd_put put = {.batch = none, .batch_len = jobs};
    assert_int_equal(jobd_put(shop->jobd, &put, NULL, shop->now_us, &receipt), JOBD_FULL);
    return seconds(receipt.room_in_us);
}

/* ---- it comes true */

/* What is said every 77 ms of a queue that is always full, beside when so many jobs were taken;
 * `early` and `late` seconds off at most. */
static void comes_true(struct shop *shop, int64_t for_us, unsigned jobs, int64_t early,
                       int64_t late)
{
    static struct {
        int64_t at_us, said_s;
        unsigned taken;
    } said[SAID_MAX];
    unsigned len = 0, held = 0;
    for (int64_t until_us = shop->now_us + for_us; shop->now_us < until_us; len++) {
        assert_in_range(len, 0, SAID_MAX - 1);
        said[len].at_us = shop->now_us;
        said[len].said_s = says_s(shop, jobs);
        said[len].taken = shop->taken + jobs;
        work_until(shop, shop->now_us + 77 * MS);
    }
    for (; held < len && said[held].taken <= shop->taken; held++) {
        int64_t true_s = seconds(shop->taken_us[said[held].taken] - said[held].at_us);
        if (said[held].said_s < true_s - early || said[held].said_s > true_s + late)
            fail_msg("after %.3f s it says %lld s, not %lld",
                     (double)(said[held].at_us - START_US) / SECOND, (long long)said[held].said_s,
                     (long long)true_s);
    }
    assert_in_range(held, 1, len);
}

/* Workers whose jobs all run for as long, each begun so much later than the one before. */
static void jobs_alike_are_foretold_exactly(void **state)
{
    static const struct {
        unsigned workers, capacity;
        int64_t run_us, apart_us;
        unsigned jobs;
    } rows[] = {
        {1, 4, 3 * SECOND, 0, 1},          {2, 2, 2 * SECOND, 0, 1},
        {4, 4, 3 * SECOND, 0, 1},          {4, 4, 3 * SECOND, 250 * MS, 1},
        {4, 4, 3 * SECOND, 750 * MS, 1},   {2, 2, 2 * SECOND, 300 * MS, 1},
        {64, 64, 3 * SECOND, 0, 1},        {64, 64, 3 * SECOND, 10 * MS, 1},
        {1, 12, 3 * SECOND, 0, 12},        {4, 4, 3 * SECOND, 0, 4},
        {4, 8, 3 * SECOND, 0, 5},          {4, 8, 3 * SECOND, 250 * MS, 5},
        {4, 20, 3 * SECOND, 750 * MS, 17}, {1, 8, 50 * MS, 0, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct shop *shop = open_shop(rows[i].workers, 0, rows[i].capacity);
        print_message("%u workers, %lld ms apart, %u jobs\n", rows[i].workers,
                      (long long)rows[i].apart_us / MS, rows[i].jobs);
        shop->run_us = rows[i].run_us;
        shop->full = true;
        for (unsigned k = 0; k < rows[i].workers; k++) {
            fill(shop);
            take_next(shop, &shop->workers[k]);
            work_until(shop, shop->now_us + rows[i].apart_us);
        }
        work_until(shop,
                   START_US + rows[i].run_us); /* the first job has ended: that must be seen */
        comes_true(shop, 60 * SECOND, rows[i].jobs, 0, 0);
        close_shop(shop);
    }
}

/* Workers elsewhere: how many they are nobody knows, so the gaps between their takes count. */
static void leases_in_step_are_foretold(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 16; workers *= 4) {
        struct shop *shop = open_shop(0, workers, 20);
        shop->run_us = 1500 * MS;
        shop->full = true;
        fill(shop);
        let_workers_take(shop);
        work_until(shop, START_US + 1500 * MS);
        comes_true(shop, 21 * SECOND, 1, 0, 0);
        comes_true(shop, 21 * SECOND, workers, 0, 0);
        comes_true(shop, 21 * SECOND, workers + 1, 0, 0);
        close_shop(shop);
    }
}

static void workers_elsewhere_count_beside_those_here(void **state)
{
    (void)state;
    for (unsigned jobs = 1; jobs <= 3; jobs++) {
        struct shop *shop = open_shop(1, 1, 4);
        shop->full = true;
        shop->run_us = 3 * SECOND;
        fill(shop);
        take_next(shop, &shop->workers[0]);
        work_until(shop, START_US + 1500 * MS);
        take_next(shop, &shop->workers[1]);
        work_until(shop, START_US + 12 * SECOND);
        comes_true(shop, 21 * SECOND, jobs, 0, 0);
        close_shop(shop);
    }
}

/* Jobs of any length: nobody knows, but it is wrong by no more than they differ. */
static void jobs_unlike_are_foretold_about(void **state)
{
    struct shop *shop = open_shop(1, 0, 4);
    (void)state;
    shop->full = true;
    fill(shop);
    for (unsigned i = 0; i < 100; i++) {
        shop->run_us = (1 + i * 7 % 5) * (int64_t)SECOND;
        if (i == 0)
            let_workers_take(shop);
        if (i < 10)
            work_until(shop, shop->workers[0].ends_us);
        else
            comes_true(shop, shop->workers[0].ends_us - shop->now_us, 1, 3, 4);
    }
    close_shop(shop);
}

/* ---- a new pace */

static void the_second_slow_job_is_foretold(void **state)
{
    struct shop *shop = open_shop(1, 0, 8);
    (void)state;
    shop->full = true;
    shop->run_us = 50 * MS;
    fill(shop);
    let_workers_take(shop);
    work_until(shop, START_US + 20 * 50 * MS - 1);
    shop->run_us = 4 * SECOND;
    work_until(shop, START_US + 20 * 50 * MS);
    assert_int_equal(says_s(shop, 1), 1); /* nobody can know yet */
    work_until(shop, shop->now_us + 2500 * MS);
    assert_int_equal(says_s(shop, 1), 3); /* it has been silent for as long */
    work_until(shop, shop->workers[0].ends_us);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(says_s(shop, 1), 4);
        work_until(shop, shop->now_us + 2 * SECOND);
        assert_int_equal(says_s(shop, 1), 2);
        work_until(shop, shop->workers[0].ends_us);
    }
    shop->run_us = 50 * MS;
    work_until(shop, shop->now_us + 20 * SECOND);
    assert_int_equal(says_s(shop, 1), 1);
    close_shop(shop);
}

/* The same, but the queue ran empty in between, and the first slow job ran alone at first. */
static void a_slow_job_met_half_way_is_learned_from(void **state)
{
    struct shop *shop = open_shop(1, 0, 3);
    (void)state;
    shop->run_us = 50 * MS;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(put_later(shop, 0), JOBD_OK);
        let_workers_take(shop);
        work_until(shop, shop->now_us + SECOND);
    }
    shop->run_us = 4 * SECOND;
    assert_int_equal(put_later(shop, 0), JOBD_OK);
    let_workers_take(shop);
    work_until(shop, shop->now_us + 150 * MS);
    fill(shop);
    shop->full = true;
    work_until(shop, shop->workers[0].ends_us);
    assert_int_equal(says_s(shop, 1), 4);
    close_shop(shop);
}

static void a_stuck_worker_is_not_waited_for(void **state)
{
    struct shop *shop = open_shop(2, 0, 4);
    (void)state;
    shop->full = true;
    shop->run_us = 3 * SECOND;
    fill(shop);
    let_workers_take(shop);
    work_until(shop, START_US + 9 * SECOND);
    shop->workers[1].ends_us = START_US + HOUR;
    work_until(shop, START_US + 60 * SECOND);
    comes_true(shop, 20 * SECOND, 1, 0, 0);
    comes_true(shop, 20 * SECOND, 2, 0, 0);
    shop->workers[0].ends_us = START_US + HOUR; /* and then both: it takes as long again */
    work_until(shop, shop->now_us + 60 * SECOND);
    assert_in_range(says_s(shop, 1), 55, 63);
    close_shop(shop);
}

/* ---- places that scheduled jobs have */

static void scheduled_jobs_leave_when_they_are_due(void **state)
{
    struct shop *shop = open_shop(1, 0, 4);
    struct jobd_receipt receipt;
    (void)state;
    shop->run_us = 50 * MS;
    for (int i = 0; i < 20; i++) { /* a drain that was measured, and has nothing to do with it */
        fill(shop);
        let_workers_take(shop);
        work_until(shop, shop->now_us + SECOND);
    }
    /* Another queue's are earlier. */
    assert_int_equal(jobd_put(shop->jobd, &(struct jobd_put){.queue = 1, .delay_us = SECOND}, NULL,
                              shop->now_us, &receipt),
                     JOBD_OK);
    assert_int_equal(put_later(shop, 5 * HOUR), JOBD_OK);
    assert_int_equal(put_later(shop, 60 * SECOND), JOBD_OK);
    assert_int_equal(put_later(shop, 20 * SECOND), JOBD_OK);
    assert_int_equal(put_later(shop, 60 * SECOND), JOBD_OK);
    assert_int_equal(says_s(shop, 1), 20);
    assert_int_equal(says_s(shop, 2), 60);
    assert_int_equal(says_s(shop, 3), 60);
    assert_int_equal(says_s(shop, 4), 5 * 3600);
    work_until(shop, shop->now_us + 15500 * MS);
    assert_int_equal(says_s(shop, 1), 5);
    check_engine(shop->jobd);
    close_shop(shop);
}

/* Due is not taken: the worker is busy for longer. And who is ready goes before. */
static void scheduled_jobs_need_a_worker_too(void **state)
{
    struct shop *shop = open_shop(1, 0, 3);
    (void)state;
    shop->run_us = 10 * SECOND;
    assert_int_equal(put_later(shop, 0), JOBD_OK);
    let_workers_take(shop);
    work_until(shop, START_US + 10 * SECOND);
    assert_int_equal(put_later(shop, 0), JOBD_OK);
    let_workers_take(shop);
    for (int i = 0; i < 3; i++)
        assert_int_equal(put_later(shop, (i + 1) * 2 * SECOND), JOBD_OK);
    assert_int_equal(says_s(shop, 1), 10);
    assert_int_equal(says_s(shop, 2), 20);
    jobd_tick(shop->jobd, shop->now_us + 3 * SECOND); /* one is ready now */
    work_until(shop, shop->now_us + 3 * SECOND);
    assert_int_equal(says_s(shop, 1), 7);
    close_shop(shop);
}

/* ---- nobody drains it */

static void silence_is_answered_with_silence(void **state)
{
    struct shop *shop = open_shop(0, 1, 2);
    (void)state;
    shop->run_us = SECOND;
    fill(shop);                            /* and no worker has ever come */
    assert_int_equal(says_s(shop, 1), 60); /* so it says when to look again */
    work_until(shop, START_US + 100 * SECOND);
    assert_int_equal(says_s(shop, 1), 60);
    let_workers_take(shop);
    fill(shop);
    assert_in_range(says_s(shop, 1), 1, 2); /* somebody takes them */
    work_until(shop, START_US + 10 * HOUR); /* all done, and nothing came for hours */
    fill(shop);
    assert_int_equal(says_s(shop, 1), 60);
    close_shop(shop);
}

static void a_pause_lasts_as_long_again(void **state)
{
    struct shop *shop = open_shop(1, 0, 2);
    (void)state;
    shop->run_us = SECOND;
    shop->full = true;
    fill(shop);
    let_workers_take(shop);
    work_until(shop, START_US + 10 * SECOND);
    shop->full = false;
    assert_int_equal(jobd_pause(shop->jobd, 0, true, NULL, shop->now_us), JOBD_OK);
    work_until(shop, shop->now_us + 100 * SECOND);
    assert_int_equal(says_s(shop, 1), 60); /* as long as it is paused */
    assert_int_equal(jobd_pause(shop->jobd, 0, false, NULL, shop->now_us), JOBD_OK);
    shop->full = true;
    let_workers_take(shop);
    comes_true(shop, 10 * SECOND, 1, 0, 0);
    close_shop(shop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_alike_are_foretold_exactly),
        cmocka_unit_test(leases_in_step_are_foretold),
        cmocka_unit_test(workers_elsewhere_count_beside_those_here),
        cmocka_unit_test(jobs_unlike_are_foretold_about),
        cmocka_unit_test(the_second_slow_job_is_foretold),
        cmocka_unit_test(a_slow_job_met_half_way_is_learned_from),
        cmocka_unit_test(a_stuck_worker_is_not_waited_for),
        cmocka_unit_test(scheduled_jobs_leave_when_they_are_due),
        cmocka_unit_test(scheduled_jobs_need_a_worker_too),
        cmocka_unit_test(silence_is_answered_with_silence),
        cmocka_unit_test(a_pause_lasts_as_long_again),
    };
    return cmocka_run_group_tests_name("room", tests, NULL, NULL);
}
