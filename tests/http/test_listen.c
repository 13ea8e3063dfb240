/* SPDX-License-Identifier: MIT */
/* Where it listens: TCP, IPv6, unix sockets, sockets handed over; and --health, which asks there.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/server.h"

static void health_over_tcp(void **state)
{
    char address[SERVER_ADDRESS_SIZE];
    struct server *server = server_start(NULL);
    (void)state;
    snprintf(address, sizeof address, "%s", server_address(server));
    assert_int_equal(server_health(address), 0);
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0);
    assert_int_equal(server_health(address), 1);
}

static struct server *start_at(const char *address)
{
    struct server *server = server_spawn(&(struct server_plan){.arguments = WORDS("-l", address)});
    server_await_listening(server);
    assert_string_equal(server_address(server), address);
    return server;
}

static void a_unix_socket(void **state)
{
    const char *address = temporary_socket(), *path = address + strlen("unix:");
    struct stat status;
    (void)state;
    assert_int_equal(server_health(address), 1);
    struct server *server = start_at(address);
    assert_int_equal(lstat(path, &status), 0);
    assert_true(S_ISSOCK(status.st_mode));
    struct client *client = client_new(server);
    client_await_state(client, client_put(client, "/do"), "done");
    /* Its file's mode is its guard, not the Host. */
    const struct answer *answer =
        client_send(client, "POST", "/do", FIELDS("Host: any.example"), NULL);
    assert_answer(answer, 202, NULL);
    client_await_state(client, answer_job(answer), "done");
    client_free(client);
    assert_int_equal(server_health(address), 0);

    char *out, *err, wanted[256]; /* a live one is not taken away */
    snprintf(wanted, sizeof wanted, "jobd: --listen: %s: %s\n", path, strerror(EADDRINUSE));
    assert_int_equal(server_run(WORDS("-l", address), NULL, &out, &err), 1);
    assert_string_equal(err, wanted);
    free(out);
    free(err);
    assert_int_equal(server_health(address), 0);
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0);
    assert_int_equal(lstat(path, &status), -1);
}

/* Whatever the umask: who may write to the file may connect. */
static void a_socket_has_its_mode(void **state)
{
    static const struct {
        const char *words[2];
        const char *umask;
        mode_t mode;
    } rows[] = {{{NULL}, "022", 0660},
                {{NULL}, "077", 0660},
                {{"--socket-mode", "0600"}, "000", 0600},
                {{"--socket-mode", "666"}, "077", 0666}};
    const char *address = temporary_socket();
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char command[64];
        struct stat status;
        snprintf(command, sizeof command, "umask %s; exec \"$0\" \"$@\"", rows[i].umask);
        struct server *server = server_spawn(&(struct server_plan){
            .wrapper = WORDS("sh", "-c", command),
            .arguments = WORDS("-l", address, rows[i].words[0], rows[i].words[1])});
        server_await_listening(server);
        assert_int_equal(stat(address + strlen("unix:"), &status), 0);
        assert_int_equal(status.st_mode & 07777, rows[i].mode);
        server_signal(server, SIGTERM);
        assert_int_equal(server_wait(server), 0);
    }
}

static void a_stale_socket_is_replaced(void **state)
{
    const char *address = temporary_socket(), *path = address + strlen("unix:");
    struct stat status;
    (void)state;
    struct server *server = start_at(address);
    server_kill(server);
    assert_int_equal(lstat(path, &status), 0);
    server = start_at(address);
    assert_int_equal(server_health(address), 0);
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0);
    assert_int_equal(lstat(path, &status), -1);
}

/* Who listens but does not accept is there, and nobody waits for it. */
static void a_busy_socket_is_not_taken_away(void **state)
{
    const char *address = temporary_socket(), *path = address + strlen("unix:");
    struct sockaddr_un of = {.sun_family = AF_UNIX};
    char *out, *err, wanted[256];
    int waiting[8];
    size_t count = 0;
    (void)state;
    assert_true(strlen(path) < sizeof of.sun_path);
    memcpy(of.sun_path, path, strlen(path) + 1);
    int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_return_code(bind(listening, (struct sockaddr *)&of, sizeof of), errno);
    assert_return_code(listen(listening, 1), errno);
    do {
        assert_in_range(count, 0, sizeof waiting / sizeof *waiting - 1);
        waiting[count] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    } while (connect(waiting[count++], (struct sockaddr *)&of, sizeof of) == 0);
    assert_int_equal(errno, EAGAIN);
    snprintf(wanted, sizeof wanted, "jobd: --listen: %s: %s\n", path, strerror(EADDRINUSE));
    assert_int_equal(server_run(WORDS("-l", address), NULL, &out, &err), 1);
    assert_string_equal(err, wanted);
    free(out);
    free(err);
    while (count > 0)
        close(waiting[--count]);
    close(listening);
    unlink(path);
}

static void another_file_is_left_alone(void **state)
{
    char *out, *err, address[256];
    struct stat status;
    (void)state;
    const char *path = temporary_file("precious", "text");
    snprintf(address, sizeof address, "unix:%s", path);
    assert_int_equal(server_run(WORDS("-l", address), NULL, &out, &err), 1);
    assert_non_null(strstr(err, "File exists"));
    assert_int_equal(lstat(path, &status), 0);
    assert_int_equal(status.st_size, strlen("text"));
    free(out);
    free(err);
}

