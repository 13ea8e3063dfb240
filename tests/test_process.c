/* SPDX-License-Identifier: MIT */
/* The process: options, sockets, signals, exit codes, logs. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "client.h"
#include "server.h"

#define ARGUMENTS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Runs it to its end; the exit code, its output for the caller to free. */
static int run(const char *const *arguments, const char *const *environment, char **out, char **err)
{
    const struct server_plan plan = {.arguments = arguments, .environment = environment};
    struct server *server = server_spawn(&plan);
    int code = server_wait(server);
    *out = server_output(server, OUT);
    *err = server_output(server, ERR);
    return code;
}

static void assert_wrong(const char *const *arguments, const char *const *environment,
                         const char *expected)
{
    char *out, *err;
    int code = run(arguments, environment, &out, &err);
    if (strcmp(err, expected) != 0)
        fail_msg("it said: %snot: %s", err, expected);
    assert_string_equal(out, "");
    assert_int_equal(code, 2);
    free(out);
    free(err);
}

/* ---- options */

static void wrong_options(void **state)
{
    static const struct {
        const char *arguments[4], *line;
    } rows[] = {
        {{"--capcity", "5"}, "jobd: --capcity: no such option; see jobd --help\n"},
        {{"-x"}, "jobd: -x: no such option; see jobd --help\n"},
        {{"--capacity"}, "jobd: --capacity: needs a value; see jobd --help\n"},
        {{"-q"}, "jobd: -q: needs a value; see jobd --help\n"},
        {{"--open=yes"}, "jobd: --open=yes: takes no value; see jobd --help\n"},
        {{"work"}, "jobd: work: unexpected argument; see jobd --help\n"},
        {{"-q", "0"},
         "jobd: --capacity: \"0\" is not allowed; allowed is a whole number from 1 to 10000000\n"},
        {{"-q", "8x"},
         "jobd: --capacity: \"8x\" is not allowed; allowed is a whole number from 1 to 10000000\n"},
        {{"-q", "1", "-q", "2"}, NULL},
        {{"-w", "-1"},
         "jobd: --workers: \"-1\" is not allowed; allowed is a whole number from 0 to 1024\n"},
        {{"--sleep", "50"},
         "jobd: --sleep: \"50\" is not allowed; allowed is a duration like 250ms, 30s, 5m, 2h or "
         "7d, from 0ms to 31536000s\n"},
        {{"--max-body", "64KB"},
         "jobd: --max-body: \"64KB\" is not allowed; allowed is bytes, or a size like 64KiB, 10MiB "
         "or 1GiB, at most 1073741824\n"},
        {{"--max-body", "2KiB", "--memory", "1KiB"},
         "jobd: --max-body: is more than --memory allows for all payloads\n"},
        {{"--log-level", "loud"},
         "jobd: --log-level: \"loud\" is not allowed; allowed is error, warn, info, debug\n"},
        {{"-l", "8080"},
         "jobd: --listen: \"8080\" is not allowed; allowed is HOST:PORT, :PORT, [IPV6]:PORT or "
         "unix:PATH\n"},
        {{"-l", "127.0.0.1:65536"},
         "jobd: --listen: \"127.0.0.1:65536\" is not allowed; allowed is HOST:PORT, :PORT, "
         "[IPV6]:PORT or unix:PATH\n"},
        {{"-c", "/nowhere/jobd.json"}, "jobd: /nowhere/jobd.json: No such file or directory\n"},
        {{"-l", ":0"},
         "jobd: :0 can be reached from other machines: this needs --open, by which you say that "
         "whoever reaches the port may put jobs\n"},
        {{"--check", "-l", "0.0.0.0:0"},
         "jobd: 0.0.0.0:0 can be reached from other machines: this needs --open, by which you say "
         "that whoever reaches the port may put jobs\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *arguments[5] = {NULL};
        memcpy(arguments, rows[i].arguments, sizeof rows[i].arguments);
        if (rows[i].line != NULL)
            assert_wrong(arguments, NULL, rows[i].line);
    }
    assert_wrong(ARGUMENTS("-q", "1", "--capacity", "2"), NULL,
                 "jobd: --capacity: is given twice\n");
}

static void wrong_environment(void **state)
{
    (void)state;
    assert_wrong(
        ARGUMENTS("-q", "3"), ARGUMENTS("JOBD_CAPACITY=many"),
        "jobd: JOBD_CAPACITY: \"many\" is not allowed; allowed is a whole number from 1 to "
        "10000000\n");
    assert_wrong(ARGUMENTS("-q", "3"), ARGUMENTS("JOBD_OPEN=perhaps"),
                 "jobd: JOBD_OPEN: \"perhaps\" is not allowed; allowed is true or false\n");
}

static void wrong_files(void **state)
{
    static const struct {
        const char *text, *problem;
    } rows[] = {
        {"{\"capcity\": 5}", "1: \"capcity\": unknown key; allowed are"},
        {"{\n\"queues\": {\n\"a\": {\"listen\": \"x\"}}}",
         "3: \"listen\": unknown key; allowed are capacity, workers, sleep\n"},
        {"{\"queues\":\n{\"a\": {\"capacity\": \"5\"}}}", "2: \"capacity\": must be a number\n"},
        {"{\"sleep\": 50}", "1: \"sleep\": must be a string like \"30s\"\n"},
        {"{\"open\": 1}", "1: \"open\": must be true or false\n"},
        {"{\"keep\": 1.5}", "1: \"keep\": \"1.5\" is not allowed; allowed is a whole number"},
        {"{\"keep\": 1,\n\"keep\": 1}", "2: \"keep\": is given twice\n"},
        {"{\"max-body\": 1,\n\"max_body\": 1}", "2: \"max_body\": is given twice\n"},
        {"{\"queues\": {\"a\": {},\n\"a\": {}}}", "2: \"a\": is given twice\n"},
        {"{\"queues\": {\"a b\": {}}}", "1: \"a b\": a queue's name is"},
        {"{\"queues\": {}}", "1: \"queues\": must be an object with 1 to 1000 queues\n"},
        {"{\"queues\": []}", "1: \"queues\": must be an object with 1 to 1000 queues\n"},
        {"{\"queues\": {\"a\": 5}}", "1: \"a\": must be an object\n"},
        {"{\"config\": \"x\"}", "1: \"config\": unknown key"},
        {"[]", "1: the file must hold one JSON object\n"},
        {"{\n\"keep\": 1,\n}", "3: not JSON\n"},
        {"{} {}", "1: not JSON\n"},
        {"", "1: not JSON\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *path = temporary_file("wrong.json", rows[i].text);
        char *out, *err, expected[512];
        snprintf(expected, sizeof expected, "jobd: %s:%s", path, rows[i].problem);
        int code = run(ARGUMENTS("-c", path), NULL, &out, &err);
        if (strncmp(err, expected, strlen(expected)) != 0)
            fail_msg("%s: it said: %snot: %s", rows[i].text, err, expected);
        assert_ptr_equal(strchr(err, '\n'), err + strlen(err) - 1); /* one line */
        assert_int_equal(code, 2);
        free(out);
        free(err);
    }
}

static double capacity_of(struct server *server)
{
    struct client *client = client_new(server);
    double capacity = json_number(client_json(client, "/queues/default"), "capacity");
    client_free(client);
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0);
    return capacity;
}

static struct server *start_planned(const char *const *arguments, const char *const *environment)
{
    const struct server_plan plan = {.arguments = arguments, .environment = environment};
    struct server *server = server_spawn(&plan);
    server_await_listening(server);
    return server;
}

static void the_stronger_source_counts(void **state)
{
    const char *file = temporary_file("jobd.json", "{\"capacity\": 30}");
    const char *const *fresh = ARGUMENTS("JOBD_LISTEN=127.0.0.1:0");
    const char *const *set = ARGUMENTS("JOBD_LISTEN=127.0.0.1:0", "JOBD_CAPACITY=20");
    char setting[512];
    (void)state;
    snprintf(setting, sizeof setting, "JOBD_CONFIG=%s", file);
    assert_true(capacity_of(start_planned(ARGUMENTS("-w", "1"), fresh)) == 8);
    assert_true(capacity_of(start_planned(ARGUMENTS("-c", file), fresh)) == 30);
    assert_true(capacity_of(start_planned(ARGUMENTS("-c", file), set)) == 20);
    assert_true(capacity_of(start_planned(ARGUMENTS("-c", file, "-q", "10"), set)) == 10);
    assert_true(capacity_of(start_planned(ARGUMENTS("-w", "1"),
                                          ARGUMENTS("JOBD_LISTEN=127.0.0.1:0", setting))) == 30);
}

static void what_only_answers(void **state)
{
    char *out, *err;
    (void)state;
    assert_int_equal(run(ARGUMENTS("--version"), NULL, &out, &err), 0);
    assert_int_equal(strncmp(out, "jobd ", 5), 0);
    assert_non_null(strstr(out, "libmicrohttpd"));
    free(out), free(err);
    assert_int_equal(run(ARGUMENTS("--help"), NULL, &out, &err), 0);
    assert_non_null(strstr(out, "--capacity N"));
    assert_non_null(strstr(out, "[127.0.0.1:8080]"));
    free(out), free(err);
    const char *file = temporary_file("good.json", "{\"queues\": {\"a\": {}, \"b\": {}}}");
    assert_int_equal(run(ARGUMENTS("--check", "-c", file), NULL, &out, &err), 0);
    assert_string_equal(out, "the configuration is good: 2 queues\n");
    free(out), free(err);
}

/* ---- sockets */

static void a_path(char *out, size_t size, const char *name)
{
    snprintf(out, size, "unix:%s/%s", temporary_directory(), name);
}

static void unix_sockets(void **state)
{
    char address[200];
    struct stat status;
    (void)state;
    a_path(address, sizeof address, "sock");
    const char *path = address + strlen("unix:");
    /* A file that nobody listens on any more. */
    struct sockaddr_un stale = {.sun_family = AF_UNIX};
    assert_true(strlen(path) < sizeof stale.sun_path);
    memcpy(stale.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&stale, sizeof stale), 0);
    close(fd);

    struct server *server = start_planned(ARGUMENTS("-l", address), NULL);
    struct client *client = client_new(server);
    assert_answer(client_get(client, "/do"), 202, "queued\n");
    client_free(client);

    char *out, *err;
    assert_int_equal(run(ARGUMENTS("-l", address), NULL, &out, &err), 1);
    assert_non_null(strstr(err, "Address already in use"));
    free(out), free(err);
    assert_int_equal(run(ARGUMENTS("--health", "-l", address), NULL, &out, &err), 0);
    free(out), free(err);

    server_signal(server, SIGTERM);
    (void)server_wait(server);
    assert_int_not_equal(lstat(path, &status), 0);
    assert_int_equal(run(ARGUMENTS("--health", "-l", address), NULL, &out, &err), 1);
    free(out), free(err);
}

