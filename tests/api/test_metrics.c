/* SPDX-License-Identifier: MIT */
/* GET /metrics: all that there is is in jobd(7), and the other way round; figures that alerts are
 * about follow what happens. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/postgres.h"
#include "support/server.h"

enum { NAMES_MAX = 200, NAME_SIZE = 80, PATH_SIZE = 200 };

/* ---- names */

struct names {
    char of[NAMES_MAX][NAME_SIZE];
    unsigned len;
};

static void note(struct names *names, const char *name, size_t length)
{
    for (unsigned i = 0; i < names->len; i++)
        if (strlen(names->of[i]) == length && strncmp(names->of[i], name, length) == 0)
            return;
    assert_true(names->len < NAMES_MAX && length < NAME_SIZE);
    snprintf(names->of[names->len++], NAME_SIZE, "%.*s", (int)length, name);
}

static bool has(const struct names *names, const char *name)
{
    for (unsigned i = 0; i < names->len; i++)
        if (strcmp(names->of[i], name) == 0)
            return true;
    return false;
}

/* Those that stand behind this word, at the beginning of a line. */
static void collect(struct names *names, const char *text, const char *word, const char *prefix)
{
    for (const char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, word, strlen(word)) == 0 &&
            strncmp(line + strlen(word), prefix, strlen(prefix)) == 0)
            note(names, line + strlen(word), strcspn(line + strlen(word), " \n"));
    }
}

