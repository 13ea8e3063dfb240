/* SPDX-License-Identifier: MIT */
/* Verbs about a job of which another change is being written: each is decided when that is over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "engine/journal_scene.h"
#include "engine/model/check_engine.h"
#include "jobd/change.h"
#include "jobd/lease.h"

#define TOKEN "0123456789abcdef0123456789abcdef"

static const struct jobd_amendment later = {.start = true, .delay_us = 1000};

/* Into the queue whose jobs have several attempts. */
static uint64_t put(struct jobd *jobd)
{
    struct jobd_receipt receipt;
    assert_int_equal(jobd_put(jobd, &(struct jobd_put){.queue = 1}, NULL, 1, &receipt), JOBD_OK);
    disk_write_all(jobd, 1);
    return receipt.id;
}

/* The verbs of one job, by a letter each. */
static enum jobd_result ask(struct jobd *jobd, char verb, uint64_t id, struct person *who)
{
    struct jobd_receipt receipt;
    *who = person_new();
    if (verb == 'c')
        return jobd_cancel(jobd, id, &who->waiter, 3);
    if (verb == 'f')
        return jobd_forget(jobd, id, &who->waiter, 3);
    if (verb == 'r')
        return jobd_retry(jobd, id, &who->waiter, 3, &receipt);
    return jobd_amend(jobd, id, &later, &who->waiter, 3);
}

/* `before` is being written; then the verb waits for it, and says this when it is asked again. */
static void assert_waits(struct jobd *jobd, uint64_t id, const char *verbs, enum jobd_result then)
{
    struct person first, second;
    assert_int_equal(ask(jobd, verbs[0], id, &first), JOBD_PENDING);
    assert_int_equal(ask(jobd, verbs[1], id, &second), JOBD_PENDING);
    check_engine(jobd);
    disk_write_all(jobd, 3);
    assert_int_equal(first.waiter.result, JOBD_OK);
    assert_int_equal(second.waiter.result, JOBD_CHANGING);
    enum jobd_result result = ask(jobd, verbs[1], id, &second);
    disk_write_all(jobd, 3);
    assert_int_equal(result == JOBD_PENDING ? second.waiter.result : result, then);
    check_engine(jobd);
}

static void test_one_after_the_other(void **state)
{
    struct jobd *jobd = disk_open_engine(8, 0, 1);
    (void)state;
    assert_waits(jobd, put(jobd), "aa", JOBD_OK);
    assert_waits(jobd, put(jobd), "ac", JOBD_OK);
    assert_waits(jobd, put(jobd), "cc", JOBD_FINISHED);
    assert_waits(jobd, put(jobd), "ca", JOBD_FINISHED);
    uint64_t id = put(jobd);
    assert_waits(jobd, id, "cr", JOBD_OK);
    assert_waits(jobd, id, "cf", JOBD_OK);
    id = put(jobd);
    assert_waits(jobd, id, "cr", JOBD_OK);
    assert_waits(jobd, id, "cr", JOBD_OK);
    struct person who;
    assert_int_equal(ask(jobd, 'c', id, &who), JOBD_PENDING);
    disk_write_all(jobd, 3);
    assert_waits(jobd, id, "rr", JOBD_NOT_FINAL);
    assert_int_equal(ask(jobd, 'c', id, &who), JOBD_PENDING);
    disk_write_all(jobd, 3);
    assert_waits(jobd, id, "rf", JOBD_NOT_FINAL);
    assert_int_equal(ask(jobd, 'c', id, &who), JOBD_PENDING);
    disk_write_all(jobd, 3);
    assert_waits(jobd, id, "ff", JOBD_NO_JOB);
    jobd_free(jobd);
    disk_clear();
}

/* Nobody can wait: it is said at once. And what fails is not waited for any longer. */
static void test_without_a_wait(void **state)
{
    struct jobd *jobd = disk_open_engine(8, 0, 1);
    uint64_t id = put(jobd);
    struct person first, second;
    (void)state;
    assert_int_equal(ask(jobd, 'a', id, &first), JOBD_PENDING);
    assert_int_equal(jobd_cancel(jobd, id, NULL, 3), JOBD_CHANGING);
    assert_int_equal(ask(jobd, 'c', id, &second), JOBD_PENDING);
    assert_int_equal(disk_write_group(jobd, 64, 0, 3), 2);
    assert_int_equal(first.waiter.result, JOBD_STORE_FAILED);
    assert_int_equal(second.waiter.result, JOBD_STORE_FAILED);
    assert_int_equal(state_of(jobd, id), JOBD_QUEUED);
    assert_int_equal(jobd_cancel(jobd, id, NULL, 3), JOBD_OK);
    disk_write_all(jobd, 3);
    assert_int_equal(state_of(jobd, id), JOBD_CANCELLED);
    jobd_free(jobd);
    disk_clear();
}

