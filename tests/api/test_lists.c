/* SPDX-License-Identifier: MIT */
/* The list of jobs from outside: its filters, its pages, and what a page costs at most. */
#include <setjmp.h>
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
    const cJSON *root = client_json(client, path);
    const cJSON *jobs = cJSON_GetObjectItemCaseSensitive(root, "jobs");
    const cJSON *link = cJSON_GetObjectItemCaseSensitive(root, "next");
    assert_true(cJSON_IsArray(jobs));
    assert_true(cJSON_IsNull(link) || cJSON_IsNumber(link));
    *next = cJSON_IsNumber(link) ? (uint64_t)link->valuedouble : 0;
    double before = 0;
    const cJSON *job;
    cJSON_ArrayForEach(job, jobs)
    {
        assert_true(json_number(job, "id") > before);
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
        TEST(a_sparse_list_is_followed_to_its_end),
        TEST(a_page_of_long_errors_ends_early),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