static char *manual(void)
{
    static char text[1 << 20];
    FILE *file = fopen("src/dist/jobd.7", "re");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

static void collect_of(struct names *names, const char *data)
{
    struct server *server = server_spawn(
        &(struct server_plan){.arguments = data != NULL ? FIELDS("-l", "127.0.0.1:0", "-d", data)
                                                        : FIELDS("-l", "127.0.0.1:0")});
    server_await_listening(server);
    struct client *client = client_new(server);
    collect(names, client_get(client, "/metrics")->body, "# TYPE ", "");
    client_free(client);
}

static void all_are_in_the_manual(void **state)
{
    struct names are = {.len = 0}, described = {.len = 0};
    char path[PATH_SIZE], url[POSTGRES_URL_SIZE];
    (void)state;
    snprintf(path, sizeof path, "%s/data", temporary_directory());
    collect_of(&are, NULL);
    collect_of(&are, path);
    if (postgres_is_there()) {
        postgres_fresh(url);
        collect_of(&are, url);
    }
    collect(&described, manual(), ".It Li ", "jobd_");
    collect(&described, manual(), ".It Li ", "process_");
    assert_true(are.len > 50);
    for (unsigned i = 0; i < are.len; i++)
        if (!has(&described, are.of[i]))
            fail_msg("%s is not described", are.of[i]);
    for (unsigned i = 0; i < described.len; i++)
        if (!has(&are, described.of[i]) && strncmp(described.of[i], "jobd_ledger_", 12) != 0)
            fail_msg("there is no %s", described.of[i]);
}

/* ---- what they say */

static void leases_are_counted(void **state)
{
    char room[256], path[300], done[300];
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    (void)state;
    (void)client_put(client, "/do?attempts=5");
    const struct answer *answer = client_post(client, "/take?lease=1h");
    snprintf(path, sizeof path, "%s/release", answer_field(answer, "Location", room));
    assert_int_equal(client_post(client, path)->status, 200);
    client_await_metric(client, "jobd_leases_released_total{queue=\"default\"}", 1);
    assert_int_equal(client_metric(client, "jobd_leases_expired_total{queue=\"default\"}"), 0);
    assert_int_equal(client_post(client, "/take?lease=100ms")->status, 200);
    client_await_metric(client, "jobd_leases_expired_total{queue=\"default\"}", 1);
    snprintf(done, sizeof done, "%s/done",
             answer_field(client_post(client, "/take?wait=10s"), "Location", room));
    assert_int_equal(client_post(client, done)->status, 200);
    assert_int_equal(client_metric(client, "jobd_leases_expired_total{queue=\"default\"}"), 1);
    assert_int_equal(client_post(client, path)->status, 200); /* told again, counted once */
    assert_int_equal(client_metric(client, "jobd_leases_released_total{queue=\"default\"}"), 1);
    client_free(client);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void a_bad_reload_is_seen(void **state)
{
    char line[SERVER_LINE_SIZE];
    const char *path = temporary_file("jobd.json", "{\"capacity\": 10}");
    struct server *server = server_start("-c", path);
    struct client *client = client_new(server);
    (void)state;
    double before = client_metric(client, "jobd_config_last_reload_success_timestamp_seconds");
    assert_true(before > (double)time(NULL) - 600 && before < (double)time(NULL) + 5);
    assert_int_equal(client_metric(client, "jobd_config_last_reload_successful"), 1);
    write_file(path, "{\"capacity\": \"many\"}");
    server_signal(server, SIGHUP);
    server_await_line(server, ERR, "nothing is changed", line);
    client_await_metric(client, "jobd_config_last_reload_successful", 0);
    assert_true(client_metric(client, "jobd_config_last_reload_success_timestamp_seconds") ==
                before);
    write_file(path, "{\"capacity\": 20}");
    server_signal(server, SIGHUP);
    client_await_metric(client, "jobd_config_last_reload_successful", 1);
    assert_true(client_metric(client, "jobd_config_last_reload_success_timestamp_seconds") >
                before);
    client_free(client);
}

static void limits_and_readiness(void **state)
{
    struct server *server = server_start("--memory", "1MiB", "-w", "1", "-q", "1", "--sleep", "1h");
    struct client *client = client_new(server);
    (void)state;
    assert_int_equal(client_metric(client, "jobd_memory_limit_bytes"), 1 << 20);
    assert_int_equal(client_metric(client, "jobd_ready"), 1);
    client_await_state(client, client_put(client, "/do"), "running");
    (void)client_put(client, "/do");
    assert_int_equal(client_metric(client, "jobd_ready"), 0); /* full, and it empties it itself */
    client_free(client);
}

static void what_the_disk_does_is_told(void **state)
{
    char path[PATH_SIZE];
    (void)state;
    snprintf(path, sizeof path, "%s/data", temporary_directory());
    const char *two = temporary_file("two.json", "{\"queues\": {\"default\": {\"workers\": 0},"
                                                 " \"old\": {\"workers\": 0}}}");
    struct server *server = server_spawn(
        &(struct server_plan){.arguments = FIELDS("-l", "127.0.0.1:0", "-d", path, "-c", two)});
    server_await_listening(server);
    struct client *client = client_new(server);
    (void)client_put(client, "/do/old");
    client_await_at_least(client, "jobd_store_commit_seconds_count", 1);
    assert_true(client_metric(client, "jobd_store_commit_seconds_bucket{le=\"+Inf\"}") ==
                client_metric(client, "jobd_store_commits_total"));
    assert_true(client_metric(client, "jobd_store_bytes") > 4096);
    assert_int_equal(client_metric(client, "jobd_queues_undeclared"), 0);
    client_free(client);
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0);
    server = server_spawn(
        &(struct server_plan){.arguments = FIELDS("-l", "127.0.0.1:0", "-d", path, "-w", "0")});
    server_await_listening(server);
    client = client_new(server);
    assert_int_equal(client_metric(client, "jobd_queues_undeclared"), 1);
    client_free(client);
}

static void the_process_is_described(void **state)
{
    struct server *server = server_start("-w", "3");
    struct client *client = client_new(server);
    (void)state;
    double start = client_metric(client, "process_start_time_seconds");
    assert_true(start > (double)time(NULL) - 600 && start < (double)time(NULL) + 5);
    assert_true(client_metric(client, "process_start_time_seconds") == start);
    assert_true(client_metric(client, "process_threads") > 3);
    assert_true(client_metric(client, "process_resident_memory_bytes") > 1 << 20);
    assert_true(client_metric(client, "process_virtual_memory_bytes") >
                client_metric(client, "process_resident_memory_bytes"));
    assert_true(client_metric(client, "process_max_fds") > 100);
    double before = client_metric(client, "process_open_fds");
    int fd = raw_connect(server);
    client_await_metric(client, "process_open_fds", before + 1);
    close(fd);
    client_await_at_least(client, "process_cpu_seconds_total", 0.001);
    client_free(client);
}

/* A job that ran for two seconds is told from one that ran for four. */
static void long_jobs_have_buckets(void **state)
{
    static const char *const bounds[] = {"1", "2.5", "5", "10", "30", "60", "300", "3600", "+Inf"};
    struct server *server = server_start("-w", "0");
    struct client *client = client_new(server);
    (void)state;
    for (unsigned i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        char words[120];
        snprintf(words, sizeof words, "jobd_job_wait_seconds_bucket{queue=\"default\",le=\"%s\"}",
                 bounds[i]);
        assert_int_equal(client_metric(client, words), 0);
        snprintf(words, sizeof words, "jobd_job_run_seconds_bucket{queue=\"default\",le=\"%s\"}",
                 bounds[i]);
        assert_int_equal(client_metric(client, words), 0);
    }
    client_free(client);
}

#define EACH(test) cmocka_unit_test_teardown(test, server_stop_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(all_are_in_the_manual),      EACH(leases_are_counted),
        EACH(a_bad_reload_is_seen),       EACH(limits_and_readiness),
        EACH(what_the_disk_does_is_told), EACH(the_process_is_described),
        EACH(long_jobs_have_buckets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
