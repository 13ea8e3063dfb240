/* SPDX-License-Identifier: MIT */
/* Tokens: the file, what each may do, and the server behind them. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "support/client.h"
#include "api/auth.h"
#include "http/http.h"
#include "support/server.h"

#define PUTS   "puts-1f6b0c6e9a7d4c52"
#define MAILS  "mails-5b7be2f1a8c94d03"
#define WORKS  "works-9c1d77aa10be4e88"
#define ADMIN  "admin-03f2c1b4d6e87a95"
#define MAILER "mailer-aa51b0c3d2e4f687"
#define LOOKS  "looks-77d0c1b2a3f4e596"
#define SEES   "sees-0a1b2c3d4e5f6077"
#define RULES  "rules-4e5f60770a1b2c3d"
#define PEEKS  "peeks-b8c7d6e5f4a39281"

static const char tokens[] = "# who may do what\n"
                             "\n"
                             "put " PUTS "\n"
                             "  put:mail\t" MAILS "  \r\n"
                             "work " WORKS "\n"
                             "admin " ADMIN "\n"
                             "work:mail " MAILER "\n"
                             "read " LOOKS "\n"
                             "read+data " SEES "\n"
                             "admin:mail " RULES "\n"
                             "read:mail " PEEKS "\n"
                             "put:mail " MAILER; /* no line feed */

static const char *private_file(const char *name, const char *text)
{
    const char *path = temporary_file(name, text);
    assert_int_equal(chmod(path, 0600), 0);
    return path;
}

/* ---- the file */

static enum auth_verdict judge(struct auth *auth, const char *token, enum scope scope,
                               const char *queue)
{
    return authorize_token(auth, token, strlen(token), scope, queue);
}

static void each_scope_reaches_so_far(void **state)
{
    static const struct {
        const char *token;
        enum scope scope;
        const char *queue;
        enum auth_verdict verdict;
    } rows[] = {
        {PUTS, SCOPE_PUT, "mail", AUTH_GOOD},        {PUTS, SCOPE_READ, NULL, AUTH_GOOD},
        {PUTS, SCOPE_WORK, "mail", AUTH_FORBIDDEN},  {PUTS, SCOPE_ADMIN, "mail", AUTH_FORBIDDEN},
        {MAILS, SCOPE_PUT, "mail", AUTH_GOOD},       {MAILS, SCOPE_PUT, "default", AUTH_FORBIDDEN},
        {MAILS, SCOPE_READ, "mail", AUTH_GOOD},      {MAILS, SCOPE_READ, NULL, AUTH_FORBIDDEN},
        {MAILS, SCOPE_READ, "mai", AUTH_FORBIDDEN},  {WORKS, SCOPE_WORK, "x", AUTH_GOOD},
        {WORKS, SCOPE_PUT, "x", AUTH_FORBIDDEN},     {ADMIN, SCOPE_ADMIN, NULL, AUTH_GOOD},
        {ADMIN, SCOPE_PUT, "x", AUTH_GOOD},          {ADMIN, SCOPE_WORK, "*", AUTH_GOOD},
        {MAILER, SCOPE_WORK, "mail", AUTH_GOOD},     {MAILER, SCOPE_PUT, "mail", AUTH_GOOD},
        {MAILER, SCOPE_WORK, "*", AUTH_GOOD},        {MAILER, SCOPE_PUT, "x", AUTH_FORBIDDEN},
        {PUTS, SCOPE_DATA, NULL, AUTH_GOOD},         {MAILER, SCOPE_DATA, "mail", AUTH_GOOD},
        {ADMIN, SCOPE_DATA, NULL, AUTH_GOOD},        {LOOKS, SCOPE_READ, NULL, AUTH_GOOD},
        {LOOKS, SCOPE_DATA, "mail", AUTH_FORBIDDEN}, {LOOKS, SCOPE_PUT, "mail", AUTH_FORBIDDEN},
        {LOOKS, SCOPE_WORK, "*", AUTH_FORBIDDEN},    {LOOKS, SCOPE_ADMIN, NULL, AUTH_FORBIDDEN},
        {SEES, SCOPE_READ, NULL, AUTH_GOOD},         {SEES, SCOPE_DATA, "mail", AUTH_GOOD},
        {SEES, SCOPE_PUT, "mail", AUTH_FORBIDDEN},   {PEEKS, SCOPE_READ, "mail", AUTH_GOOD},
        {PEEKS, SCOPE_READ, NULL, AUTH_FORBIDDEN},   {PEEKS, SCOPE_DATA, "mail", AUTH_FORBIDDEN},
        {PUTS "x", SCOPE_PUT, "x", AUTH_UNKNOWN},    {"puts", SCOPE_PUT, "x", AUTH_UNKNOWN},
        {"", SCOPE_READ, "x", AUTH_UNKNOWN},         {"", SCOPE_OPEN, NULL, AUTH_GOOD},
    };
    struct problem problem = {""};
    char *longest = raw_filled("", 'x', 300, "");
    struct auth *auth;
    (void)state;
    assert_true(auth_open(&auth, private_file("tokens", tokens), &problem));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(judge(auth, rows[i].token, rows[i].scope, rows[i].queue), rows[i].verdict);
    assert_int_equal(judge(auth, longest, SCOPE_READ, NULL), AUTH_UNKNOWN);
    free(longest);
    auth_free(auth);
}

