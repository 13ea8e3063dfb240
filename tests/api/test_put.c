/* SPDX-License-Identifier: MIT */
/* Options of a put: waiting for room, attempts, a timeout, a trace; and putting in again. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/server.h"

#define HOST  "Host: localhost\r\n"
#define TRACE "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

static struct raw raw;

/* ---- block */

static void blocked_is_let_in_when_there_is_room(void **state)
{
    struct server *server = server_start("-q", "1", "-w", "0");
    struct client *client = client_new(server);
    char path[64];
    (void)state;
    uint64_t first = client_put(client, "/do");
    int fd = raw_connect(server);
    assert_true(
        raw_send(fd, "POST /do?block=15s HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"));
    client_await_metric(client, "jobd_requests_parked", 1);
    snprintf(path, sizeof path, "/jobs/%llu", (unsigned long long)first);
    assert_answer(client_send(client, "DELETE", path, NULL, NULL), 200, "cancelled\n");
    raw_read_answer(fd, &raw);
    assert_int_equal(raw_status(raw.text), 202);
    const char *location = strstr(raw.text, "\r\nLocation: /jobs/");
    assert_non_null(location);
    snprintf(path, sizeof path, "/jobs/%llu/payload",
             strtoull(location + strlen("\r\nLocation: /jobs/"), NULL, 10));
    assert_answer(client_get(client, path), 200, "hello");
    client_await_metric(client, "jobd_requests_parked", 0);
    close(fd);
    client_free(client);
}

static void blocked_is_busy_when_its_time_is_over(void **state)
{
    struct server *server = server_start("-q", "1", "-w", "0");
    struct client *client = client_new(server);
    char room[256];
    (void)state;
    client_put(client, "/do");
    int64_t before_ms = now_ms();
    const struct answer *answer =
        client_send(client, "POST", "/do?block=300ms", NULL, "some payload");
    assert_answer(answer, 429, "busy\n");
    assert_true(atoi(answer_field(answer, "Retry-After", room)) >= 1);
    assert_true(now_ms() - before_ms >= 250);
    assert_answer(client_post(client, "/do?block=2h"), 400, NULL);
    client_free(client);
}

/* Who is full of jobs for later knows when there is room. */
static void retry_after_is_when_a_job_is_due(void **state)
{
    static const struct {
        const char *path;
        int seconds;
    } rows[] = {{"/do?delay=60s", 60}, {"/do?delay=5h", 5 * 3600}, {"/do?delay=7d", 24 * 3600}};
    struct server *server = server_start("-q", "1");
    struct client *client = client_new(server);
    char room[256];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        client_put(client, rows[i].path);
        const struct answer *answer = client_post(client, "/do");
        assert_answer(answer, 429, "busy\n");
        assert_in_range(atoi(answer_field(answer, "Retry-After", room)), rows[i].seconds - 20,
                        rows[i].seconds);
        assert_answer(client_post(client, "/queues/default/purge"), 200, NULL);
    }
    client_free(client);
}

static void blocked_come_in_their_order(void **state)
{
    enum { WAITING = 5 };
    struct server *server = server_start("-q", "1", "--sleep", "1ms");
    struct client *client = client_new(server);
    uint64_t ids[WAITING];
    int fds[WAITING];
    (void)state;
    assert_answer(client_post(client, "/queues/default/pause"), 200, "paused\n");
    client_put(client, "/do");
    for (int i = 0; i < WAITING; i++) {
        fds[i] = raw_connect(server);
        assert_true(raw_send(fds[i], "GET /do?block=15s HTTP/1.1\r\n" HOST "\r\n"));
        client_await_metric(client, "jobd_requests_parked", i + 1);
    }
    assert_answer(client_post(client, "/queues/default/resume"), 200, "resumed\n");
    for (int i = 0; i < WAITING; i++) {
        raw_read_answer(fds[i], &raw);
        assert_int_equal(raw_status(raw.text), 202);
        const char *location = strstr(raw.text, "Location: /jobs/");
        assert_non_null(location);
        ids[i] = strtoull(location + strlen("Location: /jobs/"), NULL, 10);
        assert_true(i == 0 || ids[i] > ids[i - 1]);
        close(fds[i]);
    }
    server_await_lines(server, OUT, "done job ", WAITING + 1);
    client_free(client);
}

