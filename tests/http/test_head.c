/* SPDX-License-Identifier: MIT */
/* A header as text, to the letter. Each text ends where memory ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/head.h"
#include "support/edge.h"

#define LINE "GET /do HTTP/1.1\r\n"
#define HOST "Host: a\r\n"
#define END  "\r\n"

static struct head head;
static struct headers headers;

static bool read_bytes(const char *bytes, size_t size)
{
    group_edges()->used = 0;
    return head_read(&head, &headers, edges_copy(group_edges(), bytes, size), size);
}

static void where_it_ends(void **state)
{
    static const struct {
        const char *text;
        size_t end;
    } rows[] = {
        {"", 0},           {"\n", 0},       {"\n\n", 2},
        {"a\r\n", 0},      {"a\r\n\r", 0},  {"a\r\n\r\n", 5},
        {"a\n\r\nx", 4},   {"a\r\n\nx", 4}, {"a\r\nb\r\n\r\nc\r\n\r\n", 8},
        {"a\r\r\n\rb", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t size = strlen(rows[i].text);
        group_edges()->used = 0;
        const char *text = edges_copy(group_edges(), rows[i].text, size);
        assert_int_equal(head_end(text, size, 0), rows[i].end);
        /* In pieces: what was searched is not searched again. */
        size_t searched = 0, end = 0;
        for (size_t part = 0; part <= size && end == 0; part++) {
            end = head_end(text, part, searched);
            searched = part;
        }
        assert_int_equal(end, rows[i].end);
    }
}

#define BYTES(text) text, sizeof(text) - 1

