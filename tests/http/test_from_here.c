/* SPDX-License-Identifier: MIT */
/* Which requests come from this machine: by Host, Origin and what browsers say. Each value ends
 * where memory ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/cors.h"
#include "support/edge.h"
#include "http/headers.h"

#define LEN(rows) (sizeof(rows) / sizeof(rows)[0])

static const char *const bad_host = "Host must be localhost, 127.0.0.1 or [::1]; "
                                    "or give --token-file, or use a unix socket";
static const char *const bad_site = "requests from other web sites are refused";
static const char *const bad_origin = "requests from other origins are refused";

static void add(struct headers *headers, const char *name, const char *value)
{
    size_t size = value != NULL ? strlen(value) : 0;
    if (value != NULL)
        headers_field(headers, (struct field){name, strlen(name)},
                      (struct field){edges_copy(group_edges(), value, size), size});
}

static void begin(struct headers *headers, const char *host)
{
    group_edges()->used = 0;
    headers_begin(headers);
    headers->http_1_0 = true;
    add(headers, "Host", host);
}

/* NULL when it may pass. */
static const char *refusal(const struct headers *headers)
{
    const char *why = "untouched";
    bool passes = headers_from_here(headers, false, &why);
    assert_int_equal(passes, why == NULL);
    return why;
}

static void only_loopback_names(void **state)
{
    static const char *const good[] = {
        "localhost",   "LocalHost",       "localhost:8080", "localhost:0",
        "localhost:1", "localhost:65535", "localhost.",     "localhost.:8080",
        "127.0.0.1",   "127.0.0.1:8080",  "[::1]",          "[::1]:8080",
    };
    static const char *const bad[] = {
        "a",
        "evil.example",
        "localhos",
        "localhostx",
        "xlocalhost",
        "localhost..",
        ".localhost",
        "localhost.evil.example",
        "localhost.evil.example:8080",
        "localhost-evil.example",
        "evil.localhost",
        "localhost:",
        "localhost.:",
        "localhost:123456",
        "localhost:808080808080",
        "localhost:80a",
        "localhost:a",
        "localhost:-1",
        "localhost:80:80",
        "localhost::80",
        "localhost:80.",
        "localhost%2e",
        "127.0.0.1.evil",
        "127.0.0.1.",
        "127.0.0.1:",
        "127.0.0.1:8080.evil",
        "127.0.0.10",
        "127.0.0.2",
        "127.1",
        "2130706433",
        "0.0.0.0",
        "0",
        "192.168.0.1",
        "::1",
        "[::1",
        "[::1]:",
        "[::1]x",
        "[::1].evil",
        "[::1]8080",
        "[::2]",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::1%25lo]",
        "[127.0.0.1]",
        "[localhost]",
    };
    struct headers headers;
    (void)state;
    for (size_t i = 0; i < LEN(good); i++) {
        begin(&headers, good[i]);
        assert_true(headers_end(&headers));
        if (refusal(&headers) != NULL)
            fail_msg("%s was refused", good[i]);
    }
    for (size_t i = 0; i < LEN(bad); i++) {
        begin(&headers, bad[i]);
        const char *why = refusal(&headers);
        if (why == NULL)
            fail_msg("%s may pass", bad[i]);
        assert_string_equal(why, bad_host);
    }
    begin(&headers, NULL); /* HTTP/1.0 */
    assert_string_equal(refusal(&headers), bad_host);
    begin(&headers, "");
    assert_string_equal(refusal(&headers), bad_host);
}

/* The authority of a whole URI counts as Host, whatever the field says. */
static void the_target_names_the_host(void **state)
{
    struct headers headers;
    (void)state;
    begin(&headers, "localhost");
    (void)headers_target(&headers, "http://evil.example/do");
    assert_string_equal(refusal(&headers), bad_host);
    begin(&headers, "evil.example");
    (void)headers_target(&headers, "http://localhost:8080/do");
    assert_null(refusal(&headers));
    begin(&headers, "localhost");
    (void)headers_target(&headers, "http://localhost.evil.example/do");
    assert_string_equal(refusal(&headers), bad_host);
}

static void no_other_web_site(void **state)
{
    static const char *const good[] = {"same-origin", "none", "None", "SAME-ORIGIN"};
    static const char *const bad[] = {
        "cross-site",   "same-site", "",         "same-origi", "same-originx",
        "same-origin,", "non",       "nonesuch", "several",    "same-origin, none",
    };
    struct headers headers;
    (void)state;
    for (size_t i = 0; i < LEN(good); i++) {
        begin(&headers, "localhost");
        add(&headers, "sec-fetch-site", good[i]);
        assert_null(refusal(&headers));
    }
    for (size_t i = 0; i < LEN(bad); i++) {
        begin(&headers, "localhost");
        add(&headers, "Sec-Fetch-Site", bad[i]);
        assert_string_equal(refusal(&headers), bad_site);
    }
}

