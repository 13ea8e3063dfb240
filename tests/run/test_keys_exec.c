/* SPDX-License-Identifier: MIT */
/* What a queue's object may say about its command: directory, environment, user, nice value, and
 * how long it has to end. Seen by the command. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/client.h"
#include "support/server.h"

#define WAIT FIELDS("Prefer: wait=15")

enum { TEXT_SIZE = 2048 };

/* A file with one queue that has these keys. */
static const char *config(const char *keys)
{
    char text[TEXT_SIZE + 64];
    snprintf(text, sizeof text, "{\"queues\": {\"default\": {%s}}}", keys);
    return temporary_file("jobd.json", text);
}

/* What a command with these keys says. */
static void assert_says(const char *keys, const char *expected)
{
    struct server *server = server_start("--config", config(keys));
    struct client *client = client_new(server);
    assert_answer(client_send(client, "POST", "/do", WAIT, NULL), 200, expected);
    client_free(client);
}

/* A whole file path, its mode set. */
static const char *script(const char *name, const char *text)
{
    const char *path = temporary_file(name, text);
    assert_int_equal(chmod(path, 0755), 0);
    return path;
}

static bool is_root(void)
{
    if (geteuid() != 0)
        print_message("skipped: for root\n");
    return geteuid() == 0;
}

/* ---- directory and environment */

static void a_directory(void **state)
{
    char keys[TEXT_SIZE];
    (void)state;
    assert_says("\"exec\": [\"pwd\"], \"directory\": \"/usr/bin\"", "/usr/bin\n");
    /* The command is looked for from there, and in the PATH that it will have. */
    script("here.sh", "#!/bin/sh\npwd -P >/dev/null && echo here\n");
    snprintf(keys, sizeof keys, "\"exec\": [\"./here.sh\"], \"directory\": \"%s\"",
             temporary_directory());
    assert_says(keys, "here\n");
    snprintf(keys, sizeof keys,
             "\"exec\": [\"here.sh\"], \"environment\": {\"PATH\": \"%s:/usr/bin:/bin\"}",
             temporary_directory());
    assert_says(keys, "here\n");
}

static void an_environment(void **state)
{
    const char *keys = "\"exec\": [\"sh\", \"-c\", \"echo $ADDED-$CHANGED-$KEPT-$JOBD_QUEUE; env | "
                       "grep -c ^CHANGED=\"], "
                       "\"environment\": {\"ADDED\": \"a=b c\", \"CHANGED\": \"\"}";
    (void)state;
    struct server *server = server_spawn(
        &(struct server_plan){.arguments = WORDS("-l", "127.0.0.1:0", "--config", config(keys)),
                              .environment = WORDS("CHANGED=before", "KEPT=yes")});
    server_await_listening(server);
    struct client *client = client_new(server);
    assert_answer(client_send(client, "POST", "/do", WAIT, NULL), 200, "a=b c--yes-default\n1\n");
    client_free(client);
}

/* ---- user and nice value */

static void another_user(void **state)
{
    (void)state;
    if (!is_root())
        skip();
    /* All ids, all groups, and no capability that it could use or come back to. */
    assert_says("\"user\": \"nobody\", \"exec\": [\"sh\", \"-c\", \"id -un; id -ru; id -Gn; "
                "grep -E '^(Uid|Gid|CapPrm|CapEff|CapInh|CapAmb):' /proc/self/status; "
                "echo $HOME $USER $LOGNAME\"]",
                "nobody\n65534\nnogroup\n"
                "Uid:\t65534\t65534\t65534\t65534\nGid:\t65534\t65534\t65534\t65534\n"
                "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\n"
                "CapEff:\t0000000000000000\nCapAmb:\t0000000000000000\n"
                "/nonexistent nobody nobody\n");
    assert_says("\"user\": \"nobody\", \"environment\": {\"HOME\": \"/tmp\"}, "
                "\"exec\": [\"sh\", \"-c\", \"echo $HOME\"]",
                "/tmp\n");
    assert_says("\"user\": \"root\", \"exec\": [\"id\", \"-u\"]", "0\n");
}