static void mistakes_are_named(void **state)
{
    static const struct {
        const char *text, *error;
    } rows[] = {
        {"", "bad: there is no token in it"},
        {"# nobody\n", "bad: there is no token in it"},
        {"put " PUTS "\nput\n", "bad:2: a line is a scope and a token"},
        {"put " PUTS " more\n", "bad:1: a line is a scope and a token"},
        {"get " PUTS "\n", "bad:1: no such scope"},
        {"put: " PUTS "\n", "bad:1: no such scope"},
        {"put:* " PUTS "\n", "bad:1: no such scope"},
        {"Put " PUTS "\n", "bad:1: no such scope"},
        {"put a\"b\n", "bad:1: not a token"},
        {"put a=b\n", "bad:1: not a token"},
        {"put ====\n", "bad:1: not a token"},
        {"read+ " PUTS "\n", "bad:1: no such scope; allowed are read, read+data, put, work and"},
        {"# x\n\xef\xbb\xbfput " PUTS "\n", "bad:2: no such scope"},
    };
    struct problem problem = {""};
    char *longest = raw_filled("put ", 'x', 600, "\n");
    struct auth *auth;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_false(auth_open(&auth, private_file("bad", rows[i].text), &problem));
        assert_non_null(strstr(problem.text, rows[i].error));
        assert_null(strstr(problem.text, PUTS));
    }
    assert_false(auth_open(&auth, private_file("bad", longest), &problem));
    assert_non_null(strstr(problem.text, "bad:1: the line is too long"));
    free(longest);
    assert_false(auth_open(&auth, "/nowhere/tokens", &problem));
    assert_non_null(strstr(problem.text, "No such file"));
}

/* Half a token could be guessed. */
static void plain_text_it_is(void **state)
{
    static const char cut[] = "put " PUTS "\nput abcdefgh\0ijklmnopqrst\n";
    const char *path = private_file("bad", "\xef\xbb\xbfput " PUTS "\r\n");
    struct problem problem = {""};
    struct auth *auth;
    (void)state;
    assert_true(auth_open(&auth, path, &problem)); /* as editors on Windows write it */
    assert_int_equal(judge(auth, PUTS, SCOPE_PUT, "x"), AUTH_GOOD);
    auth_free(auth);
    FILE *out = fopen(path, "we");
    assert_non_null(out);
    assert_int_equal(fwrite(cut, 1, sizeof cut - 1, out), sizeof cut - 1);
    assert_int_equal(fclose(out), 0);
    assert_false(auth_open(&auth, path, &problem));
    assert_non_null(strstr(problem.text, "bad:2: the line has a NUL byte"));
}

