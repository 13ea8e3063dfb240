/* SPDX-License-Identifier: MIT */
/* What the holder of a lease says while it runs a job, and who follows that: the engine by itself.
 */
#include <string.h>

#include "engine/model/scene.h"
#include "jobd/lease.h"

static struct jobd *open_leases(size_t memory)
{
    struct jobd *jobd = NULL;
    const struct jobd_queue_config queue = {.name = "q", .capacity = 8, .attempts = 3};
    const struct jobd_config config = {.queues = &queue,
                                       .queues_len = 1,
                                       .keep = 4,
                                       .memory_bytes = memory,
                                       .waiters_max = 16,
                                       .leases_max = 4,
                                       .first_id = 1};
    assert_int_equal(jobd_new(&jobd, &config), 0);
    return jobd;
}

static void lease(struct jobd *jobd, const char *token, struct jobd_blob *worker, int64_t now_us)
{
    struct person taker = person();
    taker.waiter.lease_us = 10 * SECOND;
    taker.waiter.worker = worker;
    memset(taker.waiter.token, '0', JOBD_TOKEN_SIZE - 1);
    memcpy(taker.waiter.token, token, strlen(token));
    (void)take(jobd, &taker, now_us);
}

#define TOKEN(text) text "0000000000000000000000000000000"

static bool append(struct jobd *jobd, const char *token, const char *text, size_t max)
{
    bool truncated = false;
    struct jobd_blob *bytes = jobd_blob_text(text);
    assert_int_equal(jobd_lease_append(jobd, token, bytes, max, &truncated), JOBD_OK);
    jobd_blob_unref(bytes);
    check_engine(jobd);
    return truncated;
}

static void progress(struct jobd *jobd, const char *token, const char *text)
{
    struct jobd_blob *bytes = jobd_blob_text(text);
    assert_int_equal(jobd_lease_progress(jobd, token, bytes), JOBD_OK);
    jobd_blob_unref(bytes);
    check_engine(jobd);
}

static void assert_part(struct jobd *jobd, uint64_t id, enum jobd_part part, const char *expected)
{
    struct jobd_blob *bytes;
    assert_int_equal(jobd_get_blob(jobd, id, part, &bytes), JOBD_OK);
    assert_int_equal(bytes != NULL, expected != NULL);
    if (bytes == NULL)
        return;
    assert_int_equal(bytes->size, strlen(expected));
    assert_memory_equal(bytes->bytes, expected, bytes->size);
    jobd_blob_unref(bytes);
}

static enum jobd_result end_with(struct jobd *jobd, const char *token, enum jobd_state state,
                                 const char *output)
{
    const struct jobd_outcome outcome = {.state = state,
                                         .retry_exactly = true,
                                         .output = output != NULL ? jobd_blob_text(output) : NULL};
    enum jobd_result result = jobd_lease_finish(jobd, token, &outcome, NULL, 5);
    if (result != JOBD_OK)
        jobd_blob_unref(outcome.output);
    check_engine(jobd);
    return result;
}

static void what_was_appended_is_the_output(void **state)
{
    struct jobd *jobd = open_leases(1 << 20);
    (void)state;
    (void)put(jobd, 1);
    lease(jobd, "1", NULL, 2);
    assert_false(append(jobd, TOKEN("1"), "one, ", 10));
    assert_false(append(jobd, TOKEN("1"), "two", 10));
    assert_part(jobd, 1, JOBD_OUTPUT, NULL);
    assert_true(append(jobd, TOKEN("1"), " and more", 10));
    assert_true(append(jobd, TOKEN("1"), "!", 10));
    assert_int_equal(end_with(jobd, TOKEN("1"), JOBD_DONE, NULL), JOBD_OK);
    assert_part(jobd, 1, JOBD_OUTPUT, "one, two a");
    struct jobd_info info;
    assert_int_equal(jobd_get(jobd, 1, &info), JOBD_OK);
    assert_true(info.output_truncated);
    jobd_free(jobd);
}

