/* SPDX-License-Identifier: MIT */
/* A queue whose service is down: when it holds its jobs back, who tries, what counts. */
#include "engine/model/scene.h"
#include "jobd/failures.h"

#include <errno.h>
#include <string.h>

enum { EVERY = 30 * SECOND, ATTEMPTS = 5 };

static unsigned told;

static void on_failure(void *context)
{
    (void)context;
    told++;
}

/* Opened by two; backoff of a second. */
static struct jobd *open_with(uint32_t workers, uint32_t failures)
{
    struct jobd *jobd = NULL;
    const struct jobd_config config = {
        .queues = &(struct jobd_queue_config){.name = "q",
                                              .capacity = 100,
                                              .workers = workers,
                                              .workers_max = 4,
                                              .attempts = ATTEMPTS,
                                              .backoff_min_us = SECOND,
                                              .backoff_max_us = SECOND,
                                              .breaker_failures = failures,
                                              .breaker_us = EVERY},
        .queues_len = 1,
        .keep = 100,
        .memory_bytes = 100000,
        .waiters_max = 16,
        .leases_max = 4,
        .first_id = 1,
        .on_failure = {.call = on_failure},
    };
    told = 0;
    assert_int_equal(jobd_new(&jobd, &config), 0);
    return jobd;
}

static void put_some(struct jobd *jobd, unsigned jobs, int64_t now_us)
{
    for (unsigned i = 0; i < jobs; i++)
        assert_int_equal(put(jobd, now_us), JOBD_OK);
}

static void end(struct jobd *jobd, const struct person *worker, enum jobd_state state, bool down,
                int64_t now_us)
{
    const struct jobd_outcome outcome = {
        .state = state, .down = down, .error = jobd_blob_text("connection refused\nmore")};
    jobd_finish(jobd, &worker->waiter.task, &outcome, now_us);
    check_engine(jobd);
}

static uint32_t attempt_of(struct jobd *jobd, uint64_t id)
{
    struct jobd_info info;
    assert_int_equal(jobd_get(jobd, id, &info), JOBD_OK);
    return info.attempt;
}

static struct jobd_stats stats_at(struct jobd *jobd, int64_t now_us)
{
    struct jobd_stats stats;
    jobd_stats(jobd, 0, now_us, &stats);
    return stats;
}

/* It takes nothing now. */
static void waits(struct jobd *jobd, struct person *worker, int64_t now_us)
{
    assert_int_equal(jobd_take(jobd, 0, &worker->waiter, now_us), JOBD_PENDING);
    check_engine(jobd);
}

/* Two attempts that find the service down: open at `at_us`. */
static void break_it(struct jobd *jobd, struct person *worker, int64_t at_us)
{
    for (int i = 0; i < 2; i++) {
        take(jobd, worker, at_us);
        end(jobd, worker, JOBD_FAILED, true, at_us);
    }
}

/* An hour away: a try every 30 s, and no attempt but the two that found out. Back: the first try
 * shows it, and all goes on. */
static void an_hour_costs_no_attempt(void **state)
{
    struct jobd *jobd = open_with(1, 2);
    struct person worker = person();
    int64_t now_us = SECOND, back_us = SECOND + 3600 * (int64_t)SECOND;
    unsigned tries = 0;
    (void)state;
    put_some(jobd, 10, now_us);
    break_it(jobd, &worker, now_us);
    assert_true(stats_at(jobd, now_us).held);
    assert_int_equal(stats_at(jobd, now_us).probe_in_us, EVERY);
    waits(jobd, &worker, now_us);
    while (now_us < back_us) {
        int64_t next_us = jobd_tick(jobd, now_us);
        check_engine(jobd);
        if (worker.woken == tries) { /* backoffs of the first two among them */
            now_us = next_us;
            continue;
        }
        tries++;
        assert_int_equal(now_us, SECOND + tries * (int64_t)EVERY);
        assert_true(stats_at(jobd, now_us).probing);
        end(jobd, &worker, JOBD_FAILED, true, now_us);
        waits(jobd, &worker, now_us);
    }
    assert_int_equal(tries, 119);
    for (uint64_t id = 1; id <= 10; id++)
        assert_int_equal(attempt_of(jobd, id), id <= 2);
    now_us = jobd_tick(jobd, now_us);
    (void)jobd_tick(jobd, now_us);
    assert_int_equal(worker.woken, 120);
    end(jobd, &worker, JOBD_DONE, false, now_us);
    assert_false(stats_at(jobd, now_us).held);
    for (int i = 0; i < 9; i++) {
        take(jobd, &worker, now_us);
        end(jobd, &worker, JOBD_DONE, false, now_us);
    }
    assert_int_equal(stats_at(jobd, now_us).done, 10);
    assert_int_equal(stats_at(jobd, now_us).breaker_opened, 1);
    jobd_free(jobd);
}