static void so_many_tokens_and_no_more(void **state)
{
    enum { MOST = 1000, SIZE = 32 };
    char *text = calloc(MOST + 1, SIZE), *at = text, last[SIZE];
    struct problem problem = {""};
    struct auth *auth;
    (void)state;
    assert_non_null(text);
    for (int i = 0; i < MOST; i++)
        at += sprintf(at, "put token-number-%04d\n", i);
    snprintf(last, sizeof last, "token-number-%04d", MOST - 1);
    assert_true(auth_open(&auth, private_file("many", text), &problem));
    assert_int_equal(judge(auth, last, SCOPE_PUT, "x"), AUTH_GOOD);
    strcpy(at, "put one-too-many-of-them\n");
    private_file("many", text);
    assert_null(auth_read(auth, &problem));
    assert_non_null(strstr(problem.text, "more than 1000"));
    private_file("many", "work " WORKS);
    struct tokens *fresh = auth_read(auth, &problem);
    assert_non_null(fresh);
    assert_int_equal(judge(auth, last, SCOPE_PUT, "x"), AUTH_GOOD); /* as before */
    auth_replace(auth, fresh);
    assert_int_equal(judge(auth, last, SCOPE_PUT, "x"), AUTH_UNKNOWN);
    assert_int_equal(judge(auth, WORKS, SCOPE_WORK, "x"), AUTH_GOOD);
    auth_free(auth);
    free(text);
}

/* ---- the server */

static struct server *start_guarded(void)
{
    return server_start("-c",
                        temporary_file("guarded.json",
                                       "{\"queues\": {\"default\": {\"workers\": 0},"
                                       " \"mail\": {\"workers\": 0}}}"),
                        "--token-file", private_file("tokens", tokens));
}

static const struct answer *ask(struct client *client, const char *method, const char *path,
                                const char *token)
{
    static char field[300];
    snprintf(field, sizeof field, "Authorization: Bearer %s", token != NULL ? token : "");
    return client_send(client, method, path, token != NULL ? FIELDS(field) : NULL, NULL);
}

static void each_endpoint_wants_its_scope(void **state)
{
    static const struct {
        const char *method, *path;
        long none, puts, mails, works, admin;
    } rows[] = {
        {"POST", "/do", 401, 202, 403, 403, 202},
        {"GET", "/do/mail", 401, 202, 202, 403, 202},
        {"GET", "/jobs?queue=mail", 401, 200, 200, 200, 200},
        {"GET", "/jobs", 401, 200, 403, 200, 200},
        {"GET", "/jobs/1", 401, 404, 403, 404, 404},
        {"DELETE", "/jobs/1", 401, 403, 403, 403, 404},
        {"PATCH", "/jobs/1?delay=0s", 401, 403, 403, 403, 404},
        {"POST", "/jobs/1/retry", 401, 403, 403, 403, 404},
        {"POST", "/jobs/retry", 401, 403, 403, 403, 200},
        {"POST", "/jobs/retry?queue=mail", 401, 403, 403, 403, 200},
        {"DELETE", "/jobs?queue=mail&state=failed", 401, 403, 403, 403, 200},
        {"POST", "/take/mail", 401, 403, 403, 200, 200},
        {"POST", "/leases/1/done", 401, 403, 403, 404, 404},
        {"POST", "/leases/1/release", 401, 403, 403, 404, 404},
        {"POST", "/leases/1/progress", 401, 403, 403, 404, 404},
        {"POST", "/leases/1/output", 401, 403, 403, 404, 404},
        {"GET", "/leases", 401, 200, 403, 200, 200},
        {"GET", "/leases?queue=mail", 401, 200, 200, 200, 200},
        {"GET", "/queues", 401, 200, 403, 200, 200},
        {"GET", "/queues/mail", 401, 200, 200, 200, 200},
        {"POST", "/queues/mail/pause", 401, 403, 403, 403, 200},
        {"POST", "/queues/mail/resume", 401, 403, 403, 403, 200},
        {"POST", "/queues/mail/purge", 401, 403, 403, 403, 200},
        {"GET", "/metrics", 401, 200, 403, 200, 200},
        {"GET", "/healthz", 200, 200, 200, 200, 200},
        {"GET", "/readyz", 200, 200, 200, 200, 200},
        {"GET", "/nowhere", 404, 404, 404, 404, 404},
    };
    static const char *const shown[] = {NULL, PUTS, MAILS, WORKS, ADMIN};
    struct server *server = start_guarded();
    struct client *client = client_new(server);
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const long expected[] = {rows[i].none, rows[i].puts, rows[i].mails, rows[i].works,
                                 rows[i].admin};
        for (size_t j = 0; j < sizeof shown / sizeof shown[0]; j++) {
            const struct answer *answer = ask(client, rows[i].method, rows[i].path, shown[j]);
            if (answer->status != expected[j])
                fail_msg("%s %s by %s: %ld, not %ld", rows[i].method, rows[i].path,
                         shown[j] != NULL ? shown[j] : "nobody", answer->status, expected[j]);
        }
    }
    client_free(client);
}

