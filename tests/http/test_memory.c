/* SPDX-License-Identifier: MIT */
/* Bodies and replies under way take as much memory as --memory once more: what a request needs, its
 * answer included, is counted before it waits; and who fills the queue leaves a part to those who
 * empty it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/sanitizers.h"
#include "support/server.h"

#define HOST  "Host: localhost\r\n"
#define BYTES "jobd_request_bytes"

enum { KIB = 1024, MIB = 1024 * KIB, BODY = 60 * KIB };

static struct raw raw;

static struct server *start_on_socket(const char *const *arguments)
{
    const char *all[24] = {"-l", temporary_socket(), "-w", "0"};
    for (size_t i = 0; i < 18 && arguments[i] != NULL; i++)
        all[4 + i] = arguments[i];
    struct server *server = server_spawn(&(struct server_plan){.arguments = all});
    server_await_listening(server);
    return server;
}

#define start(...) start_on_socket((const char *const[]){__VA_ARGS__, NULL})

/* In KiB; 0 under a sanitizer, which has memory of its own. */
static long resident_kib(const struct server *server)
{
    char path[64], line[128];
    long kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)server_pid(server));
    FILE *status = fopen(path, "r");
    assert_non_null(status);
    while (fgets(line, sizeof line, status) != NULL && sscanf(line, "VmRSS: %ld kB", &kib) != 1)
        ;
    fclose(status);
    return SANITIZERS ? 0 : kib;
}

/* Sends and does not read. */
static int send_only(const struct server *server, const char *request)
{
    int fd = raw_connect(server);
    assert_true(raw_send(fd, request));
    return fd;
}

static void close_all(const int *fds, size_t len)
{
    for (size_t i = 0; i < len; i++)
        close(fds[i]);
}

static char *post_of(const char *target, const char *fields, size_t announced, size_t sent)
{
    char head[512];
    snprintf(head, sizeof head, "POST %s HTTP/1.1\r\n" HOST "%sContent-Length: %zu\r\n\r\n", target,
             fields, announced);
    return raw_filled(head, 'x', sent, "");
}

/* ---- the way out */

/* Takes a job, asserts that it may, and ends it with a body. */
static void take_and_end(struct client *client, const char *const *fields, const char *body)
{
    char location[256], path[300];
    const struct answer *answer = client_send(client, "POST", "/take", fields, NULL);
    assert_int_equal(answer->status, 200);
    if (fields == NULL)
        answer_field(answer, "Location", location);
    else
        assert_int_equal(sscanf(strstr(answer->body, "/leases/"), "%255[a-z0-9/]", location), 1);
    snprintf(path, sizeof path, "%s/done", location);
    assert_answer(client_send(client, "POST", path, NULL, body), 200, NULL);
}

/* The same, by the report for many. */
static void take_and_report(struct client *client, unsigned jobs)
{
    enum { OUTPUT = 8000 };
    char location[256], head[400];
    for (unsigned i = 0; i < jobs; i++) {
        const struct answer *answer = client_post(client, "/take");
        assert_int_equal(answer->status, 200);
        answer_field(answer, "Location", location);
        snprintf(head, sizeof head, "{\"lease\":\"%s\",\"output\":\"", location);
        char *report = raw_filled(head, 'o', OUTPUT, "\"}");
        answer = client_send(client, "POST", "/leases/done", NULL, report);
        assert_int_equal(answer->status, 200);
        assert_non_null(strstr(answer->body, "\"status\":200"));
        free(report);
    }
}

static void fill(struct client *client, unsigned jobs, const char *body)
{
    for (unsigned i = 0; i < jobs; i++)
        assert_int_equal(client_send(client, "POST", "/do", NULL, body)->status, 202);
    client_await_metric(client, BYTES, 0);
}

/* While requests hold all they may have, jobs are taken and ended, with bodies as large. Of each
 * body `missing` bytes do not come. */