static void what_is_no_socket_is_left_alone(void **state)
{
    const char *path = temporary_file("precious", "keep me");
    char address[512], *out, *err;
    struct stat status;
    (void)state;
    snprintf(address, sizeof address, "unix:%s", path);
    assert_int_equal(run(ARGUMENTS("-l", address), NULL, &out, &err), 1);
    assert_int_equal(lstat(path, &status), 0);
    assert_int_equal(status.st_size, 7);
    free(out), free(err);
}

static void ipv6(void **state)
{
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    const struct sockaddr_in6 loopback = {.sin6_family = AF_INET6,
                                          .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    (void)state;
    bool there = fd >= 0 && bind(fd, (const struct sockaddr *)&loopback, sizeof loopback) == 0;
    if (fd >= 0)
        close(fd);
    if (!there)
        skip();
    struct server *server = start_planned(ARGUMENTS("-l", "[::1]:0"), NULL);
    assert_int_equal(strncmp(server_address(server), "[::1]:", 6), 0);
    struct client *client = client_new(server);
    assert_answer(client_get(client, "/do"), 202, "queued\n");
    client_free(client);
}

static void an_address_in_use(void **state)
{
    struct server *server = server_start("-w", "1");
    char *out, *err, expected[256];
    (void)state;
    snprintf(expected, sizeof expected, "jobd: %s: Address already in use\n",
             server_address(server));
    assert_int_equal(run(ARGUMENTS("-l", server_address(server)), NULL, &out, &err), 1);
    assert_string_equal(err, expected);
    free(out), free(err);
    assert_int_equal(run(ARGUMENTS("--health", "-l", server_address(server)), NULL, &out, &err), 0);
    assert_string_equal(err, "");
    free(out), free(err);
}

static void sockets_handed_over(void **state)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    (void)state;
    assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof any), 0);
    assert_int_equal(listen(fd, 10), 0);
    /* LISTEN_PID must be the server's own: only a shell that becomes it can say so. */
    const struct server_plan plan = {
        .wrapper = ARGUMENTS("sh", "-c", "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\""),
        .arguments = ARGUMENTS("-l", "127.0.0.1:1"),
        .descriptor_3 = fd,
    };
    struct server *server = server_spawn(&plan);
    close(fd);
    server_await_listening(server);
    struct client *client = client_new(server);
    assert_answer(client_get(client, "/do"), 202, "queued\n");
    client_free(client);
}

