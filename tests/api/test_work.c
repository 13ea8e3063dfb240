/* SPDX-License-Identifier: MIT */
/* Workers elsewhere: they take jobs over HTTP and say how their attempts ended. */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/server.h"

#define HOST  "Host: localhost\r\n"
#define EMPTY HOST "Content-Length: 0\r\n\r\n"
#define JSON  FIELDS("Accept: application/json")

static struct raw raw;

static const char *path_of(uint64_t id)
{
    static char path[64];
    snprintf(path, sizeof path, "/jobs/%llu", (unsigned long long)id);
    return path;
}

/* The lease's path, for the caller to free. */
static char *take_with(struct client *client, const char *path, const char *payload)
{
    char room[256];
    const struct answer *answer = client_post(client, path);
    assert_answer(answer, 200, payload);
    const char *lease = answer_field(answer, "Location", room);
    assert_int_equal(strlen(lease), strlen("/leases/") + 32);
    return strdup(lease);
}

static const struct answer *say(struct client *client, const char *lease, const char *what,
                                const char *body)
{
    char path[256];
    snprintf(path, sizeof path, "%s%s", lease, what);
    return client_send(client, "POST", path, NULL, body);
}

static uint64_t put(struct client *client, const char *path, const char *payload)
{
    const struct answer *answer =
        client_send(client, "POST", path, FIELDS("Content-Type: text/x"), payload);
    assert_answer(answer, 202, NULL);
    return answer_job(answer);
}

static struct server *start(void)
{
    return server_start("-w", "0", "-q", "100", "--backoff", "1ms..2ms");
}

/* ---- take and done */

static void a_job_is_taken_and_done(void **state)
{
    struct server *server = start();
    struct client *client = client_new(server);
    char room[256], text[32];
    (void)state;
    assert_answer(client_post(client, "/take"), 204, "");
    uint64_t id = put(client, "/do", "hello");
    const struct answer *answer = client_post(client, "/take?lease=90s");
    assert_answer(answer, 200, "hello");
    assert_field(answer, "Content-Type", "text/x");
    snprintf(text, sizeof text, "%llu", (unsigned long long)id);
    assert_field(answer, "Jobd-Id", text);
    assert_field(answer, "Jobd-Attempt", "1");
    assert_field(answer, "Jobd-Attempts", "1");
    assert_field(answer, "Jobd-Queue", "default");
    assert_int_equal(strlen(answer_field(answer, "Jobd-Expires", room)), 24);
    char *lease = strdup(answer_field(answer, "Location", room));
    assert_string_equal(json_string(client_job(client, id), "state"), "running");
    assert_answer(client_post(client, "/take"), 204, "");
    assert_answer(say(client, lease, "/done", "HELLO"), 200, "done\n");
    assert_string_equal(json_string(client_job(client, id), "state"), "done");
    char path[128];
    snprintf(path, sizeof path, "%s/output", path_of(id));
    assert_answer(client_get(client, path), 200, "HELLO");
    answer = say(client, lease, "/done", "again"); /* its answer may have been lost */
    assert_answer(answer, 200, "done\n");
    assert_field(answer, "Jobd-Repeated", "true");
    assert_answer(say(client, lease, "/fail", "no"), 409, "the lease has ended\n");
    assert_answer(client_get(client, path), 200, "HELLO");
    assert_answer(client_get(client, "/take"), 405, NULL);
    assert_answer(client_post(client, "/take/nowhere"), 404, NULL);
    free(lease);
    client_free(client);
}

/* Of a worker that runs a command. */
static void an_exit_code_is_kept(void **state)
{
    struct server *server = server_start("-w", "0", "--attempts", "2", "--backoff", "1ms..2ms");
    struct client *client = client_new(server);
    (void)state;
    uint64_t id = put(client, "/do", "x");
    char *lease = take_with(client, "/take", "x");
    assert_answer(say(client, lease, "/fail?exit_code=256", "no"), 400,
                  "invalid exit_code: expected 0 to 255\n");
    assert_answer(say(client, lease, "/done?exit_code=-1", ""), 400, NULL);
    assert_answer(say(client, lease, "/fail?exit_code=3", "no"), 200, "failed\n");
    assert_int_equal(json_number(client_job(client, id), "exit_code"), 3);
    free(lease);
    lease = take_with(client, "/take?wait=1m", "x");
    assert_answer(say(client, lease, "/done?exit_code=0", "yes"), 200, "done\n");
    assert_int_equal(json_number(client_job(client, id), "exit_code"), 0);
    free(lease);
    client_free(client);
}

