/* SPDX-License-Identifier: MIT */
/* The page in a real browser, Chromium: page.py does what a person does, against a server that is
 * started here. Pictures for a person to look at are left in build/. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/needs.h"
#include "support/server.h"

#define PICTURES "build/page"

/* The address may have a path behind it. */
static void browse(const char *what, const char *address)
{
    char command[512];
    snprintf(command, sizeof command,
             "mkdir -p " PICTURES " && exec python3 tests/page/page.py %s %s " PICTURES, what,
             address);
    int status = system(command);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static struct server *start(const char *file)
{
    need_command("chromium");
    return server_start("-c", temporary_file("page.json", file), "--max-body", "100KiB");
}

#define TWO                                                                                        \
    "{\"queues\": {\"default\": {\"capacity\": 5, \"workers\": 0, \"per_key\": {\"waiting\": 5}}," \
    " \"mail\": {\"capacity\": 100, \"workers\": 0}}}"
/* A job's payload is what is run. */
#define SHELL                                                                                      \
    "{\"queues\": {\"default\": {\"capacity\": 5, \"workers\": 2, \"exec\": [\"sh\", \"-s\"],"     \
    " \"backoff\": \"10ms..20ms\"}}}"

static void queues_are_paused_resumed_and_purged(void **state)
{
    (void)state;
    browse("queues", server_address(start(TWO)));
}

static void a_stuck_queue_says_why(void **state)
{
    (void)state;
    browse("stuck",
           server_address(start(
               "{\"queues\": {\"default\": {\"workers\": 0},"
               "\"paused\": {\"capacity\": 9, \"sleep\": \"1ms\"},"
               "\"nobody\": {\"capacity\": 9, \"workers\": 0},"
               "\"one\": {\"capacity\": 9, \"workers\": 0, \"running\": 1},"
               "\"keys\": {\"capacity\": 9, \"workers\": 0, \"per_key\": {\"running\": 1}},"
               "\"rate\": {\"capacity\": 9, \"workers\": 0, \"rate\": \"1/1h\"},"
               "\"busy\": {\"capacity\": 9, \"workers\": 0},"
               "\"broken\": {\"capacity\": 9, \"post\": \"http://127.0.0.1:1/\", \"attempts\": 9,"
               " \"backoff\": \"1ms..1ms\", \"breaker\": \"1/1h\"},"
               "\"failing\": {\"capacity\": 9, \"exec\": [\"false\"]},"
               "\"blocked\": {\"capacity\": 9, \"sleep\": \"1ms\"}}}")));
}

static void it_is_used_by_keys_alone(void **state)
{
    (void)state;
    browse("keys", server_address(start(TWO)));
}

static void jobs_are_found_retried_and_cancelled(void **state)
{
    (void)state;
    browse("jobs", server_address(start(TWO)));
}

static void bulk_verbs_are_about_what_is_shown(void **state)
{
    (void)state;
    browse("bulk", server_address(start(TWO)));
}

static void a_job_shows_all_of_itself(void **state)
{
    (void)state;
    browse("job", server_address(start(SHELL)));
}

static void schedules_run_pause_and_resume(void **state)
{
    (void)state;
    browse("schedules", server_address(start(TWO)));
}

static void workers_are_shown_with_what_they_have(void **state)
{
    (void)state;
    browse("workers", server_address(start(TWO)));
}

static void a_job_is_put_in_as_curl_does(void **state)
{
    (void)state;
    browse("putting", server_address(start(TWO)));
}

static void what_a_token_may_not_do_is_not_offered(void **state)
{
    static const char tokens[] = "read read-read-read\nread+data read.data-read.data-read.data\n"
                                 "put put-put-put\nwork work-work-work\n"
                                 "read:mail read.mail-read.mail-read.mail\n"
                                 "put:mail put.mail-put.mail-put.mail\n"
                                 "admin:mail admin.mail-admin.mail-admin.mail\n"
                                 "admin admin-admin-admin\n";
    (void)state;
    need_command("chromium");
    browse("tokens", server_address(server_start("-c", temporary_file("page.json", TWO),
                                                 "--token-file", temporary_file("t", tokens),
                                                 "--callback-allow", "http://127.0.0.1/")));
}

static void scripts_stay_text(void **state)
{
    (void)state;
    browse("hostile", server_address(start(SHELL)));
}

static void a_server_that_is_gone_is_awaited(void **state)
{
    (void)state;
    browse("gone", server_address(start(TWO)));
}

static void thirteen_queues_are_a_table(void **state)
{
    char file[2048] = "{\"queues\": {\"default\": {\"workers\": 0}";
    (void)state;
    for (int i = 1; i <= 12; i++) {
        size_t used = strlen(file);
        snprintf(file + used, sizeof file - used, ", \"q%d\": {\"capacity\": 1000, \"workers\": 0}",
                 i);
    }
    snprintf(file + strlen(file), sizeof file - strlen(file), "}}");
    browse("many", server_address(start(file)));
}

static void figures_move_without_asking(void **state)
{
    (void)state;
    browse("live", server_address(start("{\"queues\": {"
                                        "\"default\": {\"capacity\": 100, \"workers\": 0},"
                                        "\"mail\": {\"capacity\": 9, \"workers\": 0}}}")));
}

static void a_flood_of_changes_does_not_freeze_it(void **state)
{
    (void)state;
    browse("flood", server_address(start("{\"queues\": {"
                                         "\"default\": {\"capacity\": 20000, \"workers\": 0},"
                                         "\"mail\": {\"capacity\": 9, \"workers\": 0}}}")));
}

/* As long as a queue's name may be. */
#define Q16 "qqqqqqqqqqqqqqqq"
#define Q64 Q16 Q16 Q16 Q16

static void it_can_be_read_by_everybody(void **state)
{
    (void)state;
    browse("looks",
           server_address(start("{\"queues\": {"
                                "\"default\": {\"capacity\": 20, \"exec\": [\"sh\", \"-s\"]},"
                                "\"mail\": {\"capacity\": 100, \"exec\": [\"sh\", \"-c\","
                                "  \"cat >/dev/null; echo smtp.example.org: connection refused >&2;"
                                "   exit 75\"]},"
                                "\"slow\": {\"capacity\": 7, \"sleep\": \"10m\"},"
                                "\"" Q64 "\": {\"workers\": 0},"
                                "\"reports\": {\"capacity\": 1000, \"workers\": 0}}}")));
}

/* ---- below a path of a proxy */

/* A port that nothing listens on now. */
static int free_port(void)
{
    struct server *server = server_start("-w", "0");
    int port = atoi(strrchr(server_address(server), ':') + 1);
    server_signal(server, SIGTERM);
    (void)server_wait(server);
    return port;
}

static void await_answer(const char *url)
{
    char command[256];
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    snprintf(command, sizeof command, "curl -sfo /dev/null %s", url);
    while (system(command) != 0)
        look_again(deadline_ms, "the proxy");
}

static void it_works_below_a_path(void **state)
{
    char file[1024], command[512], place[64], url[96];
    (void)state;
    need_command("nginx");
    struct server *jobd = start(TWO);
    int port = free_port();
    snprintf(file, sizeof file,
             "daemon off; master_process off; pid %s/nginx.pid; error_log stderr; events {}\n"
             "http { access_log off; client_body_temp_path %s/body; proxy_temp_path %s/proxy;\n"
             " server { listen 127.0.0.1:%d; location /x/ { proxy_pass http://%s/;"
             " proxy_set_header Host $http_host; } } }\n",
             temporary_directory(), temporary_directory(), temporary_directory(), port,
             server_address(jobd));
    snprintf(command, sizeof command, "exec nginx -e stderr -c %s", temporary_file("n.conf", file));
    const char *const nginx[] = {"sh", "-c", command, NULL};
    server_spawn(&(struct server_plan){.wrapper = nginx});
    snprintf(place, sizeof place, "127.0.0.1:%d/x", port);
    snprintf(url, sizeof url, "http://%s/healthz", place);
    await_answer(url);
    browse("prefix", place);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(queues_are_paused_resumed_and_purged),
        TEST(a_stuck_queue_says_why),
        TEST(it_is_used_by_keys_alone),
        TEST(jobs_are_found_retried_and_cancelled),
        TEST(bulk_verbs_are_about_what_is_shown),
        TEST(a_job_shows_all_of_itself),
        TEST(schedules_run_pause_and_resume),
        TEST(workers_are_shown_with_what_they_have),
        TEST(a_job_is_put_in_as_curl_does),
        TEST(what_a_token_may_not_do_is_not_offered),
        TEST(scripts_stay_text),
        TEST(a_server_that_is_gone_is_awaited),
        TEST(thirteen_queues_are_a_table),
        TEST(figures_move_without_asking),
        TEST(a_flood_of_changes_does_not_freeze_it),
        TEST(it_can_be_read_by_everybody),
        TEST(it_works_below_a_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
