/* SPDX-License-Identifier: MIT */
/* `jobd work` does its jobs as the server's own commands would, and whatever becomes of the server,
 * the job or itself, goes on, waits, or ends with a word. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/worker_scene.h"
#include "support/service.h"

/* ---- commands that are told when to go on */

static const char *path_in(const char *name)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, 256, "%s/%s", temporary_directory(), name);
    return path;
}

static void open_gate(void)
{
    FILE *gate = fopen(path_in("gate"), "we");
    assert_non_null(gate);
    assert_int_equal(fclose(gate), 0);
}

/* It says that it runs, and waits for the gate between the two. */
static const char *waiting_script(const char *before, const char *after)
{
    static char script[1024];
    snprintf(script, sizeof script,
             "%s echo $$ >'%s'; mv '%s' '%s'; while [ ! -e '%s' ]; do sleep 0.01; done; %s", before,
             path_in("mine"), path_in("mine"), path_in("pid"), path_in("gate"), after);
    return script;
}

/* Waits until such a script says its process, or that of a helper that has left its session. */
static pid_t await_process(void)
{
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    int pid = 0;
    FILE *file;
    while ((file = fopen(path_in("pid"), "re")) == NULL)
        look_again(deadline_ms, "a process");
    assert_int_equal(fscanf(file, "%d", &pid), 1);
    fclose(file);
    return pid;
}

static const char *escaping_script(void)
{
    static char script[1024];
    snprintf(script, sizeof script,
             "setsid sh -c 'echo $$ >\"%s\"; mv \"%s\" \"%s\"; exec sleep 600' & sleep 600",
             path_in("mine"), path_in("mine"), path_in("pid"));
    return script;
}

static void await_no_process(pid_t pid)
{
    for (int64_t deadline_ms = now_ms() + PATIENCE_MS; kill(pid, 0) == 0;)
        look_again(deadline_ms, "the end of the command");
}

static void cancel(struct client *client, uint64_t id)
{
    char path[64];
    snprintf(path, sizeof path, "/jobs/%llu", (unsigned long long)id);
    assert_answer(client_send(client, "DELETE", path, NULL, NULL), 202, NULL);
}

/* ---- as a runner does */

