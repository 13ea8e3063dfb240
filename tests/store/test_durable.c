/* SPDX-License-Identifier: MIT */
/* A server that keeps its jobs on disk, from outside: killed, stopped and started again, on disks
 * that are full, taken, or not there. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/server.h"

enum { PATH_SIZE = 160 };

static char folder[PATH_SIZE];
static unsigned folders;

static void fresh_folder(void)
{
    snprintf(folder, sizeof folder, "%s/durable-%u", temporary_directory(), ++folders);
}

static struct server *start_with(const char *const *more)
{
    const char *arguments[32] = {"-l", "127.0.0.1:0", "-d", folder};
    size_t used = 4;
    for (; *more != NULL; more++)
        arguments[used++] = *more;
    struct server *server = server_spawn(&(struct server_plan){.arguments = arguments});
    server_await_listening(server);
    return server;
}

#define start_durable(...) start_with((const char *const[]){__VA_ARGS__, NULL})

static void kill_it(struct server *server, struct client *client)
{
    server_kill(server);
    client_free(client);
}

/* ---- started again */

static void a_killed_server_goes_on_where_it_was(void **state)
{
    char line[SERVER_LINE_SIZE];
    (void)state;
    fresh_folder();
    struct server *server = start_durable("-q", "100", "--sleep", "1h");
    struct client *client = client_new(server);
    uint64_t runs = client_put(client, "/do?attempts=2");
    client_await_state(client, runs, "running"); /* or the next would be first */
    uint64_t waits = client_put(client, "/do?priority=1"),
             later = client_put(client, "/do?delay=1h&attempts=7&timeout=2m");
    kill_it(server, client);

    server = start_durable("-q", "100", "--sleep", "1ms");
    client = client_new(server);
    client_await_state(client, runs, "done");
    client_await_state(client, waits, "done");
    const cJSON *job = client_job(client, runs);
    assert_int_equal(json_number(job, "attempt"), 2); /* the one that was killed counts */
    job = client_job(client, later);
    assert_string_equal(json_string(job, "state"), "scheduled");
    assert_int_equal(json_number(job, "attempts"), 7);
    server_await_line(server, ERR, "3 jobs in", line);
    client_free(client);
}

