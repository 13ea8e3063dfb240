/* SPDX-License-Identifier: MIT */
/* Queues that not all servers with the same database know. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ledger/cluster_scene.h"

static char *take(struct client *client, const char *path)
{
    char room[256];
    const struct answer *answer = client_post(client, path);
    assert_answer(answer, 200, NULL);
    return strdup(answer_field(answer, "Location", room));
}

/* ---- tests */

#define GUEST "\"guest\": {\"workers\": 0, \"capacity\": 4}"

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0 && fclose(file) == 0);
}

static void configure(const char *path, bool with_guest)
{
    char text[300];
    snprintf(text, sizeof text,
             "{\"queues\": {\"default\": {\"workers\": 0, \"capacity\": 100}%s}}",
             with_guest ? ", " GUEST : "");
    write_file(path, text);
}

/* Its jobs are left to those that know it, and so are those that wait for them. */
static void a_queue_may_be_unknown_to_one(void **state)
{
    char path[100], *lease;
    (void)state;
    const char *file = temporary_file("guest.json", ""), *others = temporary_file("all.json", "");
    configure(file, false);
    configure(others, true);
    start_cluster((const char *const[]){"-c", file, NULL},
                  (const char *const[]){"-c", others, NULL});
    uint64_t first = client_put(clients[1], "/do/guest"),
             second = client_put(clients[2], "/do/guest");
    snprintf(path, sizeof path, "/do/default?after=/jobs/%llu", (unsigned long long)first);
    uint64_t child = client_put(clients[1], path);
    assert_answer(client_send(clients[0], "POST", "/do/guest", NULL, ""), 404, NULL);
    assert_answer(client_post(clients[0], "/take/guest"), 404, NULL);
    (void)client_put(clients[0], "/do/default"); /* it takes turns */
    client_await_state(clients[0], child, "blocked");
    lease = take(clients[1], "/take/guest");
    (void)client_put(clients[0], "/do/default");
    client_await_state(clients[0], child, "blocked");
    snprintf(path, sizeof path, "%s/done", lease);
    assert_answer(client_post(clients[0], path), 404, NULL);
    assert_answer(client_post(clients[2], path), 200, NULL);
    free(lease);
    client_await_state(clients[0], child, "queued");

    configure(file, true); /* now it knows it, and all that is there */
    server_signal(nodes[0], SIGHUP);
    server_await_lines(nodes[0], ERR, "configuration reloaded", 1);
    client_await_state(clients[0], second, "queued");
    client_await_state(clients[0], first, "done");
    for (unsigned i = 0; i < 3; i++)
        (void)client_put(clients[0], "/do/guest");
    assert_answer(client_post(clients[0], "/do/guest"), 429, NULL);
    assert_answer(client_post(clients[1], "/do/guest"), 429, NULL);
    free(take(clients[0], "/take/guest"));
    client_await_state(clients[1], second, "running");
}

static double of_guest(struct client *client, const char *name)
{
    return json_number(client_json(client, "/queues/guest"), name);
}

static bool guest_is_declared(struct client *client)
{
    return cJSON_IsTrue(
        cJSON_GetObjectItemCaseSensitive(client_json(client, "/queues/guest"), "declared"));
}

static void end_node(unsigned i)
{
    client_free(clients[i]);
    clients[i] = NULL;
    server_signal(nodes[i], SIGTERM);
    assert_int_equal(server_wait(nodes[i]), 0);
}

