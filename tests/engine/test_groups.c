/* SPDX-License-Identifier: MIT */
/* Groups that take turns: many of them, what they cost, what is said of them; and limits where
 * their effect over time counts. Random runs beside a model do the rest. */
#include "engine/model/scene.h"
#include "jobd/change.h"
#include "jobd/lease.h"

#include <stdio.h>
#include <string.h>

enum { MANY = 700, MEMORY = 16 << 20 };

static struct jobd *open_keeping(const struct jobd_queue_config *config, uint32_t keep)
{
    struct jobd *jobd = NULL;
    struct jobd_queue_config queues[] = {*config, {.name = "other", .capacity = 5000}};
    queues[0].name = "q";
    queues[0].capacity = 5000;
    const struct jobd_config whole = {.queues = queues,
                                      .queues_len = 2,
                                      .keep = keep,
                                      .memory_bytes = MEMORY,
                                      .waiters_max = 16,
                                      .leases_max = 2000,
                                      .first_id = 1};
    assert_int_equal(jobd_new(&jobd, &whole), 0);
    return jobd;
}

static struct jobd *open_with(const struct jobd_queue_config *config)
{
    return open_keeping(config, 0);
}

static enum jobd_result put_of(struct jobd *jobd, const char *group, int64_t now_us,
                               struct jobd_receipt *receipt)
{
    const struct jobd_terms terms = {.texts = {[JOBD_GROUP] = group}};
    const struct jobd_put put = {.priority = JOBD_PRIORITY_DEFAULT, .terms = &terms};
    return jobd_put(jobd, &put, NULL, now_us, receipt);
}

static void put_some_of(struct jobd *jobd, const char *group, unsigned jobs, int64_t now_us)
{
    struct jobd_receipt receipt;
    for (unsigned i = 0; i < jobs; i++)
        assert_int_equal(put_of(jobd, group, now_us, &receipt), JOBD_OK);
}

static void put_many(struct jobd *jobd, unsigned groups, int64_t now_us)
{
    char name[JOBD_GROUP_SIZE];
    for (unsigned i = 0; i < groups; i++) {
        snprintf(name, sizeof name, "group%u", i);
        put_some_of(jobd, name, 1 + i % 3, now_us);
    }
}

/* The id of a job that is leased; 0: there is none. */
static uint64_t lease(struct jobd *jobd, int64_t now_us, char token[JOBD_TOKEN_SIZE])
{
    static unsigned tokens;
    struct person taker = person();
    taker.waiter.at_once = true;
    taker.waiter.lease_us = 1000 * (int64_t)SECOND;
    snprintf(taker.waiter.token, JOBD_TOKEN_SIZE, "%032x", ++tokens);
    memcpy(token, taker.waiter.token, JOBD_TOKEN_SIZE);
    bool taken = jobd_take(jobd, 0, &taker.waiter, now_us) == JOBD_OK;
    return taken ? taker.waiter.task.id : 0;
}

static unsigned lease_all(struct jobd *jobd, int64_t now_us)
{
    char token[JOBD_TOKEN_SIZE];
    unsigned leased = 0;
    while (lease(jobd, now_us, token) != 0)
        leased++;
    check_engine(jobd);
    return leased;
}

static void end_lease(struct jobd *jobd, const char *token, int64_t now_us)
{
    const struct jobd_outcome done = {.state = JOBD_DONE};
    assert_int_equal(jobd_lease_finish(jobd, token, &done, NULL, now_us), JOBD_OK);
    check_engine(jobd);
}

static struct jobd_stats stats_of(struct jobd *jobd, int64_t now_us)
{
    struct jobd_stats stats;
    jobd_stats(jobd, 0, now_us, &stats);
    return stats;
}

/* Many more jobs and groups than one step handles. */
static void test_many_are_purged(void **state)
{
    const struct jobd_queue_config config = {.by_group = true, .group_limits = {.running = 1}};
    struct jobd *jobd = open_with(&config);
    uint32_t purged;
    (void)state;
    put_many(jobd, MANY, 1);
    check_engine(jobd);
    assert_int_equal(stats_of(jobd, 1).groups, MANY);
    assert_int_equal(lease_all(jobd, 1), MANY); /* one of each */
    uint32_t waiting = stats_of(jobd, 1).queued;
    assert_int_equal(stats_of(jobd, 1).held_back, waiting);
    assert_int_equal(jobd_purge(jobd, 0, NULL, 2, &purged), JOBD_OK);
    assert_int_equal(purged, waiting);
    check_engine(jobd);
    jobd_cancel_all(jobd, 3);
    assert_int_equal(stats_of(jobd, 3).groups, 0);
    assert_int_equal(jobd_memory(jobd), 0); /* a group without jobs costs nothing */
    jobd_free(jobd);
}