/* Whoever leaves has put nothing in, and its place is the next one's. */
static void blocked_who_leave_are_forgotten(void **state)
{
    struct server *server = server_start("-q", "1", "-w", "0");
    struct client *client = client_new(server);
    (void)state;
    client_put(client, "/do");
    int fd = raw_connect(server);
    assert_true(
        raw_send(fd, "POST /do?block=15s HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"));
    client_await_metric(client, "jobd_requests_parked", 1);
    close(fd);
    client_await_metric(client, "jobd_requests_parked", 0);
    assert_answer(client_post(client, "/queues/default/purge"), 200, "purged 1\n");
    assert_int_equal(client_metric(client, "jobd_jobs_admitted_total{queue=\"default\"}"), 1);
    client_put(client, "/do");
    client_free(client);
}

static void blocked_are_told_of_a_drain(void **state)
{
    (void)state;
    if (server_durable()) /* what waits there waits on disk */
        skip();
    struct server *server = server_start("-q", "1", "-w", "0", "--grace", "10s");
    struct client *client = client_new(server);
    client_put(client, "/do");
    int fd = raw_connect(server);
    assert_true(raw_send(fd, "GET /do?block=15s HTTP/1.1\r\n" HOST "\r\n"));
    client_await_metric(client, "jobd_requests_parked", 1);
    server_signal(server, SIGTERM);
    raw_read_answer(fd, &raw);
    assert_int_equal(raw_status(raw.text), 503);
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 1);
    close(fd);
    client_free(client);
}

/* ---- attempts */

static void a_timeout_counts_as_an_attempt(void **state)
{
    struct server *server =
        server_start("--sleep", "10m", "--timeout", "10ms", "--backoff", "1ms..2ms");
    struct client *client = client_new(server);
    (void)state;
    uint64_t id = client_put(client, "/do?attempts=3");
    client_await_state(client, id, "failed");
    const cJSON *job = client_job(client, id);
    assert_int_equal(json_number(job, "attempt"), 3);
    assert_int_equal(json_number(job, "attempts"), 3);
    assert_string_equal(json_string(job, "error"), "timed out");
    assert_int_equal(client_metric(client, "jobd_retries_total{queue=\"default\"}"), 2);
    assert_int_equal(client_metric(client, "jobd_jobs_failed_total{queue=\"default\"}"), 1);
    client_free(client);
}

