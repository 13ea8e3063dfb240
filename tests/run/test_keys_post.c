/* SPDX-License-Identifier: MIT */
/* What a queue's object may say about its requests: fields, secrets from files, a signature, a unix
 * socket, certificates. Seen by a web service. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/server.h"
#include "support/service.h"

#define WAIT   FIELDS("Prefer: wait=15")
#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define OTHER  "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

enum { TEXT_SIZE = 2048 };

/* A file with one queue that posts there, and these keys. */
static const char *config(const char *url, const char *keys)
{
    char text[3 * TEXT_SIZE];
    snprintf(text, sizeof text, "{\"queues\": {\"default\": {\"post\": \"%s\"%s%s}}}", url,
             keys[0] != '\0' ? ", " : "", keys);
    return temporary_file("jobd.json", text);
}

static const char *secret_file(const char *name, const char *text)
{
    const char *path = temporary_file(name, text);
    assert_int_equal(chmod(path, 0600), 0);
    return path;
}

/* The value of a field of the last request; "" when it is not there. */
static void fields_and_secrets(void **state)
{
    struct service *service = service_start();
    const char *token = secret_file("token", " Bearer first \n");
    char keys[TEXT_SIZE], value[SERVICE_FIELD_SIZE], line[SERVER_LINE_SIZE];
    (void)state;
    snprintf(keys, sizeof keys,
             "\"headers\": {\"X-Tenant\": \"seven\", \"Authorization\": \"@%s\", "
             "\"User-Agent\": \"mailer\"}",
             token);
    struct server *server =
        server_start("--config", config(service_url(service), keys), "--log-level", "debug");
    struct client *client = client_new(server);
    assert_int_equal(client_send(client, "POST", "/do", WAIT, "x")->status, 200);
    assert_string_equal(service_field(service, "X-Tenant", value), "seven");
    assert_string_equal(service_field(service, "Authorization", value), "Bearer first");
    assert_string_equal(service_field(service, "User-Agent", value), "mailer");
    assert_string_equal(service_field(service, "webhook-id", value), "");
    /* Read again, and kept where it cannot be. */
    secret_file("token", "Bearer second");
    server_signal(server, SIGHUP);
    server_await_line(server, ERR, "configuration reloaded", line);
    assert_int_equal(client_send(client, "POST", "/do", WAIT, "x")->status, 200);
    assert_string_equal(service_field(service, "Authorization", value), "Bearer second");
    secret_file("token", "two\nlines");
    server_signal(server, SIGHUP);
    server_await_line(server, ERR, "nothing is changed", line);
    assert_non_null(strstr(line, "\"headers\": queue default: "));
    assert_non_null(strstr(line, "/token: holds what no field may have"));
    assert_int_equal(client_send(client, "POST", "/do", WAIT, "x")->status, 200);
    assert_string_equal(service_field(service, "Authorization", value), "Bearer second");
    assert_int_equal(server_count_lines(server, ERR, "first"), 0);
    assert_int_equal(server_count_lines(server, ERR, "second"), 0);
    client_free(client);
    service_stop(service);
}

