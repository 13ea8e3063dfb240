/* SPDX-License-Identifier: MIT */
/* Turns over a log in memory, whose connection is lost at the wrong moment: whoever asked is told
 * once, and rightly. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/container.h"
#include "jobd/pool.h"
#include "jobd/turns.h"
#include "ledger/entry.h"
#include "ledger/memory_ledger.h"
#include "ledger/turns.h"
#include "run/wait_sync.h"
#include "jobd/lease.h"

enum { LOG_BYTES = 1000 };

struct scene {
    struct memory_ledger ledger;
    struct turns *turns;
    struct jobd_pool *pool;
    struct jobd *jobd;
    atomic_uint runs;
    uint32_t queues; /* that it begins with */
    uint32_t room;   /* for jobs of queues that come */
};

static struct scene scene;

static void run_job(const struct jobd_task *task, struct jobd_outcome *outcome, void *context)
{
    (void)task, (void)context;
    atomic_fetch_add(&scene.runs, 1);
    outcome->output = jobd_blob_text("done");
}

static void ended(void *context, const char *why)
{
    (void)context;
    fail_msg("%s", why);
}

static const struct jobd_queue_config other_queue = {.name = "other", .capacity = 10};

/* A process with so many workers; the log stays from one to the next. */
static void begin(uint32_t workers, uint32_t node)
{
    struct problem problem;
    const struct jobd_queue_config queues[] = {
        {.name = "q", .capacity = 100, .workers = workers, .attempts = 3}, other_queue};
    const struct jobd_runner runners[] = {{.run = run_job}, {.run = run_job}};
    scene.ledger.now_us = clock_now_us();
    scene.turns = turns_new(&(struct turns_config){.ops = &memory_ops,
                                                   .ledger = &scene.ledger,
                                                   .node = node,
                                                   .name = "memory",
                                                   .log_bytes = LOG_BYTES,
                                                   .on_end = ended});
    assert_non_null(scene.turns);
    const struct jobd_config config = {.queues = queues,
                                       .queues_len = scene.queues,
                                       .spare_queues = 1,
                                       .spare_capacity = scene.room,
                                       .keep = 100,
                                       .memory_bytes = 1 << 20,
                                       .waiters_max = 10,
                                       .leases_max = 10,
                                       .first_id = 1,
                                       .turns = turns_of(scene.turns)};
    assert_int_equal(jobd_pool_new(&scene.pool, &config, runners), 0);
    scene.jobd = jobd_pool_jobd(scene.pool);
    assert_true(turns_load(scene.turns, scene.jobd, &problem));
    assert_int_equal(turns_start(scene.turns), 0);
    assert_int_equal(jobd_pool_start(scene.pool), 0);
}

static void end(void)
{
    jobd_stop_takers(scene.jobd);
    jobd_pool_stop(scene.pool);
    assert_true(turns_stop(scene.turns, INT64_C(20000000)));
    jobd_pool_free(scene.pool);
    turns_free(scene.turns);
}

static int open_scene(void **state)
{
    (void)state;
    memset(&scene, 0, sizeof scene);
    memory_ledger_init(&scene.ledger, 1000);
    scene.queues = 1;
    scene.room = 100;
    begin(0, 1);
    return 0;
}

static int close_scene(void **state)
{
    (void)state;
    end();
    memory_ledger_release(&scene.ledger);
    return 0;
}

/* ---- one who asks, and waits for the answer */

struct asker {
    struct wait_sync sync; /* first */
    struct jobd_turn turn;
    unsigned told;
    enum memory_fault fault; /* of the turn in which it runs */
    enum jobd_result (*verb)(struct asker *asker);
    uint64_t id;
};

static enum jobd_result run(struct jobd_turn *turn)
{
    struct asker *asker = turn->context;
    scene.ledger.fault = asker->fault;
    return asker->verb(asker);
}

static void over(struct jobd_turn *turn, enum jobd_result result)
{
    struct asker *asker = turn->context;
    asker->told++;
    asker->sync.waiter.result = result;
    asker->sync.waiter.wake(&asker->sync.waiter);
}

