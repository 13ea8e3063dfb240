/* SPDX-License-Identifier: MIT */
/* A server and its PostgreSQL: connections that end, a database that is away and comes back, a log
 * that does not grow for ever. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
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

static char url[POSTGRES_URL_SIZE];
static atomic_bool over; /* whoever goes on and on may end */

/* ---- servers */

#define START(...) postgres_server(url, (const char *const[]){__VA_ARGS__, NULL})

/* ---- rows of servers */

static void await_count(const char *statement, const char *count)
{
    char value[16];
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    for (;;) {
        postgres_ask(url, statement, value, sizeof value);
        if (strcmp(value, count) == 0)
            return;
        look_again(deadline_ms, statement);
    }
}

static void servers_long_gone_have_no_rows(void **state)
{
    (void)state;
    postgres_fresh(url);
    struct server *first = START("-w", "0");
    postgres_ask(url,
                 "INSERT INTO jobd_node (id, name, version, format, seen) VALUES"
                 " (1000, 'gone', '0', 1, now() - interval '2 hours'),"
                 " (1001, 'of late', '0', 1, now() - interval '2 minutes')",
                 NULL, 0);
    struct server *second = START("-w", "0");
    await_count("SELECT count(*) FROM jobd_node WHERE id = 1000", "0");
    await_count("SELECT count(*) FROM jobd_node WHERE queues <> ''", "2");
    server_signal(second, SIGTERM);
    assert_int_equal(server_wait(second), 0);
    await_count("SELECT count(*) FROM jobd_node", "2"); /* the first, and the other */
    assert_true(server_runs(first));
}

static void what_differs_is_said(void **state)
{
    char line[SERVER_LINE_SIZE];
    (void)state;
    postgres_fresh(url);
    (void)START("-w", "0", "-q", "20", "--node", "first");
    await_count("SELECT count(*) FROM jobd_node WHERE queues <> ''", "1");
    struct server *alike = START("-w", "1", "-q", "20", "--sleep", "0ms");
    await_count("SELECT count(*) FROM jobd_node WHERE queues <> ''", "2");
    struct server *other = START("-w", "0", "-q", "30", "--attempts", "3");
    server_await_line(other, ERR,
                      "queue default: capacity=30 attempts=3 here, capacity=20 attempts=1 at first",
                      line);
    assert_int_equal(server_count_lines(alike, ERR, "at first"), 0);
}

/* ---- time */

static void *put_on(void *context)
{
    struct client *client = client_new(context);
    while (!atomic_load(&over))
        assert_answer(client_send(client, "POST", "/do", NULL, "x"), 202, NULL);
    client_free(client);
    return NULL;
}

/* Not the time when it began to wait for the others: what they did meanwhile was before it. */
static void a_turn_is_later_than_those_it_waited_for(void **state)
{
    char later[8];
    pthread_t putter;
    (void)state;
    postgres_fresh(url);
    struct server *server = START("-w", "0", "-q", "1000000");
    atomic_store(&over, false);
    assert_int_equal(pthread_create(&putter, NULL, put_on, server), 0);
    postgres_ask(url,
                 "DO $$ BEGIN PERFORM 1 FROM jobd_head FOR UPDATE;"
                 " WHILE NOT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() ="
                 " ANY (pg_blocking_pids(pid))) LOOP PERFORM pg_sleep(0.001); END LOOP;"
                 " CREATE TABLE released AS SELECT coalesce(max(seq), 0) AS seq,"
                 " (extract(epoch FROM clock_timestamp()) * 1000000)::int8 AS at FROM jobd_log;"
                 "END $$",
                 NULL, 0);
    await_count("SELECT count(*) FROM jobd_log JOIN released ON jobd_log.seq = released.seq + 1",
                "1");
    atomic_store(&over, true);
    assert_int_equal(pthread_join(putter, NULL), 0);
    postgres_ask(url,
                 "SELECT jobd_log.at >= released.at FROM jobd_log JOIN released"
                 " ON jobd_log.seq = released.seq + 1",
                 later, sizeof later);
    assert_string_equal(later, "t");
}

/* ---- connections end */

static void end_connections(void)
{
    postgres_ask(NULL,
                 "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                 " WHERE application_name = 'jobd'",
                 NULL, 0);
}

struct putter {
    pthread_t thread;
    struct client *client;
    unsigned accepted, refused;
};

