/* SPDX-License-Identifier: MIT */
/* The post runner: what it sends, and what it makes of an answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "run/post_scene.h"

/* ---- what is sent */

static void test_request(void **state)
{
    struct scene *scene = *state;
    give_payload(scene, "a\0b", 3, "text/csv; charset=utf-8");
    scene->task.id = 9007199254740991;
    scene->task.attempt = 3;
    scene->task.key = "order 17";
    scene->task.trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    assert_int_equal(attempt(scene), JOBD_DONE);
    static const char line[] = "POST /do/it?now HTTP/1.1\r\n";
    size_t size;
    assert_memory_equal(service_request(scene->service, &size), line, sizeof line - 1);
    assert_sent(scene, "Content-Length", "3");
    assert_sent(scene, "Content-Type", "text/csv; charset=utf-8");
    assert_sent(scene, "Jobd-Id", "9007199254740991");
    assert_sent(scene, "Jobd-Attempt", "3");
    assert_sent(scene, "Jobd-Queue", "mail");
    assert_sent(scene, "Idempotency-Key", "\"order 17\"");
    assert_sent(scene, "traceparent", scene->task.trace);
    assert_sent(scene, "User-Agent", "jobd/" JOBD_VERSION);
    assert_sent(scene, "Expect", "");
    assert_sent(scene, "Transfer-Encoding", "");
    assert_sent(scene, "Accept-Encoding", "");
    assert_sent_body(scene, "a\0b", 3);
}

static void test_request_without_payload(void **state)
{
    struct scene *scene = *state;
    assert_int_equal(attempt(scene), JOBD_DONE);
    assert_sent(scene, "Content-Length", "0");
    assert_sent(scene, "Content-Type", "");
    assert_sent(scene, "traceparent", "");
    assert_sent(scene, "Idempotency-Key", "\"jobd-7\"");
    scene->task.attempt = 2;
    assert_int_equal(attempt(scene), JOBD_DONE);
    assert_sent(scene, "Idempotency-Key", "\"jobd-7\"");
    give_payload(scene, "x", 1, "");
    assert_int_equal(attempt(scene), JOBD_DONE);
    assert_sent(scene, "Content-Type", "application/octet-stream");
}

/* Neither Expect: 100-continue nor chunks for a body of any size. */
static void test_large_payload(void **state)
{
    struct scene *scene = *state;
    enum { SIZE = 200 * 1024 };
    char *bytes = malloc(SIZE);
    assert_non_null(bytes);
    memset(bytes, 'p', SIZE);
    give_payload(scene, bytes, SIZE, "text/plain");
    assert_int_equal(attempt(scene), JOBD_DONE);
    assert_sent(scene, "Content-Length", "204800");
    assert_sent(scene, "Expect", "");
    assert_sent(scene, "Transfer-Encoding", "");
    assert_sent_body(scene, bytes, SIZE);
    free(bytes);
}

static void test_keys(void **state)
{
    static const struct {
        const char *key, *sent;
    } keys[] = {
        {"8e03978e-40d5-43e8-bc93-6894a57f9324", "\"8e03978e-40d5-43e8-bc93-6894a57f9324\""},
        {"\"quoted\"", "\"quoted\""},
        {"\"with \\\" and \\\\\"", "\"with \\\" and \\\\\""},
        {"\"\"", "\"\""},
        {"\"", "\"\\\"\""},
        {"\"open", "\"\\\"open\""},
        {"\"open\\\"", "\"\\\"open\\\\\\\"\""},
        {"\"a\"b\"", "\"\\\"a\\\"b\\\"\""},
        {"\"\\x\"", "\"\\\"\\\\x\\\"\""},
        {"\"\\", "\"\\\"\\\\\""},
        {"back\\slash", "\"back\\\\slash\""},
        {"tab\tkey", "\"jobd-7\""},
        {"line\r\nEvil: yes", "\"jobd-7\""},
        {"\"line\r\nEvil: yes\"", "\"jobd-7\""},
        {"\"\x7f\"", "\"jobd-7\""},
        {"schl\xc3\xbcssel", "\"jobd-7\""},
    };
    struct scene *scene = *state;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        scene->task.key = keys[i].key;
        assert_int_equal(attempt(scene), JOBD_DONE);
        assert_sent(scene, "Idempotency-Key", keys[i].sent);
        assert_sent(scene, "Evil", "");
    }
}

