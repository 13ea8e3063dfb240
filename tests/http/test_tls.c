/* SPDX-License-Identifier: MIT */
/* The server over TLS. Certificates are made by the openssl tool. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/live_scene.h"
#include "support/client.h"
#include "support/failing_server.h"
#include "support/sanitizers.h"
#include "support/server.h"

static const char *certificate, *key, *other_certificate, *other_key;

/* One for localhost and 127.0.0.1, signed by itself. */
static void make_certificate(const char *name, const char **crt, const char **pem)
{
    char command[1024], file[64];
    snprintf(file, sizeof file, "%s.crt", name);
    *crt = temporary_file(file, "");
    snprintf(file, sizeof file, "%s.key", name);
    *pem = temporary_file(file, "");
    snprintf(command, sizeof command,
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
             "-subj /CN=%s -addext subjectAltName=DNS:localhost,IP:127.0.0.1 "
             "-keyout %s -out %s 2>/dev/null",
             name, *pem, *crt);
    assert_int_equal(system(command), 0);
    assert_int_equal(chmod(*pem, 0600), 0);
}

static int set_up(void **state)
{
    (void)state;
    make_certificate("one", &certificate, &key);
    make_certificate("other", &other_certificate, &other_key);
    return 0;
}

static struct server *start(void)
{
    return server_start("--tls-cert", certificate, "--tls-key", key, "-q", "100");
}

/* Who does not speak is cut soon; but so is who shakes hands slowly. */
static struct server *start_impatient(void)
{
    return server_start("--tls-cert", certificate, "--tls-key", key, "--header-timeout", "1s");
}

/* The command's output, for the caller to free. */
static char *output_of(const char *command)
{
    char *text = calloc(1, 65536);
    FILE *out = popen(command, "re");
    assert_non_null(text);
    assert_non_null(out);
    (void)!fread(text, 1, 65535, out);
    (void)pclose(out);
    return text;
}

static void requests_over_tls(void **state)
{
    struct server *server = start();
    struct client *client = client_new_tls(server, certificate);
    char body[3001];
    (void)state;
    memset(body, 'x', sizeof body - 1);
    body[sizeof body - 1] = '\0';
    const struct answer *answer = client_send(client, "POST", "/do?delay=1h", NULL, body);
    assert_answer(answer, 202, "queued\n");
    char path[64];
    snprintf(path, sizeof path, "/jobs/%llu/payload", (unsigned long long)answer_job(answer));
    assert_answer(client_get(client, path), 200, body);
    assert_int_equal(client_send(client, "POST", "/do", FIELDS("Prefer: wait=15"), NULL)->status,
                     200); /* parked, and resumed */
    assert_non_null(strstr(client_get(client, "/")->body, "'https://"));
    assert_int_equal(client_get(client, "/healthz")->connects, 0);
    client_free(client);
}

