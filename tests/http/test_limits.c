/* SPDX-License-Identifier: MIT */
/* Slow clients, and too many of them: each gets a clear status or is closed, and those who are
 * served go on. */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/server.h"

#define HOST   "Host: localhost\r\n"
#define LAST   "Connection: close\r\n\r\n"
#define ADMITS "jobd_jobs_admitted_total{queue=\"default\"}"

static struct raw raw;

/* ---- slow clients */

/* Sends one byte after the other, so slowly that the time is over long before the last. */
static void dribble(int fd, const char *text)
{
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    char byte;
    for (; *text != '\0'; text++) {
        if (!raw_send_bytes(fd, text, 1))
            return;
        if (recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0)
            return;
        for (int i = 0; i < 4; i++)
            look_again(deadline_ms, "a dribbling client to be cut off");
    }
}

static void a_dribbled_header_is_cut_off(void **state)
{
    struct server *server = server_start("--header-timeout", "500ms", "--idle-timeout", "1m");
    struct client *client = client_new(server);
    (void)state;
    char *text = raw_filled("GET /healthz HTTP/1.1\r\n" HOST "X: ", 'x', 2000, "\r\n" LAST);
    int fd = raw_connect(server);
    int64_t before_ms = now_ms();
    dribble(fd, text);
    raw_read_until_close(fd, &raw);
    assert_int_equal(raw_status(raw.text), 408);
    assert_true(now_ms() - before_ms >= 450);
    close(fd);
    free(text);
    assert_int_equal(client_metric(client, "jobd_connections_cut_total"), 1);
    client_free(client);
}

/* The time of a connection's first header begins with the connection: whoever sends the request
 * line late is cut before one that came later and is silent. */
static void a_late_request_line_gains_no_time(void **state)
{
    struct server *server = server_start("--header-timeout", "1s", "-w", "0");
    int64_t began_ms = now_ms();
    struct pollfd clients[] = {{.fd = raw_connect(server), .events = POLLIN},
                               {.fd = -1, .events = POLLIN}};
    (void)state;
    let_pass(began_ms + 400 - now_ms());
    clients[1].fd = raw_connect(server);
    let_pass(began_ms + 750 - now_ms());
    (void)raw_send(clients[0].fd, "GET /healthz HTTP/1.1\r\n");
    assert_true(poll(clients, 2, PATIENCE_MS) > 0);
    assert_int_not_equal(clients[0].revents, 0);
    close(clients[0].fd);
    close(clients[1].fd);
}

static void silence_is_cut_off(void **state)
{
    static const char *const texts[] = {"", "G", "GET /do HTTP/1.1\r\n", "\r\n"};
    struct server *server = server_start("--header-timeout", "300ms", "-w", "0");
    int fds[4];
    (void)state;
    for (int i = 0; i < 4; i++) {
        fds[i] = raw_connect(server);
        assert_true(raw_send(fds[i], texts[i]));
    }
    for (int i = 0; i < 4; i++) {
        raw_read_until_close(fds[i], &raw);
        assert_int_equal(raw_status(raw.text), 408);
        close(fds[i]);
    }
}

static void a_slow_body_is_cut_off(void **state)
{
    struct server *server =
        server_start("--header-timeout", "400ms", "--max-body", "1000", "-w", "0");
    struct client *client = client_new(server);
    (void)state;
    char *text = raw_filled("", 'x', 900, "");
    int fd = raw_connect(server);
    assert_true(raw_send(fd, "POST /do HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\n"));
    dribble(fd, text);
    raw_read_until_close(fd, &raw);
    assert_int_equal(raw_status(raw.text), 408);
    close(fd);
    free(text);
    assert_int_equal(client_metric(client, ADMITS), 0);
    client_free(client);
}

static void an_idle_connection_is_closed(void **state)
{
    struct server *server = server_start("--idle-timeout", "300ms");
    (void)state;
    int fd = raw_connect(server);
    assert_true(raw_send(fd, "GET /healthz HTTP/1.1\r\n" HOST "\r\n"));
    raw_read_answer(fd, &raw);
    assert_int_equal(raw_status(raw.text), 200);
    int64_t before_ms = now_ms();
    raw_read_until_close(fd, &raw);
    assert_int_equal(raw.size, 0); /* without a word: it would be taken for the next answer */
    assert_true(now_ms() - before_ms >= 200);
    close(fd);
}

