/* SPDX-License-Identifier: MIT */
/* Callbacks, seen from both sides: who puts a job in, and who is told of its end. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/server.h"
#include "support/service.h"

#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define OTHER  "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define QUICK  "\"backoff\": \"1ms..2ms\""

enum { TEXT_SIZE = 2048 };

/* The service's host and port, as a prefix. */
static const char *host_of(struct service *service, char host[SERVICE_URL_SIZE])
{
    snprintf(host, SERVICE_URL_SIZE, "%s", service_url(service));
    *strstr(host, "/do/") = '\0';
    return host;
}

/* /do with this callback at the service, and whatever else. */
static const char *path_to(struct service *service, const char *more, char path[TEXT_SIZE])
{
    char host[SERVICE_URL_SIZE];
    snprintf(path, TEXT_SIZE, "/do?callback=%s/hooks/end%s", host_of(service, host), more);
    return path;
}

static const char *secret_file(const char *text)
{
    const char *path = temporary_file("secret", text);
    assert_int_equal(chmod(path, 0600), 0);
    return path;
}

/* A file with these prefixes, these keys of the queue of callbacks, and others of the top. */
static const char *config(const char *prefixes, const char *keys, const char *more)
{
    char text[4 * TEXT_SIZE];
    snprintf(
        text, sizeof text,
        "{\"callback-allow\": [%s], \"queues\": {\"default\": {\"workers\": 2, \"capacity\": 50, "
        "\"exec\": [\"sh\", \"-c\", \"cat; test $JOBD_CONTENT_TYPE != text/fails\"]}, "
        "\"callbacks\": {%s}}%s}",
        prefixes, keys, more);
    return temporary_file("jobd.json", text);
}

static cJSON *told(struct service *service)
{
    cJSON *json = cJSON_Parse(service_body(service));
    assert_non_null(json);
    return json;
}

/* The id of the only job of the queue of callbacks. */
static uint64_t delivery_of(struct client *client)
{
    const cJSON *jobs = cJSON_GetObjectItem(client_json(client, "/jobs?queue=callbacks"), "jobs");
    assert_int_equal(cJSON_GetArraySize(jobs), 1);
    return (uint64_t)json_number(jobs->child, "id");
}

/* ---- what is told */

