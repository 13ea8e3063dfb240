/* SPDX-License-Identifier: MIT */
#include "http/mhd.h"

#if MHD_NEEDS_FIXES

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "http/canned.h"

enum {
    LOOKS_A_TURN = 16,   /* so that many connections do not make a turn long */
    IDLE_TURNS = 32,     /* a handshake has done what it could, and what came behind it is read */
    UNREAD_TURNS = 64,   /* what waits all that time is not read */
    WAKE_AT_A_TIME = 64, /* handshakes whose client has gone on */
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
    exchange->quirk.turns = 0;
    if (kind != QUIRK_NONE)
        TAILQ_INSERT_TAIL(&quirks->exchanges[kind], exchange, quirk.entry);
}

void quirk_progress(struct exchange *exchange)
{
    exchange->quirk.turns = 0;
}

size_t fix_cookie_bytes(struct exchange *exchange, size_t record_size)
{
    if (exchange->headers.cookie_size == 0)
        return 0;
    int cookies = MHD_get_connection_values(exchange->connection, MHD_COOKIE_KIND, NULL, NULL);
    return exchange->headers.cookie_size + (cookies > 0 ? (size_t)cookies : 0) * record_size;
}

/* ---- while a header is read: what is refused late in it would have its status line and fields
 * twice */

static bool has_bad_length(const struct exchange *exchange)
{
    const char *text = MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND,
                                                   MHD_HTTP_HEADER_CONTENT_LENGTH);
    uint64_t length;
    return text != NULL && !headers_read_length(text, strlen(text), &length);
}

static bool has_cookies(const struct exchange *exchange)
{
    return MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND,
                                       MHD_HTTP_HEADER_COOKIE) != NULL;
}

static bool anybody(const struct exchange *exchange)
{
    return exchange->stage == STAGE_HEADER;
}

/* By what it says, for the log, just before: it does not say of whom. */
static const struct refusal {
    const char *message;
    bool (*concerns)(const struct exchange *exchange);
    void (*say)(int fd);
    unsigned status;
} refusals[] = {
    {"Failed to parse `Content-Length'", has_bad_length, reject_bad_length, 400},
    {"Too large value of 'Content-Length'", has_bad_length, reject_bad_length, 400},
    {"Not enough memory in pool to parse cookies", has_cookies, canned_too_large, 431},
    {"Not enough memory in pool to allocate header record", anybody, canned_too_large, 431},
};

/* The only one whose header is being read that it can concern, or NULL. */
static struct exchange *concerned(struct loop *loop, const struct refusal *refusal)
{
    struct exchange *exchange, *found = NULL;
    TAILQ_FOREACH (exchange, &loop->quirks.exchanges[QUIRK_HEADER], quirk.entry) {
        if (!refusal->concerns(exchange))
            continue;
        if (found != NULL)
            return NULL;
        found = exchange;
    }
    return found;
}

static void refuse(struct exchange *exchange, const struct refusal *refusal)
{
    struct http *http = exchange->loop->http;
    if (!conn_enter(exchange->conn, PHASE_CUT))
        return;
    if (!http->config.tls)
        refusal->say(exchange->conn->fd);
    reply_count(http, refusal->status);
    access_reply(exchange, refusal->status, 0);
    access_refused_here(exchange->loop);
    shutdown(exchange->conn->fd, SHUT_WR); /* what it says itself goes nowhere */
}

void quirks_on_message(struct loop *loop, const char *format)
{
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        if (strncmp(format, refusals[i].message, strlen(refusals[i].message)) == 0) {
            struct exchange *exchange = concerned(loop, &refusals[i]);
            if (exchange != NULL)
                refuse(exchange, &refusals[i]);
            return;
        }
}

/* ---- while chunks are read: a line that its pool is too small for is tried turn after turn */

static void look_at_chunks(struct exchange *exchange)
{
    struct http *http = exchange->loop->http;
    char byte;
    if (recv(exchange->conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0) {
        exchange->quirk.turns = 0;
    } else if (++exchange->quirk.turns == UNREAD_TURNS && conn_enter(exchange->conn, PHASE_CUT)) {
        if (!http->config.tls)
            reject_unreadable(exchange->conn->fd);
        reply_count(http, 400);
        access_reply(exchange, 400, 0);
        shutdown(exchange->conn->fd, SHUT_RDWR);
    }
}

/* ---- while TLS shakes hands: it is tried turn after turn until it is done, so between two
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
        exchange->quirk.turns = 0;
        return;
    }
    acknowledge(exchange->conn->fd);
    if (++exchange->quirk.turns >= IDLE_TURNS &&
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

/* ---- each turn */

static void look_at_some(struct loop *loop, enum quirk_kind kind,
                         void (*look)(struct exchange *exchange))
{
    struct exchange *last = TAILQ_LAST(&loop->quirks.exchanges[kind], quirk_list), *exchange = NULL;
    for (unsigned i = 0; i < LOOKS_A_TURN && exchange != last; i++) {
        exchange = TAILQ_FIRST(&loop->quirks.exchanges[kind]);
        TAILQ_REMOVE(&loop->quirks.exchanges[kind], exchange, quirk.entry);
        TAILQ_INSERT_TAIL(&loop->quirks.exchanges[kind], exchange, quirk.entry);
        look(exchange);
    }
}

void quirks_turn(struct loop *loop)
{
    look_at_some(loop, QUIRK_CHUNKS, look_at_chunks);
    look_at_some(loop, QUIRK_HANDSHAKE, look_at_handshake);
}

#endif