static unsigned count_told(int fd)
{
    raw_read_until(fd, &raw, "queued\n");
    return raw_status(raw.text) == 202;
}

/* To cut a connection and to take a job from it exclude each other: while the server stands still,
 * requests come in and the time to idle passes, so that it finds both at once. */
static void who_is_cut_has_no_job_in(void **state)
{
    enum { CONNECTIONS = 200, TIMES = 5, LATE_MS = 300 };
    static const char request[] = "POST /do HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n";
    struct server *server = server_start("--idle-timeout", "100ms", "-w", "0", "-q", "10000");
    unsigned told = 0;
    (void)state;
    for (int times = 0; times < TIMES; times++) {
        int fds[CONNECTIONS];
        for (int i = 0; i < CONNECTIONS; i++) {
            fds[i] = raw_connect(server);
            assert_true(raw_send(fds[i], request));
        }
        for (int i = 0; i < CONNECTIONS; i++)
            told += count_told(fds[i]);
        server_suspend(server);
        for (int i = 0; i < CONNECTIONS; i++)
            (void)raw_send(fds[i], request);
        let_pass(LATE_MS);
        server_signal(server, SIGCONT);
        for (int i = 0; i < CONNECTIONS; i++) {
            told += count_told(fds[i]);
            close(fds[i]);
        }
    }
    struct client *client = client_new(server);
    assert_in_range(told, 1, 2 * CONNECTIONS * TIMES);
    assert_int_equal(client_metric(client, ADMITS), told);
    client_free(client);
}

/* What a taker sent before it left, as a farewell of TLS, stands before its end: while the server
 * stands still, jobs for them come in, and they go. None is theirs then. */
static void who_has_left_takes_no_job(void **state)
{
    enum { TAKERS = 100, TIMES = 5 };
    static const char take[] = "POST /take?wait=1h HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n";
    int takers[TAKERS], putters[TAKERS];
    (void)state;
    for (int times = 0; times < TIMES; times++) {
        struct server *server = server_start("-w", "0", "-q", "1000", "--max-connections", "300");
        struct client *client = client_new(server);
        for (int i = 0; i < TAKERS; i++) {
            takers[i] = raw_connect(server);
            assert_true(raw_send(takers[i], take));
            putters[i] = raw_connect(server);
        }
        client_await_metric(client, "jobd_requests_parked", TAKERS);
        server_suspend(server);
        for (int i = 0; i < TAKERS; i++) {
            assert_true(raw_send(putters[i], "POST /do HTTP/1.1\r\n" HOST LAST));
            assert_true(raw_send(takers[i], "x"));
            assert_int_equal(shutdown(takers[i], SHUT_WR), 0);
        }
        server_signal(server, SIGCONT);
        for (int i = 0; i < TAKERS; i++) {
            raw_read_until_close(putters[i], &raw);
            assert_int_equal(raw_status(raw.text), 202);
            raw_read_until_close(takers[i], &raw);
            assert_int_equal(raw.size, 0);
            close(putters[i]);
            close(takers[i]);
        }
        client_await_metric(client, "jobd_queue_queued{queue=\"default\"}", TAKERS);
        client_free(client);
    }
}

/* Those who wait for a job are neither idle nor slow. */
static void a_parked_request_is_left_alone(void **state)
{
    struct server *server = server_start("--idle-timeout", "200ms", "--header-timeout", "200ms",
                                         "--max-body", "1KiB", "--sleep", "1500ms");
    (void)state;
    struct client *client = client_new(server);
    char path[64];
    snprintf(path, sizeof path, "/jobs/%llu?wait=15s",
             (unsigned long long)client_put(client, "/do"));
    const struct answer *answer = client_get(client, path);
    assert_answer(answer, 200, NULL);
    assert_non_null(strstr(answer->body, "\"state\":\"done\""));
    client_free(client);
}

