/* SPDX-License-Identifier: MIT */
/* The list of jobs from outside: its filters, its pages, and what a page costs at most. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/server.h"

static size_t list(struct client *client, const char *path, uint64_t *next)
{
    bool newest = strstr(path, "order=newest") != NULL;
    const cJSON *root = client_json(client, path);
    const cJSON *jobs = cJSON_GetObjectItemCaseSensitive(root, "jobs");
    const cJSON *link = cJSON_GetObjectItemCaseSensitive(root, "next");
    assert_true(cJSON_IsArray(jobs));
    assert_true(cJSON_IsNull(link) || cJSON_IsNumber(link));
    *next = cJSON_IsNumber(link) ? (uint64_t)link->valuedouble : 0;
    double before = newest ? 1e16 : 0;
    const cJSON *job;
    cJSON_ArrayForEach(job, jobs)
    {
        assert_true(newest ? json_number(job, "id") < before : json_number(job, "id") > before);
        before = json_number(job, "id");
    }
    return (size_t)cJSON_GetArraySize(jobs);
}

static void lists_have_pages(void **state)
{
    struct server *server = server_start("-w", "0", "-q", "20");
    struct client *client = client_new(server);
    uint64_t next;
    char path[96];
    (void)state;
    assert_int_equal(list(client, "/jobs", &next), 0);
    assert_int_equal(next, 0);
    for (int i = 0; i < 7; i++)
        client_put(client, "/do");
    assert_int_equal(list(client, "/jobs", &next), 7);
    assert_int_equal(next, 0);
    assert_int_equal(list(client, "/jobs?limit=7", &next), 7);
    assert_int_equal(next, 0);
    size_t seen = 0, pages = 0;
    next = 0;
    do {
        snprintf(path, sizeof path, "/jobs?limit=3&after=%llu", (unsigned long long)next);
        seen += list(client, path, &next);
        pages++;
    } while (next != 0);
    assert_int_equal(seen, 7);
    assert_int_equal(pages, 3);
    assert_int_equal(list(client, "/jobs?after=9007199254740991", &next), 0);
    client_free(client);
}

static void lists_are_filtered(void **state)
{
    const char *config = temporary_file(
        "jobd.json", "{\"queues\": {\"default\": {\"workers\": 0}, \"mail\": {\"workers\": 0}}}");
    struct server *server = server_start("-c", config);
    struct client *client = client_new(server);
    uint64_t next;
    char path[64];
    (void)state;
    client_put(client, "/do?delay=1h");
    uint64_t gone = client_put(client, "/do");
    client_put(client, "/do/mail");
    client_put(client, "/do/mail?delay=1h");
    snprintf(path, sizeof path, "/jobs/%llu", (unsigned long long)gone);
    client_send(client, "DELETE", path, NULL, NULL);
    assert_int_equal(list(client, "/jobs", &next), 4);
    assert_int_equal(list(client, "/jobs?queue=mail", &next), 2);
    assert_int_equal(list(client, "/jobs?state=scheduled", &next), 2);
    assert_int_equal(list(client, "/jobs?state=queued&queue=mail", &next), 1);
    assert_int_equal(list(client, "/jobs?state=cancelled", &next), 1);
    assert_int_equal(list(client, "/jobs?state=done", &next), 0);
    assert_int_equal(list(client, "/jobs?queue=mail&state=scheduled&limit=1", &next), 1);
    assert_int_equal(next, 0);
    client_free(client);
}

static void lists_are_filtered_by_words(void **state)
{
    struct server *server = server_start("-w", "0", "-q", "20");
    struct client *client = client_new(server);
    uint64_t next;
    (void)state;
    client_put(client, "/do?key=tenant7&tag=invoice&tag=a%2Bb");
    client_put(client, "/do?key=tenant7");
    client_put(client, "/do?key=tenant77&tag=invoices");
    client_put(client, "/do?timeout=1m");
    client_put(client, "/do");
    assert_int_equal(list(client, "/jobs?key=tenant7", &next), 2);
    assert_int_equal(list(client, "/jobs?key=tenant77", &next), 1);
    assert_int_equal(list(client, "/jobs?key=tenant", &next), 0);
    assert_int_equal(list(client, "/jobs?tag=invoice", &next), 1);
    assert_int_equal(list(client, "/jobs?tag=a%2Bb&key=tenant7&state=queued", &next), 1);
    assert_int_equal(list(client, "/jobs?tag=a%2Bb&key=tenant77", &next), 0);
    assert_answer(client_get(client, "/jobs?key=a%20b"), 400,
                  "invalid key: expected 1 to 64 visible ASCII characters\n");
    assert_answer(client_get(client, "/jobs?tag="), 400,
                  "invalid tag: expected 1 to 64 visible ASCII characters\n");
    client_free(client);
}

/* Puts jobs until one has come in a millisecond after the one before; what time that was. */
static void put_later(struct client *client, char came[32])
{
    char path[64];
    uint64_t id = client_put(client, "/do");
    snprintf(came, 32, "%s", json_string(client_job(client, id), "created_at"));
    for (;;) {
        id = client_put(client, "/do");
        if (strcmp(json_string(client_job(client, id), "created_at"), came) != 0)
            break;
        snprintf(path, sizeof path, "/jobs/%llu", (unsigned long long)id);
        client_send(client, "DELETE", path, NULL, NULL);
    }
    snprintf(came, 32, "%s", json_string(client_job(client, id), "created_at"));
}