static void the_end_of_a_job_is_told(void **state)
{
    struct service *service = service_start();
    char host[SERVICE_URL_SIZE], path[TEXT_SIZE], value[SERVICE_FIELD_SIZE];
    (void)state;
    struct server *server =
        server_start("--callback-allow", host_of(service, host), "--callback-secret",
                     secret_file(SECRET "\n"), "--", "cat");
    struct client *client = client_new(server);
    const struct answer *answer = client_send(
        client, "POST", path_to(service, "&tag=a&key=k", path),
        FIELDS("traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), "grüße");
    uint64_t id = answer_job(answer);
    assert_int_equal(answer->status, 202);
    service_await(service, SERVICE_REQUESTS, 1);
    size_t size;
    assert_non_null(strstr(service_request(service, &size), "POST /hooks/end HTTP/1.1\r\n"));
    assert_string_equal(service_field(service, "Content-Type", value), "application/json");
    assert_non_null(
        strstr(service_field(service, "traceparent", value), "0af7651916cd43dd8448eb211c80319c"));
    service_assert_signed(service, SECRET);
    cJSON *body = told(service);
    assert_true(json_number(body, "id") == (double)id);
    assert_string_equal(json_string(body, "state"), "done");
    assert_string_equal(json_string(body, "output"), "grüße");
    assert_string_equal(json_string(body, "key"), "k");
    assert_non_null(strstr(json_string(body, "callback"), "/hooks/end"));
    cJSON_Delete(body);
    uint64_t delivery = delivery_of(client);
    client_await_state(client, delivery, "done");
    char source[64];
    snprintf(source, sizeof source, "/jobs/%llu", (unsigned long long)id);
    assert_string_equal(json_string(client_job(client, delivery), "delivers"), source);
    assert_string_equal(json_string(client_job(client, id), "queue"), "default");
    assert_non_null(strstr(json_string(client_job(client, id), "callback"), "/hooks/end"));
    client_free(client);
    service_stop(service);
}

/* Only what is UTF-8, and at most 4 KiB. */
static void output_that_is_long_or_no_text_is_left_out(void **state)
{
    struct service *service = service_start();
    char host[SERVICE_URL_SIZE], path[TEXT_SIZE];
    char *most = raw_filled("", 'x', 4096, ""), *more = raw_filled("", 'x', 4097, "");
    const char *const payloads[] = {most, more, "\xff\xfe", ""};
    (void)state;
    struct server *server = server_start("--callback-allow", host_of(service, host), "--", "cat");
    struct client *client = client_new(server);
    for (unsigned i = 0; i < 4; i++) {
        (void)client_send(client, "POST", path_to(service, "", path), NULL, payloads[i]);
        service_await(service, SERVICE_REQUESTS, i + 1);
        cJSON *body = told(service);
        assert_true((cJSON_GetObjectItem(body, "output") != NULL) == (i % 3 == 0));
        if (i < 3)
            assert_true(json_number(body, "output_bytes") == (double)strlen(payloads[i]));
        cJSON_Delete(body);
    }
    free(most);
    free(more);
    client_free(client);
    service_stop(service);
}

static void a_batch_is_told_of_once(void **state)
{
    struct service *service = service_start();
    char host[SERVICE_URL_SIZE], path[TEXT_SIZE], room[256];
    (void)state;
    struct server *server =
        server_start("--callback-allow", host_of(service, host), "-w", "3", "--", "cat");
    struct client *client = client_new(server);
    const struct answer *answer =
        client_send(client, "POST", path_to(service, "&batch=lines", path), NULL, "a\nb\nc\nd\n");
    assert_int_equal(answer->status, 202);
    uint64_t id = strtoull(strrchr(answer_field(answer, "Location", room), '/') + 1, NULL, 10);
    service_await(service, SERVICE_REQUESTS, 1);
    cJSON *body = told(service);
    assert_true(json_number(body, "id") == (double)id && json_number(body, "done") == 4);
    assert_non_null(strstr(json_string(body, "callback"), "/hooks/end"));
    cJSON_Delete(body);
    client_await_state(client, delivery_of(client), "done");
    answer = client_send(client, "POST", path_to(service, "&batch=jobs", path), NULL,
                         "{\"payload\": \"a\"}\n{\"payload\": \"b\", \"priority\": 1}\n");
    assert_int_equal(answer->status, 202);
    service_await(service, SERVICE_REQUESTS, 2);
    body = told(service);
    assert_true(json_number(body, "done") == 2);
    cJSON_Delete(body);
    assert_int_equal(client_send(client, "POST", "/do?batch=jobs", NULL,
                                 "{\"payload\": \"a\", \"callback\": \"http://x\"}\n")
                         ->status,
                     400);
    assert_int_equal(service_count(service, SERVICE_REQUESTS), 2);
    client_free(client);
    service_stop(service);
}

static void failures_and_cancellations_are_told(void **state)
{
    struct service *service = service_start();
    char host[SERVICE_URL_SIZE], path[TEXT_SIZE], where[64];
    (void)state;
    struct server *server = server_start("--callback-allow", host_of(service, host), "--", "false");
    struct client *client = client_new(server);
    (void)client_send(client, "POST", path_to(service, "", path), NULL, "x");
    service_await(service, SERVICE_REQUESTS, 1);
    cJSON *body = told(service);
    assert_string_equal(json_string(body, "state"), "failed");
    assert_non_null(cJSON_GetObjectItem(body, "errors"));
    cJSON_Delete(body);
    uint64_t id = client_put(client, path_to(service, "&delay=1h", path));
    snprintf(where, sizeof where, "/jobs/%llu", (unsigned long long)id);
    assert_int_equal(client_send(client, "DELETE", where, NULL, NULL)->status, 200);
    service_await(service, SERVICE_REQUESTS, 2);
    body = told(service);
    assert_string_equal(json_string(body, "state"), "cancelled");
    assert_true(json_number(body, "id") == (double)id);
    cJSON_Delete(body);
    client_free(client);
    service_stop(service);
}

static void a_schedules_jobs_tell_too(void **state)
{
    struct service *service = service_start();
    char host[SERVICE_URL_SIZE], path[TEXT_SIZE];
    (void)state;
    struct server *server = server_start("--callback-allow", host_of(service, host), "--", "cat");
    struct client *client = client_new(server);
    snprintf(path, sizeof path, "/schedules/nightly?every=1h&callback=%s/night", host);
    assert_int_equal(client_send(client, "PUT", path, NULL, "x")->status, 201);
    assert_non_null(
        strstr(json_string(client_json(client, "/schedules/nightly"), "callback"), "/night"));
    assert_int_equal(client_post(client, "/schedules/nightly/run")->status, 202);
    service_await(service, SERVICE_REQUESTS, 1);
    cJSON *body = told(service);
    assert_string_equal(json_string(body, "schedule"), "nightly");
    cJSON_Delete(body);
    assert_int_equal(
        client_send(client, "PUT", "/schedules/b?every=1h&callback=http://x.example/", NULL, "x")
            ->status,
        400);
    assert_int_equal(
        client_send(client, "PUT", "/schedules/b?every=1h&queue=callbacks", NULL, "x")->status,
        400);
    client_free(client);
    service_stop(service);
}

/* ---- who may be told */

static void only_what_a_prefix_allows(void **state)
{
    (void)state;
    struct server *server = server_start("--callback-allow", "http://app.example/hooks",
                                         "--callback-allow", "https://other.example:8443");
    struct client *client = client_new(server);
    static const char *const bad[] = {"http://app.example/hooksevil",
                                      "http://app.example@evil.example/hooks",
                                      "http://app.example/hooks/../x",
                                      "http://app.example/hooks/%252e%252e/x",
                                      "https://other.example/",
                                      "ftp://app.example/hooks",
                                      "app.example",
                                      ""};
    char path[TEXT_SIZE];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(path, sizeof path, "/do?callback=%s", bad[i]);
        const struct answer *answer = client_post(client, path);
        assert_int_equal(answer->status, 400);
        assert_non_null(strstr(answer->body, "callback"));
    }
    assert_int_equal(client_post(client, "/do?callback=http://app.example/hooks/a")->status, 202);
    assert_int_equal(client_post(client, "/do?callback=https://OTHER.example:8443")->status, 202);
    client_free(client);
    server = server_start(NULL);
    client = client_new(server);
    const struct answer *answer = client_post(client, "/do?callback=http://app.example/");
    assert_int_equal(answer->status, 400);
    assert_non_null(strstr(answer->body, "--callback-allow"));
    assert_int_equal(client_get(client, "/queues/callbacks")->status, 404);
    client_free(client);
}

static void the_queue_is_the_servers_own(void **state)
{
    (void)state;
    struct server *server = server_start("--callback-allow", "http://app.example");
    struct client *client = client_new(server);
    assert_int_equal(client_post(client, "/do/callbacks")->status, 403);
    assert_int_equal(client_post(client, "/take/callbacks")->status, 403);
    assert_int_equal(client_post(client, "/take?queue=default,callbacks")->status, 403);
    assert_int_equal(client_post(client, "/queues/callbacks/move?to=default")->status, 403);
    assert_int_equal(client_post(client, "/queues/default/move?to=callbacks")->status, 403);
    assert_int_equal(client_post(client, "/queues/callbacks/pause")->status, 200);
    const cJSON *queue = client_json(client, "/queues/callbacks");
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(queue, "paused")));
    assert_true(json_number(queue, "capacity") == 10000 && json_number(queue, "workers") == 4);
    client_free(client);
}