/* ---- how many */

static int connect_and_ask(const struct server *server)
{
    int fd = raw_connect(server);
    assert_true(raw_send(fd, "GET /healthz HTTP/1.1\r\n" HOST "\r\n"));
    raw_read_answer(fd, &raw);
    return fd;
}

static void limit_of_connections(const char *option)
{
    enum { MOST = 3 };
    struct server *server = server_start(option, "3");
    int fds[MOST];
    for (int i = 0; i < MOST; i++) {
        fds[i] = connect_and_ask(server);
        assert_int_equal(raw_status(raw.text), 200);
    }
    for (int i = 0; i < 5; i++) { /* with and without a request of their own */
        const char *request = i % 2 == 0 ? "GET /healthz HTTP/1.1\r\n" HOST "\r\n" : "";
        assert_int_equal(raw_ask(server, request, &raw), 503);
        assert_non_null(strstr(raw.text, "\r\nRetry-After: "));
        assert_non_null(strstr(raw.text, "\r\nDate: "));
        assert_non_null(strstr(raw.text, "too many connections"));
    }
    for (int i = 0; i < MOST; i++) {
        assert_true(raw_send(fds[i], "GET /healthz HTTP/1.1\r\n" HOST "\r\n"));
        raw_read_answer(fds[i], &raw);
        assert_int_equal(raw_status(raw.text), 200);
    }
    close(fds[0]);
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    while (raw_ask(server, "GET /healthz HTTP/1.1\r\n" HOST LAST, &raw) != 200)
        look_again(deadline_ms, "room for a connection");
    close(fds[1]);
    close(fds[2]);
}

static void limit_of_all_connections(void **state)
{
    (void)state;
    limit_of_connections("--max-connections");
}

static void limit_of_an_address(void **state)
{
    (void)state;
    limit_of_connections("--max-per-address");
}

/* ---- bytes under way */

enum { MIB = 1 << 20 };

static struct server *start_on_socket(const char *const *arguments)
{
    struct server *server = server_spawn(&(struct server_plan){.arguments = arguments});
    server_await_listening(server);
    return server;
}

/* Whoever wants memory must send, and gets no more than there is. */
static void bodies_share_their_memory(void **state)
{
    struct server *server = server_start("-w", "0", "--memory", "160KiB", "--max-body", "60000");
    struct client *client = client_new(server);
    int fds[2];
    (void)state;
    char *body =
        raw_filled("POST /do HTTP/1.1\r\n" HOST "Content-Length: 60000\r\n" LAST, 'x', 59999, "");
    char *whole = raw_filled(body, 'x', 1, "");
    for (int i = 0; i < 2; i++) {
        fds[i] = raw_connect(server);
        assert_true(raw_send(fds[i], body));
    }
    client_await_metric(client, "jobd_request_bytes", 120000);
    assert_int_equal(raw_ask(server, whole, &raw), 503);
    assert_non_null(strstr(raw.text, "\r\nRetry-After: 1\r\n"));
    for (int i = 0; i < 2; i++) {
        assert_true(raw_send(fds[i], "x"));
        raw_read_until_close(fds[i], &raw);
        assert_int_equal(raw_status(raw.text), 202);
        close(fds[i]);
    }
    client_await_metric(client, "jobd_request_bytes", 0);
    assert_int_equal(raw_ask(server, whole, &raw), 429); /* now jobs have it */
    free(body);
    free(whole);
    client_free(client);
}

/* Before its body, and without the leave to send it. */
static void who_may_not_is_told_at_once(void **state)
{
    const char *tokens = temporary_file("tokens", "put 0123456789abcdef\n");
    struct server *server = server_start("-w", "0", "--token-file", tokens);
    static const char *const fields[] = {"Content-Length: 60000\r\n",
                                         "Transfer-Encoding: chunked\r\n",
                                         "Content-Length: 60000\r\nExpect: 100-continue\r\n"};
    char request[256];
    (void)state;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        snprintf(request, sizeof request, "POST /do HTTP/1.1\r\n" HOST "%s\r\n", fields[i]);
        assert_int_equal(raw_ask(server, request, &raw), 401);
        snprintf(request, sizeof request,
                 "POST /take HTTP/1.1\r\n" HOST "Authorization: Bearer 0123456789abcdef\r\n%s\r\n",
                 fields[i]);
        assert_int_equal(raw_ask(server, request, &raw), 403);
    }
}

