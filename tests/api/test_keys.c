/* SPDX-License-Identifier: MIT */
/* Limits and turns, from outside: workers, leases, several clients, SIGHUP, a restart. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/server.h"

static struct server *start_with(const char *queues)
{
    char text[1024];
    snprintf(text, sizeof text, "{\"queues\": {%s}}", queues);
    return server_start("-c", temporary_file("limits.json", text));
}

static void put_some(struct client *client, const char *path, unsigned jobs)
{
    for (unsigned i = 0; i < jobs; i++)
        (void)client_put(client, path);
}

/* Of a job that is taken; "" when there is none. */
static void take(struct client *client, const char *path, char key[65], char lease[80])
{
    const struct answer *answer =
        client_send(client, "POST", path, FIELDS("Accept: application/json"), NULL);
    key[0] = lease[0] = '\0';
    if (answer->status == 204)
        return;
    assert_int_equal(answer->status, 200);
    cJSON *job = cJSON_Parse(answer->body);
    snprintf(lease, 80, "%s", json_string(job, "lease"));
    uint64_t id = (uint64_t)json_number(job, "id");
    cJSON_Delete(job);
    const cJSON *whole = client_job(client, id);
    if (cJSON_HasObjectItem(whole, "key"))
        snprintf(key, 65, "%s", json_string(whole, "key"));
}

/* Takes jobs; their keys, one letter each. */
static void assert_order(struct client *client, const char *path, const char *order)
{
    char key[65], lease[80];
    for (; *order != '\0'; order++) {
        take(client, path, key, lease);
        assert_string_not_equal(lease, "");
        assert_int_equal(key[0] != '\0' ? key[0] : '-', *order);
    }
}

static void keys_take_turns(void **state)
{
    struct server *server = start_with("\"default\": {\"workers\": 0, \"capacity\": 100,"
                                       " \"per_key\": {}}");
    struct client *client = client_new(server);
    (void)state;
    put_some(client, "/do?key=a", 5);
    put_some(client, "/do?key=b", 2);
    put_some(client, "/do", 2);
    put_some(client, "/do?key=c&priority=0", 1);
    assert_order(client, "/take", "cab-ab-aaa");
    client_free(client);
}

/* By leases and a worker of its own alike. */
static void no_more_run_at_a_time(void **state)
{
    struct server *server =
        start_with("\"default\": {\"workers\": 1, \"capacity\": 100, \"running\": 2,"
                   " \"exec\": [\"sleep\", \"600\"]}");
    struct client *client = client_new(server);
    char key[65], lease[80], path[100];
    (void)state;
    put_some(client, "/do", 5);
    client_await_metric(client, "jobd_queue_running{queue=\"default\"}", 1);
    take(client, "/take", key, lease);
    assert_string_not_equal(lease, "");
    assert_answer(client_post(client, "/take"), 204, NULL);
    const cJSON *queue = client_json(client, "/queues/default");
    assert_int_equal(json_number(queue, "running_limit"), 2);
    assert_int_equal(json_number(queue, "running"), 2);
    assert_int_equal(json_number(queue, "held_back"), 3);
    snprintf(path, sizeof path, "%s/done", lease);
    assert_answer(client_post(client, path), 200, NULL);
    take(client, "/take", key, lease);
    assert_string_not_equal(lease, "");
    /* What is revoked is free at once. */
    uint64_t id = (uint64_t)json_number(
        cJSON_GetArrayItem(
            cJSON_GetObjectItem(client_json(client, "/jobs?state=running&order=newest"
                                                    "&limit=1"),
                                "jobs"),
            0),
        "id");
    snprintf(path, sizeof path, "/jobs/%llu", (unsigned long long)id);
    assert_int_equal(client_send(client, "DELETE", path, NULL, NULL)->status, 202);
    assert_int_equal(client_post(client, "/take?wait=20s")->status, 200);
    client_free(client);
}

