/* SPDX-License-Identifier: MIT */
/* One loop: a libmicrohttpd daemon and the thread that runs it.
 *
 * It is our own loop (libmicrohttpd's external polling) and none of its internal threads: with
 * exactly 128 ready connections its epoll loop waits without a limit while they are ready. The
 * thread waits for the daemon's descriptor or to be woken, then lets the daemon do what can be done
 * at once:
 *
 *     wait ──> woken: new connections, cut ones, streams to go on ──> gate ──> MHD_run() ──> quirks
 */
#include "http/mhd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/event.h"
#include "base/log.h"
#include "base/text.h"
#include "base/thread.h"
#include "base/verify.h"
#include "http/tls.h"

enum {
    /* libmicrohttpd zeroes its pool for every request of a connection: the smaller, the faster. It
     * bounds the header that the library is given (POOL_HEAD_BYTES) and that of the reply. */
    POOL_BYTES = 5120,
    POOL_STEP_BYTES = 1280,
};

/* ---- what comes from the acceptor */

void loop_hand_over(struct loop *loop, const struct accepted *accepted)
{
    atomic_fetch_add(&loop->connections, 1);
    mutex_lock(&loop->lock);
    bool room = loop->accepted_len < loop->http->config.connections_max;
    if (room)
        loop->accepted[loop->accepted_len++] = *accepted;
    mutex_unlock(&loop->lock);
    if (room) {
        loop_wake(loop);
    } else {
        close(accepted->fd);
        atomic_fetch_sub(&loop->connections, 1);
    }
}

static bool next_accepted(struct loop *loop, struct accepted *accepted)
{
    mutex_lock(&loop->lock);
    bool there = loop->accepted_len > 0;
    if (there)
        *accepted = loop->accepted[--loop->accepted_len];
    mutex_unlock(&loop->lock);
    return there;
}

static void take_in(struct loop *loop)
{
    struct accepted accepted;
    while (next_accepted(loop, &accepted)) {
        loop->saw_start = false;
        /* On failure it has closed the descriptor, which the acceptor notices; and has told us of
         * the end if it told us of the start. */
        if (MHD_add_connection(loop->daemon, accepted.fd, (struct sockaddr *)&accepted.address,
                               accepted.address_size) != MHD_YES &&
            !loop->saw_start)
            atomic_fetch_sub(&loop->connections, 1);
    }
}

void loop_look_after(struct loop *loop, struct conn *conn)
{
    mutex_lock(&loop->lock);
    if (loop->stuck_len < loop->http->config.connections_max)
        loop->stuck[loop->stuck_len++] = (struct stuck){conn, conn->generation};
    mutex_unlock(&loop->lock);
    loop_wake(loop);
}

static bool next_stuck(struct loop *loop, struct stuck *stuck)
{
    mutex_lock(&loop->lock);
    bool there = loop->stuck_len > 0;
    if (there)
        *stuck = loop->stuck[--loop->stuck_len];
    mutex_unlock(&loop->lock);
    return there;
}

/* When the pool is used up by the header and more has come than it can read, libmicrohttpd takes a
 * connection for closed but does not close it: it is in none of the lists of who is ready, and not
 * in the epoll set. Resumed, it is looked at once more. */
static void look_after_stuck(struct loop *loop)
{
    struct stuck stuck;
    while (next_stuck(loop, &stuck)) {
        if (!conn_is_stuck(&loop->http->conns, stuck.conn, stuck.generation))
            continue;
        struct exchange *exchange = stuck.conn->owner;
        if (exchange->stage == STAGE_PARKED) /* cut just before; whoever it waits for resumes it */
            continue;
        if (!quirk_wake(exchange) && !stream_resume_cut(exchange)) {
            MHD_suspend_connection(exchange->connection);
            MHD_resume_connection(exchange->connection);
        }
    }
}

/* ---- the thread */

static int patience_ms(struct loop *loop)
{
    MHD_UNSIGNED_LONG_LONG left_ms;
    if (!TAILQ_EMPTY(&loop->kicks))
        return 0;
    if (MHD_get_timeout(loop->daemon, &left_ms) != MHD_YES)
        return -1;
    return left_ms < 1000 ? (int)left_ms : 1000;
}

static void resume_streams(struct loop *loop)
{
    streams_resume_woken(loop);
    if (atomic_load(&loop->http->draining))
        streams_resume_all(loop); /* to their end */
}

