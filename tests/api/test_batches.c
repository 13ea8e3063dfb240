/* SPDX-License-Identifier: MIT */
/* Jobs that were put in at once, as one thing: looked at, waited for, cancelled, filtered by; also
 * after its jobs are forgotten, and after a kill. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/server.h"

enum { PATH_SIZE = 96 };

/* The path of the batch that these lines are. */
static const char *put_lines(struct client *client, const char *target, const char *lines,
                             char path[PATH_SIZE])
{
    char field[256];
    const struct answer *answer = client_send(client, "POST", target, NULL, lines);
    assert_int_equal(answer->status, 202);
    snprintf(path, PATH_SIZE, "%s", answer_field(answer, "Location", field));
    assert_int_equal(strncmp(path, "/batches/", strlen("/batches/")), 0);
    return path;
}

static uint64_t id_in(const char *path)
{
    return strtoull(strrchr(path, '/') + 1, NULL, 10);
}

static void assert_counts(const cJSON *batch, const char *state, const unsigned counts[7])
{
    static const char *const names[] = {"jobs", "queued", "scheduled", "running",
                                        "done", "failed", "cancelled"};
    assert_string_equal(json_string(batch, "state"), state);
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(json_number(batch, names[i]), counts[i]);
}

#define COUNTS(...) ((const unsigned[7]){__VA_ARGS__})

static void it_counts_its_jobs(void **state)
{
    char path[PATH_SIZE], wait[2 * PATH_SIZE], field[256];
    (void)state;
    struct server *server =
        server_start("-w", "2", "-q", "20", "--", "sh", "-c", "read line; test \"$line\" != bad");
    struct client *client = client_new(server);
    assert_answer(client_post(client, "/queues/default/pause"), 200, NULL);
    uint64_t alone = client_put(client, "/do");
    put_lines(client, "/do?batch=lines", "good\nbad\n\ngood\n", path);
    const cJSON *batch = client_json(client, path);
    assert_int_equal(json_number(batch, "id"), id_in(path));
    assert_string_equal(json_string(batch, "queue"), "default");
    assert_non_null(strstr(json_string(batch, "created_at"), "T"));
    assert_null(cJSON_GetObjectItemCaseSensitive(batch, "finished_at"));
    assert_counts(batch, "queued", COUNTS(3, 3, 0, 0, 0, 0, 0));
    /* Its jobs know it, and one that came alone does not. */
    assert_int_equal(json_number(client_job(client, id_in(path) + 2), "batch"), id_in(path));
    assert_null(cJSON_GetObjectItemCaseSensitive(client_job(client, alone), "batch"));
    snprintf(wait, sizeof wait, "%s?wait=1ms", path);
    assert_counts(client_json(client, wait), "queued", COUNTS(3, 3, 0, 0, 0, 0, 0));
    (void)client_post(client, "/queues/default/resume");
    snprintf(wait, sizeof wait, "%s?wait=20s", path);
    batch = client_json(client, wait);
    assert_counts(batch, "failed", COUNTS(3, 0, 0, 0, 2, 1, 0));
    assert_non_null(strstr(json_string(batch, "finished_at"), "T"));
    /* One that is tried again is one of it again. */
    (void)client_post(client, "/queues/default/pause");
    snprintf(wait, sizeof wait, "/jobs/%llu/retry", (unsigned long long)id_in(path) + 1);
    assert_int_equal(client_post(client, wait)->status, 202);
    batch = client_json(client, path);
    assert_counts(batch, "running", COUNTS(3, 1, 0, 0, 2, 0, 0));
    assert_null(cJSON_GetObjectItemCaseSensitive(batch, "finished_at"));
    assert_answer(client_get(client, "/batches/1"), 404, "no such batch\n");
    assert_answer(client_get(client, "/batches/x"), 404, NULL);
    snprintf(wait, sizeof wait, "/batches/%llu", (unsigned long long)alone);
    assert_answer(client_get(client, wait), 404, NULL);
    assert_field(client_send(client, "PATCH", path, NULL, NULL), "Allow", "GET, HEAD, DELETE");
    assert_string_equal(answer_field(client_get(client, path), "Location", field), "");
    client_free(client);
}

