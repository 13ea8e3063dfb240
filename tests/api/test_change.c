/* SPDX-License-Identifier: MIT */
/* Jobs that are changed after they came in, one or many at a time, and what they remember. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/server.h"

/* Takes a job and fails its attempt with this error. */
static void fail_one(struct client *client, const char *query, const char *error)
{
    char lease[256], path[320];
    const struct answer *answer = client_post(client, "/take?wait=15s");
    assert_int_equal(answer->status, 200);
    answer_field(answer, "Location", lease);
    snprintf(path, sizeof path, "%s/fail%s", lease, query);
    assert_answer(client_send(client, "POST", path, NULL, error), 200, "failed\n");
}

/* ---- what went wrong */

static void errors_of_the_last_attempts(void **state)
{
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    char text[32], path[64];
    (void)state;
    uint64_t id = client_put(client, "/do?attempts=7");
    assert_null(cJSON_GetObjectItem(client_job(client, id), "errors"));
    for (int attempt = 1; attempt <= 7; attempt++) {
        snprintf(text, sizeof text, "try %d", attempt);
        fail_one(client, "?delay=0s", attempt == 6 ? NULL : text);
    }
    snprintf(path, sizeof path, "/jobs/%llu/retry", (unsigned long long)id);
    for (int again = 0; again < 2; again++) {
        const cJSON *job = client_job(client, id), *error;
        const cJSON *errors = cJSON_GetObjectItem(job, "errors");
        assert_int_equal(cJSON_GetArraySize(errors), 5);
        int attempt = 3;
        cJSON_ArrayForEach(error, errors)
        {
            assert_int_equal(json_number(error, "attempt"), attempt);
            snprintf(text, sizeof text, "try %d", attempt);
            if (attempt == 6)
                assert_null(cJSON_GetObjectItem(error, "error"));
            else
                assert_string_equal(json_string(error, "error"), text);
            assert_int_equal(strlen(json_string(error, "at")), 24);
            attempt++;
        }
        if (again == 0) {
            assert_string_equal(json_string(error = cJSON_GetArrayItem(errors, 4), "at"),
                                json_string(job, "finished_at"));
            assert_int_equal(client_post(client, path)->status, 202);
        }
    }
    client_free(client);
}

static void an_exit_code_is_an_error_too(void **state)
{
    struct server *server = server_start("--", "sh", "-c", "exit 3");
    struct client *client = client_new(server);
    (void)state;
    uint64_t id = client_put(client, "/do");
    client_await_state(client, id, "failed");
    const cJSON *errors = cJSON_GetObjectItem(client_job(client, id), "errors");
    assert_int_equal(cJSON_GetArraySize(errors), 1);
    assert_int_equal(json_number(cJSON_GetArrayItem(errors, 0), "exit_code"), 3);
    client_free(client);
}

/* The end of a long one is kept, and no character of it in part. */
static void long_errors_are_cut(void **state)
{
    enum { CHARACTERS = 400 };
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    char error[2 * CHARACTERS + 2];
    (void)state;
    uint64_t id = client_put(client, "/do");
    for (size_t i = 0; i < CHARACTERS; i++)
        memcpy(error + 2 * i, "\xc3\xa4", 3);
    memcpy(error + 2 * CHARACTERS, "!", 2);
    fail_one(client, "", error);
    const cJSON *one = cJSON_GetArrayItem(cJSON_GetObjectItem(client_job(client, id), "errors"), 0);
    const char *kept = json_string(one, "error");
    assert_int_equal(strlen(kept), 511);
    assert_string_equal(kept, error + sizeof error - 1 - 511);
    client_free(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(errors_of_the_last_attempts),
        TEST(an_exit_code_is_an_error_too),
        TEST(long_errors_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
