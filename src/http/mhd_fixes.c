/* SPDX-License-Identifier: MIT */
/* What libmicrohttpd before 1.0 gets wrong, seen from outside and made good: connections that it
 * tries to read for ever, or forgets, or answers twice. */
#include "http/mhd.h"

#include <string.h>
#include <sys/epoll.h>

#include "http/canned.h"

enum {
    LOOKS_A_TURN = 16,   /* so that many connections do not make a turn long */
    IDLE_TURNS = 32,     /* a handshake has done what it could, and what came behind it is read */
    UNREAD_TURNS = 64,   /* what waits all that time is not read */
    WAKE_AT_A_TIME = 64, /* handshakes whose client has gone on */
};

void watch_init(struct loop *loop)
{
    for (unsigned i = 0; i < WATCHES; i++)
        TAILQ_INIT(&loop->watched[i]);
}

void watch(struct exchange *exchange, enum watch what)
{
    struct loop *loop = exchange->loop;
    if (exchange->watched != WATCH_NONE)
        TAILQ_REMOVE(&loop->watched[exchange->watched], exchange, entry);
    exchange->watched = what;
    exchange->turns = 0;
    if (what != WATCH_NONE)
        TAILQ_INSERT_TAIL(&loop->watched[what], exchange, entry);
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
    TAILQ_FOREACH (exchange, &loop->watched[WATCH_HEADER], entry) {
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
    if (!gate_enter(http->gate, exchange->slot, PHASE_REPLY))
        return;
    if (!http->config.tls)
        refusal->say(exchange->slot->fd);
    reply_count(http, refusal->status);
    shutdown(exchange->slot->fd, SHUT_WR); /* what it says itself goes nowhere */
}

void watch_message(struct loop *loop, const char *format)
{
    for (size_t i = 0; MHD_VERSION < 0x01000000 && i < sizeof refusals / sizeof refusals[0]; i++)
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
    if (recv(exchange->slot->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0) {
        exchange->turns = 0;
    } else if (++exchange->turns == UNREAD_TURNS &&
               gate_enter(http->gate, exchange->slot, PHASE_REPLY)) {
        if (!http->config.tls)
            reject_unreadable(exchange->slot->fd);
        reply_count(http, 400);
        shutdown(exchange->slot->fd, SHUT_RDWR);
    }
}

/* ---- while TLS shakes hands: it is tried turn after turn until it is done, so between two
 * messages the connection sleeps */

static void look_at_handshake(struct exchange *exchange)
{
    struct loop *loop = exchange->loop;
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = exchange};
    char byte;
    if (recv(exchange->slot->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0) {
        exchange->turns = 0;
    } else if (++exchange->turns >= IDLE_TURNS &&
               epoll_ctl(loop->sleepers, EPOLL_CTL_ADD, exchange->slot->fd, &event) == 0) {
        watch(exchange, WATCH_ASLEEP);
        MHD_suspend_connection(exchange->connection);
    }
}

static void wake(struct exchange *exchange)
{
    (void)epoll_ctl(exchange->loop->sleepers, EPOLL_CTL_DEL, exchange->slot->fd, NULL);
    watch(exchange, WATCH_HANDSHAKE);
    MHD_resume_connection(exchange->connection);
}

void watch_wake(struct loop *loop)
{
    struct epoll_event events[WAKE_AT_A_TIME];
    int count = epoll_wait(loop->sleepers, events, WAKE_AT_A_TIME, 0);
    for (int i = 0; i < count; i++)
        wake(events[i].data.ptr);
}

void watch_wake_all(struct loop *loop)
{
    struct exchange *exchange;
    while ((exchange = TAILQ_FIRST(&loop->watched[WATCH_ASLEEP])) != NULL)
        wake(exchange);
}

/* ---- each turn */

static void look_at_some(struct loop *loop, enum watch what,
                         void (*look)(struct exchange *exchange))
{
    struct exchange *last = TAILQ_LAST(&loop->watched[what], watched), *exchange = NULL;
    for (unsigned i = 0; i < LOOKS_A_TURN && exchange != last; i++) {
        exchange = TAILQ_FIRST(&loop->watched[what]);
        TAILQ_REMOVE(&loop->watched[what], exchange, entry);
        TAILQ_INSERT_TAIL(&loop->watched[what], exchange, entry);
        look(exchange);
    }
}

void watch_turn(struct loop *loop)
{
    if (MHD_VERSION >= 0x01000000)
        return;
    look_at_some(loop, WATCH_CHUNKS, look_at_chunks);
    look_at_some(loop, WATCH_HANDSHAKE, look_at_handshake);
}

/* ---- after it was cut
 *
 * When the pool is used up by the header and more has come than it can read, a connection is taken
 * for closed but not closed: it is in none of the lists of who is ready, and not in the epoll set.
 * Resumed, it is looked at once more. */

static bool next_stuck(struct loop *loop, struct stuck *stuck)
{
    mutex_lock(&loop->lock);
    bool there = loop->stuck_len > 0;
    if (there)
        *stuck = loop->stuck[--loop->stuck_len];
    mutex_unlock(&loop->lock);
    return there;
}

void watch_close_stuck(struct loop *loop)
{
    struct stuck stuck;
    while (next_stuck(loop, &stuck)) {
        if (!gate_is_stuck(loop->http->gate, stuck.slot, stuck.generation))
            continue;
        struct exchange *exchange = stuck.slot->owner;
        if (exchange->watched == WATCH_ASLEEP) {
            wake(exchange);
            continue;
        }
        if (exchange->stage == STAGE_PARKED) /* cut just before; whoever it waits for resumes it */
            continue;
        MHD_suspend_connection(exchange->connection);
        MHD_resume_connection(exchange->connection);
    }
}