static void a_token_has_to_be_good_for_each_queue(void **state)
{
    static const struct {
        const char *path, *token;
        long status;
    } rows[] = {
        {"/take?queue=mail", MAILER, 204},
        {"/take?queue=mail,default", MAILER, 403},
        {"/take?queue=default,mail", MAILER, 403},
        {"/take?queue=mail,", MAILER, 403},
        {"/take?queue=mail,nowhere", MAILER, 403},
        {"/take?queue=", MAILER, 403},
        {"/take", MAILER, 403},
        {"/take/mail", MAILER, 204},
        {"/take?queue=mail,default", WORKS, 204},
        {"/take?queue=mail,default", PUTS, 403},
        {"/take?queue=mail,default", NULL, 401},
        {"/take?queue=mail,default", "unknown", 401},
        {"/take?queue=mail,nowhere", WORKS, 404},
    };
    struct server *server = start_guarded();
    struct client *client = client_new(server);
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (ask(client, "POST", rows[i].path, rows[i].token)->status != rows[i].status)
            fail_msg("%s by %s", rows[i].path, rows[i].token != NULL ? rows[i].token : "nobody");
    client_free(client);
}

static void a_job_is_read_by_tokens_of_its_queue(void **state)
{
    struct server *server = start_guarded();
    struct client *client = client_new(server);
    char path[64];
    (void)state;
    uint64_t id = answer_job(ask(client, "POST", "/do", ADMIN));
    snprintf(path, sizeof path, "/jobs/%llu", (unsigned long long)id);
    assert_int_equal(ask(client, "GET", path, PUTS)->status, 200);
    assert_int_equal(ask(client, "GET", path, MAILS)->status, 403);
    id = answer_job(ask(client, "POST", "/do/mail", MAILS));
    snprintf(path, sizeof path, "/jobs/%llu/payload", (unsigned long long)id);
    assert_int_equal(ask(client, "GET", path, MAILS)->status, 200);
    assert_int_equal(ask(client, "POST", "/take/mail", MAILER)->status, 200);
    client_free(client);
}

/* One who rules a queue changes its jobs, and no others. */
static void many_are_changed_by_tokens_of_their_queue(void **state)
{
    static const char *const own[] = {"/jobs?queue=mail", "/jobs?queue=mail&state=queued"};
    static const char *const others[] = {"/jobs?state=queued", "/jobs?queue=default",
                                         "/jobs?queue=default&queue=mail"};
    struct server *server = start_guarded();
    struct client *client = client_new(server);
    char path[64];
    (void)state;
    uint64_t id = answer_job(ask(client, "POST", "/do", ADMIN));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_int_equal(ask(client, "DELETE", others[i], RULES)->status, 403);
    assert_int_equal(ask(client, "DELETE", "/jobs?queue=mail&queue=default", RULES)->status, 400);
    assert_int_equal(ask(client, "POST", "/jobs/retry", RULES)->status, 403);
    assert_int_equal(ask(client, "POST", "/jobs/retry?queue=mail", RULES)->status, 200);
    snprintf(path, sizeof path, "/jobs/%llu?delay=1h", (unsigned long long)id);
    assert_int_equal(ask(client, "PATCH", path, RULES)->status, 403);
    id = answer_job(ask(client, "POST", "/do/mail?delay=1h", MAILS));
    snprintf(path, sizeof path, "/jobs/%llu?priority=1", (unsigned long long)id);
    assert_int_equal(ask(client, "PATCH", path, RULES)->status, 200);
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        assert_int_equal(ask(client, "DELETE", own[i], RULES)->status, 200);
    client_free(client);
}

