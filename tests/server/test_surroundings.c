/* SPDX-License-Identifier: MIT */
/* What the options rely on: variables that are not options, commands, directories. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "http/http.h"
#include "support/client.h"
#include "support/server.h"

static size_t count(const char *text, const char *word)
{
    size_t times = 0;
    for (; (text = strstr(text, word)) != NULL; text++)
        times++;
    return times;
}

/* ---- variables */

static void misspelled_variables_are_named(void **state)
{
    static const struct {
        const char *entry, *meant; /* NULL: none is */
    } rows[] = {
        {"JOBD_TOKENFILE=x", "JOBD_TOKEN_FILE"},
        {"JOBD_TOKEN=x", "JOBD_TOKEN_FILE"},
        {"JOBD_TLS_CERTIFICATE=x", NULL},
        {"JOBD_TLSCERT=x", "JOBD_TLS_CERT"},
        {"JOBD_CAPACTIY=3", "JOBD_CAPACITY"},
        {"JOBD_CAPACITY_=3", "JOBD_CAPACITY"},
        {"JOBD_CAPACTIY=", NULL},
        {"JOBD_ATTEMPS=3", "JOBD_ATTEMPTS"},
        {"JOBD_DATA_DIR=/x", "JOBD_DATA"},
        {"JOBD_DATADIR=/x", "JOBD_DATA"},
        {"JOBD_POST_URL=http://a/", "JOBD_POST"},
        {"JOBD_MAXBODY=1", "JOBD_MAX_BODY"},
        {"jobd_capacity=1", "JOBD_CAPACITY"},
        {"JOBD_OPN=true", "JOBD_OPEN"},
        {"JOBD_PORT=80", "JOBD_LISTEN"},
        {"JOBD_PORT=tcp://10.0.0.1:8080", NULL},
        {"JOBD_PORT_8080_TCP=tcp://10.0.0.1:8080", NULL},
        {"JOBD_PORT_8080_TCP_PROTO=tcp", NULL},
        {"JOBD_PORT_8080_TCP_PORT=8080", NULL},
        {"JOBD_PORT_8080_TCP_ADDR=10.0.0.1", NULL},
        {"JOBD_SERVICE_HOST=10.0.0.1", NULL},
        {"JOBD_SERVICE_PORT=8080", NULL},
        {"JOBD_SERVICE_PORT_HTTP=8080", NULL},
        {"JOBD_DATA_SERVICE_HOST=10.0.0.1", NULL},
        {"JOBD_DATA_PORT=tcp://10.0.0.2:1", NULL},
        {"JOBD_ID=17", NULL},
        {"JOBD_QUEUE=mail", NULL},
        {"JOBD_ATTEMPT=3", NULL},
        {"JOBD_CONTENT_TYPE=text/plain", NULL},
        {"JOBD_HEADER_X_GITHUB_EVENT=push", NULL},
        {"JOBD_HOME=/x", NULL},
        {"JOBD_USER=x", NULL},
        {"JOBD_VERSION=1", NULL},
        {"JOBD_CAPACITY=3", NULL},
        {"JOBD=http://localhost:8080", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *out, *err, name[64], meant[64] = "";
        snprintf(name, sizeof name, "%.*s:", (int)strcspn(rows[i].entry, "="), rows[i].entry);
        if (rows[i].meant != NULL)
            snprintf(meant, sizeof meant, "is %s meant?", rows[i].meant);
        assert_int_equal(server_run(WORDS("--check"), WORDS(rows[i].entry), &out, &err), 0);
        if (rows[i].meant != NULL && (strstr(err, name) == NULL || strstr(err, meant) == NULL))
            fail_msg("%s: %s", rows[i].entry, err);
        if (rows[i].meant == NULL)
            assert_string_equal(err, "");
        free(out);
        free(err);
    }
}

static void a_server_warns_of_them_too(void **state)
{
    char line[SERVER_LINE_SIZE];
    struct server *server = server_spawn(
        &(struct server_plan){.arguments = WORDS("-l", "127.0.0.1:0"),
                              .environment = WORDS("JOBD_OPEN=true", "JOBD_TOKENFILE=tok")});
    (void)state;
    server_await_line(server, ERR, "warn JOBD_TOKENFILE: there is no such option", line);
    server_await_listening(server);
    assert_int_equal(server_count_lines(server, ERR, "JOBD_TOKENFILE"), 1);
}

/* Its own are few, and the others' are no mistake; what it reads on the command line alone is said.
 */
static void a_client_warns_of_them_too(void **state)
{
    static const struct {
        const char *entry, *line; /* NULL: none */
    } rows[] = {
        {"JOBD_URLS=http://127.0.0.1:1",
         "JOBD_URLS: there is no such option, it is ignored; is JOBD_URL meant?"},
        {"JOBD_SERVER=http://127.0.0.1:1", "is JOBD_URL meant?"},
        {"JOBD_HOST=127.0.0.1", "is JOBD_URL meant?"},
        {"JOBD_TOKENFILE=x", "is JOBD_TOKEN_FILE meant?"},
        {"JOBD_CA_FILE=x", "is JOBD_CA meant?"},
        {"JOBD_CAPACTIY=3", NULL},
        {"JOBD_CAPACITY=3", NULL},
        {"JOBD_LISTEN=:8080", NULL},
        {"JOBD_QUEUE=mail", NULL},
        {"JOBD_PORT=tcp://10.0.0.1:8080", NULL},
        {"JOBD_SERVICE_HOST=10.0.0.1", NULL},
        {"JOBD_HEADER_X_URL=x", NULL},
        {"JOBD_EVERY=2s", "JOBD_EVERY: jobd top does not read it, but has --every"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *out, *err;
        assert_int_equal(
            server_run(WORDS("top", "--url", "unix:/nowhere"), WORDS(rows[i].entry), &out, &err),
            1);
        if (rows[i].line != NULL ? strstr(err, rows[i].line) == NULL : strstr(err, "warn") != NULL)
            fail_msg("%s: %s", rows[i].entry, err);
        free(out);
        free(err);
    }
    struct server *worker = server_spawn(&(struct server_plan){
        .arguments = WORDS("work", "--url", "unix:/nowhere", "--", "true"),
        .environment = WORDS("JOBD_URL=http://127.0.0.1:1", "JOBD_WORKR=a", "JOBD_WORKERS=3")});
    server_await_lines(worker, ERR,
                       "warn JOBD_WORKR: there is no such option, it is ignored; is "
                       "JOBD_WORKER meant?",
                       1);
    server_await_lines(worker, ERR,
                       "warn JOBD_WORKERS: jobd work does not read it, but has --workers", 1);
    server_await_lines(worker, ERR, "1 worker for unix:/nowhere", 1);
    server_signal(worker, SIGTERM);
    assert_int_equal(server_wait(worker), 0);
    assert_int_equal(server_count_lines(worker, ERR, "JOBD_URL"), 0);
}

static void empty_variables_are_not_there(void **state)
{
    char *out, *err;
    (void)state;
    const char *const empty[] = {"JOBD_CAPACITY=", "JOBD_SLEEP=", "JOBD_EXEC=",    "JOBD_LISTEN=",
                                 "JOBD_CONFIG=",   "JOBD_OPEN=",  "JOBD_BACKOFF=", NULL};
    assert_int_equal(server_run(WORDS("--check"), empty, &out, &err), 0);
    assert_string_equal(err, "");
    free(out);
    free(err);
    /* Without tokens everybody would come in. */
    assert_int_equal(server_run(WORDS("--check"), WORDS("JOBD_TOKEN_FILE="), &out, &err), 2);
    assert_string_equal(err,
                        "jobd: JOBD_TOKEN_FILE: is empty; expected a file's name; or unset it, "
                        "for no authentication\n");
    free(out);
    free(err);
    assert_int_equal(server_run(WORDS("--check", "--capacity", ""), NULL, &out, &err), 2);
    assert_non_null(strstr(err, "--capacity: invalid value \"\""));
    free(out);
    free(err);
}

/* ---- commands */

static const char *script(const char *name, const char *text, mode_t mode)
{
    const char *path = temporary_file(name, text);
    assert_int_equal(chmod(path, mode), 0);
    return path;
}

static void commands_are_checked(void **state)
{
    const struct {
        const char *command, *line; /* NULL: it can be started */
    } rows[] = {
        {"./nope.sh", "--: queue default: ./nope.sh: No such file or directory"},
        {"no-such-command", "--: queue default: no-such-command: there is no such command in PATH"},
        {"/tmp", "--: queue default: /tmp: Is a directory"},
        {script("plain.sh", "#!/bin/sh\n", 0644), ": Permission denied"},
        {script("nothing", "", 0755), ": is empty"},
        {script("text", "echo x\n", 0755), ": is a text whose first line does not begin with #!"},
        {script("dos.sh", "#!/bin/sh\r\necho x\r\n", 0755),
         ": its interpreter /bin/sh\\x0d: No such file or directory"},
        {script("other", "#! /usr/bin/pyton3 -u\n", 0755),
         ": its interpreter /usr/bin/pyton3: No such file or directory"},
        {script("good.sh", "#! /bin/sh -e\necho x\n", 0755), NULL},
        {"true", NULL},
        {"/bin/true", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *out, *err;
        int code = server_run(WORDS("--check", "--", rows[i].command, "word"), NULL, &out, &err);
        assert_int_equal(code, rows[i].line != NULL ? 2 : 0);
        if (rows[i].line != NULL) {
            if (strstr(err, rows[i].line) == NULL || count(err, "\n") != 1)
                fail_msg("%s: %s", rows[i].command, err);
            assert_string_equal(out, "");
        }
        free(out);
        free(err);
    }
}

/* It starts all the same: the command may be on its way. */
static void a_server_says_it_once_and_when_it_is_told_to_look_again(void **state)
{
    char line[SERVER_LINE_SIZE];
    const char *path = temporary_file("jobd.json", "{\"queues\": {\"default\": {\"exec\": "
                                                   "[\"true\"]}, \"mail\": {\"workers\": 0,\n"
                                                   " \"exec\": [\"./nope.sh\"]}}}");
    struct server *server = server_start("-c", path);
    (void)state;
    server_await_line(server, ERR, "./nope.sh: No such file or directory: its jobs will fail",
                      line);
    assert_non_null(strstr(line, "jobd.json:2: \"exec\": queue mail: "));
    assert_int_equal(server_count_lines(server, ERR, "its jobs will fail"), 1);
    temporary_file("jobd.json", "{\"queues\": {\"mail\": {\"workers\": 0, \"exec\": [\"true\"]},\n"
                                " \"default\": {\"exec\": [\"./typo.sh\"]}}}");
    server_signal(server, SIGHUP);
    server_await_line(server, ERR, "./typo.sh: No such file or directory: its jobs will fail",
                      line);
    assert_non_null(strstr(line, "jobd.json:2: \"exec\": queue default: "));
    assert_int_equal(server_count_lines(server, ERR, "its jobs will fail"), 2);
}

/* ---- directories, and the places of all that the system refuses */

static void what_is_refused_names_its_place(void **state)
{
    const char *file = temporary_file("file", "x");
    char config[512], in_file[400], as_directory[300], below[300], inside[320];
    snprintf(config, sizeof config, "{\n\"data\": \"%s\"}", file);
    const char *path = temporary_file("jobd.json", config);
    snprintf(in_file, sizeof in_file, "jobd: %s:2: \"data\": %s: ", path, file);
    snprintf(as_directory, sizeof as_directory, "jobd: --data: %s: ", file);
    snprintf(below, sizeof below, "%s/data", file);
    snprintf(inside, sizeof inside, "jobd: --data: %s", below);
    const struct {
        const char *const *arguments, *const *environment;
        const char *line;
    } rows[] = {
        {WORDS("-d", file), NULL, as_directory},
        {WORDS("-d", "/nowhere/at/all"), NULL, "jobd: --data: /nowhere/at"},
        {WORDS("-d", below), NULL, inside},
        {WORDS("-c", path), NULL, in_file},
        {NULL, WORDS("JOBD_DATA=/nowhere/at/all"), "jobd: JOBD_DATA: /nowhere/at"},
        {WORDS("-l", "unix:/nowhere/jobd.sock"), NULL, "jobd: --listen: /nowhere"},
        {WORDS("-l", "1.2.3.4.5:99"), NULL, "jobd: --listen: 1.2.3.4.5:99: "},
        {NULL, WORDS("JOBD_LISTEN=1.2.3.4.5:99"), "jobd: JOBD_LISTEN: 1.2.3.4.5:99: "},
        {WORDS("-l", ":0"), NULL, "jobd: --listen: :0 can be reached from other machines"},
        {WORDS("--token-file", "/nowhere"), NULL, "jobd: --token-file: /nowhere: No such file"},
        {WORDS("--tls-cert", "/nowhere", "--tls-key", file), NULL,
         "jobd: --tls-cert: /nowhere: No such file"},
        {WORDS("--tls-cert", "/nowhere"), WORDS("JOBD_TLS_KEY=/elsewhere"),
         "jobd: --tls-cert: /nowhere: No such file"},
        {WORDS("--tls-cert", file), NULL, "jobd: --tls-cert: --tls-cert and --tls-key belong"},
        {NULL, WORDS("JOBD_TLS_KEY=/elsewhere"), "jobd: JOBD_TLS_KEY: --tls-cert and --tls-key"},
        {NULL, WORDS("JOBD_CONFIG=/nowhere"), "jobd: JOBD_CONFIG: /nowhere: No such file"},
        {WORDS("--socket-mode", "u+w"), NULL,
         "jobd: --socket-mode: invalid value \"u+w\"; expected a file's mode in octal, like 0660"},
        {WORDS("--leases", "0"), NULL,
         "jobd: --leases: invalid value \"0\"; expected a whole number from 1 to 10000000"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strstr(rows[i].line, "tls-") != NULL && !http_has_tls())
            continue;
        const char *arguments[8] = {"--check"};
        for (size_t n = 0; rows[i].arguments != NULL && rows[i].arguments[n] != NULL; n++)
            arguments[n + 1] = rows[i].arguments[n];
        /* At a port of its own, where the row names no address: getenv() finds the first. */
        const char *environment[8], *const *row = rows[i].environment;
        size_t len = 0;
        for (; row != NULL && row[len] != NULL; len++)
            environment[len] = row[len];
        environment[len] = "JOBD_LISTEN=127.0.0.1:0";
        environment[len + 1] = NULL;
        for (unsigned check = 0; check < 2; check++) { /* and without --check it does not start */
            char *out, *err;
            int code = server_run(check == 0 ? arguments : arguments + 1, environment, &out, &err);
            if (code == 0 || strncmp(err, rows[i].line, strlen(rows[i].line)) != 0 ||
                count(err, "\n") != 1)
                fail_msg("not %s: %d, %s", rows[i].line, code, err);
            free(out);
            free(err);
        }
    }
}

static void what_is_good_is_checked_without_a_trace(void **state)
{
    char data[300], *out, *err;
    (void)state;
    snprintf(data, sizeof data, "%s/data", temporary_directory());
    assert_int_equal(
        server_run(WORDS("--check", "-d", data, "-l", temporary_socket()), NULL, &out, &err), 0);
    assert_string_equal(out, "the configuration is good: 1 queue\n");
    assert_string_equal(err, "");
    assert_int_equal(access(data, F_OK), -1);
    free(out);
    free(err);
}

static void what_cannot_be_said_is_an_error(void **state)
{
    static const char *const words[] = {"--help", "--version", "--check"};
    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        struct server *server = server_spawn(
            &(struct server_plan){.wrapper = WORDS("sh", "-c", "exec \"$0\" \"$@\" >/dev/full"),
                                  .arguments = WORDS(words[i])});
        assert_int_equal(server_wait(server), 1);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(misspelled_variables_are_named),
        TEST(a_server_warns_of_them_too),
        TEST(a_client_warns_of_them_too),
        TEST(empty_variables_are_not_there),
        TEST(commands_are_checked),
        TEST(a_server_says_it_once_and_when_it_is_told_to_look_again),
        TEST(what_is_refused_names_its_place),
        TEST(what_is_good_is_checked_without_a_trace),
        TEST(what_cannot_be_said_is_an_error),
    };
    return cmocka_run_group_tests_name("surroundings", tests, NULL, NULL);
}
