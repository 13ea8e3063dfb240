/* SPDX-License-Identifier: MIT */
/* What the server shows of itself: the page, and /status. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "api/history.h"
#include "base/clock.h"
#include "support/client.h"
#include "support/server.h"

#define HTML "Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"

static void people_get_the_page_and_programs_a_text(void **state)
{
    static const struct {
        const char *path, *type;
    } files[] = {{"/jobd.css", "text/css; charset=utf-8"},
                 {"/jobd.js", "text/javascript; charset=utf-8"},
                 {"/icon.svg", "image/svg+xml"}};
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    (void)state;
    const struct answer *answer = client_get(client, "/");
    assert_int_equal(answer->status, 200);
    assert_field(answer, "Content-Type", "text/plain; charset=utf-8");
    assert_field(answer, "Vary", "Accept");
    assert_field(answer, "X-Content-Type-Options", "nosniff");
    assert_non_null(strstr(answer->body, "a page here"));
    answer = client_send(client, "GET", "/", FIELDS(HTML), NULL);
    assert_int_equal(answer->status, 200);
    assert_field(answer, "Content-Type", "text/html; charset=utf-8");
    assert_field(answer, "X-Content-Type-Options", "nosniff");
    assert_field(answer, "Referrer-Policy", "no-referrer");
    assert_field(answer, "Cache-Control", "no-cache");
    assert_ptr_equal(strstr(answer->body, "<!doctype html>"), answer->body);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        answer = client_get(client, files[i].path);
        assert_int_equal(answer->status, 200);
        assert_field(answer, "Content-Type", files[i].type);
    }
    client_free(client);
}

static void assert_begins(const char *text, const char *begin)
{
    if (strncmp(text, begin, strlen(begin)) != 0)
        fail_msg("\"%s\" does not begin with \"%s\"", text, begin);
}

/* Who pastes it puts a job into the server that he has asked, whatever its address. */
static void the_first_line_of_the_text_can_be_pasted(void **state)
{
    char line[128], word[16] = "";
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    (void)state;
    const struct answer *answer = client_get(client, "/");
    snprintf(line, sizeof line, "curl -d 'some work' 'http://%s/do'\n", server_address(server));
    assert_begins(answer->body, line);
    unsigned lines = 0;
    for (const char *at = answer->body; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    assert_in_range(lines, 5, 10);
    snprintf(strchr(line, '\n'), sizeof " -s", " -s"); /* curl shows no progress */
    FILE *pasted = popen(line, "re");
    assert_non_null(pasted);
    assert_non_null(fgets(word, sizeof word, pasted));
    assert_int_equal(pclose(pasted), 0);
    assert_string_equal(word, "queued\n");
    answer = client_send(client, "GET", "/", FIELDS("Host: [::1]:1234"), NULL);
    assert_begins(answer->body, "curl -d 'some work' 'http://[::1]:1234/do'\n");
    client_free(client);
}

/* Nothing but a host gets there, and no long one. */
static void its_address_is_none_that_somebody_made_up(void **state)
{
    static const char tokens[] = "admin aaaaaaaaaaaaaaaa\n";
    struct server *server = server_start("-w", "0", "--token-file", temporary_file("t", tokens));
    struct client *client = client_new(server);
    char host[400] = "Host: ";
    (void)state;
    const struct answer *answer =
        client_send(client, "GET", "/", FIELDS("Host: jobs.example"), NULL);
    assert_begins(answer->body, "curl -d 'some work' 'http://jobs.example/do'\n");
    memset(host + strlen(host), 'x', 300);
    answer = client_send(client, "GET", "/", FIELDS(host), NULL);
    assert_int_equal(answer->status, 200);
    assert_begins(answer->body, "curl -d 'some work' 'http://localhost:8080/do'\n");
    answer = client_send(client, "GET", "/", FIELDS("Host: x';id;'"), NULL);
    assert_int_equal(answer->status, 400);
    client_free(client);
}

enum { RAW_MAX = 32 * 1024, PACKED_MAX = 11 * 1024 };

static size_t packed_size(const struct answer *answer)
{
    static unsigned char bytes[RAW_MAX], packed[RAW_MAX];
    assert_true(answer->size <= sizeof bytes);
    memcpy(bytes, answer->body, answer->size);
    z_stream stream = {.next_in = bytes,
                       .avail_in = (unsigned)answer->size,
                       .next_out = packed,
                       .avail_out = sizeof packed};
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    size_t size = stream.total_out;
    deflateEnd(&stream);
    return size;
}

/* All of it is there at once, also on a slow line; packed as a proxy does, file by file. */
static void it_is_small(void **state)
{
    static const char *const paths[] = {"/", "/jobd.css", "/jobd.js", "/icon.svg"};
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    size_t size = 0, packed = 0;
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        const struct answer *answer = client_send(client, "GET", paths[i], FIELDS(HTML), NULL);
        assert_int_equal(answer->status, 200);
        size += answer->size;
        packed += packed_size(answer);
    }
    assert_in_range(size, 1000, RAW_MAX);
    assert_in_range(packed, 1000, PACKED_MAX);
    client_free(client);
}