/* It can be seen and emptied, and is there again when somebody declares it. */
static void a_queue_may_be_declared_by_none(void **state)
{
    (void)state;
    char path[100], line[SERVER_LINE_SIZE], *lease;
    const char *file = temporary_file("guest.json", "");
    postgres_fresh(url);
    configure(file, true);
    nodes[0] = NODE("-c", file);
    clients[0] = client_new(nodes[0]);
    uint64_t failed = client_put(clients[0], "/do/guest"),
             held = client_put(clients[0], "/do/guest");
    lease = take(clients[0], "/take/guest");
    snprintf(path, sizeof path, "%s/fail", lease);
    assert_answer(client_post(clients[0], path), 200, NULL);
    free(lease);
    lease = take(clients[0], "/take/guest?lease=1h");
    uint64_t waits = client_put(clients[0], "/do/guest");
    uint64_t later = client_put(clients[0], "/do/guest?delay=1h");
    end_node(0);

    configure(file, false);
    for (unsigned i = 0; i < NODES; i++) {
        nodes[i] = NODE("-c", file);
        clients[i] = client_new(nodes[i]);
        server_await_line(nodes[i], ERR, "queue guest has jobs, and is not declared", line);
        assert_non_null(strstr(line, "2 wait, 1 run; POST /queues/OLD/move?to=NEW"));
        assert_false(guest_is_declared(clients[i]));
        assert_true(client_metric(clients[i], "jobd_queues_undeclared") == 1);
        assert_true(of_guest(clients[i], "queued") == 1 && of_guest(clients[i], "running") == 1);
        assert_true(of_guest(clients[i], "scheduled") == 1 && of_guest(clients[i], "failed") == 1);
    }
    assert_answer(client_post(clients[0], "/do/guest"), 404, NULL);
    assert_answer(client_post(clients[1], "/take/guest"), 404, NULL);
    client_await_state(clients[1], failed, "failed");
    snprintf(path, sizeof path, "%s/done", lease);
    assert_answer(client_post(clients[1], path), 200, NULL);
    free(lease);
    client_await_state(clients[0], held, "done");
    assert_answer(client_post(clients[0], "/queues/guest/move?to=default"), 200,
                  "moved 2, 0 left\n");
    client_await_state(clients[1], waits, "queued");
    assert_string_equal(json_string(client_job(clients[1], waits), "queue"), "default");
    assert_string_equal(json_string(client_job(clients[1], later), "queue"), "default");

    configure(file, true);
    server_signal(nodes[1], SIGHUP);
    server_await_lines(nodes[1], ERR, "configuration reloaded", 1);
    client_await_state(clients[1], failed, "failed");
    assert_true(guest_is_declared(clients[1]) && of_guest(clients[1], "failed") == 1);
    uint64_t fresh = client_put(clients[1], "/do/guest");
    client_await_state(clients[0], fresh, "queued"); /* where it is not declared it is seen, too */
    assert_true(of_guest(clients[0], "queued") == 1);
    configure(file, false);
    server_signal(nodes[1], SIGHUP);
    server_await_lines(nodes[1], ERR, "configuration reloaded", 2);
    assert_answer(client_post(clients[0], "/queues/guest/purge"), 200, "purged 1\n");
    client_await_state(clients[1], fresh, "cancelled");
}

/* What moves out of a queue that one does not know comes to a queue that it knows. */
static void what_moves_comes_from_the_unknown(void **state)
{
    (void)state;
    const char *file = temporary_file("guest.json", ""), *others = temporary_file("all.json", "");
    configure(file, false);
    configure(others, true);
    start_cluster((const char *const[]){"-c", file, NULL},
                  (const char *const[]){"-c", others, NULL});
    uint64_t id = client_put(clients[1], "/do/guest");
    assert_answer(client_post(clients[2], "/queues/guest/move?to=default"), 200,
                  "moved 1, 0 left\n");
    client_await_state(clients[0], id, "queued");
    free(take(clients[0], "/take"));
    client_await_state(clients[1], id, "running");
}

int main(void)
{
#define CLUSTER_TEST(f) cmocka_unit_test_teardown(f, stop_cluster)
    const struct CMUnitTest tests[] = {
        CLUSTER_TEST(a_queue_may_be_unknown_to_one),
        CLUSTER_TEST(a_queue_may_be_declared_by_none),
        CLUSTER_TEST(what_moves_comes_from_the_unknown),
    };
    if (!postgres_is_there())
        return 0;
    return cmocka_run_group_tests_name("queues that not all servers know", tests, NULL, NULL);
}