/* Times of the wall clock, as the jobs themselves say them; also of jobs of a process before. */
static void lists_are_filtered_by_time(void **state)
{
    char folder[160], path[128], came[32] = "";
    uint64_t next;
    (void)state;
    snprintf(folder, sizeof folder, "%s/lists", temporary_directory());
    const char *const arguments[] = {"-l", "127.0.0.1:0", "-w", "0", "-d", folder, NULL};
    for (int process = 0; process < 2; process++) {
        struct server *server = server_spawn(&(struct server_plan){.arguments = arguments});
        server_await_listening(server);
        struct client *client = client_new(server);
        if (process == 0)
            put_later(client, came);
        snprintf(path, sizeof path, "/jobs?state=queued&since=%s", came);
        assert_int_equal(list(client, path, &next), 1);
        snprintf(path, sizeof path, "/jobs?state=queued&before=%s&order=newest", came);
        assert_int_equal(list(client, path, &next), 1);
        assert_int_equal(list(client, "/jobs?state=queued&since=1h", &next), 2);
        assert_int_equal(list(client, "/jobs?state=queued&before=1h", &next), 0);
        assert_int_equal(list(client, "/jobs?state=queued&since=1970-01-01T00:00:00Z", &next), 2);
        assert_answer(client_get(client, "/jobs?since=yesterday"), 400,
                      "invalid since: expected a time like 2026-12-01T09:00:00Z, or how long ago, "
                      "like 5m, 2h or 7d\n");
        assert_int_equal(client_get(client, "/jobs?before=1h&before=2h")->status, 400);
        client_free(client);
        server_signal(server, SIGTERM);
        assert_int_equal(server_wait(server), 0);
    }
}

static void the_newest_come_first(void **state)
{
    struct server *server = server_start("-w", "0", "-q", "20");
    struct client *client = client_new(server);
    uint64_t next = 0;
    char path[96];
    size_t seen = 0, pages = 0;
    (void)state;
    for (int i = 0; i < 7; i++)
        client_put(client, i % 2 == 0 ? "/do" : "/do?delay=1h");
    do {
        snprintf(path, sizeof path, "/jobs?order=newest&limit=3&after=%llu",
                 (unsigned long long)next);
        seen += list(client, path, &next);
        pages++;
    } while (next != 0);
    assert_int_equal(seen, 7);
    assert_int_equal(pages, 3);
    assert_int_equal(list(client, "/jobs?order=newest&state=scheduled&limit=2", &next), 2);
    assert_int_equal(list(client, "/jobs?order=oldest", &next), 7);
    assert_answer(client_get(client, "/jobs?order=random"), 400,
                  "invalid order: expected oldest or newest\n");
    client_free(client);
}