static void who_speaks_in_clear_gets_nothing(void **state)
{
    struct server *server = start_impatient();
    static struct raw raw;
    (void)state;
    int fd = raw_connect(server);
    assert_true(raw_send(fd, "GET /do HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    raw_read_until(fd, &raw, "HTTP");
    assert_int_equal(raw_status(raw.text), 0);
    close(fd);
    /* And who says nothing at all is cut in time, without a word that is not TLS. */
    fd = raw_connect(server);
    raw_read_until(fd, &raw, "never");
    assert_int_equal(raw.size, 0);
    close(fd);
    struct client *client = client_new_tls(server, certificate);
    const int64_t deadline_ms = now_ms() + PATIENCE_MS;
    while (client_get(client, "/healthz")->status != 200)
        look_again(deadline_ms, "an answer over TLS");
    client_free(client);
}

/* Also in the middle of a handshake, until it is cut. */
static void waiting_for_a_client_costs_nothing(void **state)
{
    static const char *const texts[] = {"", "\x16", "\x16\x03\x01\x02"};
    enum { CLIENTS = sizeof texts / sizeof texts[0], CUT_MS = 1000 };
    static struct raw raw;
    struct server *server = start_impatient();
    int fds[CLIENTS];
    (void)state;
    int64_t used_ms = server_cpu_ms(server);
    for (unsigned i = 0; i < CLIENTS; i++) {
        fds[i] = raw_connect(server);
        assert_true(raw_send(fds[i], texts[i]));
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        raw_read_until_close(fds[i], &raw);
        close(fds[i]);
    }
    assert_in_range(server_cpu_ms(server) - used_ms, 0, CUT_MS / 2);
}

static void old_versions_are_refused(void **state)
{
    struct server *server = start();
    char command[512];
    (void)state;
    static const struct {
        const char *version;
        bool good;
    } rows[] = {{"-tls1_1", false}, {"-tls1_2", true}, {"-tls1_3", true}};
    for (size_t i = 0; i < 3; i++) {
        snprintf(command, sizeof command,
                 "echo Q | openssl s_client -connect %s %s -CAfile %s 2>&1", server_address(server),
                 rows[i].version, certificate);
        char *text = output_of(command);
        assert_true((strstr(text, "Verify return code: 0 (ok)") != NULL &&
                     strstr(text, "Cipher is (NONE)") == NULL) == rows[i].good);
        free(text);
    }
}

/* Whatever is asked for, before any token is looked at: with openssl's options. */
static void a_handshake_is_cheap(void **state)
{
    static const struct {
        const char *asks;
        bool good;
    } rows[] = {
        {"-groups X25519", true},
        {"-groups P-256", true},
        {"-groups P-384", true},
        {"-groups ffdhe2048", false},
        {"-groups ffdhe8192", false},
        {"-tls1_2 -groups ffdhe8192 -cipher DHE", false},
        {"-tls1_2 -cipher DHE", false},
        {"-tls1_2 -cipher kRSA", false},
        {"-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA", false},
        {"-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA256", false},
        {"-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256", true},
        {"-tls1_2 -cipher ECDHE-ECDSA-CHACHA20-POLY1305", true},
    };
    struct server *server = start();
    char command[512];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(command, sizeof command,
                 "echo Q | openssl s_client -connect %s %s -CAfile %s 2>&1", server_address(server),
                 rows[i].asks, certificate);
        char *text = output_of(command);
        if ((strstr(text, "Cipher is (NONE)") == NULL) != rows[i].good)
            fail_msg("%s: %s", rows[i].asks, text);
        free(text);
    }
}

static void the_server_chooses_the_cipher(void **state)
{
    struct server *server = start();
    char command[512];
    (void)state;
    snprintf(command, sizeof command,
             "echo Q | openssl s_client -connect %s -tls1_2 -cipher "
             "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384 -CAfile %s 2>&1",
             server_address(server), certificate);
    char *text = output_of(command);
    assert_non_null(strstr(text, "Cipher is ECDHE-ECDSA-AES256-GCM-SHA384"));
    free(text);
}

/* With TLS 1.3 a client has the last word of the handshake. With Nagle's algorithm on, as sockets
 * come, its first request waits until that is acknowledged, which the system would put off. */
static void the_last_word_is_acknowledged_at_once(void **state)
{
    char command[256];
    (void)state;
    if (SANITIZERS)
        skip();
    struct server *server =
        failing_spawn(WORDS("--tls-cert", certificate, "--tls-key", key, "-w", "0"), 0);
    server_await_listening(server);
    snprintf(command, sizeof command, "openssl s_client -tls1_3 -connect %s >/dev/null 2>&1",
             server_address(server));
    assert_int_equal(atomic_load(&failing->acknowledged), 0);
    FILE *silent = popen(command, "we");
    assert_non_null(silent);
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    while (atomic_load(&failing->acknowledged) == 0) {
        assert_true(now_ms() < deadline_ms);
        let_pass(1);
    }
    (void)pclose(silent);
}

/* What is said in the clear after the handshake goes through the same gate. */
static void headers_are_read_to_the_letter(void **state)
{
    static const struct {
        const char *request; /* for printf(1) */
        const char *answer;
    } rows[] = {
        {"GET /healthz HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n",
         "HTTP/1.1 200 "},
        {"GET /do HTTP/1.1\\r\\nHost: localhost\\r\\nX:\\n\\n", "HTTP/1.1 400 "},
        {"POST /do HTTP/1.1\\r\\nHost: localhost\\r\\nContent-Length: 1x\\r\\n\\r\\n",
         "HTTP/1.1 400 "},
        {"POST /do HTTP/1.1\\r\\nHost: localhost\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n"
         "1;\\r\\nx\\r\\n0\\r\\n\\r\\n",
         "HTTP/1.1 400 "},
    };
    struct server *server = start();
    char command[1024];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(command, sizeof command,
                 "printf '%s' | openssl s_client -quiet -connect %s -CAfile %s 2>/dev/null",
                 rows[i].request, server_address(server), certificate);
        char *text = output_of(command);
        if (strncmp(text, rows[i].answer, strlen(rows[i].answer)) != 0)
            fail_msg("row %zu: %s", i, text);
        free(text);
    }
    struct client *client = client_new_tls(server, certificate);
    for (size_t size = 1000; size < 24000; size += 2300) {
        char *cookie = raw_filled("Cookie: a=", 'x', size, "");
        assert_int_equal(client_send(client, "POST", "/do", FIELDS(cookie), "hello")->status, 202);
        assert_int_equal(client_get(client, "/healthz")->status, 200);
        free(cookie);
    }
    client_free(client);
}

