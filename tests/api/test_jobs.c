/* SPDX-License-Identifier: MIT */
/* Jobs from outside: looked at, waited for, cancelled; their options and payloads. */
#include <setjmp.h>
#include <signal.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/server.h"

#define PARKED "jobd_requests_parked"

/* The path of a job, with what follows it. */
static const char *job_path(uint64_t id, const char *rest)
{
    static char path[128];
    snprintf(path, sizeof path, "/jobs/%llu%s", (unsigned long long)id, rest);
    return path;
}

static bool has(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name) != NULL;
}

/* RFC 3339, UTC, milliseconds. */
static void assert_time(const cJSON *object, const char *name)
{
    const char *text = json_string(object, name);
    int year, month, day, hour, minute, second, ms, used = 0;
    assert_int_equal(sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &year, &month, &day, &hour,
                            &minute, &second, &ms, &used),
                     7);
    assert_int_equal(used, sizeof "2026-01-01T00:00:00.000Z" - 1);
    assert_int_equal(strlen(text), (size_t)used);
}

/* ---- looking */

static void a_job_through_its_life(void **state)
{
    struct server *server = server_start("--sleep", "10m", "-q", "4");
    struct client *client = client_new(server);
    (void)state;
    uint64_t first = client_put(client, "/do?priority=5");
    client_await_state(client, first, "running");
    uint64_t second = client_put(client, "/do");
    const cJSON *job = client_job(client, first);
    assert_int_equal(json_number(job, "id"), first);
    assert_string_equal(json_string(job, "queue"), "default");
    assert_int_equal(json_number(job, "priority"), 5);
    assert_int_equal(json_number(job, "attempt"), 1);
    assert_int_equal(json_number(job, "attempts"), 1);
    assert_time(job, "created_at");
    assert_time(job, "started_at");
    assert_false(has(job, "finished_at") || has(job, "run_at") || has(job, "output_bytes"));
    assert_int_equal(json_number(job, "payload_bytes"), 0);

    job = client_job(client, second);
    assert_string_equal(json_string(job, "state"), "queued");
    assert_int_equal(json_number(job, "priority"), 3);
    assert_false(has(job, "started_at"));

    assert_answer(client_send(client, "DELETE", job_path(first, ""), NULL, NULL), 202,
                  "stopping\n");
    client_await_state(client, first, "cancelled");
    assert_time(client_job(client, first), "finished_at");
    client_await_state(client, second, "running");
    client_free(client);
}

static void a_done_job_is_remembered_up_to_keep(void **state)
{
    struct server *server = server_start("--sleep", "0ms", "--keep", "2");
    struct client *client = client_new(server);
    uint64_t ids[3];
    (void)state;
    for (int i = 0; i < 3; i++) {
        ids[i] = client_put(client, "/do");
        client_await_state(client, ids[i], "done");
    }
    const cJSON *job = client_job(client, ids[2]);
    assert_time(job, "started_at");
    assert_time(job, "finished_at");
    assert_answer(client_get(client, job_path(ids[0], "")), 404, "no such job\n");
    assert_answer(client_get(client, job_path(ids[1], "")), 200, NULL);
    client_free(client);
}

static void ids_that_are_none(void **state)
{
    static const char *const ids[] = {
        "0", "1", "007", "-1", "+1", "1x", "x", "%31x", "9007199254740992", "99999999999999999999",
    };
    struct server *server = server_start(NULL);
    struct client *client = client_new(server);
    char path[64];
    (void)state;
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        snprintf(path, sizeof path, "/jobs/%s", ids[i]);
        assert_answer(client_get(client, path), 404, "no such job\n");
        assert_answer(client_send(client, "DELETE", path, NULL, NULL), 404, "no such job\n");
        snprintf(path, sizeof path, "/jobs/%s/payload", ids[i]);
        assert_answer(client_get(client, path), 404, "no such job\n");
    }
    const struct answer *answer = client_get_json(client, "/jobs/1");
    assert_answer(answer, 404,
                  "{\"status\":404,\"title\":\"Not Found\",\"detail\":\"no such job\"}\n");
    assert_field(answer, "Content-Type", "application/problem+json");
    client_free(client);
}

/* ---- waiting for the end */