static void a_key_at_its_limit_is_passed_over(void **state)
{
    struct server *server = start_with("\"default\": {\"workers\": 0, \"capacity\": 100,"
                                       " \"per_key\": {\"running\": 1}}");
    struct client *client = client_new(server);
    char key[65], lease[80], path[100];
    (void)state;
    put_some(client, "/do?key=a", 5);
    put_some(client, "/do?key=b", 1);
    take(client, "/take", key, lease);
    assert_string_equal(key, "a");
    assert_order(client, "/take", "b");
    assert_answer(client_post(client, "/take"), 204, NULL);
    const cJSON *queue = client_json(client, "/queues/default");
    assert_int_equal(json_number(queue, "held_back"), 4);
    const cJSON *keys = cJSON_GetObjectItem(queue, "keys");
    assert_int_equal(json_number(keys, "count"), 2);
    const cJSON *first = cJSON_GetArrayItem(cJSON_GetObjectItem(keys, "busiest"), 0);
    assert_string_equal(json_string(first, "key"), "a");
    assert_int_equal(json_number(first, "waiting"), 4);
    assert_int_equal(json_number(first, "running"), 1);
    assert_int_equal(json_number(cJSON_GetObjectItem(queue, "per_key"), "running"), 1);
    assert_true(client_metric(client, "jobd_queue_held_back{queue=\"default\"}") == 4);
    assert_true(client_metric(client, "jobd_queue_keys{queue=\"default\"}") == 2);
    snprintf(path, sizeof path, "%s/release", lease);
    assert_answer(client_post(client, path), 200, NULL);
    assert_order(client, "/take", "a");
    client_free(client);
}

static const struct answer *ask_json(struct client *client, const char *path)
{
    return client_send(client, "POST", path, FIELDS("Accept: application/json"), "x");
}

static void a_key_has_so_many_places(void **state)
{
    struct server *server = start_with("\"default\": {\"workers\": 0, \"capacity\": 100,"
                                       " \"per_key\": {\"waiting\": 2, \"rate\": \"1/1h\"}}");
    struct client *client = client_new(server);
    const struct answer *answer;
    (void)state;
    put_some(client, "/do?key=a", 2);
    answer = ask_json(client, "/do?key=a");
    assert_int_equal(answer->status, 429);
    assert_non_null(strstr(answer->body, "\"reason\":\"key\""));
    assert_field(answer, "Retry-After", "60"); /* nobody takes */
    put_some(client, "/do?key=b", 1);
    put_some(client, "/do", 3);
    /* All of a batch or none. */
    assert_int_equal(client_send(client, "POST", "/do?key=b&batch=lines", NULL, "1\n2\n")->status,
                     429);
    assert_int_equal(client_send(client, "POST", "/do?key=b&batch=lines", NULL, "1\n")->status,
                     202);
    assert_true(client_metric(client, "jobd_jobs_rejected_total{queue=\"default\"}") == 3);
    /* One starts, and its place is free; the next starts in an hour. */
    assert_order(client, "/take", "a");
    put_some(client, "/do?key=a", 1);
    char seconds[256];
    answer = ask_json(client, "/do?key=a");
    assert_int_equal(answer->status, 429);
    long after = strtol(answer_field(answer, "Retry-After", seconds), NULL, 10);
    assert_true(after > 3500 && after <= 3600);
    client_free(client);
}

static void a_full_queue_says_that_its_rate_holds(void **state)
{
    struct server *server =
        start_with("\"default\": {\"workers\": 1, \"capacity\": 2, \"rate\": \"1/10m\","
                   " \"sleep\": \"0ms\"}");
    struct client *client = client_new(server);
    char seconds[256];
    (void)state;
    client_await_state(client, client_put(client, "/do"), "done");
    put_some(client, "/do", 2);
    const struct answer *answer = ask_json(client, "/do");
    assert_int_equal(answer->status, 429);
    assert_non_null(strstr(answer->body, "\"reason\":\"rate\""));
    long after = strtol(answer_field(answer, "Retry-After", seconds), NULL, 10);
    assert_true(after > 500 && after <= 600);
    assert_string_equal(json_string(client_json(client, "/queues/default"), "rate"), "1/10m");
    client_free(client);
}