static void a_job_is_run(void **state)
{
    struct server *server = start_queue("--attempts", "3");
    struct client *client = client_new(server);
    char expected[256];
    (void)state;
    struct server *worker = worker_spawn(
        worker_url(server), FIELDS("--worker", "box7"),
        "printf '%s %s %s %s %s:' $JOBD_ID $JOBD_QUEUE $JOBD_ATTEMPT \"$JOBD_CONTENT_TYPE\" "
        "\"$TRACEPARENT\"; cat");
    static const char trace[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    snprintf(expected, sizeof expected, "traceparent: %s", trace);
    const struct answer *answer =
        client_send(client, "POST", "/do", FIELDS(expected, "Content-Type: text/x"), "hello");
    assert_answer(answer, 202, NULL);
    uint64_t id = answer_job(answer);
    client_await_state(client, id, "done");
    snprintf(expected, sizeof expected, "%llu default 1 text/x %s:hello", (unsigned long long)id,
             trace);
    assert_output(client, id, expected);
    const cJSON *job = client_job(client, id);
    assert_int_equal(json_number(job, "exit_code"), 0);
    assert_string_equal(json_string(job, "worker"), "box7");
    assert_int_equal(worker_end(worker), 0);
    client_free(client);
}

static void any_bytes_go_in_and_out(void **state)
{
    struct server *server = start_queue("--output-limit", "1MiB", "--max-body", "1MiB");
    struct client *client = client_new(server);
    (void)state;
    struct server *worker = worker_spawn(worker_url(server), FIELDS("--output-limit", "1MiB"),
                                         "cat; printf '\\000\\377'");
    char *payload = raw_filled("a", 'x', 300000, "z");
    uint64_t id = put_job(client, "/do", payload);
    client_await_state(client, id, "done");
    char path[64];
    snprintf(path, sizeof path, "/jobs/%llu/output", (unsigned long long)id);
    const struct answer *answer = client_get(client, path);
    assert_int_equal(answer->size, strlen(payload) + 2);
    assert_memory_equal(answer->body, payload, strlen(payload));
    assert_memory_equal(answer->body + strlen(payload), "\0\377", 2);
    free(payload);
    assert_int_equal(worker_end(worker), 0);
    client_free(client);
}

/* More than a request may bring: what was sent while it ran is the output. */
static void an_output_larger_than_a_body(void **state)
{
    struct server *server = start_queue("--output-limit", "64KiB", "--max-body", "2KiB");
    struct client *client = client_new(server);
    (void)state;
    struct server *worker = worker_start(server, "head -c 50000 /dev/zero | tr '\\0' y");
    char *output = raw_filled("", 'y', 50000, "");
    uint64_t id = put_job(client, "/do", "x");
    client_await_state(client, id, "done");
    assert_output(client, id, output);
    free(output);
    assert_int_equal(worker_end(worker), 0);
    client_free(client);
}

static void a_failure_has_its_exit_code_and_error(void **state)
{
    struct server *server = start_queue("--attempts", "2");
    struct client *client = client_new(server);
    (void)state;
    struct server *worker = worker_start(server, "echo \"said $JOBD_ATTEMPT\"; echo bad >&2; "
                                                 "exit $((JOBD_ATTEMPT + 2))");
    uint64_t id = put_job(client, "/do", "x");
    client_await_state(client, id, "failed");
    const cJSON *job = client_job(client, id);
    assert_int_equal(json_number(job, "attempt"), 2);
    assert_int_equal(json_number(job, "exit_code"), 4);
    assert_string_equal(json_string(job, "error"), "bad");
    assert_output(client, id, "said 2\n");
    assert_int_equal(worker_end(worker), 0);
    client_free(client);
}

/* One that is cancelled has what had come by then. */
static void output_comes_while_it_runs(void **state)
{
    struct server *server = start_queue("--attempts", "1", "--access-log", "-");
    struct client *client = client_new(server);
    (void)state;
    struct server *worker = worker_start(server, waiting_script("printf one;", "printf two"));
    uint64_t id = put_job(client, "/do", "x"), other = put_job(client, "/do", "y");
    server_await_lines(server, ERR, "/output", 1);
    cancel(client, id);
    assert_output(client, id, "one");
    open_gate();
    client_await_state(client, other, "done");
    assert_output(client, other, "onetwo");
    assert_int_equal(worker_end(worker), 0);
    client_free(client);
}

/* It runs for three leases. */
static void a_lease_is_extended(void **state)
{
    struct server *server = start_queue("--attempts", "1");
    struct client *client = client_new(server);
    (void)state;
    struct server *worker = worker_start(server, "sleep 3; echo done");
    uint64_t id = put_job(client, "/do", "x");
    client_await_state(client, id, "done");
    assert_output(client, id, "done\n");
    assert_int_equal(worker_end(worker), 0);
    client_free(client);
}

static void queues_in_their_order(void **state)
{
    const char *file = temporary_file(
        "jobd.json", "{\"workers\": 0, \"queues\": {\"default\": {}, \"high\": {}, \"low\": {}}}");
    struct server *server = server_start("-c", file);
    struct client *client = client_new(server);
    (void)state;
    uint64_t low = put_job(client, "/do/low", "x"), high = put_job(client, "/do/high", "x");
    uint64_t other = put_job(client, "/do", "x");
    struct server *worker =
        worker_spawn(worker_url(server), FIELDS("--queue", "high,low"), "echo $JOBD_QUEUE");
    client_await_state(client, low, "done");
    assert_output(client, low, "low\n");
    assert_output(client, high, "high\n");
    assert_string_equal(json_string(client_job(client, other), "state"), "queued");
    assert_int_equal(worker_end(worker), 0);
    client_free(client);
}

/* ---- an end that comes from outside */

static void a_cancelled_job_is_stopped(void **state)
{
    struct server *server = start_queue("--attempts", "1");
    struct client *client = client_new(server);
    (void)state;
    struct server *worker = worker_start(server, escaping_script());
    uint64_t id = put_job(client, "/do", "x");
    pid_t pid = await_process();
    cancel(client, id);
    await_no_process(pid);
    server_await_lines(worker, ERR, "stopped: it is cancelled", 1);
    assert_string_equal(json_string(client_job(client, id), "state"), "cancelled");
    server_await_lines(worker, ERR, "stopped: it is cancelled, or given to another worker", 1);
    assert_int_equal(worker_end(worker), 0);
    client_free(client);
}

static void a_job_that_takes_too_long_is_stopped(void **state)
{
    struct server *server = start_queue("--attempts", "1", "--timeout", "500ms");
    struct client *client = client_new(server);
    (void)state;
    struct server *worker = worker_start(server, escaping_script());
    uint64_t id = put_job(client, "/do", "x");
    pid_t pid = await_process();
    client_await_state(client, id, "failed");
    await_no_process(pid);
    assert_non_null(strstr(json_string(client_job(client, id), "error"), "timed out"));
    server_await_lines(worker, ERR, "stopped at its time limit", 1);
    assert_int_equal(worker_end(worker), 0);
    client_free(client);
}

static void it_drains(void **state)
{
    struct server *server = start_queue("--attempts", "1");
    struct client *client = client_new(server);
    (void)state;
    struct server *worker = worker_start(server, waiting_script("printf one;", "printf two"));
    uint64_t id = put_job(client, "/do", "x"), other = put_job(client, "/do", "y");
    (void)await_process();
    server_signal(worker, SIGTERM);
    server_await_lines(worker, ERR, "no more jobs are taken", 1);
    open_gate();
    assert_int_equal(server_wait(worker), 0);
    assert_string_equal(json_string(client_job(client, id), "state"), "done");
    assert_output(client, id, "onetwo");
    assert_string_equal(json_string(client_job(client, other), "state"), "queued");
    client_free(client);
}

static void a_second_signal_ends_it_at_once(void **state)
{
    struct server *server = start_queue("--attempts", "1");
    struct client *client = client_new(server);
    (void)state;
    struct server *worker = worker_start(server, escaping_script());
    (void)put_job(client, "/do", "x");
    pid_t pid = await_process();
    server_signal(worker, SIGTERM);
    server_await_lines(worker, ERR, "no more jobs are taken", 1);
    server_signal(worker, SIGINT);
    assert_int_equal(server_wait(worker), 1);
    await_no_process(pid);
    client_free(client);
}

/* ---- the server goes, and comes back */

static struct server *start_again(const char *address, const char *data)
{
    const char *const arguments[] = {"-l", address, "-d", data, "-w", "0", "--attempts", "1", NULL};
    struct server *server = server_spawn(&(struct server_plan){.arguments = arguments});
    server_await_listening(server);
    return server;
}

/* A command that runs all the while, and its lease, live through it; so does who waits. */
static void through_a_restart(void **state)
{
    char data[256], address[SERVER_ADDRESS_SIZE];
    (void)state;
    snprintf(data, sizeof data, "%s/data", temporary_directory());
    struct server *server = start_again("127.0.0.1:0", data);
    struct client *client = client_new(server);
    struct server *worker =
        worker_spawn(worker_url(server), FIELDS("-n", "2"),
                     waiting_script("read x; printf $x; [ $x = a ] && exit;", "printf b"));
    uint64_t id = put_job(client, "/do", "x\n");
    (void)await_process();
    client_free(client);
    snprintf(address, sizeof address, "%s", server_address(server));
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0);
    server_await_lines(worker, ERR, "; retrying", 1);
    open_gate();
    server = start_again(address, data);
    client = client_new(server);
    client_await_state(client, id, "done");
    assert_output(client, id, "xb");
    server_await_lines(worker, ERR, "is back", 1);
    id = put_job(client, "/do", "a\n");
    client_await_state(client, id, "done");
    assert_int_equal(json_number(client_job(client, id), "attempt"), 1);
    assert_int_equal(worker_end(worker), 0);
    client_free(client);
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0);
}

