/* SPDX-License-Identifier: MIT */
/* SIGHUP: settings that are read again. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/server.h"

#define WAIT FIELDS("Prefer: wait=15")

static const char *write_config(const char *text)
{
    return temporary_file("reread.json", text);
}

/* Reads the file anew; `line` is what the log must say then. */
static void reread(struct server *server, const char *text, const char *line)
{
    char said[SERVER_LINE_SIZE];
    write_config(text);
    server_signal(server, SIGHUP);
    server_await_line(server, ERR, line, said);
}

static void how_jobs_run_can_change(void **state)
{
    char begun[256], config[1024];
    snprintf(begun, sizeof begun, "%s/begun", temporary_directory());
    snprintf(config, sizeof config,
             "{\"queues\": {\"default\": {\"capacity\": 20, \"exec\": [\"true\"]}, \"slow\":"
             " {\"exec\": [\"sh\", \"-c\", \"touch %s; exec sleep 600\"], \"workers\": 2}}}",
             begun);
    struct server *server = server_start("-c", write_config(config));
    struct client *client = client_new(server);
    (void)state;
    uint64_t first = client_put(client, "/do/slow");
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    while (access(begun, F_OK) != 0)
        look_again(deadline_ms, "the command to begin");
    reread(server,
           "{\"queues\": {\"default\": {\"capacity\": 20, \"exec\": [\"echo\", \"words\"]},"
           " \"slow\": {\"exec\": [\"true\"], \"workers\": 2, \"attempts\": 7}}}",
           "SIGHUP: queue slow: changed: exec, attempts");
    server_await_line(server, ERR, "SIGHUP: queue default: changed: exec",
                      (char[SERVER_LINE_SIZE]){0});
    assert_answer(client_send(client, "POST", "/do", WAIT, NULL), 200, "words\n");
    uint64_t second = client_put(client, "/do/slow");
    client_await_state(client, second, "done");
    assert_int_equal(json_number(client_job(client, second), "attempts"), 7);
    const cJSON *job = client_job(client, first); /* it goes on as it began */
    assert_string_equal(json_string(job, "state"), "running");
    assert_int_equal(json_number(job, "attempts"), 1);
    reread(server,
           "{\"queues\": {\"default\": {\"capacity\": 20, \"exec\": [\"false\"],"
           " \"attempts\": 2, \"backoff\": \"1ms..2ms\", \"timeout\": \"9s\"},"
           " \"slow\": {\"exec\": [\"true\"], \"workers\": 2, \"attempts\": 7}}}",
           "SIGHUP: queue default: changed: exec, attempts, timeout, backoff");
    const struct answer *answer = client_send(client, "POST", "/do", WAIT, NULL);
    assert_int_equal(answer->status, 500);
    job = client_job(client, answer_job(answer));
    assert_int_equal(json_number(job, "attempt"), 2);
    client_free(client);
}

static void what_cannot_change_is_named(void **state)
{
    struct server *server =
        server_start("-c", write_config("{\"queues\": {\"default\": {\"sleep\": \"1ms\"},"
                                        " \"old\": {}}}"));
    struct client *client = client_new(server);
    char line[SERVER_LINE_SIZE];
    (void)state;
    reread(server,
           "{\"keep\": 5, \"memory\": \"1MiB\", \"queues\": {\"new\": {}, \"default\":"
           " {\"capacity\": 9, \"workers\": 2, \"attempts\": 3, \"sleep\": \"1ms\"}}}",
           "SIGHUP: configuration reloaded");
    server_await_line(server, ERR, "SIGHUP: memory, keep cannot change", line);
    server_await_line(server, ERR, "queue new: new: needs a restart", line);
    server_await_line(server, ERR, "queue old: no longer configured", line);
    assert_int_equal(json_number(client_job(client, client_put(client, "/do")), "attempts"), 3);
    client_await_state(client, client_put(client, "/do/old"), "done");
    client_free(client);
}

