/* SPDX-License-Identifier: MIT */
/* The server: its parts, start and stop. */
#include "http/mhd.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/verify.h"
#include "http/tls.h"

enum { SLOWEST_BYTES_PER_S = 16384 }; /* bodies and replies slower than this are cut */

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
    struct accepted accepted = {.fd = fd, .address_size = size};
    if (address->sa_family != AF_INET && address->sa_family != AF_INET6)
        accepted.address_size = sizeof address->sa_family;
    verify(accepted.address_size <= sizeof accepted.address);
    memcpy(&accepted.address, address, accepted.address_size);
    loop_hand_over(least_busy(context), &accepted);
}

static void refused(void *context, const struct sockaddr *address)
{
    access_refused(context, address);
}

static bool cancel_wait(void *context, struct conn *conn)
{
    const struct http *http = context;
    struct exchange *exchange = conn->owner;
    return request_leave(http->config.jobd, &exchange->request);
}

static void hung_up(void *context, struct conn *conn)
{
    (void)context;
    request_hung_up(conn->owner);
}

static void look_after(void *context, struct conn *conn)
{
    (void)context;
    loop_look_after(conn->loop, conn);
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
        .refused = refused,
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
    budget_init(&new->budget, config->memory_bytes);
    int error =
        conn_table_init(&new->conns, config->connections_max, config->per_address_max, &times);
    if (error != 0)
        goto fail_table;
    new->conns.proxies = config->proxies;
    tls_read_by(gate_receive_tls);
    new->exchanges = calloc(new->conns.by_fd_len, sizeof *new->exchanges);
    error = new->exchanges != NULL ? open_acceptor(new) : -ENOMEM;
    if (error != 0)
        goto fail_acceptor;
    *http = new;
    return 0;
fail_acceptor:
    free(new->exchanges);
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
    free(http->exchanges);
    free(http);
}

void http_stats(struct http *http, struct http_stats *stats)
{
    conn_table_stats(&http->conns, &stats->conns);
    stats->parked = atomic_load(&http->parked) + atomic_load(&http->streams_parked);
    stats->bytes = budget_used(&http->budget);
    for (int i = 0; i < 6; i++)
        stats->replies[i] = atomic_load_explicit(&http->replies[i], memory_order_relaxed);
    stats->access_dropped = line_writer_dropped(http->config.access_log);
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