/* It says so once, and goes at once when it is told to. */
static void without_a_server(void **state)
{
    char url[SERVICE_URL_SIZE];
    int fd = service_socket(url);
    (void)state;
    *strstr(url, "/do") = '\0';
    struct server *worker = worker_spawn(url, FIELDS("-n", "3"), "true");
    server_await_lines(worker, ERR, "; retrying", 1);
    assert_int_equal(worker_end(worker), 0);
    assert_int_equal(server_count_lines(worker, ERR, "; retrying"), 1);
    close(fd);
}

static void the_next_one_is_asked(void **state)
{
    char away[SERVICE_URL_SIZE];
    int fd = service_socket(away);
    struct server *server = start_queue("--attempts", "1");
    struct client *client = client_new(server);
    (void)state;
    *strstr(away, "/do") = '\0';
    struct server *worker = worker_spawn(away, FIELDS("--url", worker_url(server)), "cat");
    uint64_t id = put_job(client, "/do", "x");
    client_await_state(client, id, "done");
    assert_int_equal(worker_end(worker), 0);
    assert_int_equal(server_count_lines(worker, ERR, "; retrying"), 0);
    client_free(client);
    close(fd);
}

static void over_a_unix_socket(void **state)
{
    const char *address = temporary_socket();
    const char *const arguments[] = {"-w", "0", "-l", address, NULL};
    struct server *server = server_spawn(&(struct server_plan){.arguments = arguments});
    server_await_listening(server);
    struct client *client = client_new(server);
    (void)state;
    struct server *worker = worker_spawn(address, NULL, "cat");
    uint64_t id = put_job(client, "/do", "x");
    client_await_state(client, id, "done");
    assert_int_equal(worker_end(worker), 0);
    client_free(client);
}