/* ---- signals */

static void a_drain_finishes_all(void **state)
{
    struct server *server = server_start("--sleep", "20ms", "--grace", "20s");
    struct client *client = client_new(server);
    char line[SERVER_LINE_SIZE];
    (void)state;
    for (int i = 0; i < 8; i++)
        client_put(client, "/do");
    client_free(client);
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0);
    assert_int_equal(server_count_lines(server, OUT, "done job "), 8);
    server_last_line(server, ERR, line);
    assert_non_null(strstr(line, "stopped: 8 done, 0 failed, 0 cancelled, none lost"));
}

static void while_it_drains(void **state)
{
    struct server *server = server_start("--sleep", "10m", "--grace", "20s");
    struct client *client = client_new(server), *watcher = client_new(server);
    char line[SERVER_LINE_SIZE];
    (void)state;
    uint64_t id = client_put(client, "/do");
    client_await_state(client, id, "running");
    server_signal(server, SIGINT);
    server_await_line(server, ERR, "draining: 0 waiting, 1 running", line);
    assert_answer(client_post(client, "/do"), 503, "draining\n");
    assert_answer(client_get(client, "/readyz"), 503, "draining\n");
    assert_answer(client_get(watcher, "/healthz"), 200, "ok\n");
    assert_field(client_get(watcher, "/healthz"), "Connection", "close");
    char path[64];
    snprintf(path, sizeof path, "/jobs/%llu", (unsigned long long)id);
    assert_answer(client_send(client, "DELETE", path, NULL, NULL), 202, "stopping\n");
    assert_int_equal(server_wait(server), 0);
    client_free(client);
    client_free(watcher);
}

