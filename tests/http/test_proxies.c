/* SPDX-License-Identifier: MIT */
/* --trusted-proxy: who is one, who their client is, and what follows from it for the access log and
 * for --max-per-address. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "http/proxies.h"
#include "support/client.h"
#include "support/server.h"

#define LEN(rows) (sizeof(rows) / sizeof(rows)[0])

/* ---- who is one */

static struct sockaddr_storage address_of(const char *text)
{
    struct sockaddr_storage address;
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    memset(&address, 0, sizeof address);
    address.ss_family = AF_UNIX;
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        memcpy(&address, &v4, sizeof v4);
    else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
        memcpy(&address, &v6, sizeof v6);
    return address;
}

static void lists(void **state)
{
    static const struct {
        const char *list;
        bool good;
    } rows[] = {
        {"127.0.0.1", true},
        {"unix", true},
        {"::1", true},
        {"10.0.0.0/8,unix,2001:db8::/32,::ffff:192.0.2.1", true},
        {"0.0.0.0/0,::/0", true},
        {"1.1.1.1,2,3", false},
        {"1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,"
         "1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1",
         true},
        {"1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,"
         "1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1",
         false},
        {"", false},
        {",", false},
        {"unix,", false},
        {"unix, ::1", false},
        {"Unix", false},
        {"localhost", false},
        {"10.0.0.0/", false},
        {"10.0.0.0/33", false},
        {"10.0.0.0/-1", false},
        {"10.0.0.0/8/8", false},
        {"::/129", false},
        {"10.0.0", false},
        {"[::1]", false},
        {"127.0.0.1:80", false},
        {"2001:0db8:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000", false},
    };
    (void)state;
    for (size_t i = 0; i < LEN(rows); i++) {
        struct proxies proxies;
        if (proxies_parse(&proxies, rows[i].list) != rows[i].good)
            fail_msg("\"%s\"", rows[i].list);
    }
}

static void networks(void **state)
{
    static const struct {
        const char *list, *address;
        bool has;
    } rows[] = {
        {"127.0.0.1", "127.0.0.1", true},       {"127.0.0.1", "127.0.0.2", false},
        {"127.0.0.1", "unix", false},           {"unix", "unix", true},
        {"unix", "127.0.0.1", false},           {"10.0.0.0/8", "10.255.0.1", true},
        {"10.0.0.0/8", "11.0.0.0", false},      {"192.0.2.130/25", "192.0.2.129", true},
        {"192.0.2.130/25", "192.0.2.1", false}, {"10.0.0.0/8", "::ffff:10.1.2.3", true},
        {"::ffff:10.1.2.3", "10.1.2.3", true},  {"0.0.0.0/0", "203.0.113.9", true},
        {"0.0.0.0/0", "2001:db8::1", false},    {"::/0", "2001:db8::1", true},
        {"2001:db8::/33", "2001:db8::1", true}, {"2001:db8::/33", "2001:db8:8000::1", false},
        {"::1,10.0.0.1", "10.0.0.1", true},
    };
    (void)state;
    assert_false(proxies_has(NULL, &(struct sockaddr){.sa_family = AF_UNIX}));
    for (size_t i = 0; i < LEN(rows); i++) {
        struct proxies proxies;
        const struct sockaddr_storage address = address_of(rows[i].address);
        assert_true(proxies_parse(&proxies, rows[i].list));
        if (proxies_has(&proxies, (const struct sockaddr *)&address) != rows[i].has)
            fail_msg("%s among %s", rows[i].address, rows[i].list);
    }
}

/* ---- who their client is */

