/* SPDX-License-Identifier: MIT */
/* The main job from outside: a burst at a bounded queue is admitted exactly up to the bound, and
 * what is admitted is done, once. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/server.h"

enum { SENDERS = 8, EACH = 25, BURST = SENDERS * EACH };

/* ---- a burst */

struct sender {
    pthread_t thread;
    struct client *client;
    pthread_barrier_t *start;
    unsigned accepted, busy, other, requests;
    long connects;
    uint64_t ids[EACH];
};

static bool is_busy(const struct answer *answer)
{
    char room[256];
    return answer->status == 429 && strcmp(answer->body, "busy\n") == 0 &&
           atoi(answer_field(answer, "Retry-After", room)) >= 1;
}

static void *send_all(void *context)
{
    struct sender *sender = context;
    pthread_barrier_wait(sender->start);
    for (unsigned i = 0; i < sender->requests; i++) {
        const char *method = i % 2 == 0 ? "POST" : "GET";
        const struct answer *answer = client_send(sender->client, method, "/do", NULL, NULL);
        sender->connects += answer->connects;
        if (answer->status == 202 && strcmp(answer->body, "queued\n") == 0)
            sender->ids[sender->accepted++] = answer_job(answer);
        else if (is_busy(answer))
            sender->busy++;
        else
            sender->other++;
    }
    return NULL;
}

struct burst {
    unsigned accepted, busy;
    uint64_t ids[BURST];
};

/* As many threads as there are senders send at the same time. */
static struct burst send_burst(const struct server *server)
{
    struct sender senders[SENDERS];
    struct burst burst = {.accepted = 0};
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, SENDERS);
    for (unsigned i = 0; i < SENDERS; i++) {
        senders[i] =
            (struct sender){.client = client_new(server), .start = &start, .requests = EACH};
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_all, &senders[i]), 0);
    }
    for (unsigned i = 0; i < SENDERS; i++)
        pthread_join(senders[i].thread, NULL);
    for (unsigned i = 0; i < SENDERS; i++) {
        const struct sender *sender = &senders[i];
        assert_int_equal(sender->other, 0);
        assert_int_equal(sender->connects, 1); /* one connection for all its requests */
        memcpy(burst.ids + burst.accepted, sender->ids, sender->accepted * sizeof *sender->ids);
        burst.accepted += sender->accepted;
        burst.busy += sender->busy;
        client_free(sender->client);
    }
    pthread_barrier_destroy(&start);
    assert_int_equal(burst.accepted + burst.busy, BURST);
    return burst;
}

static int compare_ids(const void *a, const void *b)
{
    const uint64_t *one = a, *other = b;
    return (*one > *other) - (*one < *other);
}

static void assert_distinct(struct burst *burst)
{
    qsort(burst->ids, burst->accepted, sizeof *burst->ids, compare_ids);
    for (unsigned i = 0; i < burst->accepted; i++)
        assert_true(burst->ids[i] > (i > 0 ? burst->ids[i - 1] : 0));
}

/* ---- tests */

static void burst_is_exact_when_the_worker_is_busy(void **state)
{
    struct server *server = server_start("--workers", "1", "--sleep", "10m");
    struct client *client = client_new(server);
    (void)state;
    client_await_state(client, client_put(client, "/do"), "running");
    struct burst burst = send_burst(server);
    assert_int_equal(burst.accepted, 8);
    assert_distinct(&burst);
    const cJSON *queue = client_json(client, "/queues/default");
    assert_int_equal(json_number(queue, "queued"), 8);
    assert_int_equal(json_number(queue, "running"), 1);
    assert_int_equal(json_number(queue, "rejected"), BURST - 8);
    client_free(client);
}

/* The first job is taken while the burst comes in, or after it. */
static void burst_is_exact_at_an_idle_server(void **state)
{
    struct server *server = server_start("--workers", "1", "--sleep", "10m");
    struct burst burst = send_burst(server);
    struct client *client = client_new(server);
    (void)state;
    const cJSON *queue = client_json(client, "/queues/default");
    assert_in_range(burst.accepted, 8, 9);
    assert_int_equal(json_number(queue, "queued") + json_number(queue, "running"), burst.accepted);
    client_await_metric(client, "jobd_queue_running{queue=\"default\"}", 1);
    client_free(client);
}