static enum jobd_result put(struct asker *asker)
{
    struct jobd_receipt receipt;
    const struct jobd_put put = {.payload = jobd_blob_text("hello")};
    enum jobd_result result =
        jobd_put(scene.jobd, &put, &asker->sync.waiter, clock_now_us(), &receipt);
    assert_int_equal(result, JOBD_OK);
    asker->id = receipt.id;
    return result;
}

static enum jobd_result take(struct asker *asker)
{
    struct jobd_waiter *waiter = &asker->sync.waiter;
    waiter->lease_us = INT64_C(60000000);
    snprintf(waiter->token, sizeof waiter->token, "%032u", 1u + asker->told);
    return jobd_take(scene.jobd, 0, waiter, clock_now_us());
}

static enum jobd_result ask(struct asker *asker, enum jobd_result (*verb)(struct asker *),
                            enum memory_fault fault)
{
    *asker = (struct asker){.verb = verb, .fault = fault};
    assert_int_equal(wait_sync_init(&asker->sync), 0);
    asker->turn = (struct jobd_turn){.run = run, .over = over, .context = asker};
    jobd_enter(scene.jobd, &asker->turn);
    enum jobd_result result = wait_sync_until(&asker->sync, scene.jobd, JOBD_NEVER);
    assert_int_equal(asker->told, 1);
    return result;
}

/* Until jobd_looked() nothing changes. */
static void look(struct asker *asker)
{
    asker->turn = (struct jobd_turn){.looks = true, .over = over, .context = asker};
    jobd_enter(scene.jobd, &asker->turn);
    assert_int_equal(wait_sync_until(&asker->sync, scene.jobd, JOBD_NEVER), JOBD_OK);
}

static uint64_t admitted(struct asker *asker)
{
    struct jobd_stats stats;
    look(asker);
    jobd_stats(scene.jobd, 0, clock_now_us(), &stats);
    jobd_looked(scene.jobd);
    return stats.admitted;
}

/* By ten seconds, from the next turn on; in the thread that reads it. */
static enum jobd_result put_back(struct asker *asker)
{
    scene.ledger.now_us -= INT64_C(10000000);
    return put(asker);
}

static enum jobd_result put_forward(struct asker *asker)
{
    scene.ledger.now_us += INT64_C(20000000);
    return put(asker);
}

/* What is written to standard error while this is asked for, and then a put. */
static void assert_logged(enum jobd_result (*verb)(struct asker *), const char *expected)
{
    char said[1024];
    int ends[2], kept = dup(STDERR_FILENO);
    struct asker asker;
    assert_true(kept >= 0 && pipe(ends) == 0);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(ask(&asker, verb, FAULT_NONE), JOBD_OK);
    wait_sync_release(&asker.sync);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ask(&asker, put, FAULT_NONE), JOBD_OK);
        wait_sync_release(&asker.sync);
    }
    assert_int_equal(dup2(kept, STDERR_FILENO), STDERR_FILENO);
    close(kept);
    close(ends[1]);
    ssize_t size = read(ends[0], said, sizeof said - 1);
    close(ends[0]);
    said[size > 0 ? size : 0] = '\0';
    const char *found = strstr(said, expected);
    assert_non_null(found);
    assert_null(strstr(found + 1, expected)); /* once */
}

/* ---- tests */

static void test_a_clock_that_goes_back_is_logged(void **state)
{
    (void)state;
    assert_logged(put_back, "warn memory: the database's clock has gone back by 10 s: ");
    assert_logged(put_forward, "info memory: the database's clock has caught up\n");
}

static void test_what_is_written_is_told(void **state)
{
    struct asker asker;
    (void)state;
    assert_int_equal(ask(&asker, put, FAULT_NONE), JOBD_OK);
    assert_int_equal(scene.ledger.rows_len, 1);
    assert_int_equal(admitted(&asker), 1);
    wait_sync_release(&asker.sync);
}