static void who_only_looks_sees_no_data(void **state)
{
    static const char *const paths[] = {"/jobs", "/queues", "/metrics", "/jobs?queue=mail"};
    struct server *server = start_guarded();
    struct client *client = client_new(server);
    char job[64], payload[80], output[80];
    (void)state;
    uint64_t id = answer_job(ask(client, "POST", "/do", ADMIN));
    snprintf(job, sizeof job, "/jobs/%llu", (unsigned long long)id);
    snprintf(payload, sizeof payload, "%s/payload", job);
    snprintf(output, sizeof output, "%s/output", job);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        assert_int_equal(ask(client, "GET", paths[i], LOOKS)->status, 200);
    assert_int_equal(ask(client, "GET", job, LOOKS)->status, 200);
    assert_answer(ask(client, "GET", payload, LOOKS), 403,
                  "insufficient scope: read+data is needed\n");
    assert_int_equal(ask(client, "GET", output, LOOKS)->status, 403);
    assert_int_equal(ask(client, "HEAD", payload, LOOKS)->status, 403);
    assert_int_equal(ask(client, "GET", payload, SEES)->status, 200);
    assert_int_equal(ask(client, "GET", payload, PUTS)->status, 200);
    assert_int_equal(ask(client, "POST", "/do", LOOKS)->status, 403);
    assert_int_equal(ask(client, "POST", "/take", SEES)->status, 403);
    assert_int_equal(ask(client, "DELETE", job, SEES)->status, 403);
    client_free(client);
}

/* Whoever wrote it believes that somebody may come in now. */
static void a_scope_names_a_queue_that_is_there(void **state)
{
    const char *config = temporary_file("guarded.json", "{\"queues\": {\"mail\": {}}}");
    const char *path = private_file("tokens", "put " PUTS "\nread+data:mial " MAILS "\n");
    const char *const check[] = {"--check", "-c", config, "--token-file", path, NULL};
    char line[SERVER_LINE_SIZE], *out, *err;
    (void)state;
    assert_int_equal(server_run(check, NULL, &out, &err), 2);
    assert_non_null(strstr(err, "tokens:2: read+data:mial: there is no such queue\n"));
    assert_ptr_equal(strstr(err, "jobd: --token-file: "), err);
    free(out);
    free(err);
    private_file("tokens", "put:mail " PUTS "\n");
    struct server *server = server_start("-c", config, "--token-file", path);
    private_file("tokens", "put:late " PUTS "\n");
    server_signal(server, SIGHUP);
    server_await_line(server, ERR, "tokens:1: put:late: there is no such queue", line);
    assert_non_null(strstr(line, ": nothing is changed"));
    temporary_file("guarded.json", "{\"queues\": {\"late\": {}}}");
    private_file("tokens", "put:late " PUTS "\nput:mail " MAILS "\n");
    server_signal(server, SIGHUP); /* one that comes with the next start, one that goes then */
    server_await_line(server, ERR, "SIGHUP: configuration reloaded", line);
}

static void what_the_answers_say(void **state)
{
    struct server *server = start_guarded();
    struct client *client = client_new(server);
    static struct raw raw;
    (void)state;
    assert_field(ask(client, "POST", "/do", NULL), "WWW-Authenticate", "Bearer");
    assert_field(ask(client, "POST", "/do", "wrong"), "WWW-Authenticate",
                 "Bearer error=\"invalid_token\"");
    assert_field(ask(client, "POST", "/do", WORKS), "WWW-Authenticate",
                 "Bearer error=\"insufficient_scope\"");
    assert_int_equal(
        client_send(client, "POST", "/do", FIELDS("Authorization: Basic " PUTS), NULL)->status,
        401);
    assert_int_equal(
        client_send(client, "POST", "/do", FIELDS("Authorization: bearer   " PUTS " "), NULL)
            ->status,
        202);
    assert_int_equal(client_send(client, "POST", "/do",
                                 FIELDS("Authorization: Bearer " PUTS, "Authorization: Bearer x"),
                                 NULL)
                         ->status,
                     401);
    /* A token is enough, whatever name the server goes by. */
    assert_int_equal(raw_ask(server,
                             "POST /do HTTP/1.1\r\nHost: jobs.example\r\nContent-Length: 0\r\n"
                             "Connection: close\r\nAuthorization: Bearer " PUTS "\r\n\r\n",
                             &raw),
                     202);
    client_free(client);
}

