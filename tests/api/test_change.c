/* SPDX-License-Identifier: MIT */
/* Jobs that are changed after they came in, one or many at a time, and what they remember. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/server.h"

/* Takes a job and fails its attempt with this error. */
static void fail_one(struct client *client, const char *query, const char *error)
{
    char lease[256], path[320];
    const struct answer *answer = client_post(client, "/take?wait=15s");
    assert_int_equal(answer->status, 200);
    answer_field(answer, "Location", lease);
    snprintf(path, sizeof path, "%s/fail%s", lease, query);
    assert_answer(client_send(client, "POST", path, NULL, error), 200, "failed\n");
}

/* ---- what went wrong */

static void errors_of_the_last_attempts(void **state)
{
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    char text[32], path[64];
    (void)state;
    uint64_t id = client_put(client, "/do?attempts=7");
    assert_null(cJSON_GetObjectItem(client_job(client, id), "errors"));
    for (int attempt = 1; attempt <= 7; attempt++) {
        snprintf(text, sizeof text, "try %d", attempt);
        fail_one(client, "?delay=0s", attempt == 6 ? NULL : text);
    }
    snprintf(path, sizeof path, "/jobs/%llu/retry", (unsigned long long)id);
    for (int again = 0; again < 2; again++) {
        const cJSON *job = client_job(client, id), *error;
        const cJSON *errors = cJSON_GetObjectItem(job, "errors");
        assert_int_equal(cJSON_GetArraySize(errors), 5);
        int attempt = 3;
        cJSON_ArrayForEach(error, errors)
        {
            assert_int_equal(json_number(error, "attempt"), attempt);
            snprintf(text, sizeof text, "try %d", attempt);
            if (attempt == 6)
                assert_null(cJSON_GetObjectItem(error, "error"));
            else
                assert_string_equal(json_string(error, "error"), text);
            assert_int_equal(strlen(json_string(error, "at")), 24);
            attempt++;
        }
        if (again == 0) {
            assert_string_equal(json_string(error = cJSON_GetArrayItem(errors, 4), "at"),
                                json_string(job, "finished_at"));
            assert_int_equal(client_post(client, path)->status, 202);
        }
    }
    client_free(client);
}

static void an_exit_code_is_an_error_too(void **state)
{
    struct server *server = server_start("--", "sh", "-c", "exit 3");
    struct client *client = client_new(server);
    (void)state;
    uint64_t id = client_put(client, "/do");
    client_await_state(client, id, "failed");
    const cJSON *errors = cJSON_GetObjectItem(client_job(client, id), "errors");
    assert_int_equal(cJSON_GetArraySize(errors), 1);
    assert_int_equal(json_number(cJSON_GetArrayItem(errors, 0), "exit_code"), 3);
    client_free(client);
}

/* The end of a long one is kept, and no character of it in part. */
static void long_errors_are_cut(void **state)
{
    enum { CHARACTERS = 400 };
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    char error[2 * CHARACTERS + 2];
    (void)state;
    uint64_t id = client_put(client, "/do");
    for (size_t i = 0; i < CHARACTERS; i++)
        memcpy(error + 2 * i, "\xc3\xa4", 3);
    memcpy(error + 2 * CHARACTERS, "!", 2);
    fail_one(client, "", error);
    const cJSON *one = cJSON_GetArrayItem(cJSON_GetObjectItem(client_job(client, id), "errors"), 0);
    const char *kept = json_string(one, "error");
    assert_int_equal(strlen(kept), 511);
    assert_string_equal(kept, error + sizeof error - 1 - 511);
    client_free(client);
}

/* ---- one job */

static const struct answer *patch(struct client *client, uint64_t id, const char *query)
{
    char path[160];
    snprintf(path, sizeof path, "/jobs/%llu%s", (unsigned long long)id, query);
    return client_send(client, "PATCH", path, NULL, NULL);
}

static const struct answer *drop(struct client *client, uint64_t id, const char *query)
{
    char path[160];
    snprintf(path, sizeof path, "/jobs/%llu%s", (unsigned long long)id, query);
    return client_send(client, "DELETE", path, NULL, NULL);
}

static uint64_t taken(struct client *client)
{
    char id[256];
    const struct answer *answer = client_post(client, "/take");
    assert_int_equal(answer->status, 200);
    return strtoull(answer_field(answer, "Jobd-Id", id), NULL, 10);
}

