/* SPDX-License-Identifier: MIT */
/* A server that starts with a PostgreSQL: what it refuses in one line, and what it warns of. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/postgres.h"
#include "support/proxy.h"
#include "support/server.h"

static char url[POSTGRES_URL_SIZE];

#define START(...) postgres_server(url, (const char *const[]){__VA_ARGS__, NULL})

/* What it says when it cannot start, for the caller to free; its exit code in *code. */
static char *refusal(const char *const *arguments, int *code)
{
    char data[POSTGRES_URL_SIZE + 16], *out, *err;
    snprintf(data, sizeof data, "JOBD_DATA=%s", url);
    *code = server_run(arguments, (const char *const[]){data, NULL}, &out, &err);
    free(out);
    return err;
}

static void assert_refused(const char *why)
{
    int code;
    char *text = refusal(FIELDS("-l", "127.0.0.1:0"), &code);
    assert_int_equal(code, 1);
    if (strstr(text, why) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", text, why);
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1); /* one line */
    free(text);
}

/* ---- the start */

static void tables_of_others_are_left_alone(void **state)
{
    (void)state;
    postgres_fresh(url);
    postgres_ask(url, "CREATE TABLE jobd_head (other int)", NULL, 0);
    assert_refused("the table jobd_head there is not jobd's");
}

static void a_newer_format_is_left_alone(void **state)
{
    (void)state;
    postgres_fresh(url);
    struct server *server = START("-w", "0");
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0);
    postgres_ask(url, "UPDATE jobd_head SET format = 99", NULL, 0);
    assert_refused("a newer jobd has written there: start that");
}

static void no_schema_is_named(void **state)
{
    (void)state;
    snprintf(url, sizeof url, "postgres://jobd@/postgres?host=%s&options=-csearch_path%%3Dnowhere",
             getenv("TEST_POSTGRES"));
    assert_refused("the search_path names no schema that is there");
}

static void an_address_is_never_shown(void **state)
{
    int code;
    (void)state;
    snprintf(url, sizeof url, "postgres://me:hidden@[::1/base?nothing");
    char *text = refusal(FIELDS("--check"), &code);
    assert_int_not_equal(code, 0);
    assert_null(strstr(text, "hidden"));
    free(text);
    postgres_fresh(url);
    struct server *server = START("-w", "0");
    char *log = server_output(server, ERR);
    assert_null(strstr(log, "search_path"));
    free(log);
}

/* Whoever is there need not wait in silence, nor until the end. */
static void a_database_that_is_away_is_said_and_a_signal_ends_the_wait(void **state)
{
    char line[SERVER_LINE_SIZE];
    (void)state;
    struct server *server = server_spawn(&(struct server_plan){
        .arguments = WORDS("-l", "127.0.0.1:0", "-d", "postgres://jobd@127.0.0.1:1/none")});
    server_await_line(server, ERR, "trying for 30 s", line);
    assert_non_null(strstr(line, "127.0.0.1"));
    server_signal(server, SIGINT);
    assert_int_equal(server_wait(server), 1);
    server_await_line(server, ERR, "SIGINT: ends before it has begun", line);
}

static void a_sync_of_a_second_is_refused(void **state)
{
    int code;
    (void)state;
    postgres_fresh(url);
    char *text = refusal(FIELDS("-l", "127.0.0.1:0", "--sync", "1s"), &code);
    assert_int_not_equal(code, 0);
    assert_non_null(strstr(text, "sync"));
    free(text);
}

/* ---- where jobs cannot be kept */

static char directory[200]; /* of a PostgreSQL that may be spoiled */

static void control(const char *what, const char *where, const char *other)
{
    char command[600];
    snprintf(command, sizeof command, "sh tests/postgres.sh %s %s %s", what, where, other);
    assert_int_equal(system(command), 0);
}

static void start_own(void)
{
    static unsigned made;
    snprintf(directory, sizeof directory, "%s/start%u", getenv("TEST_POSTGRES"), ++made);
    control("start", directory, "");
    snprintf(url, sizeof url, "postgres://jobd@/postgres?host=%s", directory);
}

static void set(const char *name, const char *value)
{
    char statement[100], is[16];
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    snprintf(statement, sizeof statement, "ALTER SYSTEM SET %s = '%s'", name, value);
    postgres_ask(url, statement, NULL, 0);
    postgres_ask(url, "SELECT pg_reload_conf()", NULL, 0);
    snprintf(statement, sizeof statement, "SELECT current_setting('%s')", name);
    for (;;) {
        postgres_ask(url, statement, is, sizeof is);
        if (strcmp(is, value) == 0)
            return;
        look_again(deadline_ms, statement);
    }
}

static void one_that_could_lose_jobs_is_refused(void **state)
{
    (void)state;
    start_own();
    set("fsync", "off");
    assert_refused("fsync is off there");
    set("fsync", "on");
    set("full_page_writes", "off");
    assert_refused("full_page_writes is off there");
    control("stop", directory, "");
}

