/* SPDX-License-Identifier: MIT */
#include "base/ring.h"

#include <errno.h>
#include <stdint.h>

#include "base/verify.h"
#include "base/pages.h"

static uint64_t slots(const struct ring *ring)
{
    return (uint64_t)ring->capacity * 2;
}

static uint64_t *slot(const struct ring *ring, uint64_t position)
{
    return &ring->ids[position % slots(ring)];
}

int ring_init(struct ring *ring, uint32_t capacity)
{
    verify(capacity > 0);
    *ring = (struct ring){.capacity = capacity};
    ring->ids = pages_new((size_t)slots(ring), sizeof *ring->ids);
    return ring->ids != NULL ? 0 : -ENOMEM;
}

void ring_release(struct ring *ring)
{
    pages_free(ring->ids, (size_t)slots(ring), sizeof *ring->ids);
    ring->ids = NULL;
}

static void close_holes(struct ring *ring, ring_moved *moved, void *context)
{
    uint64_t to = ring->head;
    for (uint64_t from = ring->head; from != ring->tail; from++) {
        uint64_t id = *slot(ring, from);
        if (id == 0)
            continue;
        if (from != to) {
            *slot(ring, from) = 0;
            *slot(ring, to) = id;
            moved(context, id, to);
        }
        to++;
    }
    ring->tail = to;
}

uint64_t ring_push(struct ring *ring, uint64_t id, ring_moved *moved, void *context)
{
    verify(id != 0 && ring->length < ring->capacity);
    if (ring->tail - ring->head == slots(ring))
        close_holes(ring, moved, context);
    *slot(ring, ring->tail) = id;
    ring->length++;
    return ring->tail++;
}

uint64_t ring_peek(struct ring *ring)
{
    if (ring->length == 0) {
        ring->head = ring->tail;
        return 0;
    }
    while (*slot(ring, ring->head) == 0)
        ring->head++;
    return *slot(ring, ring->head);
}

uint64_t ring_pop(struct ring *ring)
{
    uint64_t id = ring_peek(ring);
    if (id != 0)
        ring_remove(ring, ring->head++);
    return id;
}

void ring_remove(struct ring *ring, uint64_t position)
{
    verify(*slot(ring, position) != 0);
    *slot(ring, position) = 0;
    if (--ring->length == 0)
        ring->head = ring->tail = 0;
}