static void *loop_main(void *context)
{
    struct loop *loop = context;
    gate_enter(loop);
    while (!atomic_load(&loop->over)) {
        struct pollfd polls[] = {{.fd = loop->events, .events = POLLIN},
                                 {.fd = loop->wakeup, .events = POLLIN},
                                 {.fd = loop->quirks.sleepers, .events = POLLIN}};
        (void)event_poll(polls, 3, patience_ms(loop));
        loop->now_ms = clock_coarse_ms();
        if ((polls[1].revents & POLLIN) != 0) {
            loop_take_wakeup(loop);
            take_in(loop);
            look_after_stuck(loop);
            resume_streams(loop);
        }
        if ((polls[2].revents & POLLIN) != 0)
            quirks_wake(loop);
        gate_iteration(loop);
        MHD_run(loop->daemon);
        quirks_iteration(loop);
    }
    quirks_wake_all(loop); /* libmicrohttpd must not end with one that is suspended */
    streams_resume_all(loop);
    MHD_run(loop->daemon);
    return NULL;
}

/* ---- start and end */

static void library_says(void *context, const char *format, va_list arguments)
{
    char line[256], shown[4 * sizeof line];
    (void)context;
    vsnprintf(line, sizeof line, format, arguments);
    size_t length = strlen(line);
    while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r'))
        line[--length] = '\0'; /* its own; those within are a client's */
    log_debug("http: %s", text_printable(line, shown, sizeof shown));
}

static struct MHD_Daemon *daemon_of(struct loop *loop)
{
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, tls_certificate_callback()},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)tls_priorities()},
        {MHD_OPTION_END, 0, NULL}};
    unsigned flags =
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    if (loop->http->config.tls)
        flags |= MHD_USE_TLS;
    else
        tls[0].option = MHD_OPTION_END;
    return MHD_start_daemon(
        flags, 0, NULL, NULL, request_handle, loop, MHD_OPTION_EXTERNAL_LOGGER, library_says, NULL,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL_BYTES,
        MHD_OPTION_CONNECTION_MEMORY_INCREMENT, (size_t)POOL_STEP_BYTES,
#if MHD_VERSION >= 0x01000000
        MHD_OPTION_CLIENT_DISCIPLINE_LVL, 1, /* folded lines, lone line feeds: 400 */
#endif
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)loop->http->config.connections_max + 1,
        MHD_OPTION_NOTIFY_CONNECTION, connection_changed, loop, MHD_OPTION_NOTIFY_COMPLETED,
        request_ended, loop, MHD_OPTION_URI_LOG_CALLBACK, request_begins, loop,
        MHD_OPTION_UNESCAPE_CALLBACK, request_decode, loop, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
}

/* 0 or -errno. */
static int start_daemon(struct loop *loop)
{
    errno = 0;
    loop->daemon = daemon_of(loop);
    if (loop->daemon == NULL)
        return errno != 0 ? -errno : -EAGAIN;
    loop->events = MHD_get_daemon_info(loop->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    return 0;
}

/* 0 or -errno. */
static int loop_allocate(struct loop *loop)
{
    uint32_t max = loop->http->config.connections_max;
    mutex_lock(&loop->lock);
    TAILQ_INIT(&loop->woken_streams);
    loop->accepted = calloc(max, sizeof *loop->accepted);
    loop->stuck = calloc(max, sizeof *loop->stuck);
    bool room = loop->accepted != NULL && loop->stuck != NULL;
    mutex_unlock(&loop->lock);
    if (!room)
        return -ENOMEM;
    loop->wakeup = event_new();
    return loop->wakeup < 0 ? loop->wakeup : 0;
}

int loop_start(struct loop *loop, struct http *http)
{
    loop->http = http;
    loop->wakeup = -1;
    TAILQ_INIT(&loop->streams);
    TAILQ_INIT(&loop->kicks);
    int error = mutex_init(&loop->lock);
    if (error != 0)
        return error;
    http->loops_len++; /* from here on loop_release() has it */
    error = quirks_init(loop);
    if (error == 0)
        error = loop_allocate(loop);
    if (error == 0)
        error = start_daemon(loop);
    if (error == 0)
        error = thread_start(&loop->thread, loop_main, loop);
    loop->started = error == 0;
    return error;
}

void loop_join(struct loop *loop)
{
    if (!loop->started)
        return;
    atomic_store(&loop->over, true);
    loop_wake(loop);
    verify(pthread_join(loop->thread, NULL) == 0);
}

void loop_release(struct loop *loop)
{
    if (loop->daemon != NULL)
        MHD_stop_daemon(loop->daemon);
    if (loop->wakeup >= 0)
        close(loop->wakeup);
    quirks_release(loop);
    mutex_lock(&loop->lock);
    while (loop->accepted_len > 0)
        close(loop->accepted[--loop->accepted_len].fd);
    free(loop->accepted);
    free(loop->stuck);
    mutex_unlock(&loop->lock);
    mutex_release(&loop->lock);
}
