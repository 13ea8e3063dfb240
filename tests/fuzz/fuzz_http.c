/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/api.h"
#include "api/live.h"
#include "base/clock.h"
#include "fuzz/fuzz.h"
#include "http/http.h"
#include "jobd/pool.h"
#include "base/log.h"
#include "base/problem.h"
#include "run/sleep.h"
#include "base/verify.h"

enum {
    CAPACITY = 8,
    CONNECTIONS = 128,
    STREAMS = 16,
    BODY_MAX = 4096,
    PATIENCE_S = 10,
    READ_US = 1000,
    END_MS = 2
};

static struct {
    bool started;
    char folder[32], address[64];
    struct listeners listeners;
    struct jobd_pool *pool;
    struct http *http;
    struct api api;
} server;

static void start(void)
{
    static int64_t nap_us;
    struct problem problem = {""};
    const struct jobd_queue_config queue = {.name = "default", .capacity = CAPACITY};
    const struct jobd_runner runner = {.run = sleep_run, .context = &nap_us};
    struct jobd_config queues = {.queues = &queue,
                                 .queues_len = 1,
                                 .keep = 10,
                                 .memory_bytes = 1 << 20,
                                 .waiters_max = 64,
                                 .leases_max = 64,
                                 .first_id = 1};
    log_setup(LOG_TEXT, LOG_ERROR);
    verify(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    strcpy(server.folder, "/tmp/jobd-fuzz-XXXXXX");
    verify(mkdtemp(server.folder) != NULL);
    snprintf(server.address, sizeof server.address, "unix:%s/socket", server.folder);
    verify(listen_open(&server.listeners, server.address, false, &problem) == LISTEN_OK);
    verify(live_new(&server.api.live, STREAMS, &queues) == 0);
    verify(jobd_pool_new(&server.pool, &queues, &runner) == 0);
    struct jobd *jobd = jobd_pool_jobd(server.pool);
    const struct http_config http = {.jobd = jobd,
                                     .listeners = &server.listeners,
                                     .connections_max = CONNECTIONS,
                                     .per_address_max = CONNECTIONS,
                                     .header_us = CLOCK_SECOND_US,
                                     .idle_us = CLOCK_SECOND_US,
                                     .body_max_bytes = BODY_MAX,
                                     .memory_bytes = 1 << 20};
    verify(http_new(&server.http, &http) == 0);
    server.api = (struct api){
        .jobd = jobd, .http = server.http, .output_max_bytes = BODY_MAX, .live = server.api.live};
    verify(live_start(server.api.live, &server.api) == 0);
    verify(api_init(&server.api) == 0);
    verify(jobd_pool_start(server.pool) == 0);
    verify(http_start(server.http, api_serve, api_authorize, &server.api) == 0);
    server.started = true;
}

/* Takes what the server says; false when it has closed. */
static bool hear(int fd)
{
    char answer[4096];
    ssize_t got;
    do
        got = recv(fd, answer, sizeof answer, MSG_DONTWAIT);
    while (got > 0 || (got < 0 && errno == EINTR));
    return got < 0 && errno == EAGAIN;
}

/* Until the server has read all that was sent, which it may put off while it is busy. An end that
 * comes with bytes it would notice a sweep of the acceptor later only. */
static bool wait_until_read(int fd)
{
    const int64_t until_us = clock_now_us() + READ_US;
    int unread;
    while (hear(fd)) {
        verify(ioctl(fd, SIOCOUTQ, &unread) == 0);
        if (unread == 0 || clock_now_us() > until_us)
            return true;
        sched_yield();
    }
    return false;
}

/* False when the server has heard enough. */
static bool say(int fd, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
        if (sent < 0)
            return false;
        bytes += sent;
        size -= (size_t)sent;
    }
    return wait_until_read(fd);
}

/* Every client is let go, whatever it has said; for some it takes their deadline, and the next
 * inputs need not wait for that. */
static void wait_until_let_go(uint32_t but)
{
    const int64_t until_us = clock_now_us() + PATIENCE_S * CLOCK_SECOND_US;
    struct http_stats stats;
    for (;;) {
        http_stats(server.http, &stats);
        if (stats.conns.open <= but)
            return;
        verify(clock_now_us() < until_us);
        sched_yield();
    }
}

static int connect_to_server(void)
{
    struct sockaddr_un address;
    socklen_t size = sizeof address;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    verify(getsockname(server.listeners.of[0].fd, (struct sockaddr *)&address, &size) == 0);
    verify(fd >= 0 && connect(fd, (struct sockaddr *)&address, size) == 0);
    return fd;
}

static void exchange(const uint8_t *bytes, size_t size)
{
    static const uint8_t pause[] = {0xff, 0xff};
    const uint8_t *mark;
    bool open = true;
    int fd = connect_to_server();
    while (open && (mark = memmem(bytes, size, pause, sizeof pause)) != NULL) {
        open = say(fd, bytes, (size_t)(mark - bytes));
        size -= (size_t)(mark - bytes) + sizeof pause;
        bytes = mark + sizeof pause;
    }
    if (open && say(fd, bytes, size)) {
        struct pollfd end = {.fd = fd, .events = POLLIN};
        (void)shutdown(fd, SHUT_WR);
        while (hear(fd) && poll(&end, 1, END_MS) > 0)
            ;
    }
    close(fd);
    wait_until_let_go(CONNECTIONS / 2);
}

void fuzz_http(const uint8_t *bytes, size_t size)
{
    uint32_t purged;
    if (!server.started)
        start();
    exchange(bytes, size);
    (void)jobd_purge(jobd_pool_jobd(server.pool), 0, NULL, clock_now_us(), &purged);
}

void fuzz_http_end(void)
{
    if (!server.started)
        return;
    wait_until_let_go(0);
    http_drain(server.http);
    jobd_pool_stop(server.pool);
    verify(http_stop(server.http, 1000));
    http_free(server.http);
    live_stop(server.api.live);
    jobd_pool_free(server.pool);
    live_free(server.api.live);
    listen_close(&server.listeners);
    (void)rmdir(server.folder);
    server.started = false;
}