static void after_the_grace_jobs_are_lost(void **state)
{
    struct server *server = server_start("--sleep", "10m", "--grace", "50ms");
    struct client *client = client_new(server);
    char line[SERVER_LINE_SIZE];
    (void)state;
    for (int i = 0; i < 4; i++)
        client_put(client, "/do");
    client_free(client);
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 1);
    server_last_line(server, ERR, line);
    assert_non_null(strstr(line, "stopped: 4 jobs lost"));
    assert_int_equal(server_count_lines(server, OUT, "done job "), 0);
}

static void a_second_signal_ends_at_once(void **state)
{
    char address[200], line[SERVER_LINE_SIZE];
    struct stat status;
    (void)state;
    a_path(address, sizeof address, "second");
    struct server *server =
        start_planned(ARGUMENTS("-l", address, "--sleep", "10m", "--grace", "1h"), NULL);
    struct client *client = client_new(server);
    client_put(client, "/do");
    client_put(client, "/do");
    server_signal(server, SIGTERM);
    server_await_line(server, ERR, "draining", line);
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 1);
    server_last_line(server, ERR, line);
    assert_non_null(strstr(line, "stopped at once: 2 jobs lost"));
    assert_int_not_equal(lstat(address + strlen("unix:"), &status), 0);
    client_free(client);
}

