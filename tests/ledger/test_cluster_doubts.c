/* SPDX-License-Identifier: MIT */
/* Servers whose database refuses what they append, or says something else than it did; one that
 * stands still; one that looks on at what another does. */
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

#include "api/live_scene.h"
#include "support/client.h"
#include "support/postgres.h"
#include "support/server.h"

static char url[POSTGRES_URL_SIZE];

#define START(...) postgres_server(url, (const char *const[]){__VA_ARGS__, NULL})

static void tell(const char *statement)
{
    postgres_ask(url, statement, NULL, 0);
}

static unsigned queued(struct client *client)
{
    return (unsigned)json_number(client_json(client, "/queues/default"), "queued");
}

/* ---- the database refuses */

/* Each entry in turn is refused with the next of these errors, at its INSERT or at the COMMIT. */
static void refuse_with(const char *codes, bool late)
{
    char text[900];
    tell("CREATE SEQUENCE turn");
    snprintf(text, sizeof text,
             "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$"
             " DECLARE code text := (string_to_array('%s', ' '))[nextval('turn')];"
             " BEGIN IF code <> '-' THEN RAISE 'refused by the test' USING ERRCODE = code; END IF;"
             " RETURN NEW; END $$",
             codes);
    tell(text);
    snprintf(text, sizeof text,
             "CREATE %s TRIGGER refuse %s INSERT ON jobd_log %s FOR EACH ROW"
             " EXECUTE FUNCTION refuse()",
             late ? "CONSTRAINT" : "", late ? "AFTER" : "BEFORE",
             late ? "DEFERRABLE INITIALLY DEFERRED" : "");
    tell(text);
}

/* Another has appended, a deadlock, a lock that does not come, a transaction that was ended:
 * nothing was done, and what comes next is. */
static void check_refusals(bool late)
{
    enum { PUTS = 40 };
    unsigned accepted = 0, refused = 0;
    postgres_fresh(url);
    struct server *server = START("-w", "0", "-q", "1000");
    struct client *client = client_new(server);
    (void)client_put(client, "/do");
    refuse_with("- 23505 - 40001 40P01 - - 55P03 25P03 - 57014 57P01", late);
    for (unsigned i = 0; i < PUTS; i++) {
        const struct answer *answer = client_send(client, "POST", "/do", NULL, "x");
        accepted += answer->status == 202;
        refused += answer->status == 503;
        if (answer->status == 503)
            assert_field(answer, "Retry-After", "1");
    }
    assert_int_equal(accepted + refused, PUTS);
    assert_true(refused >= 5);
    assert_int_equal(queued(client), 1 + accepted);
    assert_true(client_metric(client, "jobd_ledger_lost_total") >= 5);
    struct client *other = client_new(START("-w", "0", "-q", "1000"));
    assert_int_equal(queued(other), 1 + accepted);
    client_free(other);
    client_free(client);
}

static void what_is_refused_was_not_done(void **state)
{
    (void)state;
    check_refusals(false);
}

static void what_is_refused_at_the_end_was_not_done(void **state)
{
    (void)state;
    check_refusals(true);
}

/* ---- the database says something else */

/* Nobody goes on over an entry that cannot be read. */
static void a_damaged_entry_is_not_passed_over(void **state)
{
    (void)state;
    postgres_fresh(url);
    struct server *server = START("-w", "0");
    struct client *client = client_new(server);
    (void)client_put(client, "/do");
    client_free(client);
    tell("INSERT INTO jobd_log SELECT max(seq) + 1, 99, 1, max(at), '\\x0102' FROM jobd_log");
    assert_int_equal(server_wait(server), 1);
    assert_int_equal(server_count_lines(server, ERR, "is damaged: all jobs are read again"), 1);
    tell("DELETE FROM jobd_log WHERE node = 99");
    client = client_new(START("-w", "0"));
    assert_int_equal(queued(client), 1);
    client_free(client);
}

/* As after a failover to a standby that was not synchronous. */
static void a_database_that_has_gone_back_counts(void **state)
{
    (void)state;
    postgres_fresh(url);
    struct server *server = START("-w", "0");
    struct client *client = client_new(server);
    for (unsigned i = 0; i < 3; i++)
        (void)client_put(client, "/do");
    tell("DELETE FROM jobd_log WHERE seq = (SELECT max(seq) FROM jobd_log)");
    server_await_lines(server, ERR, "is gone, which was there: all jobs are read again", 1);
    assert_int_equal(queued(client), 2);
    (void)client_put(client, "/do");
    struct client *other = client_new(START("-w", "0"));
    assert_int_equal(queued(other), 3);
    client_free(other);
    client_free(client);
}

