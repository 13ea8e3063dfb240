/* SPDX-License-Identifier: MIT */
#include "base/heap.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/verify.h"
#include "base/pages.h"

int heap_init(struct heap *heap, uint32_t capacity)
{
    *heap = (struct heap){.capacity = capacity};
    heap->items = pages_new((size_t)capacity + 1, sizeof(struct due *));
    return heap->items != NULL ? 0 : -ENOMEM;
}

void heap_release(struct heap *heap)
{
    pages_free(heap->items, (size_t)heap->capacity + 1, sizeof(struct due *));
    heap->items = NULL;
}

static void put(struct heap *heap, uint32_t place, struct due *due)
{
    heap->items[place] = due;
    due->place = place;
}

static bool is_before(const struct due *a, const struct due *b)
{
    if (a->at_us != b->at_us)
        return a->at_us < b->at_us;
    return (int32_t)(a->order - b->order) < 0;
}

static void sift_up(struct heap *heap, struct due *due)
{
    uint32_t place = due->place;
    for (; place > 1 && is_before(due, heap->items[place / 2]); place /= 2)
        put(heap, place, heap->items[place / 2]);
    put(heap, place, due);
}

static void sift_down(struct heap *heap, struct due *due)
{
    uint32_t place = due->place;
    for (;;) {
        uint32_t child = place * 2;
        if (child > heap->length)
            break;
        if (child < heap->length && is_before(heap->items[child + 1], heap->items[child]))
            child++;
        if (!is_before(heap->items[child], due))
            break;
        put(heap, place, heap->items[child]);
        place = child;
    }
    put(heap, place, due);
}

void heap_push(struct heap *heap, struct due *due, int64_t at_us)
{
    verify(due->place == 0 && heap->length < heap->capacity);
    due->at_us = at_us;
    put(heap, ++heap->length, due);
    sift_up(heap, due);
}

const struct due *heap_nth(const struct heap *heap, uint64_t n)
{
    uint32_t next[HEAP_NTH_MAX + 1] = {1}, len = 1; /* places that may have the next one */
    const struct due *nth = heap->items[1];
    for (uint32_t i = 0; i < n && i < HEAP_NTH_MAX && len > 0; i++) {
        uint32_t least = 0;
        for (uint32_t k = 1; k < len; k++)
            if (is_before(heap->items[next[k]], heap->items[next[least]]))
                least = k;
        uint32_t place = next[least];
        nth = heap->items[place];
        next[least] = next[--len];
        for (uint32_t child = 2 * place; child <= 2 * place + 1 && child <= heap->length; child++)
            next[len++] = child;
    }
    return nth;
}

void heap_remove(struct heap *heap, struct due *due)
{
    if (due->place == 0)
        return;
    verify(heap->items[due->place] == due);
    struct due *last = heap->items[heap->length--];
    if (last != due) {
        put(heap, due->place, last);
        sift_up(heap, last);
        sift_down(heap, last);
    }
    due->place = 0;
}