static void what_is_sound(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        unsigned status; /* 0: sound */
    } rows[] = {
        {BYTES(LINE HOST END), 0},
        {BYTES("G HTTP://a/?b HTTP/1.0\r\n" END), 0},
        {BYTES("GET /do HTTP/1.9\r\n" HOST END), 0},
        {BYTES("!#$%&'*+-.^_`|~ /do HTTP/1.1\r\n" HOST END), 0},
        {BYTES(LINE HOST "A:\r\nB: \t\r\nC:c\r\nD: \xc3\xb6\x80\xff \t d\r\n" END), 0},
        /* the request line */
        {BYTES("\r\n" END), 400},
        {BYTES("GET\r\n" HOST END), 400},
        {BYTES("GET /do\r\n" HOST END), 400},
        {BYTES("GET  /do HTTP/1.1\r\n" HOST END), 400},
        {BYTES("GET /do  HTTP/1.1\r\n" HOST END), 400},
        {BYTES(" GET /do HTTP/1.1\r\n" HOST END), 400},
        {BYTES("GET /do HTTP/1.1 \r\n" HOST END), 400},
        {BYTES("GET\t/do HTTP/1.1\r\n" HOST END), 400},
        {BYTES("GET /do\tHTTP/1.1\r\n" HOST END), 400},
        {BYTES("GET /d o HTTP/1.1\r\n" HOST END), 400},
        {BYTES("GET /d\x80 HTTP/1.1\r\n" HOST END), 400},
        {BYTES("GET /d\0 HTTP/1.1\r\n" HOST END), 400},
        {BYTES("GET /do#x HTTP/1.1\r\n" HOST END), 400},
        {BYTES("GET * HTTP/1.1\r\n" HOST END), 400},
        {BYTES("OPTIONS * HTTP/1.1\r\n" HOST END), 0},
        {BYTES("CONNECT a:80 HTTP/1.1\r\n" HOST END), 501},
        {BYTES("GET /d%00 HTTP/1.1\r\n" HOST END), 400},
        /* the host in a target */
        {BYTES("GET http://b HTTP/1.1\r\n" HOST END), 0},
        {BYTES("GET HTTP://b:80/@ HTTP/1.1\r\n" HOST END), 0},
        {BYTES("GET http://[::1]:?@ HTTP/1.1\r\n" HOST END), 0},
        {BYTES("GET http:/@ HTTP/1.1\r\n" HOST END), 0},
        {BYTES("GET http:// HTTP/1.1\r\n" HOST END), 400},
        {BYTES("GET http:///do HTTP/1.1\r\n" HOST END), 400},
        {BYTES("GET http://?b HTTP/1.1\r\n" HOST END), 400},
        {BYTES("GET http://:80/ HTTP/1.1\r\n" HOST END), 400},
        {BYTES("GET http://me@b/ HTTP/1.1\r\n" HOST END), 400},
        {BYTES("GET HTTP://me:it@b HTTP/1.1\r\n" HOST END), 400},
        {BYTES("GET http://b\\c/ HTTP/1.1\r\n" HOST END), 400},
        {BYTES("GET http://b:c/ HTTP/1.1\r\n" HOST END), 400},
        {BYTES("G\0T /do HTTP/1.1\r\n" HOST END), 400},
        {BYTES("G(T /do HTTP/1.1\r\n" HOST END), 400},
        {BYTES("GET /do http/1.1\r\n" HOST END), 400},
        {BYTES("GET /do HTTP/1.1x\r\n" HOST END), 400},
        {BYTES("GET /do HTTP/11\r\n" HOST END), 400},
        {BYTES("GET /do HTTP/01.1\r\n" HOST END), 400},
        {BYTES("GET /do HTTP/2.0\r\n" HOST END), 505},
        {BYTES("GET /do HTTP/0.9\r\n" HOST END), 505},
        {BYTES("GET /do HTTP/1.1\r\r\n" HOST END), 400},
        {BYTES("GET /do HTTP/1.1\n" HOST END), 400},
        {BYTES("GET /do HTTP/1.1\0\r\n" HOST END), 400},
        /* lines */
        {BYTES(LINE "Host: a\n" END), 400},
        {BYTES(LINE HOST "\n"), 400},
        {BYTES(LINE HOST "X:\n\n"), 400},
        {BYTES(LINE HOST "X: y\0\n" END), 400},
        {BYTES(LINE HOST "X: y\0\r\n" END), 400},
        {BYTES(LINE HOST "X\0: y\r\n" END), 400},
        {BYTES(LINE HOST "X: a\rb\r\n" END), 400},
        {BYTES(LINE HOST "X: a\r\r\n" END), 400},
        {BYTES(LINE HOST "\r: a\r\n" END), 400},
        {BYTES(LINE HOST "X: a\r\n b\r\n" END), 400},
        {BYTES(LINE " " HOST END), 400},
        {BYTES(LINE "\t\r\n" HOST END), 400},
        {BYTES(LINE HOST "X\r\n" END), 400},
        {BYTES(LINE HOST ": y\r\n" END), 400},
        {BYTES(LINE HOST "X : y\r\n" END), 400},
        {BYTES(LINE HOST "X\t: y\r\n" END), 400},
        {BYTES(LINE HOST "X(): y\r\n" END), 400},
        {BYTES(LINE HOST "X\x80: y\r\n" END), 400},
        {BYTES(LINE HOST "X: \x01\r\n" END), 400},
        {BYTES(LINE HOST "X: \x7f\r\n" END), 400},
        {BYTES(LINE END), 400},
        {BYTES(LINE HOST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n" END), 400},
        {BYTES(LINE HOST "Transfer-Encoding: gzip\r\n" END), 501},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool sound = read_bytes(rows[i].bytes, rows[i].size);
        if (sound != (rows[i].status == 0) || headers.status != rows[i].status)
            fail_msg("row %zu: %u, %s", i, headers.status, headers.why);
    }
}

/* RFC 9110, sections 5.1 and 5.5, byte by byte. */
static void each_byte_of_names_and_values(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        char name[] = LINE HOST "x?y: z\r\n" END, value[] = LINE HOST "z: x?y\r\n" END;
        bool in_name = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                       (c != 0 && strchr("!#$%&'*+-.^_`|~", (int)c) != NULL);
        bool in_value = c == '\t' || (c >= ' ' && c != 0x7f);
        *strchr(name, '?') = *strchr(value, '?') = (char)c;
        if (read_bytes(BYTES(name)) != (in_name || c == ':')) /* which ends it */
            fail_msg("byte %u in a name", c);
        if (read_bytes(BYTES(value)) != in_value)
            fail_msg("byte %u in a value", c);
    }
}