/* One at a time tries, however many workers wait; leases take none either. */
static void one_at_a_time(void **state)
{
    struct jobd *jobd = open_with(3, 2);
    struct person workers[3] = {person(), person(), person()}, leaser = person();
    int64_t now_us = SECOND;
    (void)state;
    put_some(jobd, 10, now_us);
    break_it(jobd, &workers[0], now_us);
    leaser.waiter.lease_us = SECOND;
    strcpy(leaser.waiter.token, "0123456789abcdef0123456789abcdef");
    for (int i = 0; i < 3; i++)
        waits(jobd, &workers[i], now_us);
    waits(jobd, &leaser, now_us);
    now_us += EVERY;
    (void)jobd_tick(jobd, now_us);
    check_engine(jobd);
    assert_int_equal(workers[0].woken, 1);
    assert_int_equal(stats_at(jobd, now_us).running, 1);
    /* It takes its time: nobody else tries meanwhile. */
    now_us += 3 * (int64_t)EVERY;
    (void)jobd_tick(jobd, now_us);
    assert_int_equal(stats_at(jobd, now_us).running, 1);
    end(jobd, &workers[0], JOBD_FAILED, true, now_us);
    assert_int_equal(stats_at(jobd, now_us).running, 0);
    now_us += EVERY - 1;
    (void)jobd_tick(jobd, now_us);
    assert_int_equal(stats_at(jobd, now_us).running, 0);
    (void)jobd_tick(jobd, ++now_us);
    assert_int_equal(workers[1].woken, 1);
    /* Any answer but that it is down shows that it is back: all may go on, the lease too. */
    end(jobd, &workers[1], JOBD_FAILED, false, now_us);
    assert_int_equal(leaser.woken, 1);
    assert_int_equal(workers[2].woken, 1);
    assert_true(jobd_cancel_wait(jobd, &leaser.waiter) == false);
    end(jobd, &workers[2], JOBD_DONE, false, now_us);
    jobd_cancel_all(jobd, now_us);
    jobd_free(jobd);
}

/* Those that began before it opened are not counted either, when it is down; one that is done
 * closes it. */
static void what_had_begun_before(void **state)
{
    struct jobd *jobd = open_with(4, 2);
    struct person workers[4] = {person(), person(), person(), person()};
    (void)state;
    put_some(jobd, 4, 1);
    for (int i = 0; i < 4; i++)
        take(jobd, &workers[i], 1);
    end(jobd, &workers[0], JOBD_FAILED, true, 2);
    end(jobd, &workers[1], JOBD_FAILED, true, 2);
    end(jobd, &workers[2], JOBD_FAILED, true, 3);
    assert_int_equal(state_of(jobd, 1), JOBD_SCHEDULED);
    assert_int_equal(attempt_of(jobd, 1), 1);
    assert_int_equal(state_of(jobd, 3), JOBD_QUEUED);
    assert_int_equal(attempt_of(jobd, 3), 0);
    assert_true(stats_at(jobd, 3).held);
    end(jobd, &workers[3], JOBD_DONE, false, 4);
    assert_false(stats_at(jobd, 4).held);
    assert_int_equal(take(jobd, &workers[0], 4), 3);
    end(jobd, &workers[0], JOBD_DONE, false, 5);
    jobd_cancel_all(jobd, 5);
    jobd_free(jobd);
}

