/* SPDX-License-Identifier: MIT */
/* Jobs that wait for the end of others: a diamond, a cascade, ten thousand at once, and a kill in
 * between. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/server.h"

enum { TARGET_SIZE = 256, MANY = 10000 };

static uint64_t put_after(struct client *client, const char *more, uint64_t one, uint64_t other)
{
    char target[TARGET_SIZE];
    snprintf(target, sizeof target, "/do?after=/jobs/%llu,/jobs/%llu%s", (unsigned long long)one,
             (unsigned long long)other, more);
    return client_put(client, target);
}

static void cancel(struct client *client, uint64_t id)
{
    char path[TARGET_SIZE];
    snprintf(path, sizeof path, "/jobs/%llu", (unsigned long long)id);
    assert_int_equal(client_send(client, "DELETE", path, NULL, NULL)->status, 200);
}

static void assert_state(struct client *client, uint64_t id, const char *state)
{
    assert_string_equal(json_string(client_job(client, id), "state"), state);
}

/* It was cancelled for want of that one. */
static void assert_orphan(struct client *client, uint64_t id, uint64_t of)
{
    char error[TARGET_SIZE];
    client_await_state(client, id, "cancelled");
    snprintf(error, sizeof error, "a job it waits for failed: /jobs/%llu", (unsigned long long)of);
    assert_string_equal(json_string(client_job(client, id), "error"), error);
}

static void a_diamond(void **state)
{
    char path[64];
    (void)state;
    struct server *server = server_start("-q", "20", "--sleep", "1ms", "--keep", "1");
    struct client *client = client_new(server);
    assert_answer(client_post(client, "/queues/default/pause"), 200, NULL);
    uint64_t top = client_put(client, "/do"), left = put_after(client, "", top, top),
             right = put_after(client, "", top, top), last = put_after(client, "", left, right);
    const cJSON *job = client_job(client, last);
    assert_string_equal(json_string(job, "state"), "blocked");
    const cJSON *after = cJSON_GetObjectItemCaseSensitive(job, "after");
    assert_int_equal(cJSON_GetArraySize(after), 2);
    snprintf(path, sizeof path, "/jobs/%llu", (unsigned long long)right);
    assert_string_equal(cJSON_GetArrayItem(after, 1)->valuestring, path);
    assert_int_equal(json_number(client_json(client, "/queues/default"), "blocked"), 3);
    assert_int_equal(client_metric(client, "jobd_queue_blocked{queue=\"default\"}"), 3);
    const cJSON *list = client_json(client, "/jobs?state=blocked");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(list, "jobs")), 3);
    assert_answer(client_post(client, "/queues/default/resume"), 200, NULL);
    client_await_state(client, last, "done");
    client_free(client);
}

static void a_cancel_cascades(void **state)
{
    (void)state;
    struct server *server = server_start("-q", "20", "-w", "0");
    struct client *client = client_new(server);
    uint64_t top = client_put(client, "/do"), other = client_put(client, "/do");
    uint64_t child = put_after(client, "", top, other), last = put_after(client, "", child, other);
    uint64_t whatever = put_after(client, "&if=ended", child, top);
    cancel(client, top);
    assert_orphan(client, child, top);
    assert_orphan(client, last, child);
    client_await_state(client, whatever, "queued");
    /* What has ended counts at once, and whoever waits for the answer has it. */
    char target[TARGET_SIZE];
    snprintf(target, sizeof target, "/do?after=/jobs/%llu", (unsigned long long)top);
    const struct answer *answer =
        client_send(client, "POST", target, FIELDS("Prefer: wait=20"), NULL);
    assert_int_equal(answer->status, 500);
    assert_non_null(strstr(answer->body, "a job it waits for failed: /jobs/"));
    snprintf(target, sizeof target, "/do?if=ended&after=/jobs/%llu", (unsigned long long)top);
    assert_state(client, client_put(client, target), "queued");
    client_free(client);
}

