/* SPDX-License-Identifier: MIT */
/* Commands and web services as the jobs of a server: what a user of each gets. */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/server.h"
#include "support/service.h"

#define LISTEN       "-l", "127.0.0.1:0"
#define WAIT         FIELDS("Prefer: wait=15")
#define COMMAND(...) WORDS(LISTEN, "--backoff", "1ms..2ms", __VA_ARGS__)

static struct server *start(const char *const *arguments)
{
    struct server *server = server_spawn(&(struct server_plan){.arguments = arguments});
    server_await_listening(server);
    return server;
}

static const char *job_path(uint64_t id, const char *part)
{
    static char path[64];
    snprintf(path, sizeof path, "/jobs/%llu%s", (unsigned long long)id, part);
    return path;
}

/* ---- commands */

static void a_command_in_the_background(void **state)
{
    struct server *server = start(COMMAND("--", "tr", "a-z", "A-Z"));
    struct client *client = client_new(server);
    (void)state;
    const struct answer *answer = client_send(client, "POST", "/do", WAIT, "hello");
    assert_answer(answer, 200, "HELLO");
    assert_field(answer, "Content-Type", "text/plain; charset=utf-8");
    uint64_t id = answer_job(client_send(client, "POST", "/do", NULL, "once more"));
    client_await_state(client, id, "done");
    assert_int_equal(json_number(client_job(client, id), "exit_code"), 0);
    assert_int_equal(json_number(client_job(client, id), "output_bytes"), 9);
    assert_answer(client_get(client, job_path(id, "/output")), 200, "ONCE MORE");
    client_free(client);
}

/* Whoever waits for the end has the output, though nothing is remembered. */
static void an_output_outlives_its_job(void **state)
{
    struct server *server = start(COMMAND("--keep", "0", "--", "echo", "words"));
    struct client *client = client_new(server);
    (void)state;
    for (int i = 0; i < 20; i++) {
        const struct answer *answer = client_send(client, "POST", "/do", WAIT, NULL);
        assert_answer(answer, 200, "words\n");
        assert_field(answer, "Jobd-State", "done");
        assert_answer(client_get(client, job_path(answer_job(answer), "")), 404, NULL);
    }
    client_free(client);
}

static void await_size(const char *path, size_t bytes)
{
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    struct stat file;
    while (stat(path, &file) != 0 || (size_t)file.st_size < bytes)
        look_again(deadline_ms, "a file to grow");
}

/* What nobody is there for any more is given back: the sanitizer would say so. While the server
 * stands still the commands end and the clients leave, so that it finds both at once. */
static void who_waits_for_an_output_may_leave(void **state)
{
    enum { CLIENTS = 16, ROUNDS = 3 };
    const char *go = temporary_file("go", ""), *said = temporary_file("said", "");
    char script[512];
    int fds[CLIENTS];
    (void)state;
    snprintf(script, sizeof script,
             "echo >>%s; while [ ! -e %s ]; do sleep 0.01; done; echo words; echo >>%s", said, go,
             said);
    struct server *server =
        start(COMMAND("-w", "16", "-q", "16", "--keep", "0", "--", "sh", "-c", script));
    struct client *client = client_new(server);
    for (size_t round = 0; round < ROUNDS; round++) {
        assert_int_equal(unlink(go), 0);
        for (int i = 0; i < CLIENTS; i++) {
            fds[i] = raw_connect(server);
            assert_true(raw_send(fds[i], "POST /do HTTP/1.1\r\nHost: localhost\r\n"
                                         "Prefer: wait=15\r\nContent-Length: 0\r\n\r\n"));
        }
        await_size(said, (2 * round + 1) * CLIENTS);
        server_suspend(server);
        temporary_file("go", "");
        await_size(said, (2 * round + 2) * CLIENTS);
        for (int i = 0; i < CLIENTS; i++)
            close(fds[i]);
        server_signal(server, SIGCONT);
        client_await_metric(client, "jobd_connections", 1);
        client_await_metric(client, "jobd_jobs_done_total{queue=\"default\"}",
                            (double)(round + 1) * CLIENTS);
        client_await_metric(client, "jobd_requests_parked", 0);
    }
    client_free(client);
}

