/* SPDX-License-Identifier: MIT */
/* The header fields of answers, beside /openapi.json: each one that it describes is sent somewhere.
 * That no other is sent, in this test or another, is support/described.h's to see. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/described.h"

#define ADMIN "Authorization: Bearer admin-admin-admin"
#define TRACE "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

struct scene {
    struct client *client;
    cJSON *seen;   /* members named by key_of() */
    char job[256]; /* one that has failed, with more output than is kept */
};

/* What a field of an answer is known by: the same for all methods and paths of one endpoint, whose
 * summary is its own. */
static void key_of(char key[256], const char *summary, long status, const char *field)
{
    snprintf(key, 256, "%s %ld %s", summary, status, field);
}

static void see(struct scene *scene, const char *method, const char *path,
                const struct answer *answer)
{
    char key[256], name[64], status[16];
    const cJSON *operation = described_operation(method, path);
    assert_non_null(operation);
    snprintf(status, sizeof status, "%ld", answer->status);
    const cJSON *own = cJSON_GetObjectItemCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(operation, "responses"), status);
    bool refused = own == NULL || cJSON_HasObjectItem(own, "$ref");
    const char *at = answer->head;
    while ((at = described_next_field(at, name)) != NULL) {
        key_of(key, refused ? "refused" : json_string(operation, "summary"), answer->status, name);
        if (!cJSON_HasObjectItem(scene->seen, key))
            assert_non_null(cJSON_AddTrueToObject(scene->seen, key));
    }
}

/* With the token of who may do everything, and `field`, if that is not NULL. */
static const struct answer *ask(struct scene *scene, const char *method, const char *path,
                                const char *field, const char *body)
{
    const struct answer *answer =
        client_send(scene->client, method, path, FIELDS(ADMIN, field), body);
    see(scene, method, path, answer);
    return answer;
}

static void expect(struct scene *scene, long status, const char *method, const char *path,
                   const char *field)
{
    assert_answer(ask(scene, method, path, field, NULL), status, NULL);
}

/* ---- what is asked */

/* A job that is replaced, waited for, and put in once more. */
static void put_and_wait(struct scene *scene, const char *key, const char *payload, long status)
{
    const char *const fields[] = {ADMIN, key, "Prefer: wait=60", NULL};
    static const char *const paths[] = {"/do/run?unique=waiting&again=replace", "/do/run"};
    expect(scene, 202, "POST", "/do/run?delay=1h", key);
    for (size_t i = 0; i < 2; i++) {
        const struct answer *answer = client_send(scene->client, "POST", paths[i], fields, payload);
        see(scene, "POST", paths[i], answer);
        assert_answer(answer, status, "1234");
    }
}

static void put(struct scene *scene)
{
    const char *twice = "Idempotency-Key: twice", *newer = "Idempotency-Key: newer";
    assert_answer(ask(scene, "POST", "/do/run", "Prefer: wait=60", "0\n"), 200, "1234");
    const struct answer *answer = ask(scene, "POST", "/do/run", "Prefer: wait=60", "3\n");
    assert_answer(answer, 500, "1234");
    (void)answer_field(answer, "Location", scene->job);
    put_and_wait(scene, "Idempotency-Key: good", "0\n", 200);
    put_and_wait(scene, "Idempotency-Key: bad", "3\n", 500);
    expect(scene, 202, "POST", "/do/mail", twice);
    expect(scene, 202, "POST", "/do/mail", twice);
    expect(scene, 202, "POST", "/do/mail?unique=waiting&again=replace", newer);
    expect(scene, 202, "POST", "/do/mail?unique=waiting&again=replace", newer);
    expect(scene, 201, "PUT", "/schedules/nightly?cron=@daily&queue=mail", NULL);
    expect(scene, 202, "POST", "/schedules/nightly/run", NULL);
    expect(scene, 202, "POST", "/do", NULL);
    expect(scene, 429, "POST", "/do", NULL);
}

