/* SPDX-License-Identifier: MIT */
/* Changes of state as they happen. */
#include <inttypes.h>
#include <signal.h>

#include "api/live_scene.h"

static struct feed *events(const struct server *server, const char *query, const char *fields)
{
    char path[128];
    snprintf(path, sizeof path, "/events%s", query);
    struct feed *feed = feed_open(server, path, fields);
    (void)feed_await(feed, ":\n\n"); /* a comment: it is there */
    return feed;
}

/* The next event is of this job, which is in that state; its id. */
static uint64_t assert_next(struct feed *feed, uint64_t job, const char *state)
{
    (void)feed_await(feed, "id: ");
    size_t from = feed->seen;
    (void)feed_await(feed, "\n\n");
    uint64_t id = strtoull(feed->text + from, NULL, 10);
    cJSON *object = cJSON_Parse(strstr(feed->text + from, "data: ") + strlen("data: "));
    assert_non_null(object);
    assert_int_equal(json_number(object, "id"), job);
    assert_string_equal(json_string(object, "state"), state);
    assert_null(cJSON_GetObjectItem(object, "payload"));
    cJSON_Delete(object);
    return id;
}

static void each_change_is_the_jobs_json(void **state)
{
    struct server *server = server_start("--sleep", "1ms", "-q", "100");
    struct client *client = client_new(server);
    struct feed *feed = events(server, "", "");
    (void)state;
    assert_non_null(strstr(feed->text, "\r\nContent-Type: text/event-stream\r\n"));
    assert_non_null(strstr(feed->text, "\r\nX-Accel-Buffering: no\r\n"));
    assert_non_null(strstr(feed->text, "\r\nCache-Control: no-store\r\n"));
    uint64_t last = 0;
    for (int i = 0; i < 3; i++) {
        uint64_t job = client_put(client, "/do");
        static const char *const states[] = {"queued", "running", "done"};
        for (int k = 0; k < 3; k++) {
            uint64_t id = assert_next(feed, job, states[k]);
            assert_true(last == 0 || id == last + 1);
            last = id;
        }
    }
    feed_close(feed);
    client_await_metric(client, "jobd_streams", 0);
    client_free(client);
}

static void of_a_queue_or_a_state(void **state)
{
    static const char file[] = "{\"listen\": \"127.0.0.1:0\", \"queues\": {"
                               "\"default\": {\"capacity\": 9, \"workers\": 0},"
                               "\"mail\": {\"capacity\": 9, \"workers\": 0}}}";
    struct server *server = server_start("-c", temporary_file("two.json", file));
    struct client *client = client_new(server);
    struct feed *mail = events(server, "?queue=mail", ""),
                *delayed = events(server, "?state=scheduled", "");
    (void)state;
    (void)client_put(client, "/do");
    uint64_t first = client_put(client, "/do/mail"),
             second = client_put(client, "/do/mail?delay=1h");
    uint64_t third = client_put(client, "/do?delay=1h");
    (void)assert_next(mail, first, "queued");
    (void)assert_next(mail, second, "scheduled");
    (void)assert_next(delayed, second, "scheduled");
    (void)assert_next(delayed, third, "scheduled");
    assert_answer(client_get(client, "/events?queue=post"), 400,
                  "invalid queue: expected the name of a queue\n");
    assert_int_equal(client_get(client, "/events?state=gone")->status, 400);
    assert_int_equal(client_get(client, "/events?job=1")->status, 400);
    feed_close(mail);
    feed_close(delayed);
    client_free(client);
}

/* With the figures of /status, and what each job was before, they can be counted on. */
static void they_go_on_from_what_status_says(void **state)
{
    struct server *server = server_start("-w", "0", "-q", "9");
    struct client *client = client_new(server);
    char path[64];
    (void)state;
    uint64_t job = client_put(client, "/do");
    assert_null(cJSON_GetObjectItem(client_json(client, "/status"), "last_event"));
    struct feed *feed = events(server, "", "");
    uint64_t first = client_put(client, "/do?delay=1h");
    uint64_t id = assert_next(feed, first, "scheduled");
    assert_null(strstr(feed->text, "\"was\""));
    assert_true((uint64_t)json_number(client_json(client, "/status"), "last_event") == id);
    snprintf(path, sizeof path, "/jobs/%" PRIu64, first);
    assert_int_equal(client_send(client, "DELETE", path, NULL, NULL)->status, 200);
    assert_int_equal(assert_next(feed, first, "cancelled"), id + 1);
    assert_non_null(strstr(feed->text, "\"was\":\"scheduled\""));
    snprintf(path, sizeof path, "/jobs/%" PRIu64 "/retry", first);
    assert_int_equal(client_post(client, path)->status, 202);
    (void)assert_next(feed, first, "queued");
    assert_non_null(strstr(feed->text, "\"was\":\"cancelled\""));
    assert_int_equal(client_post(client, "/take")->status, 200);
    (void)assert_next(feed, job, "running");
    assert_non_null(strstr(feed->text, "\"was\":\"queued\""));
    assert_true((uint64_t)json_number(client_json(client, "/status"), "last_event") == id + 3);
    feed_close(feed);
    client_free(client);
}