static void wait_is_answered_at_the_end(void **state)
{
    struct server *server = server_start("--sleep", "10m");
    struct client *client = client_new(server);
    static struct raw raw;
    char request[256];
    (void)state;
    uint64_t id = client_put(client, "/do");
    client_await_state(client, id, "running");
    int fd = raw_connect(server);
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n",
             job_path(id, "?wait=5m"));
    assert_true(raw_send(fd, request));
    client_await_metric(client, PARKED, 1);
    client_send(client, "DELETE", job_path(id, ""), NULL, NULL);
    raw_read_answer(fd, &raw);
    assert_int_equal(raw_status(raw.text), 200);
    assert_non_null(strstr(raw.text, "\"state\":\"cancelled\""));
    client_await_metric(client, PARKED, 0);

    assert_true(raw_send(fd, request)); /* the connection goes on */
    raw_read_answer(fd, &raw);
    assert_int_equal(raw_status(raw.text), 200);
    close(fd);
    client_free(client);
}

static void wait_for_a_short_job(void **state)
{
    struct server *server = server_start("--sleep", "30ms");
    struct client *client = client_new(server);
    (void)state;
    for (int i = 0; i < 5; i++) {
        const struct answer *answer =
            client_get(client, job_path(client_put(client, "/do"), "?wait=15s"));
        assert_answer(answer, 200, NULL);
        assert_non_null(strstr(answer->body, "\"state\":\"done\""));
    }
    client_free(client);
}

static void wait_ends_with_its_time(void **state)
{
    struct server *server = server_start("--sleep", "10m");
    struct client *client = client_new(server);
    (void)state;
    uint64_t id = client_put(client, "/do");
    client_await_state(client, id, "running");
    int64_t before_ms = now_ms();
    const struct answer *answer = client_get(client, job_path(id, "?wait=300ms"));
    assert_answer(answer, 200, NULL);
    assert_non_null(strstr(answer->body, "\"state\":\"running\""));
    assert_true(now_ms() - before_ms >= 300);
    assert_int_equal(client_metric(client, PARKED), 0);
    client_free(client);
}

static int park(const struct server *server, uint64_t id)
{
    char request[256];
    int fd = raw_connect(server);
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n",
             job_path(id, "?wait=5m"));
    assert_true(raw_send(fd, request));
    return fd;
}

static void clients_that_leave_are_noticed(void **state)
{
    enum { PARKED_MANY = 20 };
    struct server *server = server_start("--sleep", "10m");
    struct client *client = client_new(server);
    int fds[PARKED_MANY];
    (void)state;
    uint64_t id = client_put(client, "/do");
    for (int i = 0; i < PARKED_MANY; i++)
        fds[i] = park(server, id);
    client_await_metric(client, PARKED, PARKED_MANY);
    for (int i = 0; i < PARKED_MANY; i++)
        close(fds[i]);
    client_await_metric(client, PARKED, 0);
    client_await_metric(client, "jobd_connections", 1);
    assert_string_equal(json_string(client_job(client, id), "state"), "running");
    client_free(client);
}

/* Leaving, being answered and coming in at the same time. */
static void leaving_races_with_the_end(void **state)
{
    enum { ROUNDS = 30 };
    struct server *server = server_start("--sleep", "10m");
    struct client *client = client_new(server);
    int fds[8];
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t id = client_put(client, "/do");
        for (int i = 0; i < 8; i++)
            fds[i] = park(server, id);
        for (int i = 0; i < 4; i++)
            close(fds[i]);
        client_send(client, "DELETE", job_path(id, ""), NULL, NULL);
        for (int i = 4; i < 8; i++)
            close(fds[i]);
    }
    client_await_metric(client, PARKED, 0);
    client_await_metric(client, "jobd_connections", 1);
    client_free(client);
}

static void all_who_wait_are_answered(void **state)
{
    enum { WAITERS = 10 };
    struct server *server = server_start("--sleep", "10m", "-w", "0");
    struct client *client = client_new(server);
    static struct raw raw;
    int fds[WAITERS];
    (void)state;
    uint64_t id = client_put(client, "/do");
    for (int i = 0; i < WAITERS; i++)
        fds[i] = park(server, id);
    client_await_metric(client, PARKED, WAITERS);
    assert_int_equal(client_send(client, "DELETE", job_path(id, "?wait=1s"), NULL, NULL)->status,
                     400);
    assert_answer(client_send(client, "DELETE", job_path(id, ""), NULL, NULL), 200, NULL);
    for (int i = 0; i < WAITERS; i++) {
        raw_read_answer(fds[i], &raw);
        assert_non_null(strstr(raw.text, "\"state\":\"cancelled\""));
        close(fds[i]);
    }
    client_free(client);
}

