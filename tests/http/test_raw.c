/* SPDX-License-Identifier: MIT */
/* The rude client: requests no HTTP library would send, slow ones, too large ones, too many. Each
 * gets a clear status or is closed, and those who are served go on. */
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

/* ---- framing and syntax */

static void one_meaning_or_none(void **state)
{
    static const struct row rows[] = {
        {"GET /healthz HTTP/1.1\r\n" HOST LAST, 200},
        {"\r\nGET /healthz HTTP/1.1\r\n" HOST LAST, 200},
        {"GET http://localhost/healthz HTTP/1.1\r\n" HOST LAST, 200},
        {"GET http://localhost HTTP/1.1\r\n" HOST LAST, 200},
        {"GET http://evil.example/healthz HTTP/1.1\r\n" HOST LAST, 403},
        {"GET http://a b/healthz HTTP/1.1\r\n" HOST LAST, 400},
        {"GET http://me@localhost/healthz HTTP/1.1\r\n" HOST LAST, 400},
        {"GET http:///healthz HTTP/1.1\r\n" HOST LAST, 400},
        {"GET /healthz HTTP/1.1\r\n" LAST, 400},
        {"GET /healthz HTTP/1.1\r\n" HOST HOST LAST, 400},
        {"GET /healthz HTTP/1.1\r\nHost: localhost\r\nhost: evil\r\n" LAST, 400},
        {"GET /healthz HTTP/1.1\r\nHost: a b\r\n" LAST, 400},
        {"GET /healthz HTTP/1.1\r\nHost: localhost:80:80\r\n" LAST, 400},
        {"GET /healthz HTTP/1.1\r\nHost: [::1\r\n" LAST, 400},
        {"GET /healthz HTTP/1.1\r\nHost:\r\n" LAST, 400},
        {"POST /do HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n" LAST "x", 400},
        {"POST /do HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 2\r\n" LAST "xx", 400},
        {"POST /do HTTP/1.1\r\n" HOST "Content-Length: 1, 1\r\n" LAST "x", 400},
        {"POST /do HTTP/1.1\r\n" HOST "Content-Length: +1\r\n" LAST "x", 400},
        {"POST /do HTTP/1.1\r\n" HOST "Content-Length: -1\r\n" LAST "x", 400},
        {"POST /do HTTP/1.1\r\n" HOST "Content-Length: 0x1\r\n" LAST "x", 400},
        {"POST /do HTTP/1.1\r\n" HOST "Content-Length:\r\n" LAST, 400},
        {"POST /do HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n" LAST, 400},
        {"POST /do HTTP/1.1\r\n" HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" LAST
         "0\r\n\r\n",
         400},
        {"POST /do HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n" LAST
         "0\r\n\r\n",
         400},
        {"POST /do HTTP/1.1\r\n" HOST
         "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" LAST "0\r\n\r\n",
         400},
        {"POST /do HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n" LAST, 501},
        {"POST /do HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n" LAST "0\r\n\r\n", 501},
        {"POST /do HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n" LAST, 501},
        {"GET /do%00 HTTP/1.1\r\n" HOST LAST, 400},
        {"GET /do?delay=1s%00 HTTP/1.1\r\n" HOST LAST, 400},
        {"GET /healthz HTTP/1.1\r\n" HOST "X Y: z\r\n" LAST, 400},
        {"GET /healthz HTTP/1.1\r\n" HOST "X-Y : z\r\n" LAST, 400},
        {"GET /healthz HTTP/1.1\r\n" HOST "Content-Length : 5\r\n" LAST, 400},
        {"GET /healthz HTTP/1.1\r\n" HOST "no colon\r\n" LAST, 400},
        {"GET /healthz HTTP/1.1\r\n" HOST "X(Y): z\r\n" LAST, 400},
        {"GET /healthz HTTP/1.1\r\n" HOST "X: a\x01z\r\n" LAST, 400},
        {"GET /healthz HTTP/1.1\r\n" HOST "X: a\x7fz\r\n" LAST, 400},
        {"GET /healthz HTTP/1.1\r\n" HOST "  folded\r\n" LAST, 400},
        {"OPTIONS * HTTP/1.1\r\n" HOST LAST, 405},
    };
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    (void)state;
    ASK_ROWS(server, rows);
    assert_int_equal(client_metric(client, ADMITS), 0);
    client_free(client);
}