static void an_end_with_an_output_has_that_one(void **state)
{
    struct jobd *jobd = open_leases(1 << 20);
    (void)state;
    (void)put(jobd, 1);
    lease(jobd, "1", NULL, 2);
    (void)append(jobd, TOKEN("1"), "some", 2);
    assert_int_equal(end_with(jobd, TOKEN("1"), JOBD_DONE, "all"), JOBD_OK);
    assert_part(jobd, 1, JOBD_OUTPUT, "all");
    struct jobd_info info;
    assert_int_equal(jobd_get(jobd, 1, &info), JOBD_OK);
    assert_false(info.output_truncated);
    jobd_free(jobd);
}

static void failed_expired_and_revoked_attempts_keep_it(void **state)
{
    struct jobd *jobd = open_leases(1 << 20);
    (void)state;
    (void)put(jobd, 1);
    lease(jobd, "1", NULL, 2);
    (void)append(jobd, TOKEN("1"), "first", 100);
    assert_int_equal(end_with(jobd, TOKEN("1"), JOBD_FAILED, NULL), JOBD_OK);
    assert_part(jobd, 1, JOBD_OUTPUT, "first");
    (void)jobd_tick(jobd, 10);
    lease(jobd, "2", NULL, 10);
    (void)append(jobd, TOKEN("2"), "second", 100);
    assert_part(jobd, 1, JOBD_OUTPUT, "first");
    (void)jobd_tick(jobd, 20 * SECOND);
    assert_part(jobd, 1, JOBD_OUTPUT, "second");
    lease(jobd, "3", NULL, 20 * SECOND);
    (void)append(jobd, TOKEN("3"), "third", 100);
    assert_int_equal(jobd_cancel(jobd, 1, NULL, 21 * SECOND), JOBD_STOPPING);
    assert_part(jobd, 1, JOBD_OUTPUT, "third");
    check_engine(jobd);
    jobd_free(jobd);
}

static void a_late_end_keeps_what_was_appended(void **state)
{
    struct jobd *jobd = open_leases(1 << 20);
    (void)state;
    (void)put(jobd, 1);
    lease(jobd, "1", NULL, 2);
    (void)append(jobd, TOKEN("1"), "in time", 100);
    assert_int_equal(jobd_pause(jobd, 0, true, NULL, 3), JOBD_OK);
    (void)jobd_tick(jobd, 20 * SECOND);
    assert_int_equal(end_with(jobd, TOKEN("1"), JOBD_DONE, NULL), JOBD_OK);
    assert_int_equal(state_of(jobd, 1), JOBD_DONE);
    assert_part(jobd, 1, JOBD_OUTPUT, "in time");
    jobd_free(jobd);
}

static void what_was_released_is_gone(void **state)
{
    struct jobd *jobd = open_leases(1 << 20);
    (void)state;
    (void)put(jobd, 1);
    lease(jobd, "1", NULL, 2);
    (void)append(jobd, TOKEN("1"), "some", 100);
    assert_int_equal(jobd_lease_release(jobd, TOKEN("1"), 0, NULL, 3), JOBD_OK);
    lease(jobd, "2", NULL, 4);
    assert_int_equal(end_with(jobd, TOKEN("2"), JOBD_DONE, NULL), JOBD_OK);
    assert_part(jobd, 1, JOBD_OUTPUT, NULL);
    jobd_free(jobd);
}