/* A worker is told what it must know: how long it may take, whether it is the last try, the trace.
 */
static void a_taker_is_told_the_terms(void **state)
{
    static const char trace[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    struct server *server = start();
    struct client *client = client_new(server);
    char field[128];
    (void)state;
    snprintf(field, sizeof field, "traceparent: %s", trace);
    for (int json = 0; json < 2; json++) {
        assert_answer(client_send(client, "POST", "/do?attempts=3&timeout=30s", FIELDS(field), "x"),
                      202, NULL);
        const struct answer *answer =
            client_send(client, "POST", "/take?lease=2h",
                        FIELDS(json ? "Accept: application/json" : "Accept: */*"), NULL);
        assert_int_equal(answer->status, 200);
        if (!json) {
            assert_field(answer, "Jobd-Attempts", "3");
            assert_field(answer, "Jobd-Timeout", "30000ms");
            assert_field(answer, "traceparent", trace);
            continue;
        }
        cJSON *job = cJSON_Parse(answer->body);
        assert_int_equal(json_number(job, "attempts"), 3);
        assert_int_equal(json_number(job, "timeout_ms"), 30000);
        assert_string_equal(json_string(job, "queue"), "default");
        assert_string_equal(json_string(job, "trace"), trace);
        cJSON_Delete(job);
    }
    client_free(client);
}

static void tokens_that_are_none(void **state)
{
    static const char *const paths[] = {"/leases/0123456789abcdef0123456789abcdef", "/leases/x",
                                        "/leases/0123456789ABCDEF0123456789abcde%41",
                                        "/leases/0123456789abcdef0123456789abcdef0"};
    static const char *const ends[] = {"/done", "/fail", "/extend", "/release"};
    struct server *server = start();
    struct client *client = client_new(server);
    (void)state;
    for (size_t i = 0; i < 4; i++)
        for (size_t k = 0; k < 4; k++)
            assert_answer(say(client, paths[i], ends[k], NULL), 404, "no such lease\n");
    assert_answer(client_post(client, "/take?lease=0s"), 400, NULL);
    assert_answer(client_post(client, "/take?lease=8d"), 400, NULL);
    assert_answer(client_post(client, "/take?max=2"), 400, NULL);
    client_free(client);
}

/* ---- fail, release, extend, expire */

static void a_failed_attempt_goes_again(void **state)
{
    struct server *server = start();
    struct client *client = client_new(server);
    (void)state;
    uint64_t id = put(client, "/do?attempts=2", "x");
    char *lease = take_with(client, "/take", "x");
    assert_answer(say(client, lease, "/fail?delay=0s", "no paper"), 200, "failed\n");
    assert_string_equal(json_string(client_job(client, id), "error"), "no paper");
    free(lease);
    lease = take_with(client, "/take?wait=15s", "x");
    assert_int_equal(json_number(client_job(client, id), "attempt"), 2);
    assert_answer(say(client, lease, "/fail", "no ink"), 200, "failed\n");
    assert_string_equal(json_string(client_job(client, id), "state"), "failed");
    assert_string_equal(json_string(client_job(client, id), "error"), "no ink");
    free(lease);
    client_free(client);
}

static void a_released_attempt_does_not_count(void **state)
{
    struct server *server = start();
    struct client *client = client_new(server);
    (void)state;
    uint64_t id = put(client, "/do", "x");
    for (int i = 0; i < 3; i++) {
        char *lease = take_with(client, "/take?wait=15s", "x");
        assert_int_equal(json_number(client_job(client, id), "attempt"), 1);
        assert_answer(say(client, lease, i == 1 ? "/release?delay=50ms" : "/release", NULL), 200,
                      "released\n");
        assert_int_equal(json_number(client_job(client, id), "attempt"), 0);
        assert_answer(say(client, lease, "/done", NULL), 409, NULL);
        free(lease);
    }
    client_free(client);
}

static void a_lease_that_ran_out_is_lost(void **state)
{
    struct server *server = start();
    struct client *client = client_new(server);
    (void)state;
    uint64_t id = put(client, "/do?attempts=2", "x");
    char *late = take_with(client, "/take?lease=100ms", "x");
    char *lease = take_with(client, "/take?wait=15s", "x");
    assert_answer(say(client, late, "/done", "late"), 409, "the lease has ended\n");
    assert_answer(say(client, late, "/extend", NULL), 409, NULL);
    assert_string_equal(json_string(client_job(client, id), "state"), "running");
    assert_answer(say(client, lease, "/done", "in time"), 200, NULL);
    assert_int_equal(json_number(client_job(client, id), "attempt"), 2);
    uint64_t other = put(client, "/do", "y");
    free(late);
    late = take_with(client, "/take?lease=100ms", "y");
    client_await_state(client, other, "failed");
    assert_string_equal(json_string(client_job(client, other), "error"), "the lease expired");
    free(late);
    free(lease);
    client_free(client);
}

static void a_lease_is_extended(void **state)
{
    struct server *server = start();
    struct client *client = client_new(server);
    char room[256];
    (void)state;
    uint64_t id = put(client, "/do", "x");
    char *lease = take_with(client, "/take?lease=200ms", "x");
    const struct answer *answer = say(client, lease, "/extend?lease=1h", NULL);
    assert_answer(answer, 200, "extended\n");
    assert_int_equal(strlen(answer_field(answer, "Jobd-Expires", room)), 24);
    /* Another job's lease that began later runs out: so would this one have. */
    uint64_t other = put(client, "/do", "y");
    char *short_one = take_with(client, "/take?lease=300ms", "y");
    client_await_state(client, other, "failed");
    assert_string_equal(json_string(client_job(client, id), "state"), "running");
    assert_answer(say(client, lease, "/done", NULL), 200, NULL);
    free(lease);
    free(short_one);
    client_free(client);
}

static void a_cancelled_job_is_taken_away(void **state)
{
    struct server *server = start();
    struct client *client = client_new(server);
    (void)state;
    uint64_t id = put(client, "/do?attempts=5", "x");
    char *lease = take_with(client, "/take", "x");
    assert_answer(client_send(client, "DELETE", path_of(id), NULL, NULL), 202, NULL);
    assert_answer(say(client, lease, "/done", "too late"), 409, NULL);
    assert_string_equal(json_string(client_job(client, id), "state"), "cancelled");
    free(lease);
    client_free(client);
}

/* ---- JSON */

/* JSON is UTF-8 (RFC 8259, section 8.1), a field's value need not be. */
static void any_content_type_makes_json(void **state)
{
    struct server *server = start();
    struct client *client = client_new(server);
    (void)state;
    assert_int_equal(
        client_send(client, "POST", "/do", FIELDS("Content-Type: text/\xff\"\xc3\xbc\xc3"), "x")
            ->status,
        202);
    const struct answer *answer = client_send(client, "POST", "/take", JSON, NULL);
    assert_int_equal(answer->status, 200);
    assert_non_null(
        strstr(answer->body, "\"content_type\":\"text/\xef\xbf\xbd\\\"\xc3\xbc\xef\xbf\xbd\""));
    client_free(client);
}

static void several_at_a_time(void **state)
{
    struct server *server = start();
    struct client *client = client_new(server);
    char path[128];
    (void)state;
    put(client, "/do", "text \xc3\xbc");
    put(client, "/do", "\xff\xfe");
    put(client, "/do", NULL);
    const struct answer *answer = client_send(client, "POST", "/take?max=10", JSON, NULL);
    assert_int_equal(answer->status, 200);
    cJSON *json = cJSON_Parse(answer->body);
    const cJSON *jobs = cJSON_GetObjectItem(json, "jobs");
    assert_int_equal(cJSON_GetArraySize(jobs), 3);
    assert_string_equal(json_string(cJSON_GetArrayItem(jobs, 0), "payload"), "text \xc3\xbc");
    assert_string_equal(json_string(cJSON_GetArrayItem(jobs, 0), "content_type"), "text/x");
    assert_string_equal(json_string(cJSON_GetArrayItem(jobs, 1), "payload_base64"), "//4=");
    assert_string_equal(json_string(cJSON_GetArrayItem(jobs, 2), "payload"), "");
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s", json_string(cJSON_GetArrayItem(jobs, i), "lease"));
        assert_answer(say(client, path, "/done", NULL), 200, NULL);
    }
    cJSON_Delete(json);
    assert_answer(client_send(client, "POST", "/take?max=10", JSON, NULL), 204, "");
    put(client, "/do", "one");
    answer = client_send(client, "POST", "/take", JSON, NULL);
    json = cJSON_Parse(answer->body);
    assert_string_equal(json_string(json, "payload"), "one");
    assert_int_equal(json_number(json, "attempt"), 1);
    cJSON_Delete(json);
    client_free(client);
}