static void what_waits_is_cancelled(void **state)
{
    char path[PATH_SIZE], other[PATH_SIZE], target[2 * PATH_SIZE];
    (void)state;
    struct server *server = server_start("-w", "1", "-q", "20", "--sleep", "1h");
    struct client *client = client_new(server);
    put_lines(client, "/do?batch=lines", "1\n2\n3\n", path);
    client_await_state(client, id_in(path), "running");
    put_lines(client, "/do?batch=lines&delay=1h", "4\n5\n", other);
    assert_counts(client_json(client, other), "queued", COUNTS(2, 0, 2, 0, 0, 0, 0));
    assert_answer(client_send(client, "DELETE", path, NULL, NULL), 200, "cancelled 2\n");
    assert_counts(client_json(client, path), "running", COUNTS(3, 0, 0, 1, 0, 0, 2));
    assert_answer(client_send(client, "DELETE", path, NULL, NULL), 200, "cancelled 0\n");
    const struct answer *answer =
        client_send(client, "DELETE", other, FIELDS("Accept: application/json"), NULL);
    assert_answer(answer, 200, "{\"cancelled\":2}\n");
    assert_counts(client_json(client, other), "cancelled", COUNTS(2, 0, 0, 0, 0, 0, 2));
    assert_answer(client_send(client, "DELETE", "/batches/1", NULL, NULL), 404, NULL);
    snprintf(target, sizeof target, "/jobs/%llu", (unsigned long long)id_in(path));
    assert_int_equal(client_send(client, "DELETE", target, NULL, NULL)->status, 202);
    snprintf(target, sizeof target, "%s?wait=20s", path);
    assert_counts(client_json(client, target), "cancelled", COUNTS(3, 0, 0, 0, 0, 0, 3));
    client_free(client);
}

static size_t listed(struct client *client, const char *filter, uint64_t batch)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "/jobs?batch=%llu%s", (unsigned long long)batch, filter);
    const cJSON *jobs = cJSON_GetObjectItemCaseSensitive(client_json(client, path), "jobs");
    return (size_t)cJSON_GetArraySize(jobs);
}

static void it_is_a_filter(void **state)
{
    char one[PATH_SIZE], two[PATH_SIZE], path[PATH_SIZE];
    (void)state;
    struct server *server = server_start("-w", "0", "-q", "20");
    struct client *client = client_new(server);
    client_put(client, "/do");
    put_lines(client, "/do?batch=lines", "1\n2\n3\n", one);
    put_lines(client, "/do?batch=lines&tag=t", "1\n2\n", two);
    client_put(client, "/do");
    assert_int_equal(listed(client, "", id_in(one)), 3);
    assert_int_equal(listed(client, "&order=newest", id_in(one)), 3);
    assert_int_equal(listed(client, "&limit=2", id_in(one)), 2);
    assert_int_equal(listed(client, "&tag=t", id_in(one)), 0);
    assert_int_equal(listed(client, "&tag=t", id_in(two)), 2);
    assert_int_equal(listed(client, "&state=queued", id_in(two)), 2);
    assert_int_equal(listed(client, "&state=done", id_in(two)), 0);
    assert_int_equal(listed(client, "", id_in(one) + 1), 0);
    assert_answer(client_get(client, "/jobs?batch=no"), 400,
                  "invalid batch: expected a batch's id\n");
    snprintf(path, sizeof path, "/jobs?batch=%llu", (unsigned long long)id_in(one));
    assert_answer(client_send(client, "DELETE", path, NULL, NULL), 200,
                  "{\"matched\":3,\"changed\":3,\"next\":null}\n");
    assert_int_equal(listed(client, "&state=cancelled", id_in(one)), 3);
    assert_int_equal(listed(client, "", id_in(two)), 2);
    client_free(client);
}

/* It is remembered longer than its jobs, but not for ever. */
static void it_outlives_its_jobs(void **state)
{
    char path[PATH_SIZE], wait[2 * PATH_SIZE];
    (void)state;
    struct server *server = server_start("-q", "20", "--sleep", "1ms", "--keep", "2");
    struct client *client = client_new(server);
    put_lines(client, "/do?batch=lines", "1\n2\n3\n4\n5\n", path);
    snprintf(wait, sizeof wait, "%s?wait=20s", path);
    assert_counts(client_json(client, wait), "done", COUNTS(5, 0, 0, 0, 5, 0, 0));
    assert_int_equal(listed(client, "", id_in(path)), 2);
    for (int i = 0; i < 2; i++)
        client_await_state(client, client_put(client, "/do"), "done");
    assert_int_equal(listed(client, "", id_in(path)), 0);
    assert_counts(client_json(client, path), "done", COUNTS(5, 0, 0, 0, 5, 0, 0));
    for (int i = 0; i < 3; i++) {
        char other[PATH_SIZE];
        put_lines(client, "/do?batch=lines", "1\n2\n3\n", other);
        snprintf(wait, sizeof wait, "%s?wait=20s", other);
        assert_counts(client_json(client, wait), "done", COUNTS(3, 0, 0, 0, 3, 0, 0));
    }
    assert_int_equal(client_get(client, path)->status, 404);
    client_free(client);
}

