/* SPDX-License-Identifier: MIT */
/* Fields of a request that a queue keeps with its jobs: they reach a command and a web service, in
 * each of the ways that a job can take. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/server.h"
#include "support/service.h"

#define GITHUB                                                                                     \
    "X-GitHub-Event: push", "x-hub-signature-256: sha256=757107ea0eb2509fc211221cce984b8a",        \
        "X-GitHub-Delivery: 72d3162e-cc78-11e3-81ab-4c9367dc0958"
#define NAMES "\"pass_headers\": [\"X-GitHub-Event\", \"X-Hub-Signature-256\"]"

enum { TEXT_SIZE = 2048 };

static const char *config(const char *keys)
{
    char text[TEXT_SIZE + 64];
    snprintf(text, sizeof text, "{\"queues\": {\"default\": {%s}}}", keys);
    return temporary_file("jobd.json", text);
}

#define SAYS(script) "\"exec\": [\"sh\", \"-c\", \"" script "\"]"
#define SAYS_ALL     SAYS("env | grep ^JOBD_HEADER_ | sort")

static void a_webhook_reaches_a_command(void **state)
{
    (void)state;
    struct server *server = server_spawn(&(struct server_plan){
        .arguments = WORDS("-l", "127.0.0.1:0", "--config", config(SAYS_ALL ", " NAMES)),
        .environment = WORDS("JOBD_HEADER_X_OLD=stale")});
    server_await_listening(server);
    struct client *client = client_new(server);
    assert_answer(client_send(client, "POST", "/do", FIELDS("Prefer: wait=15", GITHUB), "{}"), 200,
                  "JOBD_HEADER_X_GITHUB_EVENT=push\n"
                  "JOBD_HEADER_X_HUB_SIGNATURE_256=sha256=757107ea0eb2509fc211221cce984b8a\n");
    assert_answer(client_send(client, "POST", "/do", FIELDS("Prefer: wait=15"), "{}"), 200, "");
    client_free(client);
}

/* The values of one name are one variable; what is not printable is left out. */
static void values_of_any_kind(void **state)
{
    const char *keys = SAYS_ALL ", \"pass_headers\": [\"X-A\", \"X-B!\", \"Timeout\"]";
    (void)state;
    struct server *server = server_spawn(
        &(struct server_plan){.arguments = WORDS("-l", "127.0.0.1:0", "--config", config(keys)),
                              .environment = WORDS("JOBD_HEADER_TIMEOUT=20s")});
    server_await_listening(server);
    struct client *client = client_new(server);
    assert_answer(client_send(client, "GET", "/do",
                              FIELDS("Prefer: wait=15", "X-A: one two ", "X-B!: $(id)",
                                     "X-A: \xc3\xa4", "x-a:   three ", "X-A;", "Cookie: a=b"),
                              NULL),
                  200,
                  "JOBD_HEADER_TIMEOUT=20s\nJOBD_HEADER_X_A=one two, three\n"
                  "JOBD_HEADER_X_B_=$(id)\n");
    assert_answer(client_send(client, "GET", "/do", FIELDS("Prefer: wait=15", "Timeout: 7"), NULL),
                  200, "JOBD_HEADER_TIMEOUT=7\n");
    client_free(client);
}

/* How often the last request has this line. */
static unsigned sent(struct service *service, const char *line)
{
    size_t size;
    char text[256];
    unsigned count = 0;
    snprintf(text, sizeof text, "\r\n%s\r\n", line);
    for (const char *at = service_request(service, &size); (at = strstr(at, text)) != NULL; at++)
        count++;
    return count;
}

static void a_webhook_reaches_a_service(void **state)
{
    struct service *service = service_start();
    char keys[TEXT_SIZE];
    (void)state;
    snprintf(keys, sizeof keys,
             "\"post\": \"%s\", \"pass_headers\": [\"X-GitHub-Event\", \"X-A\", \"webhook-id\"]",
             service_url(service));
    struct server *server = server_start("--config", config(keys));
    struct client *client = client_new(server);
    assert_int_equal(client_send(client, "POST", "/do",
                                 FIELDS("Prefer: wait=15", GITHUB, "X-A: \xc3\xa4",
                                        "x-a: second,third", "webhook-id: msg_1"),
                                 "{}")
                         ->status,
                     200);
    assert_int_equal(sent(service, "X-GitHub-Event: push"), 1);
    assert_int_equal(sent(service, "X-A: \xc3\xa4"), 1);
    assert_int_equal(sent(service, "X-A: second,third"), 1);
    assert_int_equal(sent(service, "webhook-id: msg_1"), 1);
    size_t size;
    assert_null(strstr(service_request(service, &size), "72d3162e"));
    client_free(client);
    service_stop(service);
}

