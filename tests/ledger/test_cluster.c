/* SPDX-License-Identifier: MIT */
/* Three servers with the same queues, seen from outside. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ledger/cluster_scene.h"
#include "support/service.h"

enum { ASKERS_MAX = 60 };

#define JSON FIELDS("Accept: application/json")

/* ---- many who ask at once */

struct asker {
    pthread_t thread;
    struct client *client;
    const char *method, *path, *body;
    const char *const *fields;
    long status;
    uint64_t job;
    char location[256];
};

static struct asker askers[ASKERS_MAX];

static void *ask(void *context)
{
    struct asker *asker = context;
    const struct answer *answer =
        client_send(asker->client, asker->method, asker->path, asker->fields, asker->body);
    asker->status = answer->status;
    asker->job = answer_job(answer);
    answer_field(answer, "Location", asker->location);
    return NULL;
}

/* They are spread over the nodes. */
static void begin_asking(unsigned len, const struct asker *like)
{
    for (unsigned i = 0; i < len; i++) {
        askers[i] = *like;
        askers[i].client = client_new(nodes[i % NODES]);
    }
    for (unsigned i = 0; i < len; i++)
        assert_int_equal(pthread_create(&askers[i].thread, NULL, ask, &askers[i]), 0);
}

static void end_asking(unsigned len)
{
    for (unsigned i = 0; i < len; i++) {
        assert_int_equal(pthread_join(askers[i].thread, NULL), 0);
        client_free(askers[i].client);
    }
}

static unsigned count_status(unsigned len, long status)
{
    unsigned count = 0;
    for (unsigned i = 0; i < len; i++)
        count += askers[i].status == status;
    return count;
}

/* ---- tests */

static void the_bound_is_that_of_all(void **state)
{
    (void)state;
    CLUSTER("-q", "8", "-w", "0");
    begin_asking(60, &(struct asker){.method = "POST", .path = "/do", .body = "x"});
    end_asking(60);
    assert_int_equal(count_status(60, 202), 8);
    assert_int_equal(count_status(60, 429), 52);
    for (unsigned i = 0; i < NODES; i++)
        assert_true(json_number(client_json(clients[i], "/queues/default"), "queued") == 8);
}

static void batches_are_let_in_whole(void **state)
{
    (void)state;
    CLUSTER("-q", "50", "-w", "0");
    begin_asking(18, &(struct asker){.method = "POST",
                                     .path = "/do?batch=lines",
                                     .body = "1\n2\n3\n4\n5\n6\n7\n"});
    end_asking(18);
    assert_int_equal(count_status(18, 202), 7);
    assert_true(json_number(client_json(clients[1], "/queues/default"), "queued") == 49);
}

static void a_key_is_one_job_everywhere(void **state)
{
    (void)state;
    CLUSTER("-q", "100", "-w", "0");
    for (unsigned i = 0; i < 12; i++) {
        char key[64];
        snprintf(key, sizeof key, "Idempotency-Key: %u", i);
        begin_asking(6, &(struct asker){
                            .method = "POST", .path = "/do", .body = "x", .fields = FIELDS(key)});
        end_asking(6);
        assert_int_equal(count_status(6, 202), 6);
        for (unsigned j = 1; j < 6; j++)
            assert_int_equal(askers[j].job, askers[0].job);
        assert_answer(client_send(clients[i % NODES], "POST", "/do", FIELDS(key), "y"), 422, NULL);
    }
    assert_true(json_number(client_json(clients[2], "/queues/default"), "queued") == 12);
}

/* The lease's path, for the caller to free. */
static char *take(struct client *client, const char *path)
{
    char room[256];
    const struct answer *answer = client_post(client, path);
    assert_answer(answer, 200, NULL);
    return strdup(answer_field(answer, "Location", room));
}

static long say(struct client *client, const char *lease, const char *what)
{
    char path[256];
    snprintf(path, sizeof path, "%s%s", lease, what);
    return client_send(client, "POST", path, NULL, "out")->status;
}

static void leases_are_fenced_everywhere(void **state)
{
    (void)state;
    CLUSTER("-w", "0");
    (void)client_put(clients[0], "/do?attempts=3");
    char *old = take(clients[1], "/take?lease=1s");
    char *now = take(clients[0], "/take?wait=20s&lease=30s"); /* once that has run out */
    assert_int_equal(say(clients[0], old, "/done"), 409);
    assert_int_equal(say(clients[1], old, "/extend"), 409);
    assert_int_equal(say(clients[2], now, "/extend?lease=60s"), 200);
    assert_int_equal(say(clients[1], now, "/done"), 200);
    assert_int_equal(say(clients[2], now, "/done"), 200); /* repeated */
    assert_int_equal(say(clients[0], now, "/fail"), 409);
    free(old);
    free(now);
}