static void burst_is_exact_with_other_bounds(void **state)
{
    struct server *server = server_start("-w", "3", "-q", "5", "--sleep", "10m");
    struct client *client = client_new(server);
    (void)state;
    for (int i = 0; i < 3; i++)
        client_await_state(client, client_put(client, "/do"), "running");
    struct burst burst = send_burst(server);
    assert_int_equal(burst.accepted, 5);
    client_free(client);
}

static void all_that_was_admitted_is_done_once(void **state)
{
    struct server *server = server_start("-w", "4", "--sleep", "3ms", "--grace", "15s");
    struct burst burst = send_burst(server);
    (void)state;
    assert_distinct(&burst);
    if (server_durable()) { /* what waits at the end stays on disk: test_durable */
        struct client *client = client_new(server);
        client_await_metric(client, "jobd_jobs_done_total{queue=\"default\"}", burst.accepted);
        client_free(client);
    }
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0);
    for (unsigned i = 0; i < burst.accepted; i++)
        assert_int_equal(server_count_done(server, burst.ids[i]), 1);
    assert_int_equal(server_count_lines(server, OUT, ""), burst.accepted);
}

/* Each line is there as soon as the job is done, not when the process ends. */
static void done_lines_come_at_once(void **state)
{
    struct server *server = server_start(NULL);
    struct client *client = client_new(server);
    char wanted[48], line[SERVER_LINE_SIZE];
    (void)state;
    for (int i = 0; i < 3; i++) {
        snprintf(wanted, sizeof wanted, "done job %llu",
                 (unsigned long long)client_put(client, "/do"));
        server_await_line(server, OUT, wanted, line);
        assert_string_equal(line, wanted);
    }
    client_free(client);
}

static void what_the_answers_say(void **state)
{
    struct server *server = server_start("-q", "1", "--sleep", "10m");
    struct client *client = client_new(server);
    char room[256];
    uint64_t before = 0;
    (void)state;
    for (int i = 0; i < 2; i++) {
        const struct answer *answer = client_send(client, "GET", "/do", NULL, NULL);
        assert_answer(answer, 202, "queued\n");
        assert_field(answer, "Content-Type", "text/plain; charset=utf-8");
        uint64_t id = answer_job(answer);
        assert_true(id > before && id < UINT64_C(1) << 53);
        before = id;
        if (i == 0)
            client_await_state(client, id, "running");
        assert_int_equal(json_number(client_job(client, id), "id"), id);
    }
    const struct answer *answer = client_post(client, "/do");
    assert_answer(answer, 429, "busy\n");
    assert_field(answer, "Content-Type", "text/plain; charset=utf-8");
    assert_field(answer, "Location", "");
    assert_true(atoi(answer_field(answer, "Retry-After", room)) >= 1);
    client_free(client);
}

static void json_where_it_is_asked_for(void **state)
{
    struct server *server = server_start("--sleep", "10m", "-w", "0");
    struct client *client = client_new(server);
    (void)state;
    const cJSON *job = NULL;
    const struct answer *answer =
        client_send(client, "POST", "/do", FIELDS("Accept: application/json"), "payload");
    assert_answer(answer, 202, NULL);
    assert_field(answer, "Content-Type", "application/json");
    uint64_t id = answer_job(answer);
    cJSON *root = cJSON_Parse(answer->body);
    assert_non_null(root);
    assert_int_equal(json_number(root, "id"), id);
    assert_string_equal(json_string(root, "queue"), "default");
    assert_string_equal(json_string(root, "state"), "queued");
    cJSON_Delete(root);
    job = client_job(client, id);
    assert_int_equal(json_number(job, "payload_bytes"), strlen("payload"));
    client_free(client);
}

static void head_never_puts_a_job_in(void **state)
{
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    (void)state;
    for (int i = 0; i < 3; i++) {
        const struct answer *answer = client_send(client, "HEAD", "/do", NULL, NULL);
        assert_answer(answer, 405, "");
        assert_field(answer, "Allow", "GET, POST");
    }
    assert_answer(client_send(client, "HEAD", "/do/default", NULL, NULL), 405, "");
    assert_int_equal(client_metric(client, "jobd_jobs_admitted_total{queue=\"default\"}"), 0);
    assert_int_equal(client_metric(client, "jobd_queue_queued{queue=\"default\"}"), 0);
    client_free(client);
}

