/* SPDX-License-Identifier: MIT */
/* The process from outside: its options, its log, its end. */
#include <fcntl.h>
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
#include "support/temporary.h"

/* ---- options */

/* It ends with 2 and nothing but this line. */
static void assert_refused(const char *const *arguments, const char *const *environment,
                           const char *line)
{
    char *out, *err;
    int code = server_run(arguments, environment, &out, &err);
    assert_string_equal(err, line);
    assert_string_equal(out, "");
    assert_int_equal(code, 2);
    free(out);
    free(err);
}

static void wrong_command_lines(void **state)
{
    static const struct {
        const char *words[5];
        const char *line;
    } rows[] = {
        {{"--nosuch"}, "jobd: --nosuch: no such option; see jobd --help\n"},
        {{"-Z"}, "jobd: -Z: no such option; see jobd --help\n"},
        {{"--capacity"}, "jobd: --capacity: needs a value; see jobd --help\n"},
        {{"-q"}, "jobd: -q: needs a value; see jobd --help\n"},
        {{"--open=yes"}, "jobd: --open=yes: takes no value; see jobd --help\n"},
        {{"--cap=5"}, "jobd: --cap=5: no such option; see jobd --help\n"},
        {{"--cap", "5"}, "jobd: --cap: no such option; see jobd --help\n"},
        {{"--cap"}, "jobd: --cap: no such option; see jobd --help\n"},
        {{"--ope=yes"}, "jobd: --ope=yes: no such option; see jobd --help\n"},
        {{"--max=5"}, "jobd: --max=5: no such option; see jobd --help\n"},
        {{"--exec=true"}, "jobd: --exec=true: no such option; see jobd --help\n"},
        {{"--=5"}, "jobd: --=5: no such option; see jobd --help\n"},
        {{"-w1", "--"}, "jobd: --: needs a command; see jobd --help\n"},
        {{"--sync", "--", "true"}, "jobd: true: unexpected argument; see jobd --help\n"},
        {{"extra"}, "jobd: extra: unexpected argument; see jobd --help\n"},
        {{"--post", "http://a/", "--", "true"},
         "jobd: --post: exec is set too; a queue has one runner\n"},
        {{"--config", ""}, "jobd: --config: invalid value \"\"; expected a file's name\n"},
        {{"--capacity", "0"},
         "jobd: --capacity: invalid value \"0\"; expected a whole number from 1 to 10000000\n"},
        {{"-q", "8x"},
         "jobd: --capacity: invalid value \"8x\"; expected a whole number from 1 to 10000000\n"},
        {{"-q", "1", "--capacity", "2"}, "jobd: --capacity: is given twice\n"},
        {{"-w", "1025"},
         "jobd: --workers: invalid value \"1025\"; expected a whole number from 0 to 1024\n"},
        {{"--sleep", "50"},
         "jobd: --sleep: invalid value \"50\"; expected a duration like 250ms, 30s, 5m, 2h or "
         "7d, from 0ms to 31536000s\n"},
        {{"--header-timeout", "1ms"},
         "jobd: --header-timeout: invalid value \"1ms\"; expected a duration like 250ms, 30s, "
         "5m, 2h or 7d, from 100ms to 86400s\n"},
        {{"--max-body", "64kb"},
         "jobd: --max-body: invalid value \"64kb\"; expected bytes, or a size like 64KiB, 10MiB "
         "or 1GiB, at most 1073741824\n"},
        {{"--max-body", "2KiB", "--memory", "1KiB"},
         "jobd: --max-body: \"2KiB\" is more than --memory \"1KiB\", which holds all payloads; "
         "allowed is at most 1024, or a larger --memory\n"},
        {{"--max-body", "100MiB"},
         "jobd: --max-body: \"100MiB\" is more than --memory \"64MiB\", which holds all payloads; "
         "allowed is at most 67108864, or a larger --memory\n"},
        {{"-l", "nonsense"},
         "jobd: --listen: invalid value \"nonsense\"; expected HOST:PORT, :PORT, [IPV6]:PORT or "
         "unix:PATH\n"},
        {{"-l", "127.0.0.1:65536"},
         "jobd: --listen: invalid value \"127.0.0.1:65536\"; expected HOST:PORT, :PORT, "
         "[IPV6]:PORT or unix:PATH\n"},
        {{"--log-format", "xml"},
         "jobd: --log-format: invalid value \"xml\"; expected text, json\n"},
        {{"-c", "/nonexistent/jobd.json"},
         "jobd: --config: /nonexistent/jobd.json: No such file or directory\n"},
        {{"-l", "0.0.0.0:0"},
         "jobd: --listen: 0.0.0.0:0 can be reached from other machines: this needs --token-file, "
         "or --open, "
         "by which you say "
         "that whoever reaches the port may put jobs\n"},
        {{"-l", ":0"},
         "jobd: --listen: :0 can be reached from other machines: this needs --token-file, or "
         "--open, by "
         "which you say that "
         "whoever reaches the port may put jobs\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_refused(rows[i].words, NULL, rows[i].line);
}

static void wrong_environments(void **state)
{
    (void)state;
    assert_refused(WORDS("--check"), WORDS("JOBD_CAPACITY=many"),
                   "jobd: JOBD_CAPACITY: invalid value \"many\"; expected a whole number from 1 "
                   "to 10000000\n");
    /* Also where the command line overrides it. */
    assert_refused(WORDS("--check", "--sleep", "1s"), WORDS("JOBD_SLEEP=1"),
                   "jobd: JOBD_SLEEP: invalid value \"1\"; expected a duration like 250ms, 30s, "
                   "5m, 2h or 7d, from 0ms to 31536000s\n");
    assert_refused(WORDS("--check"), WORDS("JOBD_OPEN=maybe"),
                   "jobd: JOBD_OPEN: invalid value \"maybe\"; expected true or false\n");
    assert_refused(WORDS("--check"), WORDS("JOBD_EXEC=[\"echo\", \"a\\u0000b\"]"),
                   "jobd: JOBD_EXEC: invalid value \"[\\\"echo\\\", \\\"a\\\\u0000b\\\"]\"; "
                   "expected a JSON array of strings, the command and its arguments\n");
    assert_refused(NULL, WORDS("JOBD_LISTEN=192.0.2.1:0"),
                   "jobd: JOBD_LISTEN: 192.0.2.1:0 can be reached from other machines: this needs "
                   "--token-file, "
                   "or --open, by "
                   "which you say that whoever reaches the port may put jobs\n");
}

static void wrong_files(void **state)
{
    static const struct {
        const char *text, *line; /* what follows the file's name */
    } rows[] = {
        {"", ":1: not JSON\n"},
        {"{\"capacity\": 1,\n}\n", ":2: not JSON\n"},
        {"{} {}\n", ":1: not JSON\n"},
        {"[]\n", ":1: the file must hold one JSON object\n"},
        {"{\n\"capacity\": \"8\"}\n", ":2: \"capacity\": must be a number\n"},
        {"{\n\n\"capacity\": 0}\n", ":3: \"capacity\": invalid value \"0\"; expected a whole "
                                    "number from 1 to 10000000\n"},
        {"{\"capacity\": 1.5}\n", ":1: \"capacity\": invalid value \"1.5\"; expected a whole "
                                  "number from 1 to 10000000\n"},
        {"{\"capacity\": 1,\n \"capacity\": 2}\n", ":2: \"capacity\": is given twice\n"},
        {"{\"sleep\": 50}\n", ":1: \"sleep\": must be a string like \"30s\"\n"},
        {"{\"open\": \"yes\"}\n", ":1: \"open\": must be true or false\n"},
        {"{\"queues\": []}\n", ":1: \"queues\": must be an object with 1 to 1000 queues\n"},
        {"{\"queues\": {}}\n", ":1: \"queues\": must be an object with 1 to 1000 queues\n"},
        {"{\"queues\": {\n\"a b\": {}}}\n",
         ":2: \"a b\": a queue's name is 1 to 64 letters, digits, '.', '_' or '-', the first not "
         "'.'\n"},
        {"{\"queues\": {\"a\": {},\n\"a\": {}}}\n", ":2: \"a\": is given twice\n"},
        {"{\"queues\": {\n \"a\": {\n  \"workers\": -1}}}\n",
         ":3: \"workers\": invalid value \"-1\"; expected a whole number from 0 to 1024\n"},
        {"{\n\"listen\": \"127.0.0.1:0\\u0000.example\"}\n",
         ":2: \"listen\": a string with \\u0000 is not allowed\n"},
        {"{\"exec\": [\"echo\",\n\"a\\\\u0000\\u0000b\"]}\n",
         ":1: \"exec\": a string with \\u0000 is not allowed\n"},
        {"{\"queues\": {\n\"a\\u0000b\": {}}}\n",
         ":2: \"a\\\\u0000b\": a string with \\u0000 is not allowed\n"},
        {"{\"queues\": {\n \"a\": {\n  \"grace\": \"1s\"}}}\n",
         ":3: \"grace\": unknown key; allowed are capacity, workers, sleep, post, exec, attempts, "
         "timeout, backoff, expires, running, rate, per-key, pass-headers, directory, "
         "environment, user, nice, headers, sign, unix, ca, breaker, keep, kill-after\n"},
    };
    char line[1024];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *path = temporary_file("jobd.json", rows[i].text);
        snprintf(line, sizeof line, "jobd: %s%s", path, rows[i].line);
        assert_refused(WORDS("--check", "-c", path), NULL, line);
    }
}

static void an_unknown_key_is_told_what_there_is(void **state)
{
    char *out, *err;
    (void)state;
    const char *path = temporary_file("jobd.json", "{\n\"colour\": \"red\"}");
    assert_int_equal(server_run(WORDS("-c", path), NULL, &out, &err), 2);
    assert_non_null(strstr(err, "jobd.json:2: \"colour\": unknown key; allowed are listen, "));
    assert_ptr_equal(strchr(err, '\n'), err + strlen(err) - 1);
    free(out);
    free(err);
}

static void flag_over_environment_over_file(void **state)
{
    (void)state;
    const char *path = temporary_file(
        "jobd.json",
        "{\"capacity\": 3, \"workers\": 0, \"max_body\": \"1KiB\", \"sleep\": \"1s\"}");
    struct server *server = server_spawn(&(struct server_plan){
        .arguments = WORDS("-l", "127.0.0.1:0", "--capacity", "5"),
        .environment = WORDS("JOBD_CAPACITY=4", "JOBD_WORKERS=2", "JOBD_LISTEN=127.0.0.1:1",
                             "JOBD_CONFIG=/nonexistent", "JOBD_GRACE=0ms")});
    assert_int_equal(server_wait(server), 2); /* a file that is named must be there */
    char setting[256];
    snprintf(setting, sizeof setting, "JOBD_CONFIG=%s", path);
    server = server_spawn(
        &(struct server_plan){.arguments = WORDS("-l", "127.0.0.1:0", "--capacity", "5"),
                              .environment = WORDS("JOBD_CAPACITY=4", "JOBD_WORKERS=2",
                                                   "JOBD_LISTEN=127.0.0.1:1", setting)});
    server_await_listening(server);
    struct client *client = client_new(server);
    const cJSON *queue = client_json(client, "/queues/default");
    assert_int_equal(json_number(queue, "capacity"), 5);
    assert_int_equal(json_number(queue, "workers"), 2);
    client_free(client);
}

/* A default yields to what is said. */
static void little_memory_alone_means_small_bodies(void **state)
{
    struct server *server = server_start("--memory", "2KiB", "-w", "0");
    struct client *client = client_new(server);
    char *body = raw_filled("", 'x', 2049, "");
    (void)state;
    const struct answer *answer = client_send(client, "POST", "/do", NULL, body);
    assert_answer(answer, 413, "the body is larger than --max-body allows\n");
    body[1000] = '\0';
    assert_answer(client_send(client, "POST", "/do", NULL, body), 202, "queued\n");
    free(body);
    client_free(client);
    assert_refused(WORDS("--check", "--memory", "2KiB"), WORDS("JOBD_MAX_BODY=1MiB"),
                   "jobd: JOBD_MAX_BODY: \"1MiB\" is more than --memory \"2KiB\", which holds all "
                   "payloads; allowed is at most 2048, or a larger --memory\n");
}

static void actions_that_end_at_once(void **state)
{
    char *out, *err;
    (void)state;
    assert_int_equal(server_run(WORDS("--version"), NULL, &out, &err), 0);
    assert_non_null(strstr(out, "jobd "));
    assert_non_null(strstr(out, "libmicrohttpd"));
    assert_non_null(strstr(out, "libpq "));
    assert_string_equal(err, "");
    free(out);
    free(err);
    assert_int_equal(server_run(WORDS("-h"), WORDS("JOBD_CAPACITY=wrong"), &out, &err), 0);
    assert_non_null(strstr(out, "--max-connections"));
    assert_non_null(strstr(out, "-q, --capacity"));
    assert_string_equal(err, "");
    free(out);
    free(err);
    const char *path = temporary_file("jobd.json", "{\"queues\": {\"a\": {}, \"b\": {}}}");
    assert_int_equal(server_run(WORDS("--check", "-c", path), NULL, &out, &err), 0);
    assert_string_equal(out, "the configuration is good: 2 queues\n");
    free(out);
    free(err);
}

/* ---- the end */

static void a_drain_lets_all_jobs_end(void **state)
{
    struct server *server = server_start("--sleep", "40ms", "--grace", "15s");
    struct client *client = client_new(server);
    char line[SERVER_LINE_SIZE];
    (void)state;
    for (int i = 0; i < 8; i++)
        client_put(client, i == 0 ? "/do?delay=200ms" : "/do");
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0);
    assert_int_equal(server_count_lines(server, OUT, "done job "), 8);
    server_last_line(server, ERR, line);
    assert_non_null(strstr(line, "stopped: 8 done, 0 failed, 0 cancelled, 0 lost"));
    client_free(client);
}

