/* SPDX-License-Identifier: MIT */
/* Texts that end where memory ends: who reads or writes one byte beyond is killed. */
#pragma once

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/verify.h"

enum { EDGES = 16 };

struct edges {
    char *ends[EDGES];
    size_t used;
};

static inline void edges_open(struct edges *edges)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    edges->used = 0;
    for (size_t i = 0; i < EDGES; i++) {
        char *two =
            mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        verify(two != MAP_FAILED && mprotect(two + page, page, PROT_NONE) == 0);
        edges->ends[i] = two + page;
    }
}

static inline void edges_close(struct edges *edges)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < EDGES; i++)
        verify(munmap(edges->ends[i] - page, 2 * page) == 0);
}

/* Room for `size` bytes, less than a page, that stays until `used` is set back. */
static inline char *edges_room(struct edges *edges, size_t size)
{
    verify(edges->used < EDGES && size < (size_t)sysconf(_SC_PAGESIZE));
    return edges->ends[edges->used++] - size;
}

static inline char *edges_copy(struct edges *edges, const char *text, size_t size)
{
    char *room = edges_room(edges, size);
    if (size > 0)
        memcpy(room, text, size);
    return room;
}

/* One set of them for a whole program of cmocka tests; setup and teardown of its group. */
static inline struct edges *group_edges(void)
{
    static struct edges edges;
    return &edges;
}

static inline int group_edges_open(void **state)
{
    (void)state;
    edges_open(group_edges());
    return 0;
}

static inline int group_edges_close(void **state)
{
    (void)state;
    edges_close(group_edges());
    return 0;
}