static void test_what_is_lost_was_not_done(void **state)
{
    static const enum memory_fault faults[] = {FAULT_LOST, FAULT_REFUSED};
    struct turns_stats stats;
    struct asker asker;
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(ask(&asker, put, faults[i]), JOBD_STORE_FAILED);
        assert_int_equal(admitted(&asker), i);
        wait_sync_release(&asker.sync);
        assert_int_equal(ask(&asker, put, FAULT_NONE), JOBD_OK);
        assert_int_equal(admitted(&asker), i + 1);
        wait_sync_release(&asker.sync);
    }
    turns_stats(scene.turns, &stats);
    assert_int_equal(stats.lost, 2);
    assert_int_equal(stats.anew, 2);
}

/* Who comes meanwhile is refused; who was in the turn is told what became of it. */
static void test_a_slow_answer_is_an_answer(void **state)
{
    struct asker asker;
    struct problem problem;
    (void)state;
    assert_int_equal(ask(&asker, put, FAULT_SLOW), JOBD_OK);
    assert_int_equal(admitted(&asker), 1);
    wait_sync_release(&asker.sync);
    assert_false(turns_failing(scene.turns, &problem));
    assert_int_equal(ask(&asker, put, FAULT_NONE), JOBD_OK);
    assert_int_equal(admitted(&asker), 2);
    wait_sync_release(&asker.sync);
}

static void test_what_nobody_said_is_found_out(void **state)
{
    struct turns_stats stats;
    struct asker asker;
    (void)state;
    scene.ledger.away = 2; /* it takes a while */
    assert_int_equal(ask(&asker, put, FAULT_UNSAID), JOBD_OK);
    assert_int_equal(admitted(&asker), 1);
    assert_int_equal(scene.ledger.rows_len, 1);
    wait_sync_release(&asker.sync);
    turns_stats(scene.turns, &stats);
    assert_int_equal(stats.lost, 0);
    assert_int_equal(stats.anew, 0);
}

/* It is not asked again and again without a pause. */
static void test_a_reading_that_is_refused_is_tried_later(void **state)
{
    struct asker asker;
    (void)state;
    scene.ledger.refuses = 3;
    assert_int_equal(ask(&asker, put, FAULT_REFUSED), JOBD_STORE_FAILED);
    wait_sync_release(&asker.sync);
    assert_int_equal(ask(&asker, put, FAULT_NONE), JOBD_OK);
    assert_int_equal(scene.ledger.refuses, 0);
    assert_int_equal(scene.ledger.hasty, 0);
    wait_sync_release(&asker.sync);
}

static void rename_row(void)
{
    scene.ledger.rows[1].node = 99;
}

/* It is read again once, not twice. */
static void test_a_row_that_is_another_is_read_anew(void **state)
{
    struct turns_stats stats;
    struct asker asker;
    (void)state;
    assert_int_equal(ask(&asker, put, FAULT_NONE), JOBD_OK);
    wait_sync_release(&asker.sync);
    atomic_store(&scene.ledger.on_begin, rename_row);
    assert_int_equal(ask(&asker, put, FAULT_NONE), JOBD_OK);
    assert_int_equal(admitted(&asker), 2);
    wait_sync_release(&asker.sync);
    turns_stats(scene.turns, &stats);
    assert_int_equal(stats.anew, 1);
}

static void test_a_lease_that_is_lost_is_free(void **state)
{
    struct asker asker;
    (void)state;
    assert_int_equal(ask(&asker, put, FAULT_NONE), JOBD_OK);
    wait_sync_release(&asker.sync);
    assert_int_equal(ask(&asker, take, FAULT_LOST), JOBD_STORE_FAILED);
    jobd_blob_unref(asker.sync.waiter.task.payload);
    look(&asker);
    assert_false(jobd_lease_known(scene.jobd, asker.sync.waiter.token));
    jobd_looked(scene.jobd);
    wait_sync_release(&asker.sync);
    assert_int_equal(ask(&asker, take, FAULT_NONE), JOBD_OK);
    jobd_blob_unref(asker.sync.waiter.task.payload);
    wait_sync_release(&asker.sync);
}