static void sigint_drains_too(void **state)
{
    struct server *server = server_start(NULL);
    (void)state;
    server_signal(server, SIGINT);
    assert_int_equal(server_wait(server), 0);
    assert_int_equal(server_count_lines(server, ERR, "SIGINT"), 1);
}

static void after_the_grace_jobs_are_lost(void **state)
{
    struct server *server = server_start("--sleep", "10m", "--grace", "200ms");
    struct client *client = client_new(server);
    char line[SERVER_LINE_SIZE];
    (void)state;
    client_await_state(client, client_put(client, "/do"), "running");
    client_put(client, "/do");
    client_put(client, "/do?delay=1h");
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 1);
    server_last_line(server, ERR, line);
    assert_non_null(strstr(line, "stopped: 3 jobs lost"));
    assert_int_equal(server_count_lines(server, OUT, ""), 0);
    client_free(client);
}

/* A pause would end with the server anyway. */
static void a_drain_resumes_what_is_paused(void **state)
{
    struct server *server = server_start("--sleep", "1ms", "--grace", "10m");
    struct client *client = client_new(server);
    char line[SERVER_LINE_SIZE];
    (void)state;
    assert_int_equal(client_post(client, "/queues/default/pause")->status, 200);
    for (int i = 0; i < 3; i++)
        client_put(client, "/do");
    client_free(client);
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0);
    server_await_line(server, ERR,
                      "queue default is paused: resumed, to run its 3 waiting jobs before the end",
                      line);
    server_last_line(server, ERR, line);
    assert_non_null(strstr(line, "stopped: 3 done, 0 failed, 0 cancelled, 0 lost"));
}