/* Its second attempt finds what the first has left. */
static void a_command_that_fails_is_tried_again(void **state)
{
    char script[256];
    snprintf(script, sizeof script,
             "test $JOBD_ATTEMPT = 3 && exit 0; echo no >&2; echo $JOBD_ATTEMPT; exit 4");
    struct server *server = start(COMMAND("--attempts", "2", "--", "sh", "-c", script));
    struct client *client = client_new(server);
    (void)state;
    uint64_t id = answer_job(client_send(client, "POST", "/do", NULL, NULL));
    client_await_state(client, id, "failed");
    const cJSON *job = client_job(client, id);
    assert_int_equal(json_number(job, "attempt"), 2);
    assert_int_equal(json_number(job, "exit_code"), 4);
    assert_string_equal(json_string(job, "error"), "no");
    assert_answer(client_get(client, job_path(id, "/output")), 200, "2\n");
    assert_answer(client_send(client, "POST", "/do", WAIT, NULL), 500, "2\n");
    uint64_t other = client_put(client, "/do?attempts=3");
    client_await_state(client, other, "done");
    client_free(client);
}

static void a_running_command_is_cancelled(void **state)
{
    struct server *server = start(COMMAND("--attempts", "9", "--", "sleep", "600"));
    struct client *client = client_new(server);
    (void)state;
    uint64_t id = client_put(client, "/do");
    client_await_state(client, id, "running");
    assert_answer(client_send(client, "DELETE", job_path(id, ""), NULL, NULL), 202, "stopping\n");
    client_await_state(client, id, "cancelled");
    assert_int_equal(json_number(client_job(client, id), "attempt"), 1);
    client_free(client);
}

static void output_past_the_limit_is_cut(void **state)
{
    struct server *server = start(COMMAND("--output-limit", "3", "--", "echo", "too long"));
    struct client *client = client_new(server);
    (void)state;
    uint64_t id = client_put(client, "/do");
    client_await_state(client, id, "done");
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(client_job(client, id), "output_truncated")));
    const struct answer *answer = client_get(client, job_path(id, "/output"));
    assert_answer(answer, 200, "too");
    assert_field(answer, "Jobd-Output-Truncated", "true");
    answer = client_send(client, "POST", "/do", WAIT, NULL);
    assert_answer(answer, 200, "too");
    assert_field(answer, "Jobd-Output-Truncated", "true");
    client_free(client);
}

/* What fits is kept, however little is left of --memory. */
static void output_past_the_memory_is_cut(void **state)
{
    struct server *server =
        start(COMMAND("--memory", "100KiB", "--output-limit", "100KiB", "-q", "2", "--", "sh", "-c",
                      "head -c 200000 /dev/zero | tr '\\0' x"));
    struct client *client = client_new(server);
    static char payload[50001];
    (void)state;
    for (int attempt = 0; attempt < 2; attempt++) {
        const struct answer *answer = client_send(client, "POST", "/do", WAIT, NULL);
        assert_int_equal(answer->status, 200);
        assert_field(answer, "Jobd-Output-Truncated", "true");
        assert_in_range(answer->size, 90 * 1024, 100 * 1024);
        assert_true(client_metric(client, "jobd_payload_bytes") <= 100 * 1024);
    }
    memset(payload, 'x', sizeof payload - 1);
    assert_int_equal(client_send(client, "POST", "/do?delay=1h", NULL, payload)->status, 202);
    const struct answer *answer = client_send(client, "POST", "/do", WAIT, NULL);
    assert_field(answer, "Jobd-Output-Truncated", "true");
    assert_in_range(answer->size, 40 * 1024, 100 * 1024 - 50000);
    client_free(client);
}