static void unread_replies_share_their_memory(void **state)
{
    enum { ROOM = 3 }; /* the rest of the memory is for those who take and end jobs */
    struct server *server = start_on_socket((const char *const[]){
        "-l", temporary_socket(), "-w", "0", "--memory", "4MiB", "--max-body", "1MiB", NULL});
    struct client *client = client_new(server);
    char request[128];
    int fds[ROOM];
    (void)state;
    char *body = raw_filled("", 'x', MIB, "");
    uint64_t id = answer_job(client_send(client, "POST", "/do", NULL, body));
    client_await_metric(client, "jobd_request_bytes", 0);
    snprintf(request, sizeof request, "GET /jobs/%llu/payload HTTP/1.1\r\n" HOST LAST,
             (unsigned long long)id);
    for (int i = 0; i < ROOM; i++) {
        fds[i] = raw_connect(server);
        assert_true(raw_send(fds[i], request));
        client_await_metric(client, "jobd_request_bytes", (i + 1) * MIB);
    }
    assert_int_equal(raw_ask(server, request, &raw), 503);
    assert_non_null(strstr(raw.text, "\r\nRetry-After: 1\r\n"));
    assert_int_equal(client_post(client, "/take")->status, 200);
    assert_string_equal(json_string(client_job(client, id), "state"), "running");
    client_await_metric(client, "jobd_request_bytes", ROOM * MIB);
    close(fds[0]);
    client_await_metric(client, "jobd_request_bytes", (ROOM - 1) * MIB);
    for (int i = 1; i < ROOM; i++)
        close(fds[i]);
    client_await_metric(client, "jobd_request_bytes", 0);
    free(body);
    client_free(client);
}

/* Its time grows with it. */
static void a_large_reply_has_time(void **state)
{
    enum { TIMES = 4, TIMEOUT_MS = 200 };
    struct server *server = start_on_socket(
        (const char *const[]){"-l", temporary_socket(), "-w", "0", "--max-body", "1MiB",
                              "--header-timeout", "200ms", "--idle-timeout", "200ms", NULL});
    struct client *client = client_new(server);
    char request[128], byte;
    size_t size = 0;
    ssize_t got;
    (void)state;
    char *body = raw_filled("", 'x', MIB, "");
    uint64_t id = answer_job(client_send(client, "POST", "/do", NULL, body));
    snprintf(request, sizeof request, "GET /jobs/%llu/payload HTTP/1.1\r\n" HOST LAST,
             (unsigned long long)id);
    int fd = raw_connect(server);
    assert_true(raw_send(fd, request));
    for (int i = 0; i < TIMES; i++) /* others are cut meanwhile, who are too slow */
        assert_int_equal(raw_ask(server, "GET /", &raw), 408);
    char *room = malloc(MIB);
    assert_non_null(room);
    while ((got = recv(fd, room, MIB, 0)) > 0)
        size += (size_t)got;
    assert_true(size > MIB);
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    close(fd);
    free(room);
    free(body);
    client_free(client);
}

/* ---- descriptors */

static struct server *start_with_files(const char *command)
{
    const char *const wrapper[] = {"/bin/sh", "-c", command, "sh", NULL};
    return server_spawn(&(struct server_plan){
        .wrapper = wrapper, .arguments = (const char *const[]){"-l", "127.0.0.1:0", NULL}});
}

static void descriptors_bound_the_connections(void **state)
{
    enum { ROOM = 10 };
    int fds[ROOM];
    (void)state;
    struct server *server = start_with_files("ulimit -n 178; exec \"$@\"");
    server_await_listening(server);
    assert_int_equal(server_count_lines(server, ERR, "allows 10 connections, not 16384"), 1);
    for (int i = 0; i < ROOM; i++) {
        fds[i] = connect_and_ask(server);
        assert_int_equal(raw_status(raw.text), 200);
    }
    assert_int_equal(raw_ask(server, "", &raw), 503);
    for (int i = 0; i < ROOM; i++)
        close(fds[i]);
}