/* An answer has some 256 KiB of payloads; what was not taken is there for the next. */
static void several_make_no_huge_answer(void **state)
{
    enum { JOBS = 12, PAYLOAD_BYTES = 60000 };
    struct server *server = start();
    struct client *client = client_new(server);
    static const int taken[] = {5, 5, 2};
    char *payload = raw_filled("", 'x', PAYLOAD_BYTES, "");
    double id = 0;
    (void)state;
    for (int i = 0; i < JOBS; i++)
        put(client, "/do", payload);
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
        const struct answer *answer = client_send(client, "POST", "/take?max=1000", JSON, NULL);
        assert_int_equal(answer->status, 200);
        cJSON *json = cJSON_Parse(answer->body);
        const cJSON *job, *jobs = cJSON_GetObjectItem(json, "jobs");
        assert_int_equal(cJSON_GetArraySize(jobs), taken[i]);
        cJSON_ArrayForEach(job, jobs)
        {
            assert_true(json_number(job, "id") > id);
            id = json_number(job, "id");
            assert_string_equal(json_string(job, "payload"), payload);
        }
        cJSON_Delete(json);
    }
    assert_answer(client_send(client, "POST", "/take?max=1000", JSON, NULL), 204, "");
    free(payload);
    client_free(client);
}

/* ---- waiting */

