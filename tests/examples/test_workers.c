/* SPDX-License-Identifier: MIT */
/* The workers in this folder: they do their jobs, and whatever the server does, go on, wait or end
 * with a word. */
#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/needs.h"
#include "support/server.h"
#include "support/service.h"

enum { KINDS = 8, URL_SIZE = SERVER_ADDRESS_SIZE + 16 };

/* Those that are compiled are where there is a compiler. */
static const struct kind {
    const char *command, *file;
} kinds[KINDS] = {
    {"sh", "tests/examples/worker.sh"},    {"python3", "tests/examples/worker.py"},
    {"node", "tests/examples/worker.mjs"}, {"ruby", "tests/examples/worker.rb"},
    {"php", "tests/examples/worker.php"},  {"env", "build/examples/worker-go"},
    {"java", "build/examples/worker.jar"}, {"env", "build/examples/worker-rs"},
};

#define EACH_KIND(kind)                                                                            \
    for (const struct kind *kind = kinds; kind < kinds + KINDS; kind++)                            \
        if (is_there(kind))

static bool is_there(const struct kind *kind)
{
    bool file = access(kind->file, R_OK) == 0;
    if (file && command_is_there(kind->command))
        return true;
    print_message("skipped: there is no %s\n", file ? kind->command : kind->file);
    return false;
}

/* `jobd` is where its server is; either of them may be NULL. */
static struct server *start_worker(const struct kind *kind, const char *jobd, const char *token)
{
    static char place[URL_SIZE + 8], secret[64], temporary[256], here[512], script[600];
    bool is_jar = strcmp(kind->command, "java") == 0;
    const char *const wrapper[] = {"env",
                                   "-u",
                                   "JOBD",
                                   "-u",
                                   "TOKEN",
                                   "-C",
                                   temporary_directory(),
                                   temporary,
                                   place,
                                   secret,
                                   kind->command,
                                   is_jar ? "-jar" : script,
                                   script,
                                   NULL};
    assert_non_null(getcwd(here, sizeof here));
    snprintf(script, sizeof script, "%s/%s", here, kind->file);
    snprintf(temporary, sizeof temporary, "TMPDIR=%s", temporary_directory());
    snprintf(place, sizeof place, "%s=%s", jobd != NULL ? "JOBD" : "NONE", jobd);
    snprintf(secret, sizeof secret, "%s=%s", token != NULL ? "TOKEN" : "NONE", token);
    return server_spawn(&(struct server_plan){.wrapper = wrapper});
}

static void end_worker(struct server *worker)
{
    kill(server_pid(worker), SIGTERM);
    (void)server_wait(worker);
}

static const char *url_of(const struct server *server)
{
    static char url[URL_SIZE];
    snprintf(url, sizeof url, "http://%s", server_address(server));
    return url;
}

static struct server *start(void)
{
    return server_start("-w", "0", "-q", "100");
}

static void assert_does_a_job(struct client *client, const char *token)
{
    const char *const fields[] = {"Prefer: wait=15", token, NULL};
    assert_answer(client_send(client, "POST", "/do", fields, "from anywhere"), 200,
                  "FROM ANYWHERE");
}

static void assert_left_nothing_behind(void)
{
    DIR *folder = opendir(temporary_directory());
    assert_non_null(folder);
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
        if (entry->d_name[0] != '.' && strncmp(entry->d_name, "data-", 5) != 0)
            fail_msg("%s is left", entry->d_name);
    closedir(folder);
}

/* ---- work */

static void two_in_one_directory(void **state)
{
    enum { JOBS = 40 };
    (void)state;
    EACH_KIND(kind)
    {
        uint64_t ids[JOBS];
        char text[64];
        struct server *server = start();
        struct client *client = client_new(server);
        for (int i = 0; i < JOBS; i++) {
            snprintf(text, sizeof text, "payload %d", i);
            ids[i] = answer_job(client_send(client, "POST", "/do", NULL, i > 0 ? text : NULL));
        }
        struct server *one = start_worker(kind, url_of(server), NULL);
        struct server *other = start_worker(kind, url_of(server), NULL);
        for (int i = 0; i < JOBS; i++) {
            client_await_state(client, ids[i], "done");
            snprintf(text, sizeof text, "/jobs/%llu/output", (unsigned long long)ids[i]);
            const struct answer *answer = client_get(client, text);
            snprintf(text, sizeof text, "PAYLOAD %d", i);
            assert_answer(answer, 200, i > 0 ? text : "");
        }
        end_worker(one);
        end_worker(other);
        assert_left_nothing_behind();
        client_free(client);
    }
}

