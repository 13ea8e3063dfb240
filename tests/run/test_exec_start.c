/* SPDX-License-Identifier: MIT */
/* What commands get of what the server was started with: signals, limits, descriptors. And what
 * becomes of all that they started, when the server goes. */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/server.h"

#define COMMAND(...) WORDS("-l", "127.0.0.1:0", __VA_ARGS__)
#define WAIT         FIELDS("Prefer: wait=15")

/* Started by a shell that does this first. */
static struct server *start_after(const char *before, const char *const *arguments)
{
    char script[256];
    snprintf(script, sizeof script, "%s; exec \"$@\"", before);
    struct server *server = server_spawn(&(struct server_plan){
        .arguments = arguments, .wrapper = WORDS("/bin/bash", "-c", script, "bash")});
    return server;
}

static const struct answer *run_one(struct server *server, struct client **client)
{
    server_await_listening(server);
    *client = client_new(server);
    return client_send(*client, "POST", "/do", WAIT, NULL);
}

static void assert_output(struct server *server, const char *text)
{
    struct client *client;
    assert_answer(run_one(server, &client), 200, text);
    client_free(client);
}

/* ---- signals */

/* An ignored SIGCHLD outlives exec, and then the kernel throws exit codes away. */
static void children_that_nobody_wants(void **state)
{
    struct server *server =
        start_after("trap '' CHLD", COMMAND("-q", "50", "--", "sh", "-c",
                                            "case $JOBD_ID in *0) ;; *) sleep 0.05; "
                                            "esac; exit 7"));
    server_await_listening(server);
    struct client *client = client_new(server);
    (void)state;
    for (int i = 0; i < 30; i++) {
        uint64_t id = client_put(client, "/do");
        client_await_state(client, id, "failed");
        assert_int_equal(json_number(client_job(client, id), "exit_code"), 7);
    }
    client_free(client);
}

/* Of the usual signals; those that are libc's own are not looked at. */
static uint64_t ignored(struct server *server)
{
    struct client *client;
    const struct answer *answer = run_one(server, &client);
    assert_int_equal(answer->status, 200);
    const char *mask = strstr(answer->body, "SigIgn:");
    assert_non_null(mask);
    assert_non_null(strstr(answer->body, "SigBlk:\t0000000000000000\n"));
    uint64_t bits = strtoull(mask + sizeof "SigIgn:", NULL, 16) & 0x7fffffff;
    client_free(client);
    return bits;
}

#define SIGNALS "--", "grep", "Sig", "/proc/self/status"
#define BIT(n)  (UINT64_C(1) << ((n)-1))

/* The tests themselves may have been started with some, as by a shell in the background. */
static void what_was_ignored_stays_ignored(void **state)
{
    uint64_t usual = ignored(start_after(":", COMMAND(SIGNALS)));
    (void)state;
    assert_int_equal(usual & BIT(SIGCHLD), 0);
    assert_int_equal(ignored(start_after("trap '' HUP", COMMAND(SIGNALS))), usual | BIT(SIGHUP));
    assert_int_equal(ignored(start_after("trap '' USR1 INT", COMMAND(SIGNALS))),
                     usual | BIT(SIGUSR1) | BIT(SIGINT));
    /* A command that waits for children of its own would read wrong statuses too. */
    assert_int_equal(ignored(start_after("trap '' CHLD", COMMAND(SIGNALS))), usual);
}

/* ---- limits */

static void the_limit_on_open_files(void **state)
{
    (void)state;
    assert_output(start_after("ulimit -Sn 1000; ulimit -Hn 4096",
                              COMMAND("--", "sh", "-c", "ulimit -Sn; ulimit -Hn")),
                  "1000\n4096\n");
}

/* ---- descriptors */