static void nobody_says_anything_after_the_end(void **state)
{
    struct jobd *jobd = open_leases(1 << 20);
    struct jobd_blob *bytes = jobd_blob_text("x");
    bool truncated;
    (void)state;
    (void)put(jobd, 1);
    lease(jobd, "1", NULL, 2);
    assert_int_equal(end_with(jobd, TOKEN("1"), JOBD_DONE, NULL), JOBD_OK);
    assert_int_equal(jobd_lease_append(jobd, TOKEN("1"), bytes, 9, &truncated), JOBD_LEASE_EXPIRED);
    assert_int_equal(jobd_lease_progress(jobd, TOKEN("1"), bytes), JOBD_LEASE_EXPIRED);
    assert_int_equal(jobd_lease_append(jobd, TOKEN("2"), bytes, 9, &truncated), JOBD_NO_LEASE);
    assert_int_equal(jobd_lease_progress(jobd, TOKEN("2"), bytes), JOBD_NO_LEASE);
    jobd_blob_unref(bytes);
    jobd_free(jobd);
}

static void worker_and_progress_are_the_last_attempts(void **state)
{
    struct jobd *jobd = open_leases(1 << 20);
    struct jobd_blob *name = jobd_blob_text("box7");
    (void)state;
    (void)put(jobd, 1);
    lease(jobd, "1", name, 2);
    assert_part(jobd, 1, JOBD_WORKER, "box7");
    progress(jobd, TOKEN("1"), "10 %");
    progress(jobd, TOKEN("1"), "20 %");
    assert_int_equal(end_with(jobd, TOKEN("1"), JOBD_FAILED, NULL), JOBD_OK);
    assert_part(jobd, 1, JOBD_WORKER, "box7");
    assert_part(jobd, 1, JOBD_PROGRESS, "20 %");
    (void)jobd_tick(jobd, 10);
    lease(jobd, "2", NULL, 10);
    assert_part(jobd, 1, JOBD_WORKER, NULL);
    assert_part(jobd, 1, JOBD_PROGRESS, NULL);
    progress(jobd, TOKEN("2"), "again");
    assert_int_equal(end_with(jobd, TOKEN("2"), JOBD_DONE, NULL), JOBD_OK);
    assert_part(jobd, 1, JOBD_PROGRESS, "again");
    jobd_blob_unref(name);
    jobd_free(jobd);
}

/* It is counted, and what has no room is refused, or goes without. */
static void it_counts_for_the_memory(void **state)
{
    struct jobd *jobd = open_leases(1000);
    struct jobd_blob *bytes = jobd_blob_new(2000, NULL), *name = jobd_blob_new(900, NULL);
    bool truncated;
    (void)state;
    memset(bytes->bytes, 'x', bytes->size);
    memset(name->bytes, 'n', name->size);
    (void)put(jobd, 1);
    lease(jobd, "1", name, 2);
    assert_part(jobd, 1, JOBD_WORKER, NULL);
    size_t before = jobd_memory(jobd);
    (void)append(jobd, TOKEN("1"), "some", 4000);
    assert_true(jobd_memory(jobd) > before);
    assert_int_equal(jobd_lease_append(jobd, TOKEN("1"), bytes, 4000, &truncated),
                     JOBD_OUT_OF_MEMORY);
    assert_int_equal(jobd_lease_progress(jobd, TOKEN("1"), bytes), JOBD_OUT_OF_MEMORY);
    check_engine(jobd);
    assert_int_equal(end_with(jobd, TOKEN("1"), JOBD_DONE, NULL), JOBD_OK);
    assert_part(jobd, 1, JOBD_OUTPUT, "some");
    jobd_blob_unref(name);
    jobd_blob_unref(bytes);
    jobd_free(jobd);
}

/* ---- who follows */

static void assert_seen(const struct jobd_view *view, const char *output)
{
    assert_int_equal(view->output_bytes, strlen(output));
    if (output[0] != '\0')
        assert_memory_equal(view->output->bytes, output, strlen(output));
}