/* What has ended goes, the oldest first, before anything that waits. */
static void outputs_count_for_memory(void **state)
{
    enum { JOBS = 20, OUTPUT = 3000, PAYLOAD = 1000, MEMORY = 10000 };
    struct server *server = start(COMMAND("--memory", "10000", "--max-body", "1000", "-q", "20",
                                          "--", "sh", "-c", "head -c 3000 /dev/zero | tr '\\0' x"));
    struct client *client = client_new(server);
    char payload[PAYLOAD + 1];
    uint64_t ids[JOBS];
    (void)state;
    for (int i = 0; i < JOBS; i++) {
        const struct answer *answer = client_send(client, "POST", "/do", WAIT, NULL);
        assert_int_equal(answer->status, 200);
        assert_int_equal(answer->size, OUTPUT);
        ids[i] = answer_job(answer);
        assert_true(client_metric(client, "jobd_payload_bytes") <= MEMORY);
    }
    assert_answer(client_get(client, job_path(ids[JOBS - 4], "")), 404, NULL);
    assert_int_equal(client_get(client, job_path(ids[JOBS - 3], "/output"))->size, OUTPUT);
    memset(payload, 'p', PAYLOAD);
    payload[PAYLOAD] = '\0';
    assert_int_equal(client_post(client, "/queues/default/pause")->status, 200);
    int waiting = 0; /* a payload's type counts too */
    while (client_send(client, "POST", "/do", NULL, payload)->status == 202)
        waiting++;
    assert_in_range(waiting, MEMORY / PAYLOAD - 2, MEMORY / PAYLOAD);
    assert_int_equal(client_send(client, "POST", "/do", NULL, payload)->status, 429);
    assert_answer(client_get(client, job_path(ids[JOBS - 1], "")), 404, NULL);
    assert_int_equal(client_post(client, "/queues/default/resume")->status, 200);
    client_await_metric(client, "jobd_jobs_done_total{queue=\"default\"}", JOBS + waiting);
    assert_true(client_metric(client, "jobd_payload_bytes") <= MEMORY);
    client_free(client);
}

/* What bytes a command says must not break the JSON that tells of them. */
static void any_bytes_are_an_error(void **state)
{
    struct server *server =
        start(COMMAND("--", "sh", "-c", "printf 'a\\377\"\\n\\001b' >&2; exit 1"));
    struct client *client = client_new(server);
    (void)state;
    uint64_t id = client_put(client, "/do");
    client_await_state(client, id, "failed");
    assert_string_equal(json_string(client_job(client, id), "error"), "a\xef\xbf\xbd\"\n\001b");
    client_free(client);
}

/* A command that runs when the time to drain is over is ended, and counted as lost. */
static void a_drain_ends_commands(void **state)
{
    struct server *server = start(COMMAND("--grace", "100ms", "--", "sleep", "600"));
    struct client *client = client_new(server);
    char line[SERVER_LINE_SIZE];
    (void)state;
    client_await_state(client, client_put(client, "/do"), "running");
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 1);
    server_last_line(server, ERR, line);
    assert_non_null(strstr(line, "stopped: 1 job lost"));
    client_free(client);
}

/* Held by what the command started too: at its end none of them is left. */
static void no_command_outlives_a_second_signal(void **state)
{
    char fifo[512], script[600], line[SERVER_LINE_SIZE];
    (void)state;
    snprintf(fifo, sizeof fifo, "%s/alive", temporary_directory());
    assert_int_equal(mkfifo(fifo, 0600), 0);
    int alive = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(alive >= 0);
    snprintf(script, sizeof script, "exec 9>%s; trap '' TERM; sleep 600 & sleep 600", fifo);
    struct server *server = start(COMMAND("--grace", "10m", "--", "sh", "-c", script));
    struct client *client = client_new(server);
    client_put(client, "/do");
    struct pollfd held = {.fd = alive, .events = POLLIN};
    client_await_state(client, client_put(client, "/do"), "queued");
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    for (char byte; read(alive, &byte, 1) == 0;) /* until the command has opened it */
        look_again(deadline_ms, "the command");
    server_signal(server, SIGTERM);
    server_await_line(server, ERR, "draining", line);
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 1);
    assert_int_equal(poll(&held, 1, PATIENCE_MS), 1);
    assert_int_equal(held.revents, POLLHUP);
    close(alive);
    client_free(client);
}

