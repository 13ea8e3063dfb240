/* SPDX-License-Identifier: MIT */
/* Which client a request is from when it came through a proxy. */
#include "http/mhd.h"

#include <string.h>
#include <strings.h>

#include "http/proxies.h"

#define FIELD "X-Forwarded-For"

struct look {
    const struct proxies *proxies;
    struct sockaddr_storage client;
};

static bool look_at(void *context, struct field name, struct field value)
{
    struct look *look = context;
    if (name.size == strlen(FIELD) && strncasecmp(name.text, FIELD, name.size) == 0)
        proxies_client(look->proxies, value.text, value.size, &look->client);
    return true;
}

bool proxied_begin(struct exchange *exchange)
{
    struct http *http = exchange->loop->http;
    struct look look = {.proxies = http->config.proxies};
    exchange->request.source = exchange->connection;
    request_fields(&exchange->request, look_at, &look);
    const struct sockaddr *client = (const struct sockaddr *)&look.client;
    if (client->sa_family == AF_UNSPEC)
        return true;
    access_client(exchange, client);
    return conn_claim(&http->conns, exchange->conn, client);
}

void proxied_end(struct exchange *exchange)
{
    if (exchange->conn->of_proxy)
        conn_unclaim(&exchange->loop->http->conns, exchange->conn);
}