/* The ring, and the threads that drain it. */
static void a_queue_grows_and_shrinks(void **state)
{
    struct server *server = server_start(
        "-c", write_config("{\"queues\": {\"default\": {\"capacity\": 2, \"workers\": 1,"
                           " \"sleep\": \"10m\"}}}"));
    struct client *client = client_new(server);
    char line[SERVER_LINE_SIZE];
    uint64_t ids[8];
    (void)state;
    for (int i = 0; i < 3; i++) {
        ids[i] = client_put(client, "/do");
        if (i == 0)
            client_await_state(client, ids[0], "running");
    }
    assert_int_equal(client_post(client, "/do")->status, 429);
    reread(server,
           "{\"queues\": {\"default\": {\"capacity\": 5, \"workers\": 3, \"sleep\": \"10m\"}}}",
           "SIGHUP: queue default: changed: capacity, workers");
    client_await_state(client, ids[1], "running");
    client_await_state(client, ids[2], "running");
    for (int i = 3; i < 8; i++)
        ids[i] = client_put(client, "/do");
    assert_int_equal(client_post(client, "/do")->status, 429);
    const cJSON *queue = client_json(client, "/queues/default");
    assert_int_equal(json_number(queue, "capacity"), 5);
    assert_int_equal(json_number(queue, "workers"), 3);
    /* More wait and run now than may: nobody is thrown out. */
    reread(server,
           "{\"queues\": {\"default\": {\"capacity\": 1, \"workers\": 2, \"sleep\": \"1ms\"}}}",
           "SIGHUP: queue default: changed: sleep");
    server_await_line(server, ERR, "SIGHUP: queue default: changed: capacity, workers", line);
    assert_int_equal(json_number(client_json(client, "/queues/default"), "running"), 3);
    assert_int_equal(json_number(client_json(client, "/queues/default"), "queued"), 5);
    char path[64];
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "/jobs/%llu", (unsigned long long)ids[i]);
        assert_int_equal(client_send(client, "DELETE", path, NULL, NULL)->status, 202);
    }
    for (int i = 3; i < 8; i++)
        client_await_state(client, ids[i], "done");
    client_free(client);
}

static void there_is_room_up_to_a_bound(void **state)
{
    struct server *server = server_start("-c", write_config("{\"sleep\": \"1ms\"}"));
    struct client *client = client_new(server);
    (void)state;
    reread(
        server, "{\"sleep\": \"1ms\", \"capacity\": 1025}",
        "queue default: until the next start there is room for a capacity of 1024 and 64 workers");
    assert_int_equal(json_number(client_json(client, "/queues/default"), "capacity"), 8);
    reread(server, "{\"sleep\": \"1ms\", \"capacity\": 1024, \"workers\": 64}",
           "SIGHUP: queue default: changed: capacity, workers");
    for (int i = 0; i < 100; i++)
        client_put(client, "/do");
    client_await_metric(client, "jobd_jobs_done_total{queue=\"default\"}", 100);
    client_free(client);
}

/* Threads come and go while jobs do. */
static void workers_change_at_any_moment(void **state)
{
    enum { TIMES = 30 };
    struct server *server = server_start("-c", write_config("{\"capacity\": 1000}"));
    struct client *client = client_new(server);
    unsigned put = 0;
    char config[128];
    (void)state;
    for (int i = 0; i < TIMES; i++) {
        snprintf(config, sizeof config, "{\"capacity\": %d, \"workers\": %d, \"sleep\": \"1ms\"}",
                 900 + i % 3, (i * 7) % 12);
        write_config(config);
        server_signal(server, SIGHUP);
        for (int j = 0; j < 10; j++, put++)
            client_put(client, "/do");
    }
    reread(server, "{\"capacity\": 1000, \"workers\": 2, \"sleep\": \"1ms\"}", "changed: capacity");
    client_await_metric(client, "jobd_jobs_done_total{queue=\"default\"}", put);
    client_free(client);
}

static void a_mistake_changes_nothing(void **state)
{
    struct server *server = server_start(
        "-c", write_config("{\"queues\": {\"default\": {\"attempts\": 2, \"sleep\": \"1ms\"}}}"));
    struct client *client = client_new(server);
    char line[SERVER_LINE_SIZE];
    (void)state;
    reread(server, "{\"queues\": {\"default\": {\"attempts\": 5, \"sleep\": \"soon\"}}}",
           "reread.json:1: \"sleep\": invalid value \"soon\"");
    server_await_line(server, ERR, "nothing is changed", line);
    assert_non_null(strstr(line, "reread.json:1"));
    assert_int_equal(json_number(client_job(client, client_put(client, "/do")), "attempts"), 2);
    reread(server, "{\"queues\": {\"default\": {\"attempts\": 5, \"sleep\": \"2ms\"}}}",
           "changed: sleep, attempts");
    assert_int_equal(json_number(client_job(client, client_put(client, "/do")), "attempts"), 5);
    client_free(client);
}

