/* SPDX-License-Identifier: MIT */
/* Requests that are too large, as a whole or in one of their parts: each gets a clear status. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "http/rows_scene.h"

#define HOST   "Host: localhost\r\n"
#define LAST   "Connection: close\r\n\r\n"
#define ADMITS "jobd_jobs_admitted_total{queue=\"default\"}"

/* The answer comes although not one byte of the body was sent. */
static void too_large_is_said_before_the_body(void **state)
{
    static const struct row rows[] = {
        {"POST /do HTTP/1.1\r\n" HOST "Content-Length: 101\r\n\r\n", 413},
        {"POST /do HTTP/1.1\r\n" HOST "Content-Length: 99999999999999\r\n\r\n", 413},
        {"POST /do HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 101\r\n\r\n", 413},
    };
    struct server *server = server_start("-w", "0", "--max-body", "100");
    (void)state;
    ASK_ROWS(server, rows);
    assert_null(strstr(raw.text, "100 Continue"));
    int fd = raw_connect(server);
    assert_true(raw_send(fd, "POST /do HTTP/1.1\r\n" HOST
                             "Expect: 100-continue\r\nContent-Length: 1\r\n" LAST));
    raw_read_until(fd, &raw, "\r\n\r\n");
    assert_int_equal(raw_status(raw.text), 100);
    assert_true(raw_send(fd, "x"));
    raw_read_until_close(fd, &raw);
    assert_int_equal(raw_status(raw.text), 202);
    close(fd);
}

static void ask_filled(const struct server *server, const char *before, size_t count,
                       const char *after, int status)
{
    char *text = raw_filled(before, 'x', count, after);
    int said = raw_ask(server, text, &raw);
    if (said != status)
        fail_msg("%d, not %d, for %s... with %zu bytes; it said: %s", said, status, before, count,
                 raw.text);
    free(text);
}

static void sizes_are_bounded(void **state)
{
    struct server *server = server_start("-w", "0", "--max-body", "100");
    struct client *client = client_new(server);
    (void)state;
    ask_filled(server, "POST /do HTTP/1.1\r\n" HOST "Content-Length: 100\r\n" LAST, 100, "", 202);
    ask_filled(server, "POST /do HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n" LAST "64\r\n",
               100, "\r\n0\r\n\r\n", 202);
    ask_filled(server, "POST /do HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n" LAST "65\r\n",
               101, "\r\n0\r\n\r\n", 413);
    ask_filled(server, "GET /", 2000, " HTTP/1.1\r\n" HOST LAST, 404);
    ask_filled(server, "GET /", 2100, " HTTP/1.1\r\n" HOST LAST, 414);
    ask_filled(server, "GET /healthz?", 2100, " HTTP/1.1\r\n" HOST LAST, 414);
    ask_filled(server, "GET /", 30000, " HTTP/1.1\r\n" HOST LAST, 414);
    ask_filled(server, "", 65, " / HTTP/1.1\r\n" HOST LAST, 400);
    ask_filled(server, "", 30000, " / HTTP/1.1\r\n" HOST LAST, 400);
    ask_filled(server, "GET /healthz HTTP/1.1\r\n" HOST "X: ", 2000, "\r\n" LAST, 200);
    ask_filled(server, "GET /healthz HTTP/1.1\r\n" HOST "X: ", 30000, "\r\n" LAST, 431);
    ask_filled(server, "POST /do HTTP/1.1\r\n" HOST "Content-Type: ", 256, "\r\n" LAST, 400);
    assert_int_equal(client_metric(client, ADMITS), 2);
    client_free(client);
}

/* libmicrohttpd before 1.0 makes a copy of them, and a record of each; they are no use to us. */
static void many_cookies_are_too_many(void **state)
{
    struct server *server = server_start("-w", "0");
    (void)state;
    char *large = raw_filled("GET /healthz HTTP/1.1\r\n" HOST "Cookie: a=", 'x', 3500, "\r\n" LAST);
    int status = raw_ask(server, large, &raw);
    assert_true(status == 431 || status == 200);
    assert_null(strstr(raw.text + 1, "\nHTTP/1.1 "));
    free(large);
    char many[2048] = "GET /healthz HTTP/1.1\r\n" HOST "Cookie: a=b";
    for (int i = 0; i < 200; i++)
        strcat(many, "; a=b");
    strcat(many, "\r\n" LAST);
    status = raw_ask(server, many, &raw);
    assert_true(status == 431 || status == 200);
    assert_null(strstr(raw.text + 1, "\nHTTP/1.1 "));
}

/* Nor is a put let in for whose answer they leave no room. */
static void a_put_with_cookies_is_answered(void **state)
{
    struct server *server = server_start("-w", "0", "-q", "1000");
    struct client *client = client_new(server);
    int admitted = 0;
    (void)state;
    for (int cookies = 10; cookies < 200; cookies += 3) {
        char request[2048] = "POST /do HTTP/1.1\r\n" HOST "Cookie: a";
        for (int i = 0; i < cookies; i++)
            strcat(request, ";a");
        strcat(request, "\r\n" LAST);
        int status = raw_ask(server, request, &raw);
        assert_true(status == 202 || status == 431);
        admitted += status == 202;
    }
    for (size_t size = 500; size < 4000; size += 100) {
        char *request =
            raw_filled("POST /do HTTP/1.1\r\n" HOST "Cookie: a=", 'x', size, "\r\n" LAST);
        int status = raw_ask(server, request, &raw);
        assert_true(status == 202 || status == 431);
        admitted += status == 202;
        free(request);
    }
    assert_int_equal(client_metric(client, ADMITS), admitted);
    client_free(client);
}

static void many_fields_are_too_many(void **state)
{
    struct server *server = server_start("-w", "0");
    static char request[60000];
    (void)state;
    size_t used = (size_t)snprintf(request, sizeof request, "GET /healthz HTTP/1.1\r\n" HOST);
    for (int i = 0; i < 3000; i++)
        used += (size_t)snprintf(request + used, sizeof request - used, "X%d: y\r\n", i);
    snprintf(request + used, sizeof request - used, LAST);
    assert_int_equal(raw_ask(server, request, &raw), 431);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(too_large_is_said_before_the_body), TEST(sizes_are_bounded),
        TEST(many_cookies_are_too_many),         TEST(a_put_with_cookies_is_answered),
        TEST(many_fields_are_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