static void a_late_report_counts_at_another_node(void **state)
{
    (void)state;
    CLUSTER("-w", "0");
    uint64_t id = client_put(clients[0], "/do?attempts=2");
    assert_answer(client_post(clients[2], "/queues/default/pause"), 200, NULL);
    assert_answer(client_post(clients[2], "/queues/default/resume"), 200, NULL);
    char *lease = take(clients[0], "/take?lease=1s");
    assert_answer(client_post(clients[1], "/queues/default/pause"), 200, NULL);
    client_await_state(clients[2], id, "scheduled");
    assert_int_equal(say(clients[2], lease, "/done"), 200);
    client_await_state(clients[1], id, "done");
    free(lease);
}

static void a_late_report_does_not_count_after_another_has_had_it(void **state)
{
    (void)state;
    CLUSTER("-w", "0", "--backoff", "1ms..10ms");
    uint64_t id = client_put(clients[0], "/do?attempts=3");
    char *late = take(clients[0], "/take?lease=1s");
    client_await_state(clients[2], id, "queued");
    char *other = take(clients[1], "/take?lease=60s");
    assert_int_equal(say(clients[1], other, "/release"), 200);
    client_await_state(clients[2], id, "queued");
    assert_int_equal(say(clients[2], late, "/done"), 409);
    free(late);
    free(other);
}

static void room_made_elsewhere_lets_in(void **state)
{
    (void)state;
    CLUSTER("-q", "1", "-w", "0");
    (void)client_put(clients[0], "/do");
    begin_asking(1, &(struct asker){.method = "POST", .path = "/do?block=20s", .body = "x"});
    client_await_metric(clients[0], "jobd_requests_parked", 1);
    free(take(clients[2], "/take"));
    end_asking(1);
    assert_int_equal(askers[0].status, 202);
}

static void parked_takers_get_one_job_each(void **state)
{
    enum { TAKERS = 30, JOBS = 20 };
    (void)state;
    CLUSTER("-q", "100", "-w", "0");
    begin_asking(TAKERS, &(struct asker){.method = "POST", .path = "/take?wait=4s"});
    for (unsigned i = 0; i < NODES; i++)
        client_await_metric(clients[i], "jobd_requests_parked", TAKERS / NODES);
    for (unsigned i = 0; i < JOBS; i++)
        (void)client_put(clients[i % NODES], "/do");
    end_asking(TAKERS);
    assert_int_equal(count_status(TAKERS, 200), JOBS);
    assert_int_equal(count_status(TAKERS, 204), TAKERS - JOBS);
    for (unsigned i = 0; i < TAKERS; i++)
        for (unsigned j = 0; j < i && askers[i].status == 200; j++)
            assert_string_not_equal(askers[i].location, askers[j].location);
    assert_true(json_number(client_json(clients[1], "/queues/default"), "running") == JOBS);
}

static void a_command_is_stopped_from_another_node(void **state)
{
    char path[64];
    (void)state;
    start_cluster((const char *const[]){"-w", "1", "--", "sleep", "60", NULL},
                  (const char *const[]){"-w", "0", NULL});
    uint64_t id = client_put(clients[1], "/do");
    client_await_state(clients[2], id, "running");
    snprintf(path, sizeof path, "/jobs/%llu", (unsigned long long)id);
    assert_answer(client_send(clients[1], "DELETE", path, NULL, NULL), 202, "stopping\n");
    client_await_state(clients[2], id, "cancelled");
}

static void the_end_elsewhere_is_the_answer(void **state)
{
    (void)state;
    start_cluster((const char *const[]){"-w", "1", "--", "cat", NULL},
                  (const char *const[]){"-w", "0", NULL});
    for (unsigned i = 0; i < 5; i++)
        assert_answer(client_send(clients[1], "POST", "/do", FIELDS("Prefer: wait=20"), "hello"),
                      200, "hello");
}

static void what_was_said_is_seen_everywhere(void **state)
{
    char path[64];
    (void)state;
    CLUSTER("-q", "1000", "-w", "0");
    for (unsigned i = 0; i < 90; i++) {
        uint64_t id = client_put(clients[i % NODES], "/do");
        snprintf(path, sizeof path, "/jobs/%llu", (unsigned long long)id);
        assert_answer(client_get(clients[(i + 1) % NODES], path), 200, NULL);
    }
}