static void requests_are_signed(void **state)
{
    struct service *service = service_start();
    const char *path = secret_file("secret", SECRET "\n");
    char keys[TEXT_SIZE], id[SERVICE_FIELD_SIZE], again[SERVICE_FIELD_SIZE],
        value[SERVICE_FIELD_SIZE], line[SERVER_LINE_SIZE];
    (void)state;
    snprintf(keys, sizeof keys, "\"sign\": \"%s\", \"attempts\": 2, \"backoff\": \"1ms..2ms\"",
             path);
    service_script(service, SERVICE_SCRIPT({.answer = "HTTP/1.1 500 No\r\n"
                                                      "Content-Length: 0\r\n\r\n"},
                                           {.answer = OK_EMPTY}));
    struct server *server = server_start("--config", config(service_url(service), keys));
    struct client *client = client_new(server);
    int64_t before_s = (int64_t)time(NULL);
    const struct answer *answer = client_send(client, "POST", "/do", NULL, "pay\nload");
    uint64_t job = answer_job(answer);
    client_await_state(client, job, "done");
    service_assert_signed(service, SECRET);
    assert_string_equal(service_body(service), "pay\nload");
    snprintf(again, sizeof again, "jobd-%llu", (unsigned long long)job);
    assert_string_equal(service_field(service, "webhook-id", id), again);
    assert_string_equal(service_field(service, "Jobd-Attempt", value), "2");
    int64_t at_s = atoll(service_field(service, "webhook-timestamp", value));
    assert_true(at_s >= before_s && at_s <= (int64_t)time(NULL));
    assert_int_equal(client_send(client, "GET", "/do", WAIT, NULL)->status, 200);
    service_assert_signed(service, SECRET);
    assert_string_equal(service_body(service), "");
    secret_file("secret", OTHER);
    server_signal(server, SIGHUP);
    server_await_line(server, ERR, "configuration reloaded", line);
    assert_int_equal(client_send(client, "POST", "/do", WAIT, "x")->status, 200);
    service_assert_signed(service, OTHER);
    assert_string_equal(service_body(service), "x");
    client_free(client);
    service_stop(service);
}

/* Another jobd is the service. */
static void a_unix_socket(void **state)
{
    const char *address = temporary_socket();
    char keys[TEXT_SIZE];
    (void)state;
    struct server *service =
        server_spawn(&(struct server_plan){.arguments = WORDS("-l", address, "-w", "0")});
    server_await_listening(service);
    snprintf(keys, sizeof keys, "\"unix\": \"%s\"", address + strlen("unix:"));
    struct server *server = server_start("--config", config("http://localhost/do", keys));
    struct client *client = client_new(server);
    assert_answer(client_send(client, "POST", "/do", WAIT, "x"), 200, "queued\n");
    client_free(client);
}

static void certificates_of_our_own(void **state)
{
    char command[2 * TEXT_SIZE], keys[TEXT_SIZE], url[TEXT_SIZE], crt[TEXT_SIZE / 2],
        pem[TEXT_SIZE / 2];
    (void)state;
    if (system("openssl version >/dev/null 2>&1") != 0 ||
        system(JOBD_BINARY " -V | grep -q 'no TLS'") == 0)
        skip(); /* the service is jobd too */
    snprintf(crt, sizeof crt, "%s/crt", temporary_directory());
    snprintf(pem, sizeof pem, "%s/pem", temporary_directory());
    snprintf(command, sizeof command,
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
             "-subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout %s -out %s "
             "2>/dev/null",
             pem, crt);
    assert_int_equal(system(command), 0);
    struct server *service = server_start("--tls-cert", crt, "--tls-key", pem, "-w", "0");
    snprintf(url, sizeof url, "https://localhost:%s/do", strrchr(server_address(service), ':') + 1);
    snprintf(keys, sizeof keys, "\"ca\": \"%s\"", crt);
    struct server *server = server_start("--config", config(url, keys));
    struct client *client = client_new(server);
    assert_answer(client_send(client, "POST", "/do", WAIT, "x"), 200, "queued\n");
    client_free(client);
    server = server_start("--config", config(url, ""));
    client = client_new(server);
    assert_int_equal(client_send(client, "POST", "/do", WAIT, "x")->status, 500);
    client_free(client);
}

