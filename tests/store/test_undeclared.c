/* SPDX-License-Identifier: MIT */
/* Queues that have jobs on disk and are declared no more: they can be seen, and emptied. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/server.h"

#define QUEUE(name, queue) name "{queue=\"" queue "\"}"

static char folder[160];
static unsigned folders;
static struct server *server;
static struct client *client;

static void begin(const char *queues)
{
    char text[400];
    snprintf(text, sizeof text, "{\"data\": \"%s\", \"workers\": 0, \"queues\": {%s}}", folder,
             queues);
    const char *const arguments[] = {"-l", "127.0.0.1:0", "-c", temporary_file("jobd.json", text),
                                     NULL};
    server = server_spawn(&(struct server_plan){.arguments = arguments});
    server_await_listening(server);
    client = client_new(server);
}

static void end(void)
{
    client_free(client);
    server_kill(server);
}

static void begin_anew(const char *queues)
{
    end();
    begin(queues);
}

static void fresh(const char *queues)
{
    snprintf(folder, sizeof folder, "%s/undeclared-%u", temporary_directory(), ++folders);
    begin(queues);
}

static const char *path_of(uint64_t id, const char *more)
{
    static char path[64];
    snprintf(path, sizeof path, "/jobs/%llu%s", (unsigned long long)id, more);
    return path;
}

static const char *of_job(uint64_t id, const char *name)
{
    return json_string(client_job(client, id), name);
}

static int64_t of_queue(const char *queue, const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "/queues/%s", queue);
    return (int64_t)json_number(client_json(client, path), name);
}

static bool is_declared(const char *queue)
{
    char path[64];
    snprintf(path, sizeof path, "/queues/%s", queue);
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(client_json(client, path), "declared"));
}

#define OLD_AND_NEW "\"old\": {\"capacity\": 50}, \"new\": {\"capacity\": 4}"
#define NEW         "\"new\": {\"capacity\": 4}"

static void it_can_be_seen(void **state)
{
    (void)state;
    fresh(OLD_AND_NEW);
    assert_true(is_declared("old"));
    uint64_t failed = client_put(client, "/do/old");
    const struct answer *answer = client_post(client, "/take/old");
    char room[256], path[300];
    snprintf(path, sizeof path, "%s/fail", answer_field(answer, "Location", room));
    assert_int_equal(client_post(client, path)->status, 200);
    uint64_t waits = client_put(client, "/do/old"), later = client_put(client, "/do/old?delay=1h");
    begin_anew(NEW);
    char line[SERVER_LINE_SIZE];
    server_await_line(server, ERR, "3 jobs belong to queue old, which is not declared", line);
    assert_non_null(strstr(line, "POST /queues/OLD/move?to=NEW"));
    assert_false(is_declared("old"));
    assert_true(is_declared("new"));
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(
                         client_json(client, "/queues"), "queues")),
                     2);
    assert_int_equal(of_queue("old", "queued"), 1);
    assert_int_equal(of_queue("old", "scheduled"), 1);
    assert_int_equal(of_queue("old", "workers"), 0);
    assert_int_equal(of_queue("old", "capacity"), 0);
    assert_int_equal(client_metric(client, QUEUE("jobd_queue_queued", "old")), 1);
    assert_answer(client_get(client, "/readyz"), 200, NULL);
    /* nothing comes in, and nothing out */
    assert_answer(client_post(client, "/do/old"), 404, "no such queue\n");
    assert_answer(client_post(client, "/take/old"), 404, "no such queue\n");
    answer = client_post(client, path_of(failed, "/retry"));
    assert_answer(answer, 409, NULL);
    assert_non_null(strstr(answer->body, "the job's queue is not declared"));
    /* but its jobs are jobs */
    assert_string_equal(of_job(failed, "state"), "failed");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(
                         client_json(client, "/jobs?queue=old"), "jobs")),
                     3);
    assert_int_equal(client_get(client, path_of(waits, "/payload"))->status, 200);
    assert_answer(client_send(client, "DELETE", path_of(waits, ""), NULL, NULL), 200, NULL);
    assert_answer(client_post(client, "/queues/old/purge"), 200, "purged 1\n");
    assert_string_equal(of_job(later, "state"), "cancelled");
    begin_anew(NEW);
    assert_string_equal(of_job(waits, "state"), "cancelled");
    assert_int_equal(of_queue("old", "queued"), 0);
    begin_anew(OLD_AND_NEW); /* it is back */
    assert_true(is_declared("old"));
    assert_int_equal(client_post(client, path_of(failed, "/retry"))->status, 202);
    end();
}

