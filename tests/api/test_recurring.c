/* SPDX-License-Identifier: MIT */
/* Schedules from outside. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/server.h"

#define LEN(rows) (sizeof(rows) / sizeof(rows)[0])
#define NIGHTLY   "/schedules/nightly?cron=0+3+*+*+*&tz=Europe/Paris"

static const struct answer *put(struct client *client, const char *path, const char *body)
{
    return client_send(client, "PUT", path, FIELDS("Content-Type: text/x-report"), body);
}

static void says(const struct answer *answer, long status, const char *text)
{
    if (answer->status != status || strstr(answer->body, text) == NULL)
        fail_msg("%ld \"%s\", not %ld with \"%s\"", answer->status, answer->body, status, text);
}

/* ---- what there is */

static void a_schedule_is_put_once(void **state)
{
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    (void)state;
    const struct answer *answer = put(client, NIGHTLY, "report");
    assert_answer(answer, 201, "created\n");
    assert_field(answer, "Location", "/schedules/nightly");
    assert_answer(put(client, NIGHTLY, "report"), 200, "unchanged\n");
    assert_answer(put(client, NIGHTLY, "other"), 200, "replaced\n");
    assert_answer(put(client,
                      NIGHTLY "&priority=1&attempts=5&timeout=90s&expires=1h&key=t&tag=a"
                              "&tag=b&missed=all&overlap=skip",
                      "report"),
                  200, "replaced\n");
    const cJSON *schedule = client_json(client, "/schedules/nightly");
    assert_string_equal(json_string(schedule, "name"), "nightly");
    assert_string_equal(json_string(schedule, "cron"), "0 3 * * *");
    assert_string_equal(json_string(schedule, "tz"), "Europe/Paris");
    assert_string_equal(json_string(schedule, "queue"), "default");
    assert_string_equal(json_string(schedule, "timeout"), "90s");
    assert_string_equal(json_string(schedule, "expires"), "1h");
    assert_string_equal(json_string(schedule, "key"), "t");
    assert_string_equal(json_string(schedule, "content_type"), "text/x-report");
    assert_string_equal(json_string(schedule, "when_missed"), "all");
    assert_string_equal(json_string(schedule, "overlap"), "skip");
    assert_true(json_number(schedule, "priority") == 1 && json_number(schedule, "attempts") == 5);
    assert_true(json_number(schedule, "payload_bytes") == 6 &&
                json_number(schedule, "missed") == 0);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(schedule, "tags")), 2);
    assert_null(cJSON_GetObjectItem(schedule, "last"));
    answer = client_send(client, "PUT", "/schedules/e?every=36h",
                         FIELDS("Accept: application/json"), NULL);
    says(answer, 201, "\"every\":\"36h\"");
    assert_answer(client_send(client, "DELETE", "/schedules/nightly", NULL, NULL), 200,
                  "deleted\n");
    says(client_get(client, "/schedules/nightly"), 404, "no such schedule");
    says(client_send(client, "DELETE", "/schedules/nightly", NULL, NULL), 404, "no such schedule");
    client_free(client);
}

/* Three in the night in Paris is 1 or 2 o'clock UTC: the zone's file can be read in the sandbox. */
static void the_next_instants_are_told(void **state)
{
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    char before[32] = "";
    (void)state;
    assert_answer(put(client, NIGHTLY, NULL), 201, NULL);
    const cJSON *next = cJSON_GetObjectItem(client_json(client, "/schedules/nightly"), "next");
    assert_int_equal(cJSON_GetArraySize(next), 5);
    for (const cJSON *at = next->child; at != NULL; at = at->next) {
        const char *time = at->valuestring;
        assert_true(strcmp(time + 10, "T01:00:00.000Z") == 0 ||
                    strcmp(time + 10, "T02:00:00.000Z") == 0);
        assert_true(strcmp(before, time) < 0);
        snprintf(before, sizeof before, "%s", time);
    }
    assert_answer(put(client, "/schedules/never?cron=0+0+31+2+*", NULL), 201, NULL);
    next = cJSON_GetObjectItem(client_json(client, "/schedules/never"), "next");
    assert_int_equal(cJSON_GetArraySize(next), 0);
    client_free(client);
}

static void all_are_listed_page_by_page(void **state)
{
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    char path[64];
    (void)state;
    for (size_t i = LEN(names); i-- > 0;) {
        snprintf(path, sizeof path, "/schedules/%s?every=1h", names[i]);
        assert_answer(put(client, path, NULL), 201, NULL);
    }
    const cJSON *list = client_json(client, "/schedules");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(list, "schedules")), LEN(names));
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(list, "next")));
    list = client_json(client, "/schedules?limit=2&after=b");
    const cJSON *page = cJSON_GetObjectItem(list, "schedules");
    assert_int_equal(cJSON_GetArraySize(page), 2);
    assert_string_equal(json_string(page->child, "name"), "c");
    assert_string_equal(json_string(list, "next"), "d");
    list = client_json(client, "/schedules?limit=2&after=c");
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(list, "next")));
    client_free(client);
}

