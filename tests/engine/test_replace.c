/* SPDX-License-Identifier: MIT */
/* A put that replaces a waiting job, and the disk. */
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

static void assert_payload_on_disk(uint64_t id, const char *payload)
{
    const struct jobd_blob *bytes = disk.jobs[id].payload;
    assert_int_equal(bytes->size, strlen(payload));
    assert_memory_equal(bytes->bytes, payload, bytes->size);
}

static enum jobd_result replace_by(struct jobd *jobd, struct person *who, struct jobd_put put,
                                   struct jobd_terms terms)
{
    struct jobd_receipt receipt;
    terms.unique = JOBD_WHILE_WAITING;
    terms.replace = true;
    put.key = "k";
    put.terms = &terms;
    *who = person_new();
    enum jobd_result result = jobd_put(jobd, &put, &who->waiter, 0, &receipt);
    if (!who->waiter.accepted)
        jobd_blob_unref(put.payload);
    return result;
}

static enum jobd_result replace_with(struct jobd *jobd, struct person *who, const char *payload)
{
    return replace_by(jobd, who, (struct jobd_put){.payload = jobd_blob_text(payload)},
                      (struct jobd_terms){.replace = true});
}

static void assert_payload(struct jobd *jobd, uint64_t id, const char *payload)
{
    struct jobd_blob *bytes;
    assert_int_equal(jobd_get_blob(jobd, id, JOBD_PAYLOAD, &bytes), JOBD_OK);
    assert_int_equal(bytes->size, strlen(payload));
    assert_memory_equal(bytes->bytes, payload, bytes->size);
    jobd_blob_unref(bytes);
}

/* Of several that replace a job the one that fails leaves what the others have put. */
static void test_what_fails_replaces_nothing(void **state)
{
    struct jobd *jobd = disk_open_engine(4, 0, 1);
    struct person first, second, third;
    (void)state;
    assert_int_equal(replace_with(jobd, &first, "one"), JOBD_PENDING);
    assert_int_equal(replace_with(jobd, &second, "two"), JOBD_PENDING); /* not even in yet */
    disk_write_all(jobd, 0);
    assert_int_equal(first.waiter.result, JOBD_OK);
    assert_true(second.waiter.receipt.replaced);
    assert_payload(jobd, 1, "two");
    assert_payload_on_disk(1, "two");
    assert_int_equal(replace_with(jobd, &second, "three"), JOBD_PENDING);
    assert_int_equal(replace_with(jobd, &third, "four"), JOBD_PENDING);
    assert_int_equal(disk_write_group(jobd, 1, 0, 0), 1);
    assert_int_equal(second.waiter.result, JOBD_STORE_FAILED);
    assert_payload(jobd, 1, "four"); /* it is still on its way */
    assert_int_equal(disk_write_group(jobd, 1, 0, 0), 1);
    assert_int_equal(third.waiter.result, JOBD_STORE_FAILED);
    assert_payload(jobd, 1, "two");
    assert_payload_on_disk(1, "two");
    jobd_free(jobd);
    disk_clear();
}

/* ---- what follows from a replacement waits until it is written */

static void test_what_fails_has_not_expired(void **state)
{
    const struct jobd_terms brief = {.expires_us = 100};
    (void)state;
    for (unsigned fails = 0; fails < 2; fails++) {
        struct jobd *jobd = disk_open_engine(4, 0, 1);
        struct person who;
        assert_int_equal(replace_with(jobd, &who, "one"), JOBD_PENDING);
        disk_write_all(jobd, 0);
        assert_int_equal(replace_by(jobd, &who, (struct jobd_put){0}, brief), JOBD_PENDING);
        assert_true(jobd_tick(jobd, 200) > 200);
        check_engine(jobd);
        assert_int_equal(disk_write_group(jobd, 64, fails ? 0 : 64, 200), 1);
        jobd_tick(jobd, 201);
        check_engine(jobd);
        disk_write_all(jobd, 201);
        assert_int_equal(who.waiter.result, fails ? JOBD_STORE_FAILED : JOBD_OK);
        assert_int_equal(state_of(jobd, 1), fails ? JOBD_QUEUED : JOBD_CANCELLED);
        if (fails)
            assert_payload_on_disk(1, "one");
        jobd_free(jobd);
        disk_clear();
    }
}