/* The service is another jobd, which is away at first and away again. */
static void a_service_that_is_away(void **state)
{
    const char *address = temporary_socket();
    char keys[TEXT_SIZE], line[SERVER_LINE_SIZE];
    uint64_t ids[6];
    (void)state;
    snprintf(keys, sizeof keys,
             "\"unix\": \"%s\", \"attempts\": 4, \"backoff\": \"1ms..1ms\", "
             "\"breaker\": \"3/20ms\"",
             address + strlen("unix:"));
    struct server *server = server_start("--config", config("http://localhost/do", keys));
    struct client *client = client_new(server);
    assert_string_equal(json_string(client_json(client, "/queues/default"), "breaker"), "closed");
    for (size_t i = 0; i < 6; i++)
        ids[i] = client_put(client, "/do");
    server_await_line(server, ERR,
                      "queue default: its service is down, 3 failed attempts in a row:", line);
    assert_non_null(strstr(line, "one tries every 20 ms: "));
    assert_non_null(strstr(line, "connect"));
    client_await_metric(client, "jobd_queue_held{queue=\"default\"}", 1);
    assert_string_not_equal(json_string(client_json(client, "/queues/default"), "breaker"),
                            "closed");
    /* Many tries later no job has used more attempts up than the three that found out. */
    client_await_at_least(client, "jobd_job_wait_seconds_count{queue=\"default\"}", 15);
    double attempts = 0;
    for (size_t i = 0; i < 6; i++)
        attempts += json_number(client_job(client, ids[i]), "attempt");
    assert_true(attempts <= 4); /* the one that just tries included */
    struct server *service = server_spawn(
        &(struct server_plan){.arguments = WORDS("-l", address, "-w", "0", "-q", "100")});
    server_await_listening(service);
    server_await_line(server, ERR, "queue default: its service answers again after", line);
    client_await_metric(client, "jobd_queue_held{queue=\"default\"}", 0);
    client_await_metric(client, "jobd_jobs_done_total{queue=\"default\"}", 6);
    assert_true(client_metric(client, "jobd_jobs_failed_total{queue=\"default\"}") == 0);
    assert_true(client_metric(client, "jobd_breaker_opened_total{queue=\"default\"}") == 1);
    client_free(client);
}