static void what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *path, *text;
        long status;
    } rows[] = {
        {"/schedules/a", "cron or every: one of them is needed", 400},
        {"/schedules/a?cron=@daily&every=5m", "cron and every: only one of them", 400},
        {"/schedules/a?every=5m&tz=UTC", "tz: goes with cron", 400},
        {"/schedules/a?cron=60+*+*+*+*", "cron", 400},
        {"/schedules/a?cron=@daily&tz=Mars/Olympus", "tz: \"Mars/Olympus\"", 400},
        {"/schedules/a?cron=@daily&tz=../etc/passwd", "tz", 400},
        {"/schedules/a?every=5", "every", 400},
        {"/schedules/a?every=10ms", "every", 400},
        {"/schedules/a?every=1h&queue=nowhere", "invalid queue", 400},
        {"/schedules/a?every=1h&priority=8", "invalid priority", 400},
        {"/schedules/a?every=1h&missed=never", "invalid missed: expected once, skip or all", 400},
        {"/schedules/a?every=1h&overlap=no", "invalid overlap: expected run or skip", 400},
        {"/schedules/a?every=1h&expires=2030-01-01T00:00:00Z", "invalid expires", 400},
        {"/schedules/a?every=1h&expires=0s", "invalid expires", 400},
        {"/schedules/a?every=1h&delay=1s", "unknown parameter delay", 400},
        {"/schedules/a%20b?every=1h", "a schedule's name is 1 to 64", 400},
        {"/schedules/.a?every=1h", "a schedule's name is 1 to 64", 400},
        {"/schedules?every=1h", "method not allowed", 405},
    };
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    (void)state;
    for (size_t i = 0; i < LEN(rows); i++)
        says(put(client, rows[i].path, NULL), rows[i].status, rows[i].text);
    says(client_get(client, "/schedules?limit=0"), 400, "invalid limit");
    says(client_post(client, "/schedules/a/run"), 404, "no such schedule");
    says(client_post(client, "/schedules/a/pause"), 404, "no such schedule");
    client_free(client);
}

static void there_are_so_many(void **state)
{
    struct server *server = server_start("-w", "0", "--schedules", "2");
    struct client *client = client_new(server);
    (void)state;
    assert_answer(put(client, "/schedules/a?every=1h", NULL), 201, NULL);
    assert_answer(put(client, "/schedules/b?every=1h", NULL), 201, NULL);
    says(put(client, "/schedules/c?every=1h", NULL), 409, "--schedules");
    assert_answer(put(client, "/schedules/b?every=2h", NULL), 200, "replaced\n");
    assert_true(client_metric(client, "jobd_schedules") == 2);
    client_free(client);
}

/* ---- instants */

static void await_last(struct client *client, const char *path, const char *state)
{
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    for (;;) {
        const cJSON *last = cJSON_GetObjectItem(client_json(client, path), "last");
        if (last != NULL && strcmp(json_string(last, "state"), state) == 0)
            return;
        look_again(deadline_ms, path);
    }
}

static void an_instant_comes(void **state)
{
    struct server *server = server_start("--sleep", "0ms", "-q", "100");
    struct client *client = client_new(server);
    (void)state;
    assert_answer(put(client, "/schedules/tick?every=1s&tag=x&key=t", "report"), 201, NULL);
    await_last(client, "/schedules/tick", "done");
    const cJSON *last = cJSON_GetObjectItem(client_json(client, "/schedules/tick"), "last");
    uint64_t id = (uint64_t)json_number(last, "job");
    char at[32];
    snprintf(at, sizeof at, "%s", json_string(last, "at"));
    const cJSON *job = client_job(client, id);
    assert_string_equal(json_string(job, "schedule"), "tick");
    assert_string_equal(json_string(job, "key"), "t");
    assert_true(strcmp(json_string(job, "created_at"), at) >= 0);
    char path[64];
    snprintf(path, sizeof path, "/jobs/%llu/payload", (unsigned long long)id);
    const struct answer *answer = client_get(client, path);
    assert_answer(answer, 200, "report");
    assert_field(answer, "Content-Type", "text/x-report");
    assert_true(client_metric(client, "jobd_schedule_instants_total{result=\"fired\"}") >= 1);
    client_free(client);
}