/* Process 1 reaps what commands leave behind, and never a command that a worker waits for. */
static void process_1_reaps_orphans_only(void **state)
{
    (void)state;
    if (system("unshare --pid --fork --mount-proc true >/dev/null 2>&1") != 0) {
        print_message("skipped: unshare is not allowed here\n");
        skip();
    }
    struct server *server = server_spawn(&(struct server_plan){
        .arguments = COMMAND("-w", "4", "-q", "100", "--", "sh", "-c", "setsid true & exit 7"),
        .wrapper = WORDS("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")});
    server_await_listening(server);
    struct client *client = client_new(server);
    for (int i = 0; i < 40; i++) {
        uint64_t id = client_put(client, "/do");
        client_await_state(client, id, "failed");
        assert_int_equal(json_number(client_job(client, id), "exit_code"), 7);
    }
    char path[64], children[64] = "some";
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", server_child(server),
             server_child(server));
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    for (;;) { /* dead or alive */
        FILE *file = fopen(path, "re");
        assert_non_null(file);
        bool none = fgets(children, sizeof children, file) == NULL;
        fclose(file);
        if (none)
            break;
        look_again(deadline_ms, "orphans to be reaped");
    }
    assert_int_equal(kill(server_child(server), SIGTERM), 0);
    assert_int_equal(server_wait(server), 0);
    client_free(client);
}

/* ---- web services */

static void a_web_service_does_the_work(void **state)
{
    struct service *service = service_start();
    size_t size;
    (void)state;
    service_script(service, SERVICE_SCRIPT({.answer = "HTTP/1.1 200 OK\r\nContent-Type: text/x\r\n"
                                                      "Content-Length: 4\r\n\r\nthey"},
                                           {.answer = "HTTP/1.1 503 Not now\r\n"
                                                      "Content-Length: 0\r\n\r\n"},
                                           {.answer = OK_EMPTY},
                                           {.answer = "HTTP/1.1 404 Not Found\r\n"
                                                      "Content-Length: 0\r\n\r\n"}));
    struct server *server = start(COMMAND("--attempts", "3", "--post", service_url(service)));
    struct client *client = client_new(server);
    const struct answer *answer =
        client_send(client, "POST", "/do",
                    FIELDS("Prefer: wait=15", "Content-Type: text/y", "Idempotency-Key: k1"), "we");
    assert_answer(answer, 200, "they");
    assert_field(answer, "Content-Type", "text/x");
    const char *request = service_request(service, &size);
    assert_non_null(strstr(request, "Content-Type: text/y\r\n"));
    assert_non_null(strstr(request, "Idempotency-Key: \"k1\"\r\n"));
    assert_non_null(strstr(request, "\r\n\r\nwe"));
    uint64_t id = client_put(client, "/do"); /* 503, then 200 */
    client_await_state(client, id, "done");
    assert_int_equal(json_number(client_job(client, id), "attempt"), 2);
    id = client_put(client, "/do"); /* 404: for good */
    client_await_state(client, id, "failed");
    assert_int_equal(json_number(client_job(client, id), "attempt"), 1);
    assert_string_equal(json_string(client_job(client, id), "error"), "404 Not Found");
    client_free(client);
    service_stop(service);
}

/* ---- the file */

static void each_queue_has_its_runner(void **state)
{
    const char *file =
        temporary_file("jobd.json", "{\"listen\": \"127.0.0.1:0\", \"exec\": [\"echo\", \"top\"],\n"
                                    " \"queues\": {\"default\": {},\n"
                                    "   \"own\": {\"exec\": [\"echo\", \"own\", \"words\"]},\n"
                                    "   \"web\": {\"post\": \"http://127.0.0.1:1/\"}}}\n");
    struct server *server = start(WORDS("-c", file));
    struct client *client = client_new(server);
    (void)state;
    assert_answer(client_send(client, "POST", "/do", WAIT, NULL), 200, "top\n");
    assert_answer(client_send(client, "POST", "/do/own", WAIT, NULL), 200, "own words\n");
    const struct answer *answer = client_send(client, "POST", "/do/web", WAIT, NULL);
    assert_int_equal(answer->status, 500);
    assert_non_null(strstr(answer->body, "Connection refused"));
    client_free(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(a_command_in_the_background),
        TEST(an_output_outlives_its_job),
        TEST(who_waits_for_an_output_may_leave),
        TEST(a_command_that_fails_is_tried_again),
        TEST(a_running_command_is_cancelled),
        TEST(output_past_the_limit_is_cut),
        TEST(output_past_the_memory_is_cut),
        TEST(outputs_count_for_memory),
        TEST(any_bytes_are_an_error),
        TEST(a_drain_ends_commands),
        TEST(no_command_outlives_a_second_signal),
        TEST(process_1_reaps_orphans_only),
        TEST(a_web_service_does_the_work),
        TEST(each_queue_has_its_runner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
