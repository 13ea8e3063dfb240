/* SPDX-License-Identifier: MIT */
/* A server whose PostgreSQL has a synchronous standby that does not answer. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ledger/ledger.h"
#include "support/client.h"
#include "support/postgres.h"
#include "support/server.h"

static char directory[200], url[POSTGRES_URL_SIZE];

/* ---- its PostgreSQL */

static int control(const char *what)
{
    char command[400];
    snprintf(command, sizeof command, "sh tests/postgres.sh %s %s", what, directory);
    return system(command);
}

static int start(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "%s/standby", getenv("TEST_POSTGRES"));
    snprintf(url, sizeof url, "postgres://jobd@/postgres?host=%s", directory);
    return control("start");
}

static int stop(void **state)
{
    (void)state;
    return control("stop");
}

static bool is_one(const char *statement)
{
    char value[16];
    postgres_ask(url, statement, value, sizeof value);
    return strcmp(value, "1") == 0;
}

static void await_one(const char *statement)
{
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    while (!is_one(statement))
        look_again(deadline_ms, statement);
}

static void await_standbys(const char *names)
{
    char text[100];
    snprintf(text, sizeof text, "ALTER SYSTEM SET synchronous_standby_names = '%s'", names);
    postgres_ask(url, text, NULL, 0);
    postgres_ask(url, "SELECT pg_reload_conf()", NULL, 0);
    snprintf(text, sizeof text, "SELECT (current_setting('synchronous_standby_names') = '%s')::int",
             names);
    await_one(text);
}

/* ---- who put something */

struct putter {
    pthread_t thread;
    struct client *client;
    long status;
    atomic_bool answered;
};

static void *put(void *context)
{
    struct putter *putter = context;
    putter->status = client_send(putter->client, "POST", "/do", NULL, "x")->status;
    atomic_store(&putter->answered, true);
    return NULL;
}

#define WAITS "wait_event = 'SyncRep' AND starts_with(query, 'COMMIT')"

/* Its wait is ended so; its row can be read from then on, but is not at the standby. */
static void end_wait(const char *how, struct putter *putter)
{
    char before[16], text[200];
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    await_one("SELECT count(*) FROM pg_stat_activity WHERE " WAITS);
    postgres_ask(url, "SELECT pid FROM pg_stat_activity WHERE " WAITS, before, sizeof before);
    snprintf(text, sizeof text, "SELECT %s(%s)", how, before);
    postgres_ask(url, text, NULL, 0);
    snprintf(text, sizeof text,
             "SELECT count(*) FROM pg_stat_activity WHERE " WAITS " AND pid <> %s", before);
    while (!is_one(text)) {
        assert_false(atomic_load(&putter->answered));
        look_again(deadline_ms, text);
    }
}

static void a_job_is_in_when_the_standby_has_it(void **state)
{
    static const char *const ends[] = {"pg_cancel_backend", "pg_terminate_backend"};
    (void)state;
    struct server *server = postgres_server(url, (const char *const[]){"-w", "0", NULL});
    for (unsigned i = 0; i < 2; i++) {
        struct putter putter = {.client = client_new(server)};
        await_standbys("nobody");
        assert_int_equal(pthread_create(&putter.thread, NULL, put, &putter), 0);
        end_wait(ends[i], &putter);
        await_standbys("");
        assert_int_equal(pthread_join(putter.thread, NULL), 0);
        assert_int_equal(putter.status, 202);
        assert_true(json_number(client_json(putter.client, "/queues/default"), "queued") == i + 1);
        client_free(putter.client);
    }
}

/* As if the database were away, which it is for whoever wants something done. */
static void who_comes_meanwhile_is_told(void **state)
{
    static const char *const ways[][2] = {
        {"POST", "/do"}, {"POST", "/take"}, {"GET", "/queues/default"}};
    char room[256];
    (void)state;
    await_standbys("");
    struct server *server = postgres_server(url, (const char *const[]){"-w", "0", NULL});
    struct client *client = client_new(server);
    struct putter putter = {.client = client_new(server)};
    await_standbys("nobody");
    assert_int_equal(pthread_create(&putter.thread, NULL, put, &putter), 0);
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    while (client_get(client, "/readyz")->status != 503)
        look_again(deadline_ms, "it says that it is not ready");
    assert_non_null(strstr(client_get(client, "/readyz")->body, "standby"));
    for (unsigned i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        const struct answer *answer = client_send(client, ways[i][0], ways[i][1], NULL, "x");
        assert_int_equal(answer->status, 503);
        assert_string_equal(answer_field(answer, "Retry-After", room), "1");
    }
    assert_false(atomic_load(&putter.answered));
    await_standbys("");
    assert_int_equal(pthread_join(putter.thread, NULL), 0);
    assert_int_equal(putter.status, 202);
    while (client_get(client, "/readyz")->status != 200)
        look_again(deadline_ms, "it is ready again");
    (void)client_put(client, "/do");
    client_free(putter.client);
    client_free(client);
}

static void *beat(void *context)
{
    ledger_ops.beat(context);
    return NULL;
}

/* Else nothing could be read there meanwhile. */
static void being_there_needs_no_standby(void **state)
{
    pthread_t thread;
    struct problem problem;
    (void)state;
    await_standbys("");
    struct ledger *ledger = ledger_open(
        &(struct ledger_options){.url = url, .node = "test", .sync = true}, 0, &problem);
    assert_non_null(ledger);
    assert_true(ledger_describe(ledger, "default capacity=1\n"));
    await_standbys("nobody");
    assert_int_equal(pthread_create(&thread, NULL, beat, ledger), 0);
    await_one("SELECT count(*) FROM jobd_node WHERE queues = 'default capacity=1\n'");
    assert_int_equal(pthread_join(thread, NULL), 0);
    await_standbys("");
    ledger_free(ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_job_is_in_when_the_standby_has_it, server_stop_all),
        cmocka_unit_test_teardown(who_comes_meanwhile_is_told, server_stop_all),
        cmocka_unit_test_teardown(being_there_needs_no_standby, server_stop_all),
    };
    if (!postgres_is_there())
        return 0;
    return cmocka_run_group_tests_name("a standby that does not answer", tests, start, stop);
}