/* ---- an attempt that ends */

enum { BY_FAILURE, BY_RELEASE, BY_DONE, ENDS };

static enum jobd_result end_attempt(struct jobd *jobd, unsigned how, struct person *who)
{
    const struct jobd_outcome outcome = {.state = how == BY_DONE ? JOBD_DONE : JOBD_FAILED,
                                         .retry_exactly = true,
                                         .retry_in_us = 1000};
    *who = person_new();
    if (how == BY_RELEASE)
        return jobd_lease_release(jobd, TOKEN, 1000, &who->waiter, 3);
    return jobd_lease_finish(jobd, TOKEN, &outcome, &who->waiter, 3);
}

/* What waits again is cancelled, and only what has ended has. */
static void test_a_cancel_beside_a_report(void **state)
{
    (void)state;
    for (unsigned how = 0; how < ENDS; how++) {
        struct jobd *jobd = disk_open_engine(8, 0, 1);
        struct person worker, who;
        uint64_t id = put(jobd);
        (void)disk_lease(jobd, 1, TOKEN, 2);
        assert_int_equal(end_attempt(jobd, how, &worker), JOBD_PENDING);
        assert_int_equal(ask(jobd, 'c', id, &who), JOBD_PENDING);
        disk_write_all(jobd, 3);
        assert_int_equal(worker.waiter.result, JOBD_OK);
        assert_int_equal(who.waiter.result, JOBD_CHANGING);
        assert_int_equal(ask(jobd, 'c', id, &who), how == BY_DONE ? JOBD_FINISHED : JOBD_PENDING);
        disk_write_all(jobd, 3);
        assert_int_equal(state_of(jobd, id), how == BY_DONE ? JOBD_DONE : JOBD_CANCELLED);
        jobd_free(jobd);
        disk_clear();
    }
}

static void test_all_that_match_beside_a_report(void **state)
{
    const struct jobd_filter all = {.queue = 1, .state = JOBD_STATES};
    (void)state;
    for (unsigned how = 0; how < ENDS; how++) {
        struct jobd *jobd = disk_open_engine(8, 0, 1);
        struct person worker, who = person_new();
        uint64_t id = put(jobd), behind = put(jobd);
        (void)disk_lease(jobd, 1, TOKEN, 2);
        assert_int_equal(end_attempt(jobd, how, &worker), JOBD_PENDING);
        assert_int_equal(jobd_change_all(jobd, JOBD_STOP_ALL, &all, &who.waiter, 3), JOBD_PENDING);
        assert_true(jobd_tick(jobd, 3) > 3); /* it waits for the disk alone */
        disk_write_all(jobd, 3);
        assert_int_equal(who.waiter.result, JOBD_OK);
        assert_int_equal(who.waiter.tally.matched, 2);
        assert_int_equal(who.waiter.tally.changed, 2);
        assert_int_equal(state_of(jobd, id), how == BY_DONE ? JOBD_STATES : JOBD_CANCELLED);
        assert_int_equal(state_of(jobd, behind), JOBD_CANCELLED);
        jobd_free(jobd);
        disk_clear();
    }
}

/* A lease that runs out while its job waits to be changed, or before that is written. */
static void test_a_late_report_beside_a_change(void **state)
{
    (void)state;
    for (unsigned how = 0; how < 2; how++) {
        struct jobd *jobd = disk_open_engine(8, 0, 1);
        struct person worker, who = person_new();
        uint64_t id = put(jobd);
        (void)disk_lease(jobd, 1, TOKEN, 2);
        jobd_tick(jobd, 150);
        if (how == 0) {
            disk_write_all(jobd, 150);
            assert_int_equal(ask(jobd, 'a', id, &who), JOBD_PENDING);
        }
        assert_int_equal(end_attempt(jobd, BY_DONE, &worker), JOBD_PENDING);
        disk_write_all(jobd, 150);
        assert_int_equal(worker.waiter.result, JOBD_CHANGING);
        assert_int_equal(end_attempt(jobd, BY_DONE, &worker), JOBD_PENDING);
        disk_write_all(jobd, 150);
        assert_int_equal(worker.waiter.result, JOBD_OK);
        assert_int_equal(state_of(jobd, id), JOBD_DONE);
        jobd_free(jobd);
        disk_clear();
    }
}

/* A report fails, and is made again while the one that repeated it is written: that is on no disk.
 */
