/* SPDX-License-Identifier: MIT */
/* What a snapshot tells of its jobs is from later than their order, and what the log says of the
 * time between comes again: an engine that reads both knows the same as one that was there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/verify.h"
#include "engine/share.h"
#include "jobd/batch.h"
#include "jobd/failures.h"
#include "jobd/lease.h"
#include "jobd/queue.h"
#include "ledger/entry.h"
#include "ledger/follower.h"
#include "ledger/memory_ledger.h"
#include "ledger/snapshot.h"

enum { MEMBERS = 2, ROWS = 64 };

struct member {
    struct jobd *jobd;
    struct jobd_turns turns;
    struct follower follower;
    uint64_t turn;
};

struct scene {
    struct memory_ledger ledger;
    struct member members[MEMBERS];
    struct snapshot snapshot;
    int64_t now_us;
    unsigned takes;
    unsigned pokes; /* somebody was told that there are failures */
};

static struct scene scene;

static void unused_due(void *context)
{
    (void)context;
}

static void poke(void *context)
{
    (void)context;
    scene.pokes++;
}

static int open_scene(void **state)
{
    static const struct jobd_queue_config queue = {
        .name = "keys", .capacity = 20, .workers = 2, .attempts = 2, .by_group = true};
    (void)state;
    scene = (struct scene){.now_us = 1000, .snapshot.format = ENTRY_FORMAT};
    memory_ledger_init(&scene.ledger, ROWS);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        struct member *member = &scene.members[i];
        member->turns = (struct jobd_turns){.due = unused_due, .node = i + 1};
        const struct jobd_config config = {.queues = &queue,
                                           .queues_len = 1,
                                           .keep = 10,
                                           .memory_bytes = 100000,
                                           .waiters_max = 4,
                                           .leases_max = 8,
                                           .first_id = 1,
                                           .on_failure = {.call = poke},
                                           .turns = &member->turns};
        assert_int_equal(jobd_new(&member->jobd, &config), 0);
        member->follower = (struct follower){.jobd = member->jobd, .own_node = i + 1};
    }
    return 0;
}

static int close_scene(void **state)
{
    (void)state;
    for (unsigned i = 0; i < MEMBERS; i++)
        jobd_free(scene.members[i].jobd);
    snapshot_release(&scene.snapshot);
    memory_ledger_release(&scene.ledger);
    return 0;
}

/* ---- turns */

static struct member *begin_turn(unsigned i)
{
    struct member *member = &scene.members[i];
    struct problem problem;
    assert_int_equal(follower_catch_up(&member->follower, &memory_ops, &scene.ledger, &problem),
                     LEDGER_OK);
    assert_int_equal(member->follower.result, FOLLOW_OK);
    share_begin(member->jobd, ++scene.now_us);
    return member;
}

static void add_news(void *context, const struct news *news)
{
    entry_add(context, news);
}

static void end_turn(struct member *member)
{
    struct entry entry = {.bytes = NULL};
    struct problem problem;
    entry_begin(&entry, ENTRY_FORMAT, scene.now_us, share_next_id(member->jobd));
    share_each(member->jobd, scene.now_us, add_news, &entry);
    assert_true(entry_end(&entry));
    const struct ledger_row row = {.seq = member->follower.seq + 1,
                                   .node = member->turns.node,
                                   .turn = ++member->turn,
                                   .at_us = scene.now_us,
                                   .body = entry.bytes,
                                   .size = entry.size};
    assert_int_equal(memory_ops.append(&scene.ledger, &row, 1, &problem), LEDGER_OK);
    follower_own(&member->follower, &row);
    share_end(member->jobd, false);
    entry_release(&entry);
}

static uint64_t put(unsigned i, const char *key)
{
    const struct jobd_terms terms = {.texts[JOBD_GROUP] = key};
    const struct jobd_put one = {.queue = 0, .terms = &terms};
    struct jobd_receipt receipt;
    struct member *member = begin_turn(i);
    assert_int_equal(jobd_put(member->jobd, &one, NULL, scene.now_us, &receipt), JOBD_OK);
    end_turn(member);
    return receipt.id;
}

static void unused_wake(struct jobd_waiter *waiter)
{
    (void)waiter;
}