static void a_waiting_job_is_changed(void **state)
{
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    (void)state;
    uint64_t first = client_put(client, "/do"), second = client_put(client, "/do"),
             later = client_put(client, "/do?delay=1h");
    assert_answer(patch(client, later, "?delay=0s&priority=0"), 200, "changed\n");
    assert_string_equal(json_string(client_job(client, later), "state"), "queued");
    assert_answer(patch(client, first, "?at=2100-01-01T00:00:00Z"), 200, "changed\n");
    const cJSON *job = client_job(client, first);
    assert_string_equal(json_string(job, "state"), "scheduled");
    assert_string_equal(json_string(job, "run_at"), "2100-01-01T00:00:00.000Z");
    assert_answer(patch(client, first, "?expires=2101-01-01T00:00:00Z&priority=7"), 200,
                  "changed\n");
    job = client_job(client, first);
    assert_string_equal(json_string(job, "expires_at"), "2101-01-01T00:00:00.000Z");
    assert_int_equal(json_number(job, "priority"), 7);
    assert_string_equal(json_string(job, "state"), "scheduled");
    assert_int_equal(taken(client), later);
    assert_int_equal(taken(client), second);
    assert_answer(patch(client, later, "?delay=1h"), 409, "the job is running\n");
    assert_answer(patch(client, first, "?expires=1970-01-02T00:00:00Z"), 200, "changed\n");
    client_await_state(client, first, "cancelled");
    assert_answer(patch(client, first, "?delay=1h"), 409, "the job has ended\n");
    assert_answer(patch(client, first + 100, "?delay=1h"), 404, "no such job\n");
    client_free(client);
}

static void bad_changes_are_named(void **state)
{
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    uint64_t id = client_put(client, "/do");
    (void)state;
    assert_answer(patch(client, id, ""), 400,
                  "nothing to change: expected delay, at, priority or expires\n");
    assert_answer(patch(client, id, "?priority=8"), 400, "invalid priority: expected 0 to 7\n");
    assert_answer(patch(client, id, "?delay=soon"), 400,
                  "invalid delay: expected a duration like 250ms, 30s, 5m, 2h or 7d\n");
    assert_answer(patch(client, id, "?at=2100-01-01T00:00:00Z&delay=1s"), 400,
                  "at and delay: only one of them\n");
    assert_int_equal(patch(client, id, "?at=tomorrow")->status, 400);
    assert_int_equal(patch(client, id, "?expires=never")->status, 400);
    assert_answer(patch(client, id, "?timeout=1s"), 400,
                  "unknown parameter timeout; there is delay, at, priority, expires\n");
    assert_answer(drop(client, id, "?forget=yes"), 400, "invalid forget: expected true or false\n");
    assert_answer(client_send(client, "PATCH", "/jobs", NULL, NULL), 405, "method not allowed\n");
    client_free(client);
}

static void an_ended_job_is_forgotten(void **state)
{
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    (void)state;
    uint64_t id = client_put(client, "/do"), other = client_put(client, "/do");
    assert_answer(drop(client, id, ""), 200, "cancelled\n");
    assert_answer(drop(client, id, ""), 409, "the job has ended\n");
    assert_answer(drop(client, id, "?forget=false"), 409, "the job has ended\n");
    assert_answer(drop(client, id, "?forget=true"), 200, "forgotten\n");
    assert_answer(drop(client, id, "?forget=true"), 404, "no such job\n");
    assert_answer(drop(client, other, "?forget=true"), 200, "cancelled\n"); /* it waited */
    assert_string_equal(json_string(client_job(client, other), "state"), "cancelled");
    client_free(client);
}

