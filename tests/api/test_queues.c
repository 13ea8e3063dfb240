/* SPDX-License-Identifier: MIT */
/* Named queues from outside, and what a server says of itself: queues, health, figures. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/needs.h"
#include "support/server.h"

static const char three_queues[] = "{\"sleep\": \"10m\",\n"
                                   " \"queues\": {\n"
                                   "  \"default\": {\"capacity\": 2, \"workers\": 0},\n"
                                   "  \"mail\": {\"capacity\": 1, \"workers\": 1},\n"
                                   "  \"a.b_c-D9\": {\"workers\": 0, \"sleep\": \"1ms\"}}}\n";

static struct server *start_three(void)
{
    return server_start("-c", temporary_file("jobd.json", three_queues));
}

/* ---- queues */

static void queues_are_those_of_the_file(void **state)
{
    static const struct {
        const char *name;
        int capacity, workers;
    } wanted[] = {{"default", 2, 0}, {"mail", 1, 1}, {"a.b_c-D9", 8, 0}};
    struct server *server = start_three();
    struct client *client = client_new(server);
    (void)state;
    const cJSON *queues =
        cJSON_GetObjectItemCaseSensitive(client_json(client, "/queues"), "queues");
    assert_int_equal(cJSON_GetArraySize(queues), 3);
    for (int i = 0; i < 3; i++) {
        const cJSON *queue = cJSON_GetArrayItem(queues, i);
        assert_string_equal(json_string(queue, "name"), wanted[i].name);
        assert_int_equal(json_number(queue, "capacity"), wanted[i].capacity);
        assert_int_equal(json_number(queue, "workers"), wanted[i].workers);
        assert_true(cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(queue, "paused")));
    }
    assert_answer(client_get(client, "/queues/nosuch"), 404, "no such queue\n");
    assert_answer(client_post(client, "/queues/nosuch/pause"), 404, "no such queue\n");
    client_free(client);
}

static void each_queue_has_its_own_bound(void **state)
{
    struct server *server = start_three();
    struct client *client = client_new(server);
    (void)state;
    client_await_state(client, client_put(client, "/do/mail"), "running");
    client_put(client, "/do/mail");
    assert_answer(client_post(client, "/do/mail"), 429, "busy\n");
    client_put(client, "/do");
    client_put(client, "/do/default");
    assert_answer(client_post(client, "/do"), 429, "busy\n");
    for (int i = 0; i < 8; i++)
        client_put(client, "/do/a.b_c-D9");
    assert_answer(client_post(client, "/do/a.b_c-D9"), 429, "busy\n");
    client_free(client);
}

static void a_queue_counts(void **state)
{
    struct server *server = start_three();
    struct client *client = client_new(server);
    char path[64];
    (void)state;
    uint64_t first = client_put(client, "/do/mail");
    client_await_state(client, first, "running");
    client_put(client, "/do/mail?delay=1h");
    assert_int_equal(client_post(client, "/do/mail")->status, 429);
    const cJSON *queue = client_json(client, "/queues/mail");
    assert_int_equal(json_number(queue, "running"), 1);
    assert_int_equal(json_number(queue, "scheduled"), 1);
    assert_int_equal(json_number(queue, "queued"), 0);
    assert_int_equal(json_number(queue, "rejected"), 1);
    assert_int_equal(json_number(queue, "done"), 0);
    assert_int_equal(json_number(queue, "failed"), 0);
    assert_int_equal(json_number(queue, "cancelled"), 0);
    assert_int_equal(json_number(queue, "oldest_age_ms"), 0);
    assert_true(json_number(queue, "drain_per_s") == 0); /* nothing waited: not measured */
    snprintf(path, sizeof path, "/jobs/%llu", (unsigned long long)first);
    client_send(client, "DELETE", path, NULL, NULL);
    client_await_state(client, first, "cancelled");
    assert_int_equal(json_number(client_json(client, "/queues/mail"), "cancelled"), 1);

    client_put(client, "/do");
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    while (json_number(client_json(client, "/queues/default"), "oldest_age_ms") < 20)
        look_again(deadline_ms, "a queued job to get older");
    client_free(client);
}