/* A page ends when enough jobs have been looked at, however few of them matched. */
static void a_sparse_list_is_followed_to_its_end(void **state)
{
    enum { CROWD = 25000 };
    const char *config = temporary_file(
        "jobd.json", "{\"queues\": {\"default\": {\"workers\": 0, \"capacity\": 25000},"
                     " \"mail\": {\"workers\": 0}}}");
    struct server *server = server_start("-c", config);
    struct client *client = client_new(server);
    uint64_t next = 0, ids[3];
    char path[96], *crowd = malloc(2 * CROWD + 1);
    size_t seen = 0, pages = 0;
    (void)state;
    assert_non_null(crowd);
    for (size_t i = 0; i < CROWD; i++)
        memcpy(crowd + 2 * i, "x\n", 3);
    ids[0] = client_put(client, "/do/mail?delay=1h");
    assert_answer(client_send(client, "POST", "/do?batch=lines", NULL, crowd), 202,
                  "queued 25000\n");
    ids[1] = client_put(client, "/do/mail");
    ids[2] = client_put(client, "/do/mail");
    free(crowd);
    do {
        snprintf(path, sizeof path, "/jobs?queue=mail&limit=2&after=%llu",
                 (unsigned long long)next);
        const cJSON *root = client_json(client, path), *job;
        cJSON_ArrayForEach(job, cJSON_GetObjectItemCaseSensitive(root, "jobs"))
        {
            assert_in_range(seen, 0, 2);
            assert_int_equal((uint64_t)json_number(job, "id"), ids[seen]);
            seen++;
        }
        const cJSON *link = cJSON_GetObjectItemCaseSensitive(root, "next");
        next = cJSON_IsNumber(link) ? (uint64_t)link->valuedouble : 0;
        pages++;
    } while (next != 0);
    assert_int_equal(seen, 3);
    assert_int_equal(pages, 3);
    assert_int_equal(list(client, "/jobs?queue=mail&state=scheduled", &next), 1);
    assert_int_equal(next, 0);
    client_free(client);
}

/* Errors of control characters grow sixfold in JSON: a page with many ends before `limit`. */
static void a_page_of_long_errors_ends_early(void **state)
{
    enum { JOBS = 60, ERROR_BYTES = 1024, PAGE_BYTES = 256 * 1024, JOB_BYTES = 7 * ERROR_BYTES };
    struct server *server = server_start("-w", "0", "-q", "100");
    struct client *client = client_new(server);
    char error[ERROR_BYTES + 1], path[96];
    uint64_t ids[JOBS], next = 0;
    unsigned seen = 0, pages = 0;
    (void)state;
    memset(error, 1, ERROR_BYTES);
    error[ERROR_BYTES] = '\0';
    for (int i = 0; i < JOBS; i++) {
        char lease[256];
        ids[i] = client_put(client, "/do");
        answer_field(client_post(client, "/take"), "Location", lease);
        snprintf(path, sizeof path, "%.64s/fail", lease);
        assert_answer(client_send(client, "POST", path, NULL, error), 200, "failed\n");
    }
    do {
        snprintf(path, sizeof path, "/jobs?state=failed&limit=1000&after=%llu",
                 (unsigned long long)next);
        const struct answer *answer = client_get(client, path);
        assert_int_equal(answer->status, 200);
        assert_in_range(answer->size, JOB_BYTES, PAGE_BYTES + JOB_BYTES);
        cJSON *json = cJSON_Parse(answer->body);
        const cJSON *job, *link = cJSON_GetObjectItem(json, "next");
        cJSON_ArrayForEach(job, cJSON_GetObjectItem(json, "jobs"))
        {
            assert_in_range(seen, 0, JOBS - 1);
            assert_int_equal((uint64_t)json_number(job, "id"), ids[seen]);
            assert_string_equal(json_string(job, "error"), error);
            seen++;
        }
        next = cJSON_IsNumber(link) ? (uint64_t)link->valuedouble : 0;
        assert_true(next == 0 || next == ids[seen - 1]);
        cJSON_Delete(json);
        pages++;
    } while (next != 0);
    assert_int_equal(seen, JOBS);
    assert_int_equal(pages, 2);
    client_free(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(lists_have_pages),
        TEST(lists_are_filtered),
        TEST(lists_are_filtered_by_words),
        TEST(lists_are_filtered_by_time),
        TEST(the_newest_come_first),
        TEST(a_sparse_list_is_followed_to_its_end),
        TEST(a_page_of_long_errors_ends_early),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