/* Who comes again with the last id that he has seen gets what came since, also when nobody was
 * there meanwhile. */
static void it_goes_on_where_it_was(void **state)
{
    struct server *server = server_start("-w", "0", "-q", "100");
    struct client *client = client_new(server);
    struct feed *feed = events(server, "", "");
    char field[64];
    (void)state;
    uint64_t first = client_put(client, "/do"), second = client_put(client, "/do");
    uint64_t id = assert_next(feed, first, "queued");
    feed_close(feed);
    client_await_metric(client, "jobd_streams", 0);
    uint64_t third = client_put(client, "/do");
    snprintf(field, sizeof field, "Last-Event-ID: %" PRIu64 "\r\n", id);
    feed = feed_open(server, "/events", field);
    assert_int_equal(assert_next(feed, second, "queued"), id + 1);
    assert_int_equal(assert_next(feed, third, "queued"), id + 2);
    assert_null(strstr(feed->text, "event: gap"));
    feed_close(feed);
    /* An id of another server. */
    feed = feed_open(server, "/events", "Last-Event-ID: 17\r\n");
    (void)feed_await(feed, "event: gap\ndata: {}\n\n");
    (void)assert_next(feed, first, "queued");
    feed_close(feed);
    assert_int_equal(
        client_send(client, "GET", "/events", FIELDS("Last-Event-ID: -1"), NULL)->status, 400);
    client_free(client);
}

/* More than the last 10,000 are not kept. */
static void what_is_missed_is_said(void **state)
{
    enum { KEPT = 10000, MORE = 5, BATCH = 2001 };
    struct server *server = server_start("-w", "0", "-q", "20000");
    struct client *client = client_new(server);
    struct feed *feed = events(server, "", "");
    char field[64];
    (void)state;
    uint64_t before = client_put(client, "/do");
    uint64_t id = assert_next(feed, before, "queued");
    feed_close(feed);
    client_await_metric(client, "jobd_streams", 0);
    char *lines = raw_filled("", 'x', 2 * BATCH, "");
    for (int i = 0; i < BATCH; i++)
        lines[2 * i + 1] = '\n';
    for (int i = 0; i < 5; i++)
        assert_int_equal(client_send(client, "POST", "/do?batch=lines", NULL, lines)->status, 202);
    free(lines);
    snprintf(field, sizeof field, "Last-Event-ID: %" PRIu64 "\r\n", id);
    feed = feed_open(server, "/events", field);
    (void)feed_await(feed, "event: gap\n");
    (void)feed_await(feed, "\n\n");
    assert_int_equal(assert_next(feed, before + 1 + MORE, "queued"), id + 1 + MORE);
    assert_int_equal(client_metric(client, "jobd_stream_gaps_total"), 1);
    for (int i = 1; i < KEPT; i++)
        (void)assert_next(feed, before + 1 + MORE + (uint64_t)i, "queued");
    feed_close(feed);
    client_free(client);
}

static void so_many_and_no_more(void **state)
{
    struct server *server = server_start("--max-streams", "2", "-w", "0");
    struct client *client = client_new(server);
    struct feed *one = events(server, "", ""), *two = events(server, "", "");
    (void)state;
    const struct answer *answer = client_get(client, "/events");
    assert_answer(answer, 503, "too many streams: as many as --max-streams allows are open\n");
    assert_field(answer, "Retry-After", "10");
    assert_int_equal(client_post(client, "/do")->status, 202);
    feed_close(one);
    client_await_metric(client, "jobd_streams", 1);
    one = events(server, "", "");
    feed_close(one);
    feed_close(two);
    client_free(client);
}

/* Who does not read is cut, and the others have lost nothing. */
static void who_does_not_read_is_cut(void **state)
{
    enum { BATCH = 200 }; /* no more, so that they are sent, not left out */
    struct server *server = server_start("-w", "0", "-q", "1000000", "--memory", "1GiB",
                                         "--header-timeout", "200ms", "--idle-timeout", "200ms");
    struct client *client = client_new(server);
    struct feed *lazy = events(server, "", "");
    char *lines = raw_filled("", 'x', 2 * BATCH, ""), path[1024] = "/do?batch=lines";
    const int room = 4096; /* or the kernel takes up to 32 MiB that nobody reads */
    (void)state;
    assert_int_equal(setsockopt(lazy->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room), 0);
    for (int i = 0; i < BATCH; i++)
        lines[2 * i + 1] = '\n';
    for (size_t i = 0, used = strlen(path); i < 8; i++) /* so that each event is long */
        used += (size_t)snprintf(path + used, sizeof path - used, "&tag=%zu%060d", i, 0);
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    while (client_metric(client, "jobd_streams_cut_total") < 1) {
        assert_int_equal(client_send(client, "POST", path, NULL, lines)->status, 202);
        look_again(deadline_ms, "the cut");
    }
    client_await_metric(client, "jobd_streams", 0);
    struct feed *feed = events(server, "?state=scheduled", "");
    uint64_t job = client_put(client, "/do?delay=1h");
    (void)assert_next(feed, job, "scheduled");
    free(lines);
    feed_close(feed);
    feed_close(lazy);
    client_free(client);
}