/* Each job of a batch, one that waits for room, one that is retried by hand, one of before a kill,
 * and one that has replaced another has them. */
static void they_go_with_the_job(void **state)
{
    char folder[160], line[SERVER_LINE_SIZE];
    const char *keys = SAYS_ALL ", \"workers\": 1, \"capacity\": 3, " NAMES;
    const char *const expected = "JOBD_HEADER_X_GITHUB_EVENT=push\n";
    (void)state;
    snprintf(folder, sizeof folder, "%s/data", temporary_directory());
    const char *const *arguments =
        WORDS("-l", "127.0.0.1:0", "-d", folder, "--config", config(keys));
    struct server *server = server_spawn(&(struct server_plan){.arguments = arguments});
    server_await_listening(server);
    struct client *client = client_new(server);
    assert_answer(client_post(client, "/queues/default/pause"), 200, NULL);
    const struct answer *answer =
        client_send(client, "POST", "/do?batch=lines",
                    FIELDS("Accept: application/json", "X-GitHub-Event: push"), "1\n2\n");
    unsigned long long first = 0;
    assert_int_equal(sscanf(answer->body, "{\"ids\":[%llu", &first), 1);
    answer = client_send(client, "POST", "/do?unique=waiting",
                         FIELDS("Idempotency-Key: k", "X-GitHub-Event: other"), "3");
    uint64_t replaced = answer_job(answer);
    assert_int_equal(client_send(client, "POST", "/do?unique=waiting&again=replace",
                                 FIELDS("Idempotency-Key: k", "X-GitHub-Event: push"), "4")
                         ->status,
                     202);
    server_kill(server);
    client_free(client);
    server = server_spawn(&(struct server_plan){.arguments = arguments});
    server_await_listening(server);
    client = client_new(server);
    (void)client_post(client, "/queues/default/resume");
    const uint64_t ids[] = {first, first + 1, replaced};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        char path[64];
        client_await_state(client, ids[i], "done");
        snprintf(path, sizeof path, "/jobs/%llu/output", (unsigned long long)ids[i]);
        assert_answer(client_get(client, path), 200, expected);
    }
    snprintf(line, sizeof line, "/jobs/%llu/retry", first);
    assert_int_equal(client_post(client, line)->status, 202);
    client_await_state(client, first, "done");
    snprintf(line, sizeof line, "/jobs/%llu/output", first);
    assert_answer(client_get(client, line), 200, expected);
    assert_answer(client_send(client, "POST", "/do?block=5s",
                              FIELDS("Prefer: wait=15", "X-GitHub-Event: push"), "5"),
                  200, expected);
    client_free(client);
}

static void they_change_while_it_runs(void **state)
{
    char line[SERVER_LINE_SIZE];
    (void)state;
    struct server *server = server_start("--config", config(SAYS_ALL));
    struct client *client = client_new(server);
    const char *const *fields = FIELDS("Prefer: wait=15", "X-A: a", "X-B: b");
    assert_answer(client_send(client, "POST", "/do", fields, NULL), 200, "");
    config(SAYS_ALL ", \"pass_headers\": [\"X-A\"]");
    server_signal(server, SIGHUP);
    server_await_line(server, ERR, "changed: pass-headers", line);
    assert_answer(client_send(client, "POST", "/do", fields, NULL), 200, "JOBD_HEADER_X_A=a\n");
    config(SAYS_ALL ", \"pass_headers\": [\"X-B\"]}, \"new\": {" SAYS_ALL
                    ", \"pass_headers\": [\"X-A\", \"X-B\"]");
    server_signal(server, SIGHUP);
    server_await_line(server, ERR, "queue new: new", line);
    server_await_lines(server, ERR, "configuration reloaded", 2);
    assert_answer(client_send(client, "POST", "/do", fields, NULL), 200, "JOBD_HEADER_X_B=b\n");
    assert_answer(client_send(client, "POST", "/do/new", fields, NULL), 200,
                  "JOBD_HEADER_X_A=a\nJOBD_HEADER_X_B=b\n");
    client_free(client);
}