static void without_the_right_to_make_tables_it_is_refused(void **state)
{
    char statement[100], *schema, other[POSTGRES_URL_SIZE];
    (void)state;
    postgres_fresh(url);
    schema = strstr(url, "test_");
    snprintf(statement, sizeof statement, "CREATE ROLE of_%s LOGIN", schema);
    postgres_ask(url, statement, NULL, 0);
    snprintf(statement, sizeof statement, "GRANT USAGE ON SCHEMA %s TO of_%s", schema, schema);
    postgres_ask(url, statement, NULL, 0);
    snprintf(other, sizeof other, "postgres://of_%s@%s", schema, strchr(url, '@') + 1);
    memcpy(url, other, sizeof url);
    assert_refused("permission denied for schema");
}

/* ---- one that says that it is older */

static void say(int fd, const void *bytes, size_t size)
{
    assert_int_equal(send(fd, bytes, size, MSG_NOSIGNAL), size);
}

/* It lets in whoever comes, and answers nothing. */
static void *be_old(void *context)
{
    static const char said[] = "R\0\0\0\10\0\0\0\0"
                               "S\0\0\0\31server_version\0"
                               "12.17\0"
                               "Z\0\0\0\5I";
    char room[1000];
    int fd = accept(*(const int *)context, NULL, NULL);
    assert_true(fd >= 0 && recv(fd, room, sizeof room, 0) > 0);
    say(fd, said, sizeof said - 1);
    while (recv(fd, room, sizeof room, 0) > 0)
        ;
    close(fd);
    return NULL;
}

static void an_older_one_is_refused(void **state)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof own;
    pthread_t thread;
    (void)state;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (const struct sockaddr *)&own, size), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&own, &size), 0);
    snprintf(url, sizeof url,
             "postgres://jobd@127.0.0.1:%u/x?sslmode=disable&gssencmode=disable"
             "&target_session_attrs=any",
             ntohs(own.sin_port));
    assert_int_equal(pthread_create(&thread, NULL, be_old, &listener), 0);
    assert_refused("the server is PostgreSQL 12: it must be 13 or newer");
    assert_int_equal(pthread_join(thread, NULL), 0);
    close(listener);
}

/* ---- what is worth a warning */

static void assert_said(struct server *server, const char *text, unsigned times)
{
    assert_int_equal(server_count_lines(server, ERR, text), times);
}

static void what_is_near_is_nothing_to_warn_of(void **state)
{
    (void)state;
    postgres_fresh(url);
    struct server *server = START("-w", "0");
    assert_said(server, "sslmode", 0);
    assert_said(server, "no synchronous standby", 1);
}

/* By the network, and slowly: in a schema of its own all the same. */
static void a_long_way_is_said(void **state)
{
    char near[POSTGRES_URL_SIZE];
    uint16_t port;
    (void)state;
    postgres_fresh(near);
    struct proxy *proxy = proxy_new_far(getenv("TEST_POSTGRES"), 4, &port);
    snprintf(url, sizeof url, "postgres://jobd@0.0.0.0:%u/postgres?sslmode=disable&%s", port,
             strstr(near, "options="));
    struct server *server = START("-w", "0");
    assert_said(server, "ms: all servers wait for each turn of this one", 1);
    assert_said(server, "say sslmode=verify-full", 1);
    server_stop_all(state);
    proxy_free(proxy);
}

static void a_standby_is_refused_and_a_synchronous_one_is_noticed(void **state)
{
    char standby[300];
    start_own();
    snprintf(standby, sizeof standby, "%s-standby", directory);
    control("standby", standby, directory);
    set("synchronous_standby_names", "*");
    assert_said(START("-w", "0"), "no synchronous standby", 0);
    server_stop_all(state);
    snprintf(url, sizeof url, "postgres://jobd@/postgres?host=%s&target_session_attrs=any",
             standby);
    assert_refused("is a standby, and takes no writes");
    control("stop", standby, "");
    control("stop", directory, "");
}

int main(void)
{
#define START_TEST(f) cmocka_unit_test_teardown(f, server_stop_all)
    const struct CMUnitTest tests[] = {
        START_TEST(tables_of_others_are_left_alone),
        START_TEST(a_newer_format_is_left_alone),
        START_TEST(no_schema_is_named),
        START_TEST(an_address_is_never_shown),
        START_TEST(a_database_that_is_away_is_said_and_a_signal_ends_the_wait),
        START_TEST(a_sync_of_a_second_is_refused),
        START_TEST(one_that_could_lose_jobs_is_refused),
        START_TEST(without_the_right_to_make_tables_it_is_refused),
        START_TEST(an_older_one_is_refused),
        START_TEST(what_is_near_is_nothing_to_warn_of),
        START_TEST(a_long_way_is_said),
        START_TEST(a_standby_is_refused_and_a_synchronous_one_is_noticed),
    };
    if (!postgres_is_there())
        return 0;
    return cmocka_run_group_tests_name("the start with a PostgreSQL", tests, NULL, NULL);
}