static void all_queues_are_paused(void **state)
{
    static const char *const queues[] = {"default", "mail", "a.b_c-D9"};
    struct server *server = start_three();
    struct client *client = client_new(server);
    char words[80];
    (void)state;
    for (int paused = 1; paused >= 0; paused--) {
        assert_answer(client_post(client, paused ? "/queues/pause" : "/queues/resume"), 200,
                      paused ? "paused\n" : "resumed\n");
        for (size_t i = 0; i < sizeof queues / sizeof queues[0]; i++) {
            snprintf(words, sizeof words, "jobd_queue_paused{queue=\"%s\"}", queues[i]);
            assert_int_equal(client_metric(client, words), paused);
        }
    }
    client_free(client);
}

static void a_paused_queue_gives_nothing_out(void **state)
{
    struct server *server = server_start("--sleep", "0ms", "-q", "3");
    struct client *client = client_new(server);
    (void)state;
    assert_answer(client_post(client, "/queues/default/pause"), 200, "paused\n");
    assert_answer(client_post(client, "/queues/default/pause"), 200, "paused\n");
    for (int i = 0; i < 3; i++)
        client_put(client, "/do");
    assert_answer(client_post(client, "/do"), 429, "busy\n"); /* and none was taken */
    const cJSON *queue = client_json(client, "/queues/default");
    assert_true(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(queue, "paused")));
    assert_int_equal(json_number(queue, "queued"), 3);
    const struct answer *answer = client_send(client, "POST", "/queues/default/resume",
                                              FIELDS("Accept: application/json"), NULL);
    assert_answer(answer, 200, "{\"status\":\"resumed\"}\n");
    server_await_lines(server, OUT, "done job ", 3);
    client_free(client);
}

/* Between two takes, while others wait. */
static void a_drain_is_measured(void **state)
{
    struct server *server = server_start("--sleep", "0ms", "-q", "3");
    struct client *client = client_new(server);
    (void)state;
    assert_answer(client_post(client, "/queues/default/pause"), 200, NULL);
    for (int i = 0; i < 3; i++)
        client_put(client, "/do");
    assert_answer(client_post(client, "/queues/default/resume"), 200, NULL);
    server_await_lines(server, OUT, "done job ", 3);
    assert_true(json_number(client_json(client, "/queues/default"), "drain_per_s") > 0);
    assert_true(client_metric(client, "jobd_queue_drain_per_second{queue=\"default\"}") > 0);
    client_free(client);
}

static void purge_cancels_what_waits(void **state)
{
    struct server *server = start_three();
    struct client *client = client_new(server);
    (void)state;
    uint64_t running = client_put(client, "/do/mail");
    client_await_state(client, running, "running");
    uint64_t waiting = client_put(client, "/do/mail");
    uint64_t other = client_put(client, "/do");
    client_put(client, "/do?delay=1h");
    assert_answer(client_post(client, "/queues/mail/purge"), 200, "purged 1\n");
    assert_answer(client_post(client, "/queues/mail/purge"), 200, "purged 0\n");
    assert_string_equal(json_string(client_job(client, waiting), "state"), "cancelled");
    assert_string_equal(json_string(client_job(client, running), "state"), "running");
    assert_string_equal(json_string(client_job(client, other), "state"), "queued");
    assert_answer(client_send(client, "POST", "/queues/default/purge",
                              FIELDS("Accept: application/json"), NULL),
                  200, "{\"purged\":2}\n");
    client_put(client, "/do"); /* there is room at once */
    client_free(client);
}

