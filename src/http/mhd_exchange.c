/* SPDX-License-Identifier: MIT */
/* Which exchange a connection of libmicrohttpd's, or a descriptor, belongs to. */
#include "http/mhd.h"

struct exchange *exchange_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

struct exchange *exchange_at(struct http *http, int fd)
{
    return fd >= 0 && (size_t)fd < http->conns.by_fd_len
               ? atomic_load_explicit(&http->exchanges[fd], memory_order_relaxed)
               : NULL;
}

void exchange_set_at(struct http *http, int fd, struct exchange *exchange)
{
    atomic_store_explicit(&http->exchanges[fd], exchange, memory_order_relaxed);
}
