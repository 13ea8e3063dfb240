/* SPDX-License-Identifier: MIT */
/* Keys that stand for a job while it waits, while it is active, or for some time; and what comes
 * again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/server.h"

static const struct answer *put_with_key(struct client *client, const char *path, const char *body)
{
    return client_send(client, "POST", path, FIELDS("Idempotency-Key: \"k\""), body);
}

/* Let in as a new job; its id. */
static uint64_t put_new(struct client *client, const char *path, const char *body)
{
    char room[256];
    const struct answer *answer = put_with_key(client, path, body);
    assert_answer(answer, 202, "queued\n");
    assert_string_equal(answer_field(answer, "Jobd-Duplicate", room), "");
    return answer_job(answer);
}

static void assert_again(struct client *client, const char *path, const char *body, uint64_t id,
                         bool replaced)
{
    char room[256];
    const struct answer *answer = put_with_key(client, path, body);
    assert_answer(answer, 202, "queued\n");
    assert_int_equal(answer_job(answer), id);
    assert_field(answer, "Jobd-Duplicate", "true");
    assert_string_equal(answer_field(answer, "Jobd-Replaced", room), replaced ? "true" : "");
}

static void assert_payload(struct client *client, uint64_t id, const char *payload)
{
    char path[64];
    snprintf(path, sizeof path, "/jobs/%llu/payload", (unsigned long long)id);
    assert_answer(client_get(client, path), 200, payload);
}

/* The next job's id; its lease is left in `lease`. */
static uint64_t take_one(struct client *client, char lease[256])
{
    char room[256];
    const struct answer *answer = client_post(client, "/take");
    assert_answer(answer, 200, NULL);
    snprintf(lease, 256, "%s", answer_field(answer, "Location", room));
    uint64_t id = 0;
    sscanf(answer_field(answer, "Jobd-Id", room), "%llu", (unsigned long long *)&id);
    return id;
}

static void end_lease(struct client *client, const char *lease)
{
    char path[300];
    snprintf(path, sizeof path, "%s/done", lease);
    assert_answer(client_post(client, path), 200, "done\n");
}

static void while_it_waits(void **state)
{
    struct server *server = server_start("-q", "10", "-w", "0");
    struct client *client = client_new(server);
    char lease[256];
    (void)state;
    uint64_t first = put_new(client, "/do?unique=waiting", "one");
    assert_again(client, "/do?unique=waiting", "two", first, false);
    assert_payload(client, first, "one");
    assert_int_equal(take_one(client, lease), first);
    uint64_t second = put_new(client, "/do?unique=waiting", "three");
    assert_again(client, "/do?unique=waiting", "four", second, false);
    client_free(client);
}

static void while_it_is_active(void **state)
{
    struct server *server = server_start("-q", "10", "-w", "0");
    struct client *client = client_new(server);
    char lease[256];
    (void)state;
    uint64_t first = put_new(client, "/do?unique=active", "one");
    assert_int_equal(take_one(client, lease), first);
    assert_again(client, "/do?unique=active", "two", first, false);
    end_lease(client, lease);
    (void)put_new(client, "/do?unique=active", "three");
    client_free(client);
}

/* However often something is triggered during a run, it runs once more, with what came last. */
static void no_trigger_during_a_run_is_lost(void **state)
{
    struct server *server = server_start("-q", "10", "-w", "0");
    struct client *client = client_new(server);
    char lease[256];
    (void)state;
    uint64_t first = put_new(client, "/do?unique=active&again=replace", "one");
    assert_again(client, "/do?unique=active&again=replace", "two", first, true);
    assert_payload(client, first, "two");
    assert_int_equal(take_one(client, lease), first);
    uint64_t second = put_new(client, "/do?unique=active&again=replace", "three");
    assert_again(client, "/do?unique=active&again=replace", "four", second, true);
    assert_payload(client, first, "two");
    end_lease(client, lease);
    assert_int_equal(take_one(client, lease), second);
    assert_payload(client, second, "four");
    client_free(client);
}