static void test_a_repeated_report_of_one_that_failed(void **state)
{
    struct jobd *jobd = disk_open_engine(8, 0, 1);
    struct person first, second, third;
    (void)state;
    uint64_t id = put(jobd);
    (void)disk_lease(jobd, 1, TOKEN, 2);
    assert_int_equal(end_attempt(jobd, BY_DONE, &first), JOBD_PENDING);
    assert_int_equal(end_attempt(jobd, BY_DONE, &second), JOBD_PENDING);
    assert_int_equal(disk_write_group(jobd, 1, 0, 3), 1);
    assert_int_equal(first.waiter.result, JOBD_STORE_FAILED);
    assert_int_equal(end_attempt(jobd, BY_DONE, &third), JOBD_PENDING);
    assert_int_equal(disk_write_group(jobd, 1, 64, 3), 1);
    assert_int_equal(second.waiter.result, JOBD_STORE_FAILED);
    assert_int_equal(state_of(jobd, id), JOBD_RUNNING);
    disk_write_all(jobd, 3);
    assert_int_equal(third.waiter.result, JOBD_OK);
    assert_int_equal(end_attempt(jobd, BY_DONE, &first), JOBD_REPEATED);
    jobd_free(jobd);
    disk_clear();
}

/* Of a lease that has expired, while the job waits again. */
static void test_a_late_report_that_is_repeated(void **state)
{
    (void)state;
    for (unsigned fails = 0; fails < 2; fails++) {
        struct jobd *jobd = disk_open_engine(8, 0, 1);
        struct person first, second;
        uint64_t id = put(jobd);
        (void)disk_lease(jobd, 1, TOKEN, 2);
        jobd_tick(jobd, 150);
        disk_write_all(jobd, 150);
        assert_int_equal(end_attempt(jobd, BY_DONE, &first), JOBD_PENDING);
        assert_int_equal(end_attempt(jobd, BY_DONE, &second), JOBD_PENDING);
        assert_int_equal(disk_write_group(jobd, 1, fails ? 0 : 64, 150), 1);
        disk_write_all(jobd, 150);
        assert_int_equal(first.waiter.result, fails ? JOBD_STORE_FAILED : JOBD_OK);
        assert_int_equal(second.waiter.result, fails ? JOBD_STORE_FAILED : JOBD_REPEATED);
        assert_int_equal(state_of(jobd, id), fails ? JOBD_SCHEDULED : JOBD_DONE);
        assert_int_equal(end_attempt(jobd, BY_DONE, &second), fails ? JOBD_PENDING : JOBD_REPEATED);
        disk_write_all(jobd, 150);
        jobd_free(jobd);
        disk_clear();
    }
}

static struct {
    unsigned rows;
    enum row_kind last;
    char token[JOBD_TOKEN_SIZE];
} told;

static bool tell_row(void *context, enum row_kind kind, const struct job_record *record)
{
    (void)context;
    told.rows++;
    told.last = kind;
    if (kind == ROW_SET)
        strcpy(told.token, record->token);
    return true;
}

static void assert_rows(struct jobd *jobd, uint64_t id, bool new, unsigned rows)
{
    memset(&told, 0, sizeof told);
    assert_true(journal_record(jobd, id, new, tell_row, NULL));
    assert_int_equal(told.rows, rows);
}

/* Of which a store does not know whether it is on disk: with the token that may still be told. And
 * what is forgotten goes with its own row, by which its batch counts it. */
static void test_what_is_in_doubt(void **state)
{
    static const char late[] = "0123456789abcdef0123456789abcde0";
    const struct jobd_outcome done = {.state = JOBD_DONE};
    struct jobd *jobd = disk_open_engine(4, 0, 1);
    struct person one;
    struct jobd_receipt receipt;
    (void)state;
    assert_int_equal(jobd_put(jobd, &(struct jobd_put){0}, NULL, 1, &receipt), JOBD_OK);
    const uint64_t id = receipt.id;
    disk_write_all(jobd, 1);
    (void)disk_lease(jobd, 0, TOKEN, 2);
    assert_rows(jobd, id, false, 2);
    assert_string_equal(told.token, TOKEN);
    assert_int_equal(jobd_lease_finish(jobd, TOKEN, &done, NULL, 3), JOBD_OK);
    disk_write_all(jobd, 3);
    assert_rows(jobd, id, false, 2);
    assert_string_equal(told.token, TOKEN);
    one = person_new();
    assert_int_equal(jobd_forget(jobd, id, &one.waiter, 4), JOBD_PENDING);
    disk_write_all(jobd, 4);
    assert_rows(jobd, id, false, 0);
    assert_rows(jobd, id, true, 2);
    assert_int_equal(told.last, ROW_REMOVE_BATCH); /* it may have been one, too */

    const uint64_t again = put(jobd);
    (void)disk_lease(jobd, 1, late, 5);
    jobd_tick(jobd, 150);
    disk_write_all(jobd, 150);
    assert_rows(jobd, again, false, 2);
    assert_string_equal(told.token, late);
    jobd_free(jobd);
    disk_clear();
}

/* ---- many */