static void test_many_are_moved(void **state)
{
    const struct jobd_queue_config config = {.by_group = true, .group_waiting = 3};
    struct jobd *jobd = open_with(&config);
    uint32_t moved;
    (void)state;
    put_many(jobd, MANY, 1);
    uint32_t waiting = stats_of(jobd, 1).queued;
    assert_int_equal(jobd_move(jobd, &(struct jobd_route){.from = 0, .to = 1}, NULL, 2, &moved),
                     JOBD_OK);
    assert_int_equal(moved, waiting);
    assert_int_equal(stats_of(jobd, 2).groups, 0);
    check_engine(jobd);
    assert_int_equal(jobd_move(jobd, &(struct jobd_route){.from = 1, .to = 0}, NULL, 3, &moved),
                     JOBD_OK);
    assert_int_equal(moved, waiting);
    assert_int_equal(stats_of(jobd, 3).groups, MANY);
    check_engine(jobd);
    jobd_cancel_all(jobd, 4);
    jobd_free(jobd);
}

static void test_many_begin_to_take_turns(void **state)
{
    struct jobd_queue_config config = {.name = "q"};
    struct jobd *jobd = open_with(&config);
    char token[JOBD_TOKEN_SIZE];
    (void)state;
    put_many(jobd, MANY, 1);
    assert_int_equal(lease(jobd, 1, token), 1); /* of group0, which counts then */
    config.by_group = true;
    config.group_limits.running = 1;
    assert_int_equal(jobd_queue_change(jobd, 0, &config, 2), 0);
    check_engine(jobd);
    assert_int_equal(lease_all(jobd, 2), MANY - 1);
    config.group_limits.running = 2;
    assert_int_equal(jobd_queue_change(jobd, 0, &config, 3), 0);
    assert_true(lease_all(jobd, 3) > MANY / 2);
    config.by_group = false;
    uint32_t rest = stats_of(jobd, 3).queued;
    assert_int_equal(jobd_queue_change(jobd, 0, &config, 4), 0);
    check_engine(jobd);
    assert_int_equal(lease_all(jobd, 4), rest);
    jobd_cancel_all(jobd, 5);
    assert_int_equal(jobd_memory(jobd), 0);
    jobd_free(jobd);
}

static enum jobd_result put_bytes(struct jobd *jobd, const char *group, size_t size)
{
    struct jobd_receipt receipt;
    const struct jobd_terms terms = {.texts = {[JOBD_GROUP] = group}};
    struct jobd_put put = {.priority = JOBD_PRIORITY_DEFAULT, .terms = &terms};
    put.payload = jobd_blob_new(size, NULL);
    assert_non_null(put.payload);
    enum jobd_result result = jobd_put(jobd, &put, NULL, 1, &receipt);
    return result;
}

/* Groups are let in where turns begin, beyond the memory: then nothing else is, until there is
 * room. */
static void test_no_retry_beyond_the_memory(void **state)
{
    const struct jobd_queue_config config = {.by_group = true};
    struct jobd *jobd = open_keeping(&(const struct jobd_queue_config){.by_group = false}, 10);
    struct jobd_receipt receipt;
    const struct jobd_filter filter = {.queue = 1, .state = JOBD_STATES};
    const uint64_t ended = 1;
    unsigned jobs = 0;
    (void)state;
    const struct jobd_terms promised = {.unique = JOBD_FOR_SOME_TIME, .unique_us = 100 * SECOND};
    const struct jobd_put one = {.queue = 1, .key = "k", .terms = &promised};
    assert_int_equal(jobd_put(jobd, &one, NULL, 1, &receipt), JOBD_OK);
    assert_int_equal(jobd_cancel(jobd, ended, NULL, 1), JOBD_OK);
    for (size_t size = 1 << 14; size > 0; size /= 2)
        for (; jobd_memory(jobd) + size + 2000 < MEMORY; jobs++) {
            char name[JOBD_GROUP_SIZE];
            snprintf(name, sizeof name, "group%u", jobs);
            assert_int_equal(put_bytes(jobd, name, size), JOBD_OK);
        }
    assert_int_equal(jobd_queue_change(jobd, 0, &config, 2), 0);
    check_engine(jobd);
    assert_true(jobd_memory(jobd) > MEMORY);
    assert_int_equal(jobd_retry(jobd, ended, NULL, 3, &receipt), JOBD_OUT_OF_MEMORY);
    struct person clerk = person();
    assert_int_equal(jobd_change_all(jobd, JOBD_RETRY_ALL, &filter, &clerk.waiter, 3), JOBD_OK);
    assert_int_equal(clerk.waiter.tally.changed, 0);
    check_engine(jobd);
    jobd_cancel_all(jobd, 4);
    assert_int_equal(jobd_retry(jobd, ended, NULL, 5, &receipt), JOBD_OK);
    check_engine(jobd);
    jobd_cancel_all(jobd, 6);
    jobd_free(jobd);
}