/* A lease, which is ended twice in that way. */
static void end_twice(struct scene *scene, const char *how)
{
    char lease[256], path[300];
    expect(scene, 202, "POST", "/do/work?timeout=1m", TRACE);
    const struct answer *answer = ask(scene, "POST", "/take/work", NULL, NULL);
    assert_answer(answer, 200, "");
    snprintf(path, sizeof path, "%s/extend", answer_field(answer, "Location", lease));
    expect(scene, 200, "POST", path, NULL);
    snprintf(path, sizeof path, "%s/output", lease);
    assert_answer(ask(scene, "POST", path, NULL, "more than is kept"), 200, "appended\n");
    snprintf(path, sizeof path, "%s/%s", lease, how);
    expect(scene, 200, "POST", path, NULL);
    expect(scene, 200, "POST", path, NULL);
}

static void expect_of_job(struct scene *scene, long status, const char *method, const char *what,
                          const char *field)
{
    char path[300];
    snprintf(path, sizeof path, "%s%s", scene->job, what);
    expect(scene, status, method, path, field);
}

static void look(struct scene *scene)
{
    expect_of_job(scene, 200, "GET", "/payload", NULL);
    expect_of_job(scene, 200, "GET", "/output", NULL);
    expect_of_job(scene, 200, "GET", "/output?follow", NULL);
    expect_of_job(scene, 206, "GET", "/output?follow", "Range: bytes=1-");
    expect_of_job(scene, 416, "GET", "/output?follow", "Range: bytes=100-");
    expect_of_job(scene, 202, "POST", "/retry", NULL);
    expect(scene, 200, "HEAD", "/events", NULL);
    expect(scene, 200, "GET", "/backup", NULL);
    expect(scene, 200, "GET", "/", NULL);
    expect(scene, 200, "GET", "/jobd.css", NULL);
    expect(scene, 304, "GET", "/jobd.css", "If-None-Match: *");
    expect(scene, 200, "GET", "/openapi.json", NULL);
    expect(scene, 304, "GET", "/openapi.json", "If-None-Match: *");
}

static void be_refused(struct scene *scene)
{
    const struct answer *answer = client_get(scene->client, "/jobs");
    assert_int_equal(answer->status, 401);
    see(scene, "GET", "/jobs", answer);
    answer = client_send(scene->client, "POST", "/take",
                         FIELDS("Authorization: Bearer 0123456789abcdef"), NULL);
    assert_int_equal(answer->status, 403);
    see(scene, "POST", "/take", answer);
    assert_answer(ask(scene, "POST", "/do/mail", "Content-Encoding: gzip", "x"), 415, NULL);
}

