/* SPDX-License-Identifier: MIT */
/* Queues, health and figures, from outside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client.h"
#include "server.h"

static const char three_queues[] =
    "{\"queues\": {\"default\": {\"capacity\": 2, \"workers\": 0},\n"
    "             \"mail\": {\"capacity\": 3, \"workers\": 1, \"sleep\": \"10m\"},\n"
    "             \"gpu\": {\"workers\": 0}}}\n";

static struct server *start_three(void)
{
    return server_start("-c", temporary_file("jobd.json", three_queues), "-q", "4");
}

static void put_many(struct client *client, const char *path, int count)
{
    for (int i = 0; i < count; i++)
        client_put(client, path);
}

static void each_queue_has_its_bounds(void **state)
{
    struct server *server = start_three();
    struct client *client = client_new(server);
    (void)state;
    put_many(client, "/do", 4); /* -q is stronger than the file for the default queue */
    assert_answer(client_post(client, "/do"), 429, "busy\n");
    put_many(client, "/do/mail", 1);
    client_await_metric(client, "jobd_queue_running{queue=\"mail\"}", 1);
    put_many(client, "/do/mail", 3);
    assert_answer(client_post(client, "/do/mail"), 429, "busy\n");
    put_many(client, "/do/gpu", 4); /* says nothing itself, so -q counts */
    assert_answer(client_post(client, "/do/gpu"), 429, "busy\n");
    assert_answer(client_post(client, "/do/other"), 404, NULL);
    client_free(client);
}

static const cJSON *queue_named(const cJSON *list, const char *name)
{
    const cJSON *queue;
    cJSON_ArrayForEach(queue, cJSON_GetObjectItemCaseSensitive(list, "queues"))
    {
        if (strcmp(json_string(queue, "name"), name) == 0)
            return queue;
    }
    fail_msg("no queue %s", name);
    return NULL;
}

static void queues_tell_their_figures(void **state)
{
    struct server *server = start_three();
    struct client *client = client_new(server);
    (void)state;
    put_many(client, "/do/mail", 1);
    client_await_metric(client, "jobd_queue_running{queue=\"mail\"}", 1);
    put_many(client, "/do/mail", 1);
    put_many(client, "/do/mail?delay=1h", 2);
    assert_answer(client_post(client, "/do/mail"), 429, "busy\n");
    const cJSON *list = client_json(client, "/queues");
    const cJSON *mail = queue_named(list, "mail");
    assert_int_equal((int)json_number(mail, "capacity"), 3);
    assert_int_equal((int)json_number(mail, "workers"), 1);
    assert_int_equal((int)json_number(mail, "queued"), 1);
    assert_int_equal((int)json_number(mail, "scheduled"), 2);
    assert_int_equal((int)json_number(mail, "running"), 1);
    assert_int_equal((int)json_number(mail, "rejected"), 1);
    assert_int_equal((int)json_number(mail, "done"), 0);
    assert_int_equal((int)json_number(mail, "failed"), 0);
    assert_int_equal((int)json_number(mail, "cancelled"), 0);
    assert_true(json_number(mail, "oldest_age_ms") >= 0);
    assert_true(json_number(mail, "drain_per_s") >= 0);
    assert_true(cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(mail, "paused")));
    assert_int_equal((int)json_number(queue_named(list, "gpu"), "queued"), 0);
    assert_int_equal((int)json_number(client_json(client, "/queues/mail"), "queued"), 1);
    assert_answer(client_get(client, "/queues/other"), 404, "no such queue\n");
    client_free(client);
}

static void pause_holds_and_resume_lets_go(void **state)
{
    struct server *server = server_start("--sleep", "1ms");
    struct client *client = client_new(server);
    (void)state;
    assert_answer(client_post(client, "/queues/default/pause"), 200, "paused\n");
    uint64_t id = client_put(client, "/do");
    assert_string_equal(json_string(client_job(client, id), "state"), "queued");
    assert_true(cJSON_IsTrue(
        cJSON_GetObjectItemCaseSensitive(client_json(client, "/queues/default"), "paused")));
    assert_answer(client_post(client, "/queues/default/resume"), 200, "resumed\n");
    client_await_state(client, id, "done");
    assert_answer(client_get(client, "/queues/default/pause"), 405, NULL);
    assert_answer(client_post(client, "/queues/other/pause"), 404, NULL);
    client_free(client);
}