/* It would wait for job 1, which then ends: well or not. */
static void test_what_fails_waits_for_nobody(void **state)
{
    (void)state;
    for (unsigned turn = 0; turn < 4; turn++) {
        const bool fails = turn % 2 == 0, well = turn / 2 == 0;
        struct jobd *jobd = disk_open_engine(4, 0, 1);
        struct jobd_receipt receipt;
        struct person who;
        assert_int_equal(jobd_put(jobd, &(struct jobd_put){0}, NULL, 0, &receipt), JOBD_OK);
        assert_int_equal(replace_with(jobd, &who, "one"), JOBD_PENDING);
        disk_write_all(jobd, 0);
        struct person worker = disk_lease(jobd, 0, TOKEN, 0);
        const struct jobd_outcome outcome = {.state = well ? JOBD_DONE : JOBD_FAILED,
                                             .for_good = true};
        (void)worker;
        assert_int_equal(jobd_lease_finish(jobd, TOKEN, &outcome, NULL, 1), JOBD_OK);
        assert_int_equal(replace_by(jobd, &who, (struct jobd_put){0},
                                    (struct jobd_terms){.texts = {[JOBD_AFTER] = "job 1\n"}}),
                         JOBD_PENDING);
        assert_int_equal(disk_write_group(jobd, 1, 64, 1), 1); /* the end */
        assert_true(jobd_tick(jobd, 2) > 2);
        check_engine(jobd);
        assert_int_equal(disk_write_group(jobd, 1, fails ? 0 : 64, 2), 1);
        jobd_tick(jobd, 3);
        check_engine(jobd);
        disk_write_all(jobd, 3);
        assert_int_equal(who.waiter.result, fails ? JOBD_STORE_FAILED : JOBD_OK);
        assert_int_equal(state_of(jobd, 2), fails || well ? JOBD_QUEUED : JOBD_CANCELLED);
        assert_int_equal(disk.jobs[2].record.settled, !fails && well);
        jobd_free(jobd);
        disk_clear();
    }
}

static enum jobd_result keep_first(struct jobd *jobd, struct person *who)
{
    static const struct jobd_terms terms = {.unique = JOBD_WHILE_WAITING};
    struct jobd_receipt receipt;
    const struct jobd_put put = {.key = "k", .terms = &terms};
    *who = person_new();
    enum jobd_result result = jobd_put(jobd, &put, &who->waiter, 0, &receipt);
    assert_true(result != JOBD_OK || (receipt.duplicate && receipt.id == 1));
    return result;
}

/* While another change of the job is being written it is still the job with the key. */
static void test_no_other_beside_a_change(void **state)
{
    struct jobd *jobd = disk_open_engine(4, 0, 1);
    const struct jobd_amendment later = {.start = true, .delay_us = 1000};
    const struct jobd_route route = {.from = 0, .to = 1};
    struct person put, other = person_new();
    uint32_t moved;
    (void)state;
    assert_int_equal(replace_with(jobd, &put, "one"), JOBD_PENDING);
    disk_write_all(jobd, 0);
    assert_int_equal(jobd_amend(jobd, 1, &later, &other.waiter, 0), JOBD_PENDING);
    assert_int_equal(replace_with(jobd, &put, "two"), JOBD_PENDING);
    assert_false(put.waiter.accepted);
    struct person first;
    assert_int_equal(keep_first(jobd, &first), JOBD_OK);
    disk_write_all(jobd, 0);
    assert_int_equal(put.waiter.result, JOBD_CHANGING);
    assert_int_equal(replace_with(jobd, &put, "three"), JOBD_PENDING);
    disk_write_all(jobd, 0);
    assert_payload_on_disk(1, "three");
    assert_int_equal(state_of(jobd, 2), JOBD_STATES);
    other = person_new();
    assert_int_equal(jobd_move(jobd, &route, &other.waiter, 0, &moved), JOBD_PENDING);
    assert_int_equal(keep_first(jobd, &put), JOBD_OK);
    disk_write_all(jobd, 0);
    assert_int_equal(replace_with(jobd, &put, "of its own"), JOBD_PENDING);
    disk_write_all(jobd, 0);
    assert_payload(jobd, 1, "three");
    assert_payload(jobd, 2, "of its own");
    jobd_free(jobd);
    disk_clear();
}

/* A job of the key k; each call puts one, or replaces it. */
static uint64_t put_told(struct jobd *jobd, const char *callback)
{
    const struct jobd_terms terms = {
        .unique = JOBD_WHILE_WAITING, .replace = true, .texts = {[JOBD_CALLBACK] = callback}};
    const struct jobd_put put = {.key = "k", .terms = &terms};
    struct jobd_receipt receipt;
    assert_int_equal(jobd_put(jobd, &put, NULL, 1, &receipt), JOBD_OK);
    disk_write_all(jobd, 1);
    return receipt.id;
}