static void copy_file(const char *from, const char *to)
{
    char command[512];
    snprintf(command, sizeof command, "cat %s >%s", from, to);
    assert_int_equal(system(command), 0);
}

static void certificates_are_read_again(void **state)
{
    const char *crt = temporary_file("now.crt", ""), *pem = temporary_file("now.key", "");
    char line[SERVER_LINE_SIZE];
    (void)state;
    assert_int_equal(chmod(pem, 0600), 0);
    copy_file(certificate, crt);
    copy_file(key, pem);
    struct server *server = server_start("--tls-cert", crt, "--tls-key", pem);
    struct client *client = client_new_tls(server, certificate);
    assert_int_equal(client_get(client, "/healthz")->status, 200);
    copy_file(other_certificate, crt);
    server_signal(server, SIGHUP);
    server_await_line(server, ERR, "it is not the key of the certificate", line);
    assert_non_null(strstr(line, ": nothing is changed"));
    struct client *second = client_new_tls(server, certificate);
    assert_int_equal(client_get(second, "/healthz")->status, 200);
    copy_file(other_key, pem);
    for (int i = 0; i < 3; i++) {
        server_signal(server, SIGHUP);
        server_await_lines(server, ERR, "configuration reloaded", (unsigned)i + 1);
    }
    assert_int_equal(client_get(client, "/healthz")->status, 200); /* its connection goes on */
    struct client *third = client_new_tls(server, other_certificate);
    assert_int_equal(client_get(third, "/healthz")->status, 200);
    struct client *fourth = client_new_tls(server, certificate);
    assert_int_equal(client_get(fourth, "/healthz")->status, 0);
    client_free(client);
    client_free(second);
    client_free(third);
    client_free(fourth);
}

/* A bad certificate leaves the tokens as they were, though theirs is the better file. */
static void a_mistake_in_one_file_changes_neither(void **state)
{
    const char *crt = temporary_file("now.crt", "");
    const char *tokens = temporary_file("tokens", "admin first-6b1f0c9e2d\n");
    char line[SERVER_LINE_SIZE];
    (void)state;
    assert_int_equal(chmod(tokens, 0600), 0);
    copy_file(certificate, crt);
    struct server *server =
        server_start("--tls-cert", crt, "--tls-key", key, "--token-file", tokens);
    struct client *client = client_new_tls(server, certificate);
    temporary_file("tokens", "admin second-77a0b3d1e5\n");
    temporary_file("now.crt", "none");
    server_signal(server, SIGHUP);
    server_await_line(server, ERR, "it is no certificate in PEM: nothing is changed", line);
    const char *const *first = FIELDS("Authorization: Bearer first-6b1f0c9e2d");
    assert_int_equal(client_send(client, "POST", "/do", first, NULL)->status, 202);
    assert_int_equal(server_count_lines(server, ERR, "SIGHUP"), 1);
    client_free(client);
}

