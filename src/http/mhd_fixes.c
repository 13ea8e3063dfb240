/* SPDX-License-Identifier: MIT */
#include "http/mhd.h"

#if MHD_NEEDS_FIXES

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    LOOKS_AT_ONCE = 16,   /* so that many connections do not make an iteration long */
    IDLE_ITERATIONS = 32, /* a handshake has done what it could, and what came behind it is read */
    WAKE_AT_A_TIME = 64,  /* handshakes whose client has gone on */
};

int quirks_init(struct loop *loop)
{
    struct quirks *quirks = &loop->quirks;
    for (unsigned i = 0; i < QUIRKS; i++)
        TAILQ_INIT(&quirks->exchanges[i]);
    quirks->sleepers = loop->http->config.tls ? epoll_create1(EPOLL_CLOEXEC) : -1;
    return loop->http->config.tls && quirks->sleepers < 0 ? -errno : 0;
}

void quirks_release(struct loop *loop)
{
    if (loop->quirks.sleepers >= 0)
        close(loop->quirks.sleepers);
}

void quirk_set(struct exchange *exchange, enum quirk_kind kind)
{
    struct quirks *quirks = &exchange->loop->quirks;
    if (exchange->quirk.kind != QUIRK_NONE)
        TAILQ_REMOVE(&quirks->exchanges[exchange->quirk.kind], exchange, quirk.entry);
    exchange->quirk.kind = kind;
    exchange->quirk.iterations = 0;
    if (kind != QUIRK_NONE)
        TAILQ_INSERT_TAIL(&quirks->exchanges[kind], exchange, quirk.entry);
}

/* ---- while TLS shakes hands: it is tried in each iteration until it is done, so between two
 * messages the connection sleeps */

/* With TLS 1.3 the client has the last word of a handshake, and we have nothing to say to it. Who
 * does not switch Nagle's algorithm off sends no request until that word is acknowledged, which the
 * system would put off by 40 ms. What is said here holds until we send again. Fails on a unix
 * socket, where nothing waits. */
static void acknowledge(int fd)
{
    (void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &(int){1}, sizeof(int));
}

static void look_at_handshake(struct exchange *exchange)
{
    struct loop *loop = exchange->loop;
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = exchange};
    char byte;
    if (recv(exchange->conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0) {
        exchange->quirk.iterations = 0;
        return;
    }
    acknowledge(exchange->conn->fd);
    if (++exchange->quirk.iterations >= IDLE_ITERATIONS &&
        epoll_ctl(loop->quirks.sleepers, EPOLL_CTL_ADD, exchange->conn->fd, &event) == 0) {
        quirk_set(exchange, QUIRK_ASLEEP);
        MHD_suspend_connection(exchange->connection);
    }
}

static void wake(struct exchange *exchange)
{
    (void)epoll_ctl(exchange->loop->quirks.sleepers, EPOLL_CTL_DEL, exchange->conn->fd, NULL);
    quirk_set(exchange, QUIRK_HANDSHAKE);
    MHD_resume_connection(exchange->connection);
}

bool quirk_wake(struct exchange *exchange)
{
    if (exchange->quirk.kind != QUIRK_ASLEEP)
        return false;
    wake(exchange);
    return true;
}

void quirks_wake(struct loop *loop)
{
    struct epoll_event events[WAKE_AT_A_TIME];
    int count = epoll_wait(loop->quirks.sleepers, events, WAKE_AT_A_TIME, 0);
    for (int i = 0; i < count; i++)
        wake(events[i].data.ptr);
}

void quirks_wake_all(struct loop *loop)
{
    struct exchange *exchange;
    while ((exchange = TAILQ_FIRST(&loop->quirks.exchanges[QUIRK_ASLEEP])) != NULL)
        wake(exchange);
}

/* ---- each iteration */

static void look_at_some(struct loop *loop, enum quirk_kind kind,
                         void (*look)(struct exchange *exchange))
{
    struct exchange *last = TAILQ_LAST(&loop->quirks.exchanges[kind], quirk_list), *exchange = NULL;
    for (unsigned i = 0; i < LOOKS_AT_ONCE && exchange != last; i++) {
        exchange = TAILQ_FIRST(&loop->quirks.exchanges[kind]);
        TAILQ_REMOVE(&loop->quirks.exchanges[kind], exchange, quirk.entry);
        TAILQ_INSERT_TAIL(&loop->quirks.exchanges[kind], exchange, quirk.entry);
        look(exchange);
    }
}

void quirks_iteration(struct loop *loop)
{
    look_at_some(loop, QUIRK_HANDSHAKE, look_at_handshake);
}

#endif