static void takers_are_served_in_their_order(void **state)
{
    enum { TAKERS = 5 };
    struct server *server = start();
    struct client *client = client_new(server);
    int fds[TAKERS];
    char payload[8];
    (void)state;
    for (int i = 0; i < TAKERS; i++) {
        fds[i] = raw_connect(server);
        assert_true(raw_send(fds[i], "POST /take?wait=15s HTTP/1.1\r\n" EMPTY));
        client_await_metric(client, "jobd_requests_parked", i + 1);
    }
    for (int i = 0; i < TAKERS; i++) {
        snprintf(payload, sizeof payload, "job %d", i);
        put(client, "/do", payload);
        client_await_metric(client, "jobd_requests_parked", TAKERS - 1 - i);
        raw_read_answer(fds[i], &raw);
        assert_int_equal(raw_status(raw.text), 200);
        assert_non_null(strstr(raw.text, payload));
        close(fds[i]);
    }
    client_free(client);
}

/* One job wakes one of them; the others wait on, and go when they like. */
static void one_job_for_ten_thousand_takers(void **state)
{
    enum { TAKERS = 10000, SPARE = 500 };
    static struct pollfd fds[TAKERS];
    struct rlimit limit;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    if (limit.rlim_max < TAKERS + SPARE || setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        print_message("skipped: fewer than %d open files are allowed\n", TAKERS + SPARE);
        skip();
    }
    struct server *server = start();
    struct client *client = client_new(server);
    for (int i = 0; i < TAKERS; i++) {
        fds[i] = (struct pollfd){.fd = raw_connect(server), .events = POLLIN};
        assert_true(raw_send(fds[i].fd, "POST /take?wait=1h HTTP/1.1\r\n" EMPTY));
        if (i == 0) /* who is sure to have come first */
            client_await_metric(client, "jobd_requests_parked", 1);
    }
    client_await_metric(client, "jobd_requests_parked", TAKERS);
    put(client, "/do", "the only one");
    assert_int_equal(poll(fds, TAKERS, PATIENCE_MS), 1);
    assert_true((fds[0].revents & POLLIN) != 0);
    raw_read_answer(fds[0].fd, &raw);
    assert_int_equal(raw_status(raw.text), 200);
    assert_non_null(strstr(raw.text, "the only one"));
    client_await_metric(client, "jobd_requests_parked", TAKERS - 1);
    assert_int_equal(poll(fds, TAKERS, 0), 0);
    for (int i = 0; i < TAKERS; i++)
        close(fds[i].fd);
    client_await_metric(client, "jobd_requests_parked", 0);
    put(client, "/do", "for whoever comes");
    free(take_with(client, "/take", "for whoever comes"));
    client_free(client);
}