/* Each as it was, and as many as have room. */
static void what_waits_moves(void **state)
{
    char room[256], path[300];
    (void)state;
    fresh(OLD_AND_NEW);
    uint64_t held = client_put(client, "/do/old");
    const struct answer *answer = client_post(client, "/take/old?lease=1h");
    snprintf(path, sizeof path, "%s/done", answer_field(answer, "Location", room));
    uint64_t later = client_put(client, "/do/old?delay=1h&attempts=3");
    answer = client_send(client, "POST", "/do/old?priority=1",
                         FIELDS("Content-Type: image/png", "Idempotency-Key: k"), "bytes");
    uint64_t first = answer_job(answer), others[4];
    for (unsigned i = 0; i < 4; i++)
        others[i] = client_put(client, "/do/old");
    begin_anew(NEW);
    client_put(client, "/do/new");
    assert_answer(client_post(client, "/queues/old/move?to=new"), 200, "moved 3, 3 left\n");
    assert_answer(client_post(client, "/queues/old/move?to=new"), 200, "moved 0, 3 left\n");
    assert_int_equal(client_post(client, "/do/new")->status, 429);
    begin_anew(NEW);
    assert_string_equal(of_job(first, "queue"), "new");
    assert_string_equal(of_job(others[1], "queue"), "new");
    assert_string_equal(of_job(others[2], "queue"), "old");
    answer = client_post(client, "/take/new");
    assert_answer(answer, 200, "bytes"); /* its priority came with it */
    assert_field(answer, "Content-Type", "image/png");
    assert_field(answer, "Jobd-Queue", "new");
    answer = client_send(client, "POST", "/do/new",
                         FIELDS("Content-Type: image/png", "Idempotency-Key: k"), "bytes");
    assert_true(answer_job(answer) == first); /* and its key */
    assert_answer(client_post(client, "/queues/new/purge"), 200, "purged 3\n");
    answer = client_send(client, "POST", "/queues/old/move?to=new",
                         FIELDS("Accept: application/json"), "");
    assert_answer(answer, 200, "{\"moved\":3,\"left\":0}\n");
    for (unsigned restarts = 0; restarts < 2; restarts++) {
        assert_string_equal(of_job(later, "state"), "scheduled");
        assert_string_equal(of_job(later, "queue"), "new");
        assert_int_equal(json_number(client_job(client, later), "attempts"), 3);
        assert_int_equal(of_queue("new", "scheduled"), 1);
        assert_string_equal(of_job(held, "state"), "running");
        begin_anew(NEW);
    }
    assert_int_equal(client_post(client, path)->status, 200); /* a lease goes on in the old one */
    assert_string_equal(of_job(held, "state"), "done");
    begin_anew(OLD_AND_NEW); /* and all of it between queues that are declared */
    assert_answer(client_post(client, "/queues/new/move?to=old"), 200, "moved 3, 0 left\n");
    assert_string_equal(of_job(later, "queue"), "old");
    end();
}

/* A job whose key is known in the other queue is another job, and runs too: the newer one has the
 * key. */
static void a_key_that_is_known_there(void **state)
{
    (void)state;
    fresh(OLD_AND_NEW);
    const char *const key[] = {"Idempotency-Key: k", NULL};
    assert_answer(client_send(client, "POST", "/do/new", key, "a"), 202, NULL);
    uint64_t here = answer_job(client_send(client, "POST", "/do/old", key, "a"));
    assert_answer(client_post(client, "/queues/old/move?to=new"), 200, "moved 1, 0 left\n");
    for (unsigned restarts = 0; restarts < 2; restarts++) {
        assert_true(answer_job(client_send(client, "POST", "/do/new", key, "a")) == here);
        assert_string_equal(of_job(here, "queue"), "new");
        assert_int_equal(of_queue("new", "queued"), 2);
        begin_anew(OLD_AND_NEW);
    }
    end();
}

static void what_cannot_be_moved(void **state)
{
    static const char *const paths[] = {"/queues/old/move", "/queues/old/move?to=none",
                                        "/queues/new/move?to=new", "/queues/new/move?to=old"};
    (void)state;
    fresh(OLD_AND_NEW);
    client_put(client, "/do/old");
    begin_anew(NEW);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        assert_answer(client_post(client, paths[i]), 400,
                      "invalid to: expected the name of another queue, which is declared\n");
    assert_answer(client_post(client, "/queues/none/move?to=new"), 404, "no such queue\n");
    assert_int_equal(client_get(client, "/queues/old/move?to=new")->status, 405);
    end();
}

static void very_many_move(void **state)
{
    enum { JOBS = 3000 };
    char *lines = malloc(2 * JOBS + 1);
    (void)state;
    for (unsigned i = 0; i < JOBS; i++)
        memcpy(lines + (size_t)2 * i, "x\n", 3);
    fresh("\"old\": {\"capacity\": 3000}, \"new\": {\"capacity\": 2500}");
    assert_int_equal(client_send(client, "POST", "/do/old?batch=lines", NULL, lines)->status, 202);
    free(lines);
    begin_anew("\"new\": {\"capacity\": 2500}");
    assert_answer(client_post(client, "/queues/old/move?to=new"), 200, "moved 2500, 500 left\n");
    begin_anew("\"new\": {\"capacity\": 2500}");
    assert_int_equal(of_queue("new", "queued"), 2500);
    assert_int_equal(of_queue("old", "queued"), 500);
    end();
}

#define TEST(test) cmocka_unit_test_teardown(test, server_stop_all)

/* What somebody has stopped does not go on by itself, as the file was another one meanwhile. */
static void test_a_pause_waits_for_its_queue(void **state)
{
    (void)state;
    fresh("\"default\": {}, \"mail\": {}");
    assert_answer(client_post(client, "/queues/mail/pause"), 200, "paused\n");
    begin_anew("\"default\": {}");
    assert_int_equal(client_get(client, "/queues/mail")->status, 404);
    begin_anew("\"default\": {}, \"mail\": {}");
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(client_json(client, "/queues/mail"), "paused")));
    assert_answer(client_post(client, "/queues/mail/resume"), 200, "resumed\n");
    begin_anew("\"default\": {}, \"mail\": {}");
    assert_false(cJSON_IsTrue(cJSON_GetObjectItem(client_json(client, "/queues/mail"), "paused")));
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_pause_waits_for_its_queue),
        TEST(it_can_be_seen),
        TEST(what_waits_moves),
        TEST(a_key_that_is_known_there),
        TEST(what_cannot_be_moved),
        TEST(very_many_move),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