/* Whichever file it is in: else operators would not know what counts. */
static void a_mistake_in_another_file_changes_nothing(void **state)
{
    static const char *const configs[] = {
        "{\"queues\": {\"default\": {\"attempts\": 2, \"sleep\": \"1ms\"}}}",
        "{\"queues\": {\"default\": {\"attempts\": 5, \"sleep\": \"1ms\"}}}"};
    const char *tokens = temporary_file("tokens", "admin first-6b1f0c9e2d\n");
    char line[SERVER_LINE_SIZE];
    (void)state;
    assert_int_equal(chmod(tokens, 0600), 0);
    struct server *server = server_start("-c", write_config(configs[0]), "--token-file", tokens);
    struct client *client = client_new(server);
    const char *const *first = FIELDS("Authorization: Bearer first-6b1f0c9e2d");
    const char *const *second = FIELDS("Authorization: Bearer second-77a0b3d1e5");
    write_config(configs[1]);
    temporary_file("tokens", "admin second-77a0b3d1e5\nall it-0123456789abcdef\n");
    server_signal(server, SIGHUP);
    server_await_line(server, ERR, "tokens:2: no such scope", line);
    assert_non_null(strstr(line, ": nothing is changed"));
    uint64_t id = answer_job(client_send(client, "POST", "/do", first, NULL));
    char path[64];
    snprintf(path, sizeof path, "/jobs/%llu", (unsigned long long)id);
    assert_non_null(strstr(client_send(client, "GET", path, first, NULL)->body, "\"attempts\":2"));
    assert_int_equal(server_count_lines(server, ERR, "SIGHUP"), 1);
    /* And the other way round. */
    temporary_file("tokens", "admin second-77a0b3d1e5\n");
    reread(server, "{\"capacity\": 0}", "from 1 to 10000000: nothing is changed");
    assert_int_equal(client_send(client, "GET", path, second, NULL)->status, 401);
    reread(server, configs[1], "SIGHUP: configuration reloaded");
    assert_int_equal(client_send(client, "GET", path, first, NULL)->status, 401);
    id = answer_job(client_send(client, "POST", "/do", second, NULL));
    snprintf(path, sizeof path, "/jobs/%llu", (unsigned long long)id);
    assert_non_null(strstr(client_send(client, "GET", path, second, NULL)->body, "\"attempts\":5"));
    client_free(client);
}

/* Jobs come and run while their runner is exchanged. */
static void it_may_happen_at_any_moment(void **state)
{
    enum { TIMES = 20 };
    const char *const echo = "{\"capacity\": 1000, \"workers\": 4, \"exec\": [\"true\"]}";
    const char *const nap = "{\"capacity\": 1000, \"workers\": 4, \"sleep\": \"1ms\"}";
    struct server *server = server_start("-c", write_config(echo));
    struct client *client = client_new(server);
    unsigned put = 0;
    (void)state;
    for (int i = 0; i < TIMES; i++) {
        write_config(i % 2 == 0 ? nap : echo);
        server_signal(server, SIGHUP);
        for (int j = 0; j < 10; j++, put++)
            client_put(client, "/do");
    }
    client_await_metric(client, "jobd_jobs_done_total{queue=\"default\"}", put);
    client_free(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(how_jobs_run_can_change),     TEST(what_cannot_change_is_named),
        TEST(a_mistake_changes_nothing),   TEST(a_mistake_in_another_file_changes_nothing),
        TEST(it_may_happen_at_any_moment), TEST(a_queue_grows_and_shrinks),
        TEST(there_is_room_up_to_a_bound), TEST(workers_change_at_any_moment),
    };
    return cmocka_run_group_tests_name("reread", tests, NULL, NULL);
}