/* As many wait, or are promised, as its capacity says. */
static void there_is_room_for_all_that_is_promised(void **state)
{
    struct service *service = service_start();
    char host[SERVICE_URL_SIZE], path[TEXT_SIZE], prefix[TEXT_SIZE];
    (void)state;
    snprintf(prefix, sizeof prefix, "\"%s\"", host_of(service, host));
    struct server *server = server_start("--config", config(prefix, "\"capacity\": 2", ""));
    struct client *client = client_new(server);
    uint64_t id = client_put(client, path_to(service, "&delay=1h", path));
    (void)client_put(client, path);
    const struct answer *answer =
        client_send(client, "POST", path, FIELDS("Accept: application/json"), NULL);
    assert_int_equal(answer->status, 429);
    cJSON *busy = cJSON_Parse(answer->body);
    assert_string_equal(json_string(busy, "queue"), "callbacks");
    assert_string_equal(json_string(busy, "reason"), "full");
    assert_true(json_number(busy, "queued") == 2 && json_number(busy, "capacity") == 2);
    cJSON_Delete(busy);
    assert_true(json_number(client_json(client, "/queues/callbacks"), "promised") == 2);
    assert_int_equal(client_post(client, "/do")->status, 202);
    char where[64];
    snprintf(where, sizeof where, "/jobs/%llu", (unsigned long long)id);
    assert_int_equal(client_send(client, "DELETE", where, NULL, NULL)->status, 200);
    client_await_state(client, delivery_of(client), "done");
    assert_int_equal(client_post(client, path)->status, 202);
    client_free(client);
    service_stop(service);
}