static void idle_connections_do_not_delay_the_end(void **state)
{
    struct server *server = server_start("-w", "1");
    struct client *client = client_new(server);
    int silent = raw_connect(server);
    (void)state;
    assert_answer(client_get(client, "/healthz"), 200, "ok\n"); /* kept alive */
    client_await_metric(client, "jobd_connections", 2);
    int64_t begun_ms = now_ms();
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0);
    assert_true(now_ms() - begun_ms < PATIENCE_MS / 2);
    close(silent);
    client_free(client);
}

static void a_closed_output_harms_nobody(void **state)
{
    struct server *server = server_start("--sleep", "1ms");
    struct client *client = client_new(server);
    char line[SERVER_LINE_SIZE];
    (void)state;
    server_close_output(server);
    uint64_t id = client_put(client, "/do");
    server_await_line(server, ERR, "standard output: Broken pipe", line);
    client_await_state(client, id, "failed");
    assert_answer(client_get(client, "/healthz"), 200, "ok\n");
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0);
    client_free(client);
}

static void as_process_1(void **state)
{
    (void)state;
    if (system("unshare --pid --fork --mount-proc true 2>/dev/null") != 0) {
        print_message("unshare is not allowed here\n");
        skip();
    }
    const struct server_plan plan = {
        .wrapper = ARGUMENTS("unshare", "--pid", "--fork", "--mount-proc", "--kill-child"),
        .arguments = ARGUMENTS("-l", "127.0.0.1:0", "--sleep", "20ms", "--grace", "20s"),
    };
    struct server *server = server_spawn(&plan);
    char command[128];
    server_await_listening(server);
    struct client *client = client_new(server);
    for (int i = 0; i < 5; i++)
        client_put(client, "/do");
    client_free(client);
    /* The wrapper ignores the signal; its child is process 1 of its own namespace. */
    snprintf(command, sizeof command, "kill -TERM $(cat /proc/%d/task/%d/children)",
             (int)server_pid(server), (int)server_pid(server));
    assert_int_equal(system(command), 0);
    assert_int_equal(server_wait(server), 0);
    assert_int_equal(server_count_lines(server, OUT, "done job "), 5);
}

/* ---- logs */

static void json_logs(void **state)
{
    struct server *server = server_start("--log-format", "json", "--sleep", "1ms");
    struct client *client = client_new(server);
    (void)state;
    uint64_t id = client_put(client, "/do");
    client_await_state(client, id, "done");
    client_free(client);
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0);
    char *log = server_output(server, ERR), *rest = log;
    unsigned lines = 0;
    for (char *line; (line = strsep(&rest, "\n")) != NULL && *line != '\0'; lines++) {
        cJSON *entry = cJSON_Parse(line);
        assert_non_null(entry);
        assert_string_equal(json_string(entry, "level"), "info");
        assert_int_equal(strlen(json_string(entry, "time")), strlen("2026-01-31T23:59:59.999Z"));
        assert_non_null(json_string(entry, "message"));
        cJSON_Delete(entry);
    }
    assert_int_equal(lines, 4); /* listening, SIGTERM, draining, stopped: none a request */
    free(log);
}

static void a_quiet_log(void **state)
{
    struct server *server = server_spawn(&(struct server_plan){
        .arguments = ARGUMENTS("-l", "nowhere.invalid:1", "--log-level", "error")});
    (void)state;
    assert_int_not_equal(server_wait(server), 0);
    assert_int_equal(server_count_lines(server, ERR, "info"), 0);
    assert_int_equal(server_count_lines(server, ERR, "jobd: nowhere.invalid:1: "), 1);
}

#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(wrong_options),
        TEST(wrong_environment),
        TEST(wrong_files),
        TEST(the_stronger_source_counts),
        TEST(what_only_answers),
        TEST(unix_sockets),
        TEST(what_is_no_socket_is_left_alone),
        TEST(ipv6),
        TEST(an_address_in_use),
        TEST(sockets_handed_over),
        TEST(a_drain_finishes_all),
        TEST(while_it_drains),
        TEST(after_the_grace_jobs_are_lost),
        TEST(a_second_signal_ends_at_once),
        TEST(idle_connections_do_not_delay_the_end),
        TEST(a_closed_output_harms_nobody),
        TEST(as_process_1),
        TEST(json_logs),
        TEST(a_quiet_log),
    };
    return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
