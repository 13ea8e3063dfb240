/* SPDX-License-Identifier: MIT */
/* The gate from outside: headers of any length and in any pieces, and what is refused there. */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/server.h"

#define HOST   "Host: localhost\r\n"
#define LAST   "Connection: close\r\n\r\n"
#define ADMITS "jobd_jobs_admitted_total{queue=\"default\"}"

static struct raw raw;

/* ---- long headers */

/* As a browser sends them, which has one for each program that was ever tried on localhost. */
static char *with_cookies(const char *request, size_t size)
{
    char before[128];
    snprintf(before, sizeof before, "%s HTTP/1.1\r\n" HOST "Cookie: a=", request);
    return raw_filled(before, 'x', size, "\r\n");
}

static char * and (char *text, const char *more)
{
    size_t size = strlen(text) + strlen(more) + 1;
    text = realloc(text, size);
    assert_non_null(text);
    memcpy(text + strlen(text), more, strlen(more) + 1);
    return text;
}

static void long_headers_are_fine(void **state)
{
    static const size_t sizes[] = {1000, 2000, 3000, 3072, 4096, 5000, 6144, 8192, 16384, 24000};
    struct server *server = server_start("-w", "0", "-q", "1000");
    struct client *client = client_new(server);
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *text = and(with_cookies("GET /queues", sizes[i]), LAST);
        assert_int_equal(raw_ask(server, text, &raw), 200);
        free(text);
        text = raw_filled("POST /do HTTP/1.1\r\n" HOST "Authorization: Bearer ", 'j', sizes[i],
                          "\r\nContent-Length: 5\r\n" LAST "hello");
        assert_int_equal(raw_ask(server, text, &raw), 202);
        free(text);
    }
    assert_int_equal(client_metric(client, ADMITS), sizeof sizes / sizeof sizes[0]);
    client_await_metric(client, "jobd_request_bytes", 0);
    client_free(client);
}

/* What it says counts, wherever it stands. */
static void a_long_header_is_read(void **state)
{
    struct server *server = server_start("-w", "0");
    (void)state;
    char *text = and(with_cookies("GET /jobs/1", 9000), "Accept: application/json\r\n" LAST);
    assert_int_equal(raw_ask(server, text, &raw), 404);
    assert_non_null(strstr(raw.text, "application/problem+json"));
    free(text);
    text = and(with_cookies("GET /healthz", 9000), "Sec-Fetch-Site: cross-site\r\n" LAST);
    assert_int_equal(raw_ask(server, text, &raw), 403);
    free(text);
    text = and(with_cookies("POST /do?delay=1h", 9000),
               "Transfer-Encoding: chunked\r\nContent-Type: text/x\r\n" LAST
               "2;a\r\nhe\r\n3\r\nllo\r\n0\r\nX: y\r\n\r\n");
    assert_int_equal(raw_ask(server, text, &raw), 202);
    free(text);
    struct client *client = client_new(server);
    const struct answer *answer = client_get_json(client, "/jobs");
    assert_non_null(strstr(answer->body, "\"payload_bytes\":5"));
    client_free(client);
}

/* Also behind short ones on the same connection, and in front of them. */
static void long_and_short_take_turns(void **state)
{
    struct server *server = server_start("-w", "0", "-q", "1000");
    int fd = raw_connect(server);
    (void)state;
    for (int i = 0; i < 20; i++) {
        char *text = and(i % 2 == 0 ? strdup("POST /do HTTP/1.1\r\n" HOST)
                                    : with_cookies("POST /do", 1000 * (size_t)i),
                         "Content-Length: 5\r\n\r\nhello");
        assert_true(raw_send(fd, text));
        free(text);
        raw_read_answer(fd, &raw);
        assert_int_equal(raw_status(raw.text), 202);
    }
    close(fd);
    /* All at once. */
    char *all = strdup("");
    for (int i = 0; i < 6; i++) {
        char *text = and(i % 2 == 0 ? strdup("POST /do HTTP/1.1\r\n" HOST)
                                    : with_cookies("POST /do", 4000 + 1000 * (size_t)i),
                         i < 5 ? "Content-Length: 5\r\n\r\nhello" : LAST);
        all = and(all, text);
        free(text);
    }
    assert_int_equal(raw_ask(server, all, &raw), 202);
    int answers = 0;
    for (const char *at = raw.text; (at = strstr(at, "HTTP/1.1 202 ")) != NULL; at++)
        answers++;
    assert_int_equal(answers, 6);
    free(all);
}

/* What is held counts, and is given back when its connection ends; with no room for it the request
 * is refused, and one with a usual header is not. */