/* ---- delivery */

/* Whatever is answered but 2xx and 410 is tried again, with the same id. */
static void a_service_that_is_ill_is_asked_again(void **state)
{
    struct service *service = service_start();
    char host[SERVICE_URL_SIZE], path[TEXT_SIZE], prefix[TEXT_SIZE], id[SERVICE_FIELD_SIZE],
        value[SERVICE_FIELD_SIZE];
    (void)state;
    service_script(service,
                   SERVICE_SCRIPT({.answer = "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"},
                                  {.answer = "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"},
                                  {.answer = "HTTP/1.1 302 No\r\nLocation: /x\r\n"
                                             "Content-Length: 0\r\n\r\n"},
                                  {.answer = OK_EMPTY}));
    snprintf(prefix, sizeof prefix, "\"%s\"", host_of(service, host));
    struct server *server = server_start("--config", config(prefix, QUICK, ""), "--callback-secret",
                                         secret_file(SECRET));
    struct client *client = client_new(server);
    (void)client_send(client, "POST", path_to(service, "", path), NULL, "x");
    service_await(service, SERVICE_REQUESTS, 1);
    service_field(service, "webhook-id", id);
    uint64_t delivery = delivery_of(client);
    client_await_state(client, delivery, "done");
    assert_string_equal(service_field(service, "webhook-id", value), id);
    size_t size;
    assert_non_null(strstr(service_request(service, &size), "POST /hooks/end "));
    assert_true(json_number(client_job(client, delivery), "attempt") == 4);
    client_free(client);
    service_stop(service);
}

static void one_that_is_gone_is_not(void **state)
{
    struct service *service = service_start();
    char host[SERVICE_URL_SIZE], path[TEXT_SIZE], where[64];
    (void)state;
    service_script(service,
                   SERVICE_SCRIPT({.answer = "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"},
                                  {.answer = OK_EMPTY}));
    struct server *server = server_start("--callback-allow", host_of(service, host), "--", "cat");
    struct client *client = client_new(server);
    (void)client_send(client, "POST", path_to(service, "", path), NULL, "x");
    service_await(service, SERVICE_REQUESTS, 1);
    uint64_t delivery = delivery_of(client);
    client_await_state(client, delivery, "failed");
    snprintf(where, sizeof where, "/jobs/%llu/retry", (unsigned long long)delivery);
    assert_int_equal(client_post(client, where)->status, 202);
    client_await_state(client, delivery, "done");
    client_free(client);
    service_stop(service);
}