/* Whatever was answered stands, though the server is killed at once. */
static void changes_outlive_a_kill(void **state)
{
    char folder[160];
    (void)state;
    snprintf(folder, sizeof folder, "%s/change", temporary_directory());
    const char *const arguments[] = {"-l", "127.0.0.1:0", "-w", "0", "-d", folder, NULL};
    const struct server_plan plan = {.arguments = arguments};
    struct server *server = server_spawn(&plan);
    server_await_listening(server);
    struct client *client = client_new(server);
    uint64_t failed = client_put(client, "/do?attempts=2&key=a&tag=b"),
             soon = client_put(client, "/do?delay=1h&tag=c"),
             later = client_put(client, "/do?timeout=3s"), gone = client_put(client, "/do");
    fail_one(client, "?delay=1h", "once");
    assert_answer(drop(client, gone, ""), 200, "cancelled\n");
    assert_answer(drop(client, gone, "?forget=true"), 200, "forgotten\n");
    assert_answer(patch(client, soon, "?delay=0s"), 200, "changed\n");
    assert_answer(patch(client, later,
                        "?at=2100-01-01T00:00:00Z&expires=2101-01-01T00:00:00Z&"
                        "priority=2"),
                  200, "changed\n");
    server_kill(server);
    client_free(client);

    server = server_spawn(&plan);
    server_await_listening(server);
    client = client_new(server);
    const cJSON *job = client_job(client, failed);
    const cJSON *error = cJSON_GetArrayItem(cJSON_GetObjectItem(job, "errors"), 0);
    assert_string_equal(json_string(error, "error"), "once");
    assert_int_equal(json_number(error, "attempt"), 1);
    assert_string_equal(json_string(job, "key"), "a");
    job = client_job(client, soon);
    assert_string_equal(json_string(job, "state"), "queued");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(job, "tags")), 1);
    job = client_job(client, later);
    assert_string_equal(json_string(job, "run_at"), "2100-01-01T00:00:00.000Z");
    assert_string_equal(json_string(job, "expires_at"), "2101-01-01T00:00:00.000Z");
    assert_int_equal(json_number(job, "priority"), 2);
    assert_answer(drop(client, gone, ""), 404, "no such job\n");
    client_free(client);
}

/* ---- many */

static void assert_bulk(const struct answer *answer, int matched, int changed, uint64_t next)
{
    char text[96];
    if (next != 0)
        snprintf(text, sizeof text, "{\"matched\":%d,\"changed\":%d,\"next\":%llu}\n", matched,
                 changed, (unsigned long long)next);
    else
        snprintf(text, sizeof text, "{\"matched\":%d,\"changed\":%d,\"next\":null}\n", matched,
                 changed);
    assert_answer(answer, 200, text);
}

static const struct answer *drop_all(struct client *client, const char *query)
{
    char path[160];
    snprintf(path, sizeof path, "/jobs%s", query);
    return client_send(client, "DELETE", path, NULL, NULL);
}

static void dead_letters_are_retried_as_there_is_room(void **state)
{
    enum { FAILED = 5, CAPACITY = 3 };
    struct server *server = server_start("-w", "0", "-q", "3");
    struct client *client = client_new(server);
    uint64_t ids[FAILED];
    (void)state;
    for (int i = 0; i < FAILED; i++) {
        ids[i] = client_put(client, i < 4 ? "/do?key=tenant7" : "/do");
        fail_one(client, "", "no");
    }
    uint64_t other = client_put(client, "/do?key=tenant7");
    assert_answer(drop(client, other, ""), 200, "cancelled\n");
    assert_bulk(client_post(client, "/jobs/retry?state=failed&key=tenant7"), 4, CAPACITY, ids[3]);
    for (int i = 0; i < CAPACITY; i++)
        assert_int_equal(taken(client), ids[i]);
    assert_bulk(client_post(client, "/jobs/retry?state=failed&key=tenant7"), 1, 1, 0);
    assert_int_equal(taken(client), ids[3]);
    assert_bulk(client_post(client, "/jobs/retry?before=1h"), 0, 0, 0);
    assert_bulk(client_post(client, "/jobs/retry"), 2, 2, 0); /* all that have ended */
    assert_int_equal(taken(client), ids[4]);
    assert_int_equal(taken(client), other);
    client_free(client);
}