static void other_methods_and_paths(void **state)
{
    static const struct {
        const char *method, *path;
        long status;
        const char *allow;
    } rows[] = {
        {"PUT", "/do", 405, "GET, POST"},
        {"DELETE", "/do", 405, "GET, POST"},
        {"PATCH", "/do", 405, "GET, POST"},
        {"post", "/do", 405, "GET, POST"},
        {"BREW", "/do/default", 405, "GET, POST"},
        {"OPTIONS", "/do", 405, "GET, POST"},
        {"OPTIONS", "/jobs/1/retry", 405, "POST"},
        {"OPTIONS", "/nowhere", 404, ""},
        {"POST", "/jobs", 405, "GET, HEAD, DELETE"},
        {"POST", "/jobs/1", 405, "GET, HEAD, PATCH, DELETE"},
        {"POST", "/healthz", 405, "GET, HEAD"},
        {"GET", "/queues/default/pause", 405, "POST"},
        {"GET", "/jobs/retry", 405, "POST"}, /* no job of that id */
        {"PATCH", "/jobs/retry", 405, "POST"},
        {"GET", "/queues/pause", 405, "POST"},
        {"POST", "/", 405, "GET, HEAD"},
        {"GET", "/doo", 404, ""},
        {"GET", "/Do", 404, ""},
        {"POST", "/do/", 404, ""},
        {"POST", "//do", 404, ""},
        {"POST", "/do/nosuch", 404, ""},
        {"POST", "/do/default/", 404, ""},
        {"POST", "/x/../do", 404, ""},
        {"GET", "/jobs/", 404, ""},
        {"PUT", "/nowhere", 404, ""},
    };
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct answer *answer = client_send(client, rows[i].method, rows[i].path, NULL, NULL);
        if (answer->status != rows[i].status)
            fail_msg("%s %s: %ld", rows[i].method, rows[i].path, answer->status);
        assert_field(answer, "Allow", rows[i].allow);
    }
    assert_int_equal(client_metric(client, "jobd_jobs_admitted_total{queue=\"default\"}"), 0);
    client_free(client);
}

static void connections_are_reused(void **state)
{
    struct server *server = server_start("-q", "10", "-w", "0");
    struct client *client = client_new(server);
    long connects = 0;
    (void)state;
    for (int i = 0; i < 30; i++) { /* accepted and busy ones */
        connects += client_post(client, "/do")->connects;
        connects += client_get(client, "/nowhere")->connects;
        connects += client_send(client, "PUT", "/do", NULL, "body")->connects;
    }
    assert_int_equal(connects, 1);
    assert_int_equal(client_metric(client, "jobd_connections_accepted_total"), 1);
    client_free(client);
}

static void room_is_there_again_at_once(void **state)
{
    struct server *server = server_start("-q", "2", "-w", "0");
    struct client *client = client_new(server);
    char path[64];
    (void)state;
    uint64_t first = client_put(client, "/do");
    client_put(client, "/do");
    assert_answer(client_post(client, "/do"), 429, "busy\n");
    snprintf(path, sizeof path, "/jobs/%llu", (unsigned long long)first);
    assert_answer(client_send(client, "DELETE", path, NULL, NULL), 200, "cancelled\n");
    client_put(client, "/do");
    assert_answer(client_post(client, "/do"), 429, "busy\n");
    client_free(client);
}

/* A queue that takes a job every 1.8 seconds, and has just taken one, has room in at most two. */
static void retry_after_is_measured(void **state)
{
    struct server *server = server_start("-q", "1", "--sleep", "1800ms");
    struct client *client = client_new(server);
    char room[256];
    (void)state;
    client_put(client, "/do");
    client_await_metric(client, "jobd_queue_running{queue=\"default\"}", 1);
    client_put(client, "/do");
    client_await_metric(client, "jobd_queue_queued{queue=\"default\"}", 0); /* the second runs */
    client_put(client, "/do");
    const struct answer *answer = client_post(client, "/do");
    assert_answer(answer, 429, "busy\n");
    int seconds = atoi(answer_field(answer, "Retry-After", room));
    assert_in_range(seconds, 1, 2);
    client_free(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(burst_is_exact_when_the_worker_is_busy),
        TEST(burst_is_exact_at_an_idle_server),
        TEST(burst_is_exact_with_other_bounds),
        TEST(all_that_was_admitted_is_done_once),
        TEST(done_lines_come_at_once),
        TEST(what_the_answers_say),
        TEST(json_where_it_is_asked_for),
        TEST(head_never_puts_a_job_in),
        TEST(other_methods_and_paths),
        TEST(connections_are_reused),
        TEST(room_is_there_again_at_once),
        TEST(retry_after_is_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
