/* SPDX-License-Identifier: MIT */
#include "http/conn_table.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/verify.h"

static size_t descriptors_max(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > (1U << 22))
        return 1U << 22;
    return (size_t)limit.rlim_cur;
}

/* Nobody else sees the table yet: the lock is for the analysis. */
static bool allocate(struct conn_table *table)
{
    table->conns = calloc(table->max, sizeof *table->conns);
    mutex_lock(&table->lock);
    addresses_init(&table->addresses);
    table->spare = calloc(table->max, sizeof *table->spare);
    table->by_fd = calloc(table->by_fd_len, sizeof(struct conn *));
    bool good = table->conns != NULL && table->spare != NULL && table->by_fd != NULL;
    for (uint32_t i = 0; good && i < table->max; i++) {
        table->conns[i] = (struct conn){.times = &table->times, .fd = -1, .index = i};
        table->spare[i] = table->max - 1 - i; /* low entries first: warm ones */
    }
    table->spare_len = table->max;
    mutex_unlock(&table->lock);
    return good;
}

int conn_table_init(struct conn_table *table, uint32_t max, uint32_t per_address_max,
                    const struct conn_times *times)
{
    *table = (struct conn_table){.max = max,
                                 .per_address_max = per_address_max,
                                 .times = *times,
                                 .by_fd_len = descriptors_max()};
    int error = mutex_init(&table->lock);
    if (error == 0 && !allocate(table)) {
        conn_table_release(table);
        error = -ENOMEM;
    }
    return error;
}

void conn_table_release(struct conn_table *table)
{
    for (uint32_t i = 0; table->conns != NULL && i < table->max; i++)
        free(table->conns[i].owner);
    free(table->conns);
    mutex_lock(&table->lock);
    addresses_release(&table->addresses);
    free(table->spare);
    free(table->by_fd);
    mutex_unlock(&table->lock);
    mutex_release(&table->lock);
}

void conn_release_locked(struct conn_table *table, struct conn *conn)
{
    struct conn_state seen = conn_state(conn);
    addresses_leave(&table->addresses, conn->address);
    conn->address = NULL;
    table->by_fd[conn->fd] = NULL;
    conn->fd = -1;
    conn->generation++;
    while (!conn_move(conn, &seen, PHASE_FREE, 0))
        ;
    table->spare[table->spare_len++] = conn->index;
    table->stats.open--;
}

struct conn *conn_open_locked(struct conn_table *table, int fd, const struct sockaddr *from,
                              const char **why)
{
    struct address *address = NULL;
    table->stats.accepted++;
    if (table->by_fd[fd] != NULL) /* the library closed it without having taken it up */
        conn_release_locked(table, table->by_fd[fd]);
    if (table->spare_len == 0) {
        table->stats.refused_total++;
        *why = "too many connections";
        return NULL;
    }
    const bool of_proxy = proxies_has(table->proxies, from); /* it is many clients' */
    int error =
        of_proxy ? 0 : addresses_enter(&table->addresses, from, table->per_address_max, &address);
    if (error != 0) {
        table->stats.refused_address++;
        *why = error == -ENOMEM ? "out of memory" : "too many connections from your address";
        return NULL;
    }
    struct conn *conn = &table->conns[table->spare[--table->spare_len]];
    table->stats.open++;
    conn->fd = fd;
    conn->started = conn->hangup_watched = false;
    atomic_store(&conn->timed_out, false);
    conn->address = address;
    conn->of_proxy = of_proxy;
    table->by_fd[fd] = conn;
    verify(conn_enter(conn, PHASE_NEW, clock_coarse_ms()));
    return conn;
}

struct conn *conn_start(struct conn_table *table, int fd, void *loop)
{
    mutex_lock(&table->lock);
    struct conn *conn = fd >= 0 && (size_t)fd < table->by_fd_len ? table->by_fd[fd] : NULL;
    if (conn != NULL) {
        conn->started = true;
        conn->loop = loop;
        table->started++;
    }
    mutex_unlock(&table->lock);
    return conn;
}

bool conn_claim(struct conn_table *table, struct conn *conn, const struct sockaddr *client)
{
    mutex_lock(&table->lock);
    addresses_leave(&table->addresses, conn->address);
    int error = addresses_enter(&table->addresses, client, table->per_address_max, &conn->address);
    table->stats.refused_address += error != 0;
    mutex_unlock(&table->lock);
    return error == 0;
}

void conn_unclaim(struct conn_table *table, struct conn *conn)
{
    mutex_lock(&table->lock);
    addresses_leave(&table->addresses, conn->address);
    conn->address = NULL;
    mutex_unlock(&table->lock);
}

void conn_end(struct conn_table *table, struct conn *conn)
{
    mutex_lock(&table->lock);
    table->started--;
    conn_release_locked(table, conn);
    mutex_unlock(&table->lock);
}

/* Who cuts holds the lock until that is done: so it is enough to get it once. */
void conn_await_cut(struct conn_table *table)
{
    mutex_lock(&table->lock);
    mutex_unlock(&table->lock);
}

bool conn_is_stuck(struct conn_table *table, const struct conn *conn, uint32_t generation)
{
    mutex_lock(&table->lock);
    bool stuck = conn->generation == generation && conn->started && conn_phase(conn) == PHASE_CUT;
    mutex_unlock(&table->lock);
    return stuck;
}

void conn_table_stats(struct conn_table *table, struct conn_stats *stats)
{
    mutex_lock(&table->lock);
    *stats = table->stats;
    stats->open_max = table->max;
    mutex_unlock(&table->lock);
}