static void what_is_wrong_is_named(void **state)
{
    char target[TARGET_SIZE], expected[TARGET_SIZE];
    (void)state;
    struct server *server = server_start("-q", "3", "-w", "0");
    struct client *client = client_new(server);
    uint64_t top = client_put(client, "/do");
    static const struct {
        const char *target, *answer;
    } rows[] = {
        {"/do?after=/jobs/9", "after: there is no /jobs/9, or it is forgotten\n"},
        {"/do?after=/batches/9", "after: there is no /batches/9, or it is forgotten\n"},
        {"/do?after=9", "after"},
        {"/do?after=", "after"},
        {"/do?after=/jobs/0", "after"},
        {"/do?after=/jobs/1,", "after"},
        {"/do?after=/jobs/99999999999999999", "after"},
        {"/do?after=http://h/jobs/1", "after"},
        {"/do?if=ended", "if needs after\n"},
        {"/do?if=failed&after=/jobs/9", "done or ended"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct answer *answer = client_post(client, rows[i].target);
        assert_int_equal(answer->status, 400);
        assert_non_null(strstr(answer->body, rows[i].answer));
    }
    snprintf(target, sizeof target, "/do?after=/jobs/%llu", (unsigned long long)top);
    char *many = raw_filled(target, ',', 1, "");
    for (unsigned i = 0; i < 32; i++) {
        char *more = raw_filled(many, '/', 1, i < 31 ? "jobs/1," : "jobs/1");
        free(many);
        many = more;
    }
    assert_int_equal(client_post(client, many)->status, 400);
    free(many);
    assert_int_equal(
        client_send(client, "PUT", "/schedules/s?every=1h&after=/jobs/1", NULL, NULL)->status, 400);
    /* It counts as one that waits, and what is needed is not forgotten. */
    (void)client_put(client, target);
    (void)client_put(client, target);
    assert_int_equal(client_post(client, target)->status, 429);
    snprintf(target, sizeof target, "/leases");
    const cJSON *lease = NULL;
    const struct answer *taken =
        client_send(client, "POST", "/take", FIELDS("Accept: application/json"), NULL);
    assert_int_equal(taken->status, 200);
    cJSON *tree = cJSON_Parse(taken->body);
    lease = cJSON_GetObjectItemCaseSensitive(tree, "lease");
    snprintf(target, sizeof target, "%s/done", lease->valuestring);
    cJSON_Delete(tree);
    assert_int_equal(client_post(client, target)->status, 200);
    client_await_metric(client, "jobd_queue_blocked{queue=\"default\"}", 0);
    snprintf(target, sizeof target, "/jobs/%llu?forget=true", (unsigned long long)top);
    snprintf(expected, sizeof expected, "forgotten\n");
    assert_answer(client_send(client, "DELETE", target, NULL, NULL), 200, expected);
    client_free(client);
}

/* A job that is replaced keeps its id, and waits for none that came after it. */
static void nobody_waits_for_himself(void **state)
{
    const char *const key[] = {"Idempotency-Key: k", NULL};
    char target[TARGET_SIZE], expected[TARGET_SIZE];
    (void)state;
    struct server *server = server_start("-q", "20", "-w", "0");
    struct client *client = client_new(server);
    uint64_t top = client_put(client, "/do");
    uint64_t id =
        answer_job(client_send(client, "POST", "/do?unique=active&again=replace", key, NULL));
    uint64_t child = put_after(client, "", id, top);
    snprintf(target, sizeof target, "/do?unique=active&again=replace&after=/jobs/%llu",
             (unsigned long long)child);
    snprintf(expected, sizeof expected,
             "after: /jobs/%llu came after /jobs/%llu, which this would replace, and which can "
             "wait only for what came before it: use another Idempotency-Key, or cancel it first\n",
             (unsigned long long)child, (unsigned long long)id);
    assert_answer(client_send(client, "POST", target, key, NULL), 400, expected);
    snprintf(target, sizeof target, "/do?unique=active&again=replace&after=/jobs/%llu",
             (unsigned long long)top);
    assert_int_equal(answer_job(client_send(client, "POST", target, key, NULL)), id);
    assert_state(client, id, "blocked");
    client_free(client);
}

static void a_batch_comes_after_a_batch(void **state)
{
    char first[TARGET_SIZE], second[TARGET_SIZE], target[2 * TARGET_SIZE];
    (void)state;
    struct server *server = server_start("-q", "20", "--sleep", "1ms");
    struct client *client = client_new(server);
    assert_answer(client_post(client, "/queues/default/pause"), 200, NULL);
    (void)answer_field(client_send(client, "POST", "/do?batch=lines", NULL, "1\n2\n"), "Location",
                       first);
    snprintf(target, sizeof target, "/do?batch=jobs&after=%s", first);
    const struct answer *answer =
        client_send(client, "POST", target, NULL, "{\"payload\":1}\n{\"payload\":2}\n");
    assert_int_equal(answer->status, 202);
    (void)answer_field(answer, "Location", second);
    const cJSON *batch = client_json(client, second);
    assert_int_equal(json_number(batch, "blocked"), 2);
    assert_string_equal(json_string(batch, "state"), "queued");
    assert_answer(client_post(client, "/queues/default/resume"), 200, NULL);
    snprintf(target, sizeof target, "%s?wait=20s", second);
    assert_string_equal(json_string(client_json(client, target), "state"), "done");
    client_free(client);
}

/* Ten thousand wait for one, while others come and go. */
static void many_wait_for_one(void **state)
{
    char target[TARGET_SIZE], *lines = raw_filled("", '\n', 2 * MANY, "");
    (void)state;
    struct server *server = server_start("-q", "20000", "-w", "2", "--sleep", "1ms", "--keep", "1");
    struct client *client = client_new(server);
    for (unsigned i = 0; i < MANY; i++)
        lines[2 * i] = 'x';
    uint64_t top = client_put(client, "/do?delay=1h");
    snprintf(target, sizeof target, "/do?batch=lines&priority=7&after=/jobs/%llu",
             (unsigned long long)top);
    const char *part = lines;
    for (; *part != '\0'; part += 2000) { /* within --max-body */
        char piece[2001];
        snprintf(piece, sizeof piece, "%s", part);
        assert_int_equal(client_send(client, "POST", target, NULL, piece)->status, 202);
    }
    free(lines);
    assert_int_equal(client_metric(client, "jobd_queue_blocked{queue=\"default\"}"), MANY);
    cancel(client, top);
    assert_int_equal(
        client_send(client, "POST", "/do?priority=0", FIELDS("Prefer: wait=20"), NULL)->status,
        200);
    client_await_metric(client, "jobd_queue_blocked{queue=\"default\"}", 0);
    client_await_metric(client, "jobd_jobs_cancelled_total{queue=\"default\"}", MANY + 1);
    client_free(client);
}

static void a_token_reaches_its_queue(void **state)
{
    char target[TARGET_SIZE];
    (void)state;
    const char *tokens = temporary_file("tokens", "put:default put\nadmin root\n");
    const char *config =
        temporary_file("jobd.json", "{\"queues\": {\"default\": {\"workers\": 0}, \"other\": {}}}");
    struct server *server = server_start("-c", config, "--token-file", tokens);
    struct client *client = client_new(server);
    const char *const queues[] = {"default", "other"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(target, sizeof target, "/do/%s?delay=1h", queues[i]);
        uint64_t id = answer_job(
            client_send(client, "POST", target, FIELDS("Authorization: Bearer root"), NULL));
        snprintf(target, sizeof target, "/do?after=/jobs/%llu", (unsigned long long)id);
        const struct answer *answer =
            client_send(client, "POST", target, FIELDS("Authorization: Bearer put"), NULL);
        assert_int_equal(answer->status, i == 0 ? 202 : 403);
    }
    const struct answer *answer =
        client_send(client, "POST", "/do?after=/jobs/1", FIELDS("Authorization: Bearer put"), NULL);
    assert_int_equal(answer->status, 400);
    client_free(client);
}

static struct server *start_again(const char *const *arguments, struct server *before)
{
    if (before != NULL) {
        server_kill(before);
    }
    struct server *server = server_spawn(&(struct server_plan){.arguments = arguments});
    server_await_listening(server);
    return server;
}

static void it_survives_a_kill(void **state)
{
    char folder[160];
    (void)state;
    snprintf(folder, sizeof folder, "%s/after", temporary_directory());
    const char *const *arguments =
        WORDS("-l", "127.0.0.1:0", "-d", folder, "-q", "20", "--keep", "1", "--sleep", "1ms");
    struct server *server = start_again(arguments, NULL);
    struct client *client = client_new(server);
    uint64_t first = client_put(client, "/do");
    client_await_state(client, first, "done");
    assert_answer(client_post(client, "/queues/default/pause"), 200, NULL);
    uint64_t top = client_put(client, "/do"), child = put_after(client, "", first, top),
             last = put_after(client, "&delay=10ms", child, top);
    uint64_t lost = client_put(client, "/do?delay=1h"), orphan = put_after(client, "", lost, top),
             own = put_after(client, "&if=ended", lost, orphan);
    /* The first would be forgotten if nobody needed it. */
    for (int i = 0; i < 3; i++)
        cancel(client, client_put(client, "/do"));
    assert_state(client, first, "done");
    client_free(client);
    server = start_again(arguments, server);
    client = client_new(server);
    assert_answer(client_post(client, "/queues/default/resume"), 200, NULL);
    client_await_state(client, last, "done");
    assert_state(client, orphan, "blocked");
    assert_answer(client_post(client, "/queues/default/pause"), 200, NULL);
    cancel(client, lost);
    client_free(client);
    server = start_again(arguments, server);
    client = client_new(server);
    assert_answer(client_post(client, "/queues/default/resume"), 200, NULL);
    client_await_state(client, own, "done");
    client_free(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_diamond, server_stop_all),
        cmocka_unit_test_teardown(a_cancel_cascades, server_stop_all),
        cmocka_unit_test_teardown(what_is_wrong_is_named, server_stop_all),
        cmocka_unit_test_teardown(nobody_waits_for_himself, server_stop_all),
        cmocka_unit_test_teardown(a_batch_comes_after_a_batch, server_stop_all),
        cmocka_unit_test_teardown(a_token_reaches_its_queue, server_stop_all),
        cmocka_unit_test_teardown(many_wait_for_one, server_stop_all),
        cmocka_unit_test_teardown(it_survives_a_kill, server_stop_all),
    };
    return cmocka_run_group_tests_name("after", tests, NULL, NULL);
}
