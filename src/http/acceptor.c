/* SPDX-License-Identifier: MIT */
#include "http/acceptor.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/event.h"
#include "base/log.h"
#include "base/thread.h"
#include "http/rejects.h"

enum {
    ACCEPTS_AT_A_TIME = 64,
    EVENTS_AT_A_TIME = 64,
    SWEEP_MS = 250,        /* how often deadlines are looked at */
    CLOSING_SWEEP_MS = 10, /* the same while closing */
    LAST_CALL_MS = 10,     /* closing: who lost an idle connection may come back with a request */
    PAUSE_MS = 100,        /* after accept() failed for lack of something */
    QUIET_MS = 10000,      /* until that is said in the log again */
};

#define NEVER INT64_MAX

/* What an epoll event is about: the upper byte of its data, above a generation and a number. */
enum event_source { SOURCE_LISTENER, SOURCE_STOP, SOURCE_HANGUP, SOURCE_REFUSED };

enum { GENERATION_SHIFT = 32, SOURCE_SHIFT = GENERATION_SHIFT + HANGUP_GENERATION_BITS };

struct acceptor {
    struct acceptor_config config;
    struct deadlines deadlines;
    int epoll, stop_event;
    pthread_t thread;
    bool started;

    /* Its own thread only. */
    bool over;
    int64_t sweep_ms;  /* when the next is due */
    int64_t paused_ms; /* not accepting until then; NEVER: accepting */
    int64_t stop_ms;   /* when to stop accepting; NEVER: not asked to, or done */
    bool stopped;
    int64_t quiet_until_ms;
    struct rejects rejects;
};

static uint64_t about(enum event_source topic, uint64_t what)
{
    return (uint64_t)topic << SOURCE_SHIFT | what;
}

/* 0 or -errno. */
static int watch(struct acceptor *acceptor, int operation, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event event = {.events = events, .data.u64 = data};
    return epoll_ctl(acceptor->epoll, operation, fd, &event) == 0 ? 0 : -errno;
}

static int watch_listeners(struct acceptor *acceptor, int operation, uint32_t events)
{
    const struct listeners *listeners = acceptor->config.listeners;
    int error = 0;
    for (unsigned i = 0; i < listeners->len && error == 0; i++)
        error = watch(acceptor, operation, listeners->of[i].fd, events, about(SOURCE_LISTENER, i));
    return error;
}

/* ---- accepting */

static void accept_one(struct acceptor *acceptor, const struct listener *listener, int fd,
                       const struct sockaddr *from, socklen_t size)
{
    struct conn_table *conns = acceptor->config.conns;
    const char *why;
    if ((size_t)fd >= conns->by_fd_len) {
        close(fd);
        return;
    }
    mutex_lock(&conns->lock);
    struct conn *conn = conn_open_locked(conns, fd, from, &why);
    if (conn != NULL) {
        conn->from_local = listener->local || listener->loopback;
        conn->from_unix = listener->local;
    }
    mutex_unlock(&conns->lock);
    if (conn != NULL) {
        acceptor->config.hand_over(acceptor->config.context, fd, from, size);
        return;
    }
    acceptor->config.refused(acceptor->config.context, from);
    if (acceptor->config.mute)
        close(fd);
    else
        reject_send(&acceptor->rejects, acceptor->epoll, about(SOURCE_REFUSED, 0), fd, why);
}

static bool is_passing(int error)
{
    return error == EINTR || error == ECONNABORTED || error == EPROTO || error == EPERM;
}

static void pause_accepting(struct acceptor *acceptor, int error)
{
    int64_t now_ms = clock_coarse_ms();
    if (now_ms >= acceptor->quiet_until_ms) {
        log_warn("accept: %s; not accepting for 100 ms", strerror(error));
        acceptor->quiet_until_ms = now_ms + QUIET_MS;
    }
    if (watch_listeners(acceptor, EPOLL_CTL_MOD, 0) == 0)
        acceptor->paused_ms = now_ms + PAUSE_MS;
}

static void resume_accepting(struct acceptor *acceptor, int64_t now_ms)
{
    bool resumed = watch_listeners(acceptor, EPOLL_CTL_MOD, EPOLLIN) == 0;
    acceptor->paused_ms = resumed ? NEVER : now_ms + PAUSE_MS;
}

/* True when the backlog may hold more. */
static bool accept_some(struct acceptor *acceptor, const struct listener *listener)
{
    for (int i = 0; i < ACCEPTS_AT_A_TIME; i++) {
        struct sockaddr_storage from;
        memset(&from, 0, sizeof from);
        socklen_t size = sizeof from;
        int fd =
            accept4(listener->fd, (struct sockaddr *)&from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            accept_one(acceptor, listener, fd, (struct sockaddr *)&from, size);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return false;
        } else if (!is_passing(errno)) {
            pause_accepting(acceptor, errno);
            return false;
        }
    }
    return true;
}

static void stop_accepting(struct acceptor *acceptor)
{
    for (unsigned i = 0; i < acceptor->config.listeners->len; i++)
        while (accept_some(acceptor, &acceptor->config.listeners->of[i]))
            ;
    listen_close(acceptor->config.listeners);
    acceptor->paused_ms = acceptor->stop_ms = NEVER;
    acceptor->stopped = true;
}

/* ---- hang-ups */

