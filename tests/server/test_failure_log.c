/* SPDX-License-Identifier: MIT */
/* Jobs that fail, in the log. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/server.h"

static void a_failed_job_is_a_line(void **state)
{
    char line[SERVER_LINE_SIZE], expected[128];
    struct server *server =
        server_start("--attempts", "2", "--backoff", "1ms..1ms", "--", "sh", "-c",
                     "printf 'the \\033[31mreason\\nand more\\n' >&2; exit 3");
    struct client *client = client_new(server);
    (void)state;
    uint64_t id = client_put(client, "/do");
    server_await_line(server, ERR, "failed", line);
    snprintf(expected, sizeof expected,
             " warn queue default: job %llu failed, attempt 2 of 2: exit status 3: the "
             "\\x1b[31mreason",
             (unsigned long long)id);
    assert_string_equal(strstr(line, " warn"), expected);
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0);
    assert_int_equal(server_count_lines(server, ERR, "attempt"), 1);
    client_free(client);
}

static void a_failed_attempt_is_one_of_debug(void **state)
{
    char line[SERVER_LINE_SIZE];
    struct server *server = server_start("--log-level", "debug", "--attempts", "2", "--backoff",
                                         "1ms..1ms", "--", "false");
    struct client *client = client_new(server);
    (void)state;
    client_put(client, "/do");
    server_await_line(server, ERR, "will be tried again, attempt 1 of 2: exit status 1: ", line);
    assert_non_null(strstr(line, " debug queue default: job "));
    server_await_line(server, ERR, "failed, attempt 2 of 2: exit status 1: ", line);
    client_free(client);
}

/* Whoever ran it, and also when nobody says a word. */
static void leases_fail_too(void **state)
{
    char line[SERVER_LINE_SIZE];
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    (void)state;
    client_put(client, "/do");
    char path[300], room[256];
    snprintf(path, sizeof path, "%s/fail",
             answer_field(client_post(client, "/take"), "Location", room));
    assert_int_equal(client_send(client, "POST", path, NULL, "no paper")->status, 200);
    server_await_line(server, ERR, "failed, attempt 1 of 1: no paper", line);
    client_put(client, "/do");
    assert_int_equal(client_post(client, "/take?lease=100ms")->status, 200);
    server_await_line(server, ERR, "failed, attempt 1 of 1: the lease expired", line);
    client_free(client);
}

/* Nobody who was told to stop has failed. */
static void cancelled_jobs_are_no_failures(void **state)
{
    struct server *server = server_start("--", "sleep", "600");
    struct client *client = client_new(server);
    char path[64];
    (void)state;
    uint64_t id = client_put(client, "/do");
    client_await_state(client, id, "running");
    snprintf(path, sizeof path, "/jobs/%llu", (unsigned long long)id);
    assert_int_equal(client_send(client, "DELETE", path, NULL, NULL)->status, 202);
    client_await_state(client, id, "cancelled");
    client_free(client);
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0);
    assert_int_equal(server_count_lines(server, ERR, "failed, attempt"), 0);
}

/* What is not written is counted, so that all are there. */
static void many_are_counted(void **state)
{
    enum { JOBS = 300, AT_ONCE = 10 };
    char body[4 * JOBS + 1] = "";
    struct server *server = server_start("-q", "1000", "-w", "0");
    struct client *client = client_new(server);
    unsigned long long counted = 0, more;
    (void)state;
    for (int i = 0; i < JOBS; i++)
        strcat(body, "x\n");
    assert_int_equal(client_send(client, "POST", "/do?batch=lines", NULL, body)->status, 202);
    int64_t begun_ms = now_ms();
    const struct answer *answer = client_get_json(client, "/queues");
    assert_int_equal(answer->status, 200);
    assert_int_equal(client_send(client, "POST", "/take?max=300&lease=100ms",
                                 FIELDS("Accept: application/json"), NULL)
                         ->status,
                     200);
    client_await_metric(client, "jobd_jobs_failed_total{queue=\"default\"}", JOBS);
    client_free(client);
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0);
    size_t lines = server_count_lines(server, ERR, "failed, attempt 1 of 1");
    assert_in_range(lines, 1, (uintmax_t)AT_ONCE * (2 + (uintmax_t)(now_ms() - begun_ms) / 1000));
    char *err = server_output(server, ERR);
    for (const char *at = err; (at = strstr(at, " warn ")) != NULL; at++)
        if (sscanf(at, " warn %llu more jobs failed", &more) == 1)
            counted += more;
    assert_int_equal(lines + counted, JOBS);
    /* The last word is that of the end. */
    char last[SERVER_LINE_SIZE];
    server_last_line(server, ERR, last);
    assert_non_null(strstr(last, "stopped: "));
    free(err);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(a_failed_job_is_a_line), TEST(a_failed_attempt_is_one_of_debug),
        TEST(leases_fail_too),        TEST(cancelled_jobs_are_no_failures),
        TEST(many_are_counted),
    };
    return cmocka_run_group_tests_name("failure_log", tests, NULL, NULL);
}
