/* SPDX-License-Identifier: MIT */
/* Targets: what is a path, what an authority, and what an encoded byte is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/target.h"
#include "support/client.h"
#include "support/server.h"

#define HOST   "Host: localhost\r\n"
#define LAST   "Connection: close\r\n\r\n"
#define ADMITS "jobd_jobs_admitted_total{queue=\"default\"}"

struct row {
    const char *request;
    int status;
};

/* The server must answer so, once, and close. */
static void ask(const struct server *server, const char *request, int status)
{
    static struct raw raw;
    int said = raw_ask(server, request, &raw);
    if (said != status || strstr(raw.text + 1, "\nHTTP/1.1 ") != NULL)
        fail_msg("%d, not %d, for:\n%s\nit said:\n%s", said, status, request, raw.text);
}

static void what_decodes(void **state)
{
    static const struct {
        const char *target, *decoded;
    } rows[] = {
        {"/a", "/a"},
        {"/%61%2Fb%2fc", "/a%2Fb%2fc"},
        {"/%252f", "/%2f"},
        {"/%", "/%"},
        {"/%6", "/%6"},
        {"/%6g%g6", "/%6g%g6"},
        {"/%fF", "/\xff"},
        {"http://%61/%61", "http://%61/a"},
        {"http://%61", "http://%61"},
        {"http:%2f%2fa/%61", "http:%2f%2fa/a"},
        {"%68ttp://a/%61", "http://a/a"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[64];
        strcpy(text, rows[i].target);
        size_t size = target_decode(text, target_is_whole(text));
        assert_string_equal(text, rows[i].decoded);
        assert_int_equal(size, strlen(rows[i].decoded));
    }
}

/* An encoded slash is a byte of a segment, so none of these is what it looks like behind a decoder
 * that is less careful; nor is a path a whole URI because it looks like one once decoded. */
static void an_encoded_slash_is_a_byte(void **state)
{
    static const char *const targets[] = {
        "/jobs/%llu%%2fpayload",
        "/jobs/%llu%%2Fpayload",
        "/jobs%%2f%llu",
        "/jobs/%llu%%2fretry",
        "/%%2fhealthz",
        "%%2fhealthz",
        "%%2Fhealthz",
        "/healthz%%2f",
        "/queues%%2fdefault",
        "/queues/default%%2fpause",
        "/do%%2fdefault",
        "/do/default%%2f",
        "/do/%%2fdefault",
        "/jobs/%llu%%252fpayload",
        "http:%%2f%%2flocalhost%%2fhealthz",
        "http:/%%2flocalhost/healthz",
        "http%%3a//localhost/healthz",
        "%%68ttp://localhost/healthz",
        "http://localhost/%%2fhealthz",
    };
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    char request[256];
    (void)state;
    unsigned long long id = client_put(client, "/do");
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++)
        for (int post = 0; post < 2; post++) {
            int before = snprintf(request, sizeof request, "%s ", post ? "POST" : "GET");
            snprintf(request + before, sizeof request - (size_t)before, targets[i], id);
            strcat(request, " HTTP/1.1\r\n" HOST LAST);
            ask(server, request, 404);
        }
    assert_int_equal(client_metric(client, ADMITS), 1);
    client_free(client);
}

/* The Host of who asks is not overridden by a path, and an authority is not decoded. */
static void an_authority_is_what_it_is(void **state)
{
    static const struct row rows[] = {
        {"GET http:%2f%2flocalhost%2fhealthz HTTP/1.1\r\nHost: evil.example\r\n" LAST, 403},
        {"GET %68ttp://localhost/healthz HTTP/1.1\r\nHost: evil.example\r\n" LAST, 403},
        {"GET http://local%68ost/healthz HTTP/1.1\r\n" HOST LAST, 403},
        {"GET http://localhost%2fhealthz HTTP/1.1\r\n" HOST LAST, 403},
        {"GET http://localhost%2f.evil.example/healthz HTTP/1.1\r\n" HOST LAST, 403},
        {"GET http://localhost/he%61lthz HTTP/1.1\r\n" HOST LAST, 200},
        {"GET /%68ealthz HTTP/1.1\r\n" HOST LAST, 200},
        {"GET /jobs?limit=%31&state=queued%2f HTTP/1.1\r\n" HOST LAST, 400},
        {"GET /health%7 HTTP/1.1\r\n" HOST LAST, 404},
        {"GET /health% HTTP/1.1\r\n" HOST LAST, 404},
        {"GET /healthz%zz HTTP/1.1\r\n" HOST LAST, 404},
    };
    struct server *server = server_start("-w", "0");
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        ask(server, rows[i].request, rows[i].status);
}

static void a_target_is_visible_ascii(void **state)
{
    static const struct row rows[] = {
        {"GET /health\x1b[31mz HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET /health\x01 HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET /healthz\x7f HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET /gr\xc3\xb6\xc3\x9f"
         "e HTTP/1.1\r\n" HOST "\r\n",
         400},
        {"GET /healthz?\xff HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET /healthz?x=\x9b HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET /health z HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET /healthz\tHTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET /healthz?a b HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET /healthz\tx HTTP/1.1\r\n" HOST "\r\n", 400},
    };
    struct server *server = server_start("-w", "0");
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        ask(server, rows[i].request, rows[i].status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_decodes),
        cmocka_unit_test_teardown(an_encoded_slash_is_a_byte, server_stop_all),
        cmocka_unit_test_teardown(an_authority_is_what_it_is, server_stop_all),
        cmocka_unit_test_teardown(a_target_is_visible_ascii, server_stop_all),
    };
    return cmocka_run_group_tests_name("target", tests, NULL, NULL);
}