static void test_nothing_gets_into_the_header(void **state)
{
    static const char *const evil[] = {"a\r\nEvil: yes",
                                       "a\nEvil: yes",
                                       "a\rEvil: yes",
                                       "\r\n\r\nEvil: yes",
                                       "a\x01",
                                       "a\x7f",
                                       " ",
                                       "\t"};
    struct scene *scene = *state;
    for (size_t i = 0; i < sizeof evil / sizeof evil[0]; i++) {
        give_payload(scene, "body", 4, evil[i]);
        scene->task.trace = evil[i];
        scene->task.key = evil[i];
        assert_int_equal(attempt(scene), JOBD_DONE);
        size_t size;
        assert_null(strstr(service_request(scene->service, &size), "Evil"));
        assert_sent(scene, "Content-Type", "application/octet-stream");
        assert_sent(scene, "traceparent", "");
        assert_sent(scene, "Content-Length", "4");
    }
}

/* ---- what is answered */

static void test_output(void **state)
{
    struct scene *scene = *state;
    assert_int_equal(attempt_answered(scene, "HTTP/1.1 201 Created\r\nContent-Type: text/html\r\n"
                                             "Content-Length: 5\r\n\r\nhello"),
                     JOBD_DONE);
    assert_blob(scene->outcome.output, "hello");
    assert_string_equal(scene->outcome.output->type, "text/html");
    assert_null(scene->outcome.error);
    assert_false(scene->outcome.output_truncated);
    assert_int_equal(attempt_answered(scene, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                             "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
                     JOBD_DONE);
    assert_blob(scene->outcome.output, "abcde");
    assert_string_equal(scene->outcome.output->type, "");
    assert_int_equal(attempt_answered(scene, "HTTP/1.1 204 No Content\r\n\r\n"), JOBD_DONE);
    assert_null(scene->outcome.output);
    assert_int_equal(attempt_answered(scene, OK_EMPTY), JOBD_DONE);
    assert_null(scene->outcome.output);
    assert_int_equal(attempt_answered(scene, "HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n"
                                             "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
                     JOBD_DONE);
    assert_blob(scene->outcome.output, "ok");
    assert_int_equal(service_count(scene->service, SERVICE_ACCEPTED), 1);
}

static void test_output_until_close(void **state)
{
    struct scene *scene = *state;
    service_script(scene->service,
                   SERVICE_SCRIPT({.answer = "HTTP/1.0 200 OK\r\n\r\nall of it", .closes = true}));
    assert_int_equal(attempt(scene), JOBD_DONE);
    assert_blob(scene->outcome.output, "all of it");
}

static void test_output_type_is_checked(void **state)
{
    struct scene *scene = *state;
    assert_int_equal(attempt_answered(scene, "HTTP/1.1 200 OK\r\nContent-Type: a\x01z\r\n"
                                             "Content-Length: 1\r\n\r\nx"),
                     JOBD_DONE);
    assert_string_equal(scene->outcome.output->type, "");
}

/* Up to the bound; beyond it is read for the sake of the connection; far beyond is cut off. */
static void test_output_bound(void **state)
{
    static const struct {
        const char *answer;
        size_t size;
        bool cut;
        unsigned accepted; /* after one more attempt */
    } answers[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", OUTPUT_MAX, false, 1},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", OUTPUT_MAX + 1, true, 1},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n", MIB, true, 1},
        {"HTTP/1.1 200 OK\r\nContent-Length: 18874368\r\n\r\n", (size_t)18 * MIB, true, 2},
        {"HTTP/1.1 200 OK\r\n\r\n", (size_t)18 * MIB, true, 3},
    };
    struct scene *scene = *state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        service_script(scene->service,
                       SERVICE_SCRIPT({.answer = answers[i].answer, .filler = answers[i].size},
                                      {.answer = OK_EMPTY}));
        assert_int_equal(attempt(scene), JOBD_DONE);
        assert_non_null(scene->outcome.output);
        assert_int_equal(scene->outcome.output->size, OUTPUT_MAX);
        assert_int_equal(scene->outcome.output_truncated, answers[i].cut);
        assert_int_equal(attempt(scene), JOBD_DONE);
        assert_int_equal(service_count(scene->service, SERVICE_ACCEPTED), answers[i].accepted);
    }
}