static void a_way_out_is_left_by(const char *target, size_t missing)
{
    enum { MANY = 20, JOBS = 6 };
    struct server *server = start("--memory", "1MiB", "-q", "6");
    struct client *client = client_new(server);
    char *request = post_of(target, "", BODY, BODY - missing);
    int fds[MANY];
    char *body = raw_filled("", 'o', BODY, "");
    fill(client, JOBS, body);
    for (int i = 0; i < MANY; i++)
        fds[i] = send_only(server, request);
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    while (client_metric(client, BYTES) < 11 * BODY)
        look_again(deadline_ms, "the memory to be taken");
    while (client_send(client, "POST", "/do", NULL, body)->status != 503) /* but 429 */
        look_again(deadline_ms, "no room for another body");
    for (int i = 0; i < 4; i++)
        take_and_end(client, i % 2 == 0 ? NULL : FIELDS("Accept: application/json"), body);
    if (strcmp(target, "/leases/done") != 0)
        take_and_report(client, 2);
    close_all(fds, MANY);
    free(body);
    free(request);
    client_free(client);
}

static void who_waits_for_room_leaves_a_way_out(void **state)
{
    (void)state;
    a_way_out_is_left_by("/do?block=1h", 0);
}

static void unfinished_bodies_leave_a_way_out(void **state)
{
    (void)state;
    a_way_out_is_left_by("/do", 1);
}

/* Anybody can say that he ends an attempt: whose lease is none has no part in what is kept. */
static void unknown_leases_leave_a_way_out(void **state)
{
    (void)state;
    a_way_out_is_left_by("/leases/0123456789abcdef0123456789abcdef/done", 1);
}

/* Whose leases they would name nobody knows yet. */
static void unfinished_reports_leave_a_way_out(void **state)
{
    (void)state;
    a_way_out_is_left_by("/leases/done", 1);
}

static void who_does_not_read_leaves_a_way_out(void **state)
{
    enum { MANY = 16 };
    struct server *server = start("--memory", "4MiB", "--max-body", "512KiB");
    struct client *client = client_new(server);
    int fds[MANY];
    char request[128];
    (void)state;
    char *body = raw_filled("", 'x', MIB / 2, "");
    uint64_t id = answer_job(client_send(client, "POST", "/do", NULL, body));
    client_await_metric(client, BYTES, 0);
    snprintf(request, sizeof request, "GET /jobs/%llu/payload HTTP/1.1\r\n" HOST "\r\n",
             (unsigned long long)id);
    for (int i = 0; i < MANY; i++)
        fds[i] = send_only(server, request);
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    while (client_metric(client, BYTES) < 5 * MIB / 2)
        look_again(deadline_ms, "the memory to be taken");
    assert_in_range(client_metric(client, BYTES), 0, 4 * MIB);
    take_and_end(client, NULL, body);
    close_all(fds, MANY);
    free(body);
    client_free(client);
}

/* What nobody looks at takes nothing. */
static void bodies_that_are_not_read_take_no_memory(void **state)
{
    static const char *const targets[] = {"/take", "/leases/0123456789abcdef/extend",
                                          "/leases/0123456789abcdef/release", "/nowhere",
                                          "/queues/default/pause"};
    struct server *server = start("--memory", "1MiB");
    struct client *client = client_new(server);
    (void)state;
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        char *request = post_of(targets[i], "", BODY, BODY - 1);
        int fd = send_only(server, request);
        assert_int_equal(client_metric(client, BYTES), 0);
        assert_true(raw_send(fd, "x"));
        raw_read_answer(fd, &raw);
        assert_in_range(raw_status(raw.text), 200, 404);
        assert_int_equal(client_metric(client, BYTES), 0);
        close(fd);
        free(request);
    }
    client_free(client);
}

/* Nothing is too large for ever: what is alone comes in and goes out, in JSON six times as large.
 */
static void who_is_alone_is_served(void **state)
{
    struct server *server = start("--memory", "64KiB");
    struct client *client = client_new(server);
    (void)state;
    char *body = raw_filled("", 1, BODY, "");
    for (int i = 0; i < 3; i++) {
        fill(client, 1, body);
        take_and_end(client, i % 2 == 0 ? NULL : FIELDS("Accept: application/json"), "");
        client_await_metric(client, BYTES, 0);
    }
    free(body);
    client_free(client);
}