static void files_that_are_wrong(void **state)
{
    const struct {
        const char *certificate, *key, *error;
    } rows[] = {
        {"/nowhere.crt", key, "/nowhere.crt: No such file"},
        {certificate, "/nowhere.key", "/nowhere.key: No such file"},
        {key, key, "no certificate in PEM"},
        {certificate, certificate, "no private key in PEM"},
        {certificate, other_key, "it is not the key of the certificate"},
        {certificate, NULL, "--tls-cert and --tls-key belong together"},
    };
    (void)state;
    assert_int_equal(chmod(other_key, 0644), 0); /* not warned of: a mistake is one line */
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *arguments[] = {"--check",   "--tls-cert", rows[i].certificate,
                                   "--tls-key", rows[i].key,  NULL};
        char *out, *err;
        if (rows[i].key == NULL)
            arguments[3] = NULL;
        assert_int_equal(server_run(arguments, NULL, &out, &err), 2);
        if (strstr(err, rows[i].error) == NULL)
            fail_msg("row %zu: %s", i, err);
        assert_ptr_equal(strchr(err, '\n'), err + strlen(err) - 1);
        free(out);
        free(err);
    }
    const char *const good[] = {"--check",   "--tls-cert", other_certificate,
                                "--tls-key", other_key,    NULL};
    char *out, *err;
    assert_int_equal(server_run(good, NULL, &out, &err), 0);
    assert_non_null(strstr(err, "others can read the key: its mode is 644"));
    free(out);
    free(err);
}

static void health_over_tls(void **state)
{
    struct server *server = start();
    const char *arguments[] = {"--health",   "-l",        server_address(server),
                               "--tls-cert", certificate, "--tls-key",
                               key,          NULL};
    char *out, *err;
    (void)state;
    assert_int_equal(server_run(arguments, NULL, &out, &err), 0);
    free(out);
    free(err);
    arguments[3] = NULL; /* in clear */
    assert_int_equal(server_run(arguments, NULL, &out, &err), 1);
    free(out);
    free(err);
}

/* At --max-connections it closes without an answer: so it lives. */
static void health_of_a_busy_server(void **state)
{
    struct server *server =
        server_start("--tls-cert", certificate, "--tls-key", key, "--max-connections", "1");
    const char *arguments[] = {"--health",   "-l",        server_address(server),
                               "--tls-cert", certificate, "--tls-key",
                               key,          NULL};
    char *out, *err;
    (void)state;
    int fd = raw_connect(server);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(server_run(arguments, NULL, &out, &err), 0);
        free(out);
        free(err);
    }
    close(fd);
}

/* ---- streams */

/* What curl prints of an answer as it comes. */
static FILE *stream(const struct server *server, const char *path)
{
    char command[1024];
    snprintf(command, sizeof command, "exec curl -sN --cacert %s 'https://%s%s'", certificate,
             server_address(server), path);
    FILE *out = popen(command, "re");
    assert_non_null(out);
    return out;
}

static void assert_line(FILE *out, const char *wanted)
{
    char line[4096];
    do
        assert_non_null(fgets(line, sizeof line, out));
    while (strstr(line, wanted) == NULL);
}

/* Each line is there before the next one is printed. */
static void a_line_comes_when_it_is_printed(void **state)
{
    struct speaker speaker;
    char room[1024], path[64], line[32];
    (void)state;
    speaker_open(&speaker, "says");
    struct server *server = server_start("--tls-cert", certificate, "--tls-key", key, "-q", "100",
                                         "--", "sh", "-c", speaker_command(&speaker, room));
    struct client *client = client_new_tls(server, certificate);
    FILE *events = stream(server, "/events");
    assert_line(events, ":\n");
    uint64_t job = client_put(client, "/do");
    snprintf(path, sizeof path, "/jobs/%llu/output?follow", (unsigned long long)job);
    FILE *output = stream(server, path);
    assert_line(events, "\"state\":\"queued\"");
    assert_line(events, "\"state\":\"running\"");
    for (int i = 0; i < 5; i++) {
        snprintf(line, sizeof line, "echo line %d", i);
        speaker_say(&speaker, line);
        assert_line(output, line + strlen("echo "));
    }
    speaker_say(&speaker, "exit 0");
    assert_line(events, "\"state\":\"done\"");
    assert_null(fgets(line, sizeof line, output));
    assert_int_equal(pclose(output), 0);
    server_signal(server, SIGTERM); /* a drain ends streams */
    while (fgets(room, sizeof room, events) != NULL)
        ;
    (void)pclose(events);
    client_free(client);
    close(speaker.fd);
}

