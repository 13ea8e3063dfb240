/* SPDX-License-Identifier: MIT */
/* Bytes of bodies and replies under way, and their bound. */
#include "http/mhd.h"

bool http_charge(struct exchange *exchange, size_t size, bool must)
{
    struct http *http = exchange->loop->http;
    size_t before = atomic_fetch_add_explicit(&http->bytes, size, memory_order_relaxed);
    if (!must &&
        (before > http->config.memory_bytes || size > http->config.memory_bytes - before)) {
        atomic_fetch_sub_explicit(&http->bytes, size, memory_order_relaxed);
        return false;
    }
    exchange->charged += size;
    return true;
}

void http_discharge(struct exchange *exchange)
{
    if (exchange->charged > 0)
        atomic_fetch_sub_explicit(&exchange->loop->http->bytes, exchange->charged,
                                  memory_order_relaxed);
    exchange->charged = 0;
}

bool http_is_full(const struct http *http)
{
    return atomic_load_explicit(&http->bytes, memory_order_relaxed) >= http->config.memory_bytes;
}