/* Said while it can still be helped, not when the grace is over. */
static void a_drain_says_at_once_what_it_cannot_finish(void **state)
{
    struct server *server = server_start("-w", "0", "--grace", "10m");
    struct client *client = client_new(server);
    char line[SERVER_LINE_SIZE];
    (void)state;
    client_put(client, "/do?delay=1h");
    client_put(client, "/do");
    client_put(client, "/do");
    client_free(client);
    server_signal(server, SIGTERM);
    server_await_line(server, ERR, "queue default: 1 scheduled job will be lost: due after --grace",
                      line);
    server_await_line(server, ERR,
                      "queue default: 2 jobs will be lost unless remote workers finish", line);
    assert_true(server_runs(server));
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 1);
}

/* The same of what a service that is down, or a limit, holds back, and of what waits for that. */
static void a_drain_says_at_once_what_is_held_back(void **state)
{
    static const char *const said[] = {
        "queue down: 2 jobs will be lost unless its service is back in --grace",
        "queue slow: 1 job will be lost unless its rate lets them begin in --grace",
        "queue default: 1 job will be lost unless those that they wait for end in --grace"};
    const char *config =
        temporary_file("jobd.json", "{\"queues\": {\"default\": {\"sleep\": \"1ms\"},"
                                    " \"down\": {\"post\": \"http://127.0.0.1:1/\","
                                    " \"breaker\": \"1/1h\", \"attempts\": 5},"
                                    " \"slow\": {\"sleep\": \"1ms\", \"rate\": \"1/1h\"}}}");
    struct server *server = server_start("--config", config, "--grace", "10m");
    struct client *client = client_new(server);
    char line[SERVER_LINE_SIZE], path[64];
    (void)state;
    client_put(client, "/do/down");
    client_await_metric(client, "jobd_queue_held{queue=\"down\"}", 1);
    client_put(client, "/do/down");
    client_put(client, "/do/slow");
    uint64_t held = client_put(client, "/do/slow");
    client_await_metric(client, "jobd_jobs_done_total{queue=\"slow\"}", 1);
    snprintf(path, sizeof path, "/do?after=/jobs/%llu", (unsigned long long)held);
    client_put(client, path);
    client_free(client);
    server_signal(server, SIGTERM);
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++)
        server_await_line(server, ERR, said[i], line);
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 1);
}