static void test_a_purge_beside_a_change(void **state)
{
    struct jobd *jobd = disk_open_engine(8, 0, 1);
    struct person amender, mover = person_new(), purger = person_new();
    const struct jobd_amendment urgent = {.to_priority = true, .priority = 1};
    const struct jobd_route route = {.from = 1, .to = 0};
    uint32_t len;
    uint64_t id = put(jobd);
    (void)state;
    assert_int_equal(ask(jobd, 'a', id, &amender), JOBD_PENDING);
    assert_int_equal(jobd_move(jobd, &route, &mover.waiter, 3, &len), JOBD_PENDING);
    check_engine(jobd);
    disk_write_all(jobd, 3);
    assert_int_equal(mover.waiter.result, JOBD_OK);
    assert_int_equal(mover.waiter.swept, 1);
    amender = person_new();
    assert_int_equal(jobd_amend(jobd, id, &urgent, &amender.waiter, 3), JOBD_PENDING);
    assert_int_equal(jobd_purge(jobd, 0, &purger.waiter, 3, &len), JOBD_PENDING);
    assert_true(jobd_tick(jobd, 3) > 3);
    disk_write_all(jobd, 3);
    assert_int_equal(purger.waiter.result, JOBD_OK);
    assert_int_equal(purger.waiter.swept, 1);
    assert_int_equal(state_of(jobd, id), JOBD_CANCELLED);
    jobd_free(jobd);
    disk_clear();
}

/* One that came later is not waited for; and a purge ends when its change cannot be written. */
static void test_what_a_purge_waits_for(void **state)
{
    struct jobd *jobd = disk_open_engine(8, 0, 1);
    struct person amender, purger = person_new();
    uint32_t len;
    uint64_t id = put(jobd);
    (void)state;
    assert_int_equal(ask(jobd, 'a', id, &amender), JOBD_PENDING);
    assert_int_equal(jobd_purge(jobd, 1, &purger.waiter, 3, &len), JOBD_PENDING);
    assert_int_equal(disk_write_group(jobd, 64, 0, 3), 1);
    assert_int_equal(amender.waiter.result, JOBD_STORE_FAILED);
    assert_int_equal(purger.waiter.result, JOBD_STORE_FAILED);
    purger = person_new();
    assert_int_equal(ask(jobd, 'a', id, &amender), JOBD_PENDING);
    assert_int_equal(jobd_purge(jobd, 1, &purger.waiter, 3, &len), JOBD_PENDING);
    assert_int_equal(jobd_cancel_wait(jobd, &purger.waiter), true);
    check_engine(jobd);
    disk_write_all(jobd, 3);
    assert_int_equal(state_of(jobd, id), JOBD_SCHEDULED);
    jobd_free(jobd);
    disk_clear();
}

/* ---- puts */

/* Of a batch whose job has a key that is just being written. */
static void test_a_batch_beside_a_put(void **state)
{
    struct jobd *jobd = disk_open_engine(8, 0, 1);
    struct person first = person_new(), second = person_new();
    struct jobd_receipt receipt;
    uint64_t ids[2] = {0};
    const struct jobd_put one = {.key = "k"};
    const struct jobd_put puts[2] = {{.key = "k"}, {.priority = 3}};
    const struct jobd_put batch = {.puts = puts, .batch_len = 2, .ids = ids};
    (void)state;
    assert_int_equal(jobd_put(jobd, &one, &first.waiter, 1, &receipt), JOBD_PENDING);
    assert_int_equal(jobd_put(jobd, &batch, &second.waiter, 1, &receipt), JOBD_PENDING);
    assert_false(second.waiter.accepted);
    disk_write_all(jobd, 1);
    assert_int_equal(second.waiter.result, JOBD_CHANGING);
    second = person_new();
    assert_int_equal(jobd_put(jobd, &batch, &second.waiter, 1, &receipt), JOBD_PENDING);
    assert_true(second.waiter.accepted);
    disk_write_all(jobd, 1);
    assert_int_equal(second.waiter.result, JOBD_OK);
    assert_int_equal(ids[0], first.waiter.receipt.id);
    assert_int_equal(ids[1], ids[0] + 1);
    jobd_free(jobd);
    disk_clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_after_the_other),
        cmocka_unit_test(test_without_a_wait),
        cmocka_unit_test(test_a_cancel_beside_a_report),
        cmocka_unit_test(test_all_that_match_beside_a_report),
        cmocka_unit_test(test_a_late_report_beside_a_change),
        cmocka_unit_test(test_a_repeated_report_of_one_that_failed),
        cmocka_unit_test(test_a_late_report_that_is_repeated),
        cmocka_unit_test(test_what_is_in_doubt),
        cmocka_unit_test(test_a_purge_beside_a_change),
        cmocka_unit_test(test_what_a_purge_waits_for),
        cmocka_unit_test(test_a_batch_beside_a_put),
    };
    return cmocka_run_group_tests_name("verbs beside a change", tests, NULL, NULL);
}
