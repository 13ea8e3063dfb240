/* SPDX-License-Identifier: MIT */
/* All connections, in entries that are allocated at the start; who may have one more, and which
 * connection a descriptor is.
 *
 *     conn_open_locked ──> conn_start ──> conn_end
 *      (the acceptor)       (the HTTP library has it, and is about to close it)
 *
 * A descriptor may also be closed by the library before it has taken it up; that is noticed when
 * the descriptor is opened again, or at its deadline. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/lock.h"
#include "http/conn.h"
#include "http/per_address.h"
#include "http/proxies.h"

struct conn_stats {
    uint32_t open, open_max;
    uint64_t accepted, refused_total, refused_address, cut;
    uint64_t cut_streams; /* of those cut: as nobody read what was streamed */
};

struct conn_table {
    uint32_t max, per_address_max;
    struct conn_times times;
    const struct proxies *proxies; /* borrowed, set before the first connection; NULL: none */
    struct mutex lock;
    struct conn *conns; /* `max` of them; their words are atomic, the rest is guarded */
    uint32_t *spare GUARDED_BY(lock);
    uint32_t spare_len GUARDED_BY(lock), started GUARDED_BY(lock);
    struct conn **by_fd GUARDED_BY(lock);
    size_t by_fd_len;
    struct addresses addresses GUARDED_BY(lock);
    struct conn_stats stats GUARDED_BY(lock);
};

/* 0 or -errno; then nothing is to be released. */
__attribute__((warn_unused_result)) int conn_table_init(struct conn_table *table, uint32_t max,
                                                        uint32_t per_address_max,
                                                        const struct conn_times *times);
/* Frees the entries, and what their `owner` is. No other thread uses the table any more. */
void conn_table_release(struct conn_table *table);

/* An entry in PHASE_NEW for a new connection; NULL when it is refused: *why is a line that says
 * why. `fd` is below by_fd_len. */
struct conn *conn_open_locked(struct conn_table *table, int fd, const struct sockaddr *from,
                              const char **why) REQUIRES(table->lock);
/* Its entry is free again. */
void conn_release_locked(struct conn_table *table, struct conn *conn) REQUIRES(table->lock);

/* ---- for the HTTP layer, from its threads */

/* The library has taken up this descriptor, in this loop. The connection; NULL when the descriptor
 * has none any more. */
struct conn *conn_start(struct conn_table *table, int fd, void *loop);
/* A proxy's connection has a request of this client, and counts for it until conn_unclaim() or
 * conn_end(). False when that client has too many already. A second claim replaces the first. */
bool conn_claim(struct conn_table *table, struct conn *conn, const struct sockaddr *client);
/* Once more does nothing. */
void conn_unclaim(struct conn_table *table, struct conn *conn);
/* The library is about to close it. */
void conn_end(struct conn_table *table, struct conn *conn);
/* Returns when a sweep that is cutting connections at this moment is over, and has told their
 * clients why. Blocks until then. */
void conn_await_cut(struct conn_table *table);
/* Was this connection cut, and is it still there? In the thread that would end it, the answer stays
 * true until it does. */
bool conn_is_stuck(struct conn_table *table, const struct conn *conn, uint32_t generation);

void conn_table_stats(struct conn_table *table, struct conn_stats *stats);