/* A listening socket on a free port of the loopback; -1 when there is no such address. */
static int listening_socket(int family, char *address, size_t size)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool is_v6 = family == AF_INET6;
    struct sockaddr *any = is_v6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4;
    socklen_t length = is_v6 ? sizeof v6 : sizeof v4;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (bind(fd, any, length) != 0 || listen(fd, 16) != 0 || getsockname(fd, any, &length) != 0) {
        close(fd);
        return -1;
    }
    snprintf(address, size, is_v6 ? "[::1]:%u" : "127.0.0.1:%u",
             ntohs(is_v6 ? v6.sin6_port : v4.sin_port));
    return fd;
}

static void an_address_in_use(void **state)
{
    char *out, *err, address[64], wanted[128];
    int fd = listening_socket(AF_INET, address, sizeof address);
    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(server_run(WORDS("-l", address), NULL, &out, &err), 1);
    snprintf(wanted, sizeof wanted, "jobd: --listen: %s: %s\n", address, strerror(EADDRINUSE));
    assert_string_equal(err, wanted);
    free(out);
    free(err);
    close(fd);
}

static void over_ipv6(void **state)
{
    char address[64];
    int fd = listening_socket(AF_INET6, address, sizeof address);
    (void)state;
    if (fd < 0) {
        print_message("skipped: the machine has no [::1]\n");
        skip();
    }
    close(fd);
    struct server *server =
        server_spawn(&(struct server_plan){.arguments = WORDS("-l", "[::1]:0")});
    server_await_listening(server);
    assert_int_equal(strncmp(server_address(server), "[::1]:", 6), 0);
    struct client *client = client_new(server);
    client_await_state(client, client_put(client, "/do"), "done");
    assert_int_equal(server_health(server_address(server)), 0);
    client_free(client);
}

/* sd_listen_fds(3): so many descriptors, from 3 on, for this very process. */
static const char *const hand_over[] = {"/bin/sh", "-c", "LISTEN_FDS=$0 LISTEN_PID=$$ exec \"$@\"",
                                        NULL, NULL};

static struct server *start_with_sockets(const int *fds, unsigned len)
{
    char count[8];
    const char *wrapper[5];
    snprintf(count, sizeof count, "%u", len);
    memcpy(wrapper, hand_over, sizeof wrapper);
    wrapper[3] = count;
    return server_spawn(
        &(struct server_plan){.wrapper = wrapper, .descriptors = fds, .descriptors_len = len});
}

static void sockets_are_handed_over(void **state)
{
    enum { SOCKETS = 3 };
    char addresses[SOCKETS][64];
    int fds[SOCKETS];
    (void)state;
    for (int i = 0; i < SOCKETS; i++) {
        fds[i] = listening_socket(AF_INET, addresses[i], sizeof addresses[i]);
        assert_true(fds[i] >= 0);
    }
    struct server *server = start_with_sockets(fds, SOCKETS);
    server_await_lines(server, ERR, "listening on ", SOCKETS);
    for (int i = 0; i < SOCKETS; i++) {
        close(fds[i]);
        assert_int_equal(server_count_lines(server, ERR, addresses[i]), 1);
        assert_int_equal(server_health(addresses[i]), 0);
    }
    server_await_listening(server);
    struct client *client = client_new(server);
    client_await_state(client, client_put(client, "/do"), "done");
    client_free(client);
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0);
}

static void what_is_handed_over_must_listen(void **state)
{
    (void)state;
    FILE *file = fopen(temporary_file("text", ""), "re");
    assert_non_null(file);
    struct server *server = start_with_sockets((const int[]){fileno(file)}, 1);
    fclose(file);
    assert_int_equal(server_wait(server), 2);
    char *err = server_output(server, ERR);
    assert_string_equal(err, "jobd: LISTEN_FDS: descriptor 3 is not a listening stream socket\n");
    free(err);
}

static void more_than_loopback_only_when_open(void **state)
{
    char *out, *err, address[SERVER_ADDRESS_SIZE];
    (void)state;
    assert_int_equal(server_run(WORDS("-l", "0.0.0.0:0"), NULL, &out, &err), 2);
    assert_non_null(strstr(err, "--open"));
    free(out);
    free(err);
    struct server *server =
        server_spawn(&(struct server_plan){.arguments = WORDS("-l", "0.0.0.0:0", "--open")});
    server_await_listening(server);
    const char *port = strrchr(server_address(server), ':');
    snprintf(address, sizeof address, "127.0.0.1%s", port);
    assert_int_equal(server_health(address), 0);
    /* Whoever reaches the port may put jobs, by whatever name. */
    struct client *client = client_new(server);
    assert_answer(client_send(client, "POST", "/do", FIELDS("Host: jobs.example"), NULL), 202,
                  "queued\n");
    client_free(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(health_over_tcp),
        TEST(a_unix_socket),
        TEST(a_socket_has_its_mode),
        TEST(a_stale_socket_is_replaced),
        TEST(a_busy_socket_is_not_taken_away),
        TEST(another_file_is_left_alone),
        TEST(an_address_in_use),
        TEST(over_ipv6),
        TEST(sockets_are_handed_over),
        TEST(what_is_handed_over_must_listen),
        TEST(more_than_loopback_only_when_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