static void test_no_output_wanted(void **state)
{
    struct scene *scene = *state;
    post_free(scene->post);
    const struct post_config config = {.url = service_url(scene->service), .queue = "mail"};
    assert_int_equal(post_new(&scene->post, &config), 0);
    assert_int_equal(attempt_answered(scene, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
                     JOBD_DONE);
    assert_null(scene->outcome.output);
    assert_true(scene->outcome.output_truncated);
}

static void test_statuses(void **state)
{
    static const struct {
        int status;
        enum jobd_state state;
        bool for_good;
    } statuses[] = {
        {200, JOBD_DONE, false},   {202, JOBD_DONE, false},   {299, JOBD_DONE, false},
        {300, JOBD_FAILED, true},  {301, JOBD_FAILED, true},  {302, JOBD_FAILED, true},
        {307, JOBD_FAILED, true},  {400, JOBD_FAILED, true},  {401, JOBD_FAILED, true},
        {404, JOBD_FAILED, true},  {408, JOBD_FAILED, false}, {409, JOBD_FAILED, false},
        {410, JOBD_FAILED, true},  {413, JOBD_FAILED, true},  {422, JOBD_FAILED, true},
        {425, JOBD_FAILED, false}, {429, JOBD_FAILED, false}, {451, JOBD_FAILED, true},
        {500, JOBD_FAILED, false}, {501, JOBD_FAILED, false}, {502, JOBD_FAILED, false},
        {503, JOBD_FAILED, false}, {504, JOBD_FAILED, false}, {505, JOBD_FAILED, false},
        {599, JOBD_FAILED, false}, {777, JOBD_FAILED, false}, {999, JOBD_FAILED, false},
    };
    struct scene *scene = *state;
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        char answer[200], error[40];
        snprintf(answer, sizeof answer,
                 "HTTP/1.1 %d Said So\r\nLocation: /elsewhere\r\nContent-Length: 3\r\n\r\nwhy",
                 statuses[i].status);
        assert_int_equal(attempt_answered(scene, answer), statuses[i].state);
        assert_int_equal(scene->outcome.for_good, statuses[i].for_good);
        assert_int_equal(scene->outcome.retry_in_us, 0);
        assert_int_equal(scene->outcome.down,
                         statuses[i].status >= 502 && statuses[i].status <= 504);
        if (statuses[i].state == JOBD_DONE) {
            assert_blob(scene->outcome.output, "why");
            continue;
        }
        snprintf(error, sizeof error, "%d Said So: why", statuses[i].status);
        assert_null(scene->outcome.output);
        assert_blob(scene->outcome.error, error);
    }
    struct service *service = scene->service;
    assert_int_equal(service_count(service, SERVICE_REQUESTS),
                     sizeof statuses / sizeof statuses[0]); /* no redirect was followed */
}

static void test_switching_protocols(void **state)
{
    struct scene *scene = *state;
    assert_failed(attempt_answered(scene, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n"
                                          "Connection: upgrade\r\n\r\n"),
                  scene, true);
    assert_error_has(scene, "101 Switching Protocols");
    assert_int_equal(attempt_answered(scene, OK_EMPTY), JOBD_DONE);
    assert_int_equal(service_count(scene->service, SERVICE_ACCEPTED), 2);
}

static void test_error_text(void **state)
{
    struct scene *scene = *state;
    assert_failed(attempt_answered(scene, "HTTP/1.1 400 Bad \x1b[31m Request\r\n"
                                          "Content-Length: 26\r\n\r\n"
                                          " {\"no\":\t\"n\xc3\xb6\"}\r\n\r\nat\x01"
                                          "all \x7f "),
                  scene, true);
    assert_blob(scene->outcome.error, "400 Bad [31m Request: {\"no\": \"n\xc3\xb6\"} at all");
    assert_failed(attempt_answered(scene, "HTTP/1.1 500\r\nContent-Length: 2\r\n\r\n\r\n"), scene,
                  false);
    assert_blob(scene->outcome.error, "500");
    service_script(scene->service,
                   SERVICE_SCRIPT({.answer = "HTTP/1.1 500 Oops\r\nContent-Length: 1048576\r\n\r\n",
                                   .filler = MIB}));
    assert_failed(attempt(scene), scene, false);
    assert_error_has(scene, "500 Oops: xxxx");
    assert_int_equal(scene->outcome.error->size, sizeof "500 Oops: " - 1 + 500);
    assert_false(scene->outcome.output_truncated);
}