static void unused_stop(struct jobd_waiter *waiter, const struct jobd_task *task)
{
    (void)waiter;
    (void)task;
}

static struct jobd_task take(unsigned i, struct jobd_waiter *waiter)
{
    struct member *member = begin_turn(i);
    assert_int_equal(jobd_take(member->jobd, 0, waiter, scene.now_us), JOBD_OK);
    end_turn(member);
    return waiter->task;
}

static struct jobd_waiter lessee(void)
{
    struct jobd_waiter waiter = {
        .wake = unused_wake, .lease_us = INT64_C(60000000), .at_once = true};
    snprintf(waiter.token, sizeof waiter.token, "%032u", ++scene.takes);
    return waiter;
}

static struct jobd_task lease(unsigned i)
{
    struct jobd_waiter waiter = lessee();
    return take(i, &waiter);
}

/* Of the last lease. */
static void report(unsigned i, enum jobd_state state)
{
    char token[JOBD_TOKEN_SIZE];
    const struct jobd_outcome outcome = {.state = state, .for_good = true};
    struct member *member = begin_turn(i);
    struct jobd_waiter waiter = {.wake = unused_wake};
    snprintf(token, sizeof token, "%032u", scene.takes);
    assert_int_equal(jobd_lease_finish(member->jobd, token, &outcome, &waiter, scene.now_us),
                     JOBD_OK);
    end_turn(member);
}

/* By a worker of the member's own, who is held by the waiter. */
static struct jobd_task work(unsigned i, struct jobd_waiter *waiter)
{
    *waiter = (struct jobd_waiter){.wake = unused_wake, .stop = unused_stop, .at_once = true};
    return take(i, waiter);
}

static void finish(unsigned i, const struct jobd_task *task)
{
    const struct jobd_outcome outcome = {.state = JOBD_DONE};
    struct member *member = begin_turn(i);
    jobd_finish(member->jobd, task, &outcome, scene.now_us);
    end_turn(member);
}

static void step_snapshot(void)
{
    struct problem problem;
    assert_int_equal(snapshot_step(&scene.snapshot, &scene.members[0].follower, &memory_ops,
                                   &scene.ledger, &problem),
                     LEDGER_OK);
}

static void end_snapshot(void)
{
    while (scene.snapshot.state != SNAPSHOT_IDLE)
        step_snapshot();
}

/* The second reads all from the snapshot on. */
static void read_anew(void)
{
    struct follower *follower = &scene.members[1].follower;
    struct problem problem;
    assert_int_equal(snapshot_anew(follower, &memory_ops, &scene.ledger, &problem), LEDGER_OK);
    assert_int_equal(follower->result, FOLLOW_OK);
}

/* ---- tests */

static void check_turn(bool by_worker)
{
    struct jobd_waiter worker;
    uint64_t first = put(0, "one");
    (void)put(0, "one");
    uint64_t other = put(0, "two");
    step_snapshot();
    assert_int_equal((by_worker ? work(0, &worker) : lease(0)).id, first);
    end_snapshot();
    read_anew();
    assert_int_equal(lease(1).id, other);
}

/* What a snapshot tells of its jobs is from later than their order: the turn comes again. */
static void a_turn_counts_though_the_snapshot_knows_it(void **state)
{
    (void)state;
    check_turn(false);
}

static void so_does_that_of_a_worker(void **state)
{
    (void)state;
    check_turn(true);
}

static void what_runs_in_a_snapshot_was_served_before(void **state)
{
    struct jobd_waiter worker;
    (void)state;
    (void)put(0, "one");
    uint64_t next = put(0, "one"), other = put(0, "two");
    (void)put(0, "two");
    (void)lease(0);
    struct jobd_task task = work(0, &worker);
    assert_int_equal(task.id, other);
    finish(0, &task);
    step_snapshot();
    end_snapshot();
    read_anew();
    assert_int_equal(lease(1).id, next);
}

static void a_word_about_a_command_is_no_turn(void **state)
{
    struct jobd_waiter worker;
    (void)state;
    uint64_t first = put(0, "one"), next = put(0, "one"), other = put(0, "two");
    (void)put(0, "two");
    assert_int_equal(work(0, &worker).id, first);
    assert_int_equal(lease(0).id, other);
    struct jobd_waiter stops = {.wake = unused_wake};
    struct member *member = begin_turn(0);
    (void)jobd_cancel(member->jobd, first, &stops, scene.now_us);
    end_turn(member);
    assert_int_equal(lease(1).id, next);
}