static void test_who_waits_can_leave(void **state)
{
    struct asker asker = {.verb = take};
    (void)state;
    assert_int_equal(wait_sync_init(&asker.sync), 0);
    asker.turn = (struct jobd_turn){.run = run, .over = over, .context = &asker};
    jobd_enter(scene.jobd, &asker.turn);
    assert_true(jobd_leave(scene.jobd, &asker.turn, &asker.sync.waiter)); /* wherever it is */
    assert_int_equal(asker.told, 0);
    wait_sync_release(&asker.sync);
}

static void await_done(struct asker *asker, uint64_t done)
{
    struct jobd_stats stats;
    do {
        look(asker);
        jobd_stats(scene.jobd, 0, clock_now_us(), &stats);
        jobd_looked(scene.jobd);
    } while (stats.done < done);
    assert_int_equal(stats.done, done);
}

/* What a worker has done counts once, though the turn in which it said so was lost. */
static void test_a_result_that_is_lost_is_said_again(void **state)
{
    static const enum memory_fault faults[] = {FAULT_NONE, FAULT_LOST, FAULT_UNSAID, FAULT_REFUSED};
    struct asker asker;
    (void)state;
    end();
    begin(1, 2);
    for (unsigned i = 0; i < 12; i++) {
        enum jobd_result result = ask(&asker, put, FAULT_NONE);
        assert_int_equal(result, JOBD_OK);
        scene.ledger.fault = faults[i % 4]; /* of some turn soon */
        await_done(&asker, i + 1);
        wait_sync_release(&asker.sync);
    }
    assert_true(atomic_load(&scene.runs) >= 12);
}

static void test_another_process_goes_on(void **state)
{
    struct asker asker;
    (void)state;
    assert_int_equal(ask(&asker, put, FAULT_NONE), JOBD_OK);
    wait_sync_release(&asker.sync);
    end();
    begin(0, 2);
    assert_int_equal(ask(&asker, take, FAULT_NONE), JOBD_OK);
    jobd_blob_unref(asker.sync.waiter.task.payload);
    wait_sync_release(&asker.sync);
}

/* When nothing is heard for a while it looks whether a notification was lost, once. */
static void test_an_idle_one_reads_now_and_then(void **state)
{
    enum { WAITS = 4, ENOUGH = 100 };
    (void)state;
    unsigned waits = atomic_load(&scene.ledger.waits), fetches = atomic_load(&scene.ledger.fetches);
    while (atomic_load(&scene.ledger.waits) < waits + WAITS &&
           atomic_load(&scene.ledger.fetches) < fetches + ENOUGH)
        sched_yield();
    assert_in_range(atomic_load(&scene.ledger.fetches) - fetches, 0, ENOUGH - 1);
}

static enum jobd_result put_other(struct asker *asker)
{
    struct jobd_receipt receipt;
    const struct jobd_put put = {.queue = 1, .payload = jobd_blob_text("hello")};
    return jobd_put(scene.jobd, &put, &asker->sync.waiter, clock_now_us(), &receipt);
}

static void add_other(void)
{
    uint32_t number;
    assert_int_equal(jobd_queue_add(scene.jobd, &other_queue, clock_now_us(), &number), 0);
}

/* As a turn begins: what was left out of it is read before anything is done in it. */
static void test_a_queue_may_come_at_any_moment(void **state)
{
    struct asker asker;
    struct jobd_stats stats;
    (void)state;
    end();
    scene.queues = 2;
    begin(0, 2);
    assert_int_equal(ask(&asker, put_other, FAULT_NONE), JOBD_OK);
    wait_sync_release(&asker.sync);
    end();
    scene.queues = 1;
    begin(0, 3);
    atomic_store(&scene.ledger.on_begin, add_other);
    while (atomic_load(&scene.ledger.on_begin) != NULL) { /* a turn may have begun before */
        assert_int_equal(ask(&asker, put, FAULT_NONE), JOBD_OK);
        wait_sync_release(&asker.sync);
    }
    assert_int_equal(ask(&asker, put, FAULT_NONE), JOBD_OK);
    look(&asker);
    jobd_stats(scene.jobd, 1, clock_now_us(), &stats);
    jobd_looked(scene.jobd);
    assert_int_equal(stats.queued, 1);
    wait_sync_release(&asker.sync);
}