void acceptor_watch_hangup(struct acceptor *acceptor, struct conn *conn)
{
    const uint32_t mask = (1U << HANGUP_GENERATION_BITS) - 1;
    uint64_t data =
        about(SOURCE_HANGUP, (uint64_t)(conn->generation & mask) << GENERATION_SHIFT | conn->index);
    /* Best effort: without it a wait still ends at its deadline, and a stream at its next write. */
    conn->hangup_watched =
        watch(acceptor, EPOLL_CTL_ADD, conn->fd, EPOLLRDHUP | EPOLLONESHOT, data) == 0;
}

void acceptor_unwatch_hangup(struct acceptor *acceptor, struct conn *conn)
{
    if (conn->hangup_watched)
        (void)epoll_ctl(acceptor->epoll, EPOLL_CTL_DEL, conn->fd, NULL);
    conn->hangup_watched = false;
}

/* ---- the thread */

static void handle(struct acceptor *acceptor, uint64_t data)
{
    uint32_t number = (uint32_t)data;
    switch ((enum event_source)(data >> SOURCE_SHIFT)) {
    case SOURCE_LISTENER:
        if (number < acceptor->config.listeners->len) /* not stopped */
            (void)accept_some(acceptor, &acceptor->config.listeners->of[number]);
        if (acceptor->sweep_ms == NEVER) /* there is somebody to look after */
            acceptor->sweep_ms = clock_coarse_ms() + SWEEP_MS;
        break;
    case SOURCE_STOP:
        event_clear(acceptor->stop_event);
        acceptor->stop_ms = clock_coarse_ms() + LAST_CALL_MS;
        acceptor->sweep_ms = 0;
        break;
    case SOURCE_HANGUP:
        deadlines_on_hangup(&acceptor->deadlines, number, (uint32_t)(data >> GENERATION_SHIFT));
        break;
    case SOURCE_REFUSED:
        reject_read(&acceptor->rejects, number);
        break;
    }
}

static void sweep(struct acceptor *acceptor, int64_t now_ms)
{
    struct connections_left found = deadlines_sweep(&acceptor->deadlines, now_ms);
    acceptor->over = found.over && acceptor->stopped;
    bool refused = reject_expire(&acceptor->rejects, acceptor->over ? NEVER : now_ms);
    if (found.closing)
        acceptor->sweep_ms = now_ms + CLOSING_SWEEP_MS;
    else
        acceptor->sweep_ms = found.open > 0 || refused ? now_ms + SWEEP_MS : NEVER;
}

static int64_t earlier(int64_t a_ms, int64_t b_ms)
{
    return a_ms < b_ms ? a_ms : b_ms;
}

/* For epoll_wait(). */
static int until_next_ms(const struct acceptor *acceptor)
{
    int64_t next_ms = earlier(acceptor->sweep_ms, earlier(acceptor->paused_ms, acceptor->stop_ms));
    if (next_ms == NEVER)
        return -1;
    int64_t left_ms = next_ms - clock_coarse_ms();
    return left_ms < 0 ? 0 : (int)earlier(left_ms, INT_MAX);
}

static void *acceptor_main(void *context)
{
    struct acceptor *acceptor = context;
    while (!acceptor->over) {
        struct epoll_event events[EVENTS_AT_A_TIME];
        int count = epoll_wait(acceptor->epoll, events, EVENTS_AT_A_TIME, until_next_ms(acceptor));
        for (int i = 0; i < count; i++)
            handle(acceptor, events[i].data.u64);
        int64_t now_ms = clock_coarse_ms();
        if (now_ms >= acceptor->paused_ms)
            resume_accepting(acceptor, now_ms);
        if (now_ms >= acceptor->stop_ms)
            stop_accepting(acceptor);
        if (now_ms >= acceptor->sweep_ms)
            sweep(acceptor, now_ms);
    }
    return NULL;
}

/* ---- start and end */

static int prepare(struct acceptor *acceptor)
{
    acceptor->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (acceptor->epoll < 0)
        return -errno;
    acceptor->stop_event = event_new();
    if (acceptor->stop_event < 0)
        return acceptor->stop_event;
    int error =
        watch(acceptor, EPOLL_CTL_ADD, acceptor->stop_event, EPOLLIN, about(SOURCE_STOP, 0));
    return error == 0 ? watch_listeners(acceptor, EPOLL_CTL_ADD, EPOLLIN) : error;
}

int acceptor_new(struct acceptor **acceptor, const struct acceptor_config *config)
{
    struct acceptor *new = malloc(sizeof *new);
    if (new == NULL)
        return -ENOMEM;
    *new = (struct acceptor){
        .config = *config,
        .deadlines = {.conns = config->conns, .events = config->events, .mute = config->mute},
        .epoll = -1,
        .stop_event = -1,
        .sweep_ms = NEVER,
        .paused_ms = NEVER,
        .stop_ms = NEVER};
    reject_init(&new->rejects);
    int error = prepare(new);
    if (error == 0)
        *acceptor = new;
    else
        acceptor_free(new);
    return error;
}

int acceptor_start(struct acceptor *acceptor)
{
    int error = thread_start(&acceptor->thread, acceptor_main, acceptor);
    acceptor->started = error == 0;
    return error;
}

void acceptor_stop(struct acceptor *acceptor, int64_t wait_ms)
{
    if (!acceptor->started)
        return;
    deadlines_close(&acceptor->deadlines, wait_ms);
    event_set(acceptor->stop_event);
    verify(pthread_join(acceptor->thread, NULL) == 0);
    acceptor->started = false;
}

void acceptor_free(struct acceptor *acceptor)
{
    if (acceptor == NULL)
        return;
    verify(!acceptor->started);
    if (acceptor->epoll >= 0)
        close(acceptor->epoll);
    if (acceptor->stop_event >= 0)
        close(acceptor->stop_event);
    free(acceptor);
}