static void one_runs_now(void **state)
{
    struct server *server = server_start("-q", "1", "-w", "0");
    struct client *client = client_new(server);
    (void)state;
    assert_answer(put(client, NIGHTLY "&priority=7", "report"), 201, NULL);
    assert_answer(client_post(client, "/schedules/nightly/pause"), 200, "paused\n");
    assert_int_equal(
        cJSON_GetArraySize(cJSON_GetObjectItem(client_json(client, "/schedules/nightly"), "next")),
        0);
    uint64_t id = client_put(client, "/schedules/nightly/run");
    const cJSON *job = client_job(client, id);
    assert_string_equal(json_string(job, "schedule"), "nightly");
    assert_true(json_number(job, "priority") == 7);
    const struct answer *answer = client_post(client, "/schedules/nightly/run");
    assert_answer(answer, 429, "busy\n");
    assert_answer(client_post(client, "/schedules/nightly/resume"), 200, "resumed\n");
    assert_int_equal(
        cJSON_GetArraySize(cJSON_GetObjectItem(client_json(client, "/schedules/nightly"), "next")),
        5);
    client_free(client);
}

static void without_room_it_is_missed(void **state)
{
    struct server *server = server_start("-q", "1", "-w", "0");
    struct client *client = client_new(server);
    char line[SERVER_LINE_SIZE];
    (void)state;
    (void)client_put(client, "/do");
    assert_answer(put(client, "/schedules/tick?every=1s", NULL), 201, NULL);
    server_await_line(server, ERR, "schedule tick: 1 instant missed: the queue is full", line);
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    while (json_number(client_json(client, "/schedules/tick"), "missed") < 1)
        look_again(deadline_ms, "that to be written");
    client_free(client);
}

static void two_do_not_overlap(void **state)
{
    struct server *server = server_start("-q", "10", "-w", "0");
    struct client *client = client_new(server);
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    (void)state;
    assert_answer(put(client, "/schedules/tick?every=1s&overlap=skip", NULL), 201, NULL);
    while (json_number(client_json(client, "/schedules/tick"), "skipped") == 0)
        look_again(deadline_ms, "an instant to be skipped");
    assert_true(json_number(client_json(client, "/queues/default"), "queued") == 1);
    client_free(client);
}

/* ---- who may, and the file's */

static void tokens_reach_so_far(void **state)
{
    const char *file = temporary_file("tokens", "read reads-0123456789\nput puts-0123456789\n"
                                                "admin admin-0123456789\n"
                                                "admin:default one-0123456789\n");
    assert_int_equal(chmod(file, 0600), 0);
    struct server *server = server_start("-w", "0", "--token-file", file);
    struct client *client = client_new(server);
    (void)state;
#define BY(token) FIELDS("Authorization: Bearer " token)
    const char *path = "/schedules/a?every=1h";
    assert_int_equal(client_send(client, "PUT", path, BY("admin-0123456789"), NULL)->status, 201);
    assert_int_equal(client_send(client, "PUT", path, BY("puts-0123456789"), NULL)->status, 403);
    assert_int_equal(client_send(client, "PUT", path, BY("one-0123456789"), NULL)->status, 403);
    assert_int_equal(client_send(client, "PUT", path, NULL, NULL)->status, 401);
    path = "/schedules/a";
    assert_int_equal(client_send(client, "GET", path, BY("reads-0123456789"), NULL)->status, 200);
    assert_int_equal(client_send(client, "DELETE", path, BY("puts-0123456789"), NULL)->status, 403);
    client_free(client);
}

static void the_file_has_its_own(void **state)
{
    char line[SERVER_LINE_SIZE];
    const char *file = temporary_file(
        "schedules.json",
        "{\"queues\": {\"default\": {\"workers\": 0}}, \"schedules\": {\"nightly\": {\"cron\":"
        " \"0 3 * * *\", \"tz\": \"Europe/Paris\", \"payload\": {\"a\": [1]}, \"tag\": [\"x\","
        " \"y\"], \"missed\": \"skip\"}, \"b\": {\"every\": \"5m\"}}}");
    struct server *server = server_start("-c", file);
    struct client *client = client_new(server);
    (void)state;
    const cJSON *schedule = client_json(client, "/schedules/nightly");
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(schedule, "in_file")));
    assert_string_equal(json_string(schedule, "content_type"), "application/json");
    assert_string_equal(json_string(schedule, "when_missed"), "skip");
    says(put(client, "/schedules/nightly?every=1h", NULL), 409, "in the configuration file");
    says(client_send(client, "DELETE", "/schedules/b", NULL, NULL), 409,
         "in the configuration file");
    assert_answer(put(client, "/schedules/own?every=1h", NULL), 201, NULL);
    (void)client_put(client, "/schedules/nightly/run");
    (void)temporary_file(
        "schedules.json",
        "{\"queues\": {\"default\": {\"workers\": 0}}, \"schedules\": {\"nightly\":"
        " {\"cron\": \"0 4 * * *\"}}}");
    server_signal(server, SIGHUP);
    server_await_line(server, ERR, "SIGHUP: configuration reloaded", line);
    assert_string_equal(json_string(client_json(client, "/schedules/nightly"), "cron"),
                        "0 4 * * *");
    assert_int_equal(client_get(client, "/schedules/b")->status, 404);
    assert_int_equal(client_get(client, "/schedules/own")->status, 200);
    client_free(client);
}