static void queues_are_alike_everywhere(void **state)
{
    (void)state;
    CLUSTER("-q", "1000", "-w", "0");
    for (unsigned i = 0; i < 30; i++)
        (void)client_put(clients[i % NODES], "/do");
    free(take(clients[0], "/take"));
    char *done = take(clients[1], "/take");
    assert_int_equal(say(clients[2], done, "/done"), 200);
    free(done);
    assert_answer(client_post(clients[1], "/queues/default/pause"), 200, NULL);
    assert_answer(client_post(clients[2], "/take"), 204, NULL);
    char *first = strdup(client_get(clients[0], "/queues")->body);
    for (unsigned i = 1; i < NODES; i++) {
        const cJSON *queue = client_json(clients[i], "/queues/default");
        assert_true(json_number(queue, "queued") == 28 && json_number(queue, "running") == 1);
        assert_true(json_number(queue, "done") == 1);
        assert_true(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(queue, "paused")));
    }
    free(first);
    for (unsigned i = 0; i < NODES; i++) {
        assert_true(client_metric(clients[i], "jobd_jobs_admitted_total{queue=\"default\"}") == 30);
        assert_true(client_metric(clients[i], "jobd_job_wait_seconds_count{queue=\"default\"}") ==
                    2);
    }
    assert_answer(client_post(clients[2], "/queues/default/purge"), 200, "purged 28\n");
    for (unsigned i = 0; i < NODES; i++)
        assert_true(json_number(client_json(clients[i], "/queues/default"), "queued") == 0);
}

static void assert_batch(const cJSON *batch, const char *state, unsigned done, unsigned cancelled)
{
    assert_string_equal(json_string(batch, "state"), state);
    assert_int_equal(json_number(batch, "done"), done);
    assert_int_equal(json_number(batch, "cancelled"), cancelled);
}

/* Its end is awaited where its jobs neither came in nor end; and it outlives them. */
static void a_batch_is_one_everywhere(void **state)
{
    char path[200], wait[256], other[64], location[256];
    (void)state;
    CLUSTER("-q", "100", "-w", "0", "--keep", "2");
    const struct answer *answer =
        client_send(clients[0], "POST", "/do?batch=lines", NULL, "1\n2\n3\n4\n");
    assert_int_equal(answer->status, 202);
    snprintf(path, sizeof path, "%s", answer_field(answer, "Location", location));
    uint64_t id = strtoull(strrchr(path, '/') + 1, NULL, 10);
    assert_batch(client_json(clients[1], path), "queued", 0, 0);
    assert_int_equal(json_number(client_job(clients[2], id + 3), "batch"), id);
    snprintf(wait, sizeof wait, "%s?wait=20s", path);
    begin_asking(3, &(struct asker){.method = "GET", .path = wait, .fields = JSON});
    for (unsigned i = 0; i < NODES; i++)
        client_await_metric(clients[i], "jobd_requests_parked", 1);
    for (unsigned i = 0; i < 3; i++) {
        char *lease = take(clients[(i + 1) % NODES], "/take");
        assert_int_equal(say(clients[(i + 2) % NODES], lease, "/done"), 200);
        free(lease);
    }
    assert_batch(client_json(clients[0], path), "running", 3, 0);
    snprintf(other, sizeof other, "/jobs?state=queued&batch=%llu", (unsigned long long)id);
    const cJSON *list = client_json(clients[2], other);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(list, "jobs")), 1);
    assert_answer(client_send(clients[1], "DELETE", path, NULL, NULL), 200, "cancelled 1\n");
    end_asking(3);
    assert_int_equal(count_status(3, 200), 3);
    for (unsigned i = 0; i < NODES; i++) /* one of its jobs is forgotten */
        assert_batch(client_json(clients[i], path), "cancelled", 3, 1);
    snprintf(other, sizeof other, "/jobs/%llu", (unsigned long long)id);
    assert_int_equal(client_get(clients[2], other)->status, 404);
    struct client *client = client_new(NODE("-q", "100", "-w", "0", "--keep", "2"));
    assert_batch(client_json(client, path), "cancelled", 3, 1);
    client_free(client);
}

/* A job waits for a batch that came in elsewhere; who starts meanwhile knows that too. How one ends
 * is said at any of them, and decides everywhere. */
