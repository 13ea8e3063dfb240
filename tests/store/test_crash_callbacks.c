/* SPDX-License-Identifier: MIT */
/* A durable server that is killed at any moment while jobs and batches with callbacks end: whatever
 * was let in is told of at last, by a receiver that now and then answers that it cannot.
 *
 * CALLBACK_KILLS=n in the environment is a longer form. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/verify.h"
#include "support/chance.h"
#include "support/client.h"

enum { USUAL_KILLS = 8, PROMISES_MAX = 200000, REQUEST_SIZE = 16384 };

static struct chance chance;

/* ---- the receiver: a request at a time */

static struct receiver {
    int fd, port;
    pthread_t thread;
    atomic_bool over;
    uint64_t told[PROMISES_MAX];
    _Atomic uint32_t told_len;
    unsigned requests;
} receiver;

/* A whole request; false: it was cut. */
static bool read_request(int fd, char *text)
{
    size_t used = 0;
    for (;;) {
        ssize_t more = recv(fd, text + used, REQUEST_SIZE - 1 - used, 0);
        if (more <= 0)
            return false;
        used += (size_t)more;
        text[used] = '\0';
        const char *end = strstr(text, "\r\n\r\n"), *length = strstr(text, "Content-Length: ");
        if (end != NULL && length != NULL &&
            strlen(end + 4) >= strtoul(length + strlen("Content-Length: "), NULL, 10))
            return true;
    }
}

static void serve(int fd)
{
    static const char good[] = "HTTP/1.1 204 Good\r\nConnection: close\r\n\r\n",
                      bad[] = "HTTP/1.1 503 Not now\r\nContent-Length: 0\r\n"
                              "Connection: close\r\n\r\n";
    char text[REQUEST_SIZE];
    if (!read_request(fd, text))
        return;
    bool refuses = receiver.requests++ % 7 == 3;
    const char *id = strstr(text, "\r\n\r\n{\"id\":");
    const uint32_t len = receiver.told_len;
    verify(id != NULL && len < PROMISES_MAX);
    if (!refuses) {
        receiver.told[len] = strtoull(strchr(id, ':') + 1, NULL, 10);
        receiver.told_len = len + 1; /* now that it is whole */
    }
    const char *answer = refuses ? bad : good;
    (void)!send(fd, answer, strlen(answer), MSG_NOSIGNAL);
}

static void *receive(void *context)
{
    (void)context;
    while (!receiver.over) {
        struct pollfd waits = {.fd = receiver.fd, .events = POLLIN};
        if (poll(&waits, 1, 100) <= 0)
            continue;
        int fd = accept(receiver.fd, NULL, NULL);
        if (fd >= 0) {
            serve(fd);
            close(fd);
        }
    }
    return NULL;
}

static void receiver_start(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    receiver.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(receiver.fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(receiver.fd, 64), 0);
    assert_int_equal(getsockname(receiver.fd, (struct sockaddr *)&address, &size), 0);
    receiver.port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&receiver.thread, NULL, receive, NULL), 0);
}

static void receiver_stop(void)
{
    receiver.over = true;
    assert_int_equal(pthread_join(receiver.thread, NULL), 0);
    close(receiver.fd);
}

static bool was_told(uint64_t id)
{
    for (uint32_t i = 0; i < receiver.told_len; i++)
        if (receiver.told[i] == id)
            return true;
    return false;
}

/* ---- who puts jobs in */

static uint64_t promised[PROMISES_MAX];
static _Atomic uint32_t promised_len;

/* Until the server answers no more. */
static void *put_jobs(void *context)
{
    struct client *client = context;
    char job[120], batch[140], room[256];
    snprintf(job, sizeof job, "/do?callback=http://127.0.0.1:%d/end", receiver.port);
    snprintf(batch, sizeof batch, "%s&batch=lines", job);
    for (unsigned i = 0;; i++) {
        bool many = i % 4 == 0;
        const struct answer *answer =
            client_send(client, "POST", many ? batch : job, NULL, many ? "a\nb\nc\n" : "one");
        if (answer->status == 0)
            return NULL;
        if (answer->status != 202)
            continue;
        const char *path = answer_field(answer, "Location", room);
        promised[promised_len] = strtoull(strrchr(path, '/') + 1, NULL, 10);
        promised_len++;
    }
}

static struct server *start_on(const char *folder, const char *config)
{
    const char *const arguments[] = {"-l", "127.0.0.1:0", "-d", folder, "-c", config, NULL};
    struct server *server = server_spawn(&(struct server_plan){.arguments = arguments});
    server_await_listening(server);
    return server;
}

/* So many more are let in, and the server is killed. */
static void one_life(const char *folder, const char *config)
{
    pthread_t putter;
    struct server *server = start_on(folder, config);
    struct client *client = client_new(server);
    uint32_t until = promised_len + chance_below(&chance, 60);
    assert_int_equal(pthread_create(&putter, NULL, put_jobs, client), 0);
    int64_t deadline_ms = now_ms() + PATIENCE_MS;
    while (promised_len < until)
        look_again(deadline_ms, "jobs to be let in");
    server_kill(server);
    assert_int_equal(pthread_join(putter, NULL), 0);
    client_free(client);
    server_forget(server);
}

static void test_kills_lose_no_callback(void **state)
{
    char folder[200], text[600];
    const char *given = getenv("CALLBACK_KILLS");
    unsigned kills = given != NULL ? (unsigned)strtoul(given, NULL, 10) : USUAL_KILLS;
    (void)state;
    chance = chance_begin();
    receiver_start();
    snprintf(folder, sizeof folder, "%s/callbacks", temporary_directory());
    snprintf(
        text, sizeof text,
        "{\"callback-allow\": \"http://127.0.0.1:%d\", \"keep\": 3, \"queues\": {"
        "\"default\": {\"capacity\": 100, \"workers\": 3, \"sleep\": \"1ms\", \"attempts\": 100, "
        "\"backoff\": \"1ms..5ms\"},"
        "\"callbacks\": {\"capacity\": 60, \"workers\": 3, \"backoff\": \"1ms..5ms\"}}}",
        receiver.port);
    const char *config = temporary_file("callbacks.json", text);
    for (unsigned i = 0; i < kills; i++)
        one_life(folder, config);
    struct server *server = start_on(folder, config);
    int64_t deadline_ms = now_ms() + 3 * PATIENCE_MS;
    uint32_t seen = 0;
    for (uint32_t i = 0; i < promised_len; i++, seen++)
        while (!was_told(promised[i]))
            look_again(deadline_ms, "a callback");
    server_signal(server, SIGTERM);
    assert_int_equal(server_wait(server), 0);
    receiver_stop();
    fprintf(stderr, "%u kills; %u jobs and batches let in, %u callbacks received\n", kills, seen,
            (unsigned)receiver.told_len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_kills_lose_no_callback, server_stop_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