static void a_wrong_file_is_refused(void **state)
{
    static const struct {
        const char *schedules, *line;
    } rows[] = {
        {"[]", "\"schedules\": must be an object"},
        {"{\"a\": {}}", "\"a\": cron or every: one of them is needed"},
        {"{\"a\": {\"cron\": \"61 * * * *\"}}", "\"a\": cron"},
        {"{\"a\": {\"cron\": \"@daily\", \"tz\": \"Nowhere\"}}", "\"a\": tz: \"Nowhere\""},
        {"{\"a\": {\"every\": \"1h\", \"queue\": \"x\"}}", "\"a\": there is no queue \"x\""},
        {"{\"a\": {\"every\": \"1h\", \"retry\": 1}}", "\"retry\": unknown key"},
        {"{\"a\": {\"every\": \"1h\", \"priority\": 9}}", "\"priority\": must be 0 to 7"},
        {"{\"a\": {\"every\": \"1h\", \"every\": \"2h\"}}", "\"every\": is given twice"},
        {"{\"a b\": {\"every\": \"1h\"}}", "a schedule's name is"},
        {"{\"a\": {\"every\": \"1h\"}, \"a\": {\"every\": \"1h\"}}", "\"a\": is given twice"},
    };
    char text[300];
    (void)state;
    for (size_t i = 0; i < LEN(rows); i++) {
        char *out, *err;
        snprintf(text, sizeof text, "{\n\"schedules\": %s}", rows[i].schedules);
        const char *const arguments[] = {"--check", "-c", temporary_file("wrong.json", text), NULL};
        assert_int_equal(server_run(arguments, NULL, &out, &err), 2);
        if (strstr(err, rows[i].line) == NULL || strstr(err, "wrong.json:2") == NULL)
            fail_msg("%s: %s", rows[i].schedules, err);
        free(out);
        free(err);
    }
}

/* ---- over a restart */

static struct server *start_on(const char *folder)
{
    const char *const arguments[] = {"-l", "127.0.0.1:0", "-d",   folder, "-w",
                                     "0",  "-q",          "1000", NULL};
    struct server *server = server_spawn(&(struct server_plan){.arguments = arguments});
    server_await_listening(server);
    return server;
}

static void it_outlives_the_server(void **state)
{
    char folder[200];
    (void)state;
    snprintf(folder, sizeof folder, "%s/recurring", temporary_directory());
    struct server *server = start_on(folder);
    struct client *client = client_new(server);
    assert_answer(put(client, "/schedules/tick?every=1s", "report"), 201, NULL);
    assert_answer(put(client, "/schedules/paused?every=1s", NULL), 201, NULL);
    assert_answer(client_post(client, "/schedules/paused/pause"), 200, NULL);
    /* An instant may have come before the pause. */
    cJSON *last = cJSON_Duplicate(
        cJSON_GetObjectItem(client_json(client, "/schedules/paused"), "last"), true);
    await_last(client, "/schedules/tick", "queued");
    client_free(client);
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0);
    let_pass(3100); /* nobody looks */
    server = start_on(folder);
    client = client_new(server);
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    while (json_number(client_json(client, "/schedules/tick"), "missed") < 2)
        look_again(deadline_ms, "what was missed");
    const cJSON *schedule = client_json(client, "/schedules/tick");
    assert_true(json_number(schedule, "payload_bytes") == 6);
    schedule = client_json(client, "/schedules/paused");
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(schedule, "paused")));
    const cJSON *now = cJSON_GetObjectItem(schedule, "last");
    assert_true(last == NULL ? now == NULL : cJSON_Compare(last, now, true));
    cJSON_Delete(last);
    assert_answer(put(client, "/schedules/tick?every=1s", "report"), 200, "unchanged\n");
    assert_answer(client_send(client, "DELETE", "/schedules/tick", NULL, NULL), 200, NULL);
    client_free(client);
}

#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_schedule_is_put_once),
        TEST(the_next_instants_are_told),
        TEST(all_are_listed_page_by_page),
        TEST(what_is_wrong_is_named),
        TEST(there_are_so_many),
        TEST(an_instant_comes),
        TEST(one_runs_now),
        TEST(without_room_it_is_missed),
        TEST(two_do_not_overlap),
        TEST(tokens_reach_so_far),
        TEST(the_file_has_its_own),
        TEST(a_wrong_file_is_refused),
        TEST(it_outlives_the_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
