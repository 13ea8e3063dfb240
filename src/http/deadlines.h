/* SPDX-License-Identifier: MIT */
/* Cuts connections whose time is over, whose client has left, or that a stop ends. All in the
 * acceptor's thread; the HTTP library closes what is cut here. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/lock.h"
#include "http/conn_table.h"

/* What the HTTP layer is told. */
struct conn_events {
    /* The client of a parked request has left. True when its wait was ended by this; then nobody
     * else wakes it, and hung_up() is called. The first under the table's lock, the second
     * without. */
    bool (*cancel_wait)(void *context, struct conn *conn);
    void (*hung_up)(void *context, struct conn *conn);
    /* It was cut, and the HTTP library does not see it: it is suspended there, or was lost sight
     * of. Called again until it is gone, under the table's lock. */
    void (*look_after)(void *context, struct conn *conn);
    void *context;
};

struct deadlines {
    struct conn_table *conns; /* borrowed */
    struct conn_events events;
    bool mute;                  /* connections speak TLS: who is cut is told nothing */
    uint32_t probe_next;        /* the entry to go on with */
    int64_t closing_ms GUARDED; /* since when it closes; 0: it does not. By the table's lock, */
    int64_t closing_wait_ms GUARDED; /* like this */
};

struct connections_left {
    uint32_t open; /* connections left */
    bool closing;
    bool over; /* closing has ended, or is given up */
};

/* Begins to close all connections: idle ones at once, new ones soon, all others when their reply
 * has been sent, and what is left after wait_ms. Any thread. */
void deadlines_close(struct deadlines *deadlines, int64_t wait_ms);

/* Looks at all connections once. */
struct connections_left deadlines_sweep(struct deadlines *deadlines, int64_t now_ms);

enum { HANGUP_GENERATION_BITS = 24 };

/* The client of the connection with this index has hung up. Does nothing when the entry is another
 * connection by now: the lower HANGUP_GENERATION_BITS of its generation are compared. */
void deadlines_on_hangup(struct deadlines *deadlines, uint32_t index, uint32_t generation);
