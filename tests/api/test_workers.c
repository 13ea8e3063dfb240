/* SPDX-License-Identifier: MIT */
/* Workers elsewhere that ask several queues, have a name, say how far they are, and report much at
 * once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/server.h"

#define JSON FIELDS("Accept: application/json")

static struct server *start(const char *more)
{
    char text[1024];
    snprintf(text, sizeof text,
             "{\"workers\": 0, \"capacity\": 2000, \"backoff\": \"1ms..2ms\"%s, \"queues\": {"
             "\"default\": {}, \"high\": {}, \"low\": {}}}\n",
             more);
    return server_start("-c", temporary_file("jobd.json", text));
}

static uint64_t put(struct client *client, const char *path, const char *payload)
{
    const struct answer *answer = client_send(client, "POST", path, NULL, payload);
    assert_answer(answer, 202, NULL);
    return answer_job(answer);
}

/* The lease's path, for the caller to free. */
static char *take(struct client *client, const char *path, const char *payload)
{
    char room[256];
    const struct answer *answer = client_post(client, path);
    assert_answer(answer, 200, payload);
    return strdup(answer_field(answer, "Location", room));
}

static const struct answer *say(struct client *client, const char *lease, const char *what,
                                const char *body)
{
    char path[256];
    snprintf(path, sizeof path, "%s%s", lease, what);
    return client_send(client, "POST", path, NULL, body);
}

/* ---- several queues */

static void several_queues_are_asked_in_their_order(void **state)
{
    struct server *server = start("");
    struct client *client = client_new(server);
    (void)state;
    (void)put(client, "/do/low", "l1");
    (void)put(client, "/do", "d1");
    (void)put(client, "/do/high", "h1");
    (void)put(client, "/do/low", "l2");
    const struct answer *answer = client_post(client, "/take?queue=high,low");
    assert_answer(answer, 200, "h1");
    assert_field(answer, "Jobd-Queue", "high");
    answer = client_send(client, "POST", "/take?queue=high,low&max=5", JSON, NULL);
    assert_int_equal(answer->status, 200);
    cJSON *json = cJSON_Parse(answer->body);
    const cJSON *jobs = cJSON_GetObjectItem(json, "jobs");
    assert_int_equal(cJSON_GetArraySize(jobs), 2);
    for (int i = 0; i < 2; i++)
        assert_string_equal(json_string(cJSON_GetArrayItem(jobs, i), "queue"), "low");
    cJSON_Delete(json);
    assert_answer(client_post(client, "/take?queue=high,low"), 204, "");
    assert_answer(client_post(client, "/take?queue=high%2cdefault"), 200, "d1");
    client_free(client);
}

static void wrong_queues_are_named(void **state)
{
    static const struct {
        const char *path;
        long status;
        const char *body;
    } rows[] = {
        {"/take?queue=high,nope", 404, "no such queue: nope\n"},
        {"/take?queue=", 400, NULL},
        {"/take?queue=high,", 400, NULL},
        {"/take?queue=,high", 400, NULL},
        {"/take?queue=high,high", 400, NULL},
        {"/take/high?queue=low", 400, NULL},
        {"/take?queue=high&queue=low", 400, NULL},
        {"/take?queue=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", 404, "no such queue: 1\n"},
        {"/take?worker=", 400, "invalid worker: expected 1 to 64 visible ASCII characters\n"},
        {"/take?worker=box%207", 400, NULL},
    };
    struct server *server = start("");
    struct client *client = client_new(server);
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_answer(client_post(client, rows[i].path), rows[i].status, rows[i].body);
    client_free(client);
}

/* Who waits for several gets the first that comes to any of them. */
static void one_that_waits_for_several_gets_one(void **state)
{
    struct server *server = start("");
    struct client *client = client_new(server);
    struct raw raw;
    int fd = raw_connect(server);
    (void)state;
    assert_true(raw_send(fd, "POST /take?queue=high,low&wait=1m HTTP/1.1\r\nHost: localhost\r\n"
                             "Content-Length: 0\r\n\r\n"));
    client_await_metric(client, "jobd_requests_parked", 1);
    (void)put(client, "/do", "not asked for");
    (void)put(client, "/do/low", "first");
    (void)put(client, "/do/high", "second");
    raw_read_answer(fd, &raw);
    assert_non_null(strstr(raw.text, "Jobd-Queue: low\r\n"));
    assert_non_null(strstr(raw.text, "\r\n\r\nfirst"));
    assert_answer(client_post(client, "/take?queue=low,high"), 200, "second");
    client_free(client);
}

