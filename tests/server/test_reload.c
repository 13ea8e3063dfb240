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
    assert_int_equal(json_number(client_job(client, client_put(client, "/do")), "attempts"), 3);
    client_free(client);
}

static void a_new_queue_comes_in(void **state)
{
    struct server *server =
        server_start("-c", write_config("{\"sleep\": \"1ms\", \"queues\": {\"default\": {}}}"));
    struct client *client = client_new(server);
    (void)state;
    assert_int_equal(client_post(client, "/do/new")->status, 404);
    reread(server,
           "{\"sleep\": \"1ms\", \"queues\": {\"default\": {}, \"new\": {\"capacity\": 3,"
           " \"workers\": 2, \"attempts\": 4}, \"remote\": {\"workers\": 0}}}",
           "SIGHUP: queue remote: new");
    uint64_t id = client_put(client, "/do/new");
    client_await_state(client, id, "done");
    assert_int_equal(json_number(client_job(client, id), "attempts"), 4);
    assert_int_equal(json_number(client_json(client, "/queues/new"), "capacity"), 3);
    id = client_put(client, "/do/remote");
    assert_int_equal(client_post(client, "/take/remote")->status, 200);
    assert_string_equal(json_string(client_job(client, id), "state"), "running");
    client_await_metric(client, "jobd_jobs_done_total{queue=\"new\"}", 1);
    /* and changes like any other */
    reread(server,
           "{\"sleep\": \"1ms\", \"queues\": {\"default\": {}, \"new\": {\"capacity\": 30,"
           " \"workers\": 1, \"attempts\": 2}, \"remote\": {\"workers\": 0}}}",
           "SIGHUP: queue new: changed: attempts");
    assert_int_equal(json_number(client_json(client, "/queues/new"), "capacity"), 30);
    client_free(client);
}

static void await_gone(struct client *client, const char *path)
{
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    while (client_get(client, path)->status != 404)
        look_again(deadline_ms, "the queue to go");
}

/* It takes no more jobs, what it has is run, and then it is gone; its jobs can still be looked at.
 */
static void a_queue_goes_when_it_is_empty(void **state)
{
    char path[64];
    const char *without = "{\"queues\": {\"default\": {}}}";
    struct server *server = server_start(
        "-c", write_config("{\"queues\": {\"default\": {}, \"old\": {\"workers\": 1, \"exec\":"
                           " [\"cat\"]}, \"remote\": {\"workers\": 0}, \"idle\": {}}}"));
    struct client *client = client_new(server);
    char line[SERVER_LINE_SIZE];
    uint64_t ids[5];
    (void)state;
    assert_int_equal(client_post(client, "/queues/old/pause")->status, 200);
    for (int i = 0; i < 5; i++)
        ids[i] = client_put(client, "/do/old");
    uint64_t remote = client_put(client, "/do/remote");
    reread(server, without, "queue remote: no longer configured: takes no more jobs");
    server_await_line(server, ERR, "goes when its 5 jobs have ended; it is paused", line);
    server_await_line(server, ERR, "queue idle: no longer configured: gone", line);
    await_gone(client, "/queues/idle");
    assert_int_equal(client_post(client, "/do/old")->status, 404);
    assert_int_equal(client_post(client, "/do/remote")->status, 404);
    assert_int_equal(json_number(client_json(client, "/queues/old"), "queued"), 5);
    assert_int_equal(client_post(client, "/queues/old/resume")->status, 200);
    for (int i = 0; i < 5; i++)
        client_await_state(client, ids[i], "done");
    await_gone(client, "/queues/old");
    assert_null(strstr(client_get(client, "/queues")->body, "\"old\""));
    assert_null(strstr(client_get(client, "/metrics")->body, "\"old\""));
    assert_string_equal(json_string(client_job(client, ids[0]), "queue"), "old");
    snprintf(path, sizeof path, "/jobs/%llu/retry", (unsigned long long)ids[0]);
    assert_int_equal(client_post(client, path)->status, 409);
    /* A worker elsewhere empties the other. */
    char lease[300], room[256];
    const struct answer *taken = client_post(client, "/take/remote");
    assert_int_equal(taken->status, 200);
    snprintf(lease, sizeof lease, "%s/done", answer_field(taken, "Location", room));
    assert_int_equal(client_post(client, lease)->status, 200);
    await_gone(client, "/queues/remote");
    assert_int_equal(client_post(client, "/take/remote")->status, 404);
    client_await_state(client, remote, "done");
    client_free(client);
}