/* libmicrohttpd 1.0 knows none of these codings, we see first that no length can be told. */
static void nothing_stands_behind_chunked(void **state)
{
    static const char *const codings[] = {"chunked, identity", "chunked, chunked", "chunked, gzip"};
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    char request[256];
    (void)state;
    for (size_t i = 0; i < sizeof codings / sizeof codings[0]; i++) {
        snprintf(request, sizeof request,
                 "POST /do HTTP/1.1\r\n" HOST "Transfer-Encoding: %s\r\n\r\n0\r\n\r\n", codings[i]);
        int status = raw_ask(server, request, &raw);
        assert_true(status == 400 || status == 501);
    }
    assert_int_equal(client_metric(client, ADMITS), 0);
    client_free(client);
}

/* Such a line is not the end of the header, and what follows it is no request. */
static void a_field_without_a_name(void **state)
{
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    (void)state;
    assert_int_equal(raw_ask(server,
                             "GET /healthz HTTP/1.1\r\n" HOST ": z\r\n"
                             "GET /do HTTP/1.1\r\n" HOST LAST,
                             &raw),
                     400);
    assert_int_equal(client_metric(client, ADMITS), 0);
    client_free(client);
}

/* With a NUL in it, or going on in the next line, a header could be read in two ways. libmicrohttpd
 * 1.0 does not even answer some. */
static void nothing_is_hidden(void **state)
{
#define BYTES(text) text, sizeof(text) - 1
    static const struct {
        const char *bytes;
        size_t size;
    } rows[] = {
        {BYTES("GET /do\0x HTTP/1.1\r\n" HOST LAST)},
        {BYTES("GET\0 /do HTTP/1.1\r\n" HOST LAST)},
        {BYTES("GET /do HTTP/1.1\0\r\n" HOST LAST)},
        {BYTES("GET /do HTTP/1.1\r\n" HOST "X: a\0b\r\n" LAST)},
        {BYTES("GET /do HTTP/1.1\r\n" HOST "X\0: b\r\nY: c\r\n" LAST)},
        {BYTES("GET /do HTTP/1.1\r\n" HOST "X: a\r\n b\r\nY: c\r\n" LAST)},
        {BYTES("GET /do HTTP/1.1\r\n" HOST "X: a\r\n\tb\r\nY: c\r\n" LAST)},
        {BYTES("GET /do HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n")},
        {BYTES("POST /do HTTP/1.1\r\n" HOST "Content-Length: 5\0000\r\nY: c\r\n" LAST "hello")},
        {BYTES("POST /do HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\t0\r\nY: c\r\n" LAST "h")},
        {BYTES("POST /do HTTP/1.1\r\n" HOST
               "Transfer-Encoding: chunked\0, identity\r\nY: c\r\n" LAST "0\r\n\r\n")},
    };
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int status = raw_ask_bytes(server, rows[i].bytes, rows[i].size, &raw);
        bool refused = status == 400 || (status == 0 && raw.size == 0);
        if (!refused || strstr(raw.text + 1, "\nHTTP/1.1 ") != NULL)
            fail_msg("%d for row %zu:\n%s", status, i, raw.text);
    }
    assert_int_equal(client_metric(client, ADMITS), 0);
    client_free(client);
}

/* What another server would read as a part of this request's body does not become the next. */
static void nothing_comes_behind_an_unsure_end(void **state)
{
    static const char *const bodies[] = {
        "1\r\na\r\n0\r\nA: b\r\n:\r\n", "1\r\na\r\n0\r\nA: b\r\n: x: y\r\n",
        "1;\nA\r\n0\r\n\r\n",           "1\r\na\r\n0\n\n",
        "1;x\n1\r\na\r\n0\r\n\r\n",
    };
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    char request[512];
    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        snprintf(request, sizeof request,
                 "POST /healthz HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n%s"
                 "GET /do HTTP/1.1\r\n" HOST LAST,
                 bodies[i]);
        (void)raw_ask(server, request, &raw);
        assert_null(strstr(raw.text + 1, "\nHTTP/1.1 "));
    }
    assert_int_equal(client_metric(client, ADMITS), 0);
    client_free(client);
}