/* Its pipe is full, so it reads no more; who reads gets each event. */
/* Asks, and never reads; with a small buffer, whatever the kernel would give. To be ended by
 * pclose(). */
static FILE *lazy_stream(const struct server *server, const char *path)
{
    static const char program[] =
        "import socket, ssl, sys\n"
        "host, port = sys.argv[1].split(\":\")\n"
        "plain = socket.socket()\n"
        "plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)\n"
        "plain.connect((host, int(port)))\n"
        "secret = ssl.create_default_context(cafile=sys.argv[2]).wrap_socket(plain, "
        "server_hostname=host)\n"
        "secret.sendall(f\"GET {sys.argv[3]} HTTP/1.1\\r\\nHost: "
        "localhost\\r\\n\\r\\n\".encode())\n"
        "sys.stdin.read()\n";
    char command[1536];
    snprintf(command, sizeof command, "exec python3 -c '%s' %s %s %s", program,
             server_address(server), certificate, path);
    FILE *in = popen(command, "we");
    assert_non_null(in);
    return in;
}

static void who_stops_reading_is_cut(void **state)
{
    struct server *server =
        server_start("--tls-cert", certificate, "--tls-key", key, "-w", "0", "-q", "1000000",
                     "--memory", "1GiB", "--header-timeout", "4s", "--idle-timeout", "1s");
    struct client *client = client_new_tls(server, certificate);
    FILE *lazy = lazy_stream(server, "/events");
    FILE *good = stream(server, "/events?state=scheduled");
    char path[512], tag[64];
    (void)state;
    assert_line(good, ":\n");
    client_await_metric(client, "jobd_streams", 2);
    snprintf(path, sizeof path, "/do?batch=lines&tag=%060d&tag=1%059d", 0, 0);
    char *lines = raw_filled("", '\n', 400, "");
    for (int i = 0; i < 400; i += 2)
        lines[i] = 'x';
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    while (client_metric(client, "jobd_streams_cut_total") < 1) {
        assert_int_equal(client_send(client, "POST", path, NULL, lines)->status, 202);
        look_again(deadline_ms, "the cut");
    }
    client_await_metric(client, "jobd_streams", 1);
    snprintf(tag, sizeof tag, "\"id\":%llu,",
             (unsigned long long)client_put(client, "/do?delay=1h"));
    assert_line(good, tag);
    free(lines);
    server_signal(server, SIGTERM);
    (void)pclose(lazy);
    (void)pclose(good);
    client_free(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, server_stop_all)
    const struct CMUnitTest tests[] = {
        TEST(requests_over_tls),
        TEST(who_speaks_in_clear_gets_nothing),
        TEST(waiting_for_a_client_costs_nothing),
        TEST(old_versions_are_refused),
        TEST(a_handshake_is_cheap),
        TEST(the_server_chooses_the_cipher),
        TEST(headers_are_read_to_the_letter),
        TEST(the_last_word_is_acknowledged_at_once),
        TEST(certificates_are_read_again),
        TEST(a_mistake_in_one_file_changes_neither),
        TEST(files_that_are_wrong),
        TEST(health_over_tls),
        TEST(health_of_a_busy_server),
        TEST(a_line_comes_when_it_is_printed),
        TEST(who_stops_reading_is_cut),
    };
    return cmocka_run_group_tests_name("tls", tests, NULL, NULL);
}