/* Those who leave get nothing, and nothing is lost with them. */
static void takers_who_leave_get_nothing(void **state)
{
    enum { TAKERS = 50 };
    struct server *server = start();
    struct client *client = client_new(server);
    int fds[TAKERS];
    (void)state;
    for (int i = 0; i < TAKERS; i++) {
        fds[i] = raw_connect(server);
        assert_true(raw_send(fds[i], "POST /take?wait=15s HTTP/1.1\r\n" EMPTY));
    }
    client_await_metric(client, "jobd_requests_parked", TAKERS);
    for (int i = 0; i < TAKERS - 1; i++)
        close(fds[i]);
    uint64_t id = put(client, "/do", "x");  /* before all of that may have been noticed */
    raw_read_answer(fds[TAKERS - 1], &raw); /* at last it comes to the one who stayed */
    assert_int_equal(raw_status(raw.text), 200);
    assert_int_equal(json_number(client_job(client, id), "attempt"), 1);
    close(fds[TAKERS - 1]);
    client_free(client);
}

static void nothing_in_time_is_no_content(void **state)
{
    struct server *server = start();
    struct client *client = client_new(server);
    (void)state;
    int64_t before_ms = now_ms();
    assert_answer(client_post(client, "/take?wait=200ms"), 204, "");
    assert_true(now_ms() - before_ms >= 150);
    client_free(client);
}

static void a_drain_waits_for_leases(void **state)
{
    struct server *server = server_start("-w", "0", "--grace", "15s");
    struct client *client = client_new(server);
    (void)state;
    put(client, "/do", "x");
    char *lease = take_with(client, "/take", "x");
    int fd = raw_connect(server);
    assert_true(raw_send(fd, "POST /take?wait=15s HTTP/1.1\r\n" EMPTY));
    client_await_metric(client, "jobd_requests_parked", 1);
    server_signal(server, SIGTERM);
    server_await_lines(server, ERR, "draining: 0 waiting, 1 running", 1);
    assert_answer(say(client, lease, "/done", NULL), 200, "done\n");
    raw_read_answer(fd, &raw);
    assert_int_equal(raw_status(raw.text), 503);
    assert_int_equal(server_wait(server), 0);
    close(fd);
    free(lease);
    client_free(client);
}

/* However many jobs there are. */
static void so_many_leases_and_no_more(void **state)
{
    struct server *server = server_start("-w", "0", "--leases", "2");
    struct client *client = client_new(server);
    char path[300], lease[256];
    (void)state;
    for (int i = 0; i < 3; i++)
        (void)client_put(client, "/do");
    assert_answer(client_post(client, "/take"), 200, NULL);
    answer_field(client_post(client, "/take"), "Location", lease);
    const struct answer *answer = client_post(client, "/take");
    assert_answer(answer, 503, "too many leases\n");
    snprintf(path, sizeof path, "%s/done", lease);
    assert_answer(client_post(client, path), 200, "done\n");
    assert_answer(client_post(client, "/take"), 200, NULL);
    client_free(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(a_job_is_taken_and_done),         TEST(an_exit_code_is_kept),
        TEST(a_taker_is_told_the_terms),       TEST(tokens_that_are_none),
        TEST(a_failed_attempt_goes_again),     TEST(a_released_attempt_does_not_count),
        TEST(a_lease_that_ran_out_is_lost),    TEST(a_lease_is_extended),
        TEST(a_cancelled_job_is_taken_away),   TEST(any_content_type_makes_json),
        TEST(so_many_leases_and_no_more),      TEST(several_at_a_time),
        TEST(several_make_no_huge_answer),     TEST(takers_are_served_in_their_order),
        TEST(one_job_for_ten_thousand_takers), TEST(takers_who_leave_get_nothing),
        TEST(nothing_in_time_is_no_content),   TEST(a_drain_waits_for_leases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
