/* SPDX-License-Identifier: MIT */
/* The examples in the section LIVE of jobd(7), run by a shell as they stand there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/client.h"

enum { PAGE_SIZE = 256 * 1024, SCRIPT_SIZE = 8192 };

static char *read_page(void)
{
    char *page = calloc(1, PAGE_SIZE);
    FILE *file = fopen("src/dist/jobd.7", "r");
    assert_non_null(page);
    assert_non_null(file);
    size_t size = fread(page, 1, PAGE_SIZE - 1, file);
    assert_true(size > 0 && size < PAGE_SIZE - 1);
    fclose(file);
    return page;
}

/* Appends it as man shows it, with the server's address in place of the one that is written. */
static void append(char script[SCRIPT_SIZE], const char *text, size_t size, const char *address)
{
    static const char written[] = "localhost:8080";
    size_t used = strlen(script);
    for (size_t i = 0; i < size; i++) {
        assert_true(used + strlen(address) + 1 < SCRIPT_SIZE);
        if (strncmp(text + i, written, sizeof written - 1) == 0) {
            used += (size_t)snprintf(script + used, SCRIPT_SIZE - used, "%s", address);
            i += sizeof written - 2;
        } else if (strncmp(text + i, "\\e", 2) == 0) {
            script[used++] = '\\';
            i++;
        } else {
            script[used++] = text[i];
        }
    }
    script[used] = '\0';
}

/* The example that contains these words. */
static void append_example(char script[SCRIPT_SIZE], const char *page, const char *words,
                           const char *address)
{
    static const char begin[] = ".Bd -literal -offset indent\n", end[] = ".Ed\n";
    const char *at = strstr(page, ".Sh LIVE\n");
    for (assert_non_null(at); (at = strstr(at, begin)) != NULL; at++) {
        const char *from = at + sizeof begin - 1, *to = strstr(from, end);
        const char *found = strstr(from, words);
        assert_non_null(to);
        if (found != NULL && found < to) {
            append(script, from, (size_t)(to - from), address);
            return;
        }
    }
    fail_msg("no example has %s", words);
}

/* Runs it to its end; what it has written, at most `max` bytes. */
static void run(const char *script, char *out, size_t max)
{
    char command[SCRIPT_SIZE + 600];
    snprintf(command, sizeof command, "cd %s && %s", temporary_directory(), script);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t size = fread(out, 1, max - 1, pipe);
    out[size] = '\0';
    int status = pclose(pipe);
    assert_true(WIFEXITED(status));
}

static void an_output_is_followed(void **state)
{
    struct server *server = server_start("--", "sh", "-c", "echo one; echo two");
    char script[SCRIPT_SIZE] = "", out[4096];
    char *page = read_page();
    (void)state;
    append_example(script, page, "job=$(curl", server_address(server));
    run(script, out, sizeof out);
    assert_string_equal(out, "one\ntwo\n");
    append(script, "printf 'one\\n' >log\n", strlen("printf 'one\\n' >log\n"), "");
    append_example(script, page, "-C -", server_address(server));
    append(script, "cat log\n", strlen("cat log\n"), "");
    run(script, out, sizeof out);
    assert_string_equal(out, "one\ntwo\none\ntwo\n");
    free(page);
}

static void the_next_that_fails(void **state)
{
    struct server *server = server_start("--", "false");
    struct client *client = client_new(server);
    char script[SCRIPT_SIZE] = "exec 2>&1; (", out[4096];
    char *page = read_page();
    (void)state;
    append_example(script, page, "state=failed", server_address(server));
    script[strlen(script) - 1] = '\0'; /* its line feed */
    /* One that fails once it listens, and another, so that curl sees that nobody reads. */
    static const char more[] =
        ") & until curl -s localhost:8080/metrics | grep -q '^jobd_streams 1'; do :; done\n"
        "curl -s localhost:8080/do >put; until curl -s localhost:8080/metrics |"
        " grep -q '^jobd_streams 0'; do curl -s localhost:8080/do >put; done; wait\n";
    append(script, more, sizeof more - 1, server_address(server));
    run(script, out, sizeof out);
    assert_int_equal(strncmp(out, "data: {", strlen("data: {")), 0);
    assert_non_null(strstr(out, "\"state\":\"failed\""));
    free(page);
    client_free(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(an_output_is_followed, server_stop_all),
        cmocka_unit_test_teardown(the_next_that_fails, server_stop_all),
    };
    return cmocka_run_group_tests_name("examples of what is live", tests, NULL, NULL);
}