/* ---- a word that does not arrive, or too late */

#define A_JOB A_JOB_AT("")
#define A_JOB_AT(before)                                                                           \
    "HTTP/1.1 200 OK\r\nLocation: " before                                                         \
    "/leases/0123456789abcdef0123456789abcdef\r\nJobd-Id: 7\r\n"                                   \
    "Jobd-Queue: default\r\nJobd-Attempt: 1\r\nContent-Length: 5\r\n\r\nhello"
#define HALF            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ndo"
#define REFUSAL(status) "HTTP/1.1 " status "\r\nContent-Length: 5\r\n\r\nlate\n"

/* A job is given, and its result answered with this; the request that is next then. */
static void assert_next_is(const char *job, const struct service_step *second, const char *wanted)
{
    char url[SERVICE_URL_SIZE];
    size_t size;
    struct service *service = service_start();
    service_script(service, SERVICE_SCRIPT({.answer = job}, *second, {.answer = NULL}));
    snprintf(url, sizeof url, "%s", service_url(service));
    *strstr(url, "/do") = '\0';
    struct server *worker = worker_spawn(url, NULL, "exit 0");
    service_await(service, SERVICE_REQUESTS, 3);
    const char *request = service_request(service, &size);
    if (strncmp(request, wanted, strlen(wanted)) != 0)
        fail_msg("not %s but %s", wanted, request);
    server_kill(worker);
    service_stop(service);
}

static void a_lease_that_is_over(void **state)
{
    (void)state;
    assert_next_is(A_JOB, &(struct service_step){.answer = REFUSAL("409 Conflict")}, "POST /take?");
    assert_next_is(A_JOB, &(struct service_step){.answer = REFUSAL("404 Not Found")},
                   "POST /take?");
}

static void a_result_that_did_not_arrive(void **state)
{
    static const char again[] = "POST /leases/0123456789abcdef0123456789abcdef/done?exit_code=0 ";
    (void)state;
    assert_next_is(A_JOB, &(struct service_step){.answer = "", .closes = true}, again);
    assert_next_is(A_JOB, &(struct service_step){.answer = HALF, .closes = true}, again);
    assert_next_is(A_JOB, &(struct service_step){.answer = REFUSAL("503 Service Unavailable")},
                   again);
    /* A proxy may have written all of its own URL before the lease: ours has that already. */
    assert_next_is(A_JOB_AT("https://queue.example/queue"),
                   &(struct service_step){.answer = REFUSAL("503 Service Unavailable")}, again);
}