/* ---- payloads */

static void payloads_come_back_as_they_were(void **state)
{
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    (void)state;
    const struct answer *answer = client_send(
        client, "POST", "/do", FIELDS("Content-Type: text/html; charset=utf-8"), "<b>hello</b>");
    assert_answer(answer, 202, "queued\n");
    uint64_t id = answer_job(answer);
    answer = client_get(client, job_path(id, "/payload"));
    assert_answer(answer, 200, "<b>hello</b>");
    assert_field(answer, "Content-Type", "text/html; charset=utf-8");
    assert_field(answer, "X-Content-Type-Options", "nosniff");
    assert_field(answer, "Content-Security-Policy", "sandbox");
    assert_int_equal(client_metric(client, "jobd_payload_bytes") >= 12, 1);

    id = client_put(client, "/do");
    answer = client_get(client, job_path(id, "/payload"));
    assert_answer(answer, 200, "");
    assert_field(answer, "Content-Type", "application/octet-stream");
    assert_field(answer, "X-Content-Type-Options", "nosniff");
    client_free(client);
}

static void any_bytes_are_a_payload(void **state)
{
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    static struct raw raw;
    char request[600], all[256];
    (void)state;
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    int head = snprintf(request, sizeof request,
                        "POST /do HTTP/1.1\r\nHost: localhost\r\nContent-Length: 256\r\n"
                        "Connection: close\r\n\r\n");
    memcpy(request + head, all, sizeof all);
    assert_int_equal(raw_ask_bytes(server, request, (size_t)head + sizeof all, &raw), 202);
    uint64_t id = strtoull(strstr(raw.text, "/jobs/") + 6, NULL, 10);
    const struct answer *answer = client_get(client, job_path(id, "/payload"));
    assert_int_equal(answer->size, sizeof all);
    assert_memory_equal(answer->body, all, sizeof all);
    assert_field(answer, "Content-Type", "application/octet-stream");
    client_free(client);
}

/* Once, at the first, and the rest of a minute when it is over. */
static void what_is_forgotten_early_is_said(void **state)
{
    enum { PUTS = 12, STAY = 2 };
    char line[SERVER_LINE_SIZE], *payload = raw_filled("", 'x', 3000, "");
    struct server *server =
        server_start("--sleep", "0ms", "--memory", "8KiB", "--max-body", "4KiB");
    struct client *client = client_new(server);
    (void)state;
    for (int i = 0; i < PUTS; i++)
        assert_int_equal(
            client_send(client, "POST", "/do", FIELDS("Prefer: wait=20"), payload)->status, 200);
    assert_int_equal(client_metric(client, "jobd_jobs_forgotten_early_total{queue=\"default\"}"),
                     PUTS - STAY);
    server_await_line(server, ERR, "--memory is used up: 1 ended jobs were forgotten", line);
    assert_non_null(strstr(line, "raise --memory, or lower --keep"));
    client_free(client);
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0);
    assert_int_equal(server_count_lines(server, ERR, "--memory is used up"), 2);
    server_await_line(server, ERR, "--memory is used up: 9 ended jobs", line);
    free(payload);
}

static void memory_is_bounded(void **state)
{
    struct server *server =
        server_start("-w", "0", "-q", "100", "--memory", "8KiB", "--max-body", "4KiB");
    struct client *client = client_new(server);
    char payload[3001];
    long status;
    unsigned accepted = 0;
    (void)state;
    memset(payload, 'x', sizeof payload - 1);
    payload[sizeof payload - 1] = '\0';
    while ((status = client_send(client, "POST", "/do", NULL, payload)->status) == 202)
        accepted++;
    assert_int_equal(status, 429);
    assert_int_equal(accepted, 2);
    assert_in_range((uintmax_t)client_metric(client, "jobd_payload_bytes"), 6000, 8192);
    client_put(client, "/do"); /* without payload there is room */
    client_free(client);
}

/* ---- cancelling */