/* ---- a queue that nobody knows any more */

static void append_stranger(uint64_t id)
{
    struct problem problem;
    struct entry entry = {.bytes = NULL};
    const struct news queue = {.kind = NEWS_QUEUE,
                               .record = {.queue = "other", .key = "", .trace = "", .token = ""},
                               .totals.admitted = id,
                               .waiting = (uint32_t)id};
    struct news job = {.kind = NEWS_JOB, .fresh = true, .record = queue.record};
    job.record.id = id;
    job.record.attempts = 1;
    job.record.priority = 4;
    job.record.created_us = clock_now_us();
    entry_begin(&entry, ENTRY_FORMAT_FIRST, job.record.created_us, id + 1);
    entry_add(&entry, &job);
    entry_add(&entry, &queue);
    assert_true(entry_end(&entry));
    const struct ledger_row row = {.seq = scene.ledger.rows_len + 1,
                                   .node = 7,
                                   .turn = id,
                                   .at_us = job.record.created_us,
                                   .body = entry.bytes,
                                   .size = entry.size};
    assert_int_equal(memory_ops.append(&scene.ledger, &row, 1, &problem), LEDGER_OK);
    entry_release(&entry);
}

/* Else the log would grow for ever, as nobody who is there can write a snapshot. */
static void test_a_queue_is_taken_in_when_nobody_knows_it(void **state)
{
    enum { STRANGERS = 60 }; /* some more than there is room for in LOG_BYTES */
    struct asker asker;
    struct jobd_stats stats;
    (void)state;
    end();
    scene.room = 2000;
    begin(0, 2);
    for (uint64_t id = 1; id <= STRANGERS; id++)
        append_stranger(id);
    do {
        assert_int_equal(ask(&asker, put, FAULT_NONE), JOBD_OK);
        wait_sync_release(&asker.sync);
    } while (scene.ledger.first <= STRANGERS);
    assert_int_equal(ask(&asker, put, FAULT_NONE), JOBD_OK);
    look(&asker);
    jobd_stats(scene.jobd, 1, clock_now_us(), &stats);
    jobd_looked(scene.jobd);
    wait_sync_release(&asker.sync);
    assert_int_equal(stats.queued, STRANGERS);
    assert_false(stats.declared);
}

int main(void)
{
#define TURNS_TEST(f) cmocka_unit_test_setup_teardown(f, open_scene, close_scene)
    const struct CMUnitTest tests[] = {
        TURNS_TEST(test_what_is_written_is_told),
        TURNS_TEST(test_a_clock_that_goes_back_is_logged),
        TURNS_TEST(test_what_is_lost_was_not_done),
        TURNS_TEST(test_a_slow_answer_is_an_answer),
        TURNS_TEST(test_what_nobody_said_is_found_out),
        TURNS_TEST(test_a_reading_that_is_refused_is_tried_later),
        TURNS_TEST(test_a_row_that_is_another_is_read_anew),
        TURNS_TEST(test_a_lease_that_is_lost_is_free),
        TURNS_TEST(test_who_waits_can_leave),
        TURNS_TEST(test_a_result_that_is_lost_is_said_again),
        TURNS_TEST(test_another_process_goes_on),
        TURNS_TEST(test_an_idle_one_reads_now_and_then),
        TURNS_TEST(test_a_queue_may_come_at_any_moment),
        TURNS_TEST(test_a_queue_is_taken_in_when_nobody_knows_it),
    };
    return cmocka_run_group_tests_name("turns", tests, NULL, NULL);
}
