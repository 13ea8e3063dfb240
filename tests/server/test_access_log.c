/* SPDX-License-Identifier: MIT */
/* --access-log: a line for each request, whoever has answered it. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/server.h"

#define HOST  "Host: 127.0.0.1\r\n"
#define CLOSE HOST "Connection: close\r\n"

/* Its path, and a server that writes it. */
static struct server *start(char path[SERVER_LINE_SIZE], const char *option, const char *value)
{
    snprintf(path, SERVER_LINE_SIZE, "%s/access.log", temporary_directory());
    return option != NULL ? server_start("--access-log", path, option, value, "-w", "0")
                          : server_start("--access-log", path, "-w", "0");
}

static char *read_all(const char *path)
{
    char *text = calloc(1, 1 << 20);
    FILE *in = fopen(path, "re");
    if (in != NULL) {
        (void)!fread(text, 1, (1 << 20) - 1, in);
        fclose(in);
    }
    return text;
}

/* Waits until the file has `text`; the line it is in, for the caller to free. */
static char *await_line(const char *path, const char *text)
{
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    for (;;) {
        char *all = read_all(path), *found = strstr(all, text);
        char *end = found != NULL ? strchr(found, '\n') : NULL;
        if (end != NULL) {
            while (found > all && found[-1] != '\n')
                found--;
            char *line = strndup(found, (size_t)(end - found));
            free(all);
            return line;
        }
        free(all);
        look_again(deadline_ms, text);
    }
}

static void await_text(const char *path, const char *text)
{
    free(await_line(path, text));
}

static void a_request_is_a_line(void **state)
{
    char path[SERVER_LINE_SIZE], expected[256], time[32], duration[32];
    struct server *server = start(path, NULL, NULL);
    struct client *client = client_new(server);
    (void)state;
    uint64_t id = client_put(client, "/do?delay=0s");
    char *line = await_line(path, "POST");
    assert_int_equal(sscanf(line, "%31s %*s %*s %*s %*s %*s %31s", time, duration), 2);
    assert_int_equal(strlen(time), strlen("2026-11-27T13:12:06.644Z"));
    assert_string_equal(duration + strspn(duration, "0123456789."), "ms");
    snprintf(expected, sizeof expected, "%s 127.0.0.1 POST /do?delay=0s 202 7 %s %llu", time,
             duration, (unsigned long long)id);
    assert_string_equal(line, expected);
    free(line);
    assert_int_equal(client_send(client, "HEAD", "/queues", NULL, NULL)->status, 200);
    await_text(path, " HEAD /queues 200 0 ");
    client_free(client);
}

/* A lease's token is not in it, the job is. */
static void no_token_is_written(void **state)
{
    char path[SERVER_LINE_SIZE], room[256], word[300];
    struct server *server = start(path, NULL, NULL);
    struct client *client = client_new(server);
    (void)state;
    uint64_t id = client_put(client, "/do");
    snprintf(word, sizeof word, "%s/done",
             answer_field(client_post(client, "/take"), "Location", room));
    assert_int_equal(client_post(client, word)->status, 200);
    char *line = await_line(path, " POST /leases/***/done 200 ");
    snprintf(word, sizeof word, "ms %llu", (unsigned long long)id);
    assert_non_null(strstr(line, word));
    free(line);
    char *all = read_all(path);
    assert_null(strstr(all, room + strlen("/leases/")));
    free(all);
    client_free(client);
}

static void it_can_be_json(void **state)
{
    char path[SERVER_LINE_SIZE];
    struct server *server = start(path, "--log-format", "json");
    struct client *client = client_new(server);
    (void)state;
    uint64_t id = client_put(client, "/do");
    char *line = await_line(path, "\"/do\"");
    cJSON *json = cJSON_Parse(line);
    assert_non_null(json);
    assert_string_equal(json_string(json, "address"), "127.0.0.1");
    assert_string_equal(json_string(json, "method"), "POST");
    assert_int_equal(json_number(json, "status"), 202);
    assert_int_equal(json_number(json, "bytes"), 7);
    assert_true(json_number(json, "duration_ms") >= 0);
    assert_true(json_number(json, "job") == (double)id);
    assert_non_null(json_string(json, "time"));
    cJSON_Delete(json);
    free(line);
    client_free(client);
}

static void who_is_refused_is_in_it_too(void **state)
{
    static struct raw raw;
    char path[SERVER_LINE_SIZE];
    struct server *server = start(path, "--header-timeout", "200ms");
    (void)state;
    assert_int_equal(raw_ask(server, "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", &raw), 403);
    await_text(path, " GET / 403 ");
    assert_int_equal(raw_ask(server, "BREW /tea HTTP/1.1\r\n" CLOSE "\r\n", &raw), 404);
    await_text(path, " BREW /tea 404 ");
    assert_int_equal(
        raw_ask(server, "GET /length HTTP/1.1\r\nContent-Length: x\r\n" CLOSE "\r\n", &raw), 400);
    await_text(path, " /length 400 ");
    assert_int_equal(raw_ask(server, "GET / HTTP/3.7\r\n" CLOSE "\r\n", &raw), 505);
    await_text(path, " 505 ");
    assert_int_equal(raw_ask(server, "GET /slow HTTP/1.1\r\nHo", &raw), 408);
    await_text(path, " /slow 408 ");
    assert_int_equal(raw_ask(server, "", &raw), 408);
    await_text(path, " - - 408 ");
}