static void *put_many(void *context)
{
    struct putter *putter = context;
    for (unsigned i = 0; i < 400; i++) {
        long status = client_send(putter->client, "POST", "/do", NULL, "x")->status;
        putter->accepted += status == 202;
        putter->refused += status == 503;
    }
    return NULL;
}

/* Whatever it was doing: what was said to be in is in, once. */
static void a_lost_connection_loses_nothing(void **state)
{
    enum { PUTTERS = 4 };
    struct putter putters[PUTTERS];
    unsigned accepted = 0;
    (void)state;
    postgres_fresh(url);
    struct server *server = START("-w", "0", "-q", "100000", "--memory", "64MiB");
    for (unsigned i = 0; i < PUTTERS; i++) {
        putters[i] = (struct putter){.client = client_new(server)};
        assert_int_equal(pthread_create(&putters[i].thread, NULL, put_many, &putters[i]), 0);
    }
    for (unsigned i = 0; i < 20; i++)
        end_connections();
    for (unsigned i = 0; i < PUTTERS; i++) {
        assert_int_equal(pthread_join(putters[i].thread, NULL), 0);
        assert_int_equal(putters[i].accepted + putters[i].refused, 400);
        accepted += putters[i].accepted;
        client_free(putters[i].client);
    }
    struct client *client = client_new(server);
    assert_true(json_number(client_json(client, "/queues/default"), "queued") == accepted);
    assert_true(client_metric(client, "jobd_ledger_connected") == 1);
    client_free(client);
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0);
    client = client_new(START("-w", "0", "-q", "100000", "--memory", "64MiB"));
    assert_true(json_number(client_json(client, "/queues/default"), "queued") == accepted);
    client_free(client);
}

/* ---- away and back */

static void control(const char *what, const char *directory)
{
    char command[400];
    snprintf(command, sizeof command, "sh tests/postgres.sh %s %s", what, directory);
    assert_int_equal(system(command), 0);
}

struct taker {
    pthread_t thread;
    struct client *client;
    long status;
};

static void *take(void *context)
{
    struct taker *taker = context;
    taker->status = client_post(taker->client, "/take?wait=60s")->status;
    return NULL;
}

static void a_database_may_be_away(void **state)
{
    char directory[200];
    struct taker taker;
    (void)state;
    snprintf(directory, sizeof directory, "%s/away", getenv("TEST_POSTGRES"));
    control("start", directory);
    snprintf(url, sizeof url, "postgres://jobd@/postgres?host=%s", directory);
    struct server *server = START("-w", "0");
    struct client *client = client_new(server);
    taker.client = client_new(server);
    assert_int_equal(pthread_create(&taker.thread, NULL, take, &taker), 0);
    client_await_metric(client, "jobd_requests_parked", 1);
    control("stop", directory);
    server_await_lines(server, ERR, "the database is away", 1);
    const struct answer *answer = client_send(client, "POST", "/do", NULL, "x");
    assert_answer(answer, 503, NULL);
    assert_field(answer, "Retry-After", "1");
    assert_non_null(strstr(answer->body, "the database is away"));
    assert_answer(client_get(client, "/readyz"), 503, NULL);
    assert_answer(client_get(client, "/jobs"), 503, NULL);
    assert_true(client_metric(client, "jobd_ledger_connected") == 0);
    assert_answer(client_get(client, "/healthz"), 200, NULL);
    control("again", directory);
    server_await_lines(server, ERR, "the database is back", 1);
    assert_answer(client_get(client, "/readyz"), 200, NULL);
    (void)client_put(client, "/do"); /* the one who waits all the while gets it */
    assert_int_equal(pthread_join(taker.thread, NULL), 0);
    assert_int_equal(taker.status, 200);
    client_free(taker.client);
    client_free(client);
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0);
    control("stop", directory);
}

/* ---- the log */

static unsigned rows(const char *what)
{
    char value[32];
    postgres_ask(url, what, value, sizeof value);
    return (unsigned)strtoul(value, NULL, 10);
}

