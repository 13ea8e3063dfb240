/* SPDX-License-Identifier: MIT */
/* The server: the acceptor, the loops, start and stop.
 *
 * libmicrohttpd runs in loops of our own (its external polling), not in its internal threads: with
 * exactly 128 ready connections its epoll loop waits without a limit while they are ready. A loop
 * waits for the daemon's descriptor or to be woken, then lets the daemon do what can be done at
 * once.
 */
#include "http/mhd.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/event.h"
#include "base/log.h"
#include "base/thread.h"
#include "http/tls.h"
#include "base/verify.h"

enum {
    /* libmicrohttpd zeroes its pool for every request of a connection: the smaller, the faster. It
     * bounds the header. */
    POOL_BYTES = 6144,
    POOL_STEP_BYTES = 1536,
    REST_MS = 100,               /* after poll() failed */
    SLOWEST_BYTES_PER_S = 16384, /* bodies and replies slower than this are cut */
};

/* ---- loops */

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

static int patience_ms(struct MHD_Daemon *daemon)
{
    MHD_UNSIGNED_LONG_LONG left_ms;
    if (MHD_get_timeout(daemon, &left_ms) != MHD_YES)
        return -1;
    return left_ms < 1000 ? (int)left_ms : 1000;
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
        if (!quirk_wake(exchange) && !stream_resume_cut(exchange)) {
            MHD_suspend_connection(exchange->connection);
            MHD_resume_connection(exchange->connection);
        }
    }
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
    while (!atomic_load(&loop->over)) {
        struct pollfd polls[] = {{.fd = loop->events, .events = POLLIN},
                                 {.fd = loop->wakeup, .events = POLLIN},
                                 {.fd = loop->quirks.sleepers, .events = POLLIN}};
        if (poll(polls, 3, patience_ms(loop->daemon)) < 0 && errno != EINTR)
            (void)poll(NULL, 0, REST_MS); /* the limit on open files is below 2 */
        if ((polls[1].revents & POLLIN) != 0) {
            loop_take_wakeup(loop);
            take_in(loop);
            look_after_stuck(loop);
            resume_streams(loop);
        }
        if ((polls[2].revents & POLLIN) != 0)
            quirks_wake(loop);
        MHD_run(loop->daemon);
        quirks_turn(loop);
    }
    quirks_wake_all(loop); /* libmicrohttpd must not end with one that is suspended */
    streams_resume_all(loop);
    MHD_run(loop->daemon);
    return NULL;
}

static void library_says(void *context, const char *format, va_list arguments)
{
    char line[256];
    quirks_on_message(context, format);
    vsnprintf(line, sizeof line, format, arguments);
    line[strcspn(line, "\r\n")] = '\0';
    log_debug("http: %s", line);
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
        flags, 0, NULL, NULL, request_handle, loop, MHD_OPTION_EXTERNAL_LOGGER, library_says, loop,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL_BYTES,
        MHD_OPTION_CONNECTION_MEMORY_INCREMENT, (size_t)POOL_STEP_BYTES,
#if MHD_VERSION >= 0x01000000
        MHD_OPTION_CLIENT_DISCIPLINE_LVL, 1, /* folded lines, lone line feeds: 400 */
#endif
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)loop->http->config.connections_max + 1,
        MHD_OPTION_NOTIFY_CONNECTION, connection_changed, loop, MHD_OPTION_NOTIFY_COMPLETED,
        request_ended, loop, MHD_OPTION_URI_LOG_CALLBACK, request_begins, loop, MHD_OPTION_ARRAY,
        tls, MHD_OPTION_END);
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

/* 0 or -errno; loop_release() undoes what has begun. */
static int loop_start(struct loop *loop, struct http *http)
{
    loop->http = http;
    loop->wakeup = -1;
    TAILQ_INIT(&loop->streams);
    int error = mutex_init(&loop->lock);
    if (error != 0)
        return error;
    http->loops_len++;
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

static void loop_join(struct loop *loop)
{
    if (!loop->started)
        return;
    atomic_store(&loop->over, true);
    loop_wake(loop);
    verify(pthread_join(loop->thread, NULL) == 0);
}

/* When no thread can wake any loop any more. */
static void loop_release(struct loop *loop)
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

/* ---- what the acceptor tells */

static struct loop *least_busy(struct http *http)
{
    struct loop *least = &http->loops[0];
    for (unsigned i = 1; i < http->loops_len; i++)
        if (atomic_load(&http->loops[i].connections) < atomic_load(&least->connections))
            least = &http->loops[i];
    return least;
}

static void hand_over(void *context, int fd, const struct sockaddr *address, socklen_t size)
{
    struct loop *loop = least_busy(context);
    struct accepted accepted = {.fd = fd, .address_size = size};
    if (address->sa_family != AF_INET && address->sa_family != AF_INET6)
        accepted.address_size = sizeof address->sa_family;
    verify(accepted.address_size <= sizeof accepted.address);
    memcpy(&accepted.address, address, accepted.address_size);
    atomic_fetch_add(&loop->connections, 1);
    mutex_lock(&loop->lock);
    bool room = loop->accepted_len < loop->http->config.connections_max;
    if (room)
        loop->accepted[loop->accepted_len++] = accepted;
    mutex_unlock(&loop->lock);
    if (room) {
        loop_wake(loop);
    } else {
        close(fd);
        atomic_fetch_sub(&loop->connections, 1);
    }
}

static bool cancel_wait(void *context, struct conn *conn)
{
    const struct http *http = context;
    struct exchange *exchange = conn->owner;
    return jobd_cancel_wait(http->config.jobd, &exchange->request.waiter);
}

static void hung_up(void *context, struct conn *conn)
{
    (void)context;
    request_hung_up(conn->owner);
}

static void look_after(void *context, struct conn *conn)
{
    struct loop *loop = conn->loop;
    (void)context;
    mutex_lock(&loop->lock);
    if (loop->stuck_len < loop->http->config.connections_max)
        loop->stuck[loop->stuck_len++] = (struct stuck){conn, conn->generation};
    mutex_unlock(&loop->lock);
    loop_wake(loop);
}

/* ---- start and stop */

static unsigned processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    int count = CPU_COUNT(&set);
    return count < 1 ? 1 : count > LOOPS_MAX ? LOOPS_MAX : (unsigned)count;
}

