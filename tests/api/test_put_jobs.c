/* SPDX-License-Identifier: MIT */
/* A batch whose lines say all of a job. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/server.h"

#define LEN(rows) (sizeof(rows) / sizeof(rows)[0])

static const struct answer *put_jobs(struct client *client, const char *path, const char *lines)
{
    return client_send(client, "POST", path,
                       FIELDS("Content-Type: application/x-ndjson", "Accept: application/json"),
                       lines);
}

/* The ids of an answer, which must be so many. */
static void read_ids(const struct answer *answer, uint64_t *ids, int len)
{
    assert_answer(answer, 202, NULL);
    cJSON *root = cJSON_Parse(answer->body);
    const cJSON *list = cJSON_GetObjectItem(root, "ids");
    assert_int_equal(cJSON_GetArraySize(list), len);
    for (int i = 0; i < len; i++)
        ids[i] = (uint64_t)cJSON_GetArrayItem(list, i)->valuedouble;
    cJSON_Delete(root);
}

static void assert_payload(struct client *client, uint64_t id, const char *payload,
                           const char *type)
{
    char path[64];
    snprintf(path, sizeof path, "/jobs/%llu/payload", (unsigned long long)id);
    const struct answer *answer = client_get(client, path);
    assert_answer(answer, 200, payload);
    assert_field(answer, "Content-Type", type);
}

static void each_line_says_all_of_a_job(void **state)
{
    struct server *server = server_start("-q", "20", "-w", "0");
    struct client *client = client_new(server);
    uint64_t ids[8];
    (void)state;
    const struct answer *answer =
        put_jobs(client, "/do?batch=jobs&attempts=4",
                 "{\"payload\":\"gr\\u00fc\\u00df \\ud83d\\ude00\\n\"}\r\n"
                 "\n"
                 "{\"payload\": {\"n\": 12345678901234567890.10, \"e\": 1e400} , \"priority\":0}\n"
                 "{\"payload_base64\":\"AP8=\",\"attempts\":7,\"timeout\":\"1m\"}\n"
                 "{}\n"
                 "{\"delay\":\"1h\",\"key\":\"tenant7\",\"tag\":[\"a\",\"b\"],\"payload\":null}\n"
                 "{\"at\":\"2030-01-01T00:00:00+01:00\",\"expires\":\"2031-01-01T00:00:00Z\","
                 "\"tag\":\"x\"}\n"
                 "{\"payload\":[1,2 ,3],\"keep\":\"1h\"}");
    read_ids(answer, ids, 7);
    assert_payload(client, ids[0], "gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80\n",
                   "text/plain; charset=utf-8");
    assert_payload(client, ids[1], "{\"n\": 12345678901234567890.10, \"e\": 1e400}",
                   "application/json");
    assert_payload(client, ids[4], "null", "application/json");
    assert_payload(client, ids[6], "[1,2 ,3]", "application/json");
    const cJSON *job = client_job(client, ids[1]);
    assert_int_equal((int)json_number(job, "priority"), 0);
    assert_int_equal((int)json_number(job, "attempts"), 4);
    job = client_job(client, ids[2]);
    assert_int_equal((int)json_number(job, "payload_bytes"), 2);
    assert_int_equal((int)json_number(job, "attempts"), 7);
    job = client_job(client, ids[3]);
    assert_int_equal((int)json_number(job, "payload_bytes"), 0);
    assert_int_equal((int)json_number(job, "priority"), 3);
    job = client_job(client, ids[4]);
    assert_string_equal(json_string(job, "state"), "scheduled");
    assert_string_equal(json_string(job, "key"), "tenant7");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(job, "tags")), 2);
    job = client_job(client, ids[5]);
    assert_string_equal(json_string(job, "run_at"), "2029-12-31T23:00:00.000Z");
    assert_string_equal(json_string(job, "expires_at"), "2031-01-01T00:00:00.000Z");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(job, "tags")), 1);
    client_free(client);
}