static void who_has_left_is_499(void **state)
{
    char path[SERVER_LINE_SIZE];
    struct server *server = start(path, NULL, NULL);
    struct client *client = client_new(server);
    (void)state;
    int fd = raw_connect(server);
    assert_true(raw_send(fd, "POST /take?wait=600s HTTP/1.1\r\n" HOST "\r\n"));
    client_await_metric(client, "jobd_requests_parked", 1);
    close(fd);
    await_text(path, " POST /take?wait=600s 499 0 ");
    client_free(client);
}

static void nothing_steers_a_terminal(void **state)
{
    static struct raw raw;
    char path[SERVER_LINE_SIZE];
    struct server *server = start(path, NULL, NULL);
    (void)state;
    assert_int_equal(raw_ask(server,
                             "GET /\x1b[31m\xc2\x9b"
                             "0 \\ HTTP/1.1\r\n" CLOSE "\r\n",
                             &raw),
                     400);
    await_text(path, " GET /\\x1b[31m\\xc2\\x9b0\\x20\\x5c 400 ");
}

/* Renamed and opened again, also where the sandbox hides what is not needed. */
static void logrotate_can_rename_it(void **state)
{
    static const int numbers[] = {SIGUSR1, SIGHUP};
    char path[SERVER_LINE_SIZE], old[SERVER_LINE_SIZE + 8], target[32], said[SERVER_LINE_SIZE];
    struct server *server = start(path, NULL, NULL);
    struct client *client = client_new(server);
    (void)state;
    for (int i = 0; i < 2; i++) {
        snprintf(target, sizeof target, "/before-%d", i);
        client_get(client, target);
        await_text(path, target);
        snprintf(old, sizeof old, "%s.%d", path, i);
        assert_int_equal(rename(path, old), 0);
        server_signal(server, numbers[i]);
        server_await_line(server, ERR, i == 0 ? "SIGUSR1: " : "access.log is opened again", said);
        server_await_lines(server, ERR, "is opened again", (size_t)i + 1);
        snprintf(target, sizeof target, "/after-%d", i);
        client_get(client, target);
        await_text(path, target);
        char *all = read_all(old);
        assert_non_null(strstr(all, "/before-"));
        assert_null(strstr(all, target));
        free(all);
    }
    client_free(client);
}

static void a_full_disk_stops_no_request(void **state)
{
    struct server *server = server_start("--access-log", "/dev/full", "-w", "0");
    struct client *client = client_new(server);
    char line[SERVER_LINE_SIZE];
    (void)state;
    client_put(client, "/do");
    server_await_line(server, ERR, "/dev/full: 1 line is dropped: No space left on device", line);
    assert_true(client_metric(client, "jobd_access_log_dropped_total") >= 1);
    client_free(client);
}

static void it_can_go_to_standard_error(void **state)
{
    struct server *server = server_start("--access-log", "-", "-w", "0");
    struct client *client = client_new(server);
    char line[SERVER_LINE_SIZE];
    (void)state;
    client_put(client, "/do");
    server_await_line(server, ERR, " 127.0.0.1 POST /do 202 7 ", line);
    server_signal(server, SIGTERM);
    server_wait(server);
    client_free(client);
}

static void what_cannot_be_opened_is_named(void **state)
{
    static const char *const arguments[] = {"-l", "127.0.0.1:0", "--access-log", "/no/such/file",
                                            NULL};
    static const char *const check[] = {"--check", "--access-log", "/no/such/file", NULL};
    char *out, *err;
    (void)state;
    assert_int_equal(server_run(arguments, NULL, &out, &err), 2);
    assert_string_equal(err, "jobd: --access-log: /no/such/file: No such file or directory\n");
    free(out);
    free(err);
    assert_int_equal(server_run(check, NULL, &out, &err), 2);
    assert_string_equal(err, "jobd: --access-log: /no/such: No such file or directory\n");
    free(out);
    free(err);
}

#define EACH(test) cmocka_unit_test_teardown(test, server_stop_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(a_request_is_a_line),
        EACH(no_token_is_written),
        EACH(it_can_be_json),
        EACH(who_is_refused_is_in_it_too),
        EACH(who_has_left_is_499),
        EACH(nothing_steers_a_terminal),
        EACH(logrotate_can_rename_it),
        EACH(a_full_disk_stops_no_request),
        EACH(it_can_go_to_standard_error),
        EACH(what_cannot_be_opened_is_named),
    };
    return cmocka_run_group_tests_name("access log", tests, NULL, NULL);
}