/* Counters, and what is forgotten, are on disk as the jobs are. */
static void it_survives_a_kill(void **state)
{
    char folder[160], path[PATH_SIZE], gone[PATH_SIZE], wait[2 * PATH_SIZE];
    (void)state;
    snprintf(folder, sizeof folder, "%s/batches", temporary_directory());
    const char *const *arguments = WORDS("-l", "127.0.0.1:0", "-d", folder, "-q", "20", "--keep",
                                         "1", "--", "sh", "-c", "read line; test \"$line\" != bad");
    struct server *server = server_spawn(&(struct server_plan){.arguments = arguments});
    server_await_listening(server);
    struct client *client = client_new(server);
    put_lines(client, "/do?batch=lines", "good\nbad\ngood\nbad\ngood\n", gone);
    snprintf(wait, sizeof wait, "%s?wait=20s", gone);
    assert_counts(client_json(client, wait), "failed", COUNTS(5, 0, 0, 0, 3, 2, 0));
    (void)client_post(client, "/queues/default/pause");
    put_lines(client, "/do?batch=lines", "good\nbad\ngood\n", path);
    snprintf(wait, sizeof wait, "/jobs/%llu", (unsigned long long)id_in(path) + 2);
    assert_int_equal(client_send(client, "DELETE", wait, NULL, NULL)->status, 200);
    server_kill(server);
    client_free(client);
    server = server_spawn(&(struct server_plan){.arguments = arguments});
    server_await_listening(server);
    client = client_new(server);
    const cJSON *batch = client_json(client, gone);
    assert_counts(batch, "failed", COUNTS(5, 0, 0, 0, 3, 2, 0));
    assert_non_null(strstr(json_string(batch, "finished_at"), "T"));
    assert_answer(client_post(client, "/queues/default/resume"), 200, NULL);
    snprintf(wait, sizeof wait, "%s?wait=20s", path);
    assert_counts(client_json(client, wait), "failed", COUNTS(3, 0, 0, 0, 1, 1, 1));
    assert_counts(client_json(client, gone), "failed", COUNTS(5, 0, 0, 0, 3, 2, 0));
    client_free(client);
}

/* Jobs that are known already are not part of another batch. */
static void known_jobs_are_not_its(void **state)
{
    char field[256], path[PATH_SIZE];
    (void)state;
    struct server *server = server_start("-w", "0", "-q", "20");
    struct client *client = client_new(server);
    const char *lines = "{\"payload\":\"a\",\"idempotency_key\":\"a\"}\n"
                        "{\"payload\":\"b\",\"idempotency_key\":\"b\"}\n";
    put_lines(client, "/do?batch=jobs", lines, path);
    assert_counts(client_json(client, path), "queued", COUNTS(2, 2, 0, 0, 0, 0, 0));
    const struct answer *answer = client_send(client, "POST", "/do?batch=jobs", NULL, lines);
    assert_int_equal(answer->status, 202);
    assert_string_equal(answer_field(answer, "Location", field), "");
    put_lines(client, "/do?batch=jobs",
              "{\"payload\":\"a\",\"idempotency_key\":\"a\"}\n{\"payload\":\"c\"}\n", path);
    assert_counts(client_json(client, path), "queued", COUNTS(1, 1, 0, 0, 0, 0, 0));
    client_free(client);
}

static void who_may(void **state)
{
    char path[PATH_SIZE];
    (void)state;
    const char *tokens = temporary_file("tokens", "admin root\nread:default look\nput:default put\n"
                                                  "read:other others\n");
    const char *config =
        temporary_file("jobd.json", "{\"queues\": {\"default\": {\"workers\": 0}, \"other\": {}}}");
    struct server *server = server_start("-c", config, "--token-file", tokens);
    struct client *client = client_new(server);
    const struct answer *answer = client_send(client, "POST", "/do?batch=lines",
                                              FIELDS("Authorization: Bearer put"), "1\n2\n");
    char field[256];
    snprintf(path, sizeof path, "%s", answer_field(answer, "Location", field));
    assert_int_equal(client_get(client, path)->status, 401);
    static const struct {
        const char *method, *token;
        long status;
    } rows[] = {
        {"GET", "Authorization: Bearer look", 200},    {"GET", "Authorization: Bearer put", 200},
        {"GET", "Authorization: Bearer others", 403},  {"DELETE", "Authorization: Bearer put", 403},
        {"DELETE", "Authorization: Bearer root", 200},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(
            client_send(client, rows[i].method, path, FIELDS(rows[i].token), NULL)->status,
            rows[i].status);
    client_free(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(it_counts_its_jobs),
        TEST(what_waits_is_cancelled),
        TEST(it_is_a_filter),
        TEST(it_outlives_its_jobs),
        TEST(it_survives_a_kill),
        TEST(known_jobs_are_not_its),
        TEST(who_may),
    };
    return cmocka_run_group_tests_name("batches", tests, NULL, NULL);
}
