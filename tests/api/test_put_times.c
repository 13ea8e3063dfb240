/* SPDX-License-Identifier: MIT */
/* When a job that is put in may run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/server.h"

#define LEN(rows) (sizeof(rows) / sizeof(rows)[0])

static void has_text(const struct answer *answer, const char *text)
{
    if (strstr(answer->body, text) == NULL)
        fail_msg("no \"%s\" in %s", text, answer->body);
}

/* ---- at */

static void an_instant_is_waited_for(void **state)
{
    static const struct {
        const char *path, *run_at; /* NULL: it is past */
    } rows[] = {
        {"/do?at=2030-01-01T00:00:00Z", "2030-01-01T00:00:00.000Z"},
        {"/do?at=2030-01-01T00:00:00.25%2B01:30", "2029-12-31T22:30:00.250Z"},
        {"/do?at=2030-01-01t00:00:00-00:30", "2030-01-01T00:30:00.000Z"},
        {"/do?at=2030-01-01T00:00:00+01:00", "2029-12-31T23:00:00.000Z"},
        {"/do?at=9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000Z"},
        {"/do?at=2020-01-01T00:00:00Z", NULL},
        {"/do?at=1969-12-31T23:59:59Z", NULL},
        {"/do?at=0001-01-01T00:00:00Z", NULL},
    };
    struct server *server = server_start("-q", "100", "-w", "0");
    struct client *client = client_new(server);
    (void)state;
    for (size_t i = 0; i < LEN(rows); i++) {
        const cJSON *job = client_job(client, client_put(client, rows[i].path));
        assert_string_equal(json_string(job, "state"),
                            rows[i].run_at != NULL ? "scheduled" : "queued");
        if (rows[i].run_at != NULL)
            assert_string_equal(json_string(job, "run_at"), rows[i].run_at);
    }
    client_free(client);
}

static void an_instant_comes(void **state)
{
    struct server *server = server_start("--sleep", "0ms");
    struct client *client = client_new(server);
    char path[64], then_text[64];
    time_t then = time(NULL) + 2;
    struct tm broken;
    (void)state;
    assert_non_null(gmtime_r(&then, &broken));
    strftime(path, sizeof path, "/do?at=%Y-%m-%dT%H:%M:%SZ", &broken);
    strftime(then_text, sizeof then_text, "%Y-%m-%dT%H:%M:%S.000Z", &broken);
    uint64_t id = client_put(client, path);
    client_await_state(client, id, "done");
    assert_true(strcmp(json_string(client_job(client, id), "started_at"), then_text) >= 0);
    client_free(client);
}

static void what_is_no_instant_is_refused(void **state)
{
    static const char *const bad[] = {
        "/do?at=",
        "/do?at=tomorrow",
        "/do?at=30s",
        "/do?at=2030-01-01",
        "/do?at=2030-01-01T00:00:00",
        "/do?at=2030-02-30T00:00:00Z",
        "/do?at=2030-01-01T25:00:00Z",
        "/do?at=1893456000",
    };
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    (void)state;
    for (size_t i = 0; i < LEN(bad); i++) {
        const struct answer *answer = client_post(client, bad[i]);
        assert_answer(answer, 400, NULL);
        has_text(answer, "invalid at: expected an RFC 3339 time");
    }
    const struct answer *answer = client_post(client, "/do?at=2030-01-01T00:00:00Z&delay=1s");
    assert_answer(answer, 400, "at and delay: only one of them\n");
    client_free(client);
}

/* ---- expires */

static void a_job_expires(void **state)
{
    struct server *server = server_start("-q", "2", "-w", "0");
    struct client *client = client_new(server);
    (void)state;
    uint64_t id = client_put(client, "/do?expires=100ms");
    uint64_t later = client_put(client, "/do?delay=1h&expires=100ms");
    client_await_state(client, id, "cancelled");
    client_await_state(client, later, "cancelled");
    const cJSON *job = client_job(client, later);
    assert_string_equal(json_string(job, "error"), "expired");
    assert_non_null(json_string(job, "expires_at"));
    assert_true(json_number(client_json(client, "/queues/default"), "expired") == 2);
    assert_true(client_metric(client, "jobd_jobs_expired_total{queue=\"default\"}") == 2);
    job = client_job(client, client_put(client, "/do?expires=2030-01-01T00:00:00%2B01:00"));
    assert_string_equal(json_string(job, "expires_at"), "2029-12-31T23:00:00.000Z");
    client_await_state(client, client_put(client, "/do?expires=2020-01-01T00:00:00Z"), "cancelled");
    client_free(client);
}

static void who_waits_for_it_is_told(void **state)
{
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    (void)state;
    const struct answer *answer =
        client_send(client, "POST", "/do?expires=100ms", FIELDS("Prefer: wait=20"), "x");
    assert_answer(answer, 500, "expired\n");
    assert_field(answer, "Jobd-State", "cancelled");
    client_free(client);
}

static void a_queue_has_a_usual_expiry(void **state)
{
    const char *config =
        temporary_file("expires.json", "{\"queues\": {\"default\": {\"expires\": \"100ms\"}}}");
    struct server *server = server_start("-w", "0", "-c", config);
    struct client *client = client_new(server);
    (void)state;
    uint64_t own = client_put(client, "/do?expires=1h");
    client_await_state(client, client_put(client, "/do"), "cancelled");
    client_await_state(client, own, "queued");
    client_free(client);
}

static void what_is_no_expiry_is_refused(void **state)
{
    static const char *const bad[] = {"/do?expires=",           "/do?expires=0s",
                                      "/do?expires=never",      "/do?expires=30",
                                      "/do?expires=2030-01-01", "/do?expires=-1s"};
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    (void)state;
    for (size_t i = 0; i < LEN(bad); i++) {
        const struct answer *answer = client_post(client, bad[i]);
        assert_answer(answer, 400, NULL);
        has_text(answer, "invalid expires: expected a duration");
    }
    client_free(client);
}

/* ---- keep */

static void a_job_is_kept_for_some_time(void **state)
{
    const char *config = temporary_file(
        "keep.json",
        "{\"keep\": 10, \"queues\": {\"default\": {}, \"brief\": {\"keep\": \"1ms\"}}}");
    struct server *server = server_start("--sleep", "0ms", "-c", config);
    struct client *client = client_new(server);
    (void)state;
    uint64_t usual = client_put(client, "/do"), lasts = client_put(client, "/do/brief?keep=1h");
    client_await_forgotten(client, client_put(client, "/do?keep=1ms"));
    client_await_forgotten(client, client_put(client, "/do/brief"));
    client_await_state(client, usual, "done");
    client_await_state(client, lasts, "done");
    assert_answer(client_post(client, "/do?keep=0s"), 400,
                  "invalid keep: expected a duration from 1ms, like 30s, 5m, 2h or 7d\n");
    assert_answer(client_post(client, "/do?keep=10"), 400, NULL);
    client_free(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(an_instant_is_waited_for),      TEST(an_instant_comes),
        TEST(what_is_no_instant_is_refused), TEST(a_job_expires),
        TEST(who_waits_for_it_is_told),      TEST(a_queue_has_a_usual_expiry),
        TEST(what_is_no_expiry_is_refused),  TEST(a_job_is_kept_for_some_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