static void purge_cancels_what_waits(void **state)
{
    struct server *server = server_start("--sleep", "10m", "-q", "600");
    struct client *client = client_new(server);
    (void)state;
    uint64_t running = client_put(client, "/do");
    client_await_state(client, running, "running");
    uint64_t waiting = client_put(client, "/do");
    uint64_t delayed = client_put(client, "/do?delay=1h&priority=0");
    put_many(client, "/do", 500);
    assert_answer(client_post(client, "/queues/default/purge"), 200, "purged 502\n");
    assert_string_equal(json_string(client_job(client, running), "state"), "running");
    assert_string_equal(json_string(client_job(client, waiting), "state"), "cancelled");
    assert_string_equal(json_string(client_job(client, delayed), "state"), "cancelled");
    const struct answer *answer = client_send(client, "POST", "/queues/default/purge",
                                              FIELDS("Accept: application/json"), NULL);
    assert_answer(answer, 200, "{\"purged\":0}\n");
    client_free(client);
}

static void health_and_readiness(void **state)
{
    struct server *server = start_three();
    struct client *client = client_new(server);
    (void)state;
    assert_answer(client_get(client, "/healthz"), 200, "ok\n");
    assert_answer(client_get(client, "/readyz"), 200, "ready\n");
    assert_answer(client_get_json(client, "/readyz"), 200, "{\"status\":\"ready\"}\n");
    put_many(client, "/do", 4);
    assert_answer(client_get(client, "/readyz"), 200, "ready\n"); /* the others have room */
    put_many(client, "/do/gpu", 4);
    put_many(client, "/do/mail", 1);
    client_await_metric(client, "jobd_queue_running{queue=\"mail\"}", 1);
    put_many(client, "/do/mail", 3);
    assert_answer(client_get(client, "/readyz"), 503, "full\n");
    assert_answer(client_get_json(client, "/readyz"), 503, "{\"status\":503,\"title\":\"full\"}\n");
    assert_answer(client_get(client, "/healthz"), 200, "ok\n");
    client_free(client);
}

static void busy_as_a_problem(void **state)
{
    struct server *server = server_start("-w", "0", "-q", "2");
    struct client *client = client_new(server);
    char type[256];
    (void)state;
    put_many(client, "/do", 2);
    const struct answer *answer =
        client_send(client, "POST", "/do", FIELDS("Accept: application/json"), NULL);
    assert_answer(answer, 429,
                  "{\"status\":429,\"title\":\"busy\",\"queue\":\"default\",\"queued\":2,"
                  "\"capacity\":2}\n");
    assert_string_equal(answer_field(answer, "Content-Type", type), "application/problem+json");
    client_free(client);
}

static void metrics_are_wellformed(void **state)
{
    struct server *server = start_three();
    struct client *client = client_new(server);
    (void)state;
    put_many(client, "/do", 3);
    assert_true(client_metric(client, "jobd_queue_queued{queue=\"default\"}") == 3);
    assert_true(client_metric(client, "jobd_jobs_admitted_total{queue=\"default\"}") == 3);
    assert_true(client_metric(client, "jobd_queue_capacity{queue=\"mail\"}") == 3);
    const struct answer *answer = client_get(client, "/metrics");
    assert_answer(answer, 200, NULL);
    if (system("command -v promtool >/dev/null") != 0) {
        print_message("promtool is not there: not checked with it\n");
    } else {
        FILE *promtool = popen("promtool check metrics", "w");
        assert_non_null(promtool);
        assert_int_equal(fwrite(answer->body, 1, answer->size, promtool), answer->size);
        assert_int_equal(pclose(promtool), 0);
    }
    client_free(client);
}

#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_queue_has_its_bounds),      TEST(queues_tell_their_figures),
        TEST(pause_holds_and_resume_lets_go), TEST(purge_cancels_what_waits),
        TEST(health_and_readiness),           TEST(busy_as_a_problem),
        TEST(metrics_are_wellformed),
    };
    return cmocka_run_group_tests_name("queues", tests, NULL, NULL);
}