/* What is no HTTP/1 request at all may be closed without a word, but is never served. */
static void what_is_no_request(void **state)
{
    static const char *const texts[] = {
        "GET\r\n\r\n",
        "GET /do\r\n\r\n",
        "GET /do HTTP/2.0\r\n" HOST LAST,
        "GET /do HTTP/0.9\r\n" HOST LAST,
        "GET /do ICY/1.1\r\n" HOST LAST,
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ": : :\r\n\r\n",
    };
    struct server *server = server_start("-w", "0", "--header-timeout", "500ms");
    struct client *client = client_new(server);
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        int fd = raw_connect(server);
        assert_true(raw_send(fd, texts[i]));
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        raw_read_until_close(fd, &raw);
        close(fd);
        int status = raw_status(raw.text);
        if (status != 0 && (status < 400 || status > 505))
            fail_msg("%d for:\n%s", status, texts[i]);
    }
    assert_int_equal(client_metric(client, ADMITS), 0);
    client_free(client);
}

static void http_1_0(void **state)
{
    static const struct row rows[] = {
        {"GET /healthz HTTP/1.0\r\n" HOST "\r\n", 200},
        {"GET /do HTTP/1.0\r\n" HOST "\r\n", 202},
        /* Without a Host nobody can tell that no web page sent it. */
        {"GET /healthz HTTP/1.0\r\n\r\n", 403},
        {"POST /do HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {"POST /do HTTP/1.0\r\n" HOST "Content-Length: 2\r\n\r\nok", 202},
    };
    struct server *server = server_start("-w", "0");
    (void)state;
    ASK_ROWS(server, rows);
}

static void bodies(void **state)
{
    static const struct row rows[] = {
        {"POST /do HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n" LAST
         "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: x\r\n\r\n",
         202},
        {"POST /do HTTP/1.1\r\n" HOST "Transfer-Encoding: ChunKed\r\n" LAST "0\r\n\r\n", 202},
        {"POST /do HTTP/1.1\r\n" HOST "Content-Length: 0\r\n" LAST, 202},
        {"POST /do HTTP/1.1\r\n" HOST "Content-Encoding: identity\r\nContent-Length: 1\r\n" LAST
         "x",
         202},
        {"POST /do HTTP/1.1\r\n" HOST "Content-Encoding: gzip\r\nContent-Length: 1\r\n" LAST "x",
         415},
        {"POST /do HTTP/1.1\r\n" HOST
         "Content-Encoding: gzip\r\nContent-Encoding: identity\r\nContent-Length: 1\r\n" LAST "x",
         415},
        {"POST /do HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n" LAST "zz\r\nabc\r\n", 400},
        {"POST /do HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n" LAST "-1\r\nabc\r\n", 400},
        {"GET /do HTTP/1.1\r\n" HOST "Content-Length: 1\r\n" LAST "x", 400},
    };
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    (void)state;
    ASK_ROWS(server, rows);
    assert_int_equal(client_metric(client, ADMITS), 4);
    const struct answer *answer = client_get_json(client, "/jobs?limit=1");
    assert_non_null(strstr(answer->body, "\"payload_bytes\":5"));
    client_free(client);
}

/* A request that breaks off is no job, and its connection goes long before its deadline. */
/* Also while others are in the middle of their header. */
static void a_length_that_is_none_has_one_answer(void **state)
{
    static const struct row rows[] = {
        {"POST /do HTTP/1.1\r\n" HOST "Content-Length: abc\r\n" LAST, 400},
        {"POST /do HTTP/1.1\r\n" HOST "Content-Length: +5\r\n" LAST "hello", 400},
        {"POST /do HTTP/1.1\r\n" HOST "Content-Length: 9223372036854775807\r\n" LAST, 413},
        {"POST /do HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n" LAST, 400},
    };
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    int others[8];
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        others[i] = raw_connect(server);
        assert_true(raw_send(others[i], "POST /do HTTP/1.1\r\n" HOST "Content-Length: 5\r\n"));
    }
    ASK_ROWS(server, rows);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_true(raw_send(others[i], LAST "hello"));
        raw_read_until_close(others[i], &raw);
        assert_int_equal(raw_status(raw.text), 202);
        close(others[i]);
    }
    assert_int_equal(client_metric(client, ADMITS), sizeof others / sizeof others[0]);
    client_free(client);
}