static void busy_as_a_problem(void **state)
{
    struct server *server = start_three();
    struct client *client = client_new(server);
    char room[256];
    (void)state;
    client_put(client, "/do");
    client_put(client, "/do?delay=1h");
    static const char *const accepts[] = {
        "Accept: application/json", "Accept: application/problem+json", "Accept: application/*",
        "Accept: text/html, application/json;q=0.5"};
    for (int i = 0; i < 4; i++) {
        const struct answer *answer =
            client_send(client, "POST", "/do", FIELDS(accepts[i]), "payload");
        assert_answer(answer, 429, NULL);
        assert_field(answer, "Content-Type", "application/problem+json");
        assert_true(atoi(answer_field(answer, "Retry-After", room)) >= 1);
        cJSON *problem = cJSON_Parse(answer->body);
        assert_non_null(problem);
        assert_int_equal(json_number(problem, "status"), 429);
        assert_string_equal(json_string(problem, "title"), "Too Many Requests");
        assert_string_equal(json_string(problem, "detail"), "busy");
        assert_string_equal(json_string(problem, "queue"), "default");
        assert_int_equal(json_number(problem, "queued"), 2);
        assert_int_equal(json_number(problem, "capacity"), 2);
        assert_string_equal(json_string(problem, "reason"), "no workers");
        cJSON_Delete(problem);
    }
    static const char *const texts[] = {"Accept: */*", "Accept: text/*",
                                        "Accept: application/json;q=0", "Accept;"};
    for (int i = 0; i < 4; i++)
        assert_answer(client_send(client, "POST", "/do", FIELDS(texts[i]), NULL), 429, "busy\n");
    client_free(client);
}

/* ---- health */

static void healthy_and_ready(void **state)
{
    struct server *server = start_three();
    struct client *client = client_new(server);
    (void)state;
    assert_answer(client_get(client, "/healthz"), 200, "ok\n");
    assert_answer(client_get(client, "/readyz"), 200, "ready\n");
    assert_answer(client_get_json(client, "/healthz"), 200, "{\"status\":\"ok\"}\n");
    assert_answer(client_get_json(client, "/readyz"), 200, "{\"status\":\"ready\"}\n");
    assert_answer(client_get(client, "/healthz?probe=1&probe=2"), 200, "ok\n");
    assert_answer(client_send(client, "HEAD", "/healthz", NULL, NULL), 200, "");
    client_free(client);
}

static void not_ready_when_full(void **state)
{
    struct server *server = server_start("-q", "1", "--sleep", "1h", "--grace", "1ms");
    struct client *client = client_new(server);
    (void)state;
    client_await_state(client, client_put(client, "/do"), "running");
    assert_answer(client_get(client, "/readyz"), 200, "ready\n");
    client_put(client, "/do");
    assert_answer(client_get(client, "/readyz"), 503, "full\n");
    assert_answer(client_get(client, "/healthz"), 200, "ok\n");
    const struct answer *answer = client_get_json(client, "/readyz");
    assert_answer(answer, 503,
                  "{\"status\":503,\"title\":\"Service Unavailable\",\"detail\":\"full\"}\n");
    assert_field(answer, "Content-Type", "application/problem+json");
    assert_answer(client_post(client, "/queues/default/purge"), 200, "purged 1\n");
    assert_answer(client_get(client, "/readyz"), 200, "ready\n");
    client_free(client);
}

/* Those who would empty it must reach it. */
static void ready_when_others_empty_it(void **state)
{
    struct server *server = server_start("-q", "1", "-w", "0");
    struct client *client = client_new(server);
    (void)state;
    client_put(client, "/do");
    assert_answer(client_get(client, "/readyz"), 200, "ready\n");
    client_free(client);
}

/* What cannot come true is not promised. */
static void busy_says_why(void **state)
{
    static const struct {
        const char *arguments[12], *reason;
        bool paused, soon;
    } rows[] = {
        {{"-q", "1", "-w", "0"}, "no workers", false, false},
        {{"-q", "1", "-w", "1", "--sleep", "1h", "--grace", "1ms"}, "full", false, true},
        {{"-q", "1", "-w", "0"}, "paused", true, false},
        {{"-q", "100", "-w", "0", "--memory", "1KiB", "--max-body", "1KiB"},
         "memory",
         false,
         false},
    };
    char room[256], payload[601];
    (void)state;
    memset(payload, 'x', 600);
    payload[600] = '\0';
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct server *server = server_start_with(rows[i].arguments);
        struct client *client = client_new(server);
        if (rows[i].paused)
            assert_answer(client_post(client, "/queues/default/pause"), 200, NULL);
        const struct answer *answer;
        do
            answer =
                client_send(client, "POST", "/do", FIELDS("Accept: application/json"), payload);
        while (answer->status == 202);
        assert_int_equal(answer->status, 429);
        cJSON *problem = cJSON_Parse(answer->body);
        assert_string_equal(json_string(problem, "reason"), rows[i].reason);
        cJSON_Delete(problem);
        if (!rows[i].soon)
            assert_string_equal(answer_field(answer, "Retry-After", room), "60");
        client_free(client);
    }
}