/* The timer brings the next start. */
static void a_rate_lets_the_next_begin_in_time(void **state)
{
    struct server *server =
        start_with("\"default\": {\"workers\": 4, \"capacity\": 20, \"rate\": \"2/100ms\","
                   " \"sleep\": \"0ms\"},"
                   "\"keys\": {\"workers\": 4, \"capacity\": 20, \"sleep\": \"0ms\","
                   " \"per_key\": {\"rate\": \"2/100ms\"}}");
    struct client *client = client_new(server);
    (void)state;
    int64_t began_ms = now_ms();
    put_some(client, "/do", 10);
    client_await_metric(client, "jobd_jobs_done_total{queue=\"default\"}", 10);
    assert_true(now_ms() - began_ms >= 400 - 1);
    began_ms = now_ms();
    put_some(client, "/do/keys?key=a", 10);
    client_await_metric(client, "jobd_jobs_done_total{queue=\"keys\"}", 10);
    assert_true(now_ms() - began_ms >= 400 - 1);
    client_free(client);
}

static void limits_change_while_it_runs(void **state)
{
    struct server *server = start_with("\"default\": {\"workers\": 0, \"capacity\": 100}");
    struct client *client = client_new(server);
    char line[SERVER_LINE_SIZE];
    (void)state;
    put_some(client, "/do?key=a", 4);
    put_some(client, "/do?key=b", 2);
    temporary_file("limits.json", "{\"queues\": {\"default\": {\"workers\": 0, \"capacity\": 100,"
                                  " \"running\": 5, \"per_key\": {\"running\": 2}}}}");
    server_signal(server, SIGHUP);
    server_await_line(server, ERR, "SIGHUP: queue default: changed: running, per-key", line);
    assert_order(client, "/take", "abab");
    assert_answer(client_post(client, "/take"), 204, NULL);
    temporary_file("limits.json", "{\"queues\": {\"default\": {\"workers\": 0, \"capacity\": 100,"
                                  " \"running\": 5, \"per_key\": {\"running\": 9}}}}");
    server_signal(server, SIGHUP);
    server_await_lines(server, ERR, "SIGHUP: queue default: changed: per-key", 1);
    assert_order(client, "/take", "a");
    assert_answer(client_post(client, "/take"), 204, NULL);
    temporary_file("limits.json",
                   "{\"queues\": {\"default\": {\"workers\": 0, \"capacity\": 100}}}");
    server_signal(server, SIGHUP);
    server_await_lines(server, ERR, "SIGHUP: queue default: changed: running, per-key", 2);
    assert_order(client, "/take", "a");
    assert_false(cJSON_HasObjectItem(client_json(client, "/queues/default"), "keys"));
    client_free(client);
}

/* Leases outlive the process, and count. */
static void what_ran_before_counts(void **state)
{
    char text[1024];
    const char *directory = temporary_directory();
    char key[65], lease[80];
    (void)state;
    snprintf(text, sizeof text,
             "{\"data\": \"%s\", \"queues\": {\"default\": {\"workers\": 0, \"capacity\": 100,"
             " \"per_key\": {\"running\": 1, \"waiting\": 3}}}}",
             directory);
    const char *config = temporary_file("durable.json", text);
    struct server *server = server_start("-c", config);
    struct client *client = client_new(server);
    put_some(client, "/do?key=a", 3);
    put_some(client, "/do?key=b", 1);
    assert_order(client, "/take?lease=10m", "a");
    client_free(client);
    server_kill(server);
    server = server_start("-c", config);
    client = client_new(server);
    assert_order(client, "/take", "b");
    assert_answer(client_post(client, "/take"), 204, NULL);
    put_some(client, "/do?key=a", 1);
    assert_int_equal(client_post(client, "/do?key=a")->status, 429);
    take(client, "/take", key, lease);
    assert_string_equal(lease, "");
    client_free(client);
}