static void what_is_held_has_a_bound(void **state)
{
    enum { HALVES = 4, HALF = 20000 };
    struct server *server = server_start("-w", "0", "--memory", "64KiB");
    struct client *client = client_new(server);
    struct pollfd halves[HALVES];
    (void)state;
    char *text = with_cookies("GET /queues", HALF);
    for (int i = 0; i < HALVES; i++) {
        halves[i] = (struct pollfd){.fd = raw_connect(server), .events = POLLIN};
        assert_true(raw_send_bytes(halves[i].fd, text, HALF));
    }
    free(text);
    assert_true(poll(halves, HALVES, -1) > 0);
    int refused = 0;
    while (halves[refused].revents == 0)
        refused++;
    raw_read_until_close(halves[refused].fd, &raw);
    assert_int_equal(raw_status(raw.text), 503);
    assert_true(client_metric(client, "jobd_request_bytes") > 0);
    assert_int_equal(client_post(client, "/do")->status, 202);
    for (int i = 0; i < HALVES; i++)
        close(halves[i].fd);
    client_await_metric(client, "jobd_request_bytes", 0);
    client_free(client);
}

/* While a request waits its header is kept; the next one behind it has to wait. */
static void a_long_header_waits(void **state)
{
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    int fd = raw_connect(server);
    (void)state;
    char *text = and(with_cookies("POST /take?wait=1h", 12000), "Content-Length: 0\r\n\r\n");
    text = and(text, "GET /healthz HTTP/1.1\r\n" HOST LAST);
    assert_true(raw_send(fd, text));
    free(text);
    client_await_metric(client, "jobd_requests_parked", 1);
    assert_true(client_metric(client, "jobd_request_bytes") >= 12000);
    (void)client_put(client, "/do");
    raw_read_until_close(fd, &raw);
    assert_int_equal(raw_status(raw.text), 200);
    assert_non_null(strstr(raw.text, "\r\nok\n"));
    close(fd);
    client_await_metric(client, "jobd_request_bytes", 0);
    client_free(client);
}

/* What has come meanwhile is read when it is over. */
static void one_behind_a_wait(void **state)
{
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    int fd = raw_connect(server);
    (void)state;
    assert_true(raw_send(fd, "POST /take?wait=1h HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n"));
    client_await_metric(client, "jobd_requests_parked", 1);
    assert_true(raw_send(fd, "GET /healthz HTTP/1.1\r\n" HOST LAST));
    (void)client_put(client, "/do");
    raw_read_until_close(fd, &raw);
    assert_int_equal(raw_status(raw.text), 200);
    assert_non_null(strstr(raw.text, "\r\nok\n"));
    close(fd);
    client_free(client);
}

static void too_long_is_said(void **state)
{
    struct server *server = server_start("-w", "0");
    (void)state;
    char *text = and(with_cookies("GET /healthz", 24600), LAST);
    assert_int_equal(raw_ask(server, text, &raw), 431);
    assert_non_null(strstr(raw.text, "the header is larger than 24 KiB\n"));
    free(text);
    text = and(with_cookies("GET /healthz", 1 << 20), LAST);
    int fd = raw_connect(server);
    (void)raw_send(fd, text);
    raw_read_until(fd, &raw, "24 KiB\n");
    assert_int_equal(raw_status(raw.text), 431);
    close(fd);
    free(text);
}

/* ---- pieces */

/* Whatever the network makes of it. */
static void a_header_in_pieces(void **state)
{
    static const char request[] =
        "\r\n\r\nPOST /do HTTP/1.1\r\n" HOST "Content-Length: 5 \t\r\n\r\nhello"
        "POST /do HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
        "5;a=\"b\"\r\nhello\r\n0\r\nX: y\r\n\r\n"
        "GET /healthz HTTP/1.1\r\n" HOST LAST;
    struct server *server = server_start("-w", "0", "-q", "10000");
    (void)state;
    for (size_t cut = 1; cut < sizeof request - 1; cut++) {
        int fd = raw_connect(server);
        assert_true(raw_send_bytes(fd, request, cut));
        (void)recv(fd, raw.text, 1, MSG_PEEK | MSG_DONTWAIT);
        assert_true(raw_send(fd, request + cut));
        raw_read_until_close(fd, &raw);
        close(fd);
        const char *second = strstr(raw.text + 1, "HTTP/1.1 202 ");
        if (raw_status(raw.text) != 202 || second == NULL || strstr(second, "\r\nok\n") == NULL)
            fail_msg("cut at %zu: %s", cut, raw.text);
    }
    int fd = raw_connect(server);
    for (size_t at = 0; at < sizeof request - 1; at++)
        assert_true(raw_send_bytes(fd, request + at, 1));
    raw_read_until_close(fd, &raw);
    close(fd);
    assert_non_null(strstr(raw.text, "\r\nok\n"));
}

