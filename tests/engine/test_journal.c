/* SPDX-License-Identifier: MIT */
/* The engine with a journal, step by step: what is written, and what fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "engine/model/check_engine.h"
#include "engine/journal_scene.h"
#include "jobd/change.h"
#include "jobd/lease.h"

static uint64_t put(struct jobd *jobd, struct person *by, const char *key, int64_t now_us)
{
    struct jobd_receipt receipt;
    const struct jobd_put put = {.key = key};
    by->waits = true;
    assert_int_equal(jobd_put(jobd, &put, &by->waiter, now_us, &receipt), JOBD_PENDING);
    return receipt.id;
}

static void test_nothing_is_seen_before_it_is_written(void **state)
{
    struct jobd *jobd = disk_open_engine(2, 0, 1);
    struct person one = person_new(), two = person_new(), three = person_new();
    struct jobd_receipt receipt;
    const struct jobd_put more = {.priority = 3};
    (void)state;
    uint64_t id = put(jobd, &one, NULL, 1);
    assert_int_equal(disk.wanted, 1);
    put(jobd, &two, NULL, 1);
    assert_int_equal(disk.wanted, 1); /* the store knows already */
    assert_int_equal(state_of(jobd, id), JOBD_STATES);
    assert_int_equal(jobd_put(jobd, &more, &three.waiter, 1, &receipt), JOBD_FULL);
    check_engine(jobd);
    disk_write_all(jobd, 2);
    assert_false(one.waits || two.waits);
    assert_int_equal(one.waiter.result, JOBD_OK);
    assert_int_equal(one.waiter.receipt.id, id);
    assert_int_equal(state_of(jobd, id), JOBD_QUEUED);
    assert_int_equal(jobd_put(jobd, &more, &three.waiter, 3, &receipt), JOBD_FULL);
    jobd_free(jobd);
    disk_clear();
}

static void test_what_fails_was_never_asked(void **state)
{
    struct jobd *jobd = disk_open_engine(2, 0, 1);
    struct person one = person_new(), two = person_new(), three = person_new();
    (void)state;
    uint64_t id = put(jobd, &one, "k", 1);
    assert_int_equal(put(jobd, &two, "k", 1), id); /* the same job, which is not written yet */
    disk_write_group(jobd, 64, 0, 2);
    assert_int_equal(one.waiter.result, JOBD_STORE_FAILED);
    assert_int_equal(two.waiter.result, JOBD_STORE_FAILED);
    check_engine(jobd);
    id = put(jobd, &one, "k", 3);
    disk_write_all(jobd, 3);
    assert_int_equal(one.waiter.result, JOBD_OK);

    /* a cancel that fails leaves the job where it was */
    two.waits = true;
    assert_int_equal(jobd_cancel(jobd, id, &two.waiter, 4), JOBD_PENDING);
    assert_int_equal(jobd_take(jobd, 0, &three.waiter, 4), JOBD_PENDING); /* nobody gets it now */
    disk_write_group(jobd, 64, 0, 5);
    assert_int_equal(two.waiter.result, JOBD_STORE_FAILED);
    assert_int_equal(three.waiter.task.id, id);
    check_engine(jobd);

    /* so does the start of an attempt: nobody was told, and the job goes to who comes next */
    disk_write_group(jobd, 64, 0, 5);
    assert_int_equal(three.waiter.result, JOBD_STORE_FAILED);
    three = person_new();
    assert_int_equal(jobd_take(jobd, 0, &three.waiter, 5), JOBD_PENDING);
    disk_write_all(jobd, 5);
    assert_int_equal(three.waiter.result, JOBD_OK);
    assert_int_equal(three.waiter.task.attempt, 1);

    /* an end that fails comes again, as its worker will not ask for it again */
    jobd_finish(jobd, &three.waiter.task, &(struct jobd_outcome){.state = JOBD_DONE}, 6);
    disk_write_group(jobd, 64, 0, 7);
    assert_int_equal(state_of(jobd, id), JOBD_RUNNING);
    disk_write_all(jobd, 8);
    assert_int_equal(state_of(jobd, id), JOBD_DONE);
    assert_int_equal(disk.jobs[id].record.state, JOBD_DONE);
    check_engine(jobd);
    jobd_free(jobd);
    disk_clear();
}

