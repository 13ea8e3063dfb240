/* SPDX-License-Identifier: MIT */
/* A binary heap of moments, the earliest on top. What is due embeds a `struct due`, which
 * knows its own place, so taking one out of the middle is as cheap as taking the top. No lock of
 * its own. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* A moment at which something is due. */
struct due {
    int64_t at_us;
    /* Among equal moments the one with the lower order is first; the orders are less than 2^31
     * apart. The owner sets it before heap_push(), or leaves it 0. */
    uint32_t order;
    uint32_t place; /* 1-based index in its heap; 0: in none */
};

struct heap {
    struct due **items; /* items[0] is not used */
    uint32_t length, capacity;
};

/* 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int heap_init(struct heap *heap, uint32_t capacity);
void heap_release(struct heap *heap);

/* The heap must have room and not hold `due` yet. It borrows `due` until that is removed. */
void heap_push(struct heap *heap, struct due *due, int64_t at_us);

/* The earliest, or NULL. */
static inline struct due *heap_top(const struct heap *heap)
{
    return heap->length > 0 ? heap->items[1] : NULL;
}

/* The nth earliest, at most the HEAP_NTH_MAXth, or the last one there is. The heap must not be
 * empty. Takes about n * n steps. */
enum { HEAP_NTH_MAX = 64 };
const struct due *heap_nth(const struct heap *heap, uint64_t n);

/* Nothing happens when it is not in the heap. */
void heap_remove(struct heap *heap, struct due *due);