static void all_of_a_job_comes_back(void **state)
{
    (void)state;
    fresh_folder();
    struct server *server = start_durable("-q", "100", "-w", "0");
    struct client *client = client_new(server);
    const char *const fields[] = {
        "Idempotency-Key: \"one\"", "Content-Type: image/x-thing",
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", NULL};
    const struct answer *answer = client_send(client, "POST", "/do?attempts=3", fields, "payload");
    assert_int_equal(answer->status, 202);
    uint64_t id = answer_job(answer);
    kill_it(server, client);

    server = start_durable("-q", "100", "-w", "0");
    client = client_new(server);
    const cJSON *job = client_job(client, id);
    assert_string_equal(json_string(job, "trace"),
                        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    assert_int_equal(json_number(job, "attempts"), 3);
    answer = client_send(client, "POST", "/do", fields, "payload"); /* the same job */
    assert_int_equal(answer->status, 202);
    assert_true(answer_job(answer) == id);
    answer = client_send(client, "POST", "/do", fields, "another");
    assert_int_equal(answer->status, 422);
    answer = client_post(client, "/take");
    assert_answer(answer, 200, "payload");
    assert_field(answer, "Content-Type", "image/x-thing");
    client_free(client);
}

static void assert_paused(struct client *client, bool paused)
{
    const cJSON *queue = client_json(client, "/queues/default");
    assert_int_equal(cJSON_IsTrue(cJSON_GetObjectItem(queue, "paused")), paused);
}

static struct client *begin_again(struct server **server, struct client *client)
{
    kill_it(*server, client);
    *server = start_durable("-q", "100", "--sleep", "1ms");
    return client_new(*server);
}

static void a_pause_outlives_a_restart(void **state)
{
    (void)state;
    fresh_folder();
    struct server *server = start_durable("-q", "100", "--sleep", "1ms");
    struct client *client = client_new(server);
    assert_answer(client_post(client, "/queues/default/pause"), 200, "paused\n");
    client = begin_again(&server, client);
    assert_paused(client, true);
    uint64_t id = client_put(client, "/do");
    assert_answer(client_post(client, "/queues/default/resume"), 200, "resumed\n");
    client_await_state(client, id, "done");
    client = begin_again(&server, client);
    assert_paused(client, false);
    assert_answer(client_post(client, "/queues/pause"), 200, "paused\n");
    client = begin_again(&server, client);
    assert_paused(client, true);
    id = client_put(client, "/do");
    assert_answer(client_post(client, "/queues/resume"), 200, "resumed\n");
    client_await_state(client, id, "done");
    client_free(client);
}

static void a_lease_outlives_a_restart(void **state)
{
    char room[256], path[300];
    (void)state;
    fresh_folder();
    struct server *server = start_durable("-q", "100", "-w", "0");
    struct client *client = client_new(server);
    uint64_t id = client_put(client, "/do");
    const struct answer *answer = client_post(client, "/take?lease=1h");
    assert_int_equal(answer->status, 200);
    snprintf(path, sizeof path, "%s/done", answer_field(answer, "Location", room));
    server_signal(server, SIGTERM); /* it does not wait for whoever has it */
    assert_int_equal(server_wait(server), 0);
    client_free(client);

    server = start_durable("-q", "100", "-w", "0");
    client = client_new(server);
    assert_int_equal(client_send(client, "POST", path, NULL, "the output")->status, 200);
    kill_it(server, client);

    server = start_durable("-q", "100", "-w", "0");
    client = client_new(server);
    assert_string_equal(json_string(client_job(client, id), "state"), "done");
    snprintf(path, sizeof path, "/jobs/%llu/output", (unsigned long long)id);
    assert_answer(client_get(client, path), 200, "the output");
    client_free(client);
}

static void what_waits_for_nobody_does_not_wait_after_a_restart(void **state)
{
    char target[200], path[64];
    (void)state;
    fresh_folder();
    struct server *server = start_durable("-q", "100", "-w", "0");
    struct client *client = client_new(server);
    uint64_t parent = client_put(client, "/do");
    snprintf(path, sizeof path, "/jobs/%llu", (unsigned long long)parent);
    assert_int_equal(client_send(client, "DELETE", path, NULL, NULL)->status, 200);
    snprintf(target, sizeof target, "/do?if=ended&after=/jobs/%llu", (unsigned long long)parent);
    assert_int_equal(client_put(client, target), parent + 1);
    const char *const key[] = {"Idempotency-Key: k", NULL};
    uint64_t replaced = answer_job(client_send(client, "POST", "/do?unique=waiting", key, NULL));
    snprintf(target, sizeof target, "/do?unique=waiting&again=replace&if=ended&after=/jobs/%llu",
             (unsigned long long)parent);
    assert_int_equal(answer_job(client_send(client, "POST", target, key, NULL)), replaced);
    snprintf(path, sizeof path, "/jobs/%llu/retry", (unsigned long long)parent);
    assert_int_equal(client_post(client, path)->status, 202);
    kill_it(server, client);
    server = start_durable("-q", "100", "-w", "0");
    client = client_new(server);
    for (uint64_t id = parent; id <= replaced; id++) /* with the child between them */
        assert_string_equal(json_string(client_job(client, id), "state"), "queued");
    client_free(client);
}

static void a_retried_job_says_nothing_of_the_attempt_before(void **state)
{
    char room[256], path[300];
    (void)state;
    fresh_folder();
    struct server *server = start_durable("-q", "100", "-w", "0");
    struct client *client = client_new(server);
    const uint64_t id = client_put(client, "/do");
    answer_field(client_post(client, "/take?worker=box7"), "Location", room);
    for (unsigned i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s%s", room, i == 0 ? "/progress" : "/fail");
        assert_int_equal(client_send(client, "POST", path, NULL, "half")->status, 200);
    }
    snprintf(path, sizeof path, "/jobs/%llu/retry", (unsigned long long)id);
    assert_int_equal(client_post(client, path)->status, 202);
    kill_it(server, client);
    server = start_durable("-q", "100", "-w", "0");
    client = client_new(server);
    const cJSON *job = client_job(client, id);
    assert_null(cJSON_GetObjectItem(job, "worker"));
    assert_null(cJSON_GetObjectItem(job, "progress"));
    client_free(client);
}

/* The job is for the next start: who waits for its end is told how it is. */
static void a_stop_answers_who_waits(void **state)
{
    enum { WAITING = 4 };
    static const int expected[WAITING] = {200, 200, 202, 202};
    static struct raw raw;
    char asks[WAITING][200];
    int fds[WAITING];
    (void)state;
    fresh_folder();
    struct server *server = start_durable("-q", "100", "-w", "0");
    struct client *client = client_new(server);
    const struct answer *answer =
        client_send(client, "POST", "/do", FIELDS("Idempotency-Key: first"), NULL);
    unsigned long long id = answer_job(answer);
    assert_int_equal(client_send(client, "POST", "/do?batch=lines", NULL, "a\nb\n")->status, 202);
    snprintf(asks[0], sizeof *asks, "GET /jobs/%llu?wait=10m HTTP/1.1\r\nHost: localhost\r\n\r\n",
             id);
    snprintf(asks[1], sizeof *asks,
             "GET /batches/%llu?wait=10m HTTP/1.1\r\nHost: localhost\r\n\r\n", id + 1);
    for (int i = 2; i < WAITING; i++)
        snprintf(
            asks[i], sizeof *asks,
            "POST /do HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=600\r\nIdempotency-Key: %s\r\n"
            "Content-Length: 0\r\n\r\n",
            i == 2 ? "second" : "first");
    for (int i = 0; i < WAITING; i++) {
        fds[i] = raw_connect(server);
        assert_true(raw_send(fds[i], asks[i]));
    }
    client_await_metric(client, "jobd_requests_parked", WAITING);
    server_signal(server, SIGTERM);
    for (int i = 0; i < WAITING; i++) {
        raw_read_answer(fds[i], &raw);
        assert_int_equal(raw_status(raw.text), expected[i]);
        close(fds[i]);
    }
    assert_int_equal(server_wait(server), 0);
    client_free(client);
}

static void a_stop_puts_back_what_runs_too_long(void **state)
{
    (void)state;
    fresh_folder();
    struct server *server =
        start_durable("-q", "100", "--grace", "50ms", "--", "/bin/sleep", "600");
    struct client *client = client_new(server);
    uint64_t id = client_put(client, "/do"), second = client_put(client, "/do");
    client_await_state(client, id, "running");
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0); /* nothing is lost */
    client_free(client);

    server = start_durable("-q", "100", "-w", "0");
    client = client_new(server);
    const cJSON *job = client_job(client, id);
    assert_string_equal(json_string(job, "state"), "queued");
    assert_int_equal(json_number(job, "attempt"), 0); /* not counted */
    assert_string_equal(json_string(client_job(client, second), "state"), "queued");
    client_free(client);
}

static void a_cancel_that_was_acknowledged_stays(void **state)
{
    char path[64];
    (void)state;
    fresh_folder();
    struct server *server =
        start_durable("-q", "100", "--", "/bin/sh", "-c", "trap '' TERM; sleep 600 & wait; wait");
    struct client *client = client_new(server);
    uint64_t id = client_put(client, "/do?attempts=5");
    client_await_state(client, id, "running");
    snprintf(path, sizeof path, "/jobs/%llu", (unsigned long long)id);
    assert_int_equal(client_send(client, "DELETE", path, NULL, NULL)->status, 202);
    kill_it(server, client); /* before it has stopped */

    server = start_durable("-q", "100");
    client = client_new(server);
    client_await_state(client, id, "cancelled");
    client_free(client);
}

static void who_waits_for_an_end_waits_for_the_disk(void **state)
{
    (void)state;
    fresh_folder();
    struct server *server = start_durable("-q", "100", "--", "/bin/cat");
    struct client *client = client_new(server);
    const struct answer *answer =
        client_send(client, "POST", "/do", FIELDS("Prefer: wait=20"), "hello");
    assert_answer(answer, 200, "hello");
    char room[256], path[300];
    snprintf(path, sizeof path, "%s/output", answer_field(answer, "Location", room));
    kill_it(server, client);
    server = start_durable("-q", "100", "-w", "0");
    client = client_new(server);
    assert_answer(client_get(client, path), 200, "hello");
    client_free(client);
}

static void the_other_ways_to_sync(void **state)
{
    static const char *const ways[] = {"1s", "off"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        char line[SERVER_LINE_SIZE];
        fresh_folder();
        struct server *server = start_durable("-q", "100", "-w", "0", "--sync", ways[i]);
        struct client *client = client_new(server);
        uint64_t id = client_put(client, "/do");
        server_await_line(server, ERR, i == 0 ? "--sync 1s" : "--sync off", line);
        kill_it(server, client); /* the system has it */
        server = start_durable("-q", "100", "-w", "0");
        client = client_new(server);
        assert_string_equal(json_string(client_job(client, id), "state"), "queued");
        client_free(client);
    }
}

/* ---- disks that do not do */

static void one_server_a_directory(void **state)
{
    char *out, *err;
    (void)state;
    fresh_folder();
    struct server *server = start_durable("-w", "0");
    const char *const arguments[] = {"-l", "127.0.0.1:0", "-d", folder, NULL};
    assert_int_equal(server_run(arguments, NULL, &out, &err), 1);
    assert_non_null(strstr(err, folder));
    assert_non_null(strstr(err, "in use by another jobd"));
    assert_true(server_runs(server));
    free(out);
    free(err);
}

static void a_foreign_file_is_left_alone(void **state)
{
    char *out, *err, path[PATH_SIZE + 16], text[32] = "";
    (void)state;
    fresh_folder();
    assert_int_equal(mkdir(folder, 0700), 0);
    snprintf(path, sizeof path, "%s/jobd.db", folder);
    FILE *file = fopen(path, "we");
    fputs("not a database at all, but mine", file);
    fclose(file);
    const char *const arguments[] = {"-l", "127.0.0.1:0", "-d", folder, NULL};
    assert_int_equal(server_run(arguments, NULL, &out, &err), 1);
    assert_non_null(strstr(err, path));
    assert_non_null(strstr(err, "not an SQLite database"));
    file = fopen(path, "re");
    assert_non_null(fgets(text, sizeof text, file));
    fclose(file);
    assert_string_equal(text, "not a database at all, but mine");
    free(out);
    free(err);
}

static void a_directory_that_cannot_be_written(void **state)
{
    char *out, *err;
    (void)state;
    fresh_folder();
    assert_int_equal(mkdir(folder, 0700), 0);
    if (mount("none", folder, "tmpfs", MS_RDONLY, NULL) != 0)
        skip();
    const char *const arguments[] = {"-l", "127.0.0.1:0", "-d", folder, NULL};
    assert_int_equal(server_run(arguments, NULL, &out, &err), 1);
    assert_int_equal(umount(folder), 0);
    assert_non_null(strstr(err, "Read-only file system"));
    free(out);
    free(err);
}

/* Puts until the server says that the disk is full. */
static void fill(struct client *client)
{
    char *payload = raw_filled("", 'x', 60000, "");
    long status = 202;
    for (int i = 0; i < 2000 && status == 202; i++) {
        const struct answer *answer = client_send(client, "POST", "/do", NULL, payload);
        status = answer->status;
        if (status == 503)
            assert_string_equal(answer->body, "the disk is full\n");
    }
    assert_int_equal(status, 503);
    free(payload);
}

static void a_full_disk_lets_jobs_end(void **state)
{
    char room[256], leased[300], path[64];
    char line[SERVER_LINE_SIZE];
    (void)state;
    fresh_folder();
    assert_int_equal(mkdir(folder, 0700), 0);
    if (mount("none", folder, "tmpfs", 0, "size=12m") != 0)
        skip();
    struct server *server =
        start_durable("-q", "10000", "-w", "0", "--memory", "1GiB", "--keep", "100000");
    struct client *client = client_new(server);
    uint64_t first = client_put(client, "/do"), second = client_put(client, "/do");
    const struct answer *answer = client_post(client, "/take");
    snprintf(leased, sizeof leased, "%s/done", answer_field(answer, "Location", room));
    fill(client);
    assert_answer(client_get(client, "/readyz"), 503, "the disk is full\n");
    assert_int_equal(client_metric(client, "jobd_store_failing"), 1);
    assert_int_equal(client_post(client, "/do")->status, 503);

    assert_answer(client_send(client, "POST", leased, NULL, "out"), 200, "done\n");
    snprintf(path, sizeof path, "/jobs/%llu", (unsigned long long)second);
    assert_int_equal(client_send(client, "DELETE", path, NULL, NULL)->status, 200);
    assert_string_equal(json_string(client_job(client, first), "state"), "done");
    assert_int_equal(server_count_lines(server, ERR, "the disk is full"), 1);

    assert_int_equal(mount("none", folder, "tmpfs", MS_REMOUNT, "size=64m"), 0);
    server_await_line(server, ERR, "recovered", line);
    uint64_t third = client_put(client, "/do");
    kill_it(server, client);

    server = start_durable("-q", "10000", "-w", "0", "--memory", "1GiB", "--keep", "100000");
    client = client_new(server);
    assert_string_equal(json_string(client_job(client, first), "state"), "done");
    assert_string_equal(json_string(client_job(client, second), "state"), "cancelled");
    assert_string_equal(json_string(client_job(client, third), "state"), "queued");
    kill_it(server, client);
    assert_int_equal(umount(folder), 0);
}

static const char *file_named(const char *name)
{
    static char path[PATH_SIZE + 16];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* Puts until it is noticed: how many were let in. */
static unsigned put_until_gone(struct client *client, const char *reason)
{
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    const struct answer *answer;
    unsigned puts = 0;
    for (; (answer = client_post(client, "/do?delay=1h"))->status == 202; puts++)
        look_again(deadline_ms, "a put that is refused");
    assert_answer(answer, 503, reason);
    assert_answer(client_get(client, "/readyz"), 503, reason);
    return puts;
}

static void deleted_files_are_noticed(void **state)
{
    static const struct {
        const char *file, *reason, *sync, *last;
    } rows[] = {
        {"jobd.db", "the store fails: jobd.db is gone\n", "commit", "jobs lost: jobd.db is gone"},
        {"jobd.db-wal", "the store fails: jobd.db-wal is gone\n", "1s",
         "jobs lost: jobd.db-wal is gone"},
    };
    char line[SERVER_LINE_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        fresh_folder();
        struct server *server = start_durable("-q", "100000", "--sync", rows[i].sync);
        struct client *client = client_new(server);
        client_put(client, "/do?delay=1h");
        assert_int_equal(unlink(file_named(rows[i].file)), 0);
        unsigned puts = 1 + put_until_gone(client, rows[i].reason);
        server_await_line(server, ERR, "is gone: rejecting new jobs until it recovers", line);
        client_free(client);
        server_signal(server, SIGTERM);
        assert_int_equal(server_wait(server), 1);
        server_last_line(server, ERR, line);
        assert_non_null(strstr(line, rows[i].last));
        assert_int_equal(strtoul(strstr(line, "stopped: ") + strlen("stopped: "), NULL, 10), puts);
        assert_int_equal(server_count_lines(server, ERR, "on disk"), 0);
        assert_int_equal(access(file_named(rows[i].file), F_OK), -1); /* not made anew */
    }
}

static void a_file_that_comes_back_goes_on(void **state)
{
    char line[SERVER_LINE_SIZE], away[PATH_SIZE + 16];
    (void)state;
    fresh_folder();
    struct server *server = start_durable("-q", "100000");
    struct client *client = client_new(server);
    snprintf(away, sizeof away, "%s/away", folder);
    assert_int_equal(rename(file_named("jobd.db"), away), 0);
    unsigned puts = put_until_gone(client, "the store fails: jobd.db is gone\n");
    assert_int_equal(rename(away, file_named("jobd.db")), 0);
    server_await_line(server, ERR, "recovered", line);
    assert_answer(client_get(client, "/readyz"), 200, NULL);
    client_put(client, "/do?delay=1h");
    client_free(client);
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0);
    server = start_durable("-q", "100000");
    client = client_new(server);
    assert_int_equal(client_metric(client, "jobd_queue_scheduled{queue=\"default\"}"), puts + 1);
    client_free(client);
}

static void queues_that_are_not_declared_stay(void **state)
{
    char line[SERVER_LINE_SIZE];
    (void)state;
    fresh_folder();
    const char *two = temporary_file("two.json", "{\"queues\": {\"default\": {\"workers\": 0},"
                                                 " \"mail\": {\"workers\": 0}}}");
    struct server *server = start_durable("-c", two);
    struct client *client = client_new(server);
    uint64_t id = client_put(client, "/do/mail");
    kill_it(server, client);
    server = start_durable("-w", "0");
    server_await_line(server, ERR, "1 job belongs to queue mail, which is not declared", line);
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0);
    server = start_durable("-c", two);
    client = client_new(server);
    assert_string_equal(json_string(client_job(client, id), "queue"), "mail");
    client_free(client);
}