static void wrong_limits_are_named(void **state)
{
    static const struct {
        const char *text, *line;
    } rows[] = {
        {"\"running\": 0", "\"running\": invalid value \"0\"; expected a whole number from 1"},
        {"\"rate\": \"50\"", "\"rate\": invalid value \"50\"; expected a number of starts from 1"},
        {"\"rate\": \"0/1s\"", "\"rate\": invalid value \"0/1s\"; expected"},
        {"\"rate\": \"5/31d\"", "\"rate\": invalid value \"5/31d\"; expected"},
        {"\"rate\": 5", "\"rate\": must be a string like"},
        {"\"per_key\": 5", "\"per_key\": must be an object"},
        {"\"per_key\": {\"runing\": 5}", "expected an object of running and waiting"},
        {"\"per_key\": {\"running\": 0}", "expected an object of running and waiting"},
        {"\"per_key\": {\"running\": 1.5}", "expected an object of running and waiting"},
        {"\"per_key\": {\"running\": \"1\"}", "expected an object of running and waiting"},
        {"\"per_key\": {\"rate\": \"1/0s\"}", "expected an object of running and waiting"},
        {"\"per_key\": {\"waiting\": 1, \"waiting\": 2}", "expected an object of running"},
    };
    char text[256], *out, *err;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(text, sizeof text, "{\"queues\": {\"default\": {%s}}}", rows[i].text);
        const char *const arguments[] = {"--check", "-c", temporary_file("wrong.json", text), NULL};
        assert_int_equal(server_run(arguments, NULL, &out, &err), 2);
        if (strstr(err, rows[i].line) == NULL)
            fail_msg("%s: %s", rows[i].text, err);
        free(out);
        free(err);
    }
}

/* $1 is the server: the queue of jobd.json(5), the lines of jobd(7). */
static const char queue_shown[] =
    "sed -n '/^ *\"gpu\": /,/}}/p' src/dist/jobd.json.5 | sed 's/}}}*,*$/}}/'";
static const char lines_shown[] =
    "sed -n '/^Submit jobs of two customers/,/^[.]Ed/p' src/dist/jobd.7 |"
    " sed -n '/^[.]Bd/,/^[.]Ed/p' | grep -v '^[.]' | sed \"s/localhost:8080/$1/g\" | sh -e";

static char *output_of(const char *script, const char *argument)
{
    static char out[4096];
    char command[512];
    snprintf(command, sizeof command, "sh %s %s 2>/dev/null", temporary_file("script", script),
             argument);
    FILE *pipe = popen(command, "r"); /* NOLINT: the tests run commands */
    assert_non_null(pipe);
    size_t size = fread(out, 1, sizeof out - 1, pipe);
    out[size] = '\0';
    assert_int_equal(pclose(pipe), 0);
    return out;
}

static void the_manual_shows_what_happens(void **state)
{
    (void)state;
    struct server *server = start_with(output_of(queue_shown, ""));
    char *out = output_of(lines_shown, server_address(server));
    for (int i = 0; i < 4; i++) {
        assert_int_equal(strncmp(out, "queued\n", 7), 0);
        out += 7;
    }
    cJSON *queue = cJSON_Parse(out);
    const cJSON *keys = cJSON_GetObjectItem(queue, "keys");
    assert_int_equal(json_number(queue, "running_limit"), 4);
    assert_int_equal(json_number(keys, "count"), 2);
    const cJSON *busiest = cJSON_GetArrayItem(cJSON_GetObjectItem(keys, "busiest"), 0);
    assert_string_equal(json_string(busiest, "key"), "tenant7");
    assert_int_equal(json_number(busiest, "waiting"), 3);
    cJSON_Delete(queue);
    struct client *client = client_new(server);
    assert_order(client, "/take/gpu", "tt"); /* one of each */
    assert_answer(client_post(client, "/take/gpu"), 204, NULL);
    client_free(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(keys_take_turns),
        TEST(no_more_run_at_a_time),
        TEST(a_key_at_its_limit_is_passed_over),
        TEST(a_key_has_so_many_places),
        TEST(a_full_queue_says_that_its_rate_holds),
        TEST(a_rate_lets_the_next_begin_in_time),
        TEST(limits_change_while_it_runs),
        TEST(what_ran_before_counts),
        TEST(wrong_limits_are_named),
        TEST(the_manual_shows_what_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