/* An end that nobody hears, and a drain: it says that the job will run again. */
static void a_result_that_never_arrives(void **state)
{
    char url[SERVICE_URL_SIZE];
    struct service *service = service_start();
    (void)state;
    service_script(
        service, SERVICE_SCRIPT({.answer = A_JOB}, {.answer = REFUSAL("503 Service Unavailable")}));
    snprintf(url, sizeof url, "%s", service_url(service));
    *strstr(url, "/do") = '\0';
    struct server *worker = worker_spawn(url, FIELDS("--lease", "1s"), "exit 0");
    service_await(service, SERVICE_REQUESTS, 2);
    assert_int_equal(worker_end(worker), 1);
    assert_int_equal(server_count_lines(worker, ERR, "job 7: its end could not be reported"), 1);
    service_stop(service);
}

/* What is no jobd, or wants to be somebody else's, gets no command started. */
static void an_answer_that_is_no_job(void **state)
{
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nLocation: /jobs/7\r\nJobd-Id: 7\r\nJobd-Queue: default\r\n"
        "Jobd-Attempt: 1\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nLocation: /leases/../x\r\nJobd-Id: 7\r\nJobd-Queue: default\r\n"
        "Jobd-Attempt: 1\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 302 Found\r\nLocation: /leases/0\r\nContent-Length: 0\r\n\r\n"};
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        char url[SERVICE_URL_SIZE];
        struct service *service = service_start();
        service_script(service, SERVICE_SCRIPT({.answer = answers[i]}));
        snprintf(url, sizeof url, "%s", service_url(service));
        *strstr(url, "/do") = '\0';
        struct server *worker = worker_spawn(url, NULL, "echo started >&2");
        service_await(service, SERVICE_REQUESTS, 2);
        assert_int_equal(worker_end(worker), 0);
        assert_int_equal(server_count_lines(worker, ERR, "does not count"), 0);
        assert_int_equal(server_count_lines(worker, ERR, "; retrying"), 1);
        service_stop(service);
    }
}

/* ---- tokens, and what is wrong */

static void a_token_is_needed(void **state)
{
    const char *file = temporary_file(".tokens", "put qW8sXr2LNc7uJf4E\nwork aK9vBn3DgHs6yPz1\n");
    const char *token = temporary_file("token", "qW8sXr2LNc7uJf4E\n");
    struct server *server = server_start("-w", "0", "--token-file", file);
    struct client *client = client_new(server);
    (void)state;
    struct server *worker = worker_spawn(worker_url(server), NULL, "true");
    assert_int_equal(server_wait(worker), 1);
    assert_int_equal(server_count_lines(worker, ERR, ": 401 Unauthorized"), 1);
    worker = worker_spawn(worker_url(server), FIELDS("--token-file", token, "-n", "4"), "true");
    assert_int_equal(server_wait(worker), 1);
    assert_int_equal(server_count_lines(worker, ERR, ": 403 Forbidden"), 1);

    (void)temporary_file("token", "aK9vBn3DgHs6yPz1\n");
    worker = worker_spawn(worker_url(server), FIELDS("--token-file", token), "cat");
    const struct answer *answer =
        client_send(client, "POST", "/do",
                    FIELDS("Prefer: wait=15", "Authorization: Bearer qW8sXr2LNc7uJf4E"), "in");
    assert_answer(answer, 200, "in");

    /* A new one, without a word to anybody but the file. */
    (void)temporary_file(".tokens", "put qW8sXr2LNc7uJf4E\nwork bK9vBn3DgHs6yPz1\n");
    (void)temporary_file("token", "bK9vBn3DgHs6yPz1\n");
    server_signal(server, SIGHUP);
    server_await_lines(server, ERR, "reloaded", 1);
    answer =
        client_send(client, "POST", "/do",
                    FIELDS("Prefer: wait=15", "Authorization: Bearer qW8sXr2LNc7uJf4E"), "again");
    assert_answer(answer, 200, "again");
    (void)temporary_file("token", "");
    server_signal(worker, SIGHUP);
    server_await_lines(worker, ERR, "the token of before stays", 1);
    answer = client_send(client, "POST", "/do",
                         FIELDS("Prefer: wait=15", "Authorization: Bearer qW8sXr2LNc7uJf4E"),
                         "once more");
    assert_answer(answer, 200, "once more");
    assert_int_equal(worker_end(worker), 0);
    client_free(client);
}