/* ---- what is missing */

static void assert_ends_with(struct server *worker, const char *word)
{
    assert_int_not_equal(server_wait(worker), 0);
    if (server_count_lines(worker, ERR, word) == 0)
        fail_msg("it did not say %s but %s", word, server_output(worker, ERR));
}

static void without_a_server(void **state)
{
    (void)state;
    EACH_KIND(kind)
    {
        assert_ends_with(start_worker(kind, NULL, NULL), "JOBD");
        assert_ends_with(start_worker(kind, "", NULL), "JOBD");
    }
    assert_left_nothing_behind();
}

static void without_a_token(void **state)
{
    const char *file = temporary_file(".tokens", "put qW8sXr2LNc7uJf4E\nwork aK9vBn3DgHs6yPz1\n");
    struct server *server = server_start("-w", "0", "--token-file", file);
    struct client *client = client_new(server);
    (void)state;
    EACH_KIND(kind)
    {
        assert_ends_with(start_worker(kind, url_of(server), NULL), "401");
        assert_ends_with(start_worker(kind, url_of(server), "qW8sXr2LNc7uJf4E"), "403");
        struct server *worker = start_worker(kind, url_of(server), "aK9vBn3DgHs6yPz1");
        assert_does_a_job(client, "Authorization: Bearer qW8sXr2LNc7uJf4E");
        end_worker(worker);
    }
    assert_left_nothing_behind();
    client_free(client);
}

/* ---- a server that goes, and comes back */

static struct server *start_again(const char *address, const char *data)
{
    const char *const arguments[] = {"-l", address, "-d", data, "-w", "0", NULL};
    struct server *server = server_spawn(&(struct server_plan){.arguments = arguments});
    server_await_listening(server);
    return server;
}

static void through_a_restart(void **state)
{
    char data[128], address[SERVER_ADDRESS_SIZE];
    (void)state;
    snprintf(data, sizeof data, "%s/data-restart", temporary_directory());
    EACH_KIND(kind)
    {
        struct server *server = start_again("127.0.0.1:0", data);
        struct client *client = client_new(server);
        struct server *worker = start_worker(kind, url_of(server), NULL);
        assert_does_a_job(client, NULL);
        client_free(client);
        snprintf(address, sizeof address, "%s", server_address(server));
        server_signal(server, SIGTERM);
        assert_int_equal(server_wait(server), 0);
        server_await_lines(worker, ERR, "", 1);
        server = start_again(address, data);
        client = client_new(server);
        assert_does_a_job(client, NULL);
        client_free(client);
        end_worker(worker);
        server_signal(server, SIGTERM);
        assert_int_equal(server_wait(server), 0);
    }
}

/* Each pause is twice the one before: a second, two. */
static void away_for_long(void **state)
{
    enum { TRIES = 3, LEAST_MS = 2900 };
    struct server *workers[KINDS];
    char url[SERVICE_URL_SIZE];
    int fd = service_socket(url), len = 0;
    (void)state;
    *strstr(url, "/do") = '\0';
    int64_t begun_ms = now_ms();
    EACH_KIND(kind)
    workers[len++] = start_worker(kind, url, NULL);
    for (int i = 0; i < len; i++) {
        server_await_lines(workers[i], ERR, "", TRIES);
        assert_true(now_ms() - begun_ms >= LEAST_MS);
        assert_in_range(server_count_lines(workers[i], ERR, ""), TRIES, 2 * TRIES);
        end_worker(workers[i]);
    }
    close(fd);
}