static void the_log_does_not_grow_for_ever(void **state)
{
    enum { JOBS = 80, BYTES = 1 << 20 };
    char *payload = raw_filled("", 'x', BYTES - 16, "");
    (void)state;
    postgres_fresh(url);
    struct server *server =
        START("-w", "0", "-q", "1000", "--memory", "256MiB", "--max-body", "2MiB");
    struct client *client = client_new(server);
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    for (unsigned i = 0; i < JOBS;) { /* so much at once may take a slow disk seconds: 503 */
        const struct answer *answer = client_send(client, "POST", "/do", NULL, payload);
        if (answer->status == 503) {
            look_again(deadline_ms, "an answer of the database");
            continue;
        }
        assert_answer(answer, 202, NULL);
        i++;
    }
    free(payload);
    deadline_ms = now_ms() + PATIENCE_MS;
    while (rows("SELECT count(*) FROM jobd_snapshot WHERE part = -1") == 0 ||
           rows("SELECT count(*) FROM jobd_log") > JOBS / 2)
        look_again(deadline_ms, "a snapshot, and that the log is trimmed");
    uint64_t after = client_put(client, "/do?priority=0");
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0);
    client_free(client);
    client = client_new(START("-w", "0", "-q", "1000", "--memory", "256MiB", "--max-body", "2MiB"));
    assert_true(json_number(client_json(client, "/queues/default"), "queued") == JOBS + 1);
    assert_true(client_put(client, "/do") > after);
    client_free(client);
}

/* ---- what goes from it */

static struct ledger *open_ledger(void)
{
    struct problem problem;
    struct ledger *ledger = ledger_open(
        &(struct ledger_options){.url = url, .node = "test", .sync = true}, 0, &problem);
    if (ledger == NULL)
        fail_msg("%s", problem.text);
    return ledger;
}

static void append_rows(struct ledger *ledger, uint64_t from, uint64_t to)
{
    enum { AT_ONCE = 50 };
    struct problem problem;
    struct ledger_turn turn;
    for (uint64_t seq = from; seq <= to; seq += AT_ONCE) {
        struct ledger_row rows[AT_ONCE];
        struct ledger_fetch fetch = {.from = to + 1};
        for (unsigned i = 0; i < AT_ONCE; i++)
            rows[i] = (struct ledger_row){
                .seq = seq + i, .body = (const unsigned char *)"row", .size = 3};
        assert_int_equal(ledger_ops.begin(ledger, &fetch, &turn, &problem), LEDGER_OK);
        assert_int_equal(ledger_ops.append(ledger, rows, AT_ONCE, &problem), LEDGER_OK);
    }
}

/* All rows before that, or only so many steps of it. */
static void trim(struct ledger *ledger, uint64_t from, unsigned steps)
{
    struct problem problem;
    bool more = true;
    for (; more && steps > 0; steps--)
        assert_int_equal(ledger_ops.trim(ledger, from, &more, &problem), LEDGER_OK);
}

/* The next one begins where the last one has ended, whoever that was; but not where one was left
 * half done. */
static void each_trimming_goes_on_from_the_last(void **state)
{
    enum { ALL = 100 };
    (void)state;
    postgres_fresh(url);
    struct ledger *one = open_ledger(), *other = open_ledger();
    append_rows(one, 1, 4000);
    trim(one, 3000, 2);
    assert_int_equal(rows("SELECT min(seq) FROM jobd_log"), 1001);
    trim(other, 3100, ALL);
    assert_int_equal(rows("SELECT min(seq) FROM jobd_log"), 3100);
    assert_int_equal(rows("SELECT from_seq FROM jobd_snapshot WHERE part = -2"), 3100);
    append_rows(one, 4001, 5000);
    trim(one, 4500, ALL);
    trim(other, 4500, ALL);
    assert_int_equal(rows("SELECT min(seq) FROM jobd_log"), 4500);
    assert_int_equal(rows("SELECT count(*) FROM jobd_log"), 501);
    assert_int_equal(rows("SELECT count(*) FROM jobd_snapshot"), 1);
    ledger_free(one);
    ledger_free(other);
}

int main(void)
{
#define LEDGER_TEST(f) cmocka_unit_test_teardown(f, server_stop_all)
    const struct CMUnitTest tests[] = {
        LEDGER_TEST(servers_long_gone_have_no_rows),
        LEDGER_TEST(what_differs_is_said),
        LEDGER_TEST(a_turn_is_later_than_those_it_waited_for),
        LEDGER_TEST(a_lost_connection_loses_nothing),
        LEDGER_TEST(a_database_may_be_away),
        LEDGER_TEST(the_log_does_not_grow_for_ever),
        LEDGER_TEST(each_trimming_goes_on_from_the_last),
    };
    if (!postgres_is_there())
        return 0;
    return cmocka_run_group_tests_name("a server and its PostgreSQL", tests, NULL, NULL);
}