/* The time for it begins with its first byte, on a connection that was kept as well. */
static void half_a_header_is_too_slow(void **state)
{
    struct server *server =
        server_start("-w", "0", "--header-timeout", "300ms", "--idle-timeout", "1h");
    (void)state;
    for (int kept = 0; kept < 2; kept++) {
        int fd = raw_connect(server);
        if (kept) {
            assert_true(raw_send(fd, "GET /healthz HTTP/1.1\r\n" HOST "\r\n"));
            raw_read_answer(fd, &raw);
            assert_int_equal(raw_status(raw.text), 200);
        }
        assert_true(raw_send(fd, "GET /healthz HTTP/1.1\r\nHost: loc"));
        raw_read_until_close(fd, &raw);
        assert_int_equal(raw_status(raw.text), 408);
        close(fd);
    }
}

/* Others in the middle of their headers have nothing to do with it. */
static void each_has_its_own_answer(void **state)
{
    enum { OTHERS = 20 };
    static const char *const wrong[] = {
        "POST /do HTTP/1.1\r\n" HOST "Content-Length: 1x\r\n\r\n",
        "POST /do HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\n",
        "GET /do HTTP/1.1\r\n" HOST "X\r\n\r\n",
        "GET /do HTTP/1.1\r\n" HOST ": x\r\n\r\n",
    };
    struct server *server = server_start("-w", "0", "-q", "1000");
    int others[OTHERS];
    (void)state;
    for (int i = 0; i < OTHERS; i++) {
        others[i] = raw_connect(server);
        assert_true(raw_send(others[i], "POST /do HTTP/1.1\r\n" HOST "Content-Length: 5\r\nX"));
    }
    for (int i = 0; i < 100; i++) {
        assert_int_equal(raw_ask(server, wrong[i % 4], &raw), 400);
        assert_null(strstr(raw.text + 1, "HTTP/1.1 "));
    }
    for (int i = 0; i < OTHERS; i++) {
        assert_true(raw_send(others[i], ": y\r\n" LAST "hello"));
        raw_read_until_close(others[i], &raw);
        assert_int_equal(raw_status(raw.text), 202);
        assert_null(strstr(raw.text + 1, "HTTP/1.1 "));
        close(others[i]);
    }
}

/* ---- what is refused */

struct row {
    const char *bytes;
    size_t size;
};
#define BYTES(text)                                                                                \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }
#define DO   "GET /do HTTP/1.1\r\n"
#define NEXT DO HOST "\r\n"

/* Each gets one answer, 400, and what follows it is no request, in one piece and in two. */
static void one_meaning_or_none(void **state)
{
    static const struct row rows[] = {
        BYTES(DO HOST "X:\n\n" NEXT),
        BYTES(DO HOST "X:\n\r\n" NEXT),
        BYTES(DO HOST "X:\r\n\n" NEXT),
        BYTES(DO "X: y\0\nHost: localhost\r\n\r\n" NEXT),
        BYTES(DO HOST "X: y\0\r\n\r\n" NEXT),
        BYTES(DO "Host: localhost\n\r\n" NEXT),
        BYTES("GET /do HTTP/1.1\n" HOST "\r\n" NEXT),
        BYTES(DO HOST "X: y\rZ: a\r\n\r\n" NEXT),
        BYTES(DO HOST "\r\r\n\r\n" NEXT),
        BYTES(DO HOST ":\r\n\r\n" NEXT),
        BYTES(DO HOST " X: y\r\n\r\n" NEXT),
        BYTES("\n" NEXT "\r\n" NEXT),
        BYTES("\r" NEXT NEXT),
        BYTES("GET /do\tHTTP/1.1\r\n" HOST "\r\n" NEXT),
        BYTES("GET  /do HTTP/1.1\r\n" HOST "\r\n" NEXT),
        BYTES("GET /do HTTP/1.1 \r\n" HOST "\r\n" NEXT),
        BYTES("GET /do HTTP/1.1\r\n" HOST "Content-Length: 1 2\r\n\r\n" NEXT),
        BYTES("GET /do HTTP/1.1\r\n" HOST "Content-Length: 0,0\r\n\r\n" NEXT),
        BYTES("GET /do HTTP/1.1\r\n" HOST "Content-Length: \r\n\r\n" NEXT),
        BYTES("GET /do HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n"
              "Content-Length: 5\r\n\r\n0\r\n\r\n" NEXT),
        BYTES("GET /do\r\n\r\n" NEXT),
        BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        BYTES("\x00\x01\x02\r\n\r\n"),
    };
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t cut = rows[i].size; cut > 0; cut /= 2) {
            int fd = raw_connect(server);
            assert_true(raw_send_bytes(fd, rows[i].bytes, cut));
            (void)raw_send_bytes(fd, rows[i].bytes + cut, rows[i].size - cut);
            raw_read_until_close(fd, &raw);
            close(fd);
            if (raw_status(raw.text) != 400 || strstr(raw.text + 1, "HTTP/1.1 2") != NULL ||
                strstr(raw.text, "\r\nDate: ") == NULL)
                fail_msg("row %zu, cut at %zu: %s", i, cut, raw.text);
        }
    assert_int_equal(client_metric(client, ADMITS), 0);
    client_free(client);
}