static void its_own_timeout_counts(void **state)
{
    struct server *server = server_start("--sleep", "100ms", "--timeout", "1ms");
    struct client *client = client_new(server);
    (void)state;
    uint64_t id = client_put(client, "/do?timeout=1m");
    client_await_state(client, id, "done");
    client_await_state(client, client_put(client, "/do"), "failed");
    static const char *const none[] = {"/do?timeout=0s", "/do?timeout=0.9ms", "/do?timeout=none"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        assert_answer(client_post(client, none[i]), 400,
                      "invalid timeout: expected a duration from 1ms, like 30s, 5m, 2h or "
                      "7d\n");
    client_free(client);
}

static void what_ended_goes_in_again(void **state)
{
    struct server *server = server_start("--sleep", "20ms", "-q", "1");
    struct client *client = client_new(server);
    char path[64];
    (void)state;
    uint64_t id = client_put(client, "/do?timeout=1ms");
    snprintf(path, sizeof path, "/jobs/%llu/retry", (unsigned long long)id);
    client_await_state(client, id, "failed");
    const struct answer *answer = client_post(client, path);
    assert_answer(answer, 202, "queued\n");
    assert_int_equal(answer_job(answer), id);
    client_await_state(client, id, "failed");
    assert_int_equal(json_number(client_job(client, id), "attempt"), 1);

    /* Whatever it prefers, it goes in once. */
    assert_answer(client_send(client, "POST", path, FIELDS("Prefer: wait=15"), NULL), 202, NULL);
    client_await_state(client, id, "failed");
    assert_int_equal(client_metric(client, "jobd_jobs_admitted_total{queue=\"default\"}"), 3);

    assert_answer(client_post(client, "/queues/default/pause"), 200, NULL);
    client_put(client, "/do");
    assert_answer(client_post(client, path), 429, "busy\n");
    assert_answer(client_post(client, "/queues/default/purge"), 200, NULL);
    assert_answer(client_post(client, path), 202, NULL);
    assert_answer(client_post(client, path), 409, "the job has not ended\n");
    assert_answer(client_post(client, "/jobs/1/retry"), 404, NULL);
    assert_answer(client_get(client, path), 405, NULL);
    client_free(client);
}

/* ---- Idempotency-Key */

static const struct answer *put_with_key(struct client *client, const char *key,
                                         const char *payload)
{
    char field[400];
    snprintf(field, sizeof field, "Idempotency-Key: %s", key);
    return client_send(client, "POST", "/do", FIELDS(field), payload);
}

static void the_same_key_is_the_same_job(void **state)
{
    struct server *server = server_start("-w", "0", "-q", "2");
    struct client *client = client_new(server);
    (void)state;
    uint64_t id = answer_job(put_with_key(client, "\"a b\"", "one"));
    assert_true(id > 0);
    for (int i = 0; i < 3; i++) {
        const struct answer *answer = put_with_key(client, "\"a b\"", "one");
        assert_answer(answer, 202, "queued\n");
        assert_int_equal(answer_job(answer), id);
    }
    assert_answer(put_with_key(client, "\"a b\"", "two"), 422, NULL);
    assert_true(answer_job(put_with_key(client, "a", "one")) != id);
    assert_answer(put_with_key(client, "b", "one"), 429, "busy\n");
    /* Full or not, what is in is in; bare or quoted, a key is the same. */
    assert_answer(put_with_key(client, "\"a\"", "one"), 202, "queued\n");
    assert_int_equal(client_metric(client, "jobd_jobs_admitted_total{queue=\"default\"}"), 2);
    client_free(client);
}

/* Whoever gets a job that came before is told so, and what became of it: nothing will run again. */
static void a_duplicate_says_that_it_is_one(void **state)
{
    struct server *server = server_start("--sleep", "1ms");
    struct client *client = client_new(server);
    const char *const fields[] = {"Idempotency-Key: k", "Accept: application/json", NULL};
    (void)state;
    const struct answer *answer = put_with_key(client, "k", "one");
    assert_field(answer, "Jobd-Duplicate", "");
    uint64_t id = answer_job(answer);
    client_await_state(client, id, "done");
    answer = put_with_key(client, "k", "one");
    assert_int_equal(answer_job(answer), id);
    assert_field(answer, "Jobd-Duplicate", "true");
    assert_field(answer, "Jobd-State", "done");
    answer = client_send(client, "POST", "/do", fields, "one");
    assert_int_equal(answer->status, 202);
    cJSON *job = cJSON_Parse(answer->body);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(job, "duplicate")));
    assert_string_equal(json_string(job, "state"), "done");
    cJSON_Delete(job);
    answer =
        client_send(client, "POST", "/do", FIELDS("Idempotency-Key: k", "Prefer: wait=10"), "one");
    assert_int_equal(answer->status, 200);
    assert_field(answer, "Jobd-Duplicate", "true");
    client_free(client);
}

static void a_key_lives_as_long_as_its_job(void **state)
{
    struct server *server = server_start("--keep", "1", "--sleep", "1ms");
    struct client *client = client_new(server);
    (void)state;
    uint64_t id = answer_job(put_with_key(client, "k", "one"));
    client_await_state(client, id, "done");
    assert_int_equal(answer_job(put_with_key(client, "k", "one")), id);
    client_await_state(client, client_put(client, "/do"), "done"); /* now it is forgotten */
    assert_true(answer_job(put_with_key(client, "k", "two")) != id);
    client_free(client);
}

static void keys_that_are_none(void **state)
{
    static const char *const bad[] = {"a b", "\"a", "a\"b", "\"a\\x\"", "\"\"", "\"a\";x=1"};
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    char *longest = raw_filled("Idempotency-Key: ", 'k', 255, "");
    char *too_long = raw_filled("Idempotency-Key: ", 'k', 256, "");
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_answer(put_with_key(client, bad[i], "x"), 400, NULL);
    assert_answer(client_send(client, "POST", "/do", FIELDS(longest), "x"), 202, NULL);
    assert_answer(client_send(client, "POST", "/do", FIELDS(too_long), "x"), 400, NULL);
    assert_answer(
        client_send(client, "POST", "/do", FIELDS("Idempotency-Key: a", "Idempotency-Key: a"), "x"),
        400, NULL);
    assert_answer(put_with_key(client, "\"q\\\"\\\\\"", "x"), 202, NULL);
    free(longest);
    free(too_long);
    client_free(client);
}