/* UTF-8 stays as it is, what is not becomes U+FFFD, and no character is cut in two. */
static void test_error_in_any_language(void **state)
{
    struct scene *scene = *state;
    char answer[800], error[800] = "500 Oops: ";
    attempt_answered(scene, "HTTP/1.1 500 Oops\r\nContent-Length: 19\r\n\r\n"
                            "\xe2\x82\xac\xf0\x9f\x98\x80 \xff\xc2\x85\xc0\xaf z\xe2\x82w\r");
    assert_blob(scene->outcome.error,
                "500 Oops: \xe2\x82\xac\xf0\x9f\x98\x80 \xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd "
                "z\xef\xbf\xbd\xef\xbf\xbdw");
    int used = snprintf(answer, sizeof answer, "HTTP/1.1 500 Oops\r\nContent-Length: 600\r\n\r\n");
    for (int i = 0; i < 200; i++)
        used += snprintf(answer + used, sizeof answer - (size_t)used, "\xe2\x82\xac");
    attempt_answered(scene, answer);
    for (int i = 0; i < 166; i++) /* of 500 bytes */
        strcat(error, "\xe2\x82\xac");
    assert_blob(scene->outcome.error, error);
}

static int64_t retry_after(struct scene *scene, const char *value)
{
    char answer[200];
    snprintf(answer, sizeof answer,
             "HTTP/1.1 503 Later\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n", value);
    assert_failed(attempt_answered(scene, answer), scene, false);
    return scene->outcome.retry_in_us;
}

static void test_retry_after(void **state)
{
    struct scene *scene = *state;
    char date[64];
    struct tm utc;
    time_t later = time(NULL) + 3600;
    assert_int_equal(retry_after(scene, "120"), 120 * CLOCK_SECOND_US);
    assert_int_equal(retry_after(scene, "soon"), 0);
    assert_int_equal(retry_after(scene, "99999999999"), 86400 * CLOCK_SECOND_US);
    assert_int_equal(retry_after(scene, "99999999999999999999"), 86400 * CLOCK_SECOND_US);
    assert_int_equal(retry_after(scene, " 00000000000000000000000000000000007 "),
                     7 * CLOCK_SECOND_US);
    assert_int_equal(retry_after(scene, "Fri, 31 Dec 9999 23:59:59 GMT"), 86400 * CLOCK_SECOND_US);
    assert_int_equal(retry_after(scene, "Sun, 06 Nov 1994 08:49:37 GMT"), 0);
    assert_int_equal(retry_after(scene, "0"), 0);
    assert_int_equal(retry_after(scene, "-5"), 0);
    assert_non_null(gmtime_r(&later, &utc));
    assert_true(strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &utc) > 0);
    assert_in_range(retry_after(scene, date), 3500 * CLOCK_SECOND_US, 3600 * CLOCK_SECOND_US);
    /* It is not remembered, and not heard where nothing is tried again. */
    assert_failed(attempt_answered(scene, "HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n"), scene,
                  false);
    assert_int_equal(scene->outcome.retry_in_us, 0);
    assert_failed(attempt_answered(scene, "HTTP/1.1 302 There\r\nLocation: /x\r\n"
                                          "Retry-After: 9\r\nContent-Length: 0\r\n\r\n"),
                  scene, true);
    assert_int_equal(scene->outcome.retry_in_us, 0);
}

/* A 403 that says when to come again is a limit; one that does not is a refusal. */
static void test_forbidden_for_a_while(void **state)
{
    static const struct {
        const char *field;
        bool for_good;
        int64_t retry_in_us;
    } rows[] = {
        {"Retry-After: 30\r\n", false, 30 * CLOCK_SECOND_US},
        {"Retry-After: 0\r\n", false, 0},
        {"Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n", false, 0},
        {"Retry-After: soon\r\n", true, 0},
        {"", true, 0},
    };
    struct scene *scene = *state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char answer[200];
        snprintf(answer, sizeof answer, "HTTP/1.1 403 No\r\n%sContent-Length: 0\r\n\r\n",
                 rows[i].field);
        assert_failed(attempt_answered(scene, answer), scene, rows[i].for_good);
        assert_int_equal(scene->outcome.retry_in_us, rows[i].retry_in_us);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scene_test(test_request),
        scene_test(test_request_without_payload),
        scene_test(test_large_payload),
        scene_test(test_keys),
        scene_test(test_nothing_gets_into_the_header),
        scene_test(test_output),
        scene_test(test_output_until_close),
        scene_test(test_output_type_is_checked),
        scene_test(test_output_bound),
        scene_test(test_no_output_wanted),
        scene_test(test_statuses),
        scene_test(test_switching_protocols),
        scene_test(test_error_text),
        scene_test(test_error_in_any_language),
        scene_test(test_retry_after),
        scene_test(test_forbidden_for_a_while),
    };
    return cmocka_run_group_tests_name("post", tests, NULL, NULL);
}