static void descriptors_that_are_missing(void **state)
{
    static const char *const ways[] = {"exec >&-", "exec <&-", "exec <&- >&-"};
    (void)state;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        struct server *server = start_after(ways[i], COMMAND("--", "sh", "-c",
                                                             "for i in 0 1 2; do readlink "
                                                             "/proc/$PPID/fd/$i; done"));
        struct client *client;
        const struct answer *answer = run_one(server, &client);
        assert_int_equal(answer->status, 200);
        unsigned standing = 0;
        for (const char *at = answer->body; (at = strstr(at, "/dev/null\n")) != NULL; at++)
            standing++;
        assert_in_range(standing, i == 2 ? 2 : 1, 3);
        assert_null(strstr(answer->body, "anon_inode"));
        assert_null(strstr(answer->body, "socket:"));
        client_free(client);
    }
    struct server *server = start_after("exec >&-", COMMAND("--sleep", "0ms"));
    server_await_listening(server);
    struct client *client = client_new(server);
    client_await_state(client, client_put(client, "/do"), "done");
    client_free(client);
}

/* ---- memory */

static void an_output_that_cannot_be_kept(void **state)
{
    char *out, *err;
    (void)state;
    assert_int_equal(
        server_run(COMMAND("--memory", "64MiB", "--output-limit", "65MiB", "--", "true"), NULL,
                   &out, &err),
        2);
    assert_non_null(strstr(err, "--output-limit: \"65MiB\" is more than --memory \"64MiB\""));
    free(out);
    free(err);
}

/* ---- the end of the server */

static int held_open(const char *fifo)
{
    assert_int_equal(mkfifo(fifo, 0600), 0);
    int fd = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void await_holder(int fd)
{
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    for (char byte; read(fd, &byte, 1) == 0;)
        look_again(deadline_ms, "the command");
}

static void assert_nobody_holds(int fd)
{
    struct pollfd held = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&held, 1, 0), 1);
    assert_int_equal(held.revents, POLLHUP);
    close(fd);
}

static const char *const hiding[] = {
    "sh -c 'trap \"\" TERM; sleep 600; :' & setsid -f sh -c 'trap \"\" TERM; sleep 600; :'; "
    "timeout 3600 sleep 600; sleep 600",
    "setsid -f env -i sh -c 'sleep 600; :' >/dev/null 2>&1; trap '' TERM; sleep 600; :",
};

/* A second signal. */
static void none_outlives_the_server(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char fifo[512], script[800], line[SERVER_LINE_SIZE];
        snprintf(fifo, sizeof fifo, "%s/alive%zu", temporary_directory(), i);
        int fd = held_open(fifo);
        snprintf(script, sizeof script, "exec 9>%s; %s", fifo, hiding[i]);
        struct server *server = server_spawn(&(struct server_plan){
            .arguments = COMMAND("--grace", "10m", "-w", "2", "--", "sh", "-c", script)});
        server_await_listening(server);
        struct client *client = client_new(server);
        client_put(client, "/do");
        client_await_state(client, client_put(client, "/do"), "running");
        await_holder(fd);
        server_signal(server, SIGTERM);
        server_await_line(server, ERR, "draining", line);
        server_signal(server, SIGTERM);
        assert_int_equal(server_wait(server), 1);
        assert_nobody_holds(fd);
        client_free(client);
    }
}

/* The end of the grace: TERM, --kill-after, KILL. */
static void none_outlives_the_grace(void **state)
{
    char fifo[512], script[1200], trace[512];
    (void)state;
    snprintf(fifo, sizeof fifo, "%s/alive", temporary_directory());
    snprintf(trace, sizeof trace, "%s/trace", temporary_directory());
    int fd = held_open(fifo);
    snprintf(script, sizeof script,
             "sh -c 'trap \"echo told >>%s\" TERM; exec 9>%s; while :; do sleep 0.02; done'; :",
             trace, fifo);
    struct server *server = server_spawn(&(struct server_plan){
        .arguments = COMMAND("--grace", "0ms", "--kill-after", "300ms", "--", "sh", "-c", script)});
    server_await_listening(server);
    struct client *client = client_new(server);
    client_await_state(client, client_put(client, "/do"), "running");
    await_holder(fd);
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 1);
    assert_nobody_holds(fd);
    struct stat file;
    assert_int_equal(stat(trace, &file), 0);
    assert_int_equal(file.st_size, sizeof "told\n" - 1);
    client_free(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(children_that_nobody_wants),    TEST(what_was_ignored_stays_ignored),
        TEST(the_limit_on_open_files),       TEST(descriptors_that_are_missing),
        TEST(an_output_that_cannot_be_kept), TEST(none_outlives_the_server),
        TEST(none_outlives_the_grace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