static void test_a_refusing_store_lets_jobs_end(void **state)
{
    struct jobd *jobd = disk_open_engine(2, 0, 1);
    struct person one = person_new(), two = person_new();
    struct jobd_receipt receipt;
    const struct jobd_put more = {.priority = 3};
    (void)state;
    uint64_t id = put(jobd, &one, NULL, 1);
    disk_write_all(jobd, 1);
    put(jobd, &one, NULL, 2);
    journal_refuse(jobd, true, 2);
    assert_int_equal(one.waiter.result, JOBD_STORE_FAILED);
    assert_int_equal(jobd_put(jobd, &more, &one.waiter, 2, &receipt), JOBD_STORE_FAILED);
    two.waits = true;
    assert_int_equal(jobd_cancel(jobd, id, &two.waiter, 3), JOBD_PENDING);
    disk_write_all(jobd, 3);
    assert_int_equal(two.waiter.result, JOBD_OK);
    journal_refuse(jobd, false, 4);
    put(jobd, &one, NULL, 4);
    check_engine(jobd);
    disk_write_all(jobd, 4);
    jobd_free(jobd);
    disk_clear();
}

#define TOKEN "0123456789abcdef0123456789abcdef"

static void test_a_lease_outlives_the_process(void **state)
{
    struct jobd *jobd = disk_open_engine(4, 0, 1);
    struct person one = person_new(), two = person_new();
    const struct jobd_outcome done = {.state = JOBD_DONE};
    (void)state;
    uint64_t id = put(jobd, &one, NULL, 1);
    disk_write_all(jobd, 1);
    (void)disk_lease(jobd, 0, TOKEN, 2);
    jobd_free(jobd);

    jobd = disk_restore(100, 50);
    assert_int_equal(state_of(jobd, id), JOBD_RUNNING);
    one = person_new();
    assert_int_equal(jobd_lease_finish(jobd, TOKEN, &done, &one.waiter, 60), JOBD_PENDING);
    assert_int_equal(jobd_lease_finish(jobd, TOKEN, &done, &two.waiter, 60), JOBD_PENDING);
    assert_int_equal(jobd_lease_extend(jobd, TOKEN, 9, NULL, 60), JOBD_LEASE_EXPIRED);
    disk_write_all(jobd, 61);
    assert_int_equal(one.waiter.result, JOBD_OK);
    assert_int_equal(two.waiter.result, JOBD_REPEATED);
    assert_int_equal(state_of(jobd, id), JOBD_DONE);
    jobd_free(jobd);

    /* and so does its last report */
    jobd = disk_restore(100, 70);
    assert_int_equal(jobd_lease_finish(jobd, TOKEN, &done, NULL, 71), JOBD_REPEATED);
    jobd_free(jobd);

    /* one that ran out meanwhile has failed */
    disk_clear();
    jobd = disk_open_engine(4, 0, 1);
    one = person_new();
    id = put(jobd, &one, NULL, 1);
    disk_write_all(jobd, 1);
    (void)disk_lease(jobd, 0, TOKEN, 2);
    jobd_free(jobd);
    jobd = disk_restore(100, 500);
    jobd_tick(jobd, 500);
    disk_write_all(jobd, 500);
    assert_int_equal(state_of(jobd, id), JOBD_FAILED);
    jobd_free(jobd);
    disk_clear();
}

static void give_job(struct jobd *jobd, uint32_t queue, struct person *worker, int64_t now_us)
{
    *worker = person_new();
    assert_int_equal(jobd_take(jobd, queue, &worker->waiter, now_us), JOBD_PENDING);
    disk_write_all(jobd, now_us);
    assert_int_equal(worker->waiter.result, JOBD_OK);
}

static uint64_t put_in(struct jobd *jobd, uint32_t queue, int64_t now_us)
{
    struct jobd_receipt receipt;
    assert_int_equal(jobd_put(jobd, &(struct jobd_put){.queue = queue}, NULL, now_us, &receipt),
                     JOBD_OK);
    disk_write_all(jobd, now_us);
    return receipt.id;
}

/* Of two cancels of a job that runs one is not written: the other still says how its end is. */
static void test_a_cancel_beside_one_that_fails(void **state)
{
    struct jobd *jobd = disk_open_engine(4, 0, 1);
    struct person one = person_new(), two = person_new(), worker;
    (void)state;
    uint64_t id = put_in(jobd, 1, 1);
    give_job(jobd, 1, &worker, 2);
    one.waits = two.waits = true;
    assert_int_equal(jobd_cancel(jobd, id, &one.waiter, 3), JOBD_PENDING);
    assert_int_equal(jobd_cancel(jobd, id, &two.waiter, 3), JOBD_PENDING);
    jobd_finish(jobd, &worker.waiter.task,
                &(struct jobd_outcome){.state = JOBD_FAILED, .for_good = true}, 4);
    disk_write_group(jobd, 1, 0, 5);
    assert_int_equal(one.waiter.result, JOBD_STORE_FAILED);
    disk_write_group(jobd, 64, SIZE_MAX, 6); /* the second one and the end, together */
    assert_int_equal(two.waiter.result, JOBD_STOPPING);
    assert_int_equal(state_of(jobd, id), JOBD_CANCELLED);
    assert_int_equal(disk.jobs[id].record.state, JOBD_CANCELLED);
    check_engine(jobd);
    jobd_free(jobd);
    disk_clear();
}