/* jobd itself stays who it is, and can stop what runs as another user, wherever that has gone. */
static void another_user_is_stopped(void **state)
{
    char line[SERVER_LINE_SIZE];
    (void)state;
    if (!is_root())
        skip();
    struct server *server = server_start(
        "--config",
        config("\"user\": \"nobody\", \"workers\": 4, \"kill_after\": \"10ms\", \"exec\": "
               "[\"sh\", \"-c\", \"trap '' TERM; setsid sleep 600 & sleep 600; wait\"]"));
    struct client *client = client_new(server);
    uint64_t id = client_put(client, "/do");
    client_await_state(client, id, "running");
    char path[64];
    snprintf(path, sizeof path, "/jobs/%llu", (unsigned long long)id);
    assert_answer(client_send(client, "DELETE", path, NULL, NULL), 202, "stopping\n");
    client_await_state(client, id, "cancelled");
    snprintf(line, sizeof line, "grep -q '^Uid:.0.0.0.0$' /proc/%d/status", server_pid(server));
    assert_int_equal(system(line), 0);
    client_free(client);
}

/* The rights to a directory are those of the user; what fails is named. */
static void what_cannot_be_had_is_named(void **state)
{
    char keys[TEXT_SIZE], expected[2 * TEXT_SIZE], directory[TEXT_SIZE / 2];
    (void)state;
    if (!is_root())
        skip();
    snprintf(directory, sizeof directory, "%s/own", temporary_directory());
    assert_int_equal(mkdir(directory, 0700), 0);
    snprintf(keys, sizeof keys,
             "\"user\": \"nobody\", \"exec\": [\"/bin/true\"], \"directory\": \"%s\"", directory);
    snprintf(expected, sizeof expected, "%s: Permission denied", directory);
    struct server *server = server_start("--config", config(keys));
    struct client *client = client_new(server);
    uint64_t id = client_put(client, "/do");
    client_await_state(client, id, "failed");
    assert_string_equal(json_string(client_job(client, id), "error"), expected);
    client_free(client);
}

static void a_nice_value(void **state)
{
    (void)state;
    assert_says("\"nice\": 7, \"exec\": [\"nice\"]", "7\n");
    if (!is_root())
        skip();
    assert_says("\"nice\": -3, \"user\": \"nobody\", \"exec\": [\"nice\"]", "-3\n");
}

/* An ordinary user may become nobody else, but may name itself. */
static void without_rights(void **state)
{
    static const struct {
        const char *keys;
        int code;
        const char *line;
    } rows[] = {
        {"\"user\": \"root\"", 2,
         "\"user\": queue default: to run commands as root and to stop "
         "them jobd needs CAP_SETUID; run it as root, or as that user"},
        {"\"user\": \"nobody\"", 0, ""},
        {"\"nice\": 19", 0, ""}, /* also when the tests run at a lower priority */
        {"\"nice\": -5", 2, "\"nice\": queue default: -5 needs CAP_SYS_NICE"},
    };
    (void)state;
    if (!is_root() || system("setpriv --reuid 65534 --regid 65534 --clear-groups true") != 0)
        skip();
    assert_int_equal(chmod(temporary_directory(), 0755), 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char keys[TEXT_SIZE], *err;
        snprintf(keys, sizeof keys, "\"exec\": [\"/bin/true\"], %s", rows[i].keys);
        struct server *server = server_spawn(&(struct server_plan){
            .arguments = WORDS("--config", config(keys), "--check"),
            .wrapper = WORDS("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")});
        int code = server_wait(server);
        err = server_output(server, ERR);
        if (code != rows[i].code || strstr(err, rows[i].line) == NULL)
            fail_msg("%s: %d: %s", rows[i].keys, code, err);
        free(err);
    }
}

/* ---- what is wrong */