/* A limit on the size of files is an error of the disk, not the end. */
static void files_may_not_grow(void **state)
{
    char data[300], *body = raw_filled("", 'x', 60000, "");
    const struct answer *answer = NULL;
    (void)state;
    snprintf(data, sizeof data, "%s/data", temporary_directory());
    struct server *server = server_spawn(
        &(struct server_plan){.wrapper = WORDS("sh", "-c", "ulimit -f 2; exec \"$0\" \"$@\""),
                              .arguments = WORDS("-l", "127.0.0.1:0", "-d", data)});
    assert_int_equal(server_wait(server), 1);
    assert_int_equal(server_count_lines(server, ERR, "jobd: --data: "), 1);
    snprintf(data, sizeof data, "%s/more", temporary_directory());
    server = server_spawn(&(struct server_plan){
        .wrapper = WORDS("sh", "-c", "ulimit -f 5000; exec \"$0\" \"$@\""),
        .arguments = WORDS("-l", "127.0.0.1:0", "-d", data, "-q", "1000", "-w", "0")});
    server_await_listening(server);
    struct client *client = client_new(server);
    int status = 202;
    for (int i = 0; i < 1000 && status == 202; i++) {
        answer = client_send(client, "POST", "/do", NULL, body);
        status = (int)answer->status;
    }
    assert_int_equal(status, 503);
    assert_answer(client_get(client, "/healthz"), 200, "ok\n");
    client_free(client);
    free(body);
}