/* Nobody can put a script of his own on it. */
static void the_page_has_a_policy(void **state)
{
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    (void)state;
    const struct answer *answer = client_send(client, "GET", "/", FIELDS(HTML), NULL);
    assert_field(answer, "Content-Security-Policy",
                 "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
                 "img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; "
                 "frame-ancestors 'none'; require-trusted-types-for 'script'");
    assert_null(strstr(answer->body, "<script>"));
    assert_null(strstr(answer->body, " style="));
    assert_null(strstr(answer->body, " onclick="));
    answer = client_get(client, "/jobd.js");
    assert_null(strstr(answer->body, "innerHTML"));
    client_free(client);
}

static void what_is_known_is_not_sent_again(void **state)
{
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    char match[300], etag[256];
    (void)state;
    const struct answer *answer = client_get(client, "/jobd.js");
    snprintf(match, sizeof match, "If-None-Match: %s", answer_field(answer, "ETag", etag));
    answer = client_send(client, "GET", "/jobd.js", FIELDS(match), NULL);
    assert_int_equal(answer->status, 304);
    assert_string_equal(answer->body, "");
    client_free(client);
}

static void there_may_be_no_page(void **state)
{
    struct server *server = server_start("-w", "0", "--page", "off");
    struct client *client = client_new(server);
    (void)state;
    const struct answer *answer = client_send(client, "GET", "/", FIELDS(HTML), NULL);
    assert_int_equal(answer->status, 200);
    assert_field(answer, "Content-Type", "text/plain; charset=utf-8");
    assert_null(strstr(answer->body, "page"));
    assert_int_equal(client_get(client, "/jobd.js")->status, 404);
    client_free(client);
}

/* ---- /status */

static const cJSON *item(const cJSON *object, const char *name)
{
    const cJSON *found = cJSON_GetObjectItemCaseSensitive(object, name);
    assert_non_null(found);
    return found;
}

static void status_is_the_server_at_a_moment(void **state)
{
    struct server *server = server_start("-w", "0", "-q", "3", "--memory", "1MiB");
    struct client *client = client_new(server);
    (void)state;
    client_put(client, "/do");
    const cJSON *status = client_json(client, "/status");
    assert_string_equal(json_string(status, "version"), JOBD_VERSION);
    assert_true(json_number(status, "uptime_s") >= 0);
    assert_true(cJSON_IsTrue(item(status, "ready")));
    assert_string_equal(json_string(status, "scope"), "admin");
    assert_int_equal(json_number(item(status, "memory"), "limit"), 1 << 20);
    assert_true(json_number(item(status, "connections"), "open") >= 1);
    assert_true(json_number(item(status, "connections"), "limit") > 1);
    const char *kind = json_string(item(status, "store"), "kind");
    assert_string_equal(kind, getenv("TEST_LEDGER") != NULL ? "database"
                              : server_durable()            ? "directory"
                                                            : "memory");
    const cJSON *queue = cJSON_GetArrayItem(item(status, "queues"), 0);
    assert_string_equal(json_string(queue, "name"), "default");
    assert_int_equal(json_number(queue, "queued"), 1);
    const cJSON *history = item(queue, "history");
    assert_int_equal(json_number(history, "interval_s"), 10);
    assert_int_equal(cJSON_GetArraySize(item(history, "waiting")), 0);
    client_free(client);
}