static void what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *keys, *line;
    } rows[] = {
        {"\"directory\": \"/nowhere\"",
         "\"directory\": queue default: /nowhere: No such file or directory"},
        {"\"directory\": \"/etc/passwd\"",
         "\"directory\": queue default: /etc/passwd: Not a directory"},
        {"\"directory\": \"\"", "\"directory\": invalid value \"\"; expected a directory's name"},
        {"\"user\": \"no-such-user\"",
         "\"user\": queue default: no-such-user: there is no such user"},
        {"\"user\": \"a\\nb\"", "\"user\": queue default: a\\x0ab: there is no such user"},
        {"\"nice\": 20", "\"nice\": invalid value \"20\"; expected a whole number from -20 to 19"},
        {"\"nice\": -21", "\"nice\": invalid value \"-21\"; expected"},
        {"\"nice\": 1.5", "\"nice\": invalid value \"1.5\"; expected"},
        {"\"nice\": \"5\"", "\"nice\": must be a number"},
        {"\"environment\": {\"A=B\": \"c\"}", "\"environment\": invalid value; expected an object"},
        {"\"environment\": {\"1A\": \"c\"}", "\"environment\": invalid value; expected"},
        {"\"environment\": {\"\": \"c\"}", "\"environment\": invalid value; expected"},
        {"\"environment\": {\"A\": \"c\", \"A\": \"d\"}", "\"environment\": invalid value"},
        {"\"environment\": {\"JOBD_ID\": \"c\"}", "\"environment\": invalid value; expected"},
        {"\"environment\": {\"JOBD_TOKEN_FILE\": \"c\"}", "\"environment\": invalid value"},
        {"\"environment\": {\"A\": 1}", "\"environment\": invalid value; expected"},
        {"\"environment\": [\"A=1\"]", "\"environment\": must be an object of strings"},
        {"\"kill-after\": \"2d\"", "\"kill-after\": invalid value \"2d\"; expected a duration"},
        {"\"sign\": \"/etc/passwd\"", "\"sign\": is a key of queues with post; this one has exec"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char keys[TEXT_SIZE];
        snprintf(keys, sizeof keys, "\"exec\": [\"true\"], %s", rows[i].keys);
        const char *path = config(keys);
        for (int check = 0; check < 2; check++) {
            char *out, *err;
            int code = server_run(check ? WORDS("--config", path, "--check")
                                        : WORDS("--config", path, "-l", "127.0.0.1:0"),
                                  NULL, &out, &err);
            if (code != 2 || strstr(err, rows[i].line) == NULL || strchr(err, '\n')[1] != '\0')
                fail_msg("%s: %d: %s", rows[i].keys, code, err);
            free(out);
            free(err);
        }
    }
}

static void they_change_while_it_runs(void **state)
{
    char line[SERVER_LINE_SIZE];
    (void)state;
    const char *keys = "\"exec\": [\"sh\", \"-c\", \"pwd; echo $A; nice\"]";
    struct server *server = server_start("--config", config(keys));
    struct client *client = client_new(server);
    char more[TEXT_SIZE];
    snprintf(more, sizeof more,
             "%s, \"directory\": \"/\", \"environment\": {\"A\": \"b\"}, \"nice\": 9", keys);
    config(more);
    server_signal(server, SIGHUP);
    server_await_line(server, ERR, "changed: directory, environment, nice", line);
    assert_answer(client_send(client, "POST", "/do", WAIT, NULL), 200, "/\nb\n9\n");
    snprintf(more, sizeof more, "%s, \"directory\": \"/nowhere\"", keys);
    config(more);
    server_signal(server, SIGHUP);
    server_await_line(server, ERR, "nothing is changed", line);
    assert_non_null(strstr(line, "\"directory\": queue default: /nowhere"));
    assert_answer(client_send(client, "POST", "/do", WAIT, NULL), 200, "/\nb\n9\n");
    client_free(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(a_directory),
        TEST(an_environment),
        TEST(another_user),
        TEST(another_user_is_stopped),
        TEST(what_cannot_be_had_is_named),
        TEST(a_nice_value),
        TEST(without_rights),
        TEST(what_is_wrong_is_named),
        TEST(they_change_while_it_runs),
    };
    return cmocka_run_group_tests_name("keys_exec", tests, NULL, NULL);
}
