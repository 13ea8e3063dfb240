/* SPDX-License-Identifier: MIT */
/* Servers of two versions on one PostgreSQL: one as it is, and one that knows a newer format of
 * what they share. What is written can be read by all that are there. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/postgres.h"
#include "support/server.h"

#define FORMAT "SELECT format FROM jobd_head"

static char url[POSTGRES_URL_SIZE];

static struct server *spawn(const char *program)
{
    static const char *const arguments[] = {"-l", "127.0.0.1:0", "-w", "0", NULL};
    char data[POSTGRES_URL_SIZE + 16];
    snprintf(data, sizeof data, "JOBD_DATA=%s", url);
    return server_spawn(&(struct server_plan){.program = program,
                                              .arguments = arguments,
                                              .environment = (const char *const[]){data, NULL}});
}

static struct server *start(const char *program)
{
    struct server *server = spawn(program);
    server_await_listening(server);
    return server;
}

static void stop(struct server *server)
{
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0);
}

static void assert_value(const char *statement, const char *wanted)
{
    char value[24];
    postgres_ask(url, statement, value, sizeof value);
    assert_string_equal(value, wanted);
}

static void await_value(const char *statement, const char *wanted)
{
    char value[24];
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    for (;;) {
        postgres_ask(url, statement, value, sizeof value);
        if (strcmp(value, wanted) == 0)
            return;
        look_again(deadline_ms, statement);
    }
}

/* Put in at one, taken and ended at the other. */
static void pass(struct client *from, struct client *to)
{
    char lease[256], done[300];
    uint64_t id = client_put(from, "/do");
    const struct answer *taken = client_post(to, "/take?wait=20s");
    assert_int_equal(taken->status, 200);
    snprintf(done, sizeof done, "%s/done", answer_field(taken, "Location", lease));
    assert_int_equal(client_post(to, done)->status, 200);
    client_await_state(from, id, "done");
}

static void the_older_format_is_written_until_none_is_older(void **state)
{
    char line[SERVER_LINE_SIZE], id[256];
    (void)state;
    postgres_fresh(url);
    struct server *older = start(NULL);
    struct server *newer = start(NEWER_BINARY);
    struct client *one = client_new(older), *other = client_new(newer);
    await_value("SELECT count(*) FROM jobd_node WHERE queues <> ''", "2"); /* both have looked */
    pass(one, other);
    pass(other, one);
    uint64_t left = client_put(other, "/do");
    assert_value(FORMAT, "1");
    assert_value("SELECT count(*) FROM jobd_log WHERE get_byte(body, 0) <> 1", "0");
    client_free(one);
    client_free(other);
    stop(older);
    stop(newer);

    newer = start(NEWER_BINARY);
    await_value(FORMAT, "2");
    struct server *second = start(NEWER_BINARY);
    one = client_new(newer);
    other = client_new(second);
    const struct answer *taken = client_post(other, "/take");
    assert_int_equal(taken->status, 200);
    assert_int_equal(strtoull(answer_field(taken, "Jobd-Id", id), NULL, 10), left);
    pass(one, other);
    pass(other, one);
    assert_value("SELECT count(*) > 0 FROM jobd_log WHERE get_byte(body, 0) = 2", "t");
    client_free(one);
    client_free(other);

    older = spawn(NULL);
    server_await_line(older, ERR, "a newer jobd has written there: start that", line);
    assert_int_equal(server_wait(older), 1);
}

/* It was thought to be gone. */
static void an_older_one_ends_when_a_newer_format_is_written(void **state)
{
    char line[SERVER_LINE_SIZE];
    (void)state;
    postgres_fresh(url);
    struct server *older = start(NULL);
    struct client *client = client_new(older);
    uint64_t left = client_put(client, "/do");
    postgres_ask(url, "UPDATE jobd_head SET format = 2", NULL, 0);
    assert_int_equal(client_post(client, "/do")->status, 503);
    client_free(client);
    server_await_line(older, ERR, "a newer jobd has written there: start that", line);
    assert_int_equal(server_wait(older), 1);
    client = client_new(start(NEWER_BINARY));
    client_await_state(client, left, "queued");
    client_free(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(the_older_format_is_written_until_none_is_older, server_stop_all),
        cmocka_unit_test_teardown(an_older_one_ends_when_a_newer_format_is_written,
                                  server_stop_all),
    };
    if (!postgres_is_there())
        return 0;
    return cmocka_run_group_tests_name("upgrade", tests, NULL, NULL);
}