static void what_is_remembered_has_an_end(void **state)
{
    char path[64];
    (void)state;
    fresh_folder();
    struct server *server = start_durable("--sleep", "0ms");
    struct client *client = client_new(server);
    uint64_t id = client_put(client, "/do");
    client_await_state(client, id, "done");
    kill_it(server, client);
    server = start_durable("--sleep", "0ms", "--keep-for", "50ms");
    client = client_new(server);
    client_await_forgotten(client, id);
    uint64_t later = client_put(client, "/do");
    client_await_forgotten(client, later);
    client_await_metric(client, "jobd_payload_bytes", 0);
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0);
    client_free(client);
    server = start_durable("-w", "0"); /* off the disk, too */
    client = client_new(server);
    snprintf(path, sizeof path, "/jobs/%llu", (unsigned long long)id);
    assert_int_equal(client_get(client, path)->status, 404);
    snprintf(path, sizeof path, "/jobs/%llu", (unsigned long long)later);
    assert_int_equal(client_get(client, path)->status, 404);
    client_free(client);
}

#define DURABLE(test) cmocka_unit_test_teardown(test, server_stop_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DURABLE(what_is_remembered_has_an_end),
        DURABLE(a_killed_server_goes_on_where_it_was),
        DURABLE(all_of_a_job_comes_back),
        DURABLE(a_pause_outlives_a_restart),
        DURABLE(a_lease_outlives_a_restart),
        DURABLE(what_waits_for_nobody_does_not_wait_after_a_restart),
        DURABLE(a_retried_job_says_nothing_of_the_attempt_before),
        DURABLE(a_stop_answers_who_waits),
        DURABLE(a_stop_puts_back_what_runs_too_long),
        DURABLE(a_cancel_that_was_acknowledged_stays),
        DURABLE(who_waits_for_an_end_waits_for_the_disk),
        DURABLE(the_other_ways_to_sync),
        DURABLE(one_server_a_directory),
        DURABLE(a_foreign_file_is_left_alone),
        DURABLE(a_directory_that_cannot_be_written),
        DURABLE(a_full_disk_lets_jobs_end),
        DURABLE(deleted_files_are_noticed),
        DURABLE(a_file_that_comes_back_goes_on),
        DURABLE(queues_that_are_not_declared_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