static void the_first_bad_line_is_named(void **state)
{
    static const struct {
        const char *line, *detail;
    } rows[] = {
        {"{\"priority\":9}", "line 3: priority must be 0 to 7\n"},
        {"{\"priority\":\"1\"}", "line 3: priority must be 0 to 7\n"},
        {"{\"priority\":1.0}", "line 3: priority must be 0 to 7\n"},
        {"{\"attempts\":0}", "line 3: attempts must be 1 to 1000\n"},
        {"{\"delay\":5}", "line 3: delay must be a duration like 250ms, 30s, 5m, 2h or 7d\n"},
        {"{\"colour\":\"red\"}", "line 3: unknown member \"colour\"\n"},
        {"{\"priority\":1,\"priority\":1}", "line 3: priority is given twice\n"},
        {"{\"delay\":\"1s\",\"at\":\"2030-01-01T00:00:00Z\"}",
         "line 3: at and delay: only one of them\n"},
        {"{\"payload\":\"a\",\"payload_base64\":\"AA==\"}", NULL},
        {"{\"payload_base64\":\"A\"}", NULL},
        {"{\"payload_base64\":\"AB==\"}", NULL},
        {"{\"payload\":\"\\ud800\"}", NULL},
        {"{\"key\":\"\"}", NULL},
        {"{\"key\":\"a b\"}", NULL},
        {"{\"tag\":[\"a\",7]}", NULL},
        {"{\"tag\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\"]}", NULL},
        {"{\"idempotency_key\":\"\"}", NULL},
        {"{\"idempotency_key\":\"a\\u0000b\"}", NULL},
        {"{\"expires\":\"0s\"}", NULL},
        {"{\"timeout\":\"0s\"}", NULL},
        {"{\"at\":\"now\"}", NULL},
        {"[]", "line 3: it is no JSON object\n"},
        {"{", "line 3: it is no JSON object\n"},
        {"{}}", "line 3: it is no JSON object\n"},
        {"{} {}", "line 3: it is no JSON object\n"},
        {"{\"payload\":01}", "line 3: it is no JSON object\n"},
        {"{\"payload\":\"\xff\"}", "line 3: it is no JSON object\n"},
        {"{\"payload\":nul}", "line 3: it is no JSON object\n"},
        {"{\"a\":1,}", "line 3: it is no JSON object\n"},
    };
    struct server *server = server_start("-q", "20", "-w", "0");
    struct client *client = client_new(server);
    char lines[512];
    (void)state;
    for (size_t i = 0; i < LEN(rows); i++) {
        snprintf(lines, sizeof lines, "{}\n\n%s\n{\"priority\":99}\n", rows[i].line);
        const struct answer *answer = client_send(client, "POST", "/do?batch=jobs", NULL, lines);
        assert_answer(answer, 400, rows[i].detail);
        assert_int_equal(strncmp(answer->body, "line 3: ", 8), 0);
    }
    assert_int_equal((int)json_number(client_json(client, "/queues/default"), "queued"), 0);
    assert_answer(client_send(client, "POST", "/do?batch=some", NULL, "{}"), 400,
                  "invalid batch: expected lines or jobs\n");
    client_free(client);
}

static void all_are_let_in_or_none(void **state)
{
    struct server *server = server_start("-q", "3", "-w", "0");
    struct client *client = client_new(server);
    (void)state;
    client_put(client, "/do");
    client_put(client, "/do");
    assert_answer(client_send(client, "POST", "/do?batch=jobs", NULL, "{}\n{}\n"), 429, "busy\n");
    assert_answer(client_send(client, "POST", "/do?batch=jobs", NULL, "{}\n{}\n{}\n{}\n"), 413,
                  NULL);
    assert_answer(client_send(client, "POST", "/do?batch=jobs", NULL, "{}\n"), 202, "queued 1\n");
    client_free(client);
}

/* A line whose key is known is the job that has it, and takes no place. */
static void a_known_key_is_its_job(void **state)
{
    static const char first[] = "{\"idempotency_key\":\"a\",\"payload\":\"1\"}\n"
                                "{\"payload\":\"2\"}\n"
                                "{\"idempotency_key\":\"b\",\"payload\":\"3\"}\n"
                                "{\"idempotency_key\":\"a\",\"payload\":\"1\"}\n";
    static const char again[] = "{\"idempotency_key\":\"b\",\"payload\":\"3\"}\n"
                                "{\"idempotency_key\":\"a\",\"payload\":\"1\"}\n";
    struct server *server = server_start("-q", "4", "-w", "0");
    struct client *client = client_new(server);
    uint64_t ids[4], same[2];
    (void)state;
    read_ids(put_jobs(client, "/do?batch=jobs", first), ids, 4);
    assert_true(ids[0] < ids[1] && ids[1] < ids[2] && ids[3] == ids[0]);
    assert_int_equal((int)json_number(client_json(client, "/queues/default"), "queued"), 3);
    client_put(client, "/do");
    const struct answer *known = put_jobs(client, "/do?batch=jobs", again);
    assert_field(known, "Jobd-Duplicate", "true");
    read_ids(known, same, 2); /* though the queue is full */
    assert_true(same[0] == ids[2] && same[1] == ids[0]);
    assert_answer(client_send(client, "POST", "/do?batch=jobs", NULL,
                              "\n{\"idempotency_key\":\"a\",\"payload\":\"other\"}\n"),
                  422, "line 2: the idempotency_key came with another payload\n");
    assert_answer(client_send(client, "POST", "/do?batch=jobs", NULL,
                              "{\"idempotency_key\":\"c\"}\n"
                              "{\"idempotency_key\":\"c\",\"payload\":\"other\"}\n"),
                  400, "line 2: a line before it has its idempotency_key with another payload\n");
    const struct answer *answer =
        client_send(client, "POST", "/do", FIELDS("Idempotency-Key: b"), "3");
    assert_field(answer, "Jobd-Duplicate", "true");
    client_free(client);
}

static void it_can_wait_for_room(void **state)
{
    struct server *server = server_start("-q", "2", "--sleep", "50ms");
    struct client *client = client_new(server);
    uint64_t ids[2];
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_answer(client_post(client, "/do?block=10s"), 202, NULL);
    read_ids(put_jobs(client, "/do?batch=jobs&block=15s&tag=t",
                      "{\"payload\":\"one\",\"idempotency_key\":\"k\"}\n{\"tag\":\"u\"}\n"),
             ids, 2);
    client_await_state(client, ids[1], "done");
    client_free(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(each_line_says_all_of_a_job), TEST(the_first_bad_line_is_named),
        TEST(all_are_let_in_or_none),      TEST(a_known_key_is_its_job),
        TEST(it_can_wait_for_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