/* ---- batches */

static void a_batch_is_counted_before_it_waits(void **state)
{
    enum { MANY = 40, LINES = 15000 };
    struct server *server = start("--memory", "16MiB", "-q", "20000");
    struct client *client = client_new(server);
    int fds[MANY];
    unsigned refused = 0;
    char *lines = malloc(2 * LINES + 1),
         *type = raw_filled("Content-Type: text/", 'x', 200, "\r\n");
    (void)state;
    for (size_t i = 0; i < LINES; i++)
        memcpy(lines + 2 * i, "x\n", 3);
    assert_answer(client_send(client, "POST", "/do?batch=lines", NULL, lines), 202, NULL);
    client_await_metric(client, BYTES, 0);
    long before = resident_kib(server);
    char *head = post_of("/do?batch=lines&block=1h&timeout=1s", type, 2 * LINES, 0);
    for (int i = 0; i < MANY; i++) {
        fds[i] = send_only(server, head);
        assert_true(raw_send(fds[i], lines));
    }
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    while (client_metric(client, "jobd_replies_total{class=\"5xx\"}") +
               client_metric(client, "jobd_requests_parked") <
           MANY)
        look_again(deadline_ms, "the batches to wait or to be refused");
    refused = (unsigned)client_metric(client, "jobd_replies_total{class=\"5xx\"}");
    assert_in_range(refused, 1, MANY - 1);
    assert_in_range(client_metric(client, BYTES), LINES, 16 * MIB);
    assert_in_range(resident_kib(server), 0, before + 20 * KIB);
    close_all(fds, MANY);
    free(head);
    free(type);
    free(lines);
    client_free(client);
}

static void the_ids_of_a_batch(void **state)
{
    enum { LINES = 1000 };
    struct server *server = start("-q", "1000");
    struct client *client = client_new(server);
    char *lines = malloc(2 * LINES + 1);
    (void)state;
    for (size_t i = 0; i < LINES; i++)
        memcpy(lines + 2 * i, "x\n", 3);
    const struct answer *answer =
        client_send(client, "POST", "/do?batch=lines", FIELDS("Accept: application/json"), lines);
    assert_int_equal(answer->status, 202);
    cJSON *ids = cJSON_Parse(answer->body);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(ids, "ids")), LINES);
    const cJSON *id;
    double expected = cJSON_GetArrayItem(cJSON_GetObjectItem(ids, "ids"), 0)->valuedouble;
    cJSON_ArrayForEach(id, cJSON_GetObjectItem(ids, "ids"))
        assert_true(id->valuedouble == expected++);
    cJSON_Delete(ids);
    free(lines);
    client_free(client);
}

/* ---- answers of those who wait */

/* Nobody reads, and each answer is six times its payload: who has none waits on, no job is leased
 * that could not be told of. */
static void takes_are_counted_before_there_is_a_job(void **state)
{
    enum { MANY = 60, JOBS = 60 };
    struct server *server = start("--memory", "4MiB", "-q", "100");
    struct client *client = client_new(server);
    int fds[MANY];
    (void)state;
    char *body = raw_filled("", 1, BODY, "");
    assert_int_equal(client_post(client, "/queues/default/pause")->status, 200);
    for (int i = 0; i < MANY; i++)
        fds[i] = send_only(server, "POST /take?wait=1h&max=9 HTTP/1.1\r\n" HOST
                                   "Accept: application/json\r\nContent-Length: 0\r\n\r\n");
    fill(client, JOBS, body);
    client_await_metric(client, "jobd_requests_parked", MANY);
    long before = resident_kib(server);
    assert_int_equal(client_post(client, "/queues/default/resume")->status, 200);
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    while (client_metric(client, BYTES) < 5 * MIB / 2)
        look_again(deadline_ms, "the answers");
    assert_in_range(client_metric(client, BYTES), 0, 4 * MIB);
    assert_in_range(resident_kib(server), 0, before + 9 * KIB);
    assert_in_range(client_metric(client, "jobd_queue_leased{queue=\"default\"}"), 1, JOBS / 2);
    close_all(fds, MANY);
    client_await_metric(client, BYTES, 0);
    free(body);
    client_free(client);
}