/* So that the page does not offer what is refused. */
static void status_says_what_a_token_may_do(void **state)
{
    static const char two[] =
        "{\"queues\": {\"default\": {\"workers\": 0}, \"mail\": {\"workers\": 0}}}";
    static const struct {
        const char *field, *scope, *queue;
        int queues;
    } rows[] = {{"Authorization: Bearer aaaaaaaaaaaaaaaa", "admin", NULL, 2},
                {"Authorization: Bearer bbbbbbbbbbbbbbbb", "put", "mail", 1},
                {"Authorization: Bearer cccccccccccccccc", "read", NULL, 2}};
    const char *tokens =
        temporary_file("tokens", "admin aaaaaaaaaaaaaaaa\nput:mail bbbbbbbbbbbbbbbb\n"
                                 "read cccccccccccccccc\n");
    struct server *server =
        server_start("-c", temporary_file("two.json", two), "--token-file", tokens);
    struct client *client = client_new(server);
    (void)state;
    assert_int_equal(client_get(client, "/status")->status, 401);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct answer *answer =
            client_send(client, "GET", "/status", FIELDS(rows[i].field), NULL);
        assert_int_equal(answer->status, 200);
        cJSON *status = cJSON_Parse(answer->body);
        assert_string_equal(json_string(status, "scope"), rows[i].scope);
        const cJSON *queue = cJSON_GetObjectItemCaseSensitive(status, "queue");
        assert_int_equal(queue != NULL, rows[i].queue != NULL);
        assert_true(queue == NULL || strcmp(queue->valuestring, rows[i].queue) == 0);
        assert_int_equal(cJSON_GetArraySize(item(status, "queues")), rows[i].queues);
        cJSON_Delete(status);
    }
    client_free(client);
}

/* ---- the history by itself */

static void samples_are_what_came_between(void **state)
{
    enum { QUEUE = 0 };
    const struct jobd_queue_config queue = {.name = "one", .capacity = 1, .attempts = 1};
    const struct jobd_config config = {.queues = &queue,
                                       .queues_len = 1,
                                       .keep = 10,
                                       .memory_bytes = 1000,
                                       .waiters_max = 1,
                                       .leases_max = 1,
                                       .first_id = 1};
    struct jobd *jobd;
    struct history *history;
    struct jobd_receipt receipt;
    int64_t now_us = 1000;
    (void)state;
    assert_int_equal(jobd_new(&jobd, &config), 0);
    assert_int_equal(history_new(&history, jobd), 0);
    int64_t next_us = history_sample(history, now_us);
    assert_int_equal(next_us, now_us + 10 * CLOCK_SECOND_US);
    for (int i = 0; i < 70; i++) { /* the ring is full once, and goes on */
        for (int put = 0; put < 1 + i % 3; put++)
            (void)!jobd_put(jobd, &(struct jobd_put){.queue = QUEUE}, NULL, now_us, &receipt);
        now_us = next_us;
        next_us = history_sample(history, now_us);
    }
    struct json_out out;
    json_out_begin(&out, 0);
    json_out_open(&out, NULL, '{');
    history_write_queue(&out, history, QUEUE);
    json_out_close(&out, '}');
    char *line = json_out_line(&out);
    assert_non_null(line);
    cJSON *object = cJSON_Parse(line);
    free(line);
    const cJSON *waiting = item(item(object, "history"), "waiting");
    const cJSON *rejected = item(item(object, "history"), "rejected");
    assert_int_equal(cJSON_GetArraySize(waiting), HISTORY_SAMPLES);
    for (int i = 0; i < HISTORY_SAMPLES; i++) {
        assert_int_equal(cJSON_GetArrayItem(waiting, i)->valuedouble, 1);
        assert_int_equal(cJSON_GetArrayItem(rejected, i)->valuedouble, 1 + (10 + i) % 3);
    }
    cJSON_Delete(object);
    history_free(history);
    assert_int_equal(jobd_cancel(jobd, 1, NULL, now_us), JOBD_OK);
    jobd_free(jobd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(people_get_the_page_and_programs_a_text),
        TEST(the_first_line_of_the_text_can_be_pasted),
        TEST(its_address_is_none_that_somebody_made_up),
        TEST(it_is_small),
        TEST(the_page_has_a_policy),
        TEST(what_is_known_is_not_sent_again),
        TEST(there_may_be_no_page),
        TEST(status_is_the_server_at_a_moment),
        TEST(status_says_what_a_token_may_do),
        TEST(samples_are_what_came_between),
    };
    return cmocka_run_group_tests_name("page", tests, NULL, NULL);
}