/* Its source cannot be forgotten as long as it has not been told of. */
static void a_paused_queue_keeps_what_is_to_be_told(void **state)
{
    struct service *service = service_start();
    char host[SERVICE_URL_SIZE], path[TEXT_SIZE], where[96];
    (void)state;
    struct server *server =
        server_start("--callback-allow", host_of(service, host), "--keep", "0", "--", "cat");
    struct client *client = client_new(server);
    assert_int_equal(client_post(client, "/queues/callbacks/pause")->status, 200);
    const struct answer *answer =
        client_send(client, "POST", path_to(service, "", path), NULL, "x");
    uint64_t id = answer_job(answer);
    client_await_state(client, id, "done");
    snprintf(where, sizeof where, "/jobs/%llu?forget=true", (unsigned long long)id);
    assert_int_equal(client_send(client, "DELETE", where, NULL, NULL)->status, 409);
    assert_int_equal(client_post(client, "/queues/callbacks/resume")->status, 200);
    service_await(service, SERVICE_REQUESTS, 1);
    client_await_metric(client, "jobd_jobs_done_total{queue=\"callbacks\"}", 1);
    snprintf(where, sizeof where, "/jobs/%llu", (unsigned long long)id);
    assert_int_equal(client_get(client, where)->status, 404);
    client_free(client);
    service_stop(service);
}

/* ---- SIGHUP */

static void prefixes_and_secret_are_read_again(void **state)
{
    struct service *service = service_start();
    char host[SERVICE_URL_SIZE], path[TEXT_SIZE], prefix[TEXT_SIZE], line[SERVER_LINE_SIZE],
        more[TEXT_SIZE];
    (void)state;
    snprintf(prefix, sizeof prefix, "\"%s/hooks\"", host_of(service, host));
    snprintf(more, sizeof more, ", \"callback-secret\": \"%s\"", secret_file(SECRET));
    struct server *server = server_start("--config", config(prefix, QUICK, more));
    struct client *client = client_new(server);
    (void)client_send(client, "POST", path_to(service, "", path), NULL, "x");
    service_await(service, SERVICE_REQUESTS, 1);
    service_assert_signed(service, SECRET);
    client_await_state(client, delivery_of(client), "done");
    /* another secret */
    secret_file(OTHER);
    server_signal(server, SIGHUP);
    server_await_lines(server, ERR, "configuration reloaded", 1);
    (void)client_send(client, "POST", path, NULL, "x");
    service_await(service, SERVICE_REQUESTS, 2);
    service_assert_signed(service, OTHER);
    /* a bad one changes nothing */
    secret_file("none");
    server_signal(server, SIGHUP);
    server_await_line(server, ERR, "nothing is changed", line);
    assert_non_null(strstr(line, "callback-secret"));
    (void)client_send(client, "POST", path, NULL, "x");
    service_await(service, SERVICE_REQUESTS, 3);
    service_assert_signed(service, OTHER);
    /* a prefix that is gone: what waits is not told */
    secret_file(SECRET);
    assert_int_equal(client_post(client, "/queues/callbacks/pause")->status, 200);
    (void)client_send(client, "POST", path, NULL, "x");
    client_await_metric(client, "jobd_jobs_done_total{queue=\"default\"}", 4);
    (void)config("\"http://other.example\"", QUICK, more);
    server_signal(server, SIGHUP);
    server_await_lines(server, ERR, "configuration reloaded", 2);
    assert_int_equal(client_post(client, path)->status, 400);
    assert_int_equal(client_post(client, "/queues/callbacks/resume")->status, 200);
    client_await_metric(client, "jobd_jobs_failed_total{queue=\"callbacks\"}", 1);
    const cJSON *jobs =
        cJSON_GetObjectItem(client_json(client, "/jobs?queue=callbacks&state=failed"), "jobs");
    assert_non_null(strstr(json_string(jobs->child, "error"), "--callback-allow"));
    assert_int_equal(service_count(service, SERVICE_REQUESTS), 3);
    client_free(client);
    service_stop(service);
}