/* All streams that there may be are open. */
static void be_refused_a_stream(struct scene *scene)
{
    struct server *server = server_start("-w", "0", "--max-streams", "1");
    struct client *client = client_new(server);
    struct raw raw = {.size = 0};
    int fd = raw_connect(server);
    assert_true(raw_send(fd, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    raw_read_until(fd, &raw, "\r\n\r\n");
    const struct answer *answer = client_get(client, "/events");
    assert_int_equal(answer->status, 503);
    see(scene, "GET", "/events", answer);
    close(fd);
    client_free(client);
}

/* ---- what is described */

static void assert_seen(const struct scene *scene, const cJSON *answer, const char *summary)
{
    char key[256];
    const cJSON *field;
    cJSON_ArrayForEach(field, cJSON_GetObjectItemCaseSensitive(answer, "headers"))
    {
        key_of(key, summary, strtol(answer->string, NULL, 10), field->string);
        if (!cJSON_HasObjectItem(scene->seen, key))
            fail_msg("described, but never sent: %s", key);
    }
}

static void assert_all_seen(const struct scene *scene)
{
    const cJSON *components = cJSON_GetObjectItemCaseSensitive(described(), "components");
    const cJSON *path, *operation, *answer;
    cJSON_ArrayForEach(path, cJSON_GetObjectItemCaseSensitive(described(), "paths"))
    {
        cJSON_ArrayForEach(operation, path)
        {
            cJSON_ArrayForEach(answer, cJSON_GetObjectItemCaseSensitive(operation, "responses"))
            {
                assert_seen(scene, answer, json_string(operation, "summary"));
            }
        }
    }
    cJSON_ArrayForEach(answer, cJSON_GetObjectItemCaseSensitive(components, "responses"))
    {
        assert_seen(scene, answer, "refused");
    }
}

static void each_is_sent_somewhere(void **state)
{
    const char *config = temporary_file(
        "fields.json", "{\"queues\": {\"default\": {\"capacity\": 1, \"workers\": 0},"
                       " \"mail\": {\"workers\": 0}, \"work\": {\"workers\": 0},"
                       " \"run\": {\"exec\": [\"/bin/sh\", \"-c\","
                       " \"read code; printf 123456; exit $code\"]}}}");
    const char *tokens =
        temporary_file("tokens", "admin admin-admin-admin\nput 0123456789abcdef\n");
    char data[256];
    (void)state;
    snprintf(data, sizeof data, "%s/fields", temporary_directory());
    struct server *server =
        server_start("-c", config, "-d", data, "--token-file", tokens, "--output-limit", "4");
    struct scene scene = {.client = client_new(server), .seen = cJSON_CreateObject()};
    put(&scene);
    end_twice(&scene, "done");
    end_twice(&scene, "fail");
    end_twice(&scene, "release");
    look(&scene);
    be_refused(&scene);
    be_refused_a_stream(&scene);
    assert_all_seen(&scene);
    cJSON_Delete(scene.seen);
    client_free(scene.client);
}

/* ---- pages of another site */

static bool is_listed(const char *list, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = list; (at = strstr(at, name)) != NULL; at += length)
        if (at[-1] == ' ' && strchr(",\r", at[length]) != NULL)
            return true;
    return false;
}

/* Those that only browsers heed, and what says what a request may not have. */
static bool is_of_no_use(const char *name)
{
    static const char *const names[] = {"Accept-Encoding", "Content-Security-Policy",
                                        "X-Content-Type-Options", "Referrer-Policy", "Vary"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* Their scripts see no field that is not listed. */
static void pages_may_read_them(void **state)
{
    static const char before[] = "Access-Control-Expose-Headers:";
    struct server *server = server_start("-w", "0", "--cors-origin", "https://app.example");
    struct client *client = client_new(server);
    const cJSON *components = cJSON_GetObjectItemCaseSensitive(described(), "components"), *one;
    (void)state;
    const struct answer *answer =
        client_send(client, "GET", "/healthz", FIELDS("Origin: https://app.example"), NULL);
    const char *list = strstr(answer->head, before);
    assert_non_null(list);
    cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(components, "headers"))
    {
        char name[64];
        const char *always = strstr(one->string, "-always");
        snprintf(name, sizeof name, "%.*s",
                 (int)(always != NULL ? (size_t)(always - one->string) : strlen(one->string)),
                 one->string);
        if (!is_of_no_use(name) && !is_listed(list, name))
            fail_msg("pages may not read %s", name);
    }
    client_free(client);
}

/* ---- and whoever checks them finds what is wrong */

#define HEAD(...) "HTTP/1.1 200 OK\r\nDate: now\r\n" __VA_ARGS__ "\r\n"

static void assert_found(const char *method, const char *path, long status, const char *head,
                         const char *field)
{
    char why[DESCRIBED_WHY_SIZE];
    described_check(method, path, status, head);
    assert_false(described_well(why));
    if (strstr(why, field) == NULL)
        fail_msg("found in place of %s: %s", field, why);
}

static void what_is_not_described_is_found(void **state)
{
    static const char both[] = HEAD("X-Content-Type-Options: nosniff\r\n"
                                    "Content-Security-Policy: sandbox\r\n");
    static const char one[] = HEAD("X-Content-Type-Options: nosniff\r\n");
    char why[DESCRIBED_WHY_SIZE];
    (void)state;
    described_check("GET", "/jobs/17/payload?x", 200, both);
    assert_true(described_well(why));
    assert_found("GET", "/jobs/17", 200, one, "not described to have X-Content-Type-Options");
    assert_found("GET", "/jobs/17/payload", 200, one, "described to have Content-Security-Policy");
    assert_found("GET", "/jobs/17/payload", 404, one, "not described to have X-Content");
    assert_found("GET", "/nowhere", 404, HEAD("Location: /\r\n"), "not described to have Location");
    assert_found("POST", "/do", 429, HEAD(), "described to have Retry-After");
    assert_found("POST", "/leases/done", 200, HEAD("Jobd-Repeated: true\r\n"), "Jobd-Repeated");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(each_is_sent_somewhere, server_stop_all),
        cmocka_unit_test_teardown(pages_may_read_them, server_stop_all),
        cmocka_unit_test_teardown(what_is_not_described_is_found, server_stop_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
