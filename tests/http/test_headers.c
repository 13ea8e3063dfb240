/* SPDX-License-Identifier: MIT */
/* What a request's header fields mean and which are refused. Each name and value ends where memory
 * ends: they are sized, and no NUL stands behind them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/edge.h"
#include "http/headers.h"

#define LEN(rows) (sizeof(rows) / sizeof(rows)[0])
#define HOST      "Host: a\n"
#define DIGITS_100                                                                                 \
    "1000000000000000000000000000000000000000000000000000000000000000000000000000000"              \
    "000000000000000000000"

static void add(struct headers *headers, const char *name, size_t name_size, const char *value,
                size_t value_size)
{
    const char *name_copy = edges_copy(group_edges(), name, name_size);
    const char *value_copy = edges_copy(group_edges(), value, value_size);
    headers_field(headers, (struct field){name_copy, name_size},
                  (struct field){value_copy, value_size});
}

/* `fields` are lines as in a request, `target` may be NULL. */
static bool read_request(struct headers *headers, const char *version, const char *fields,
                         const char *target)
{
    group_edges()->used = 0;
    headers_begin(headers);
    headers->http_1_0 = strcmp(version, "HTTP/1.0") == 0;
    for (const char *line = fields; *line != '\0';) {
        size_t size = strcspn(line, "\n"), name = strcspn(line, ":");
        size_t value = line[name + 1] == ' ' ? name + 2 : name + 1;
        add(headers, line, name, line + value, size - value);
        line += size + 1;
    }
    if (target != NULL)
        (void)headers_target(headers, edges_copy(group_edges(), target, strlen(target) + 1));
    return headers_end(headers);
}

/* ---- what is refused */

