/* SPDX-License-Identifier: MIT */
/* Pages of another web site, from outside: let in only when --cors-origin names theirs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/client.h"

#define APP "https://app.example"

static void the_named_site_may(void **state)
{
    struct server *server =
        server_start("-w", "0", "-q", "1", "--cors-origin", APP, "--max-body", "10");
    struct client *client = client_new(server);
    const char *const *page = FIELDS("Origin: " APP, "Sec-Fetch-Site: cross-site");
    const struct answer *answer = client_send(client, "POST", "/do", page, "job");
    (void)state;
    assert_answer(answer, 202, "queued\n");
    assert_field(answer, "Access-Control-Allow-Origin", APP);
    assert_field(answer, "Vary", "Origin");
    answer = client_send(client, "POST", "/do", page, "job"); /* a shared reply to others */
    assert_answer(answer, 429, "busy\n");
    assert_field(answer, "Access-Control-Allow-Origin", APP);
    assert_field(answer, "Retry-After", "60");
    answer = client_send(client, "POST", "/do", page, "more than ten bytes");
    assert_int_equal(answer->status, 413);
    assert_field(answer, "Access-Control-Allow-Origin", APP);
    answer = client_send(client, "POST", "/do", NULL, "job");
    assert_answer(answer, 429, "busy\n");
    assert_field(answer, "Access-Control-Allow-Origin", "");
    answer = client_get(client, "/jobs"); /* which a cache must not give to a page */
    assert_field(answer, "Access-Control-Allow-Origin", "");
    assert_field(answer, "Vary", "Origin");
    client_free(client);
}

/* What a browser asks before it sends anything of its page's own; it shows no token. */
static void it_may_ask_first(void **state)
{
    const char *tokens = temporary_file("tokens", "put 0123456789abcdef\n");
    struct server *server = server_start("--token-file", tokens, "--cors-origin", APP);
    struct client *client = client_new(server);
    const struct answer *answer =
        client_send(client, "OPTIONS", "/jobs/1",
                    FIELDS("Origin: " APP, "Access-Control-Request-Method: DELETE"), NULL);
    (void)state;
    assert_int_equal(answer->status, 204);
    assert_field(answer, "Access-Control-Allow-Origin", APP);
    assert_field(answer, "Access-Control-Allow-Methods", "GET, HEAD, PATCH, DELETE, OPTIONS");
    assert_non_null(strstr(answer->head, "Access-Control-Allow-Headers: Authorization, "));
    answer = client_send(client, "OPTIONS", "/jobs/1", NULL, NULL); /* nobody's page */
    assert_int_equal(answer->status, 405);
    assert_field(answer, "Allow", "GET, HEAD, PATCH, DELETE");
    answer = client_send(client, "POST", "/do", FIELDS("Origin: " APP), NULL);
    assert_int_equal(answer->status, 401); /* and the page may know why */
    assert_field(answer, "Access-Control-Allow-Origin", APP);
    answer = client_send(client, "POST", "/do",
                         FIELDS("Origin: " APP, "Authorization: Bearer 0123456789abcdef"), NULL);
    assert_int_equal(answer->status, 202);
    client_free(client);
}

static void others_may_not(void **state)
{
    struct server *plain = server_start("-w", "0"),
                  *named = server_start("-w", "0", "--cors-origin", APP);
    struct client *client = client_new(plain);
    const struct answer *answer = client_send(client, "POST", "/do", FIELDS("Origin: " APP), "job");
    (void)state;
    assert_int_equal(answer->status, 403);
    assert_null(strstr(answer->head, "Access-Control"));
    client_free(client);
    client = client_new(named);
    answer = client_send(client, "POST", "/do", FIELDS("Origin: https://evil.example"), "job");
    assert_int_equal(answer->status, 403);
    assert_null(strstr(answer->head, "Access-Control"));
    answer = client_send(client, "POST", "/do", FIELDS("Origin: " APP, "Host: evil.example"), "j");
    assert_int_equal(answer->status, 403);
    client_free(client);
}

static void a_wrong_origin_is_named(void **state)
{
    /* None of these would ever be what a browser sends. */
    static const char *const wrong[] = {
        "*",
        "null",
        "app.example",
        "ftp://app.example",
        "https://",
        "https://App.example",
        "https://app.example/",
        "https://app.example/x",
        "https://app.example:",
        "https://app.example:443",
        "http://app.example:80",
        "https://app.example:99999",
        "https://user@app.example",
        "http://:::",
        "http://[",
    };
    static const char *const right[] = {"https://app.example", "http://localhost:3000",
                                        "https://app.example:80", "http://[::1]:3000"};
    char *out, *err, expected[256];
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const char *const arguments[] = {"--check", "--cors-origin", wrong[i], NULL};
        snprintf(expected, sizeof expected,
                 "jobd: --cors-origin: invalid value \"%s\"; expected an origin like "
                 "https://app.example, in lower case, no path\n",
                 wrong[i]);
        assert_int_equal(server_run(arguments, NULL, &out, &err), 2);
        assert_string_equal(err, expected);
        free(out);
        free(err);
    }
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        const char *const arguments[] = {"--check", "--cors-origin", right[i], NULL};
        assert_int_equal(server_run(arguments, NULL, &out, &err), 0);
        assert_string_equal(err, "");
        free(out);
        free(err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(the_named_site_may, server_stop_all),
        cmocka_unit_test_teardown(it_may_ask_first, server_stop_all),
        cmocka_unit_test_teardown(others_may_not, server_stop_all),
        cmocka_unit_test_teardown(a_wrong_origin_is_named, server_stop_all),
    };
    return cmocka_run_group_tests_name("cors", tests, NULL, NULL);
}
