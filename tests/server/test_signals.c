/* SPDX-License-Identifier: MIT */
/* Signals from outside: what would end a process ends the server in order, so that no command goes
 * on behind it, and jobs that run are finished. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/server.h"

static void each_ends_it_in_order(void **state)
{
    const struct {
        int number;
        const char *name;
    } rows[] = {
        {SIGTERM, "SIGTERM"},     {SIGINT, "SIGINT"},        {SIGQUIT, "SIGQUIT"},
        {SIGALRM, "SIGALRM"},     {SIGPWR, "SIGPWR"},        {SIGXCPU, "SIGXCPU"},
        {SIGVTALRM, "SIGVTALRM"}, {SIGRTMIN + 1, "signal "},
    };
    char line[SERVER_LINE_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct server *server = server_start("--grace", "10s", "--", "sh", "-c", "read _ || true");
        struct client *client = client_new(server);
        (void)client_send(client, "POST", "/do", NULL, "payload");
        server_signal(server, rows[i].number);
        assert_int_equal(server_wait(server), 0);
        assert_int_equal(server_count_lines(server, ERR, rows[i].name), 1);
        server_last_line(server, ERR, line);
        assert_non_null(strstr(line, "stopped: 1 done, 0 failed, 0 cancelled, 0 lost"));
        client_free(client);
    }
}

static void two_are_only_said(void **state)
{
    struct server *server = server_start(NULL);
    struct client *client = client_new(server);
    char line[SERVER_LINE_SIZE];
    (void)state;
    server_signal(server, SIGUSR1);
    server_await_line(server, ERR, "SIGUSR1 ignored", line);
    server_signal(server, SIGUSR2);
    server_await_line(server, ERR, "SIGUSR2 ignored", line);
    client_await_state(client, client_put(client, "/do"), "done");
    client_free(client);
}

/* ---- the terminal */

/* Runs the rest of its arguments in a terminal, which hangs up when this ends; but standard output
 * and error are its own. */
#define TERMINAL                                                                                   \
    "import os, pty, sys, signal\n"                                                                \
    "out, err = os.dup(1), os.dup(2)\n"                                                            \
    "pid, master = pty.fork()\n"                                                                   \
    "if pid == 0:\n"                                                                               \
    "    signal.signal(signal.SIGHUP, signal.SIG_DFL) # this may run under nohup itself\n"         \
    "    os.dup2(out, 1); os.dup2(err, 2)\n"                                                       \
    "    os.execvp(sys.argv[1], sys.argv[1:])\n"                                                   \
    "os.close(out); os.close(1); os.close(err); os.close(2)\n"                                     \
    "os.waitpid(pid, 0)\n"

static struct server *start_in_terminal(const char *const *wrapper)
{
    struct server *server = server_spawn(
        &(struct server_plan){.arguments = WORDS("-l", "127.0.0.1:0"), .wrapper = wrapper});
    server_await_listening(server);
    return server;
}

static void a_closed_window_ends_it(void **state)
{
    struct server *server = start_in_terminal(WORDS("python3", "-c", TERMINAL));
    struct client *client = client_new(server);
    char line[SERVER_LINE_SIZE];
    (void)state;
    client_await_state(client, client_put(client, "/do"), "done");
    kill(server_child(server), SIGHUP); /* with its terminal still there it reloads */
    server_await_line(server, ERR, "reloaded", line);
    client_free(client);
    server_signal(server, SIGKILL);
    server_await_line(server, ERR, "stopped: 1 done", line);
    assert_int_equal(server_count_lines(server, ERR, "hang-up"), 1);
}

static void nohup_keeps_it(void **state)
{
    struct server *server = start_in_terminal(WORDS("python3", "-c", TERMINAL, "nohup"));
    struct client *client = client_new(server);
    char line[SERVER_LINE_SIZE];
    (void)state;
    pid_t child = server_child(server);
    server_signal(server, SIGKILL);
    client_await_state(client, client_put(client, "/do"), "done");
    assert_return_code(kill(child, SIGTERM), 0);
    server_await_line(server, ERR, "stopped: 1 done", line);
    assert_int_equal(server_count_lines(server, ERR, "hang-up"), 0);
    client_free(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(each_ends_it_in_order),
        TEST(two_are_only_said),
        TEST(a_closed_window_ends_it),
        TEST(nohup_keeps_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