static void one_meaning_or_none(void **state)
{
    static const char host_twice[] = "more than one Host", no_host[] = "missing Host",
                      not_a_host[] = "invalid Host", not_a_number[] = HEADERS_BAD_LENGTH,
                      lengths[] = "more than one Content-Length",
                      codings[] = "more than one Transfer-Encoding",
                      behind[] = "chunked must be the last transfer coding",
                      coding[] = "the only Transfer-Encoding is chunked",
                      both[] = "both Content-Length and Transfer-Encoding",
                      in_1_0[] = "Transfer-Encoding in HTTP/1.0";
    static const struct {
        const char *fields;
        unsigned status;
        const char *why;
        const char *version; /* NULL: 1.1 */
    } rows[] = {
        {HOST, 0, NULL, NULL},
        {"HOST: a\n", 0, NULL, NULL},
        {"hOsT:a\n", 0, NULL, NULL},
        {"", 400, no_host, NULL},
        {"X-Host: a\n", 400, no_host, NULL},
        {"Hos: a\n", 400, no_host, NULL},
        {"", 0, NULL, "HTTP/1.0"},
        {HOST HOST, 400, host_twice, NULL},
        {HOST "X: y\nhost: b\n", 400, host_twice, NULL},
        {HOST HOST, 400, host_twice, "HTTP/1.0"},
        {"Host:\n", 400, not_a_host, NULL},
        {"Host: a b\n", 400, not_a_host, NULL},
        {"Host: a,b\n", 400, not_a_host, NULL},
        {"Host: me@a\n", 400, not_a_host, NULL},
        {"Host: http://a/\n", 400, not_a_host, NULL},
        {"Host: a?b\n", 400, not_a_host, NULL},
        {"Host: a\\b\n", 400, not_a_host, NULL},
        {"Host: \xc3\xbc\n", 400, not_a_host, NULL},
        {"Host: a%\n", 400, not_a_host, NULL},
        {"Host: a%2\n", 400, not_a_host, NULL},
        {"Host: a%2g\n", 400, not_a_host, NULL},
        {"Host: :80\n", 400, not_a_host, NULL},
        {"Host: a:b\n", 400, not_a_host, NULL},
        {"Host: a:8-\n", 400, not_a_host, NULL},
        {"Host: a:80:80\n", 400, not_a_host, NULL},
        {"Host: ::1\n", 400, not_a_host, NULL},
        {"Host: [::1\n", 400, not_a_host, NULL},
        {"Host: ::1]\n", 400, not_a_host, NULL},
        {"Host: []\n", 400, not_a_host, NULL},
        {"Host: [[::1]]\n", 400, not_a_host, NULL},
        {"Host: [::1]80\n", 400, not_a_host, NULL},
        {"Host: [::1].a\n", 400, not_a_host, NULL},
        {"Host: a[b\n", 400, not_a_host, NULL},
        {"Host: a%2eb_~-.\n", 0, NULL, NULL},
        {"Host: a:\n", 0, NULL, NULL},
        {"Host: a:080\n", 0, NULL, NULL},
        {"Host: [::1]:\n", 0, NULL, NULL},
        {"Host: [fe80::1%25eth0]:80\n", 0, NULL, NULL},

        {HOST "Content-Length: 0\n", 0, NULL, NULL},
        {HOST "content-LENGTH: 5\n", 0, NULL, NULL},
        {HOST "Content-Length: 5\nContent-Length: 5\n", 400, lengths, NULL},
        {HOST "Content-Length: 5\nContent-Length: 6\n", 400, lengths, NULL},
        {HOST "Content-Length: 5, 5\n", 400, not_a_number, NULL},
        {HOST "Content-Length:\n", 400, not_a_number, NULL},
        {HOST "Content-Length: +5\n", 400, not_a_number, NULL},
        {HOST "Content-Length: -5\n", 400, not_a_number, NULL},
        {HOST "Content-Length: 0x5\n", 400, not_a_number, NULL},
        {HOST "Content-Length: 5 \n", 400, not_a_number, NULL},
        {HOST "Content-Length: 5.0\n", 400, not_a_number, NULL},
        {HOST "Content-Length: 1e1\n", 400, not_a_number, NULL},
        {HOST "Content-Length: 18446744073709551616\n", 400, not_a_number, NULL},
        {HOST "Content-Length: " DIGITS_100 "\n", 400, not_a_number, NULL},

        {HOST "Transfer-Encoding: chunked\n", 0, NULL, NULL},
        {HOST "TRANSFER-ENCODING: Chunked\n", 0, NULL, NULL},
        {HOST "Transfer-Encoding: chunked\nTransfer-Encoding: chunked\n", 400, codings, NULL},
        {HOST "Transfer-Encoding: gzip\n", 501, coding, NULL},
        {HOST "Transfer-Encoding: gzip, chunked\n", 501, coding, NULL},
        {HOST "Transfer-Encoding: chunked, chunked\n", 400, behind, NULL},
        {HOST "Transfer-Encoding: chunked;q=1\n", 501, coding, NULL},
        {HOST "Transfer-Encoding: chunke\n", 501, coding, NULL},
        {HOST "Transfer-Encoding: chunkedx\n", 501, coding, NULL},
        {HOST "Transfer-Encoding: identity\n", 501, coding, NULL},
        {HOST "Transfer-Encoding:\n", 501, coding, NULL},
        {HOST "Transfer-Encoding: chunked\nContent-Length: 5\n", 400, both, NULL},
        {HOST "Content-Length: 0\nTransfer-Encoding: chunked\n", 400, both, NULL},
        {HOST "Transfer-Encoding: chunked\n", 400, in_1_0, "HTTP/1.0"},

        {HOST "X: a\tb\n", 0, NULL, NULL},
        {HOST "X:\n", 0, NULL, NULL},
        {HOST "X: gr\xc3\xbc\xc3\x9f\n", 0, NULL, NULL},
        /* What was wrong first is said. */
        {HOST "Transfer-Encoding: gzip\n" HOST, 501, coding, NULL},
        {"Transfer-Encoding: gzip\n", 501, coding, "HTTP/1.0"},
    };
    struct headers headers;
    size_t wrong = 0;
    (void)state;
    for (size_t i = 0; i < LEN(rows); i++) {
        const char *version = rows[i].version != NULL ? rows[i].version : "HTTP/1.1";
        bool sound = read_request(&headers, version, rows[i].fields, NULL);
        if (sound == (rows[i].status == 0) && headers.status == rows[i].status &&
            (rows[i].why == NULL ? headers.why == NULL : strcmp(headers.why, rows[i].why) == 0))
            continue;
        print_error("%u, %s for:\n%s\n", headers.status, headers.why, rows[i].fields);
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

/* RFC 3986, section 3.2.2, byte by byte. */
static void each_byte_of_a_host(void **state)
{
    struct headers headers;
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        const char text[] = {'x', (char)c, 'y'};
        bool good = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                    (c != 0 && strchr("-._~", (int)c) != NULL);
        group_edges()->used = 0;
        headers_begin(&headers);
        add(&headers, "Host", 4, text, sizeof text);
        if (headers_end(&headers) != good)
            fail_msg("byte %u", c);
    }
}

static void a_length_is_read_exactly(void **state)
{
    static const struct {
        const char *text;
        uint64_t length;
    } rows[] = {
        {"0", 0},
        {"7", 7},
        {"65536", 65536},
        {"000000000000000000000000000000000012", 12},
        {"9223372036854775807", INT64_MAX},
    };
    struct headers headers;
    (void)state;
    for (size_t i = 0; i < LEN(rows); i++) {
        group_edges()->used = 0;
        headers_begin(&headers);
        headers.http_1_0 = true;
        add(&headers, "Content-Length", 14, rows[i].text, strlen(rows[i].text));
        assert_true(headers_end(&headers));
        assert_int_equal(headers.length, rows[i].length);
        assert_false(headers.chunked);
    }
    assert_true(read_request(&headers, "HTTP/1.1", HOST "Transfer-Encoding: chunked\n", NULL));
    assert_true(headers.chunked);
}

static void a_content_type_has_255_bytes(void **state)
{
    char type[256];
    struct headers headers;
    (void)state;
    memset(type, 'x', sizeof type);
    for (size_t size = 0; size <= sizeof type; size++) {
        group_edges()->used = 0;
        headers_begin(&headers);
        headers.http_1_0 = true;
        add(&headers, "Content-Type", 12, type, size);
        assert_int_equal(headers_end(&headers), size <= 255);
        assert_int_equal(headers.content_type.size, size);
    }
}

static void targets(void **state)
{
    static const struct {
        const char *target, *path, *host; /* host NULL: as the field has it */
    } rows[] = {
        {"/do", "/do", NULL},
        {"*", "*", NULL},
        {"", "", NULL},
        {"http:/do", "http:/do", NULL},
        {"https://b/do", "https://b/do", NULL},
        {"/http://b/", "/http://b/", NULL},
        {"http://b/do", "/do", "b"},
        {"HTTP://B:80/do", "/do", "B:80"},
        {"http://[::1]:8080/do/x", "/do/x", "[::1]:8080"},
        {"http://b", "/", "b"},
        {"http://b//c", "//c", "b"},
    };
    struct headers headers;
    (void)state;
    for (size_t i = 0; i < LEN(rows); i++) {
        assert_true(read_request(&headers, "HTTP/1.1", HOST, NULL));
        const char *path = headers_target(
            &headers, edges_copy(group_edges(), rows[i].target, strlen(rows[i].target) + 1));
        assert_true(headers_end(&headers));
        assert_string_equal(path, rows[i].path);
        const char *host = rows[i].host != NULL ? rows[i].host : "a";
        assert_int_equal(headers.host.size, strlen(host));
        assert_memory_equal(headers.host.text, host, strlen(host));
    }
    /* A Host there must be all the same (RFC 9112, section 3.2). */
    assert_false(read_request(&headers, "HTTP/1.1", "", "http://a/"));
    assert_true(read_request(&headers, "HTTP/1.0", "", "http://a/"));
}

/* ---- what is asked for */

static void json_is_given_to_who_names_it(void **state)
{
    static const struct {
        const char *fields;
        bool wanted;
    } rows[] = {
        {"", false},
        {"Accept:\n", false},
        {"Accept: application/json\n", true},
        {"ACCEPT: APPLICATION/JSON\n", true},
        {"Accept: application/problem+json\n", true},
        {"Accept: */*\n", false},
        {"Accept: application/*\n", true},
        {"Accept: text/plain\n", false},
        {"Accept: application/jsonx\n", false},
        {"Accept: application/jso\n", false},
        {"Accept: xapplication/json\n", false},
        {"Accept: application/ld+json\n", false},
        {"Accept: json\n", false},
        {"Accept: text/html, application/json\n", true},
        {"Accept: text/html,application/json,*/*\n", true},
        {"Accept: ,, \t application/json \t,\n", true},
        {"Accept: text/html, \n", false},
        {"Accept: \t \n", false},
        {"Accept: application/json; \n", true},
        {"Accept: text/html application/json\n", false},
        {"Accept: text/html; x=application/json\n", false},
        {"Accept: application/json;q=1\n", true},
        {"Accept: application/json;q=0.1, text/plain\n", true},
        {"Accept: application/json;q=0.001\n", true},
        {"Accept: application/json;q=0\n", false},
        {"Accept: application/json;q=0.\n", false},
        {"Accept: application/json;q=0.0\n", false},
        {"Accept: application/json;q=0.000\n", false},
        {"Accept: application/json ; Q=0.00\n", false},
        {"Accept: application/json;charset=utf-8;q=0\n", false},
        {"Accept: application/json;charset=utf-8\n", true},
        {"Accept: application/json;qq=0\n", true},
        {"Accept: application/json;q\n", true},
        {"Accept: application/json;\n", true},
        {"Accept: text/plain;q=0, application/json\n", true},
        {"Accept: text/plain, application/json;q=0, */*\n", false},
        /* Several fields are one list (RFC 9110, section 5.3). */
        {"Accept: application/json\nAccept: */*\n", true},
        {"Accept: text/html\nAccept: application/json\n", true},
        {"Accept: text/html\nAccept: */*\n", false},
    };
    struct headers headers;
    size_t wrong = 0;
    (void)state;
    for (size_t i = 0; i < LEN(rows); i++) {
        assert_true(read_request(&headers, "HTTP/1.0", rows[i].fields, NULL));
        if (headers_want_json(&headers) == rows[i].wanted)
            continue;
        print_error("%s", rows[i].fields);
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

static void content_is_plain_or_not(void **state)
{
    static const struct {
        const char *fields;
        bool plain;
    } rows[] = {
        {"", true},
        {"Content-Encoding:\n", true},
        {"Content-Encoding: identity\n", true},
        {"content-encoding: Identity\n", true},
        {"Content-Encoding: gzip\n", false},
        {"Content-Encoding: identit\n", false},
        {"Content-Encoding: identity, gzip\n", false},
        {"Content-Encoding: gzip\nContent-Encoding: identity\n", false},
        {"Content-Encoding: identity\nContent-Encoding: gzip\n", false},
        {"Content-Encoding:\nContent-Encoding: gzip\n", false},
    };
    struct headers headers;
    (void)state;
    for (size_t i = 0; i < LEN(rows); i++) {
        assert_true(read_request(&headers, "HTTP/1.0", rows[i].fields, NULL));
        if (headers_plain_content(&headers) != rows[i].plain)
            fail_msg("%s", rows[i].fields);
    }
}

static void who_prefers_to_wait_says_how_long(void **state)
{
    static const struct {
        const char *fields;
        uint64_t wait_s;
    } rows[] = {
        {"", 0},
        {"Prefer: wait=10\n", 10},
        {"prefer: WAIT = 10\n", 10},
        {"Prefer: wait=\"10\"\n", 10},
        {"Prefer: wait=10; x=y\n", 10},
        {"Prefer: respond-async, wait=10\n", 10},
        {"Prefer: wait=10, wait=20\n", 10},
        {"Prefer: return=minimal\nPrefer: wait=10\n", 10},
        {"Prefer: x=\"a, wait=5\", wait=10\n", 10},
        {"Prefer: x=\"a\\\", wait=5\", wait=10\n", 10},
        {"Prefer: x=\"a, wait=5\n", 0},
        {"Prefer: wait=\"\n", 0},
        {"Prefer: wait=\"\"\n", 0},
        {"Prefer: wait\n", 0},
        {"Prefer: wait=\n", 0},
        {"Prefer: wait=-1\n", 0},
        {"Prefer: wait=1s\n", 0},
        {"Prefer: waits=1\n", 0},
        {"Prefer: wait=99999999\n", 3600},
        {"Prefer: wait=99999999999999999999\n", 0},
        {"Prefer: ,;=,\n", 0},
    };
    struct headers headers;
    (void)state;
    for (size_t i = 0; i < LEN(rows); i++) {
        assert_true(read_request(&headers, "HTTP/1.0", rows[i].fields, NULL));
        if (headers.wait_s != rows[i].wait_s)
            fail_msg("%s: %llu", rows[i].fields, (unsigned long long)headers.wait_s);
    }
}

static void a_token_is_shown(void **state)
{
    static const struct {
        const char *fields, *token;
    } rows[] = {
        {"", NULL},
        {"Authorization: Bearer abc\n", "abc"},
        {"AUTHORIZATION: bearer   abc== \n", "abc=="},
        {"Authorization: Bearer\n", NULL},
        {"Authorization: Bearer \n", NULL},
        {"Authorization: Basic abc\n", NULL},
        {"Authorization: Bearerabc\n", NULL},
        {"Authorization: abc\n", NULL},
        {"Authorization:\n", NULL},
        {"Authorization: Bearer abc\nAuthorization: Bearer abc\n", NULL},
    };
    struct headers headers;
    (void)state;
    for (size_t i = 0; i < LEN(rows); i++) {
        assert_true(read_request(&headers, "HTTP/1.0", rows[i].fields, NULL));
        struct field token = headers_token(&headers);
        size_t size = rows[i].token != NULL ? strlen(rows[i].token) : 0;
        if (token.size != size || (size > 0 && memcmp(token.text, rows[i].token, size) != 0))
            fail_msg("%s: %.*s", rows[i].fields, (int)token.size, token.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_meaning_or_none),
        cmocka_unit_test(each_byte_of_a_host),
        cmocka_unit_test(a_length_is_read_exactly),
        cmocka_unit_test(a_content_type_has_255_bytes),
        cmocka_unit_test(targets),
        cmocka_unit_test(json_is_given_to_who_names_it),
        cmocka_unit_test(content_is_plain_or_not),
        cmocka_unit_test(who_prefers_to_wait_says_how_long),
        cmocka_unit_test(a_token_is_shown),
    };
    return cmocka_run_group_tests_name("headers", tests, group_edges_open, group_edges_close);
}