/* One whose header used up its room, with more behind it, is forgotten by libmicrohttpd before 1.0.
 * When it has been closed its place is another's: a length that is none must not be answered there.
 */
static void a_place_is_free_once_it_was_forgotten(void **state)
{
    struct server *server = server_spawn(&(struct server_plan){
        .arguments = (const char *const[]){"-l", "127.0.0.1:0", "--header-timeout", "300ms", NULL},
        .wrapper = (const char *const[]){"taskset", "1", NULL}}); /* all in one loop */
    server_await_listening(server);
    char *query = raw_filled("POST /take?wait=1ms HTTP/1.1\r\n" HOST "\r\nGET /?", '&', 100,
                             " HTTP/1.1\r\n" HOST "X: y\r\n\r\n");
    char *filled = raw_filled(query, 'z', 3500, "");
    (void)state;
    for (int i = 0; i < 2; i++) {
        (void)raw_ask(server, filled, &raw);
        int honest = raw_connect(server);
        assert_true(raw_send(honest, "POST /do HTTP/1.1\r\n" HOST
                                     "Prefer: wait=10\r\nContent-Length: 5\r\n" LAST "hello"));
        int status =
            raw_ask(server, "POST /do HTTP/1.1\r\n" HOST "Content-Length: abc\r\n" LAST, &raw);
        assert_int_equal(status, 400);
        assert_null(strstr(raw.text + 1, "HTTP/1.1"));
        raw_read_until_close(honest, &raw);
        assert_int_equal(raw_status(raw.text), 200);
        close(honest);
    }
    free(query);
    free(filled);
}

static void half_a_body_is_no_job(void **state)
{
    static const char *const texts[] = {
        "POST /do HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\nhalf",
        "POST /do HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "POST /do HTTP/1.1\r\n" HOST "Content-Len",
    };
    struct server *server = server_start("-w", "0", "--header-timeout", "1h");
    struct client *client = client_new(server);
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        int fd = raw_connect(server);
        assert_true(raw_send(fd, texts[i]));
        close(fd);
    }
    client_await_metric(client, "jobd_connections_accepted_total", 4);
    client_await_metric(client, "jobd_connections", 1);
    assert_int_equal(client_metric(client, ADMITS), 0);
    client_free(client);
}

/* Such a line is refused at once, not when the time for the body is over. */
static void a_chunks_line_is_bounded(void **state)
{
    struct server *server = server_start("-w", "0");
    (void)state;
    for (int i = 0; i < 2; i++) {
        char *text = raw_filled("POST /do HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1",
                                i == 0 ? '0' : ';', 7000, "");
        int status = raw_ask(server, text, &raw);
        assert_true(status == 400 || status == 413);
        free(text);
    }
}

/* ---- pipelining */

/* Whatever the header's size: a job is in if and only if its client is told so. */
static void every_job_is_answered(void **state)
{
    struct server *server = server_start("-w", "0", "-q", "1000");
    struct client *client = client_new(server);
    static char request[8192];
    int told = 0;
    (void)state;
    for (int padding = 3000; padding < 6500; padding += 20) {
        snprintf(request, sizeof request, "POST /do HTTP/1.1\r\n" HOST "X: %0*d\r\n" LAST, padding,
                 0);
        int status = raw_ask(server, request, &raw);
        assert_true(status == 202 || status == 431);
        told += status == 202;
    }
    assert_int_equal(client_metric(client, ADMITS), told);
    assert_true(told > 10);
    client_free(client);
}

/* The library's handler is called in one more way then. */
static void an_expected_but_empty_body(void **state)
{
    struct server *server = server_start("-w", "0");
    (void)state;
    int fd = raw_connect(server);
    assert_true(raw_send(fd, "POST /do HTTP/1.1\r\n" HOST
                             "Content-Length: 0\r\nExpect: 100-continue\r\n\r\n"
                             "GET /healthz HTTP/1.1\r\n" HOST LAST));
    raw_read_until_close(fd, &raw);
    close(fd);
    assert_non_null(strstr(raw.text, "\r\nqueued\n"));
    assert_non_null(strstr(raw.text, "\r\nok\n"));
}

