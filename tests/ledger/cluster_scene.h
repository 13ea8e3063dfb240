/* SPDX-License-Identifier: MIT */
/* What the tests of several servers share: three of them with the same queues, seen from outside,
 * and a client of each. A test ends with stop_cluster(). */
#pragma once

#include "support/client.h"
#include "support/postgres.h"
#include "support/server.h"

enum { NODES = 3 };

static struct server *nodes[NODES];
static struct client *clients[NODES];
static char url[POSTGRES_URL_SIZE];

/* One with these arguments, beside the address. */
#define NODE(...) postgres_server(url, (const char *const[]){__VA_ARGS__, NULL})

/* The first with its own arguments, the others alike. */
static inline void start_cluster(const char *const *first, const char *const *others)
{
    postgres_fresh(url);
    for (unsigned i = 0; i < NODES; i++) {
        nodes[i] = postgres_server(url, i == 0 ? first : others);
        clients[i] = client_new(nodes[i]);
    }
}

/* All with these. */
#define CLUSTER(...)                                                                               \
    start_cluster((const char *const[]){__VA_ARGS__, NULL},                                        \
                  (const char *const[]){__VA_ARGS__, NULL})

static inline int stop_cluster(void **state)
{
    for (unsigned i = 0; i < NODES; i++) {
        client_free(clients[i]);
        clients[i] = NULL;
    }
    return server_stop_all(state);
}