static void chunks_are_framed_to_the_letter(void **state)
{
    static const char *const bodies[] = {
        "1;\r\nx\r\n0\r\n\r\n",     "1;=\r\nx\r\n0\r\n\r\n", "1;a=\r\nx\r\n0\r\n\r\n",
        "1;\nA\r\n0\r\n\r\n",       "1;a\nx\r\n0\r\n\r\n",   "1 \r\nx\r\n0\r\n\r\n",
        "1;a=\"\r\nx\r\n0\r\n\r\n", "1\nx\r\n0\r\n\r\n",     "1\r\nx\n0\r\n\r\n",
        "1\r\nxy0\r\n\r\n",         "0x1\r\nx\r\n0\r\n\r\n", "+1\r\nx\r\n0\r\n\r\n",
        "1\r\nx\r\n0\n\n",          "0\r\n:\r\n\r\n",        "0\r\nX\r\n\r\n",
        "0\r\nX: y\n\r\n",          "0\r\n X: y\r\n\r\n",    "fffffffffffffffff\r\nx\r\n0\r\n\r\n",
    };
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    char request[512];
    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        snprintf(request, sizeof request,
                 "POST /do HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n%s" NEXT,
                 bodies[i]);
        if (raw_ask(server, request, &raw) != 400 || strstr(raw.text + 1, "HTTP/1.1 ") != NULL)
            fail_msg("row %zu: %s", i, raw.text);
    }
    assert_int_equal(client_metric(client, ADMITS), 0);
    /* And a connection is kept after a good one. */
    int fd = raw_connect(server);
    for (int i = 0; i < 3; i++) {
        assert_true(raw_send(fd, "POST /do HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                                 "1 ; a = \"\\\"\" ;b\r\nx\r\n0\r\nX: y\r\n\r\n"));
        raw_read_answer(fd, &raw);
        assert_int_equal(raw_status(raw.text), 202);
    }
    close(fd);
    client_free(client);
}

/* Who goes on talking is heard out for a while, so that the answer is not lost, and no longer. */
static void who_is_refused_can_read_why(void **state)
{
    static char more[200000];
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    (void)state;
    memset(more, 'x', sizeof more - 1);
    int fd = raw_connect(server);
    assert_true(raw_send(fd, "POST /do HTTP/1.1\r\n" HOST "Content-Length: 1x\r\n\r\n"));
    (void)raw_send(fd, more);
    raw_read_until(fd, &raw, "\r\n\r\n");
    assert_int_equal(raw_status(raw.text), 400);
    client_await_metric(client, "jobd_connections", 1); /* though it does not close */
    close(fd);
    client_free(client);
}

static void an_error_is_json_for_who_wants_it(void **state)
{
    struct server *server = server_start("-w", "0");
    (void)state;
    assert_int_equal(raw_ask(server,
                             "POST /do HTTP/1.1\r\n" HOST "Accept: application/json\r\n"
                             "Content-Length: x\r\n\r\n",
                             &raw),
                     400);
    assert_non_null(strstr(raw.text, "\r\nContent-Type: application/problem+json\r\n"));
    assert_non_null(strstr(raw.text, "{\"status\":400,\"title\":\"Bad Request\",\"detail\":\""));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(long_headers_are_fine),
        TEST(a_long_header_is_read),
        TEST(long_and_short_take_turns),
        TEST(what_is_held_has_a_bound),
        TEST(a_long_header_waits),
        TEST(one_behind_a_wait),
        TEST(too_long_is_said),
        TEST(a_header_in_pieces),
        TEST(half_a_header_is_too_slow),
        TEST(each_has_its_own_answer),
        TEST(one_meaning_or_none),
        TEST(chunks_are_framed_to_the_letter),
        TEST(who_is_refused_can_read_why),
        TEST(an_error_is_json_for_who_wants_it),
    };
    return cmocka_run_group_tests_name("gate", tests, NULL, NULL);
}