/* ---- names */

static void a_worker_has_a_name(void **state)
{
    struct server *server =
        server_start("-w", "0", "--attempts", "2", "--backoff", "1ms..1ms", "--log-level", "debug");
    struct client *client = client_new(server);
    char line[SERVER_LINE_SIZE];
    (void)state;
    uint64_t id = put(client, "/do", "x");
    char *lease = take(client, "/take?worker=box7", "x");
    assert_string_equal(json_string(client_job(client, id), "worker"), "box7");
    assert_answer(say(client, lease, "/fail", "no"), 200, "failed\n");
    server_await_line(server, ERR, "attempt 1 of 2 by box7: no", line);
    assert_string_equal(json_string(client_job(client, id), "worker"), "box7");
    free(lease);
    lease = take(client, "/take?wait=1m", "x");
    assert_null(cJSON_GetObjectItem(client_job(client, id), "worker"));
    free(lease);
    client_free(client);
}

/* ---- who has what */

static const cJSON *leases_of(struct client *client, const char *path, int expected)
{
    const cJSON *leases = cJSON_GetObjectItem(client_json(client, path), "leases");
    assert_int_equal(cJSON_GetArraySize(leases), expected);
    return cJSON_GetArrayItem(leases, 0);
}

static void it_is_listed_who_has_what(void **state)
{
    struct server *server = start("");
    struct client *client = client_new(server);
    (void)state;
    (void)leases_of(client, "/leases", 0);
    uint64_t id = put(client, "/do/high", "h");
    (void)put(client, "/do/low", "l");
    char *high = take(client, "/take/high?worker=box7", "h");
    char *low = take(client, "/take?queue=low,high", "l");
    (void)leases_of(client, "/leases", 2);
    (void)leases_of(client, "/leases?queue=default", 0);
    (void)leases_of(client, "/leases?worker=box", 0);
    (void)leases_of(client, "/leases?worker=box7&queue=low", 0);
    const cJSON *lease = leases_of(client, "/leases?worker=box7&queue=high", 1);
    assert_int_equal(json_number(lease, "job"), id);
    assert_string_equal(json_string(lease, "queue"), "high");
    assert_string_equal(json_string(lease, "worker"), "box7");
    assert_int_equal(json_number(lease, "attempt"), 1);
    assert_int_equal(strlen(json_string(lease, "since")), 24);
    assert_true(strcmp(json_string(lease, "since"), json_string(lease, "expires_at")) < 0);
    const struct answer *answer = client_get(client, "/leases");
    assert_null(strstr(answer->body, high + strlen("/leases/")));
    assert_null(cJSON_GetObjectItem(leases_of(client, "/leases?queue=low", 1), "worker"));
    assert_answer(say(client, high, "/done", NULL), 200, NULL);
    (void)leases_of(client, "/leases", 1);
    assert_answer(client_get(client, "/leases?queue=nowhere"), 404, "no such queue\n");
    assert_answer(client_get(client, "/leases?limit=0"), 400, NULL);
    assert_answer(client_get(client, "/leases?after=x"), 400, NULL);
    assert_answer(client_get(client, "/leases?worker="), 400, NULL);
    free(high);
    free(low);
    client_free(client);
}

static void the_list_has_pages(void **state)
{
    enum { ALL = 5 };
    struct server *server = start("");
    struct client *client = client_new(server);
    char path[64];
    double next = 0;
    unsigned pages = 0, found = 0;
    (void)state;
    for (unsigned i = 0; i < ALL; i++)
        (void)put(client, "/do", "x");
    assert_int_equal(client_send(client, "POST", "/take?max=5", JSON, NULL)->status, 200);
    do {
        snprintf(path, sizeof path, "/leases?limit=2&after=%.0f", next);
        const cJSON *page = client_json(client, path);
        found += (unsigned)cJSON_GetArraySize(cJSON_GetObjectItem(page, "leases"));
        const cJSON *item = cJSON_GetObjectItem(page, "next");
        next = cJSON_IsNumber(item) ? item->valuedouble : 0;
        pages++;
    } while (next != 0);
    assert_int_equal(found, ALL);
    assert_int_equal(pages, 3);
    client_free(client);
}

/* ---- while it runs */