/* ---- batch */

static void each_line_is_a_job(void **state)
{
    struct server *server = server_start("-w", "0", "-q", "5");
    struct client *client = client_new(server);
    char path[64];
    (void)state;
    assert_answer(client_send(client, "POST", "/do?batch=lines", NULL, "one\n\ntwo\r\nthree"), 202,
                  "queued 3\n");
    const struct answer *answer =
        client_send(client, "POST", "/do?batch=lines",
                    FIELDS("Accept: application/json", "Content-Type: text/csv"), "4\n5\n");
    assert_int_equal(answer->status, 202);
    cJSON *json = cJSON_Parse(answer->body);
    const cJSON *ids = cJSON_GetObjectItem(json, "ids");
    assert_int_equal(cJSON_GetArraySize(ids), 2);
    snprintf(path, sizeof path, "/jobs/%.0f/payload", cJSON_GetArrayItem(ids, 1)->valuedouble);
    answer = client_get(client, path);
    assert_answer(answer, 200, "5");
    assert_field(answer, "Content-Type", "text/csv");
    snprintf(path, sizeof path, "/jobs/%.0f/payload", cJSON_GetArrayItem(ids, 0)->valuedouble - 2);
    assert_answer(client_get(client, path), 200, "two");
    cJSON_Delete(json);
    client_free(client);
}

static void a_batch_is_let_in_whole_or_not_at_all(void **state)
{
    struct server *server = server_start("-w", "0", "-q", "3");
    struct client *client = client_new(server);
    (void)state;
    assert_answer(client_send(client, "POST", "/do?batch=lines", NULL, "1\n2\n3\n4\n"), 413, NULL);
    assert_answer(client_send(client, "POST", "/do?batch=lines", NULL, "1\n2\n"), 202,
                  "queued 2\n");
    assert_answer(client_send(client, "POST", "/do?batch=lines", NULL, "1\n2\n"), 429, "busy\n");
    assert_int_equal(json_number(client_json(client, "/queues/default"), "queued"), 2);
    assert_answer(client_send(client, "POST", "/do?batch=lines", NULL, "\n\r\n"), 400, NULL);
    assert_answer(client_send(client, "POST", "/do?batch=words", NULL, "1"), 400, NULL);
    assert_answer(client_get(client, "/do?batch=lines"), 400, NULL);
    assert_answer(
        client_send(client, "POST", "/do?batch=lines", FIELDS("Idempotency-Key: k"), "1\n"), 400,
        NULL);
    client_free(client);
}

static void a_batch_can_wait_for_room(void **state)
{
    struct server *server = server_start("-w", "0", "-q", "2");
    struct client *client = client_new(server);
    (void)state;
    client_put(client, "/do");
    int fd = raw_connect(server);
    assert_true(raw_send(fd, "POST /do?block=15s&batch=lines HTTP/1.1\r\n" HOST
                             "Content-Length: 4\r\n\r\na\nb\n"));
    client_await_metric(client, "jobd_requests_parked", 1);
    assert_answer(client_post(client, "/queues/default/purge"), 200, "purged 1\n");
    raw_read_answer(fd, &raw);
    assert_int_equal(raw_status(raw.text), 202);
    assert_non_null(strstr(raw.text, "queued 2\n"));
    close(fd);
    client_free(client);
}

/* ---- Prefer: wait */