static void clients(void **state)
{
    static const struct {
        const char *fields[3], *client; /* "": not known */
    } rows[] = {
        {{"192.0.2.7"}, "192.0.2.7"},
        {{"2001:db8::7"}, "2001:db8::7"},
        {{" 192.0.2.7 "}, "192.0.2.7"},
        {{"192.0.2.7:4711"}, "192.0.2.7"},
        {{"[2001:db8::7]:4711"}, "2001:db8::7"},
        {{"[2001:db8::7]"}, "2001:db8::7"},
        {{"198.51.100.1, 192.0.2.7"}, "192.0.2.7"},
        {{"198.51.100.1,192.0.2.7,10.0.0.1, 10.0.0.2"}, "192.0.2.7"},
        {{"198.51.100.1", "192.0.2.7", "10.0.0.1"}, "192.0.2.7"},
        {{"10.0.0.1, 10.0.0.2"}, "10.0.0.1"},
        {{"192.0.2.7, unknown"}, ""},
        {{"192.0.2.7, unknown, 10.0.0.2, 10.0.0.3"}, "10.0.0.2"},
        {{"unknown, 192.0.2.7"}, "192.0.2.7"},
        {{""}, ""},
        {{"192.0.2.7,"}, ""},
        {{"192.0.2.7.8"}, ""},
        {{"_hidden"}, ""},
        {{"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}, ""},
    };
    struct proxies proxies;
    (void)state;
    assert_true(proxies_parse(&proxies, "10.0.0.0/8"));
    for (size_t i = 0; i < LEN(rows); i++) {
        struct sockaddr_storage client, expected = address_of(rows[i].client);
        memset(&client, 0, sizeof client);
        for (size_t f = 0; f < LEN(rows[i].fields) && rows[i].fields[f] != NULL; f++)
            proxies_client(&proxies, rows[i].fields[f], strlen(rows[i].fields[f]), &client);
        if (rows[i].client[0] == '\0')
            expected.ss_family = AF_UNSPEC;
        if (client.ss_family != expected.ss_family ||
            (client.ss_family != AF_UNSPEC && memcmp(&client, &expected, sizeof client) != 0))
            fail_msg("not %s by \"%s\"", rows[i].client, rows[i].fields[0]);
    }
}

/* ---- a server */

#define WAITS    "POST /take?wait=30s HTTP/1.1\r\n" HOST
#define LOOKS    "GET /queues HTTP/1.1\r\n" HOST "Connection: close\r\n"
#define HOST     "Host: localhost\r\n"
#define OF(from) "X-Forwarded-For: " from "\r\n\r\n"

static struct raw raw;

static void its_requests_are_counted(void **state)
{
    struct server *server =
        server_start("-w", "0", "--trusted-proxy", "127.0.0.1", "--max-per-address", "2");
    struct client *client = client_new(server);
    int fds[3];
    (void)state;
    for (int i = 0; i < 3; i++) /* no more than two are of one client */
        assert_true(raw_send(fds[i] = raw_connect(server),
                             i < 2 ? WAITS OF("192.0.2.7") : WAITS OF("192.0.2.8")));
    client_await_metric(client, "jobd_requests_parked", 3);
    assert_int_equal(raw_ask(server, LOOKS OF("192.0.2.7"), &raw), 503);
    assert_non_null(strstr(raw.text, "too many requests from your address"));
    assert_int_equal(raw_ask(server, LOOKS OF("192.0.2.7, 127.0.0.1"), &raw), 503);
    assert_int_equal(raw_ask(server, LOOKS OF("192.0.2.7, 192.0.2.8"), &raw), 200);
    assert_int_equal(raw_ask(server, LOOKS OF("192.0.2.9"), &raw), 200);
    assert_int_equal(raw_ask(server, LOOKS "\r\n", &raw), 200);
    close(fds[0]);
    client_await_metric(client, "jobd_requests_parked", 2);
    assert_int_equal(raw_ask(server, LOOKS OF("192.0.2.7"), &raw), 200);
    close(fds[1]);
    close(fds[2]);
    client_free(client);
}

/* One connection after the other's request, as proxies keep them. */
static void a_connection_counts_while_it_asks(void **state)
{
    struct server *server =
        server_start("-w", "0", "--trusted-proxy", "127.0.0.1", "--max-per-address", "1");
    int fd = raw_connect(server);
    (void)state;
    for (int i = 0; i < 3; i++) {
        int64_t deadline_ms = now_ms() + PATIENCE_MS;
        assert_true(raw_send(fd, "GET /healthz HTTP/1.1\r\n" HOST OF("192.0.2.7")));
        raw_read_answer(fd, &raw);
        assert_int_equal(raw_status(raw.text), 200);
        while (raw_ask(server, LOOKS OF("192.0.2.7"), &raw) != 200)
            look_again(deadline_ms, "the request to be over");
    }
    close(fd);
}

static void others_are_not_believed(void **state)
{
    char path[SERVER_LINE_SIZE], lines[4096];
    (void)state;
    snprintf(path, sizeof path, "%s/access.log", temporary_directory());
    struct server *server = server_start("-w", "0", "--trusted-proxy", "127.0.0.2,unix",
                                         "--access-log", path, "--max-per-address", "1");
    assert_int_equal(raw_ask(server, LOOKS OF("192.0.2.7"), &raw), 200);
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0);
    FILE *in = fopen(path, "re");
    assert_non_null(in);
    lines[fread(lines, 1, sizeof lines - 1, in)] = '\0';
    fclose(in);
    assert_non_null(strstr(lines, " 127.0.0.1 GET /queues 200 "));
}

#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists),
        cmocka_unit_test(networks),
        cmocka_unit_test(clients),
        TEST(its_requests_are_counted),
        TEST(a_connection_counts_while_it_asks),
        TEST(others_are_not_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