static void place_and_id_stay(void **state)
{
    struct server *server = server_start("-q", "3", "-w", "0");
    struct client *client = client_new(server);
    char lease[256];
    (void)state;
    uint64_t first = put_new(client, "/do?unique=waiting", "one");
    uint64_t other = client_put(client, "/do"), third = client_put(client, "/do?priority=4");
    assert_again(client, "/do?unique=waiting&again=replace&attempts=7&tag=t&keep=1h", "two", first,
                 true); /* though the queue is full */
    const cJSON *job = client_job(client, first);
    assert_int_equal((int)json_number(job, "attempts"), 7);
    assert_non_null(cJSON_GetObjectItem(job, "tags"));
    assert_int_equal(take_one(client, lease), first);
    assert_int_equal(take_one(client, lease), other);
    assert_int_equal(take_one(client, lease), third);
    client_free(client);
}

static void a_delay_counts_anew(void **state)
{
    struct server *server = server_start("-q", "10", "-w", "0");
    struct client *client = client_new(server);
    char before[64];
    (void)state;
    uint64_t id = put_new(client, "/do?unique=waiting&again=replace&delay=1h", "one");
    snprintf(before, sizeof before, "%s", json_string(client_job(client, id), "run_at"));
    assert_again(client, "/do?unique=waiting&again=replace&delay=2h", "two", id, true);
    const cJSON *job = client_job(client, id);
    assert_string_equal(json_string(job, "state"), "scheduled");
    assert_true(strcmp(json_string(job, "run_at"), before) > 0);
    assert_again(client, "/do?unique=waiting&again=replace", "now", id, true);
    assert_string_equal(json_string(client_job(client, id), "state"), "queued");
    client_free(client);
}

/* Whatever --keep says. */
static void for_some_time(void **state)
{
    struct server *server = server_start("-q", "10", "--sleep", "0ms", "--keep", "0");
    struct client *client = client_new(server);
    (void)state;
    uint64_t id = put_new(client, "/do?unique=1h&keep=1ms", "one");
    client_await_state(client, id, "done");
    for (int i = 0; i < 3; i++)
        assert_answer(client_post(client, "/do?block=5s"), 202, NULL);
    assert_again(client, "/do?unique=1h", "two", id, false);
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    while (answer_job(put_with_key(client, "/do?unique=1ms", "three")) == id)
        look_again(deadline_ms, "the time to be over");
    client_free(client);
}

static void a_duplicate_says_so_in_json(void **state)
{
    struct server *server = server_start("-q", "10", "-w", "0");
    struct client *client = client_new(server);
    const char *const *fields = FIELDS("Idempotency-Key: k", "Accept: application/json");
    (void)state;
    (void)client_send(client, "POST", "/do?unique=active&again=replace", fields, "one");
    const struct answer *answer =
        client_send(client, "POST", "/do?unique=active&again=replace", fields, "two");
    assert_answer(answer, 202, NULL);
    assert_non_null(strstr(answer->body, "\"duplicate\":true,\"replaced\":true"));
    answer = client_send(client, "POST", "/do?unique=active", fields, "three");
    assert_non_null(strstr(answer->body, "\"duplicate\":true}"));
    client_free(client);
}

static void what_makes_no_sense_is_refused(void **state)
{
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    (void)state;
    assert_answer(client_post(client, "/do?unique=waiting"), 400,
                  "unique needs an Idempotency-Key\n");
    assert_answer(put_with_key(client, "/do?unique=always", "x"), 400,
                  "invalid unique: expected waiting, active or a duration like 10m\n");
    assert_answer(put_with_key(client, "/do?unique=0s", "x"), 400, NULL);
    assert_answer(put_with_key(client, "/do?unique=active&again=drop", "x"), 400,
                  "invalid again: expected keep or replace\n");
    assert_answer(put_with_key(client, "/do?again=replace", "x"), 400, "again needs unique\n");
    client_free(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(while_it_waits),
        TEST(while_it_is_active),
        TEST(no_trigger_during_a_run_is_lost),
        TEST(place_and_id_stay),
        TEST(a_delay_counts_anew),
        TEST(for_some_time),
        TEST(a_duplicate_says_so_in_json),
        TEST(what_makes_no_sense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