/* The log says that the batch was over; the snapshot, that one of its jobs was retried since. */
static void a_batch_that_goes_on_is_not_over(void **state)
{
    struct jobd_blob *payloads[2] = {NULL, NULL};
    const struct jobd_put batch = {.queue = 0, .batch = payloads, .batch_len = 2};
    struct jobd_receipt receipt;
    struct jobd_batch seen;
    uint64_t number;
    (void)state;
    struct member *member = begin_turn(0);
    assert_int_equal(jobd_put(member->jobd, &batch, NULL, scene.now_us, &receipt), JOBD_OK);
    end_turn(member);
    number = receipt.id;
    uint64_t id = lease(0).id;
    report(0, JOBD_FAILED);
    (void)lease(0);
    step_snapshot();
    report(0, JOBD_DONE);
    assert_int_equal(jobd_get_batch(member->jobd, number, scene.now_us, &seen), JOBD_OK);
    assert_true(seen.finished_us > 0);
    member = begin_turn(0);
    struct jobd_waiter retries = {.wake = unused_wake}, takes = lessee();
    assert_int_equal(jobd_retry(member->jobd, id, &retries, scene.now_us, &receipt), JOBD_OK);
    assert_int_equal(jobd_take(member->jobd, 0, &takes, scene.now_us), JOBD_OK);
    end_turn(member);
    end_snapshot();
    read_anew();
    member = &scene.members[1];
    assert_int_equal(jobd_get_batch(member->jobd, number, scene.now_us, &seen), JOBD_OK);
    assert_int_equal(seen.finished_us, 0);
}

/* ---- what is logged */

static unsigned failures_told(struct jobd *jobd)
{
    struct jobd_failure failures[4];
    uint64_t missed, missed_attempts;
    return (unsigned)jobd_failures(jobd, failures, 4, &missed, &missed_attempts);
}

/* The log hears of it once, when it is so. */
static void what_failed_in_a_turn_is_told_when_it_is_over(void **state)
{
    char token[JOBD_TOKEN_SIZE];
    const struct jobd_outcome outcome = {.state = JOBD_FAILED, .for_good = true};
    struct jobd_waiter waiter = {.wake = unused_wake};
    struct jobd *jobd = scene.members[0].jobd;
    (void)state;
    (void)put(0, "one");
    (void)lease(0);
    snprintf(token, sizeof token, "%032u", scene.takes);
    struct member *member = begin_turn(0);
    assert_int_equal(jobd_lease_finish(jobd, token, &outcome, &waiter, scene.now_us), JOBD_OK);
    assert_int_equal(failures_told(jobd), 0);
    assert_int_equal(scene.pokes, 0);
    end_turn(member);
    assert_int_equal(scene.pokes, 1);
    assert_int_equal(failures_told(jobd), 1);
    (void)put(0, "one");
    (void)lease(0);
    snprintf(token, sizeof token, "%032u", scene.takes);
    (void)begin_turn(0);
    assert_int_equal(jobd_lease_finish(jobd, token, &outcome, &waiter, scene.now_us), JOBD_OK);
    share_end(jobd, true);
    assert_int_equal(scene.pokes, 1);
    assert_int_equal(failures_told(jobd), 0);
    share_forget(jobd);
}

int main(void)
{
#define OVERLAP_TEST(f) cmocka_unit_test_setup_teardown(f, open_scene, close_scene)
    const struct CMUnitTest tests[] = {
        OVERLAP_TEST(a_turn_counts_though_the_snapshot_knows_it),
        OVERLAP_TEST(so_does_that_of_a_worker),
        OVERLAP_TEST(what_runs_in_a_snapshot_was_served_before),
        OVERLAP_TEST(a_word_about_a_command_is_no_turn),
        OVERLAP_TEST(a_batch_that_goes_on_is_not_over),
        OVERLAP_TEST(what_failed_in_a_turn_is_told_when_it_is_over),
    };
    return cmocka_run_group_tests_name("a snapshot, and the log behind it", tests, NULL, NULL);
}