static void not_ready_when_draining(void **state)
{
    struct server *server = server_start("--sleep", "10m", "--grace", "1m");
    struct client *client = client_new(server);
    char line[SERVER_LINE_SIZE];
    (void)state;
    client_await_state(client, client_put(client, "/do"), "running");
    server_signal(server, SIGTERM);
    server_await_line(server, ERR, "draining", line);
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    const struct answer *answer;
    while ((answer = client_get(client, "/readyz"))->status == 200)
        look_again(deadline_ms, "/readyz to say that it drains");
    assert_answer(answer, 503, "draining\n");
    assert_answer(client_get(client, "/healthz"), 200, "ok\n");
    assert_answer(client_post(client, "/do"), 503, "draining\n");
    assert_answer(client_get_json(client, "/do"), 503,
                  "{\"status\":503,\"title\":\"Service Unavailable\",\"detail\":\"draining\"}\n");
    assert_answer(client_get(client, "/queues"), 200, NULL);
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 1);
    client_free(client);
}

/* ---- figures */

static void figures_follow_what_happens(void **state)
{
    struct server *server = start_three();
    struct client *client = client_new(server);
    (void)state;
    client_await_state(client, client_put(client, "/do/mail"), "running");
    client_put(client, "/do/mail");
    client_post(client, "/do/mail");
    client_get(client, "/nowhere");
    assert_field(client_get(client, "/metrics"), "Content-Type",
                 "text/plain; version=0.0.4; charset=utf-8");
    assert_int_equal(client_metric(client, "jobd_queue_running{queue=\"mail\"}"), 1);
    assert_int_equal(client_metric(client, "jobd_queue_queued{queue=\"mail\"}"), 1);
    assert_int_equal(client_metric(client, "jobd_queue_capacity{queue=\"a.b_c-D9\"}"), 8);
    assert_int_equal(client_metric(client, "jobd_jobs_admitted_total{queue=\"mail\"}"), 2);
    assert_int_equal(client_metric(client, "jobd_jobs_rejected_total{queue=\"mail\"}"), 1);
    assert_int_equal(client_metric(client, "jobd_job_wait_seconds_count{queue=\"mail\"}"), 1);
    assert_int_equal(client_metric(client, "jobd_replies_total{class=\"4xx\"}"), 2);
    assert_int_equal(client_metric(client, "jobd_connections"), 1);
    assert_int_equal(client_metric(client, "jobd_requests_parked"), 0);
    client_free(client);
}

static void promtool_finds_no_fault(void **state)
{
    char command[256];
    (void)state;
    need_command("promtool");
    struct server *server = start_three();
    struct client *client = client_new(server);
    client_put(client, "/do/mail");
    const char *figures = temporary_file("metrics", client_get(client, "/metrics")->body);
    snprintf(command, sizeof command, "promtool check metrics < %s 1>&2", figures);
    assert_int_equal(system(command), 0);
    client_free(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(queues_are_those_of_the_file),
        TEST(each_queue_has_its_own_bound),
        TEST(a_queue_counts),
        TEST(a_paused_queue_gives_nothing_out),
        TEST(all_queues_are_paused),
        TEST(a_drain_is_measured),
        TEST(purge_cancels_what_waits),
        TEST(busy_as_a_problem),
        TEST(healthy_and_ready),
        TEST(not_ready_when_full),
        TEST(ready_when_others_empty_it),
        TEST(busy_says_why),
        TEST(not_ready_when_draining),
        TEST(figures_follow_what_happens),
        TEST(promtool_finds_no_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