static void tokens_see_what_is_theirs(void **state)
{
    const char *path = temporary_file("tokens", "read:default one-queue-5f1c9a7d\n"
                                                "read all-queues-5f1c9a7d\n");
    struct server *server = server_start("--token-file", path, "-w", "0");
    (void)state;
    struct client *client = client_new(server);
    assert_int_equal(client_get(client, "/events")->status, 401);
    assert_int_equal(client_send(client, "GET", "/events",
                                 FIELDS("Authorization: Bearer one-queue-5f1c9a7d"), NULL)
                         ->status,
                     403);
    struct feed *one =
        events(server, "?queue=default", "Authorization: Bearer one-queue-5f1c9a7d\r\n");
    struct feed *all = events(server, "", "Authorization: Bearer all-queues-5f1c9a7d\r\n");
    assert_int_equal(client_send(client, "GET", "/jobs/1/output?follow",
                                 FIELDS("Authorization: Bearer all-queues-5f1c9a7d"), NULL)
                         ->status,
                     403);
    feed_close(one);
    feed_close(all);
    client_free(client);
}

/* A reload ends the streams of a token that is gone, or may less, and no other. */
static void a_token_that_is_gone_follows_no_more(void **state)
{
    static const char path[] = "/jobs/%llu/output?follow";
    char target[64], line[SERVER_LINE_SIZE];
    const char *tokens = temporary_file("tokens", "admin admin-5f1c9a7d3b\n"
                                                  "read+data gone-5f1c9a7d3b\n"
                                                  "read+data less-5f1c9a7d3b\n"
                                                  "read stays-5f1c9a7d3b\n");
    struct server *server = server_start("--token-file", tokens, "-w", "0");
    struct client *client = client_new(server);
    (void)state;
    uint64_t job = answer_job(
        client_send(client, "POST", "/do", FIELDS("Authorization: Bearer admin-5f1c9a7d3b"), NULL));
    snprintf(target, sizeof target, path, (unsigned long long)job);
    struct feed *gone = events(server, "", "Authorization: Bearer gone-5f1c9a7d3b\r\n"),
                *less = feed_open(server, target, "Authorization: Bearer less-5f1c9a7d3b\r\n"),
                *looks = events(server, "", "Authorization: Bearer less-5f1c9a7d3b\r\n"),
                *stays = events(server, "", "Authorization: Bearer stays-5f1c9a7d3b\r\n");
    (void)feed_body(less);
    (void)temporary_file("tokens", "admin admin-5f1c9a7d3b\n"
                                   "read less-5f1c9a7d3b\n"
                                   "read stays-5f1c9a7d3b\n");
    server_signal(server, SIGHUP);
    server_await_line(server, ERR, "configuration reloaded", line);
    (void)feed_await_end(gone);
    (void)feed_await_end(less);
    uint64_t next = answer_job(
        client_send(client, "POST", "/do", FIELDS("Authorization: Bearer admin-5f1c9a7d3b"), NULL));
    (void)assert_next(looks, next, "queued");
    (void)assert_next(stays, next, "queued");
    feed_close(gone);
    feed_close(less);
    feed_close(looks);
    feed_close(stays);
    client_free(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(each_change_is_the_jobs_json, server_stop_all),
        cmocka_unit_test_teardown(they_go_on_from_what_status_says, server_stop_all),
        cmocka_unit_test_teardown(of_a_queue_or_a_state, server_stop_all),
        cmocka_unit_test_teardown(it_goes_on_where_it_was, server_stop_all),
        cmocka_unit_test_teardown(what_is_missed_is_said, server_stop_all),
        cmocka_unit_test_teardown(so_many_and_no_more, server_stop_all),
        cmocka_unit_test_teardown(who_does_not_read_is_cut, server_stop_all),
        cmocka_unit_test_teardown(tokens_see_what_is_theirs, server_stop_all),
        cmocka_unit_test_teardown(a_token_that_is_gone_follows_no_more, server_stop_all),
    };
    return cmocka_run_group_tests_name("events", tests, NULL, NULL);
}