static unsigned told_to_stop[2];

static void count_stop(struct jobd_waiter *waiter, const struct jobd_task *task)
{
    assert_int_equal(task->id, waiter->task.id);
    told_to_stop[waiter->task.id % 2]++;
}

/* However many are written together, whoever runs one of them is told. */
static void test_many_are_stopped_together(void **state)
{
    enum { CANCELS = 7 };
    struct jobd *jobd = disk_open_engine(4, 0, 1);
    struct person asking[2 * CANCELS], workers[2];
    uint64_t ids[2];
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        ids[i] = put_in(jobd, 1, 1);
        give_job(jobd, 1, &workers[i], 2);
        workers[i].waiter.stop = count_stop;
    }
    for (unsigned i = 0; i < 2 * CANCELS; i++) {
        asking[i] = person_new();
        asking[i].waits = true;
        assert_int_equal(jobd_cancel(jobd, ids[i % 2], &asking[i].waiter, 3), JOBD_PENDING);
    }
    assert_int_equal(disk_write_group(jobd, 64, SIZE_MAX, 4), 2 * CANCELS);
    assert_int_equal(told_to_stop[0], CANCELS);
    assert_int_equal(told_to_stop[1], CANCELS);
    for (unsigned i = 0; i < 2; i++)
        jobd_finish(jobd, &workers[i].waiter.task, &(struct jobd_outcome){.state = JOBD_CANCELLED},
                    5);
    disk_write_all(jobd, 5);
    check_engine(jobd);
    jobd_free(jobd);
    disk_clear();
}

/* An attempt that began counts, whatever became of the server: a job that ends it again and again
 * fails. */
static void test_an_attempt_that_the_server_did_not_survive(void **state)
{
    struct jobd *jobd = disk_open_engine(4, 0, 1);
    struct jobd_info info;
    struct jobd_blob *error;
    (void)state;
    uint64_t once = put_in(jobd, 0, 1), thrice = put_in(jobd, 1, 1), stopped = put_in(jobd, 0, 1);
    struct person one = person_new(), workers[3];
    give_job(jobd, 0, &workers[0], 2);
    give_job(jobd, 1, &workers[1], 2);
    give_job(jobd, 0, &workers[2], 2);
    assert_int_equal(jobd_cancel(jobd, stopped, &one.waiter, 3), JOBD_PENDING);
    disk_write_all(jobd, 3);
    assert_int_equal(one.waiter.result, JOBD_STOPPING);
    for (unsigned attempt = 1; attempt <= 3; attempt++) {
        jobd_free(jobd);
        jobd = disk_restore(100, 50);
        disk_write_all(jobd, 51);
        jobd_tick(jobd, 51);
        assert_int_equal(jobd_get(jobd, thrice, &info), JOBD_OK);
        assert_int_equal(info.state, attempt < 3 ? JOBD_QUEUED : JOBD_FAILED);
        assert_int_equal(info.attempt, attempt);
        if (attempt < 3)
            give_job(jobd, 1, &workers[1], 52);
    }
    assert_int_equal(state_of(jobd, once), JOBD_FAILED);
    assert_int_equal(state_of(jobd, stopped), JOBD_CANCELLED);
    assert_int_equal(jobd_get_blob(jobd, once, JOBD_ERROR, &error), JOBD_OK);
    assert_memory_equal(error->bytes, "the server ended while it ran", error->size);
    jobd_blob_unref(error);
    jobd_free(jobd);
    disk_clear();
}

/* A plain job waits for nothing, though the clock was years ahead when it came. */
static void test_a_clock_that_was_ahead(void **state)
{
    struct jobd *jobd = disk_open_engine(4, 0, 1);
    (void)state;
    uint64_t id = put_in(jobd, 0, INT64_C(10) * 365 * 86400 * 1000000);
    jobd_free(jobd);
    jobd = disk_restore(100, 50);
    assert_int_equal(state_of(jobd, id), JOBD_QUEUED);
    jobd_free(jobd);
    disk_clear();
}