static void followers_see_each_piece(void **state)
{
    struct jobd *jobd = open_leases(1 << 20);
    struct person follower = person(), other = person();
    struct jobd_view view = {.seen = false};
    struct jobd_info info;
    (void)state;
    assert_int_equal(jobd_follow(jobd, 1, &view, &follower.waiter), JOBD_NO_JOB);
    (void)put(jobd, 1);
    assert_int_equal(jobd_await(jobd, 1, &other.waiter, &info), JOBD_PENDING);
    assert_int_equal(jobd_follow(jobd, 1, &view, &follower.waiter), JOBD_OK);
    assert_int_equal(view.state, JOBD_QUEUED);
    assert_int_equal(jobd_follow(jobd, 1, &view, &follower.waiter), JOBD_PENDING);
    lease(jobd, "1", NULL, 2);
    assert_int_equal(follower.woken, 1);
    assert_int_equal(jobd_follow(jobd, 1, &view, &follower.waiter), JOBD_OK);
    assert_int_equal(view.state, JOBD_RUNNING);
    assert_int_equal(jobd_follow(jobd, 1, &view, &follower.waiter), JOBD_PENDING);
    (void)append(jobd, TOKEN("1"), "one", 100);
    (void)append(jobd, TOKEN("1"), "two", 100);
    assert_int_equal(follower.woken, 2);
    assert_int_equal(jobd_follow(jobd, 1, &view, &follower.waiter), JOBD_OK);
    assert_seen(&view, "onetwo");
    assert_int_equal(jobd_follow(jobd, 1, &view, &follower.waiter), JOBD_PENDING);
    progress(jobd, TOKEN("1"), "half");
    assert_int_equal(follower.woken, 3);
    assert_int_equal(jobd_follow(jobd, 1, &view, &follower.waiter), JOBD_OK);
    assert_int_equal(view.progress->size, 4);
    assert_int_equal(jobd_follow(jobd, 1, &view, &follower.waiter), JOBD_PENDING);
    assert_int_equal(other.woken, 0);
    assert_int_equal(end_with(jobd, TOKEN("1"), JOBD_DONE, NULL), JOBD_OK);
    assert_int_equal(follower.woken, 4);
    assert_int_equal(other.woken, 1);
    assert_int_equal(jobd_follow(jobd, 1, &view, &follower.waiter), JOBD_OK);
    assert_int_equal(view.state, JOBD_DONE);
    assert_seen(&view, "onetwo");
    assert_int_equal(jobd_follow(jobd, 1, &view, &follower.waiter), JOBD_FINISHED);
    jobd_view_release(&view);
    jobd_free(jobd);
}

/* What a follower holds stays as it was, however much is appended, and when the attempt ends. */
static void what_is_seen_does_not_change(void **state)
{
    struct jobd *jobd = open_leases(1 << 20);
    struct person follower = person();
    struct jobd_view view = {.seen = false};
    (void)state;
    (void)put(jobd, 1);
    lease(jobd, "1", NULL, 2);
    (void)append(jobd, TOKEN("1"), "seen", 1000);
    assert_int_equal(jobd_follow(jobd, 1, &view, &follower.waiter), JOBD_OK);
    for (unsigned i = 0; i < 100; i++)
        (void)append(jobd, TOKEN("1"), "not seen", 1000);
    assert_seen(&view, "seen");
    assert_int_equal(end_with(jobd, TOKEN("1"), JOBD_DONE, NULL), JOBD_OK);
    assert_seen(&view, "seen");
    jobd_view_release(&view);
    jobd_free(jobd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_appended_is_the_output),
        cmocka_unit_test(an_end_with_an_output_has_that_one),
        cmocka_unit_test(failed_expired_and_revoked_attempts_keep_it),
        cmocka_unit_test(a_late_end_keeps_what_was_appended),
        cmocka_unit_test(what_was_released_is_gone),
        cmocka_unit_test(nobody_says_anything_after_the_end),
        cmocka_unit_test(worker_and_progress_are_the_last_attempts),
        cmocka_unit_test(it_counts_for_the_memory),
        cmocka_unit_test(followers_see_each_piece),
        cmocka_unit_test(what_is_seen_does_not_change),
    };
    return cmocka_run_group_tests_name("what is said", tests, NULL, NULL);
}