/* ---- a word that does not arrive, or too late */

#define A_JOB                                                                                      \
    "HTTP/1.1 200 OK\r\nLocation: /leases/0123456789abcdef0123456789abcdef\r\n"                    \
    "Content-Length: 5\r\n\r\nhello"
#define HALF            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ndo"
#define REFUSAL(status) "HTTP/1.1 " status "\r\nContent-Length: 5\r\n\r\nlate\n"

/* A job is given, and its result answered with this; the request that is next then. */
static void assert_next_is(const struct service_step *second, const char *wanted)
{
    struct service *services[KINDS];
    struct server *workers[KINDS];
    unsigned len = 0;
    size_t size;
    EACH_KIND(kind)
    {
        char url[SERVICE_URL_SIZE];
        services[len] = service_start();
        service_script(services[len], SERVICE_SCRIPT({.answer = A_JOB}, *second, {.answer = NULL}));
        snprintf(url, sizeof url, "%s", service_url(services[len]));
        *strstr(url, "/do") = '\0';
        workers[len++] = start_worker(kind, url, NULL);
    }
    for (unsigned i = 0; i < len; i++) {
        service_await(services[i], SERVICE_REQUESTS, 3);
        const char *request = service_request(services[i], &size);
        if (strncmp(request, wanted, strlen(wanted)) != 0)
            fail_msg("not %s but %s", wanted, request);
        end_worker(workers[i]);
        service_stop(services[i]);
    }
}

static void a_lease_that_is_over(void **state)
{
    (void)state;
    assert_next_is(&(struct service_step){.answer = REFUSAL("409 Conflict")}, "POST /take?");
    assert_next_is(&(struct service_step){.answer = REFUSAL("404 Not Found")}, "POST /take?");
    assert_next_is(&(struct service_step){.answer = REFUSAL("413 Content Too Large")},
                   "POST /take?");
}

static void a_result_that_did_not_arrive(void **state)
{
    static const char again[] = "POST /leases/0123456789abcdef0123456789abcdef/done ";
    (void)state;
    assert_next_is(&(struct service_step){.answer = "", .closes = true}, again);
    assert_next_is(&(struct service_step){.answer = HALF, .closes = true}, again);
    assert_next_is(&(struct service_step){.answer = REFUSAL("503 Service Unavailable")}, again);
}

/* ---- the document */

/* $1 is where to run, $2 the server, $3 the section. Line feeds do not count: a payload need not
 * end with one. */
static const char session[] = "session=$(sed -n \"/^## $3\\$/,\\$p\" README.md |"
                              "          sed -n '/^```console$/,/^```$/p; /^```$/q')\n"
                              "cd \"$1\" || exit\n"
                              "shown=$(printf '%s' \"$session\" | grep -v '^[$`]' | tr -d '\\n')\n"
                              "said=$(printf '%s' \"$session\" | sed -n 's/^[$] //p' |"
                              "       sed \"s/localhost:8080/$2/g\" | sh -e | tr -d '\\n')\n"
                              "[ -n \"$said\" ] && [ \"$said\" = \"$shown\" ] ||"
                              "    { echo \"README.md shows $shown, not $said\" >&2; exit 1; }\n";

static void the_readme_shows_what_happens(void **state)
{
    static const char *const sections[] = {"Your own workers", "Every night"};
    (void)state;
    bool shared = getenv("TEST_LEDGER") != NULL; /* there are no schedules then */
    for (size_t i = 0; i < sizeof sections / sizeof sections[0] - shared; i++) {
        char command[512];
        const struct server *server = server_start("-w", "0", "--attempts", "5");
        snprintf(command, sizeof command, "sh %s %s %s '%s'", temporary_file("session", session),
                 temporary_directory(), server_address(server), sections[i]);
        assert_int_equal(system(command), 0);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(two_in_one_directory),
        TEST(without_a_server),
        TEST(without_a_token),
        TEST(through_a_restart),
        TEST(away_for_long),
        TEST(a_lease_that_is_over),
        TEST(a_result_that_did_not_arrive),
        TEST(the_readme_shows_what_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
