/* SPDX-License-Identifier: MIT */
/* Schedules of three servers on one database: an instant happens once, whoever is there. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ledger/cluster_scene.h"
#include "ledger/ticks.h"

#define ARGUMENTS "-w", "0", "-q", "1000"

static const struct answer *put(struct client *client, const char *path)
{
    return client_send(client, "PUT", path, NULL, "report");
}

static void await_jobs(struct client *client, double jobs)
{
    client_await_at_least(client, "jobd_jobs_admitted_total{queue=\"default\"}", jobs);
}

/* ---- what there is */

static void one_is_known_everywhere(void **state)
{
    (void)state;
    CLUSTER(ARGUMENTS);
    assert_answer(put(clients[0], "/schedules/a?cron=0+3+*+*+*&tz=Europe/Paris"), 201, "created\n");
    assert_answer(put(clients[1], "/schedules/a?cron=0+3+*+*+*&tz=Europe/Paris"), 200,
                  "unchanged\n");
    const cJSON *schedule = client_json(clients[2], "/schedules/a");
    assert_string_equal(json_string(schedule, "tz"), "Europe/Paris");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(schedule, "next")), 5);
    assert_answer(client_post(clients[2], "/schedules/a/pause"), 200, "paused\n");
    assert_true(
        cJSON_IsTrue(cJSON_GetObjectItem(client_json(clients[0], "/schedules/a"), "paused")));
    uint64_t id = client_put(clients[1], "/schedules/a/run");
    assert_string_equal(json_string(client_job(clients[0], id), "schedule"), "a");
    struct client *client = client_new(NODE(ARGUMENTS));
    schedule = client_json(client, "/schedules/a");
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(schedule, "paused")));
    assert_true(json_number(schedule, "payload_bytes") == 6);
    assert_answer(client_send(client, "DELETE", "/schedules/a", NULL, NULL), 200, "deleted\n");
    for (unsigned i = 0; i < NODES; i++)
        assert_int_equal(client_get(clients[i], "/schedules/a")->status, 404);
    client_free(client);
}

/* ---- instants */

static void an_instant_happens_once(void **state)
{
    (void)state;
    CLUSTER(ARGUMENTS);
    const struct ticks ticks = ticks_begin(clients[1], "every=1s&missed=all", "default");
    await_jobs(clients[0], 3);
    (void)ticks_end(clients[2], &ticks);
    double fired = 0;
    for (unsigned i = 0; i < NODES; i++)
        fired += client_metric(clients[i], "jobd_schedule_instants_total{result=\"fired\"}");
    assert_true(fired == json_number(client_json(clients[0], "/queues/default"), "queued"));
}

static void others_go_on(void **state)
{
    (void)state;
    CLUSTER(ARGUMENTS);
    const struct ticks ticks = ticks_begin(clients[0], "every=1s&missed=all", "default");
    for (unsigned i = 0; i + 1 < NODES; i++) {
        double jobs = json_number(client_json(clients[2], "/queues/default"), "queued");
        await_jobs(clients[2], jobs + 1);
        server_kill(nodes[i]);
        await_jobs(clients[2], jobs + 3);
    }
    (void)ticks_end(clients[2], &ticks);
}

/* Nobody was there meanwhile. */
static void what_nobody_took_is_missed(void **state)
{
    (void)state;
    CLUSTER(ARGUMENTS);
    assert_answer(put(clients[0], "/schedules/once?every=1s"), 201, NULL);
    await_jobs(clients[1], 2);
    for (unsigned i = 0; i < NODES; i++)
        server_signal(nodes[i], SIGTERM);
    for (unsigned i = 0; i < NODES; i++)
        assert_int_equal(server_wait(nodes[i]), 0);
    let_pass(3100);
    struct client *client = client_new(NODE(ARGUMENTS));
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    while (json_number(client_json(client, "/schedules/once"), "missed") < 2)
        look_again(deadline_ms, "what was missed");
    client_free(client);
}

static void two_do_not_overlap_anywhere(void **state)
{
    (void)state;
    CLUSTER(ARGUMENTS);
    assert_answer(put(clients[0], "/schedules/tick?every=1s&overlap=skip"), 201, NULL);
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    while (json_number(client_json(clients[1], "/schedules/tick"), "skipped") < 2)
        look_again(deadline_ms, "instants to be skipped");
    assert_true(json_number(client_json(clients[2], "/queues/default"), "queued") == 1);
}

/* ---- files */

#define FILE_OF(schedules) "{\"queues\": {\"default\": {}}, \"schedules\": {" schedules "}}"

static void the_last_file_counts(void **state)
{
    char line[SERVER_LINE_SIZE];
    const char *one = temporary_file(
        "one.json", FILE_OF("\"a\": {\"every\": \"1h\"}, \"b\": {\"every\": \"5m\"}"));
    const char *other = temporary_file(
        "other.json", FILE_OF("\"a\": {\"every\": \"2h\"}, \"c\": {\"every\": \"7m\"}"));
    (void)state;
    postgres_fresh(url);
    nodes[0] = NODE(ARGUMENTS, "-c", one);
    clients[0] = client_new(nodes[0]);
    assert_string_equal(json_string(client_json(clients[0], "/schedules/b"), "every"), "5m");
    nodes[1] = NODE(ARGUMENTS, "-c", one);
    clients[1] = client_new(nodes[1]);
    assert_int_equal(server_count_lines(nodes[1], ERR, "new, changed or gone"), 0);
    nodes[2] = NODE(ARGUMENTS, "-c", other);
    clients[2] = client_new(nodes[2]);
    for (unsigned i = 0; i < NODES; i++) {
        assert_string_equal(json_string(client_json(clients[i], "/schedules/a"), "every"), "2h");
        assert_int_equal(client_get(clients[i], "/schedules/b")->status, 404);
        assert_int_equal(client_get(clients[i], "/schedules/c")->status, 200);
    }
    for (unsigned i = 0; i < 2; i++) {
        server_await_line(nodes[i], ERR, "schedule a: the file of another server, which was read",
                          line);
        server_await_line(nodes[i], ERR, "schedule b: it is in this server's file, and not", line);
        server_await_line(nodes[i], ERR, "schedule c: it is in the file of another server", line);
    }
    server_signal(nodes[0], SIGHUP); /* it is the last now */
    server_await_line(nodes[2], ERR, "schedule c: it is in this server's file, and not", line);
    assert_string_equal(json_string(client_json(clients[1], "/schedules/a"), "every"), "1h");
}

int main(void)
{
#define CLUSTER_TEST(f) cmocka_unit_test_teardown(f, stop_cluster)
    const struct CMUnitTest tests[] = {
        CLUSTER_TEST(one_is_known_everywhere),
        CLUSTER_TEST(an_instant_happens_once),
        CLUSTER_TEST(others_go_on),
        CLUSTER_TEST(what_nobody_took_is_missed),
        CLUSTER_TEST(two_do_not_overlap_anywhere),
        CLUSTER_TEST(the_last_file_counts),
    };
    if (!postgres_is_there())
        return 0;
    return cmocka_run_group_tests_name("schedules of several servers", tests, NULL, NULL);
}