static void the_end_is_the_answer(void **state)
{
    struct server *server = server_start("--sleep", "20ms");
    struct client *client = client_new(server);
    (void)state;
    const struct answer *answer =
        client_send(client, "POST", "/do", FIELDS("Prefer: respond-async, wait=15"), "x");
    assert_answer(answer, 200, "");
    assert_field(answer, "Preference-Applied", "wait=15");
    assert_field(answer, "Jobd-State", "done");
    assert_true(answer_job(answer) > 0);
    answer =
        client_send(client, "POST", "/do?timeout=1ms", FIELDS("Prefer: wait=\"x\", wait=9"), "x");
    assert_answer(answer, 500, "timed out\n");
    assert_field(answer, "Jobd-State", "failed");
    const char *const fields[] = {"Prefer: wait=9", "Accept: application/json", NULL};
    answer = client_send(client, "POST", "/do?timeout=1ms", fields, "x");
    assert_answer(
        answer, 500,
        "{\"status\":500,\"title\":\"Internal Server Error\",\"detail\":\"timed out\"}\n");
    assert_field(answer, "Content-Type", "application/problem+json");
    client_free(client);
}

static void not_in_time_is_the_usual_answer(void **state)
{
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    (void)state;
    const struct answer *answer = client_send(client, "POST", "/do", FIELDS("Prefer: wait=1"), "x");
    assert_answer(answer, 202, "queued\n");
    assert_field(answer, "Preference-Applied", "");
    assert_answer(client_send(client, "POST", "/do", FIELDS("Prefer: wait=0"), "x"), 202, NULL);
    client_free(client);
}

/* ---- trace */

static void a_trace_is_kept_when_it_is_one(void **state)
{
    static const char *const bad[] = {
        "traceparent: x",
        "traceparent: " TRACE "0",
        "traceparent: 00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "traceparent: 00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "traceparent: " TRACE "-more",
    };
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    (void)state;
    const struct answer *answer =
        client_send(client, "POST", "/do", FIELDS("traceparent: " TRACE), NULL);
    assert_answer(answer, 202, NULL);
    assert_string_equal(json_string(client_job(client, answer_job(answer)), "trace"), TRACE);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        answer = client_send(client, "POST", "/do", FIELDS(bad[i]), NULL);
        assert_answer(answer, 202, NULL);
        assert_null(cJSON_GetObjectItem(client_job(client, answer_job(answer)), "trace"));
    }
    client_free(client);
}

/* ---- key and tags */

static void key_and_tags_are_kept(void **state)
{
    static const char *const bad[] = {
        "/do?key=",        "/do?key=a%20b",
        "/do?key=a&key=b", "/do?tag=",
        "/do?tag=a%0Ab",   "/do?tag=a&tag=b&tag=c&tag=d&tag=e&tag=f&tag=g&tag=h&tag=i",
        "/do?tag=%C3%A4",
    };
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_answer(client_post(client, bad[i]), 400, NULL);
    const struct answer *answer = client_post(client, "/do?tag=a&key=tenant7&tag=b%22,c");
    assert_answer(answer, 202, NULL);
    uint64_t id = answer_job(answer);
    const cJSON *job = client_job(client, id);
    assert_string_equal(json_string(job, "key"), "tenant7");
    char *tags = cJSON_PrintUnformatted(cJSON_GetObjectItem(job, "tags"));
    assert_string_equal(tags, "[\"a\",\"b\\\",c\"]");
    cJSON_free(tags);
    answer = client_send(client, "POST", "/take", FIELDS("Accept: application/json"), NULL);
    assert_answer(answer, 200, NULL);
    assert_non_null(strstr(answer->body, "\"key\":\"tenant7\",\"tags\":[\"a\","));
    client_free(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(blocked_is_let_in_when_there_is_room),
        TEST(blocked_is_busy_when_its_time_is_over),
        TEST(retry_after_is_when_a_job_is_due),
        TEST(blocked_come_in_their_order),
        TEST(blocked_who_leave_are_forgotten),
        TEST(blocked_are_told_of_a_drain),
        TEST(a_timeout_counts_as_an_attempt),
        TEST(its_own_timeout_counts),
        TEST(what_ended_goes_in_again),
        TEST(key_and_tags_are_kept),
        TEST(the_same_key_is_the_same_job),
        TEST(a_duplicate_says_that_it_is_one),
        TEST(a_key_lives_as_long_as_its_job),
        TEST(keys_that_are_none),
        TEST(each_line_is_a_job),
        TEST(a_batch_is_let_in_whole_or_not_at_all),
        TEST(a_batch_can_wait_for_room),
        TEST(the_end_is_the_answer),
        TEST(not_in_time_is_the_usual_answer),
        TEST(a_trace_is_kept_when_it_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