/* No more than is said, and nothing that a store or a service could not take. */
static void what_cannot_be_kept(void **state)
{
    (void)state;
    struct server *server = server_start(
        "--config",
        config(SAYS("env | grep -c ^JOBD_HEADER_X") ", "
                                                    "\"pass_headers\": [\"X-A\", \"X-B\"]"));
    struct client *client = client_new(server);
    char *most = raw_filled("X-A: ", 'a', 8192 - strlen("X-A: \n"), "");
    char *more = raw_filled("X-A: ", 'a', 8192 - strlen("X-A: \n") + 1, "");
    assert_answer(client_send(client, "POST", "/do", FIELDS("Prefer: wait=15", most), NULL), 200,
                  "1\n");
    assert_answer(client_send(client, "POST", "/do", FIELDS(more), NULL), 431,
                  "the fields that the queue keeps take more than 8192 bytes\n");
    assert_answer(client_send(client, "POST", "/do", FIELDS(most, "X-B: b"), NULL), 431, NULL);
    assert_answer(client_send(client, "POST", "/do", FIELDS("X-B: \xe4"), NULL), 400,
                  "the field X-B must be UTF-8\n");
    free(most);
    free(more);
    client_free(client);
}

/* They may hold what is for one reader alone. */
static void they_are_shown_to_nobody(void **state)
{
    (void)state;
    struct server *server = server_start("--config", config("\"workers\": 0, " NAMES));
    struct client *client = client_new(server);
    const struct answer *answer = client_send(client, "POST", "/do", FIELDS(GITHUB), "{}");
    uint64_t id = answer_job(answer);
    (void)client_job(client, id);
    char path[64];
    snprintf(path, sizeof path, "/jobs/%llu", (unsigned long long)id);
    assert_null(strstr(client_get(client, path)->body, "sha256"));
    answer = client_send(client, "POST", "/take", FIELDS("Accept: application/json"), NULL);
    assert_int_equal(answer->status, 200);
    assert_null(strstr(answer->body, "sha256"));
    client_free(client);
}

static void what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *keys, *line;
    } rows[] = {
        {"[\"Authorization\"]", "\"pass_headers\": invalid value"},
        {"[\"host\"]", "\"pass_headers\": invalid value"},
        {"[\"Jobd-Id\"]", "\"pass_headers\": invalid value"},
        {"[\"Content-Type\"]", "not Authorization, Host nor any that jobd makes itself"},
        {"[\"Idempotency-Key\"]", "\"pass_headers\": invalid value"},
        {"[\"X A\"]", "\"pass_headers\": invalid value"},
        {"[\"X-A\", \"x-a\"]", "\"pass_headers\": invalid value"},
        {"[\"X-A\", \"X_A\"]", "\"pass_headers\": invalid value"},
        {"[]", "\"pass_headers\": invalid value"},
        {"[\"\"]", "\"pass_headers\": invalid value"},
        {"\"X-A\"", "\"pass_headers\": must be an array of strings"},
        {"[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\",\"j\",\"k\",\"l\",\"m\",\"n\","
         "\"o\",\"p\",\"q\"]",
         "an array of 1 to 16 names"},
        {"[\"X-Own\"]", "\"pass_headers\": queue default: X-Own: headers has it"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char keys[TEXT_SIZE], *out, *err;
        snprintf(keys, sizeof keys,
                 "\"post\": \"http://127.0.0.1:1/\", \"headers\": {\"x-own\": \"1\"}, "
                 "\"pass_headers\": %s",
                 rows[i].keys);
        int code = server_run(WORDS("--config", config(keys), "--check"), NULL, &out, &err);
        if (code != 2 || strstr(err, rows[i].line) == NULL)
            fail_msg("%s: %d: %s", rows[i].keys, code, err);
        free(out);
        free(err);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(a_webhook_reaches_a_command), TEST(values_of_any_kind),
        TEST(a_webhook_reaches_a_service), TEST(they_go_with_the_job),
        TEST(they_change_while_it_runs),   TEST(what_cannot_be_kept),
        TEST(they_are_shown_to_nobody),    TEST(what_is_wrong_is_named),
    };
    return cmocka_run_group_tests_name("pass_headers", tests, NULL, NULL);
}
