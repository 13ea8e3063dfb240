/* SPDX-License-Identifier: MIT */
/* A bounded ring of job ids, first in, first out, from which an id can also be taken out of the
 * middle. It has no lock: whoever owns it does (the engine's).
 *
 *     head                    tail
 *      v                       v
 *    | 17 | 18 |  0 | 20 |  0 |    |    |    |      0: a hole, whose id was removed
 *
 * Positions count on, until the ring is empty, and a slot is position mod size: one that never
 * holds many ids uses few of its slots, and no memory for the others. The ring has twice as many
 * slots as ids: when the tail has caught up with the head, at least half are holes, and closing
 * them is paid for by the removals that made them. */
#pragma once

#include <stdint.h>

struct ring {
    uint64_t *ids;
    uint64_t head, tail;
    uint32_t capacity; /* ids at most */
    uint32_t length;   /* ids in it, holes not counted */
};

/* Told the new position of each id that closing the holes has moved. */
typedef void ring_moved(void *context, uint64_t id, uint64_t position);

/* 0 or -ENOMEM. A capacity of at least 1. */
__attribute__((warn_unused_result)) int ring_init(struct ring *ring, uint32_t capacity);
void ring_release(struct ring *ring);

/* The position of the new id, which is not 0. The ring must have room. */
uint64_t ring_push(struct ring *ring, uint64_t id, ring_moved *moved, void *context);

/* The oldest id, or 0 when the ring is empty; pop takes it out. */
uint64_t ring_peek(struct ring *ring);
uint64_t ring_pop(struct ring *ring);

/* Takes the id at this position out of the middle: its place is free at once. */
void ring_remove(struct ring *ring, uint64_t position);