/* It has no room for what is there, and says which settings are to be larger. */
static void one_that_is_too_small_does_not_start(void **state)
{
    enum { LEASES = 5 };
    char data[POSTGRES_URL_SIZE + 16], *out, *err;
    (void)state;
    postgres_fresh(url);
    struct client *client = client_new(START("-w", "0", "--leases", "100"));
    for (unsigned i = 0; i < LEASES; i++) {
        (void)client_put(client, "/do");
        assert_answer(client_post(client, "/take?lease=1h"), 200, NULL);
    }
    client_free(client);
    snprintf(data, sizeof data, "JOBD_DATA=%s", url);
    assert_int_equal(server_run(FIELDS("-l", "127.0.0.1:0", "-w", "0", "--leases", "1"),
                                (const char *const[]){data, NULL}, &out, &err),
                     1);
    assert_non_null(strstr(err, "--workers or --leases are larger elsewhere"));
    free(out);
    free(err);
}

/* ---- one stands still */

struct putter {
    pthread_t thread;
    struct client *client;
    unsigned accepted, refused;
    atomic_bool over;
};

static void *put_on(void *context)
{
    struct putter *putter = context;
    while (!atomic_load(&putter->over)) {
        long status = client_send(putter->client, "POST", "/do", NULL, "x")->status;
        putter->accepted += status == 202;
        putter->refused += status == 503;
    }
    return NULL;
}

static void await_queued(struct client *client, unsigned least)
{
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    while (queued(client) < least)
        look_again(deadline_ms, "jobs that another has put in");
}

/* Perhaps in its turn. The others go on, more entries than are read at a time; then it knows them
 * all. */
static void one_that_stands_still_catches_up(void **state)
{
    enum { JOBS = 400 };
    struct putter putter = {.accepted = 0};
    (void)state;
    postgres_fresh(url);
    struct server *server = START("-w", "0", "-q", "100000", "--memory", "64MiB");
    struct client *other = client_new(START("-w", "0", "-q", "100000", "--memory", "64MiB"));
    putter.client = client_new(server);
    assert_int_equal(pthread_create(&putter.thread, NULL, put_on, &putter), 0);
    await_queued(other, 1);
    server_suspend(server);
    for (unsigned i = 0; i < JOBS; i++)
        (void)client_put(other, "/do");
    server_signal(server, SIGCONT);
    atomic_store(&putter.over, true);
    assert_int_equal(pthread_join(putter.thread, NULL), 0);
    unsigned all = JOBS + putter.accepted;
    assert_int_equal(queued(putter.client), all);
    assert_int_equal(queued(other), all);
    (void)client_put(putter.client, "/do");
    client_free(putter.client);
    client_free(other);
}

/* ---- one looks on */

static void changes_elsewhere_are_events(void **state)
{
    char id[32];
    (void)state;
    postgres_fresh(url);
    struct server *server = START("-w", "0");
    struct client *other = client_new(START("-w", "0"));
    struct feed *feed = feed_open(server, "/events", "");
    (void)feed_body(feed);
    uint64_t job = client_put(other, "/do");
    snprintf(id, sizeof id, "\"id\":%llu", (unsigned long long)job);
    feed_await(feed, id);
    assert_answer(client_post(other, "/take"), 200, NULL);
    feed_await(feed, "\"state\":\"running\"");
    feed_close(feed);
    client_free(other);
}

/* Of a command, for whoever follows it: where it runs piece by piece, elsewhere whole. */
static void output_grows_where_it_runs(void **state)
{
    char room[1024], path[64];
    struct speaker speaker;
    (void)state;
    postgres_fresh(url);
    speaker_open(&speaker, "elsewhere");
    struct server *runs = START("-w", "1", "--", "sh", "-c", speaker_command(&speaker, room));
    struct server *looks = START("-w", "0");
    struct client *client = client_new(looks);
    uint64_t job = client_put(client, "/do");
    snprintf(path, sizeof path, "/jobs/%llu/output?follow", (unsigned long long)job);
    client_await_state(client, job, "running");
    struct feed *here = feed_open(runs, path, ""), *there = feed_open(looks, path, "");
    (void)feed_body(here);
    speaker_say(&speaker, "echo first");
    feed_await(here, "first\n");
    speaker_say(&speaker, "echo second");
    feed_await(here, "second\n");
    client_await_state(client, job, "running");
    speaker_say(&speaker, "exit");
    assert_string_equal(feed_await_end(here), "");
    (void)feed_body(there);
    assert_string_equal(feed_await_end(there), "first\nsecond\n");
    feed_close(here);
    feed_close(there);
    close(speaker.fd);
    client_free(client);
}

int main(void)
{
#define DOUBTS_TEST(f) cmocka_unit_test_teardown(f, server_stop_all)
    const struct CMUnitTest tests[] = {
        DOUBTS_TEST(what_is_refused_was_not_done),
        DOUBTS_TEST(what_is_refused_at_the_end_was_not_done),
        DOUBTS_TEST(a_damaged_entry_is_not_passed_over),
        DOUBTS_TEST(a_database_that_has_gone_back_counts),
        DOUBTS_TEST(one_that_is_too_small_does_not_start),
        DOUBTS_TEST(one_that_stands_still_catches_up),
        DOUBTS_TEST(changes_elsewhere_are_events),
        DOUBTS_TEST(output_grows_where_it_runs),
    };
    if (!postgres_is_there())
        return 0;
    return cmocka_run_group_tests_name("servers in doubt", tests, NULL, NULL);
}