/* An instant is one of the wall clock as it is set at a start, but of no clock that was lost. */
static void test_an_instant_is_of_the_wall_clock(void **state)
{
    const int64_t hour_us = INT64_C(3600) * 1000000, began_us = 1000 * hour_us;
    static const struct {
        int64_t wall_hours, left_hours; /* at the start, since the server began */
    } rows[] = {{0, 10}, {3, 7}, {12, 0}, {-500, 10}};
    struct jobd_receipt receipt;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct jobd_info info;
        int64_t now_us = began_us + rows[i].wall_hours * hour_us;
        struct jobd *jobd = disk_restore(1, began_us);
        const struct jobd_put put = {.at_us = began_us + 10 * hour_us};
        assert_int_equal(jobd_put(jobd, &put, NULL, began_us, &receipt), JOBD_OK);
        disk_write_all(jobd, began_us);
        jobd_free(jobd);
        jobd = disk_restore(100, now_us);
        assert_int_equal(jobd_get(jobd, receipt.id, &info), JOBD_OK);
        assert_int_equal(info.state, rows[i].left_hours > 0 ? JOBD_SCHEDULED : JOBD_QUEUED);
        if (rows[i].left_hours > 0)
            assert_int_equal(info.run_at_us - now_us, rows[i].left_hours * hour_us);
        jobd_free(jobd);
        disk_clear();
    }
}

/* How long it is remembered goes on while nobody serves. */
static void test_an_end_is_kept_for_some_time(void **state)
{
    const struct jobd_terms terms = {.keep_us = 1000};
    struct jobd_receipt receipt;
    (void)state;
    for (int64_t away_us = 0; away_us < 2000; away_us += 1900) {
        struct jobd *jobd = disk_restore(1, 5000);
        const struct jobd_put put = {.terms = &terms};
        assert_int_equal(jobd_put(jobd, &put, NULL, 5000, &receipt), JOBD_OK);
        disk_write_all(jobd, 5000);
        assert_int_equal(jobd_cancel(jobd, receipt.id, NULL, 5100), JOBD_OK);
        disk_write_all(jobd, 5100);
        jobd_free(jobd);
        jobd = disk_restore(100, 5200 + away_us);
        assert_int_equal(jobd_tick(jobd, 5200 + away_us), away_us > 0 ? JOBD_NEVER : 6100);
        assert_int_equal(state_of(jobd, receipt.id), away_us > 0 ? JOBD_STATES : JOBD_CANCELLED);
        disk_write_all(jobd, 7000);
        assert_int_equal(disk.jobs[receipt.id].there, away_us == 0);
        jobd_free(jobd);
        disk_clear();
    }
}

/* On a slow disk a lease is told of late, and lasts from then on. */
static void test_a_lease_counts_from_when_it_is_told(void **state)
{
    struct jobd *jobd = disk_open_engine(4, 0, 1);
    struct person one = person_new();
    (void)state;
    uint64_t id = put_in(jobd, 1, 1);
    one.waiter.lease_us = 500;
    strcpy(one.waiter.token, TOKEN);
    assert_int_equal(jobd_take(jobd, 1, &one.waiter, 2), JOBD_PENDING);
    jobd_tick(jobd, 900);
    disk_write_all(jobd, 1000);
    assert_int_equal(one.waiter.result, JOBD_OK);
    assert_int_equal(one.waiter.task.expires_us, 1500);
    jobd_tick(jobd, 1499);
    assert_int_equal(state_of(jobd, id), JOBD_RUNNING);
    struct person two = person_new();
    assert_int_equal(jobd_lease_extend(jobd, TOKEN, 700, &two.waiter, 1499), JOBD_PENDING);
    disk_write_all(jobd, 2100);
    assert_int_equal(two.waiter.task.expires_us, 2800);
    jobd_tick(jobd, 2800);
    disk_write_all(jobd, 2801);
    assert_int_equal(state_of(jobd, id), JOBD_SCHEDULED);
    jobd_free(jobd);

    /* the report of its holder counts while nobody else has the job, also over a restart */
    jobd = disk_restore(100, 2802);
    const struct jobd_outcome done = {.state = JOBD_DONE};
    assert_int_equal(jobd_lease_extend(jobd, TOKEN, 9, NULL, 2803), JOBD_LEASE_EXPIRED);
    struct person three = person_new();
    assert_int_equal(jobd_lease_finish(jobd, TOKEN, &done, &three.waiter, 2803), JOBD_PENDING);
    disk_write_group(jobd, 64, 0, 2804);
    assert_int_equal(three.waiter.result, JOBD_STORE_FAILED);
    three = person_new();
    assert_int_equal(jobd_lease_finish(jobd, TOKEN, &done, &three.waiter, 2805), JOBD_PENDING);
    disk_write_all(jobd, 2806);
    assert_int_equal(three.waiter.result, JOBD_OK);
    assert_int_equal(state_of(jobd, id), JOBD_DONE);
    assert_int_equal(disk.jobs[id].record.state, JOBD_DONE);
    assert_int_equal(jobd_lease_finish(jobd, TOKEN, &done, NULL, 2807), JOBD_REPEATED);
    jobd_free(jobd);
    disk_clear();
}