static void the_file_is_read_again(void **state)
{
    struct server *server = start_guarded();
    struct client *client = client_new(server);
    char line[SERVER_LINE_SIZE];
    (void)state;
    private_file("tokens", "put newcomer-7d1e5f2a\n");
    assert_int_equal(ask(client, "POST", "/do", "newcomer-7d1e5f2a")->status, 401);
    server_signal(server, SIGHUP);
    server_await_line(server, ERR, "SIGHUP: configuration reloaded", line);
    assert_int_equal(ask(client, "POST", "/do", "newcomer-7d1e5f2a")->status, 202);
    assert_int_equal(ask(client, "POST", "/do", PUTS)->status, 401);
    private_file("tokens", "all newcomer-7d1e5f2a\n");
    server_signal(server, SIGHUP);
    server_await_line(server, ERR, "tokens:1: no such scope", line);
    assert_non_null(strstr(line, ": nothing is changed"));
    assert_int_equal(ask(client, "POST", "/do", "newcomer-7d1e5f2a")->status, 202);
    char *err = server_output(server, ERR);
    assert_null(strstr(err, "newcomer"));
    free(err);
    client_free(client);
}

static void what_is_risky_is_named(void **state)
{
    const char *path = private_file("tokens", "put short\n"
                                              "admin " ADMIN "\n");
    char line[SERVER_LINE_SIZE];
    (void)state;
    assert_int_equal(chmod(path, 0644), 0);
    const char *const arguments[] = {"-l", "0.0.0.0:0", "--token-file", path, NULL};
    struct server *server = server_spawn(&(struct server_plan){.arguments = arguments});
    server_await_line(server, ERR, "others can read the tokens: its mode is 644", line);
    assert_non_null(strstr(line, path));
    server_await_line(server, ERR, "tokens:1: the token has fewer than 16 characters", line);
    server_signal(server, SIGHUP);
    server_await_lines(server, ERR, "others can read the tokens", 2);
}

/* The group is one that somebody has chosen; all others are everybody. */
static void modes_of_the_file(void **state)
{
    static const struct {
        mode_t mode;
        const char *line; /* NULL: no warning */
    } rows[] = {{0400, NULL},       {0440, NULL},       {0640, NULL},         {0660, NULL},
                {0444, "can read"}, {0604, "can read"}, {0602, "can change"}, {0666, "can read"}};
    const char *path = private_file("tokens", "put " PUTS "\n");
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *const check[] = {"--check", "--token-file", path, NULL};
        char *out, *err;
        assert_int_equal(chmod(path, rows[i].mode), 0);
        assert_int_equal(server_run(check, NULL, &out, &err), 0);
        if (rows[i].line == NULL)
            assert_string_equal(err, "");
        else
            assert_non_null(strstr(err, rows[i].line));
        free(out);
        free(err);
    }
}

/* But a mistake is one line. */
static void what_is_wrong_is_not_named_risky_too(void **state)
{
    const char *path = private_file("tokens", "put short\n"
                                              "get " PUTS "\n");
    char expected[300], *out, *err;
    (void)state;
    assert_int_equal(chmod(path, 0644), 0);
    const char *const wrong[] = {"--token-file", path, "--check", NULL};
    assert_int_equal(server_run(wrong, NULL, &out, &err), 2);
    snprintf(expected, sizeof expected,
             "jobd: --token-file: %s:2: no such scope; allowed are read, read+data, put, work and "
             "admin, and each with a queue's name behind a colon\n",
             path);
    assert_string_equal(err, expected);
    free(out);
    free(err);
    if (!http_has_tls())
        return;
    assert_int_equal(chmod(private_file("tokens", "put short\n"), 0644), 0);
    const char *const elsewhere[] = {"--token-file", path, "--tls-cert", path,
                                     "--tls-key",    path, NULL};
    assert_int_equal(server_run(elsewhere, NULL, &out, &err), 2);
    snprintf(expected, sizeof expected, "jobd: --tls-cert: %s: it is no certificate in PEM\n",
             path);
    assert_string_equal(err, expected);
    free(out);
    free(err);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(each_scope_reaches_so_far),
        TEST(mistakes_are_named),
        TEST(plain_text_it_is),
        TEST(so_many_tokens_and_no_more),
        TEST(each_endpoint_wants_its_scope),
        TEST(a_token_has_to_be_good_for_each_queue),
        TEST(a_job_is_read_by_tokens_of_its_queue),
        TEST(many_are_changed_by_tokens_of_their_queue),
        TEST(who_only_looks_sees_no_data),
        TEST(a_scope_names_a_queue_that_is_there),
        TEST(what_the_answers_say),
        TEST(the_file_is_read_again),
        TEST(what_is_risky_is_named),
        TEST(modes_of_the_file),
        TEST(what_is_wrong_is_not_named_risky_too),
    };
    return cmocka_run_group_tests_name("auth", tests, NULL, NULL);
}