/* The queue comes with the first prefix, and goes with the last. */
static void the_queue_comes_and_goes(void **state)
{
    struct service *service = service_start();
    char host[SERVICE_URL_SIZE], path[TEXT_SIZE], text[TEXT_SIZE];
    (void)state;
    static const char usual[] = "{\"exec\": [\"cat\"]}";
    struct server *server = server_start("--config", temporary_file("jobd.json", usual));
    struct client *client = client_new(server);
    assert_int_equal(client_get(client, "/queues/callbacks")->status, 404);
    snprintf(text, sizeof text, "{\"exec\": [\"cat\"], \"callback-allow\": \"%s\"}",
             host_of(service, host));
    (void)temporary_file("jobd.json", text);
    server_signal(server, SIGHUP);
    server_await_lines(server, ERR, "configuration reloaded", 1);
    assert_int_equal(client_get(client, "/queues/callbacks")->status, 200);
    (void)client_send(client, "POST", path_to(service, "", path), NULL, "x");
    service_await(service, SERVICE_REQUESTS, 1);
    client_await_state(client, delivery_of(client), "done");
    (void)temporary_file("jobd.json", usual);
    server_signal(server, SIGHUP);
    server_await_lines(server, ERR, "configuration reloaded", 2);
    assert_int_equal(client_post(client, path)->status, 400);
    assert_int_equal(client_get(client, "/queues/callbacks")->status, 404);
    client_free(client);
    service_stop(service);
}

/* ---- configuration */

static void assert_refused(const char *text, const char *why)
{
    char *out, *err;
    const char *path = temporary_file("bad.json", text);
    int code =
        server_run((const char *const[]){"--check", "--config", path, NULL}, NULL, &out, &err);
    assert_int_equal(code, 2);
    if (strstr(err, why) == NULL)
        fail_msg("%s: %s", text, err);
    free(out);
    free(err);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    assert_refused("{\"queues\": {\"callbacks\": {}}}", "\"callbacks\": is the name of the queue");
    assert_refused(
        "{\"callback-allow\": \"http://a/\", \"queues\": {\"callbacks\": {\"exec\": [\"cat\"]}}}",
        "\"exec\": the queue of callbacks has its own runner");
    assert_refused(
        "{\"callback-allow\": \"http://a/\", \"queues\": {\"callbacks\": {\"workers\": 0}}}",
        "\"workers\": must be at least 1");
    assert_refused("{\"callback-allow\": \"http://a/../b\"}", "\"callback-allow\": invalid value");
    assert_refused("{\"callback-allow\": [\"http://a/\", \"b\"]}", "\"callback-allow\"");
    assert_refused("{\"callback-allow\": \"http://a/\", \"callback-secret\": \"/nowhere/s\"}",
                   "/nowhere/s");
    assert_refused("{\"callback-allow\": \"http://a/\", \"schedules\": {\"x\": {\"every\": \"1h\", "
                   "\"callback\": \"http://b/\"}}}",
                   "\"x\": callback: no --callback-allow allows this URL");
    assert_refused("{\"callback-allow\": \"http://a/\", \"schedules\": {\"x\": {\"every\": \"1h\", "
                   "\"queue\": \"callbacks\"}}}",
                   "there is no queue \"callbacks\" for jobs");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_teardown(f, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(the_end_of_a_job_is_told),
        TEST(output_that_is_long_or_no_text_is_left_out),
        TEST(a_batch_is_told_of_once),
        TEST(failures_and_cancellations_are_told),
        TEST(a_schedules_jobs_tell_too),
        TEST(only_what_a_prefix_allows),
        TEST(the_queue_is_the_servers_own),
        TEST(there_is_room_for_all_that_is_promised),
        TEST(a_service_that_is_ill_is_asked_again),
        TEST(one_that_is_gone_is_not),
        TEST(a_paused_queue_keeps_what_is_to_be_told),
        TEST(prefixes_and_secret_are_read_again),
        TEST(the_queue_comes_and_goes),
        TEST(mistakes_are_named),
    };
    return cmocka_run_group_tests_name("callbacks", tests, NULL, NULL);
}