static void a_second_signal_ends_at_once(void **state)
{
    struct server *server = server_start("--sleep", "10m", "--grace", "10m");
    struct client *client = client_new(server);
    char line[SERVER_LINE_SIZE];
    (void)state;
    client_await_state(client, client_put(client, "/do"), "running");
    client_put(client, "/do");
    server_signal(server, SIGTERM);
    server_await_line(server, ERR, "draining: 1 waiting, 1 running", line);
    assert_true(server_runs(server));
    server_signal(server, SIGINT);
    assert_int_equal(server_wait(server), 1);
    server_last_line(server, ERR, line);
    assert_non_null(strstr(line, "stopped immediately: 2 jobs lost"));
    client_free(client);
}

/* Who waits for a job that is lost, or has left, does not keep the server from ending. */
static void parked_requests_do_not_hold_the_end_up(void **state)
{
    static struct raw raw;
    struct server *server = server_start("--sleep", "10m", "--grace", "300ms");
    struct client *client = client_new(server);
    char request[128];
    int fds[6];
    (void)state;
    uint64_t id = client_put(client, "/do");
    snprintf(request, sizeof request, "GET /jobs/%llu?wait=5m HTTP/1.1\r\nHost: localhost\r\n\r\n",
             (unsigned long long)id);
    for (int i = 0; i < 6; i++) {
        fds[i] = raw_connect(server);
        assert_true(raw_send(fds[i], request));
    }
    client_await_metric(client, "jobd_requests_parked", 6);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    server_signal(server, SIGTERM);
    for (int i = 3; i < 6; i++) {
        raw_read_until_close(fds[i], &raw);
        assert_int_equal(raw_status(raw.text), 200);
        assert_non_null(strstr(raw.text, "\"state\":\"cancelled\""));
        close(fds[i]);
    }
    assert_int_equal(server_wait(server), 1);
    assert_int_equal(server_count_lines(server, ERR, "stopped: 1 job lost"), 1);
    client_free(client);
}

static void nobody_reads_its_output(void **state)
{
    struct server *server = server_start("--sleep", "0ms");
    struct client *client = client_new(server);
    (void)state;
    server_close_output(server);
    for (int i = 0; i < 3; i++)
        client_await_state(client, client_put(client, "/do"), "failed");
    assert_answer(client_get(client, "/healthz"), 200, "ok\n");
    client_free(client);
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0);
    assert_int_equal(server_count_lines(server, ERR, "standard output: Broken pipe"), 1);
}