static void progress_is_the_last_that_was_said(void **state)
{
    struct server *server = start("");
    struct client *client = client_new(server);
    char *long_text = raw_filled("", 'x', 1025, "");
    (void)state;
    uint64_t id = put(client, "/do", "x");
    char *lease = take(client, "/take", "x");
    assert_answer(say(client, lease, "/progress", "10 %"), 200, "noted\n");
    assert_string_equal(json_string(client_job(client, id), "progress"), "10 %");
    assert_answer(say(client, lease, "/progress", long_text), 413, NULL);
    assert_answer(say(client, lease, "/progress", "\xff"), 400, NULL);
    long_text[1024] = '\0';
    assert_answer(say(client, lease, "/progress", long_text), 200, NULL);
    assert_string_equal(json_string(client_job(client, id), "progress"), long_text);
    assert_answer(say(client, lease, "/progress", NULL), 200, NULL);
    assert_null(cJSON_GetObjectItem(client_job(client, id), "progress"));
    assert_answer(say(client, lease, "/progress", "all"), 200, NULL);
    assert_answer(say(client, lease, "/done", "ok"), 200, NULL);
    assert_string_equal(json_string(client_job(client, id), "progress"), "all");
    assert_answer(say(client, lease, "/progress", "late"), 409, "the lease has ended\n");
    lease[strlen(lease) - 1] ^= 1;
    assert_answer(say(client, lease, "/progress", "?"), 404, "no such lease\n");
    free(lease);
    free(long_text);
    client_free(client);
}

static void assert_output(struct client *client, uint64_t id, const char *output, bool truncated)
{
    char path[64];
    snprintf(path, sizeof path, "/jobs/%llu/output", (unsigned long long)id);
    const struct answer *answer = client_get(client, path);
    assert_answer(answer, 200, output);
    assert_field(answer, "Jobd-Output-Truncated", truncated ? "true" : "");
}

static void what_was_appended_is_the_output(void **state)
{
    struct server *server = start(", \"output_limit\": 10");
    struct client *client = client_new(server);
    (void)state;
    uint64_t id = put(client, "/do", "x");
    char *lease = take(client, "/take", "x");
    const struct answer *answer = say(client, lease, "/output", "one, ");
    assert_answer(answer, 200, "appended\n");
    assert_field(answer, "Jobd-Output-Truncated", "");
    assert_answer(say(client, lease, "/output", NULL), 200, "appended\n");
    answer = say(client, lease, "/output", "two, three");
    assert_answer(answer, 200, "appended\n");
    assert_field(answer, "Jobd-Output-Truncated", "true");
    assert_answer(say(client, lease, "/done", NULL), 200, "done\n");
    assert_output(client, id, "one, two, ", true);
    assert_answer(say(client, lease, "/output", "late"), 409, NULL);
    free(lease);
    client_free(client);
}

static void a_body_of_done_takes_its_place(void **state)
{
    struct server *server = start("");
    struct client *client = client_new(server);
    (void)state;
    uint64_t id = put(client, "/do", "x");
    char *lease = take(client, "/take", "x");
    assert_answer(say(client, lease, "/output", "some of it"), 200, NULL);
    assert_answer(say(client, lease, "/done", "all"), 200, "done\n");
    assert_output(client, id, "all", false);
    free(lease);
    id = put(client, "/do?attempts=1", "x");
    lease = take(client, "/take", "x");
    assert_answer(say(client, lease, "/output", "so far"), 200, NULL);
    assert_answer(say(client, lease, "/fail", "no more"), 200, NULL);
    assert_output(client, id, "so far", false);
    assert_string_equal(json_string(client_job(client, id), "error"), "no more");
    free(lease);
    client_free(client);
}

/* On disk with the next change of the job. */
static void it_is_there_after_a_restart(void **state)
{
    const char *directory = temporary_directory();
    const char *const arguments[] = {"-w", "0", "--data", directory, NULL};
    struct server *server = server_start_with(arguments);
    struct client *client = client_new(server);
    (void)state;
    uint64_t id = put(client, "/do", "x");
    char *lease = take(client, "/take?worker=box7", "x");
    assert_answer(say(client, lease, "/progress", "half"), 200, NULL);
    assert_answer(say(client, lease, "/extend", NULL), 200, NULL);
    client_free(client);
    server_kill(server);
    server = server_start_with(arguments);
    client = client_new(server);
    assert_string_equal(json_string(client_job(client, id), "worker"), "box7");
    assert_string_equal(json_string(client_job(client, id), "progress"), "half");
    assert_answer(say(client, lease, "/output", "the rest"), 200, NULL);
    assert_answer(say(client, lease, "/done", NULL), 200, NULL);
    client_free(client);
    server_kill(server);
    server = server_start_with(arguments);
    client = client_new(server);
    assert_output(client, id, "the rest", false);
    assert_string_equal(json_string(client_job(client, id), "worker"), "box7");
    free(lease);
    client_free(client);
}

