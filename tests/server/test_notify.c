/* SPDX-License-Identifier: MIT */
/* What the service manager is told. */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/server.h"

enum { MESSAGE_SIZE = 2048 };

/* Stands in for systemd: a socket with this name. */
static int manager(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
    memcpy(address.sun_path, name, strlen(name));
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, size), 0);
    return fd;
}

static void next(int fd, char message[MESSAGE_SIZE])
{
    struct pollfd told = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&told, 1, PATIENCE_MS), 1);
    ssize_t size = recv(fd, message, MESSAGE_SIZE - 1, 0);
    assert_true(size > 0);
    message[size] = '\0';
}

static struct server *start(const char *name, const char *config)
{
    char variable[SERVER_LINE_SIZE];
    const char *const arguments[] = {"-l", "127.0.0.1:0", "-c", config, NULL};
    const char *const environment[] = {variable, NULL};
    const struct server_plan plan = {.arguments = arguments, .environment = environment};
    snprintf(variable, sizeof variable, "NOTIFY_SOCKET=%s", name);
    return server_spawn(&plan);
}

static uint64_t monotonic_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void tell_all(const char *name)
{
    char message[MESSAGE_SIZE], expected[MESSAGE_SIZE];
    const char *config = temporary_file("jobd.json", "{\"queues\": {\"a\": {}, \"b\": {}}}");
    int fd = manager(name);
    struct server *server = start(name, config);
    next(fd, message);
    server_await_listening(server);
    snprintf(expected, sizeof expected, "READY=1\nSTATUS=2 queues, listening on %s\n",
             server_address(server));
    assert_string_equal(message, expected);
    struct client *client = client_new(server); /* it is true */
    assert_int_equal(client_get(client, "/readyz")->status, 200);
    client_free(client);

    const uint64_t before_us = monotonic_us();
    unsigned long long at_us = 0;
    server_signal(server, SIGHUP);
    next(fd, message);
    assert_int_equal(sscanf(message, "RELOADING=1\nMONOTONIC_USEC=%llu\n", &at_us), 1);
    assert_true(at_us >= before_us && at_us <= monotonic_us());
    next(fd, message);
    assert_string_equal(message, expected);

    temporary_file("jobd.json", "{");
    server_signal(server, SIGHUP);
    next(fd, message);
    assert_int_equal(strncmp(message, "RELOADING=1\n", 12), 0);
    next(fd, message);
    assert_non_null(strstr(message, "READY=1\nSTATUS=the settings are as before: "));
    assert_non_null(strstr(message, "jobd.json:1: not JSON"));

    server_signal(server, SIGTERM);
    next(fd, message);
    assert_string_equal(message, "STOPPING=1\nSTATUS=draining: 0 waiting, 0 running\n");
    assert_int_equal(server_wait(server), 0);
    close(fd);
}

static void by_a_path(void **state)
{
    char name[SERVER_LINE_SIZE];
    (void)state;
    snprintf(name, sizeof name, "%s/notify", temporary_directory());
    tell_all(name);
}

static void by_an_abstract_name(void **state)
{
    char name[64];
    (void)state;
    snprintf(name, sizeof name, "@jobd-test-%d", (int)getpid());
    tell_all(name);
}

/* What starts a server must not keep it from serving. */
static void nobody_there_is_a_warning(void **state)
{
    char line[SERVER_LINE_SIZE];
    (void)state;
    struct server *server = start("/no/such/socket", temporary_file("jobd.json", "{}"));
    server_await_line(server, ERR, "warn NOTIFY_SOCKET: No such file or directory", line);
    server_await_listening(server);
}

#define EACH(test) cmocka_unit_test_teardown(test, server_stop_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(by_a_path),
        EACH(by_an_abstract_name),
        EACH(nobody_there_is_a_warning),
    };
    return cmocka_run_group_tests_name("service manager", tests, NULL, NULL);
}
