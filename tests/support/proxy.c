/* SPDX-License-Identifier: MIT */
#include "support/proxy.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/event.h"
#include "base/verify.h"

enum { PAIRS_MAX = 32, BUFFER_SIZE = 1 << 16 };

struct proxy {
    struct sockaddr_un own, target;
    int listener, event;
    int pairs[PAIRS_MAX][2]; /* client and server */
    unsigned len;
    int delay_ms;
    atomic_bool blocked, over;
    pthread_t thread;
    char buffer[BUFFER_SIZE];
};

static struct sockaddr_un address_in(const char *directory)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length = snprintf(address.sun_path, sizeof address.sun_path, "%s/.s.PGSQL.5432", directory);
    verify(length > 0 && (size_t)length < sizeof address.sun_path);
    return address;
}

static void accept_one(struct proxy *proxy)
{
    int client = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC); /* else children had it */
    int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    verify(client >= 0 && server >= 0);
    if (proxy->len < PAIRS_MAX &&
        connect(server, (const struct sockaddr *)&proxy->target, sizeof proxy->target) == 0) {
        proxy->pairs[proxy->len][0] = client;
        proxy->pairs[proxy->len++][1] = server;
        return;
    }
    close(client);
    close(server);
}

static bool write_all(int fd, const char *bytes, ssize_t size)
{
    while (size > 0) {
        ssize_t written = send(fd, bytes, (size_t)size, MSG_NOSIGNAL);
        if (written <= 0)
            return false;
        bytes += written;
        size -= written;
    }
    return true;
}

/* False when one of the two is there no more. */
static bool forward(struct proxy *proxy, const int pair[2], const struct pollfd polls[2])
{
    for (unsigned side = 0; side < 2; side++) {
        if (polls[side].revents == 0)
            continue;
        ssize_t size = read(pair[side], proxy->buffer, BUFFER_SIZE);
        struct pollfd end = {.fd = proxy->event, .events = POLLIN};
        (void)poll(&end, 1, proxy->delay_ms);
        if (size <= 0 || !write_all(pair[1 - side], proxy->buffer, size))
            return false;
    }
    return true;
}

static void close_pair(struct proxy *proxy, unsigned i)
{
    close(proxy->pairs[i][0]);
    close(proxy->pairs[i][1]);
    proxy->len--;
    memmove(proxy->pairs[i], proxy->pairs[proxy->len], sizeof proxy->pairs[i]);
}

static void *run(void *context)
{
    struct proxy *proxy = context;
    while (!atomic_load(&proxy->over)) {
        struct pollfd polls[2 + 2 * PAIRS_MAX] = {{.fd = proxy->event, .events = POLLIN},
                                                  {.fd = proxy->listener, .events = POLLIN}};
        unsigned len = proxy->len;
        for (unsigned i = 0; i < len; i++)
            for (unsigned side = 0; side < 2; side++)
                polls[2 + 2 * i + side] =
                    (struct pollfd){.fd = proxy->pairs[i][side], .events = POLLIN};
        (void)poll(polls, atomic_load(&proxy->blocked) ? 1 : 2 + 2 * len, -1);
        if (polls[0].revents != 0) {
            event_clear(proxy->event);
            continue;
        }
        for (unsigned i = len; i-- > 0;)
            if (!forward(proxy, proxy->pairs[i], &polls[2 + 2 * i]))
                close_pair(proxy, i);
        if (polls[1].revents != 0)
            accept_one(proxy);
    }
    while (proxy->len > 0)
        close_pair(proxy, 0);
    return NULL;
}

static struct proxy *new_to(const char *target, int family, int delay_ms)
{
    struct proxy *proxy = calloc(1, sizeof *proxy);
    verify(proxy != NULL);
    proxy->target = address_in(target);
    proxy->delay_ms = delay_ms;
    proxy->event = event_new();
    proxy->listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    verify(proxy->event >= 0 && proxy->listener >= 0);
    return proxy;
}

static void begin(struct proxy *proxy)
{
    verify(listen(proxy->listener, 16) == 0);
    verify(pthread_create(&proxy->thread, NULL, run, proxy) == 0);
}

struct proxy *proxy_new(const char *directory, const char *target)
{
    struct proxy *proxy = new_to(target, AF_UNIX, 0);
    verify(mkdir(directory, 0755) == 0);
    proxy->own = address_in(directory);
    verify(bind(proxy->listener, (const struct sockaddr *)&proxy->own, sizeof proxy->own) == 0);
    begin(proxy);
    return proxy;
}

struct proxy *proxy_new_far(const char *target, int delay_ms, uint16_t *port)
{
    struct proxy *proxy = new_to(target, AF_INET, delay_ms);
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof own;
    verify(bind(proxy->listener, (const struct sockaddr *)&own, size) == 0);
    verify(getsockname(proxy->listener, (struct sockaddr *)&own, &size) == 0);
    *port = ntohs(own.sin_port);
    begin(proxy);
    return proxy;
}

void proxy_block(struct proxy *proxy, bool block)
{
    atomic_store(&proxy->blocked, block);
    event_set(proxy->event);
}

void proxy_free(struct proxy *proxy)
{
    if (proxy == NULL)
        return;
    atomic_store(&proxy->over, true);
    event_set(proxy->event);
    verify(pthread_join(proxy->thread, NULL) == 0);
    close(proxy->listener);
    close(proxy->event);
    if (proxy->own.sun_path[0] != '\0')
        (void)unlink(proxy->own.sun_path);
    free(proxy);
}
