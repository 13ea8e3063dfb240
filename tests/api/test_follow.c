/* SPDX-License-Identifier: MIT */
/* The output of a job as it comes. */
#include <signal.h>

#include "api/live_scene.h"

#define EVENTS "Accept: text/event-stream\r\n"

struct scene {
    struct server *server;
    struct client *client;
    struct speaker speaker;
};

/* `more`: options, NULL at the end. */
static struct scene begin(const char *option, const char *value)
{
    struct scene scene;
    char room[1024];
    speaker_open(&scene.speaker, "says");
    const char *command = speaker_command(&scene.speaker, room);
    scene.server = server_start("-q", "100", option, value, "--", "sh", "-c", command);
    scene.client = client_new(scene.server);
    return scene;
}

static void end(struct scene *scene)
{
    client_free(scene->client);
    close(scene->speaker.fd);
}

static const char *output_of(uint64_t id)
{
    static char path[64];
    snprintf(path, sizeof path, "/jobs/%llu/output?follow", (unsigned long long)id);
    return path;
}

static struct feed *follow(const struct scene *scene, uint64_t id, const char *fields)
{
    return feed_open(scene->server, output_of(id), fields);
}

static void say(struct scene *scene, const char *line)
{
    speaker_say(&scene->speaker, line);
}