static void a_job_waits_for_others_everywhere(void **state)
{
    char path[64], location[256];
    (void)state;
    CLUSTER("-q", "100", "-w", "0");
    const struct answer *answer =
        client_send(clients[0], "POST", "/do?batch=lines", NULL, "1\n2\n");
    assert_int_equal(answer->status, 202);
    uint64_t batch =
        strtoull(strrchr(answer_field(answer, "Location", location), '/') + 1, NULL, 10);
    snprintf(path, sizeof path, "/do?after=/batches/%llu", (unsigned long long)batch);
    uint64_t next = client_put(clients[1], path);
    snprintf(path, sizeof path, "/do?after=/jobs/%llu", (unsigned long long)next);
    uint64_t last = client_put(clients[2], path);
    for (unsigned i = 0; i < NODES; i++)
        assert_string_equal(json_string(client_job(clients[i], last), "state"), "blocked");
    client_free(clients[0]);
    clients[0] = client_new(NODE("-q", "100", "-w", "0"));
    for (unsigned i = 0; i < 2; i++) {
        char *lease = take(clients[i], "/take");
        assert_string_equal(json_string(client_job(clients[0], next), "state"), "blocked");
        assert_int_equal(say(clients[i + 1], lease, "/done"), 200);
        free(lease);
    }
    char *lease = take(clients[2], "/take?wait=20s"); /* the next one, and it fails */
    assert_string_equal(json_string(client_job(clients[0], next), "state"), "running");
    assert_int_equal(say(clients[1], lease, "/fail"), 200);
    free(lease);
    client_await_state(clients[0], last, "cancelled");
    for (unsigned i = 0; i < NODES; i++)
        assert_non_null(strstr(json_string(client_job(clients[i], last), "error"),
                               "a job it waits for failed"));
}

/* The only delivery there is, as a node knows it; 0: it knows none. */
static uint64_t delivery_at(struct client *client)
{
    const cJSON *jobs = cJSON_GetObjectItem(client_json(client, "/jobs?queue=callbacks"), "jobs");
    assert_true(cJSON_GetArraySize(jobs) <= 1);
    return jobs->child != NULL ? (uint64_t)json_number(jobs->child, "id") : 0;
}

/* It ends where there are no callbacks, is to be told also when nobody is there who does, and is
 * told once, by the one that does. */
static void an_end_is_told_by_whoever_delivers(void **state)
{
    char url_of[SERVICE_URL_SIZE], path[2 * SERVICE_URL_SIZE], hidden[64];
    struct service *service = service_start();
    (void)state;
    snprintf(url_of, sizeof url_of, "%s", service_url(service));
    *strstr(url_of, "/do/") = '\0';
    start_cluster((const char *const[]){"-w", "0", "--callback-allow", url_of, NULL},
                  (const char *const[]){"-w", "0", NULL});
    snprintf(path, sizeof path, "/do?callback=%s/end", url_of);
    assert_int_equal(client_post(clients[1], path)->status, 400);
    assert_int_equal(client_get(clients[1], "/queues/callbacks")->status, 404);
    uint64_t id = client_put(clients[0], path);
    assert_int_equal(client_get(clients[1], "/queues/callbacks")->status, 200);
    server_signal(nodes[0], SIGTERM);
    assert_int_equal(server_wait(nodes[0]), 0);
    char *lease = take(clients[1], "/take");
    assert_int_equal(say(clients[2], lease, "/done"), 200);
    free(lease);
    snprintf(hidden, sizeof hidden, "/jobs/%llu", (unsigned long long)id);
    assert_int_equal(client_send(clients[2], "DELETE", hidden, NULL, NULL)->status, 409);
    uint64_t delivery = delivery_at(clients[1]);
    assert_true(delivery != 0 && delivery == delivery_at(clients[2]));
    assert_string_equal(json_string(client_job(clients[2], delivery), "state"), "queued");
    client_free(clients[0]);
    clients[0] = client_new(NODE("-w", "0", "--callback-allow", url_of));
    service_await(service, SERVICE_REQUESTS, 1);
    client_await_state(clients[2], delivery, "done");
    assert_string_equal(json_string(client_job(clients[1], delivery), "delivers"), hidden);
    assert_int_equal(service_count(service, SERVICE_REQUESTS), 1);
    assert_int_equal(client_get(clients[1], "/queues/callbacks")->status, 404);
    service_stop(service);
}

/* The key of the job that comes next, of a node's jobs as it thinks. */
static char next_key(struct client *client)
{
    char room[256];
    const struct answer *answer = client_post(client, "/take");
    assert_answer(answer, 200, NULL);
    uint64_t id = strtoull(answer_field(answer, "Jobd-Id", room), NULL, 10);
    return json_string(client_job(client, id), "key")[0];
}

/* Three keys with as many jobs, of which one has put its own first: one job each, whoever gives it
 * out, also one that has begun in between. */
