/* SPDX-License-Identifier: MIT */
/* Who asks: requests by names that are not this machine's, and by pages of other web sites. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/server.h"

#define HOST   "Host: localhost\r\n"
#define LAST   "Connection: close\r\n\r\n"
#define ADMITS "jobd_jobs_admitted_total{queue=\"default\"}"

static struct raw raw;

static int ask_with(const struct server *server, const char *fields)
{
    char request[512];
    snprintf(request, sizeof request, "POST /do HTTP/1.1\r\n%s" LAST, fields);
    return raw_ask(server, request, &raw);
}

static void ask_for_host(const struct server *server, const char *host, int status)
{
    char fields[256];
    snprintf(fields, sizeof fields, "Host: %s\r\n", host);
    int said = ask_with(server, fields);
    if (said != status)
        fail_msg("%d, not %d, for %s", said, status, host);
}

static void only_loopback_names_are_served(void **state)
{
    static const char *const good[] = {"localhost", "LocalHost",   "localhost.", "localhost:8080",
                                       "127.0.0.1", "127.0.0.1:1", "[::1]",      "[::1]:8080"};
    static const char *const bad[] = {"evil.example",
                                      "localhost.evil.example",
                                      "localhost.evil.example:80",
                                      "127.0.0.1.evil.example",
                                      "localhost:",
                                      "localhost..",
                                      "xlocalhost",
                                      "127.0.0.2",
                                      "0.0.0.0",
                                      "[::2]",
                                      "localhost:123456",
                                      "127.1"};
    static const char *const none[] = {"localhost:80.evil.example", "[::1].evil", "::1", "[::1"};
    struct server *server = server_start("-w", "0", "-q", "100");
    struct client *client = client_new(server);
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        ask_for_host(server, good[i], 202);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ask_for_host(server, bad[i], 403);
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        ask_for_host(server, none[i], 400);
    assert_int_equal(ask_with(server, "Host: evil.example\r\nX-Forwarded-Host: localhost\r\n"),
                     403);
    assert_int_equal(ask_with(server, HOST "X-Forwarded-Host: evil.example\r\n"), 202);
    assert_int_equal(client_metric(client, ADMITS), sizeof good / sizeof good[0] + 1);
    client_free(client);
}

static void other_web_sites_are_refused(void **state)
{
    static const struct {
        const char *fields;
        int status;
    } rows[] = {
        {HOST "Sec-Fetch-Site: same-origin\r\n", 202},
        {HOST "Sec-Fetch-Site: none\r\n", 202},
        {HOST "Sec-Fetch-Site: cross-site\r\n", 403},
        {HOST "Sec-Fetch-Site: same-site\r\n", 403},
        {HOST "Sec-Fetch-Site: \r\n", 403},
        {HOST "Sec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site\r\n", 403},
        {HOST "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Site: none\r\n", 403},
        {HOST "Origin: http://localhost\r\n", 202},
        {"Host: 127.0.0.1:99\r\nOrigin: http://127.0.0.1:99\r\n", 202},
        {"Host: localhost:99\r\nOrigin: http://localhost:98\r\n", 403},
        {HOST "Origin: https://localhost\r\n", 403},
        {HOST "Origin: http://evil.example\r\n", 403},
        {HOST "Origin: http://localhost.evil.example\r\n", 403},
        {HOST "Origin: null\r\n", 403},
        {HOST "Origin: http://localhost\r\nOrigin: http://evil.example\r\n", 403},
        {HOST "Origin: http://evil.example\r\nOrigin: http://localhost\r\n", 403},
    };
    struct server *server = server_start("-w", "0", "-q", "100");
    (void)state;
    size_t wrong = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int status = ask_with(server, rows[i].fields);
        if (status != rows[i].status) {
            print_error("%d, not %d, for:\n%s", status, rows[i].status, rows[i].fields);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(only_loopback_names_are_served),
        TEST(other_web_sites_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