static void what_is_said_of_a_line(void **state)
{
    static const struct {
        const char *line, *why;
    } rows[] = {
        {"X: y\n", "a line of the header does not end in CR and LF"},
        {"\n", "a line of the header does not end in CR and LF"},
        {" X: y\r\n", "a header field goes on in the next line"},
        {"X\r\n", "a line of the header has no colon"},
        {": y\r\n", "a header field's name is not a token"},
        {"X Y: z\r\n", "a header field's name is not a token"},
        {"Host : a\r\n", "a header field's name is not a token"},
        {"X: a\rb\r\n", "a header field has a control character"},
        {"Transfer-Encoding: \vchunked\r\n", "a header field has a control character"},
    };
    char text[128];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int size = snprintf(text, sizeof text, LINE HOST "%s" END, rows[i].line);
        assert_false(read_bytes(text, (size_t)size));
        assert_string_equal(headers.why, rows[i].why);
    }
}

static void assert_words(struct field field, const char *words)
{
    assert_int_equal(field.size, strlen(words));
    assert_memory_equal(field.text, words, field.size);
}

static void what_it_says(void **state)
{
    (void)state;
    assert_true(read_bytes(BYTES("POST /do?a=b&c HTTP/1.0\r\nHost:a \t \r\n"
                                 "Content-Length:  17 \t\r\nConnection: x, Close\r\n"
                                 "If-None-Match: \"1\", \"2\"\r\nExpect: 100-Continue\r\n" END)));
    assert_words(head.method, "POST");
    assert_words(head.target, "/do?a=b&c");
    assert_words(head.version, "HTTP/1.0");
    assert_int_equal(head.parameters, 2);
    assert_words(headers.host, "a");
    assert_words(headers.none_match, "\"1\", \"2\"");
    assert_true(headers.http_1_0 && headers.closes && !headers.keeps && headers.expects);
    assert_int_equal(headers.length, 17);
}

/* libmicrohttpd before 1.0 takes them for a part of the value. */
static void blanks_behind_a_value_stand_in_front_of_it(void **state)
{
    static const char text[] = LINE "Content-Length: 5 \t\r\n" HOST END,
                      moved[] = LINE "Content-Length:   5\r\n" HOST END;
    (void)state;
    group_edges()->used = 0;
    char *copy = edges_copy(group_edges(), text, sizeof text - 1);
    assert_true(head_read(&head, &headers, copy, sizeof text - 1));
    assert_int_equal(headers.length, 5);
    assert_int_equal(sizeof text, sizeof moved);
    assert_memory_equal(copy, moved, sizeof text - 1);
}

static void shortened_it_says_the_same(void **state)
{
    static const char *const texts[] = {
        LINE HOST END,
        "POST /a?b=c&d HTTP/1.0\r\nHost: b\r\nContent-Length: 07\r\nX: y\r\n" END,
        "PUT /a HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\nExpect: 100-continue\r\n" END,
        "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n" END,
        "GET /a HTTP/1.1\r\n" HOST "Connection: a\r\nConnection: close, b\r\n" END,
        "GET /a HTTP/1.1\r\n" HOST "Content-Length: 9223372036854775807\r\n" END,
    };
    char out[1024];
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_true(read_bytes(texts[i], strlen(texts[i])));
        struct headers before = headers;
        size_t size = head_shorten(&head, &headers, out, sizeof out);
        assert_int_equal(head_end(out, size, 0), size);
        assert_true(size <= head.target.size + HEAD_SHORT_BYTES);
        assert_true(read_bytes(out, size));
        assert_true(headers.length == before.length && headers.lengths == before.lengths &&
                    headers.chunked == before.chunked && headers.closes == before.closes &&
                    headers.keeps == before.keeps && headers.expects == before.expects &&
                    headers.http_1_0 == before.http_1_0);
        assert_true(headers.fields <= HEAD_SHORT_FIELDS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(where_it_ends),
        cmocka_unit_test(what_is_sound),
        cmocka_unit_test(each_byte_of_names_and_values),
        cmocka_unit_test(what_is_said_of_a_line),
        cmocka_unit_test(what_it_says),
        cmocka_unit_test(blanks_behind_a_value_stand_in_front_of_it),
        cmocka_unit_test(shortened_it_says_the_same),
    };
    return cmocka_run_group_tests_name("head", tests, group_edges_open, group_edges_close);
}
