/* SPDX-License-Identifier: MIT */
/* Requests that change the same job at the same time, while each is being saved: they are carried
 * out one after the other. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/server.h"

enum { TOGETHER = 6, ROUNDS = 20, PATH = 384 };

/* ---- several at once */

struct one {
    pthread_t thread;
    struct client *client;
    pthread_barrier_t *start;
    const char *method;
    char path[PATH];
    long status;
    char body[64];
};

struct crowd {
    struct one each[TOGETHER];
    unsigned len;
};

static struct client *clients[TOGETHER];
static const char *const key[] = {"Idempotency-Key: k", NULL}; /* of what is put */

static void *send(void *context)
{
    struct one *one = context;
    pthread_barrier_wait(one->start);
    bool puts = strncmp(one->path, "/do", 3) == 0;
    const struct answer *answer =
        client_send(one->client, one->method, one->path, puts ? key : NULL, NULL);
    one->status = answer->status;
    snprintf(one->body, sizeof one->body, "%s", answer->body);
    return NULL;
}

static void add(struct crowd *crowd, const char *method, const char *path)
{
    struct one *one = &crowd->each[crowd->len];
    one->client = clients[crowd->len++];
    one->method = method;
    snprintf(one->path, sizeof one->path, "%s", path);
}

static void send_all(struct crowd *crowd)
{
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, crowd->len);
    for (unsigned i = 0; i < crowd->len; i++) {
        crowd->each[i].start = &start;
        assert_int_equal(pthread_create(&crowd->each[i].thread, NULL, send, &crowd->each[i]), 0);
    }
    for (unsigned i = 0; i < crowd->len; i++)
        pthread_join(crowd->each[i].thread, NULL);
    pthread_barrier_destroy(&start);
}

static unsigned answered(const struct crowd *crowd, long status)
{
    unsigned found = 0;
    for (unsigned i = 0; i < crowd->len; i++)
        found += crowd->each[i].status == status;
    return found;
}

static struct client *begin(void)
{
    struct server *server = server_start("-w", "0", "--attempts", "5", "-q", "100");
    for (unsigned i = 0; i < TOGETHER; i++)
        clients[i] = client_new(server);
    return client_new(server);
}

static void end(struct client *client)
{
    for (unsigned i = 0; i < TOGETHER; i++)
        client_free(clients[i]);
    client_free(client);
}

static const char *state_of(struct client *client, uint64_t id)
{
    return json_string(client_job(client, id), "state");
}

/* ---- */

static void all_changes_are_made(void **state)
{
    struct client *client = begin();
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        struct crowd crowd = {.len = 0};
        uint64_t id = client_put(client, "/do?delay=1h");
        char path[PATH];
        for (int i = 0; i < TOGETHER; i++) {
            snprintf(path, sizeof path, "/jobs/%llu?delay=%dh", (unsigned long long)id, i + 2);
            add(&crowd, "PATCH", path);
        }
        send_all(&crowd);
        assert_int_equal(answered(&crowd, 200), TOGETHER);
    }
    end(client);
}

/* Whichever comes first, the job is cancelled. */
static void a_cancel_is_not_lost(void **state)
{
    static const char *const ends[] = {"/fail?delay=1h", "/release?delay=1h"};
    struct client *client = begin();
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        struct crowd crowd = {.len = 0};
        char lease[256], path[PATH];
        uint64_t id = client_put(client, "/do");
        answer_field(client_post(client, "/take"), "Location", lease);
        snprintf(path, sizeof path, "%s%s", lease, ends[round % 2]);
        add(&crowd, "POST", path);
        snprintf(path, sizeof path, "/jobs/%llu", (unsigned long long)id);
        add(&crowd, "DELETE", round % 4 < 2 ? path : "/jobs?queue=default&running=true");
        send_all(&crowd);
        assert_true(crowd.each[1].status == 200 || crowd.each[1].status == 202);
        assert_string_equal(state_of(client, id), "cancelled");
    }
    end(client);
}

static void a_change_is_in_nobodys_way(void **state)
{
    struct client *client = begin();
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        struct crowd crowd = {.len = 0};
        char path[PATH];
        uint64_t id = client_put(client, "/do?delay=1h");
        snprintf(path, sizeof path, "/jobs/%llu?priority=1", (unsigned long long)id);
        add(&crowd, "PATCH", path);
        snprintf(path, sizeof path, "/jobs/%llu", (unsigned long long)id);
        if (round % 2 == 0)
            add(&crowd, "DELETE", path);
        else
            add(&crowd, "POST", "/queues/default/purge");
        send_all(&crowd);
        assert_int_equal(crowd.each[1].status, 200);
        assert_string_equal(crowd.each[1].body, round % 2 == 0 ? "cancelled\n" : "purged 1\n");
        assert_string_equal(state_of(client, id), "cancelled");
    }
    end(client);
}

static void one_forgets_and_one_retries(void **state)
{
    struct client *client = begin();
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        struct crowd forgets = {.len = 0}, retries = {.len = 0};
        char path[64], again[96];
        uint64_t id = client_put(client, "/do?delay=1h");
        snprintf(path, sizeof path, "/jobs/%llu", (unsigned long long)id);
        snprintf(again, sizeof again, "%s/retry", path);
        assert_answer(client_send(client, "DELETE", path, NULL, NULL), 200, "cancelled\n");
        for (int i = 0; i < TOGETHER; i++)
            add(&retries, "POST", again);
        send_all(&retries);
        assert_int_equal(answered(&retries, 202), 1);
        assert_int_equal(answered(&retries, 409), TOGETHER - 1);
        assert_string_equal(state_of(client, id), "queued");
        assert_answer(client_send(client, "DELETE", path, NULL, NULL), 200, "cancelled\n");
        snprintf(again, sizeof again, "%s?forget=true", path);
        for (int i = 0; i < TOGETHER; i++)
            add(&forgets, "DELETE", again);
        send_all(&forgets);
        assert_int_equal(answered(&forgets, 200), 1);
        assert_int_equal(answered(&forgets, 404), TOGETHER - 1);
    }
    end(client);
}

/* Beside changes of the job that is to be replaced. */
static void all_replace(void **state)
{
    const char *const put = "/do?delay=1h&unique=waiting&again=replace";
    struct client *client = begin();
    (void)state;
    uint64_t id = answer_job(client_send(client, "POST", put, key, NULL));
    for (int round = 0; round < ROUNDS; round++) {
        struct crowd crowd = {.len = 0};
        char path[PATH];
        for (int i = 0; i < TOGETHER; i++) {
            snprintf(path, sizeof path, "/jobs/%llu?delay=%dh", (unsigned long long)id, i + 2);
            add(&crowd, i % 2 == 0 ? "PATCH" : "POST", i % 2 == 0 ? path : put);
        }
        send_all(&crowd);
        assert_int_equal(answered(&crowd, 200), TOGETHER / 2);
        assert_int_equal(answered(&crowd, 202), TOGETHER / 2);
    }
    assert_string_equal(state_of(client, id), "scheduled");
    end(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(all_changes_are_made),
        TEST(a_cancel_is_not_lost),
        TEST(a_change_is_in_nobodys_way),
        TEST(one_forgets_and_one_retries),
        TEST(all_replace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