/* In a row: whatever else ends between them begins anew, but for what was told to stop. */
static void only_in_a_row(void **state)
{
    struct jobd *jobd = open_with(1, 2);
    struct person worker = person();
    (void)state;
    put_some(jobd, 8, 1);
    take(jobd, &worker, 1);
    end(jobd, &worker, JOBD_FAILED, true, 1);
    take(jobd, &worker, 1);
    end(jobd, &worker, JOBD_FAILED, false, 1);
    take(jobd, &worker, 1);
    end(jobd, &worker, JOBD_FAILED, true, 1);
    assert_false(stats_at(jobd, 1).held);
    take(jobd, &worker, 1);
    assert_int_equal(jobd_cancel(jobd, 4, NULL, 1), JOBD_STOPPING);
    end(jobd, &worker, JOBD_CANCELLED, false, 1);
    assert_false(stats_at(jobd, 1).held);
    take(jobd, &worker, 1);
    end(jobd, &worker, JOBD_FAILED, true, 1);
    assert_true(stats_at(jobd, 1).held);
    jobd_cancel_all(jobd, 1);
    jobd_free(jobd);
}

/* A probe that is told to stop ends cancelled, and says nothing; its turn is over all the same. */
static void a_probe_is_cancelled(void **state)
{
    struct jobd *jobd = open_with(1, 2);
    struct person worker = person();
    int64_t now_us = 1;
    (void)state;
    put_some(jobd, 5, now_us);
    break_it(jobd, &worker, now_us);
    now_us += EVERY;
    uint64_t id = take(jobd, &worker, now_us);
    assert_int_equal(jobd_cancel(jobd, id, NULL, now_us), JOBD_STOPPING);
    end(jobd, &worker, JOBD_FAILED, true, now_us);
    assert_int_equal(state_of(jobd, id), JOBD_CANCELLED);
    waits(jobd, &worker, now_us);
    (void)jobd_tick(jobd, now_us + EVERY);
    assert_int_equal(worker.woken, 1);
    end(jobd, &worker, JOBD_CANCELLED, false, now_us + EVERY);
    assert_true(stats_at(jobd, now_us + EVERY).held);
    jobd_cancel_all(jobd, now_us + EVERY);
    jobd_free(jobd);
}

/* Not before the service wants it again; others may try meanwhile. */
static void a_probe_comes_back_when_it_may(void **state)
{
    struct jobd *jobd = open_with(1, 2);
    struct person worker = person();
    struct jobd_info info;
    int64_t now_us = 1;
    (void)state;
    put_some(jobd, 5, now_us);
    break_it(jobd, &worker, now_us);
    now_us += EVERY;
    uint64_t id = take(jobd, &worker, now_us);
    const struct jobd_outcome later = {
        .state = JOBD_FAILED, .down = true, .retry_in_us = 3 * (int64_t)EVERY};
    jobd_finish(jobd, &worker.waiter.task, &later, now_us);
    check_engine(jobd);
    assert_int_equal(jobd_get(jobd, id, &info), JOBD_OK);
    assert_int_equal(info.state, JOBD_SCHEDULED);
    assert_int_equal(info.run_at_us, now_us + 3 * (int64_t)EVERY);
    assert_int_equal(info.attempt, 0);
    assert_int_not_equal(take(jobd, &worker, now_us + EVERY), id);
    end(jobd, &worker, JOBD_DONE, false, now_us + EVERY);
    jobd_cancel_all(jobd, now_us + EVERY);
    jobd_free(jobd);
}