static void pipelined_requests_are_answered_in_turn(void **state)
{
    struct server *server = server_start("-q", "2", "-w", "0");
    (void)state;
    int fd = raw_connect(server);
    assert_true(raw_send(fd, "POST /do HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc"
                             "GET /nowhere HTTP/1.1\r\n" HOST "\r\n"
                             "GET /do HTTP/1.1\r\n" HOST "\r\n"
                             "GET /healthz HTTP/1.1\r\n" HOST "\r\n"
                             "POST /do HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n" LAST
                             "1\r\nx\r\n0\r\n\r\n"));
    raw_read_until_close(fd, &raw);
    close(fd);
    static const int wanted[] = {202, 404, 202, 200, 429};
    const char *at = raw.text;
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        assert_non_null(at);
        assert_int_equal(raw_status(at), wanted[i]);
        at = strstr(at + 1, "HTTP/1.1 ");
    }
    assert_null(at);
}

/* Nothing that follows a refused request is taken for a request. */
static void nothing_is_smuggled(void **state)
{
    static const struct row rows[] = {
        {"POST /do HTTP/1.1\r\n" HOST "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
         "0\r\n\r\nGET /do HTTP/1.1\r\n" HOST LAST,
         400},
        {"POST /do HTTP/1.1\r\n" HOST "Content-Length: 6\r\nContent-Length: 0\r\n\r\n"
         "GET /do HTTP/1.1\r\n" HOST LAST,
         400},
        {"POST /do HTTP/1.1\r\n" HOST "Content-Length: 70000\r\n\r\n"
         "GET /do HTTP/1.1\r\n" HOST LAST,
         413},
        {"POST /do HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 0\r\n\r\n"
         "GET /do HTTP/1.1\r\n" HOST LAST,
         403},
    };
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ask_rows(server, &rows[i], 1);
        assert_null(strstr(raw.text + 1, "\nHTTP/1.1 ")); /* a body may speak of it */
    }
    assert_int_equal(client_metric(client, ADMITS), 0);
    client_free(client);
}

static void assert_no_body(const struct server *server, const char *request, int status)
{
    assert_int_equal(raw_ask(server, request, &raw), status);
    const char *end = strstr(raw.text, "\r\n\r\n");
    assert_non_null(end);
    assert_string_equal(end, "\r\n\r\n");
}

/* RFC 9110, section 9.3.2: whatever is said to it. */
static void a_head_that_is_refused_gets_no_body(void **state)
{
    static const size_t sizes[] = {2100, 30000}; /* of a target: whole, and cut off */
    struct server *server = server_start("-w", "0");
    (void)state;
    assert_no_body(server, "HEAD /healthz HTTP/1.1\r\n" LAST, 400);
    assert_no_body(server, "HEAD /healthz HTTP/1.1\r\nAccept: application/json\r\n" LAST, 400);
    assert_no_body(server, "HEAD /healthz HTTP/2.0\r\n" HOST LAST, 505);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *text = raw_filled("HEAD /", 'x', sizes[i], " HTTP/1.1\r\n" HOST LAST);
        assert_no_body(server, text, 414);
        free(text);
    }
    assert_int_equal(raw_ask(server, "HEADS /healthz HTTP/1.1\r\n" LAST, &raw), 400);
    assert_non_null(strstr(raw.text, "\r\n\r\nmissing Host\n"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(one_meaning_or_none),
        TEST(nothing_stands_behind_chunked),
        TEST(a_field_without_a_name),
        TEST(nothing_is_hidden),
        TEST(nothing_comes_behind_an_unsure_end),
        TEST(what_is_no_request),
        TEST(http_1_0),
        TEST(bodies),
        TEST(a_length_that_is_none_has_one_answer),
        TEST(a_place_is_free_once_it_was_forgotten),
        TEST(half_a_body_is_no_job),
        TEST(a_chunks_line_is_bounded),
        TEST(every_job_is_answered),
        TEST(an_expected_but_empty_body),
        TEST(pipelined_requests_are_answered_in_turn),
        TEST(nothing_is_smuggled),
        TEST(a_head_that_is_refused_gets_no_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