/* A mistake is one line that names the key and what is allowed, and never a value. */
static void what_is_wrong_is_named(void **state)
{
    const char *key = secret_file("key", "hunter2"), *empty = secret_file("empty", "\n");
    char wrong_sign[TEXT_SIZE], wrong_value[TEXT_SIZE], wrong_ca[TEXT_SIZE], no_socket[TEXT_SIZE];
    snprintf(wrong_sign, sizeof wrong_sign, "\"sign\": \"%s\"", key);
    snprintf(wrong_value, sizeof wrong_value, "\"headers\": {\"X\": \"@%s\"}", empty);
    snprintf(wrong_ca, sizeof wrong_ca, "\"ca\": \"%s\"", key);
    snprintf(no_socket, sizeof no_socket, "\"unix\": \"%s\"", key);
    const struct {
        const char *keys, *line;
    } rows[] = {
        {"\"headers\": {\"A b\": \"hunter2\"}", "\"headers\": invalid value; expected an object"},
        {"\"headers\": {\"A:b\": \"hunter2\"}", "\"headers\": invalid value; expected"},
        {"\"headers\": {\"\": \"hunter2\"}", "\"headers\": invalid value; expected"},
        {"\"headers\": {\"X\": \"hunter2\\nY: z\"}", "\"headers\": invalid value; expected"},
        {"\"headers\": {\"X\": \" \"}", "\"headers\": invalid value; expected"},
        {"\"headers\": {\"X\": \"@\"}", "\"headers\": invalid value; expected"},
        {"\"headers\": {\"X\": \"a\", \"x\": \"b\"}", "\"headers\": invalid value; expected"},
        {"\"headers\": {\"Content-Length\": \"1\"}", "\"headers\": invalid value; expected"},
        {"\"headers\": {\"jobd-id\": \"1\"}", "\"headers\": invalid value; expected"},
        {"\"headers\": {\"Webhook-Signature\": \"1\"}", "\"headers\": invalid value; expected"},
        {"\"headers\": {\"X\": 1}", "\"headers\": invalid value; expected an object"},
        {"\"headers\": [\"hunter2\"]", "\"headers\": must be an object of strings"},
        {"\"headers\": {\"X\": \"@/nowhere/x\"}",
         "\"headers\": queue default: /nowhere/x: No such file or directory"},
        {wrong_value, "empty: is empty"},
        {"\"sign\": \"/nowhere/key\"",
         "\"sign\": queue default: /nowhere/key: No such file or directory"},
        {wrong_sign, "key: is no secret of Standard Webhooks"},
        {wrong_ca, "key: has no certificate in PEM"},
        {"\"ca\": \"/nowhere/ca\"", "\"ca\": queue default: /nowhere/ca: No such file"},
        {no_socket, "key: is not a socket"},
        {"\"breaker\": \"5\"", "\"breaker\": invalid value \"5\"; expected a number of failures"},
        {"\"breaker\": \"0/1s\"", "\"breaker\": invalid value \"0/1s\"; expected"},
        {"\"breaker\": \"5/0s\"", "\"breaker\": invalid value \"5/0s\"; expected"},
        {"\"breaker\": \"1001/1s\"", "\"breaker\": invalid value \"1001/1s\"; expected"},
        {"\"breaker\": \"5/2d\"", "\"breaker\": invalid value \"5/2d\"; expected"},
        {"\"breaker\": 5", "\"breaker\": must be a string like"},
        {"\"nice\": 3", "\"nice\": is a key of queues with exec; this one has post"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *path = config("http://127.0.0.1:1/", rows[i].keys);
        for (int check = 0; check < 2; check++) {
            char *out, *err;
            int code = server_run(check ? WORDS("--config", path, "--check")
                                        : WORDS("--config", path, "-l", "127.0.0.1:0"),
                                  NULL, &out, &err);
            if (code != 2 || strstr(err, rows[i].line) == NULL || strchr(err, '\n')[1] != '\0')
                fail_msg("%s: %d: %s", rows[i].keys, code, err);
            assert_null(strstr(err, "hunter2"));
            free(out);
            free(err);
        }
    }
}

/* They are keys of the file alone, and its top has them for those queues that post. */
static void where_they_may_stand(void **state)
{
    struct service *service = service_start();
    char text[TEXT_SIZE], value[SERVICE_FIELD_SIZE], *out, *err;
    (void)state;
    assert_int_equal(server_run(WORDS("--sign", "x"), NULL, &out, &err), 2);
    assert_non_null(strstr(err, "--sign: no such option"));
    free(out);
    free(err);
    snprintf(text, sizeof text,
             "{\"headers\": {\"X\": \"top\"}, \"nice\": 1, \"queues\": {"
             "\"default\": {\"post\": \"%s\"}, \"run\": {\"exec\": [\"true\"]}, \"idle\": {}}}",
             service_url(service));
    struct server *server = server_start("--config", temporary_file("jobd.json", text));
    struct client *client = client_new(server);
    assert_int_equal(client_send(client, "POST", "/do", WAIT, "x")->status, 200);
    assert_string_equal(service_field(service, "X", value), "top");
    client_free(client);
    service_stop(service);
}

static void secrets_that_others_can_read(void **state)
{
    const char *path = temporary_file("key", SECRET);
    char keys[TEXT_SIZE], *out, *err;
    (void)state;
    assert_int_equal(chmod(path, 0644), 0);
    snprintf(keys, sizeof keys, "\"sign\": \"%s\"", path);
    assert_int_equal(server_run(WORDS("--config", config("http://127.0.0.1:1/", keys), "--check"),
                                NULL, &out, &err),
                     0);
    assert_non_null(strstr(err, "key: others can read the secret: its mode is 644"));
    free(out);
    free(err);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(fields_and_secrets),      TEST(requests_are_signed),
        TEST(a_service_that_is_away),  TEST(a_unix_socket),
        TEST(certificates_of_our_own), TEST(what_is_wrong_is_named),
        TEST(where_they_may_stand),    TEST(secrets_that_others_can_read),
    };
    return cmocka_run_group_tests_name("keys_post", tests, NULL, NULL);
}