static void no_other_origin(void **state)
{
    static const struct {
        const char *host, *origin;
        bool good;
    } rows[] = {
        {"localhost", "http://localhost", true},
        {"localhost:8080", "http://localhost:8080", true},
        {"LOCALHOST:8080", "HTTP://localhost:8080", true},
        {"127.0.0.1:8080", "http://127.0.0.1:8080", true},
        {"[::1]:8080", "http://[::1]:8080", true},
        {"localhost:8080", "http://localhost", false},
        {"localhost", "http://localhost:8080", false},
        {"localhost:8080", "http://localhost:8081", false},
        {"localhost:8080", "http://localhost:80800", false},
        {"localhost:8080", "http://localhost:808", false},
        {"localhost:8080", "https://localhost:8080", false},
        {"localhost:8080", "file://localhost:8080", false},
        {"localhost:8080", "http://127.0.0.1:8080", false},
        {"localhost:8080", "http://localhost:8080/", false},
        {"localhost:8080", "http://localhost:8080 ", false},
        {"localhost", "http://evil.exam", false},
        {"localhost", "http://localhost.evil.example", false},
        {"localhost", "http://evil.example", false},
        {"localhost", "localhost", false},
        {"localhost", "null", false},
        {"localhost", "http://", false},
        {"localhost", "http:/", false},
        {"localhost", "", false},
    };
    struct headers headers;
    (void)state;
    for (size_t i = 0; i < LEN(rows); i++) {
        begin(&headers, rows[i].host);
        add(&headers, "Origin", rows[i].origin);
        const char *why = refusal(&headers);
        if ((why == NULL) != rows[i].good)
            fail_msg("%s from %s: %s", rows[i].host, rows[i].origin, why);
        if (why != NULL)
            assert_string_equal(why, bad_origin);
    }
}

/* A second mark does not overrule the first, nor the first the second. */
static void two_marks_are_nobodys(void **state)
{
    static const struct {
        const char *name, *one, *other, *why;
    } rows[] = {
        {"Origin", "http://localhost", "http://localhost", bad_origin},
        {"Origin", "http://evil.exam", "http://localhost", bad_origin},
        {"Origin", "http://localhost", "http://evil.exam", bad_origin},
        {"Origin", "", "http://localhost", bad_origin},
        {"Sec-Fetch-Site", "none", "none", bad_site},
        {"Sec-Fetch-Site", "cross-site", "none", bad_site},
        {"Sec-Fetch-Site", "none", "cross-site", bad_site},
        {"Sec-Fetch-Site", "", "none", bad_site},
    };
    struct headers headers;
    (void)state;
    for (size_t i = 0; i < LEN(rows); i++) {
        begin(&headers, "localhost");
        add(&headers, rows[i].name, rows[i].one);
        add(&headers, rows[i].name, rows[i].other);
        assert_string_equal(refusal(&headers), rows[i].why);
    }
}

static void each_mark_counts_beside_the_others(void **state)
{
    struct headers headers;
    (void)state;
    begin(&headers, "localhost");
    add(&headers, "Origin", "http://localhost");
    add(&headers, "Sec-Fetch-Site", "same-origin");
    assert_null(refusal(&headers));
    add(&headers, "Referer", "http://evil.example/");
    assert_null(refusal(&headers));
    begin(&headers, "localhost");
    add(&headers, "Origin", "http://evil.exam");
    add(&headers, "Sec-Fetch-Site", "same-origin");
    assert_string_equal(refusal(&headers), bad_origin);
    begin(&headers, "localhost");
    add(&headers, "Origin", "http://localhost");
    add(&headers, "Sec-Fetch-Site", "same-site"); /* a page on another port of this machine */
    assert_string_equal(refusal(&headers), bad_site);
    begin(&headers, "evil.example"); /* a name that was made to point here */
    add(&headers, "Origin", "http://evil.example");
    add(&headers, "Sec-Fetch-Site", "same-origin");
    assert_string_equal(refusal(&headers), bad_host);
}

/* Its page may come in, but not by a name that was made to point here. */
static void the_origin_of_a_friend(void **state)
{
    const char *why;
    struct headers headers;
    (void)state;
    begin(&headers, "localhost");
    add(&headers, "Origin", "https://app.example");
    add(&headers, "Sec-Fetch-Site", "cross-site");
    assert_true(cors_allows(&headers, "https://app.example"));
    assert_false(cors_allows(&headers, "https://app.exampl"));
    assert_false(cors_allows(&headers, "https://app.example:1"));
    assert_false(cors_allows(&headers, NULL));
    assert_true(headers_from_here(&headers, true, &why));
    assert_false(headers_from_here(&headers, false, &why));
    add(&headers, "Origin", "https://app.example"); /* two are nobody's */
    assert_false(cors_allows(&headers, "https://app.example"));
    begin(&headers, "evil.example");
    assert_false(cors_allows(&headers, "https://app.example"));
    assert_false(headers_from_here(&headers, true, &why));
}

static void what_an_origin_is(void **state)
{
    static const char *const good[] = {"https://app.example", "http://localhost:3000",
                                       "https://[::1]:8443"};
    static const char *const bad[] = {"",
                                      "*",
                                      "null",
                                      "https://",
                                      "https://app.example/",
                                      "https://App.example",
                                      "https://a b",
                                      "https://a,https://b",
                                      "ftp://a",
                                      "https://a\r\nSet-Cookie: x"};
    (void)state;
    for (size_t i = 0; i < LEN(good); i++)
        assert_true(cors_origin_valid(good[i]));
    for (size_t i = 0; i < LEN(bad); i++)
        assert_false(cors_origin_valid(bad[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_loopback_names),
        cmocka_unit_test(the_target_names_the_host),
        cmocka_unit_test(no_other_web_site),
        cmocka_unit_test(no_other_origin),
        cmocka_unit_test(two_marks_are_nobodys),
        cmocka_unit_test(each_mark_counts_beside_the_others),
        cmocka_unit_test(the_origin_of_a_friend),
        cmocka_unit_test(what_an_origin_is),
    };
    return cmocka_run_group_tests_name("from here", tests, group_edges_open, group_edges_close);
}