static void all_that_match_are_dropped(void **state)
{
    struct server *server = server_start("-w", "0", "-q", "20");
    struct client *client = client_new(server);
    char lease[256], path[300];
    (void)state;
    uint64_t failed = client_put(client, "/do?tag=import-42");
    fail_one(client, "", "no");
    uint64_t running = client_put(client, "/do?tag=import-42");
    answer_field(client_post(client, "/take"), "Location", lease);
    uint64_t waits = client_put(client, "/do?tag=import-42"),
             later = client_put(client, "/do?tag=import-42&delay=1h"),
             other = client_put(client, "/do?tag=import-4");
    assert_bulk(drop_all(client, "?tag=import-42"), 4, 3, 0);
    assert_answer(drop(client, failed, ""), 404, "no such job\n");
    assert_string_equal(json_string(client_job(client, waits), "state"), "cancelled");
    assert_string_equal(json_string(client_job(client, later), "state"), "cancelled");
    assert_string_equal(json_string(client_job(client, running), "state"), "running");
    assert_string_equal(json_string(client_job(client, other), "state"), "queued");
    assert_bulk(drop_all(client, "?state=running&running=true"), 1, 1, 0);
    assert_string_equal(json_string(client_job(client, running), "state"), "cancelled");
    snprintf(path, sizeof path, "%s/done", lease);
    assert_int_equal(client_post(client, path)->status, 409);
    assert_bulk(drop_all(client, "?state=cancelled&since=1h"), 3, 3, 0);
    assert_bulk(drop_all(client, "?queue=default&state=done"), 0, 0, 0);
    client_free(client);
}

/* Whoever runs them is told, also when there are more than are told in one step. */
static void all_that_run_are_stopped(void **state)
{
    enum { JOBS = 20 };
    struct server *server = server_start("-w", "20", "-q", "20", "--sleep", "1h");
    struct client *client = client_new(server);
    (void)state;
    for (int i = 0; i < JOBS; i++)
        client_put(client, "/do");
    client_await_metric(client, "jobd_queue_running{queue=\"default\"}", JOBS);
    assert_bulk(drop_all(client, "?queue=default"), JOBS, 0, 0);
    assert_bulk(drop_all(client, "?queue=default&running=true"), JOBS, JOBS, 0);
    client_await_metric(client, "jobd_jobs_cancelled_total{queue=\"default\"}", JOBS);
    client_free(client);
}

/* More than are handled at once while the request is served. */
static void very_many_are_dropped(void **state)
{
    enum { JOBS = 30000 };
    struct server *server = server_start("-w", "0", "-q", "30000", "--keep", "100");
    struct client *client = client_new(server);
    char *lines = malloc(2 * JOBS + 1);
    (void)state;
    assert_non_null(lines);
    for (size_t i = 0; i < JOBS; i++)
        memcpy(lines + 2 * i, "x\n", 3);
    /* A turn that holds a database up for too long is undone, on a machine that is busy. */
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    long status;
    while ((status = client_send(client, "POST", "/do?batch=lines", NULL, lines)->status) == 503)
        look_again(deadline_ms, "jobs of a batch let in");
    assert_int_equal(status, 202);
    free(lines);
    assert_bulk(drop_all(client, "?state=queued"), JOBS, JOBS, 0);
    assert_bulk(client_post(client, "/jobs/retry"), 100, 100, 0);
    client_free(client);
}

static void bad_filters_are_named(void **state)
{
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    (void)state;
    assert_answer(drop_all(client, ""), 400,
                  "which jobs? expected queue, state, tag, key, batch, since or before\n");
    assert_answer(drop_all(client, "?running=true"), 400,
                  "which jobs? expected queue, state, tag, key, batch, since or before\n");
    assert_answer(drop_all(client, "?queue=default&running=yes"), 400,
                  "invalid running: expected true or false\n");
    assert_answer(drop_all(client, "?queue=other"), 400,
                  "invalid queue: expected the name of a queue\n");
    assert_answer(drop_all(client, "?queue=default&limit=1"), 400,
                  "unknown parameter limit; there is queue, state, tag, key, batch, since, before, "
                  "running\n");
    assert_answer(client_post(client, "/jobs/retry?state=queued"), 400,
                  "invalid state: expected done, failed or cancelled\n");
    assert_answer(client_post(client, "/jobs/retry?before=now"), 400,
                  "invalid before: expected a time like 2026-12-01T09:00:00Z, or how long ago, "
                  "like 5m, 2h or 7d\n");
    client_free(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(errors_of_the_last_attempts), TEST(an_exit_code_is_an_error_too),
        TEST(long_errors_are_cut),         TEST(a_waiting_job_is_changed),
        TEST(bad_changes_are_named),       TEST(an_ended_job_is_forgotten),
        TEST(changes_outlive_a_kill),      TEST(dead_letters_are_retried_as_there_is_room),
        TEST(all_that_match_are_dropped),  TEST(all_that_run_are_stopped),
        TEST(very_many_are_dropped),       TEST(bad_filters_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
