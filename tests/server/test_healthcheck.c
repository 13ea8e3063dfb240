/* SPDX-License-Identifier: MIT */
/* jobd --health: whatever a server answers, it lives; one that says nothing has five seconds. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/server.h"

static void a_busy_server_lives(void **state)
{
    enum { CONNECTIONS = 2 };
    struct server *server = server_start("--max-connections", "2");
    int fds[CONNECTIONS];
    (void)state;
    for (int i = 0; i < CONNECTIONS; i++)
        fds[i] = raw_connect(server);
    assert_int_equal(server_health(server_address(server)), 0);
    for (int i = 0; i < CONNECTIONS; i++)
        close(fds[i]);
}

static int make_nonblocking_client(const struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    (void)connect(fd, (const struct sockaddr *)address, sizeof *address);
    return fd;
}

/* A server that is stopped: its kernel takes connections up to the backlog, and then none. */
static void one_that_stands_still_has_five_seconds(void **state)
{
    enum { CLIENTS = 4, LEAST_MS = 4500 };
    struct sockaddr_in full = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof full;
    int clients[CLIENTS], listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char address[64];
    (void)state;
    struct server *stopped = server_start(NULL);
    server_suspend(stopped);
    assert_int_equal(bind(listening, (struct sockaddr *)&full, size), 0);
    assert_int_equal(listen(listening, 0), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&full, &size), 0);
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = make_nonblocking_client(&full);
    snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(full.sin_port));
    int64_t before_ms = now_ms();
    struct server *checks[] = {
        server_spawn(
            &(struct server_plan){.arguments = WORDS("--health", "-l", server_address(stopped))}),
        server_spawn(&(struct server_plan){.arguments = WORDS("--health", "-l", address)}),
    };
    for (int i = 0; i < 2; i++) {
        assert_int_equal(server_wait(checks[i]), 1);
        assert_true(now_ms() - before_ms >= LEAST_MS);
        assert_int_equal(server_count_lines(checks[i], ERR, "jobd: 127.0.0.1:"), 1);
    }
    for (int i = 0; i < CLIENTS; i++)
        close(clients[i]);
    close(listening);
    server_signal(stopped, SIGCONT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(a_busy_server_lives),
        TEST(one_that_stands_still_has_five_seconds),
    };
    return cmocka_run_group_tests_name("healthcheck", tests, NULL, NULL);
}