static void test_busiest(void **state)
{
    const struct jobd_queue_config config = {.by_group = true};
    struct jobd *jobd = open_with(&config);
    struct jobd_group_stats list[JOBD_BUSIEST_MAX];
    (void)state;
    assert_int_equal(jobd_busiest(jobd, 0, list, JOBD_BUSIEST_MAX), 0);
    put_many(jobd, MANY, 1);
    put_some_of(jobd, "a", 9, 1);
    put_some_of(jobd, "b", 17, 1);
    put_some_of(jobd, "c", 12, 1);
    assert_int_equal(jobd_busiest(jobd, 0, list, JOBD_BUSIEST_MAX), JOBD_BUSIEST_MAX);
    assert_string_equal(list[0].name, "b");
    assert_string_equal(list[1].name, "c");
    assert_string_equal(list[2].name, "a");
    for (unsigned i = 3; i < JOBD_BUSIEST_MAX; i++)
        assert_int_equal(list[i].waiting, 3);
    assert_int_equal(jobd_busiest(jobd, 0, list, 1), 1);
    assert_int_equal(list[0].waiting, 17);
    jobd_cancel_all(jobd, 2);
    jobd_free(jobd);
}

/* A group that has been idle for a moment is not let off what it has used up. */
static void test_rate_is_remembered(void **state)
{
    const struct jobd_queue_config config = {.by_group = true,
                                             .group_limits = {.starts = 2, .per_us = 10 * SECOND}};
    struct jobd *jobd = open_with(&config);
    char token[JOBD_TOKEN_SIZE];
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        put_some_of(jobd, "a", 1, SECOND);
        assert_true(lease(jobd, SECOND, token) > 0);
        end_lease(jobd, token, SECOND);
    }
    assert_true(jobd_memory(jobd) > 0);
    put_some_of(jobd, "a", 1, 2 * SECOND);
    assert_int_equal(lease(jobd, 2 * SECOND, token), 0);
    assert_int_equal(jobd_tick(jobd, 5 * SECOND), 6 * SECOND);
    assert_int_equal(lease(jobd, 6 * SECOND - 1, token), 0);
    (void)jobd_tick(jobd, 6 * SECOND);
    assert_true(lease(jobd, 6 * SECOND, token) > 0);
    end_lease(jobd, token, 6 * SECOND);
    assert_int_equal(jobd_tick(jobd, 7 * SECOND), 16 * SECOND); /* full again */
    assert_int_equal(jobd_tick(jobd, 16 * SECOND), JOBD_NEVER);
    assert_int_equal(jobd_memory(jobd), 0);
    jobd_free(jobd);
}

/* Those that wait for a token come before one who comes when the timer is late. */
static void test_who_waits_has_the_token(void **state)
{
    const struct jobd_queue_config config = {.workers = 3,
                                             .limits = {.starts = 1, .per_us = SECOND}};
    struct jobd *jobd = open_with(&config);
    struct person first = person(), second = person(), third = person();
    (void)state;
    assert_int_equal(put(jobd, SECOND), JOBD_OK);
    assert_int_equal(put(jobd, SECOND), JOBD_OK);
    assert_int_equal(take(jobd, &first, SECOND), 1);
    assert_int_equal(jobd_take(jobd, 0, &second.waiter, SECOND), JOBD_PENDING);
    check_engine(jobd);
    assert_int_equal(jobd_take(jobd, 0, &third.waiter, 2 * SECOND), JOBD_PENDING);
    assert_int_equal(second.woken, 1);
    assert_int_equal(second.waiter.task.id, 2);
    check_engine(jobd);
    finish(jobd, &first.waiter.task, JOBD_DONE, 2 * SECOND);
    finish(jobd, &second.waiter.task, JOBD_DONE, 2 * SECOND);
    assert_true(jobd_cancel_wait(jobd, &third.waiter));
    jobd_free(jobd);
}