static void too_few_descriptors_are_said(void **state)
{
    (void)state;
    struct server *server = start_with_files("ulimit -n 60; exec \"$@\"");
    assert_int_equal(server_wait(server), 1);
    char *err = server_output(server, ERR);
    assert_string_equal(err, "jobd: the open-file limit is 60; at least 169 is needed\n");
    free(err);
}

/* The number its next descriptor would get. */
static rlim_t next_descriptor(const struct server *server)
{
    char path[64];
    for (unsigned number = 0;; number++) {
        snprintf(path, sizeof path, "/proc/%d/fd/%u", (int)server_pid(server), number);
        if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) != 0)
            return number;
    }
}

/* The process may have no more descriptors than it has: newcomers wait, who is there is served. */
static void out_of_descriptors(void **state)
{
    struct server *server = server_start(NULL);
    struct client *client = client_new(server);
    struct rlimit before, none;
    (void)state;
    assert_answer(client_get(client, "/healthz"), 200, "ok\n");
    assert_int_equal(prlimit(server_pid(server), RLIMIT_NOFILE, NULL, &before), 0);
    none = (struct rlimit){next_descriptor(server), before.rlim_max};
    assert_int_equal(prlimit(server_pid(server), RLIMIT_NOFILE, &none, NULL), 0);
    int fd = raw_connect(server);
    assert_true(raw_send(fd, "GET /healthz HTTP/1.1\r\n" HOST LAST));
    server_await_lines(server, ERR, "not accepting for 100 ms", 1);
    assert_answer(client_get(client, "/healthz"), 200, "ok\n");
    assert_int_equal(prlimit(server_pid(server), RLIMIT_NOFILE, &before, NULL), 0);
    raw_read_until_close(fd, &raw);
    assert_int_equal(raw_status(raw.text), 200);
    close(fd);
    assert_int_equal(server_count_lines(server, ERR, "accept: "), 1);
    client_free(client);
}

/* ---- a reply that is not read */

static void who_does_not_read_holds_nobody_up(void **state)
{
    struct server *server = server_start("-w", "0", "--max-body", "8MiB");
    struct client *client = client_new(server);
    char *payload = raw_filled("", 'x', 8 << 20, "");
    char request[128];
    (void)state;
    const struct answer *answer = client_send(client, "POST", "/do", NULL, payload);
    assert_answer(answer, 202, NULL);
    snprintf(request, sizeof request, "GET /jobs/%llu/payload HTTP/1.1\r\n" HOST "\r\n",
             (unsigned long long)answer_job(answer));
    int fd = raw_connect(server);
    assert_true(raw_send(fd, request));
    raw_read_until(fd, &raw, "\r\n\r\n"); /* it has begun */
    for (int i = 0; i < 20; i++)
        assert_answer(client_get(client, "/healthz"), 200, "ok\n");
    close(fd);
    client_await_metric(client, "jobd_connections", 1);
    free(payload);
    client_free(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(a_dribbled_header_is_cut_off),
        TEST(a_late_request_line_gains_no_time),
        TEST(silence_is_cut_off),
        TEST(a_slow_body_is_cut_off),
        TEST(an_idle_connection_is_closed),
        TEST(who_is_cut_has_no_job_in),
        TEST(who_has_left_takes_no_job),
        TEST(a_parked_request_is_left_alone),
        TEST(limit_of_all_connections),
        TEST(limit_of_an_address),
        TEST(bodies_share_their_memory),
        TEST(who_may_not_is_told_at_once),
        TEST(unread_replies_share_their_memory),
        TEST(a_large_reply_has_time),
        TEST(descriptors_bound_the_connections),
        TEST(too_few_descriptors_are_said),
        TEST(out_of_descriptors),
        TEST(who_does_not_read_holds_nobody_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