static void one_that_goes_can_come_back(void **state)
{
    const char *with = "{\"queues\": {\"default\": {}, \"old\": {\"workers\": 2, \"capacity\":"
                       " 20, \"exec\": [\"cat\"]}}}";
    const char *without = "{\"queues\": {\"default\": {}}}";
    struct server *server = server_start("-c", write_config(with));
    struct client *client = client_new(server);
    (void)state;
    assert_int_equal(client_post(client, "/queues/old/pause")->status, 200);
    uint64_t id = client_put(client, "/do/old");
    reread(server, without, "goes when its 1 job has ended");
    reread(server, with, "SIGHUP: queue old: takes jobs again");
    client_put(client, "/do/old");
    assert_int_equal(client_post(client, "/queues/old/resume")->status, 200);
    client_await_state(client, id, "done");
    client_await_metric(client, "jobd_jobs_done_total{queue=\"old\"}", 2);
    /* also when it was gone: with another runner */
    reread(server, without, "queue old: no longer configured: gone");
    await_gone(client, "/queues/old");
    write_config("{\"queues\": {\"default\": {}, \"old\": {\"workers\": 3, \"exec\": [\"echo\","
                 " \"other\"]}}}");
    server_signal(server, SIGHUP);
    server_await_lines(server, ERR, "queue old: takes jobs again", 2);
    assert_answer(client_send(client, "POST", "/do/old", WAIT, "x"), 200, "other\n");
    client_free(client);
}

/* Those who wait, on either side, are told. */
static void who_waits_at_one_that_goes_is_told(void **state)
{
    static struct raw raw;
    struct server *server = server_start(
        "-c", write_config("{\"queues\": {\"default\": {}, \"old\": {\"workers\": 0, \"capacity\":"
                           " 1}, \"idle\": {\"workers\": 0}}}"));
    struct client *client = client_new(server);
    (void)state;
    uint64_t id = client_put(client, "/do/old");
    int putter = raw_connect(server), taker = raw_connect(server);
    assert_true(raw_send(putter, "POST /do/old?block=600s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"));
    assert_true(raw_send(taker, "POST /take/idle?wait=600s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"));
    client_await_metric(client, "jobd_requests_parked", 2);
    write_config("{\"queues\": {\"default\": {}}}");
    server_signal(server, SIGHUP);
    raw_read_answer(putter, &raw);
    assert_int_equal(raw_status(raw.text), 404);
    raw_read_answer(taker, &raw);
    assert_int_equal(raw_status(raw.text), 404);
    close(putter);
    close(taker);
    char path[64];
    snprintf(path, sizeof path, "/jobs/%llu", (unsigned long long)id);
    assert_int_equal(client_send(client, "DELETE", path, NULL, NULL)->status, 200);
    await_gone(client, "/queues/old");
    client_free(client);
}

/* More names in turn than there is room for at a time. */
static void places_are_used_again(void **state)
{
    enum { TIMES = 30, EACH = 8 };
    char config[1024], path[64];
    struct server *server =
        server_start("-c", write_config("{\"queues\": {\"default\": {}}}"), "--keep", "0");
    struct client *client = client_new(server);
    (void)state;
    for (unsigned i = 0; i < TIMES; i++) {
        size_t used = (size_t)snprintf(config, sizeof config,
                                       "{\"sleep\": \"1ms\", \"queues\": {"
                                       "\"default\": {}");
        for (unsigned j = 0; j < EACH; j++)
            used += (size_t)snprintf(config + used, sizeof config - used, ", \"q%u\": {}",
                                     EACH * i + j);
        snprintf(config + used, sizeof config - used, "}}");
        write_config(config);
        server_signal(server, SIGHUP);
        server_await_lines(server, ERR, "SIGHUP: configuration reloaded", i + 1);
        for (unsigned j = 0; j < EACH; j++) {
            snprintf(path, sizeof path, "/do/q%u", EACH * i + j);
            assert_int_equal(client_send(client, "POST", path, WAIT, NULL)->status, 200);
        }
    }
    assert_int_equal(server_count_lines(server, ERR, "needs a restart"), 0);
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
        TEST(a_new_queue_comes_in),        TEST(a_queue_goes_when_it_is_empty),
        TEST(one_that_goes_can_come_back), TEST(who_waits_at_one_that_goes_is_told),
        TEST(places_are_used_again),
    };
    return cmocka_run_group_tests_name("reread", tests, NULL, NULL);
}