/* Its memory is given back by somebody else: that is when it gets its job. */
static void a_take_waits_for_memory(void **state)
{
    enum { MANY = 4 };
    struct server *server = start("--memory", "4MiB", "--max-body", "1MiB");
    struct client *client = client_new(server);
    static const char take[] = "POST /take?wait=1h HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n";
    int fds[MANY];
    (void)state;
    char *body = raw_filled("", 'x', MIB, "");
    assert_int_equal(client_post(client, "/queues/default/pause")->status, 200);
    fill(client, 3, body);
    assert_int_equal(client_post(client, "/queues/default/resume")->status, 200);
    char *unfinished = post_of("/do", "", MIB, MIB - 1);
    for (int i = 0; i < 3; i++) {
        fds[i] = send_only(server, unfinished);
        client_await_metric(client, BYTES, (i + 1) * MIB);
    }
    fds[3] = send_only(server, take); /* the reserve, and it does not read */
    client_await_metric(client, "jobd_queue_leased{queue=\"default\"}", 1);
    int last = send_only(server, take);
    client_await_metric(client, "jobd_requests_parked", 1);
    const struct answer *answer = client_post(client, "/take");
    assert_int_equal(answer->status, 503); /* it would not wait */
    assert_field(answer, "Retry-After", "1");
    assert_int_equal(client_metric(client, "jobd_queue_leased{queue=\"default\"}"), 1);
    close(fds[0]);
    raw_read_until(last, &raw, "\r\n\r\n");
    assert_int_equal(raw_status(raw.text), 200);
    close(last);
    close_all(fds + 1, MANY - 1);
    free(unfinished);
    free(body);
    client_free(client);
}

/* The output is there, but not as their answer: it can be fetched. */
static void outputs_without_room_are_left_where_they_are(void **state)
{
    enum { MANY = 8 };
    struct server *server =
        start("--memory", "4MiB", "--max-body", "1MiB", "--output-limit", "1MiB", "--keep", "1");
    struct client *client = client_new(server);
    int fds[MANY];
    unsigned statuses[2] = {0};
    (void)state;
    char *output = raw_filled("", 'o', MIB, "");
    for (int i = 0; i < MANY; i++)
        fds[i] = send_only(server, "POST /do HTTP/1.1\r\n" HOST
                                   "Prefer: wait=600\r\nContent-Length: 0\r\n\r\n");
    client_await_metric(client, "jobd_requests_parked", MANY);
    for (int i = 0; i < MANY; i++) {
        take_and_end(client, NULL, output);
        assert_in_range(client_metric(client, BYTES), 0, 4 * MIB);
    }
    for (int i = 0; i < MANY; i++) {
        raw_read_until(fds[i], &raw, "\r\n\r\n");
        statuses[raw_status(raw.text) == 202]++;
        assert_non_null(strstr(raw.text, "\r\nJobd-State: done\r\n"));
        assert_non_null(strstr(raw.text, "\r\nLocation: /jobs/"));
    }
    assert_in_range(statuses[0], 1, 3);
    assert_int_equal(statuses[0] + statuses[1], MANY);
    close_all(fds, MANY);
    free(output);
    client_free(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(who_waits_for_room_leaves_a_way_out),
        TEST(unfinished_bodies_leave_a_way_out),
        TEST(unknown_leases_leave_a_way_out),
        TEST(unfinished_reports_leave_a_way_out),
        TEST(who_does_not_read_leaves_a_way_out),
        TEST(bodies_that_are_not_read_take_no_memory),
        TEST(who_is_alone_is_served),
        TEST(a_batch_is_counted_before_it_waits),
        TEST(the_ids_of_a_batch),
        TEST(takes_are_counted_before_there_is_a_job),
        TEST(a_take_waits_for_memory),
        TEST(outputs_without_room_are_left_where_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