static void what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *words[8];
        const char *said;
    } rows[] = {
        {{"work"}, "jobd work: needs a command"},
        {{"work", "--url", "ftp://a", "--", "true"}, "jobd work: --url: invalid value \"ftp://a\""},
        {{"work", "--queue", "a,,b", "--", "true"}, "jobd work: --queue: invalid value"},
        {{"work", "-n", "0", "--", "true"}, "jobd work: --workers: invalid value \"0\""},
        {{"work", "--capacity", "8", "--", "true"}, "jobd work: --capacity: no such option"},
        {{"work", "--lease", "1s", "--lease", "2s", "--", "true"},
         "jobd work: --lease: is given twice"},
        {{"work", "--token-file", "/nowhere", "--", "true"},
         "jobd work: --token-file: /nowhere: No such file"},
        {{"work", "--", "no-such-command"}, "jobd work: no-such-command"},
    };
    char *out, *err;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(server_run(rows[i].words, NULL, &out, &err), 2);
        if (strncmp(err, rows[i].said, strlen(rows[i].said)) != 0)
            fail_msg("not %s but %s", rows[i].said, err);
        assert_ptr_equal(strchr(err, '\n'), err + strlen(err) - 1);
        free(out);
        free(err);
    }
    assert_int_equal(server_run(FIELDS("work", "--help"), NULL, &out, &err), 0);
    assert_non_null(strstr(out, "--kill-after"));
    free(out);
    free(err);
}

/* ---- workers that die */

/* Each is killed in the midst of whatever it does: no job is lost, and each that was cut off runs
 * again after its lease. */
static void workers_that_are_killed(void **state)
{
    enum { JOBS = 60, KILLS = 30 };
    struct server *server = start_queue("--attempts", "100");
    struct client *client = client_new(server);
    uint64_t ids[JOBS];
    (void)state;
    for (int i = 0; i < JOBS; i++)
        ids[i] = put_job(client, "/do", "x");
    for (int i = 0; i < KILLS; i++) {
        struct server *worker =
            worker_spawn(worker_url(server), FIELDS("-n", "2", "--lease", "1s"), "sleep 0.02; cat");
        client_await_at_least(client, "jobd_queue_running{queue=\"default\"}", 1);
        server_kill(worker);
        server_forget(worker);
    }
    struct server *worker = worker_spawn(worker_url(server), FIELDS("-n", "2"), "cat");
    for (int i = 0; i < JOBS; i++) {
        client_await_state(client, ids[i], "done");
        assert_output(client, ids[i], "x");
    }
    assert_int_equal(worker_end(worker), 0);
    client_free(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(a_job_is_run),
        TEST(any_bytes_go_in_and_out),
        TEST(an_output_larger_than_a_body),
        TEST(a_failure_has_its_exit_code_and_error),
        TEST(output_comes_while_it_runs),
        TEST(a_lease_is_extended),
        TEST(queues_in_their_order),
        TEST(a_cancelled_job_is_stopped),
        TEST(a_job_that_takes_too_long_is_stopped),
        TEST(it_drains),
        TEST(a_second_signal_ends_it_at_once),
        TEST(through_a_restart),
        TEST(without_a_server),
        TEST(the_next_one_is_asked),
        TEST(over_a_unix_socket),
        TEST(a_lease_that_is_over),
        TEST(a_result_that_did_not_arrive),
        TEST(a_result_that_never_arrives),
        TEST(an_answer_that_is_no_job),
        TEST(a_token_is_needed),
        TEST(what_is_wrong_is_named),
        TEST(workers_that_are_killed),
    };
    return cmocka_run_group_tests_name("jobd work", tests, NULL, NULL);
}