static void delete_in_each_state(void **state)
{
    struct server *server = server_start("--sleep", "10m");
    struct client *client = client_new(server);
    const char *const json[] = {"Accept: application/json", NULL};
    (void)state;
    uint64_t running = client_put(client, "/do");
    client_await_state(client, running, "running");
    uint64_t queued = client_put(client, "/do"), scheduled = client_put(client, "/do?delay=1h");
    assert_answer(client_send(client, "DELETE", job_path(queued, ""), NULL, NULL), 200,
                  "cancelled\n");
    assert_string_equal(json_string(client_job(client, queued), "state"), "cancelled");
    assert_answer(client_send(client, "DELETE", job_path(queued, ""), NULL, NULL), 409,
                  "the job has ended\n");
    const struct answer *answer = client_send(client, "DELETE", job_path(queued, ""), json, NULL);
    assert_answer(answer, 409,
                  "{\"status\":409,\"title\":\"Conflict\",\"detail\":\"the job has ended\"}\n");
    assert_field(answer, "Content-Type", "application/problem+json");
    answer = client_send(client, "DELETE", job_path(scheduled, ""), json, NULL);
    assert_answer(answer, 200, NULL);
    assert_non_null(strstr(answer->body, "\"state\":\"cancelled\""));
    assert_answer(client_send(client, "DELETE", job_path(running, ""), NULL, NULL), 202,
                  "stopping\n");
    client_await_state(client, running, "cancelled");
    assert_int_equal(client_metric(client, "jobd_jobs_cancelled_total{queue=\"default\"}"), 3);
    assert_int_equal(server_count_lines(server, OUT, ""), 0);
    client_free(client);
}

/* ---- options of a job */

static void a_delayed_job_runs_in_time(void **state)
{
    struct server *server = server_start("--sleep", "0ms");
    struct client *client = client_new(server);
    (void)state;
    int64_t before_ms = now_ms();
    uint64_t id = client_put(client, "/do?delay=400ms");
    const cJSON *job = client_job(client, id);
    if (now_ms() - before_ms < 400) {
        assert_string_equal(json_string(job, "state"), "scheduled");
        assert_time(job, "run_at");
    }
    const struct answer *answer = client_get(client, job_path(id, "?wait=15s"));
    assert_answer(answer, 200, NULL);
    assert_non_null(strstr(answer->body, "\"state\":\"done\""));
    assert_true(now_ms() - before_ms >= 399);
    client_free(client);
}

static void lower_numbers_run_first(void **state)
{
    static const int priorities[] = {3, 7, 0, 3, 5, 0};
    static const int order[] = {2, 5, 0, 3, 4, 1}; /* among equals the first */
    enum { JOBS = 6 };
    struct server *server = server_start("--sleep", "0ms");
    struct client *client = client_new(server);
    uint64_t ids[JOBS];
    char path[64], wanted[JOBS * 40] = "";
    (void)state;
    assert_answer(client_post(client, "/queues/default/pause"), 200, "paused\n");
    for (int i = 0; i < JOBS; i++) {
        snprintf(path, sizeof path, "/do?priority=%d", priorities[i]);
        ids[i] = client_put(client, path);
    }
    assert_answer(client_post(client, "/queues/default/resume"), 200, "resumed\n");
    server_await_lines(server, OUT, "done job ", JOBS);
    for (int i = 0; i < JOBS; i++)
        snprintf(wanted + strlen(wanted), sizeof wanted - strlen(wanted), "done job %llu\n",
                 (unsigned long long)ids[order[i]]);
    char *said = server_output(server, OUT);
    assert_string_equal(said, wanted);
    free(said);
    client_free(client);
}

