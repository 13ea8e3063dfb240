/* SPDX-License-Identifier: MIT */
/* `jobd top`: once where nobody looks, in a terminal again and again, which is then as it was. */
#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/worker_scene.h"

enum { SCREEN_SIZE = 1 << 18 };

static struct {
    pid_t pid;
    int fd;
    size_t size;
    char text[SCREEN_SIZE];
} screen;

static void open_screen(const char *url)
{
    struct winsize size = {.ws_row = 24, .ws_col = 80};
    screen.size = 0;
    screen.pid = forkpty(&screen.fd, NULL, NULL, &size);
    assert_true(screen.pid >= 0);
    if (screen.pid == 0) {
        setenv("TERM", "xterm", 1);
        execl(JOBD_BINARY, "jobd", "top", "--url", url, "--every", "100ms", (char *)NULL);
        _exit(127);
    }
}

/* From now on. */
static void await_text(const char *text)
{
    screen.size = 0;
    screen.text[0] = '\0';
    while (strstr(screen.text, text) == NULL) {
        struct pollfd look = {.fd = screen.fd, .events = POLLIN};
        if (poll(&look, 1, PATIENCE_MS) <= 0 || screen.size > SCREEN_SIZE / 2)
            fail_msg("it does not show %s", text);
        ssize_t got = read(screen.fd, screen.text + screen.size, SCREEN_SIZE - 1 - screen.size);
        if (got <= 0)
            fail_msg("it has ended and did not show %s", text);
        screen.size += (size_t)got;
        screen.text[screen.size] = '\0';
    }
}

static void assert_ends_well(void)
{
    struct termios terminal;
    int status;
    await_text("\033[?25h\033[?1049l");
    assert_int_equal(waitpid(screen.pid, &status, 0), screen.pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    if (tcgetattr(screen.fd, &terminal) == 0)
        assert_int_equal(terminal.c_lflag & (ICANON | ECHO), ICANON | ECHO);
    close(screen.fd);
}

static void once_where_there_is_no_terminal(void **state)
{
    struct server *server = start_queue("--attempts", "1");
    struct client *client = client_new(server);
    char *out, *err;
    (void)state;
    (void)put_job(client, "/do", "x");
    assert_int_equal(server_run(FIELDS("top", "--url", worker_url(server)), NULL, &out, &err), 0);
    assert_non_null(strstr(out, "\ndefault "));
    assert_non_null(strstr(out, " 1/1000 "));
    assert_null(strchr(out, '\033'));
    free(out);
    free(err);
    assert_int_equal(server_run(FIELDS("top", "--url", "unix:/nowhere"), NULL, &out, &err), 1);
    assert_string_equal(out, "");
    assert_int_equal(strncmp(err, "jobd top: unix:/nowhere: ", 25), 0);
    free(out);
    free(err);
    client_free(client);
}

static void why_it_is_not_let_in(void **state)
{
    const char *tokens = temporary_file("tokens", "read only-readers-5f1c9a7d\n");
    struct server *server = start_queue("--token-file", tokens);
    char *out, *err;
    (void)state;
    assert_int_equal(server_run(FIELDS("top", "--url", worker_url(server)), NULL, &out, &err), 1);
    assert_non_null(strstr(err, ": 401 Unauthorized: a bearer token is required\n"));
    free(out);
    free(err);
}

static void in_a_terminal(void **state)
{
    struct server *server = start_queue("--attempts", "1");
    struct client *client = client_new(server);
    struct winsize narrow = {.ws_row = 24, .ws_col = 12};
    (void)state;
    open_screen(worker_url(server));
    await_text(" 0/1000 ");
    (void)put_job(client, "/do", "x");
    await_text(" 1/1000 ");
    assert_int_equal(write(screen.fd, "p", 1), 1);
    await_text("frozen");
    assert_int_equal(write(screen.fd, "p", 1), 1);
    assert_int_equal(ioctl(screen.fd, TIOCSWINSZ, &narrow), 0);
    await_text("QUEUE       \033[0m\033[K");
    assert_int_equal(write(screen.fd, "q", 1), 1);
    assert_ends_well();
    open_screen(worker_url(server));
    await_text(" 1/1000 ");
    assert_int_equal(kill(screen.pid, SIGTERM), 0);
    assert_ends_well();
    client_free(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(once_where_there_is_no_terminal),
        TEST(why_it_is_not_let_in),
        TEST(in_a_terminal),
    };
    return cmocka_run_group_tests_name("jobd top", tests, NULL, NULL);
}