/* ---- many reports at once */

static const struct answer *report(struct client *client, const char *body)
{
    return client_send(client, "POST", "/leases/done", FIELDS("Content-Type: application/x-ndjson"),
                       body);
}

static void lines_are_answered_line_by_line(void **state)
{
    struct server *server = start("");
    struct client *client = client_new(server);
    uint64_t ids[3];
    char *leases[3], body[1024], expected[1024];
    (void)state;
    for (int i = 0; i < 3; i++) {
        ids[i] = put(client, "/do?attempts=1", "x");
        leases[i] = take(client, "/take", "x");
    }
    snprintf(body, sizeof body,
             "{\"lease\":\"%s\",\"output\":\"one \\u00fc\"}\n"
             "{\"lease\":\"/leases/00\",\"output\":\"nobody's\"}\r\n"
             "\n"
             "{\"error\":\"no\", \"delay\":\"1s\", \"lease\":\"%s\", \"exit_code\":70}\n"
             "what is this?\n"
             "{\"lease\":\"%s\",\"output\":{\"a\":1.50}}",
             leases[0], leases[1], leases[2]);
    snprintf(expected, sizeof expected,
             "{\"lease\":\"%s\",\"status\":200}\n"
             "{\"lease\":\"/leases/00\",\"status\":404,\"detail\":\"no such lease\"}\n"
             "{\"lease\":\"%s\",\"status\":200}\n"
             "{\"lease\":null,\"status\":400,\"detail\":\"it is no JSON object\"}\n"
             "{\"lease\":\"%s\",\"status\":200}\n",
             leases[0], leases[1], leases[2]);
    const struct answer *answer = report(client, body);
    assert_answer(answer, 200, expected);
    assert_field(answer, "Content-Type", "application/x-ndjson");
    assert_output(client, ids[0], "one \xc3\xbc", false);
    assert_string_equal(json_string(client_job(client, ids[1]), "state"), "failed");
    assert_string_equal(json_string(client_job(client, ids[1]), "error"), "no");
    assert_true(json_number(client_job(client, ids[1]), "exit_code") == 70);
    assert_output(client, ids[2], "{\"a\":1.50}", false);
    for (int i = 0; i < 3; i++)
        free(leases[i]);
    client_free(client);
}

/* As the single calls would have had them. */
static void each_has_the_status_of_its_own(void **state)
{
    struct server *server = start("");
    struct client *client = client_new(server);
    char body[1024], expected[1024];
    (void)state;
    uint64_t id = put(client, "/do", "x");
    char *done = take(client, "/take", "x");
    (void)put(client, "/do", "y");
    char *released = take(client, "/take", "y");
    assert_answer(say(client, released, "/release", NULL), 200, NULL);
    snprintf(body, sizeof body,
             "[{\"lease\":\"%s\",\"output_base64\":\"AP8=\",\"content_type\":\"a/b\"},"
             " {\"lease\":\"%s\"}, {\"lease\":\"%s\",\"error\":\"\"}, {\"lease\":\"%s\"}]",
             done, done, done, released);
    snprintf(expected, sizeof expected,
             "[{\"lease\":\"%s\",\"status\":200},"
             "{\"lease\":\"%s\",\"status\":200,\"repeated\":true},"
             "{\"lease\":\"%s\",\"status\":409,\"detail\":\"the lease has ended\"},"
             "{\"lease\":\"%s\",\"status\":409,\"detail\":\"the lease has ended\"}]\n",
             done, done, done, released);
    assert_answer(report(client, body), 200, expected);
    char path[64];
    snprintf(path, sizeof path, "/jobs/%llu/output", (unsigned long long)id);
    const struct answer *answer = client_get(client, path);
    assert_int_equal(answer->size, 2);
    assert_memory_equal(answer->body, "\0\xff", 2);
    assert_field(answer, "Content-Type", "a/b");
    free(done);
    free(released);
    client_free(client);
}