/* A reader that does not read holds the worker, but not the end. */
static void its_output_is_not_read(void **state)
{
    char path[256], command[300], line[SERVER_LINE_SIZE];
    (void)state;
    snprintf(path, sizeof path, "%s/pipe", temporary_directory());
    assert_int_equal(mkfifo(path, 0600), 0);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0 && fcntl(fd, F_SETPIPE_SZ, 4096) >= 4096);
    snprintf(command, sizeof command, "exec \"$0\" \"$@\" >%s", path);
    struct server *server =
        server_spawn(&(struct server_plan){.wrapper = WORDS("sh", "-c", command),
                                           .arguments = WORDS("-l", "127.0.0.1:0", "--sleep", "0ms",
                                                              "-q", "1000", "--grace", "50ms")});
    server_await_listening(server);
    struct client *client = client_new(server);
    for (int i = 0; i < 400; i++) /* lines of 24 bytes */
        client_put(client, "/do");
    client_free(client);
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 1);
    server_last_line(server, ERR, line);
    assert_non_null(strstr(line, "jobs lost"));
    close(fd);
}

static void a_hang_up_is_no_end(void **state)
{
    struct server *server = server_start("--sleep", "1ms");
    struct client *client = client_new(server);
    char line[SERVER_LINE_SIZE];
    (void)state;
    server_signal(server, SIGHUP);
    server_await_line(server, ERR, "SIGHUP", line);
    assert_answer(client_get(client, "/do"), 202, "queued\n");
    client_free(client);
}

static void the_log_as_json(void **state)
{
    const char *path = temporary_file("jobd.json", "{}");
    struct server *server = server_start("--log-format", "json", "-c", path);
    char mistake[SERVER_LINE_SIZE];
    (void)state;
    temporary_file("jobd.json", "{\"colour\": \"red\"}");
    server_signal(server, SIGHUP);
    server_await_line(server, ERR, "nothing is changed", mistake);
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0);
    char *err = server_output(server, ERR), *rest = err;
    size_t lines = 0;
    for (char *line; (line = strsep(&rest, "\n")) != NULL && *line != '\0'; lines++) {
        cJSON *entry = cJSON_Parse(line);
        assert_non_null(entry);
        bool wrong = strstr(json_string(entry, "message"), "unknown key") != NULL;
        assert_string_equal(json_string(entry, "level"), wrong ? "error" : "info");
        assert_int_equal(strlen(json_string(entry, "time")), strlen("2026-01-01T00:00:00.000Z"));
        assert_true(strlen(json_string(entry, "message")) > 0);
        cJSON_Delete(entry);
    }
    assert_in_range(lines, 4, 10);
    free(err);
}

static void the_log_has_levels(void **state)
{
    struct server *server = server_spawn(&(struct server_plan){
        .arguments = WORDS("-l", temporary_socket(), "--log-level", "error")});
    (void)state;
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    while (server_health(temporary_socket()) != 0)
        look_again(deadline_ms, "a silent server");
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0);
    assert_int_equal(server_count_lines(server, ERR, ""), 0);
}

/* Process 1 gets only the signals it asked for, and the orphans of all others. */
static void as_process_1(void **state)
{
    (void)state;
    if (system("unshare --pid --fork --mount-proc true >/dev/null 2>&1") != 0) {
        print_message("skipped: unshare is not allowed here\n");
        skip();
    }
    struct server *server = server_spawn(&(struct server_plan){
        .arguments = WORDS("-l", "127.0.0.1:0", "--grace", "15s"),
        .wrapper = WORDS("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")});
    server_await_listening(server);
    struct client *client = client_new(server);
    for (int i = 0; i < 3; i++)
        client_put(client, "/do");
    assert_int_equal(kill(server_child(server), SIGTERM), 0);
    assert_int_equal(server_wait(server), 0);
    assert_int_equal(server_count_lines(server, OUT, "done job "), 3);
    client_free(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(wrong_command_lines),
        TEST(wrong_environments),
        TEST(wrong_files),
        TEST(an_unknown_key_is_told_what_there_is),
        TEST(flag_over_environment_over_file),
        TEST(little_memory_alone_means_small_bodies),
        TEST(actions_that_end_at_once),
        TEST(a_drain_lets_all_jobs_end),
        TEST(sigint_drains_too),
        TEST(after_the_grace_jobs_are_lost),
        TEST(a_drain_resumes_what_is_paused),
        TEST(a_drain_says_at_once_what_it_cannot_finish),
        TEST(a_drain_says_at_once_what_is_held_back),
        TEST(files_may_not_grow),
        TEST(a_second_signal_ends_at_once),
        TEST(parked_requests_do_not_hold_the_end_up),
        TEST(nobody_reads_its_output),
        TEST(its_output_is_not_read),
        TEST(a_hang_up_is_no_end),
        TEST(the_log_as_json),
        TEST(the_log_has_levels),
        TEST(as_process_1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
