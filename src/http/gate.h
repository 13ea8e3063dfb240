/* SPDX-License-Identifier: MIT */
/* The gate: who comes in, and how long they may take.
 *
 * One thread accepts connections from all listening sockets, holds the limits in all and per
 * address (one too many is told so and closed), and cuts connections whose deadline has passed:
 * for a whole header, a whole body, a whole reply, or idling between requests. It also watches the
 * clients of parked requests, whom the HTTP library forgets.
 *
 *     accept ──> FRESH ──> HEADER ──> BODY ──> REPLY ──> IDLE ──> HEADER ...
 *                                         └──> PARKED ──^
 *
 * Slots are allocated at start. A slot's `state` is its phase and deadline in one atomic word, so
 * that to cut a connection and to serve it cannot both succeed. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "http/listen.h"

enum phase {
    PHASE_FREE,
    PHASE_FRESH,  /* connected, no request line yet */
    PHASE_HEADER, /* between request line and end of header */
    PHASE_BODY,
    PHASE_REPLY,
    PHASE_IDLE,   /* a reply went out, the next request has not begun */
    PHASE_PARKED, /* waits for a job; no deadline of the gate's */
    PHASE_CUT     /* too late, it is being closed */
};

struct address;

/* One connection as the gate sees it. */
struct slot {
    _Atomic uint64_t state;
    int fd;
    uint32_t index, generation;
    bool started;    /* the HTTP library has taken it up */
    bool watched;    /* its hang-up is watched */
    bool from_local; /* came in over a loopback or unix socket */
    bool from_unix;
    uint64_t seen;           /* its state in the last round that looked */
    struct address *address; /* NULL: unix sockets have none */
    void *loop;              /* who has taken it up, as gate_started() was told */
    void *owner; /* the HTTP layer's, from malloc(); stays with the slot and is freed with it */
};

struct gate_config {
    struct listeners *listeners; /* borrowed; closed by gate_close_door() or gate_free() */
    uint32_t connections_max, per_address_max;
    bool mute; /* connections speak TLS: who is turned away, or cut, is told nothing */
    int64_t header_ms, body_ms, reply_ms, idle_ms;
    int64_t slowest_bytes_per_s; /* of replies that gate_allow() knows of */
    /* A new connection: takes the descriptor. Must not block. */
    void (*admit)(void *context, int fd, const struct sockaddr *address, socklen_t size);
    /* The client of a parked request is gone. True when its wait was ended by this, and
     * hung_up() shall be called; the first under the gate's lock, the second without. */
    bool (*unpark)(void *context, struct slot *slot);
    void (*hung_up)(void *context, struct slot *slot);
    /* It was cut a while ago and is still there: the HTTP layer has lost sight of it. Called again
     * until it is gone, under the gate's lock. */
    void (*report_stuck)(void *context, struct slot *slot);
    void *context;
};

struct gate;

/* 0 and *gate, or -errno. Starts no thread. */
__attribute__((warn_unused_result)) int gate_new(struct gate **gate,
                                                 const struct gate_config *config);
/* 0 or -errno. */
__attribute__((warn_unused_result)) int gate_start(struct gate *gate);
/* Takes in what is in the backlog, closes the listening sockets, lets replies finish for at most
 * so long and cuts what is left. Blocks. */
void gate_close_door(struct gate *gate, int64_t wait_ms);
/* After the last connection is closed. Takes NULL. */
void gate_free(struct gate *gate);

/* ---- for the HTTP layer, from its threads */

/* The library has taken up this descriptor; NULL when the gate does not know it. */
struct slot *gate_started(struct gate *gate, int fd, void *loop);
/* It is about to close it. */
void gate_ended(struct gate *gate, struct slot *slot);
/* The connection enters a phase, with its deadline; false when it was cut. */
bool gate_enter(struct gate *gate, struct slot *slot, enum phase phase);
enum phase gate_phase(const struct slot *slot);
/* The reply it has entered PHASE_REPLY for has so many bytes: time for them is added. */
void gate_allow(struct gate *gate, struct slot *slot, size_t bytes);
/* Has its client closed the connection, or half of it, with nothing left to be read? */
bool gate_left(const struct slot *slot);
/* Is this the connection that was cut, and still there? In the thread that would end it the answer
 * holds until it does. */
bool gate_is_stuck(struct gate *gate, const struct slot *slot, uint32_t generation);
/* Watches a parked request's client from now on. */
void gate_watch(struct gate *gate, struct slot *slot);
void gate_unwatch(struct gate *gate, struct slot *slot);

struct gate_stats {
    uint32_t connections, connections_max;
    uint64_t accepted, refused_total, refused_address, cut;
};
void gate_stats(struct gate *gate, struct gate_stats *stats);