static void what_is_no_report_is_named(void **state)
{
    static const struct {
        const char *body, *detail;
    } rows[] = {
        {"{\"output\":\"x\"}", "lease must be"},
        {"{\"lease\":7}", "lease must be"},
        {"{\"lease\":\"a\",\"ouput\":\"x\"}", "unknown member"},
        {"{\"lease\":\"a\",\"lease\":\"b\"}", "twice"},
        {"{\"lease\":\"a\",\"output\":\"x\",\"error\":\"y\"}", "output and error"},
        {"{\"lease\":\"a\",\"output\":\"x\",\"output_base64\":\"\"}", "only one"},
        {"{\"lease\":\"a\",\"output_base64\":\"?\"}", "Base64"},
        {"{\"lease\":\"a\",\"output\":\"x\",\"content_type\":\"a\\r\\nb: c\"}", "content_type"},
        {"{\"lease\":\"a\",\"error\":7}", "error must be"},
        {"{\"lease\":\"a\",\"error\":\"x\",\"delay\":\"8d\"}", "delay must be"},
        {"{\"lease\":\"a\",\"delay\":\"1s\"}", "delay goes with error"},
        {"{\"lease\":\"a\",\"exit_code\":256}", "exit_code must be"},
        {"{\"lease\":\"a\",\"exit_code\":\"1\"}", "exit_code must be"},
        {"{\"lease\":\"a\",\"output\":\"\xff\"}", "not UTF-8"},
    };
    struct server *server = start("");
    struct client *client = client_new(server);
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct answer *answer = report(client, rows[i].body);
        assert_int_equal(answer->status, 200);
        if (strstr(answer->body, "\"status\":400") == NULL ||
            strstr(answer->body, rows[i].detail) == NULL)
            fail_msg("%s: %s", rows[i].body, answer->body);
    }
    assert_answer(report(client, NULL), 400, NULL);
    assert_answer(report(client, "[1, 2"), 400, NULL);
    assert_answer(report(client, "[{\"lease\":\"\xff\"}]"), 400, NULL);
    assert_answer(report(client, "[]"), 200, "[]\n");
    char *many = raw_filled("[", '0', 0, "");
    many = realloc(many, 4096);
    strcpy(many, "[0");
    for (int i = 0; i < 1000; i++)
        strcat(many, ",0");
    strcat(many, "]");
    assert_answer(report(client, many), 413, "at most 1000 reports at once\n");
    free(many);
    client_free(client);
}

/* As many as one take gives, in one request. */
static void a_thousand_at_once(void **state)
{
    enum { ALL = 1000, LINE = 80 };
    struct server *server = start("");
    struct client *client = client_new(server);
    char *body = calloc(ALL, LINE);
    size_t used = 0;
    (void)state;
    assert_non_null(body);
    for (int i = 0; i < ALL; i++)
        used += (size_t)sprintf(body + used, "x\n");
    assert_answer(client_send(client, "POST", "/do?batch=lines", NULL, body), 202, NULL);
    const struct answer *answer = client_send(client, "POST", "/take?max=1000", JSON, NULL);
    cJSON *json = cJSON_Parse(answer->body);
    const cJSON *job, *jobs = cJSON_GetObjectItem(json, "jobs");
    assert_int_equal(cJSON_GetArraySize(jobs), ALL);
    used = 0;
    cJSON_ArrayForEach(job, jobs) used +=
        (size_t)sprintf(body + used, "{\"lease\":\"%s\"}\n", json_string(job, "lease"));
    cJSON_Delete(json);
    assert_int_equal(report(client, body)->status, 200);
    client_await_metric(client, "jobd_jobs_done_total{queue=\"default\"}", ALL);
    free(body);
    client_free(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(several_queues_are_asked_in_their_order, server_stop_all),
        cmocka_unit_test_teardown(wrong_queues_are_named, server_stop_all),
        cmocka_unit_test_teardown(one_that_waits_for_several_gets_one, server_stop_all),
        cmocka_unit_test_teardown(a_worker_has_a_name, server_stop_all),
        cmocka_unit_test_teardown(it_is_listed_who_has_what, server_stop_all),
        cmocka_unit_test_teardown(the_list_has_pages, server_stop_all),
        cmocka_unit_test_teardown(progress_is_the_last_that_was_said, server_stop_all),
        cmocka_unit_test_teardown(what_was_appended_is_the_output, server_stop_all),
        cmocka_unit_test_teardown(a_body_of_done_takes_its_place, server_stop_all),
        cmocka_unit_test_teardown(it_is_there_after_a_restart, server_stop_all),
        cmocka_unit_test_teardown(lines_are_answered_line_by_line, server_stop_all),
        cmocka_unit_test_teardown(each_has_the_status_of_its_own, server_stop_all),
        cmocka_unit_test_teardown(what_is_no_report_is_named, server_stop_all),
        cmocka_unit_test_teardown(a_thousand_at_once, server_stop_all),
    };
    return cmocka_run_group_tests_name("workers", tests, NULL, NULL);
}