/* A line that is printed is there, while the next one is not yet. */
static void each_line_comes_when_it_is_printed(void **state)
{
    struct scene scene = begin("-w", "1");
    uint64_t id = client_put(scene.client, "/do");
    struct feed *feed = follow(&scene, id, "");
    (void)state;
    (void)feed_body(feed);
    assert_non_null(strstr(feed->text, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(feed->text, "\r\nJobd-Attempt: 1\r\n"));
    assert_non_null(strstr(feed->text, "\r\nX-Accel-Buffering: no\r\n"));
    for (int i = 0; i < 5; i++) {
        char line[32], printed[32];
        snprintf(line, sizeof line, "echo line %d", i);
        snprintf(printed, sizeof printed, "line %d\n", i);
        say(&scene, line);
        (void)feed_await(feed, printed);
    }
    struct feed *late = follow(&scene, id, "");
    assert_string_equal(feed_await(late, "line 3\n"), "line 4\n");
    client_await_metric(scene.client, "jobd_streams", 2);
    say(&scene, "printf last; exit 0");
    assert_string_equal(feed_await_end(feed), "last");
    (void)feed_await_end(late);
    assert_string_equal(strstr(late->text, "line 0"),
                        "line 0\nline 1\nline 2\nline 3\nline 4\nlast");
    client_await_metric(scene.client, "jobd_streams", 0);
    assert_answer(client_get(scene.client, output_of(id)), 200,
                  "line 0\nline 1\nline 2\nline 3\nline 4\nlast");
    feed_close(feed);
    feed_close(late);
    end(&scene);
}

/* For HTTP/1.1 in chunks, and the connection goes on. */
static void it_is_chunked(void **state)
{
    struct scene scene = begin("-w", "1");
    uint64_t id = client_put(scene.client, "/do");
    say(&scene, "echo hello; exit 0");
    client_await_state(scene.client, id, "done");
    const struct answer *answer = client_get(scene.client, output_of(id));
    (void)state;
    assert_answer(answer, 200, "hello\n");
    assert_field(answer, "Transfer-Encoding", "chunked");
    assert_field(answer, "Content-Type", "text/plain; charset=utf-8");
    assert_int_equal(client_get(scene.client, "/healthz")->connects, 0);
    answer = client_send(scene.client, "HEAD", output_of(id), NULL, NULL);
    assert_answer(answer, 200, "");
    assert_field(answer, "Jobd-Attempt", "1");
    end(&scene);
}

static void it_goes_on_from_a_byte(void **state)
{
    struct scene scene = begin("-w", "1");
    uint64_t id = client_put(scene.client, "/do");
    (void)state;
    say(&scene, "printf abcdef");
    struct feed *first = follow(&scene, id, "");
    (void)feed_await(first, "abcdef");
    struct feed *feed = follow(&scene, id, "Range: bytes=4-\r\n");
    (void)feed_await(feed, "HTTP/1.1 206 ");
    (void)feed_await(feed, "\r\nContent-Range: bytes 4-9007199254740991/*");
    (void)feed_body(feed);
    (void)feed_await(feed, "ef");
    struct feed *ahead = follow(&scene, id, "Range: bytes=7-\r\n");
    (void)feed_body(ahead);
    say(&scene, "printf ghij; exit 0");
    assert_string_equal(feed_await_end(feed), "ghij");
    assert_string_equal(feed_await_end(ahead), "hij");
    const struct answer *answer =
        client_send(scene.client, "GET", output_of(id), FIELDS("Range: bytes=8-"), NULL);
    assert_answer(answer, 206, "ij");
    assert_field(answer, "Content-Range", "bytes 8-9/10");
    answer = client_send(scene.client, "GET", output_of(id), FIELDS("Range: bytes=10-"), NULL);
    assert_int_equal(answer->status, 416);
    assert_field(answer, "Content-Range", "bytes */10");
    answer = client_send(scene.client, "GET", output_of(id), FIELDS("Range: bytes=2-3"), NULL);
    assert_answer(answer, 200, "abcdefghij"); /* may be ignored, and is */
    feed_close(first);
    feed_close(feed);
    feed_close(ahead);
    end(&scene);
}

static void assert_job(const char *text, const char *state)
{
    cJSON *job = cJSON_Parse(text);
    assert_non_null(job);
    assert_string_equal(json_string(job, "state"), state);
    cJSON_Delete(job);
}

/* Events: characters stay whole, and what is no text is told apart. */
static void as_events(void **state)
{
    struct scene scene = begin("-w", "1");
    uint64_t id = client_put(scene.client, "/do");
    struct feed *feed = follow(&scene, id, EVENTS);
    (void)state;
    (void)feed_await(feed, "\r\nContent-Type: text/event-stream\r\n");
    assert_job(feed_await(feed, "event: state\ndata: "), "running");
    say(&scene, "printf 'one\\n'");
    (void)feed_await(feed, "id: 4\nevent: output\ndata: \"one\\n\"\n\n");
    say(&scene, "printf 'a\\303'");
    (void)feed_await(feed, "id: 5\nevent: output\ndata: \"a\"\n\n");
    say(&scene, "printf '\\251'");
    (void)feed_await(feed, "id: 7\nevent: output\ndata: \"\xc3\xa9\"\n\n");
    say(&scene, "printf '\\377\\000z'");
    (void)feed_await(feed, "id: 9\nevent: output\ndata: {\"base64\":\"/wA=\"}\n\n");
    (void)feed_await(feed, "id: 10\nevent: output\ndata: \"z\"\n\n");
    say(&scene, "printf '\\303'; exit 3");
    (void)feed_await(feed, "id: 11\nevent: output\ndata: {\"base64\":\"ww==\"}\n\n");
    assert_job(feed_await(feed, "event: end\ndata: "), "failed");
    (void)feed_await_end(feed);
    struct feed *again = follow(&scene, id, EVENTS "Last-Event-ID: 9\r\n");
    (void)feed_await_end(again);
    assert_null(strstr(again->text, "base64\":\"/wA"));
    (void)feed_await(again, "id: 10\nevent: output\ndata: \"z\"\n\n");
    assert_job(feed_await(again, "event: end\ndata: "), "failed");
    assert_int_equal(client_send(scene.client, "GET", output_of(id),
                                 FIELDS("Accept: text/event-stream", "Last-Event-ID: x"), NULL)
                         ->status,
                     400);
    feed_close(feed);
    feed_close(again);
    end(&scene);
}

/* Who asks before it runs gets it from the beginning; who wants the next attempt's asks again. */
static void a_job_that_waits_is_waited_for(void **state)
{
    struct scene scene = begin("--backoff", "1ms..1ms");
    assert_int_equal(client_post(scene.client, "/queues/default/pause")->status, 200);
    uint64_t id = client_put(scene.client, "/do?attempts=2");
    struct feed *feed = follow(&scene, id, ""), *events = follow(&scene, id, EVENTS);
    (void)state;
    (void)feed_body(feed);
    assert_non_null(strstr(feed->text, "\r\nJobd-Attempt: 1\r\n"));
    assert_job(feed_await(events, "event: state\ndata: "), "queued");
    assert_int_equal(client_post(scene.client, "/queues/default/resume")->status, 200);
    assert_job(feed_await(events, "event: state\ndata: "), "running");
    say(&scene, "echo first");
    (void)feed_await(feed, "first\n");
    say(&scene, "exit 1");
    assert_string_equal(feed_await_end(feed), "");
    (void)feed_await(events, "event: end\n");
    struct feed *next = follow(&scene, id, "");
    (void)feed_body(next);
    assert_non_null(strstr(next->text, "\r\nJobd-Attempt: 2\r\n"));
    say(&scene, "echo second; exit 0");
    assert_string_equal(feed_await_end(next), "second\n");
    feed_close(feed);
    feed_close(events);
    feed_close(next);
    end(&scene);
}

static void one_that_never_runs_has_no_output(void **state)
{
    struct server *server = server_start("-w", "0", "-q", "10");
    struct client *client = client_new(server);
    uint64_t id = client_put(client, "/do");
    struct feed *feed = feed_open(server, output_of(id), ""),
                *events = feed_open(server, output_of(id), EVENTS);
    char path[64];
    (void)state;
    (void)feed_body(feed);
    (void)feed_await(events, "event: state\n");
    snprintf(path, sizeof path, "/jobs/%llu", (unsigned long long)id);
    assert_int_equal(client_send(client, "DELETE", path, NULL, NULL)->status, 200);
    assert_string_equal(feed_await_end(feed), "");
    assert_job(feed_await(events, "event: end\ndata: "), "cancelled");
    assert_answer(client_get(client, output_of(id)), 200, "");
    assert_int_equal(client_get(client, "/jobs/1/output?follow")->status, 404);
    snprintf(path, sizeof path, "/jobs/%llu/output?follow=maybe", (unsigned long long)id);
    assert_answer(client_get(client, path), 400,
                  "invalid follow: expected true, false or nothing\n");
    feed_close(feed);
    feed_close(events);
    client_free(client);
}

/* What is forgotten at once has an end, too. */
static void the_end_of_what_is_forgotten(void **state)
{
    struct scene scene = begin("--keep", "0");
    uint64_t id = client_put(scene.client, "/do");
    struct feed *feed = follow(&scene, id, EVENTS);
    (void)state;
    (void)feed_await(feed, "event: state\n");
    say(&scene, "echo all; exit 0");
    (void)feed_await(feed, "data: \"all\\n\"\n");
    assert_job(feed_await(feed, "event: end\ndata: "), "done");
    (void)feed_await_end(feed);
    feed_close(feed);
    end(&scene);
}

/* Past --output-limit nothing more comes; the end says so. */
static void no_more_than_the_limit(void **state)
{
    struct scene scene = begin("--output-limit", "3000");
    uint64_t id = client_put(scene.client, "/do");
    struct feed *feed = follow(&scene, id, ""), *events = follow(&scene, id, EVENTS);
    (void)state;
    (void)feed_body(feed);
    (void)feed_await(events, "event: state\n");
    say(&scene, "head -c 9000 /dev/zero | tr '\\0' x; exit 0");
    assert_int_equal(strspn(feed_await_end(feed), "x"), 3000);
    (void)feed_await(events, "id: 3000\n");
    (void)feed_await(events, "event: end\n");
    (void)feed_await(events, "\"output_truncated\":true");
    feed_close(feed);
    feed_close(events);
    end(&scene);
}

/* What a remote worker appends, and says of its progress. */
static void of_a_remote_worker(void **state)
{
    struct server *server = server_start("-w", "0", "-q", "10");
    struct client *client = client_new(server);
    uint64_t id = client_put(client, "/do");
    struct feed *feed = feed_open(server, output_of(id), EVENTS),
                *bytes = feed_open(server, output_of(id), "");
    char lease[256], path[300];
    (void)state;
    (void)feed_await(feed, "event: state\n");
    (void)feed_body(bytes);
    answer_field(client_post(client, "/take"), "Location", lease);
    snprintf(path, sizeof path, "%s/output", lease);
    assert_int_equal(client_send(client, "POST", path, NULL, "some")->status, 200);
    (void)feed_await(feed, "id: 4\nevent: output\ndata: \"some\"\n\n");
    (void)feed_await(bytes, "some");
    snprintf(path, sizeof path, "%s/progress", lease);
    assert_int_equal(client_send(client, "POST", path, NULL, "half of it")->status, 200);
    (void)feed_await(feed, "event: progress\ndata: \"half of it\"\n\n");
    assert_int_equal(client_send(client, "POST", path, NULL, "")->status, 200); /* taken back */
    (void)feed_await(feed, "event: progress\ndata: \"\"\n\n");
    snprintf(path, sizeof path, "%s/output", lease);
    assert_int_equal(client_send(client, "POST", path, NULL, " more")->status, 200);
    (void)feed_await(feed, "id: 9\nevent: output\ndata: \" more\"\n\n");
    snprintf(path, sizeof path, "%s/done", lease);
    assert_int_equal(client_post(client, path)->status, 200);
    assert_job(feed_await(feed, "event: end\ndata: "), "done");
    assert_string_equal(feed_await_end(bytes), " more");
    feed_close(feed);
    feed_close(bytes);
    client_free(client);
}

/* Many, of whom one does not read, and of whom others leave. */
static void many_follow_one(void **state)
{
    enum { MANY = 60 };
    struct scene scene = begin("--max-streams", "60");
    uint64_t id = client_put(scene.client, "/do");
    struct feed *feeds[MANY];
    (void)state;
    for (int i = 0; i < MANY; i++) {
        feeds[i] = follow(&scene, id, i % 2 == 0 ? "" : EVENTS);
        (void)feed_body(feeds[i]);
    }
    const struct answer *answer = client_get(scene.client, output_of(id));
    assert_int_equal(answer->status, 503);
    assert_non_null(strstr(answer->body, "--max-streams"));
    for (int i = 0; i < 20; i++)
        feed_close(feeds[i]);
    client_await_metric(scene.client, "jobd_streams", MANY - 20);
    for (int i = 0; i < 50; i++)
        say(&scene, "echo line");
    say(&scene, "echo over; exit 0");
    for (int i = 20; i < MANY; i++) {
        (void)feed_await(feeds[i], "over");
        (void)feed_await_end(feeds[i]);
        feed_close(feeds[i]);
    }
    client_await_metric(scene.client, "jobd_streams", 0);
    end(&scene);
}

static void a_drain_ends_them(void **state)
{
    struct scene scene = begin("--grace", "0s");
    uint64_t id = client_put(scene.client, "/do");
    struct feed *feed = follow(&scene, id, ""), *events = follow(&scene, id, EVENTS);
    (void)state;
    (void)feed_body(feed);
    (void)feed_await(events, "event: state\n");
    server_signal(scene.server, SIGTERM);
    (void)feed_await_end(feed);
    (void)feed_await_end(events);
    (void)server_wait(scene.server);
    feed_close(feed);
    feed_close(events);
    end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(each_line_comes_when_it_is_printed, server_stop_all),
        cmocka_unit_test_teardown(it_is_chunked, server_stop_all),
        cmocka_unit_test_teardown(it_goes_on_from_a_byte, server_stop_all),
        cmocka_unit_test_teardown(as_events, server_stop_all),
        cmocka_unit_test_teardown(a_job_that_waits_is_waited_for, server_stop_all),
        cmocka_unit_test_teardown(one_that_never_runs_has_no_output, server_stop_all),
        cmocka_unit_test_teardown(the_end_of_what_is_forgotten, server_stop_all),
        cmocka_unit_test_teardown(no_more_than_the_limit, server_stop_all),
        cmocka_unit_test_teardown(of_a_remote_worker, server_stop_all),
        cmocka_unit_test_teardown(many_follow_one, server_stop_all),
        cmocka_unit_test_teardown(a_drain_ends_them, server_stop_all),
    };
    return cmocka_run_group_tests_name("follow", tests, NULL, NULL);
}