/* Whether there will be room, and when, as far as is known. */
static void test_room_in_a_group(void **state)
{
    const struct jobd_queue_config config = {.workers = 1,
                                             .by_group = true,
                                             .group_limits = {.starts = 1, .per_us = 30 * SECOND},
                                             .group_waiting = 2};
    struct jobd *jobd = open_with(&config);
    struct jobd_receipt receipt;
    struct person worker = person();
    (void)state;
    put_some_of(jobd, "a", 1, SECOND);
    assert_true(take(jobd, &worker, SECOND) > 0);
    finish(jobd, &worker.waiter.task, JOBD_DONE, SECOND);
    put_some_of(jobd, "a", 2, 2 * SECOND);
    assert_int_equal(put_of(jobd, "a", 2 * SECOND, &receipt), JOBD_GROUP_FULL);
    assert_int_equal(receipt.busy, JOBD_BUSY_GROUP);
    assert_int_equal(receipt.room_in_us, 29 * SECOND);
    assert_int_equal(put_of(jobd, "b", 2 * SECOND, &receipt), JOBD_OK);
    /* More than may ever wait. */
    struct jobd_blob *batch[3] = {NULL};
    const struct jobd_terms terms = {.texts = {[JOBD_GROUP] = "c"}};
    const struct jobd_put put = {.terms = &terms, .batch = batch, .batch_len = 3};
    assert_int_equal(jobd_put(jobd, &put, NULL, 2 * SECOND, &receipt), JOBD_GROUP_FULL);
    assert_int_equal(receipt.room_in_us, JOBD_UNKNOWN_US);
    assert_int_equal(jobd_pause(jobd, 0, true, NULL, 2 * SECOND), JOBD_OK);
    assert_int_equal(put_of(jobd, "a", 2 * SECOND, &receipt), JOBD_GROUP_FULL);
    assert_int_equal(receipt.room_in_us, JOBD_UNKNOWN_US);
    assert_int_equal(stats_of(jobd, 2 * SECOND).rejected, 5);
    check_engine(jobd);
    jobd_cancel_all(jobd, 2 * SECOND);
    jobd_free(jobd);
}

/* With fewer running than workers: as many as the limit says drain it. */
static void test_room_by_the_limit(void **state)
{
    const struct jobd_queue_config config = {
        .workers = 4, .limits = {.running = 1, .starts = 3, .per_us = 3000 * (int64_t)SECOND}};
    struct jobd *jobd = open_with(&config);
    struct jobd_receipt receipt;
    struct person worker = person();
    const struct jobd_put one = {.queue = 0};
    (void)state;
    assert_int_equal(jobd_queue_resize(jobd, 0, 2, 4, SECOND), 0);
    assert_int_equal(put(jobd, SECOND), JOBD_OK);
    assert_int_equal(put(jobd, SECOND), JOBD_OK);
    assert_true(take(jobd, &worker, SECOND) > 0);
    finish(jobd, &worker.waiter.task, JOBD_DONE, 11 * SECOND); /* ran for 10 s */
    assert_true(take(jobd, &worker, 11 * SECOND) > 0);
    assert_int_equal(put(jobd, 11 * SECOND), JOBD_OK);
    assert_int_equal(put(jobd, 11 * SECOND), JOBD_OK);
    assert_int_equal(jobd_put(jobd, &one, NULL, 14 * SECOND, &receipt), JOBD_FULL);
    assert_int_equal(receipt.busy, JOBD_BUSY_FULL);
    assert_int_equal(receipt.room_in_us, 7 * SECOND);
    finish(jobd, &worker.waiter.task, JOBD_DONE, 21 * SECOND);
    assert_true(take(jobd, &worker, 21 * SECOND) > 0);
    assert_int_equal(put(jobd, 21 * SECOND), JOBD_OK);
    assert_int_equal(jobd_put(jobd, &one, NULL, 21 * SECOND, &receipt), JOBD_FULL);
    assert_int_equal(receipt.busy, JOBD_BUSY_RATE);
    assert_int_equal(receipt.room_in_us, 980 * (int64_t)SECOND);
    finish(jobd, &worker.waiter.task, JOBD_DONE, 22 * SECOND);
    check_engine(jobd);
    jobd_cancel_all(jobd, 23 * SECOND);
    jobd_free(jobd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_are_purged),
        cmocka_unit_test(test_many_are_moved),
        cmocka_unit_test(test_many_begin_to_take_turns),
        cmocka_unit_test(test_busiest),
        cmocka_unit_test(test_rate_is_remembered),
        cmocka_unit_test(test_who_waits_has_the_token),
        cmocka_unit_test(test_room_in_a_group),
        cmocka_unit_test(test_room_by_the_limit),
        cmocka_unit_test(test_no_retry_beyond_the_memory),
    };
    return cmocka_run_group_tests_name("groups", tests, NULL, NULL);
}