/* With other terms, or without workers who could try. */
static void terms_change_while_it_is_open(void **state)
{
    struct jobd *jobd = open_with(1, 2);
    struct person worker = person(), leaser = person();
    struct jobd_queue_config terms = {.attempts = ATTEMPTS, .breaker_failures = 1};
    (void)state;
    put_some(jobd, 6, 1);
    break_it(jobd, &worker, 1);
    leaser.waiter.lease_us = SECOND;
    strcpy(leaser.waiter.token, "0123456789abcdef0123456789abcdef");
    waits(jobd, &leaser, 1);
    assert_int_equal(jobd_queue_resize(jobd, 0, 100, 0, 2), 0);
    check_engine(jobd);
    assert_int_equal(leaser.woken, 1);
    assert_false(stats_at(jobd, 2).held);
    assert_int_equal(jobd_queue_resize(jobd, 0, 100, 1, 2), 0);
    assert_true(stats_at(jobd, 2).held);
    waits(jobd, &worker, 2);
    assert_int_equal(jobd_queue_change(jobd, 0, &terms, 2), -EINVAL); /* without a time */
    terms.breaker_failures = 0;
    assert_int_equal(jobd_queue_change(jobd, 0, &terms, 2), 0);
    check_engine(jobd);
    assert_int_equal(worker.woken, 1);
    assert_false(stats_at(jobd, 2).has_breaker);
    end(jobd, &worker, JOBD_FAILED, true, 2);
    assert_false(stats_at(jobd, 2).held);
    jobd_cancel_all(jobd, 2);
    jobd_free(jobd);
}

/* When there will be room, nobody can say. */
static void a_full_queue_promises_nothing(void **state)
{
    struct jobd *jobd = open_with(1, 2);
    struct person worker = person();
    struct jobd_receipt receipt;
    (void)state;
    put_some(jobd, 100, 1);
    break_it(jobd, &worker, 1);
    assert_int_equal(jobd_put(jobd, &(struct jobd_put){.priority = 3}, NULL, 2, &receipt),
                     JOBD_FULL);
    assert_int_equal(receipt.busy, JOBD_BUSY_FULL);
    assert_int_equal(receipt.room_in_us, JOBD_UNKNOWN_US);
    jobd_cancel_all(jobd, 2);
    jobd_free(jobd);
}

/* Each change once, with what it is about. */
static void the_log_is_told(void **state)
{
    struct jobd *jobd = open_with(1, 2);
    struct person worker = person();
    struct jobd_breaker change;
    (void)state;
    put_some(jobd, 5, 1);
    assert_false(jobd_breaker_change(jobd, &change));
    break_it(jobd, &worker, 7);
    assert_true(told > 0);
    assert_true(jobd_breaker_change(jobd, &change));
    assert_true(change.open);
    assert_int_equal(change.queue, 0);
    assert_int_equal(change.failures, 2);
    assert_int_equal(change.every_us, EVERY);
    assert_int_equal(change.at_us, 7);
    assert_string_equal(change.error, "connection refused");
    assert_false(jobd_breaker_change(jobd, &change));
    told = 0;
    take(jobd, &worker, 7 + EVERY);
    end(jobd, &worker, JOBD_DONE, false, 7 + EVERY);
    assert_int_equal(told, 1);
    assert_true(jobd_breaker_change(jobd, &change));
    assert_false(change.open);
    assert_int_equal(change.at_us, 7 + EVERY);
    assert_false(jobd_breaker_change(jobd, &change));
    jobd_cancel_all(jobd, 7 + EVERY);
    jobd_free(jobd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_hour_costs_no_attempt),
        cmocka_unit_test(one_at_a_time),
        cmocka_unit_test(what_had_begun_before),
        cmocka_unit_test(only_in_a_row),
        cmocka_unit_test(a_probe_is_cancelled),
        cmocka_unit_test(a_probe_comes_back_when_it_may),
        cmocka_unit_test(terms_change_while_it_is_open),
        cmocka_unit_test(a_full_queue_promises_nothing),
        cmocka_unit_test(the_log_is_told),
    };
    return cmocka_run_group_tests_name("breaker", tests, NULL, NULL);
}