static void test_giving_up_puts_back(void **state)
{
    struct jobd *jobd = disk_open_engine(4, 0, 1);
    struct person worker, idle_waiter = person_new();
    (void)state;
    uint64_t id = put_in(jobd, 0, 1), waits = put_in(jobd, 0, 1);
    give_job(jobd, 0, &worker, 2);
    jobd_close(jobd);
    assert_int_equal(jobd_await_idle(jobd, &idle_waiter.waiter), JOBD_PENDING);
    jobd_cancel_all(jobd, 3);
    jobd_finish(jobd, &worker.waiter.task, &(struct jobd_outcome){.state = JOBD_CANCELLED}, 4);
    disk_write_all(jobd, 4);
    assert_int_equal(idle_waiter.waiter.result, JOBD_OK);
    assert_int_equal(disk.jobs[id].record.state, JOBD_QUEUED);
    assert_int_equal(disk.jobs[id].record.attempt, 0);
    assert_int_equal(disk.jobs[waits].record.state, JOBD_QUEUED);
    jobd_free(jobd);
    disk_clear();
}

static void test_a_purge_is_written_whole(void **state)
{
    struct jobd *jobd = disk_open_engine(1000, 0, 1);
    struct person one = person_new();
    struct jobd_stats stats;
    uint32_t purged;
    (void)state;
    for (int i = 0; i < 600; i++) {
        struct jobd_receipt receipt;
        const struct jobd_put put = {.delay_us = i % 2 * 1000};
        assert_int_equal(jobd_put(jobd, &put, NULL, 1, &receipt), JOBD_OK);
        disk_write_all(jobd, 1);
    }
    assert_int_equal(jobd_purge(jobd, 0, &one.waiter, 2, &purged), JOBD_PENDING);
    assert_int_equal(purged, 600);
    disk_write_group(jobd, 300, 100,
                     3); /* a part of it fails: not all that was asked for is done */
    check_engine(jobd);
    disk_write_all(jobd, 3);
    assert_int_equal(one.waiter.result, JOBD_STORE_FAILED);
    one = person_new();
    assert_int_equal(jobd_purge(jobd, 0, &one.waiter, 4, &purged), JOBD_PENDING);
    disk_write_all(jobd, 4);
    assert_int_equal(one.waiter.result, JOBD_OK);
    jobd_stats(jobd, 0, 5, &stats);
    assert_int_equal(stats.queued + stats.scheduled, 0);
    check_engine(jobd);
    jobd_free(jobd);
    disk_clear();
}

/* Of more jobs than the journal has room for: it goes on by itself. */
static void test_a_purge_of_very_many(void **state)
{
    enum { MANY = 600000 };
    struct jobd *jobd = disk_open_engine(MANY, MANY, 1000000);
    struct person one = person_new();
    struct jobd_stats stats;
    uint32_t purged;
    (void)state;
    for (uint64_t id = 1; id <= MANY; id++) {
        const struct job_record record = {
            .id = id, .queue = "one", .attempts = 1, .key = "", .trace = "", .token = ""};
        assert_true(jobd_restore(jobd, &record, 1));
    }
    assert_int_equal(jobd_purge(jobd, 0, &one.waiter, 2, &purged), JOBD_PENDING);
    assert_true(purged < MANY);
    while (journal_gather(jobd, 4096, SIZE_MAX) > 0)
        journal_written(jobd, 3);
    assert_int_equal(one.waiter.result, JOBD_OK);
    assert_int_equal(one.waiter.swept, MANY);
    jobd_stats(jobd, 0, 4, &stats);
    assert_int_equal(stats.queued, 0);
    jobd_free(jobd);
    disk_clear();
}