static void bad_parameters_are_named(void **state)
{
    static const struct {
        const char *method, *path, *names;
    } rows[] = {
        {"POST", "/do?colour=red", "colour"},
        {"POST", "/do?Delay=1s", "Delay"},
        {"POST", "/do?delay=1s&delay=2s", "delay"},
        {"POST", "/do?delay=", "delay"},
        {"POST", "/do?delay", "delay"},
        {"POST", "/do?delay=5", "delay"},
        {"POST", "/do?delay=-1s", "delay"},
        {"POST", "/do?delay=1w", "delay"},
        {"POST", "/do?delay=99999999999999d", "delay"},
        {"POST", "/do?priority=8", "priority"},
        {"POST", "/do?priority=-1", "priority"},
        {"POST", "/do?priority=high", "priority"},
        {"POST", "/do?priority=", "priority"},
        {"POST", "/do?priority=1&priority=1", "priority"},
        {"GET", "/jobs?limit=0", "limit"},
        {"GET", "/jobs?limit=1001", "limit"},
        {"GET", "/jobs?limit=10&limit=10", "limit"},
        {"GET", "/jobs?state=lost", "state"},
        {"GET", "/jobs?queue=nosuch", "queue"},
        {"GET", "/jobs?after=x", "after"},
        {"GET", "/jobs?offset=1", "offset"},
        {"GET", "/jobs/1?wait=soon", "wait"},
        {"GET", "/jobs/1?wait=2h", "wait"},
        {"GET", "/queues?x=1", "x"},
        {"POST", "/queues/default/pause?for=1h", "for"},
        {"POST", "/do?=1s", "unknown parameter without a name; there is delay"},
        {"GET", "/do?", NULL},
        {"GET", "/do?&", NULL},
        {"GET", "/do?&&delay=0ms&", NULL},
        {"GET", "/do?priority=0&delay=0ms", NULL},
    };
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct answer *answer = client_send(client, rows[i].method, rows[i].path, NULL, NULL);
        long wanted = rows[i].names != NULL ? 400 : 202;
        if (answer->status != wanted ||
            (rows[i].names != NULL && strstr(answer->body, rows[i].names) == NULL))
            fail_msg("%s %s: %ld %s", rows[i].method, rows[i].path, answer->status, answer->body);
    }
    const struct answer *answer = client_get_json(client, "/do?colour=%22red%0a");
    assert_answer(answer, 400, NULL);
    assert_field(answer, "Content-Type", "application/problem+json");
    assert_int_equal(client_metric(client, "jobd_jobs_admitted_total{queue=\"default\"}"), 4);
    client_free(client);
}

/* What the client names is shown, but cannot forge a line. */
static void a_bad_name_is_shown_printable(void **state)
{
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    (void)state;
    const struct answer *answer = client_get(client, "/do?a%0d%0aSet-Cookie:x=1");
    assert_answer(answer, 400, NULL);
    assert_non_null(strstr(answer->body, "\\x0d\\x0a"));
    assert_ptr_equal(strchr(answer->body, '\n'), answer->body + answer->size - 1);
    answer = client_get_json(client, "/do?a%22%0a");
    cJSON *problem = cJSON_Parse(answer->body);
    assert_non_null(problem);
    assert_int_equal(json_number(problem, "status"), 400);
    cJSON_Delete(problem);
    client_free(client);
}

static void a_problem_has_the_title_of_its_status(void **state)
{
    static const struct {
        const char *method, *path, *field, *body, *title, *detail;
    } rows[] = {
        {"POST", "/do?delay=x", NULL, "job", "Bad Request", "invalid delay: expected"},
        {"POST", "/do", "Host: evil.example", "job", "Forbidden", "Host must be localhost"},
        {"GET", "/nowhere", NULL, NULL, "Not Found", "not found"},
        {"PUT", "/do", NULL, "job", "Method Not Allowed", "method not allowed"},
        {"POST", "/do", "Content-Encoding: gzip", "job", "Unsupported Media Type",
         "Content-Encoding is"},
        {"POST", "/do", NULL, "jobs", "Content Too Large", "the body is larger than"},
    };
    struct server *server = server_start("-w", "0", "--max-body", "3");
    struct client *client = client_new(server);
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *const fields[] = {"Accept: application/json", rows[i].field, NULL};
        const struct answer *answer =
            client_send(client, rows[i].method, rows[i].path, fields, rows[i].body);
        cJSON *problem = cJSON_Parse(answer->body);
        assert_non_null(problem);
        assert_field(answer, "Content-Type", "application/problem+json");
        assert_int_equal(json_number(problem, "status"), answer->status);
        assert_string_equal(json_string(problem, "title"), rows[i].title);
        assert_memory_equal(json_string(problem, "detail"), rows[i].detail, strlen(rows[i].detail));
        cJSON_Delete(problem);
    }
    client_free(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(a_job_through_its_life),
        TEST(a_done_job_is_remembered_up_to_keep),
        TEST(ids_that_are_none),
        TEST(wait_is_answered_at_the_end),
        TEST(wait_for_a_short_job),
        TEST(wait_ends_with_its_time),
        TEST(clients_that_leave_are_noticed),
        TEST(leaving_races_with_the_end),
        TEST(all_who_wait_are_answered),
        TEST(payloads_come_back_as_they_were),
        TEST(any_bytes_are_a_payload),
        TEST(memory_is_bounded),
        TEST(what_is_forgotten_early_is_said),
        TEST(delete_in_each_state),
        TEST(a_delayed_job_runs_in_time),
        TEST(lower_numbers_run_first),
        TEST(bad_parameters_are_named),
        TEST(a_bad_name_is_shown_printable),
        TEST(a_problem_has_the_title_of_its_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
