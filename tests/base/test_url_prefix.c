/* SPDX-License-Identifier: MIT */
/* Which URLs a prefix allows: a table, most of which somebody tries to get around it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/url_prefix.h"

#define A "http://app.example/hooks"

static const struct {
    const char *prefix, *url;
    bool allowed;
} rows[] = {
    {A, "http://app.example/hooks", true},
    {A, "http://app.example/hooks/", true},
    {A, "http://app.example/hooks/done", true},
    {A, "http://app.example/hooks?x=1", true},
    {A, "http://app.example/hooks?/../../x", true},
    {A, "http://app.example/hooks/a//b", true},
    {A, "http://app.example/hooks/...", true},
    {A, "http://app.example/hooks/.a/..b", true},
    {A, "http://app.example/hooks/%20", true},
    {A, "http://app.example/hooks/%C3%A4", true},
    {A, "HTTP://APP.Example/hooks", true},
    {A, "http://app.example./hooks", true},
    {A, "http://app.example:80/hooks", true},
    {A, "http://app.example:080/hooks", true},
    {A, "http://app.example/%68ooks", true},
    {"http://app.example:80/%68oo%6Bs", "http://app.example/hooks/x", true},
    /* the path */
    {A, "http://app.example/", false},
    {A, "http://app.example", false},
    {A, "http://app.example?/hooks", false},
    {A, "http://app.example/hooksevil", false},
    {A, "http://app.example/hook", false},
    {A, "http://app.example/Hooks", false},
    {A, "http://app.example//hooks", false},
    {A, "http://app.example/hooks/../admin", false},
    {A, "http://app.example/hooks/..", false},
    {A, "http://app.example/hooks/.", false},
    {A, "http://app.example/hooks/./../admin", false},
    {A, "http://app.example/hooks/%2e%2e/admin", false},
    {A, "http://app.example/hooks/%2E%2E/admin", false},
    {A, "http://app.example/hooks/.%2e/admin", false},
    {A, "http://app.example/hooks/%252e%252e/admin", false},
    {A, "http://app.example/hooks/..%2fadmin", false},
    {A, "http://app.example/hooks%2f..%2fadmin", false},
    {A, "http://app.example/hooks/..%5cadmin", false},
    {A, "http://app.example/hooks\\..\\admin", false},
    {A, "http://app.example/hooks/..;/admin", false},
    {A, "http://app.example/hooks/..;a=b/admin", false},
    {A, "http://app.example/hooks/.;/admin", false},
    {A, "http://app.example/hooks%00", false},
    {A, "http://app.example/hooks/%0d%0aX:1", false},
    {A, "http://app.example/hooks/%7f", false},
    {A, "http://app.example/hooks/%", false},
    {A, "http://app.example/hooks/%4", false},
    {A, "http://app.example/hooks/%zz", false},
    {A, "http://app.example/hooks#x", false},
    {A, "http://app.example/hooks/a b", false},
    {A, "http://app.example/hooks\t", false},
    {A, "http://app.example/hooks\n", false},
    {A, " http://app.example/hooks", false},
    {A, "http://app.example/hooks/\x7f", false},
    {A, "http://app.example/hooks/\xc3\xa4", false},
    {A "/", "http://app.example/hooks/", true},
    {A "/", "http://app.example/hooks/a", true},
    {A "/", "http://app.example/hooks", false},
    /* the host */
    {A, "http://app.example.evil/hooks", false},
    {A, "http://evil.app.example/hooks", false},
    {A, "http://app.example@evil.example/hooks", false},
    {A, "http://app.example:80@evil.example/hooks", false},
    {A, "http://x@app.example/hooks", false},
    {A, "http://x:y@app.example/hooks", false},
    {A, "http://@app.example/hooks", false},
    {A, "http://evil.example/@app.example/hooks", false},
    {A, "http://evil.example?@app.example/hooks", false},
    {A, "http://evil.example#@app.example/hooks", false},
    {A, "http://evil.example\\@app.example/hooks", false},
    {A, "http://app.example\\@evil.example/hooks", false},
    {A, "http://app.example\\.evil.example/hooks", false},
    {A, "http://app%2eexample/hooks", false},
    {A, "http://app.example%00.evil/hooks", false},
    {A, "http://app.example../hooks", false},
    {A, "http://.app.example/hooks", false},
    {A, "http://app..example/hooks", false},
    {A, "http:///app.example/hooks", false},
    {A, "http:/app.example/hooks", false},
    {A, "http:app.example/hooks", false},
    {A, "//app.example/hooks", false},
    {A, "app.example/hooks", false},
    {A, "http://", false},
    {A, "", false},
    /* the scheme and the port */
    {A, "https://app.example/hooks", false},
    {A, "https://app.example:80/hooks", false},
    {A, "http://app.example:443/hooks", false},
    {A, "http://app.example:8080/hooks", false},
    {A, "http://app.example:80a/hooks", false},
    {A, "http://app.example:65616/hooks", false},
    {A, "http://app.example:-80/hooks", false},
    {A, "ftp://app.example/hooks", false},
    {A, "file:///hooks", false},
    {A, "javascript://app.example/hooks", false},
    {"https://app.example", "https://app.example:443/x", true},
    {"https://app.example", "https://app.example", true},
    {"https://app.example", "https://app.example?x", true},
    {"https://app.example/", "https://app.example", true},
    {"https://app.example:8443", "https://app.example:8443/x", true},
    {"https://app.example:8443", "https://app.example/x", false},
    /* addresses */
    {"http://127.0.0.1:3000", "http://127.0.0.1:3000/x", true},
    {"http://127.0.0.1:3000", "http://127.1:3000/x", true},
    {"http://127.0.0.1:3000", "http://0x7f000001:3000/x", true},
    {"http://127.0.0.1:3000", "http://2130706433:3000/x", true},
    {"http://127.0.0.1:3000", "http://0177.0.0.1:3000/x", true},
    {"http://10.0.0.1", "http://127.1/", false},
    {"http://10.0.0.1", "http://10.0.0.1./", false},
    {"http://10.0.0.1.", "http://10.0.0.1./", false},
    {"http://10.0.0.1.2", "http://10.0.0.1.2/", false},
    {"http://a.example.0x7f", "http://a.example.0x7f/", false},
    {"http://7", "http://0.0.0.7/", true},
    {"http://10.0.0.1", "http://0x7f.1/", false},
    {"http://10.0.0.1", "http://10.0.0.1.evil.example/", false},
    {"http://127.0.0.1", "http://[::ffff:127.0.0.1]/", false},
    {"http://127.0.0.1", "http://[::1]/", false},
    {"http://localhost", "http://127.0.0.1/", false},
    {"http://[::1]:3000", "http://[::1]:3000/x", true},
    {"http://[::1]:3000", "http://[0:0:0:0:0:0:0:1]:3000/x", true},
    {"http://[::1]:3000", "http://[0::0001]:3000/x", true},
    {"http://[::1]:3000", "http://[::1]:3001/x", false},
    {"http://[::1]:3000", "http://[::2]:3000/x", false},
    {"http://[::1]", "http://[::1%25lo]/", false},
    {"http://[::1]", "http://[::1%lo]/", false},
    {"http://[::1]", "http://::1/", false},
    {"http://[::1]", "http://[::1]evil.example/", false},
    {"http://[::1]", "http://[::1].evil.example/", false},
    {"http://[FE80::A]", "http://[fe80::a]/", true},
    /* names in other alphabets are as they are written */
    {"http://xn--bcher-kva.example", "http://xn--bcher-kva.example/", true},
    {"http://xn--bcher-kva.example",
     "http://b\xc3\xbc"
     "cher.example/",
     false},
    /* prefixes that are none */
    {"http://app.example/?x", "http://app.example/?x", false},
    {"http://app.example/#x", "http://app.example/#x", false},
    {"http://app.example/a/..", "http://app.example/a/..", false},
    {"http://u@app.example/", "http://u@app.example/", false},
    {"app.example", "app.example", false},
    {"http://", "http://app.example/", false},
    {"", "http://app.example/", false},
};

static void test_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool allowed = url_prefix_allows(rows[i].prefix, rows[i].url);
        if (allowed != rows[i].allowed)
            fail_msg("%s: %s: %s", rows[i].prefix, rows[i].url, allowed ? "allowed" : "refused");
        assert_true(!allowed || (url_prefix_ok(rows[i].prefix) && url_prefix_url_ok(rows[i].url)));
    }
}

static void test_long_ones(void **state)
{
    static char url[URL_PREFIX_MAX + 2];
    (void)state;
    memset(url, 'a', URL_PREFIX_MAX);
    memcpy(url, A "/", strlen(A "/"));
    assert_true(url_prefix_allows(A, url));
    url[URL_PREFIX_MAX] = 'a';
    assert_false(url_prefix_allows(A, url));
    assert_false(url_prefix_url_ok(url));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_the_table),
                                       cmocka_unit_test(test_long_ones)};
    return cmocka_run_group_tests_name("prefixes of URLs", tests, NULL, NULL);
}