/* What a full queue says of when there will be room. */
static int64_t room_in_us(struct jobd *jobd, int64_t now_us)
{
    struct jobd_receipt receipt;
    assert_int_equal(jobd_put(jobd, &(struct jobd_put){.delay_us = 0}, NULL, now_us, &receipt),
                     JOBD_FULL);
    return receipt.room_in_us;
}

/* Of an attempt whose end is being written nobody waits for the end: its worker has the next. */
static void test_room_does_not_wait_for_the_disk(void **state)
{
    struct jobd *jobd = disk_open_engine(4, 0, 1);
    struct person put_waiters[6], workers[2] = {person_new(), person_new()};
    const int64_t run_us = 3000000;
    int64_t now_us = 1;
    (void)state;
    for (int i = 0; i < 4; i++) {
        put_waiters[i] = person_new();
        put(jobd, &put_waiters[i], NULL, now_us);
    }
    disk_write_all(jobd, now_us);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(jobd_take(jobd, 0, &workers[i].waiter, now_us), JOBD_PENDING);
        put_waiters[4 + i] = person_new();
        put(jobd, &put_waiters[4 + i], NULL, now_us);
    }
    disk_write_all(jobd, now_us);
    now_us += run_us;
    for (int i = 0; i < 2; i++) {
        finish(jobd, &workers[i].waiter.task, JOBD_DONE, now_us);
        disk_write_all(jobd, now_us);
        workers[i] = person_new();
        assert_int_equal(jobd_take(jobd, 0, &workers[i].waiter, now_us), JOBD_PENDING);
    }
    for (int i = 0; i < 2; i++) {
        put_waiters[i] = person_new();
        put(jobd, &put_waiters[i], NULL, now_us);
    }
    disk_write_all(jobd, now_us);
    now_us += run_us;
    assert_int_equal(room_in_us(jobd, now_us), 0);
    for (int i = 0; i < 2; i++) {
        finish(jobd, &workers[i].waiter.task, JOBD_DONE, now_us);
        workers[i] = person_new();
        assert_int_equal(jobd_take(jobd, 0, &workers[i].waiter, now_us), JOBD_PENDING);
        put_waiters[i] = person_new();
        put(jobd, &put_waiters[i], NULL, now_us);
    }
    assert_int_equal(room_in_us(jobd, now_us), run_us);
    disk_write_all(jobd, now_us);
    assert_int_equal(room_in_us(jobd, now_us), run_us);
    for (int i = 0; i < 2; i++)
        finish(jobd, &workers[i].waiter.task, JOBD_DONE, now_us);
    disk_write_all(jobd, now_us);
    jobd_free(jobd);
    disk_clear();
}

/* How long jobs have waited in the process before says nothing of this one's workers. */
static void test_room_does_not_count_the_time_before(void **state)
{
    struct jobd *jobd = disk_open_engine(CAPACITY, 0, 1);
    struct person put_waiters[CAPACITY];
    const int64_t later_us = INT64_C(3600) * 1000000;
    (void)state;
    for (int i = 0; i < CAPACITY; i++) {
        put_waiters[i] = person_new();
        put(jobd, &put_waiters[i], NULL, 1);
    }
    disk_write_all(jobd, 1);
    jobd_free(jobd);
    jobd = disk_restore(100, later_us);
    assert_int_equal(room_in_us(jobd, later_us + 5), 5);
    jobd_free(jobd);
    disk_clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_seen_before_it_is_written),
        cmocka_unit_test(test_what_fails_was_never_asked),
        cmocka_unit_test(test_a_refusing_store_lets_jobs_end),
        cmocka_unit_test(test_a_lease_outlives_the_process),
        cmocka_unit_test(test_a_cancel_beside_one_that_fails),
        cmocka_unit_test(test_many_are_stopped_together),
        cmocka_unit_test(test_an_attempt_that_the_server_did_not_survive),
        cmocka_unit_test(test_a_clock_that_was_ahead),
        cmocka_unit_test(test_an_instant_is_of_the_wall_clock),
        cmocka_unit_test(test_an_end_is_kept_for_some_time),
        cmocka_unit_test(test_a_lease_counts_from_when_it_is_told),
        cmocka_unit_test(test_giving_up_puts_back),
        cmocka_unit_test(test_a_purge_is_written_whole),
        cmocka_unit_test(test_a_purge_of_very_many),
        cmocka_unit_test(test_room_does_not_wait_for_the_disk),
        cmocka_unit_test(test_room_does_not_count_the_time_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