static int64_t transfer_ms(const struct http_config *config)
{
    return (config->header_us + (int64_t)(config->body_max_bytes / SLOWEST_BYTES_PER_S) * 1000000) /
           1000;
}

static int open_acceptor(struct http *http)
{
    const struct acceptor_config config = {
        .listeners = http->config.listeners,
        .conns = &http->conns,
        .mute = http->config.tls,
        .hand_over = hand_over,
        .context = http,
        .events = {.cancel_wait = cancel_wait,
                   .hung_up = hung_up,
                   .look_after = look_after,
                   .context = http},
    };
    return acceptor_new(&http->acceptor, &config);
}

int http_new(struct http **http, const struct http_config *config)
{
    const struct conn_times times = {.header_ms = config->header_us / 1000,
                                     .body_ms = transfer_ms(config),
                                     .reply_ms = (config->idle_us + config->header_us) / 1000,
                                     .idle_ms = config->idle_us / 1000,
                                     .slowest_bytes_per_s = SLOWEST_BYTES_PER_S};
    struct http *new = calloc(1, sizeof *new);
    if (new == NULL)
        return -ENOMEM;
    new->config = *config;
    int error =
        conn_table_init(&new->conns, config->connections_max, config->per_address_max, &times);
    if (error != 0)
        goto fail_table;
    error = open_acceptor(new);
    if (error != 0)
        goto fail_acceptor;
    *http = new;
    return 0;
fail_acceptor:
    conn_table_release(&new->conns);
fail_table:
    free(new);
    return error;
}

int http_start(struct http *http, request_handler *serve, request_admitter *admits, void *context)
{
    http->serve = serve;
    http->admits = admits;
    http->context = context;
    for (unsigned i = 0; i < processors(); i++) {
        int error = loop_start(&http->loops[i], http);
        if (error != 0)
            return error;
    }
    return acceptor_start(http->acceptor);
}

void http_drain(struct http *http)
{
    atomic_store(&http->draining, true);
    for (unsigned i = 0; i < http->loops_len; i++)
        if (http->loops[i].started)
            loop_wake(&http->loops[i]);
}

/* Streams have to end, or libmicrohttpd would abort. */
static void end_loops(struct http *http)
{
    http_drain(http);
    for (unsigned i = 0; i < http->loops_len; i++)
        loop_join(&http->loops[i]);
    for (unsigned i = 0; i < http->loops_len; i++)
        loop_release(&http->loops[i]);
    http->loops_len = 0;
}

bool http_stop(struct http *http, int64_t wait_ms)
{
    http_drain(http);
    acceptor_stop(http->acceptor, wait_ms);
    if (atomic_load(&http->parked) > 0)
        return false; /* libmicrohttpd would abort */
    end_loops(http);
    return true;
}

void http_free(struct http *http)
{
    if (http == NULL)
        return;
    end_loops(http);
    for (unsigned i = 0; i < http->shared_len; i++) {
        if (http->shared[i].keeps != NULL)
            MHD_destroy_response(http->shared[i].keeps);
        if (http->shared[i].closes != NULL)
            MHD_destroy_response(http->shared[i].closes);
    }
    acceptor_free(http->acceptor);
    conn_table_release(&http->conns);
    free(http);
}

void http_stats(struct http *http, struct http_stats *stats)
{
    conn_table_stats(&http->conns, &stats->conns);
    stats->parked = atomic_load(&http->parked) + atomic_load(&http->streams_parked);
    stats->streams = atomic_load(&http->streams);
    stats->bytes = atomic_load(&http->bytes);
    for (int i = 0; i < 6; i++)
        stats->replies[i] = atomic_load_explicit(&http->replies[i], memory_order_relaxed);
}

bool http_has_tls(void)
{
    return MHD_is_feature_supported(MHD_FEATURE_TLS) == MHD_YES &&
           MHD_is_feature_supported(MHD_FEATURE_HTTPS_CERT_CALLBACK) == MHD_YES;
}

const char *http_library(void)
{
    return MHD_get_version();
}