static void run_one(struct jobd *jobd, uint32_t queue)
{
    const struct jobd_outcome done = {.state = JOBD_DONE};
    struct person worker = person_new();
    assert_int_equal(jobd_take(jobd, queue, &worker.waiter, 2), JOBD_PENDING);
    disk_write_all(jobd, 2);
    assert_int_equal(worker.waiter.result, JOBD_OK);
    jobd_blob_unref(worker.waiter.task.payload);
    jobd_finish(jobd, &worker.waiter.task, &done, 3);
    disk_write_all(jobd, 3);
}

/* Its first end is still to be told, though its next one is not: until then it is not forgotten,
 * in the next process either. */
static void test_a_source_without_a_callback(void **state)
{
    struct jobd *jobd = disk_open_engine(4, 0, 1);
    struct jobd_receipt receipt;
    (void)state;
    const uint64_t id = put_told(jobd, "https://app.example");
    run_one(jobd, 0);
    assert_int_equal(jobd_retry(jobd, id, NULL, 4, &receipt), JOBD_OK);
    disk_write_all(jobd, 4);
    assert_int_equal(put_told(jobd, NULL), id);
    run_one(jobd, 0);
    for (unsigned i = 0; i < KEEP; i++) {
        assert_int_equal(jobd_put(jobd, &(struct jobd_put){.queue = 0}, NULL, 5, &receipt),
                         JOBD_OK);
        disk_write_all(jobd, 5);
        run_one(jobd, 0);
    }
    assert_int_equal(state_of(jobd, id), JOBD_DONE);
    jobd_free(jobd);
    jobd = disk_restore(100, 10);
    assert_int_equal(state_of(jobd, id), JOBD_DONE);
    run_one(jobd, QUEUES);                           /* it is told */
    assert_int_equal(state_of(jobd, id), JOBD_DONE); /* and remembered as if it had just ended */
    assert_int_equal(jobd_forget(jobd, id, NULL, 11), JOBD_OK);
    disk_write_all(jobd, 11);
    jobd_free(jobd);
    disk_clear();
}

/* One that began with what could not be written did not begin. */
static void test_what_fails_has_not_begun(void **state)
{
    struct jobd *jobd = disk_open_engine(4, 0, 1);
    struct person put, worker = person_new();
    (void)state;
    assert_int_equal(replace_with(jobd, &put, "one"), JOBD_PENDING);
    disk_write_all(jobd, 0);
    assert_int_equal(replace_with(jobd, &put, "two"), JOBD_PENDING);
    worker.waiter.uncounted = true;
    assert_int_equal(jobd_take(jobd, 0, &worker.waiter, 0), JOBD_PENDING);
    assert_int_equal(disk_write_group(jobd, 1, 0, 0), 1);
    assert_int_equal(state_of(jobd, 1), JOBD_QUEUED);
    assert_payload(jobd, 1, "one");
    disk_write_all(jobd, 0);
    assert_int_equal(worker.waiter.result, JOBD_STORE_FAILED);
    jobd_free(jobd);
    disk_clear();
}

/* The same when it was replaced twice before it began: each undoing finds the other. */
static void test_what_fails_twice_has_not_begun(void **state)
{
    struct jobd *jobd = disk_open_engine(4, 0, 1);
    struct person put, again, worker = person_new();
    (void)state;
    assert_int_equal(replace_with(jobd, &put, "one"), JOBD_PENDING);
    disk_write_all(jobd, 0);
    assert_int_equal(replace_with(jobd, &put, "two"), JOBD_PENDING);
    assert_int_equal(replace_with(jobd, &again, "three"), JOBD_PENDING);
    worker.waiter.uncounted = true;
    assert_int_equal(jobd_take(jobd, 0, &worker.waiter, 0), JOBD_PENDING);
    assert_int_equal(disk_write_group(jobd, 1, 0, 0), 1);
    assert_int_equal(put.waiter.result, JOBD_STORE_FAILED);
    assert_int_equal(state_of(jobd, 1), JOBD_QUEUED);
    assert_payload(jobd, 1, "one");
    disk_write_all(jobd, 0);
    assert_int_equal(again.waiter.result, JOBD_STORE_FAILED);
    assert_int_equal(worker.waiter.result, JOBD_STORE_FAILED);
    assert_payload_on_disk(1, "one");
    jobd_free(jobd);
    disk_clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_fails_replaces_nothing),
        cmocka_unit_test(test_what_fails_has_not_expired),
        cmocka_unit_test(test_what_fails_waits_for_nobody),
        cmocka_unit_test(test_no_other_beside_a_change),
        cmocka_unit_test(test_a_source_without_a_callback),
        cmocka_unit_test(test_what_fails_has_not_begun),
        cmocka_unit_test(test_what_fails_twice_has_not_begun),
    };
    return cmocka_run_group_tests_name("replace", tests, NULL, NULL);
}