static void keys_take_turns_over_all(void **state)
{
    enum { KEYS = 3, JOBS = 8 };
    (void)state;
    const char *file = temporary_file(
        "keys.json",
        "{\"queues\": {\"default\": {\"workers\": 0, \"capacity\": 100, \"per_key\": {}}}}");
    CLUSTER("-c", file);
    for (unsigned key = 0; key < KEYS; key++)
        for (unsigned i = 0; i < JOBS; i++) {
            char path[32];
            snprintf(path, sizeof path, "/do?key=%c", 'a' + key);
            (void)client_put(clients[i % NODES], path);
        }
    for (unsigned round = 0; round < JOBS; round++) {
        unsigned seen = 0;
        for (unsigned i = 0; i < KEYS; i++)
            seen |= 1U << (next_key(clients[(round + i) % NODES]) - 'a');
        assert_int_equal(seen, 7);
        if (round != JOBS / 2)
            continue;
        client_free(clients[0]);
        clients[0] = client_new(NODE("-c", file));
    }
}

/* ---- a server that goes */

/* It had no time to say anything. */
static void jobs_of_one_that_was_killed_run_elsewhere(void **state)
{
    (void)state;
    start_cluster((const char *const[]){"-w", "1", "--attempts", "2", "--", "sleep", "60", NULL},
                  (const char *const[]){"-w", "0", NULL});
    uint64_t id = client_put(clients[1], "/do?attempts=2");
    client_await_state(clients[2], id, "running");
    server_kill(nodes[0]);
    client_await_state(clients[2], id, "queued");
    assert_true(json_number(client_job(clients[1], id), "attempt") == 1);
    assert_string_equal(json_string(client_job(clients[1], id), "error"),
                        "the server ended while it ran");
}

/* What it runs goes on there. */
static void one_that_ends_gives_its_jobs_back(void **state)
{
    (void)state;
    start_cluster((const char *const[]){"-w", "1", "--", "sleep", "60", NULL},
                  (const char *const[]){"-w", "0", NULL});
    uint64_t id = client_put(clients[1], "/do");
    client_await_state(clients[2], id, "running");
    server_signal(nodes[0], SIGTERM);
    assert_int_equal(server_wait(nodes[0]), 0);
    client_await_state(clients[2], id, "queued");
    assert_true(json_number(client_job(clients[1], id), "attempt") == 0);
}

static void one_that_starts_knows_all(void **state)
{
    (void)state;
    CLUSTER("-q", "1000", "-w", "0");
    for (unsigned i = 0; i < 20; i++)
        (void)client_put(clients[i % NODES], i % 2 == 0 ? "/do" : "/do?delay=1h");
    server_signal(nodes[0], SIGTERM);
    assert_int_equal(server_wait(nodes[0]), 0);
    struct server *again = NODE("-q", "1000", "-w", "0");
    struct client *client = client_new(again);
    const cJSON *queue = client_json(client, "/queues/default");
    assert_true(json_number(queue, "queued") == 10 && json_number(queue, "scheduled") == 10);
    free(take(client, "/take"));
    assert_true(json_number(client_json(clients[1], "/queues/default"), "running") == 1);
    client_free(client);
}

int main(void)
{
#define CLUSTER_TEST(f) cmocka_unit_test_teardown(f, stop_cluster)
    const struct CMUnitTest tests[] = {
        CLUSTER_TEST(the_bound_is_that_of_all),
        CLUSTER_TEST(batches_are_let_in_whole),
        CLUSTER_TEST(a_key_is_one_job_everywhere),
        CLUSTER_TEST(leases_are_fenced_everywhere),
        CLUSTER_TEST(a_late_report_counts_at_another_node),
        CLUSTER_TEST(a_late_report_does_not_count_after_another_has_had_it),
        CLUSTER_TEST(room_made_elsewhere_lets_in),
        CLUSTER_TEST(parked_takers_get_one_job_each),
        CLUSTER_TEST(a_command_is_stopped_from_another_node),
        CLUSTER_TEST(the_end_elsewhere_is_the_answer),
        CLUSTER_TEST(what_was_said_is_seen_everywhere),
        CLUSTER_TEST(queues_are_alike_everywhere),
        CLUSTER_TEST(a_batch_is_one_everywhere),
        CLUSTER_TEST(a_job_waits_for_others_everywhere),
        CLUSTER_TEST(an_end_is_told_by_whoever_delivers),
        CLUSTER_TEST(keys_take_turns_over_all),
        CLUSTER_TEST(jobs_of_one_that_was_killed_run_elsewhere),
        CLUSTER_TEST(one_that_ends_gives_its_jobs_back),
        CLUSTER_TEST(one_that_starts_knows_all),
    };
    if (!postgres_is_there())
        return 0;
    return cmocka_run_group_tests_name("several servers, one database", tests, NULL, NULL);
}
