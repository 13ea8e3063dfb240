/* SPDX-License-Identifier: MIT */
/* The records of those that others wait for, and what is to be done about them: edges.h. No lock of
 * its own. */
#pragma once

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/parents.h"
#include "jobd/queue.h"

struct batch;
struct job;

struct parent {
    RB_ENTRY(parent) by_id;
    uint64_t id;
    bool is_batch;
    bool due;                 /* it has ended: it is on the list, */
    struct edge *next;        /* and its edges from here on are to be looked at */
    TAILQ_ENTRY(parent) link; /* of that list; or it is fresh */
    struct job *job;          /* NULL: it is a batch, or has not come back yet */
    struct batch *batch;
    struct edge_list edges;
};

TAILQ_HEAD(parent_list, parent);
TAILQ_HEAD(parents_list, parents);
RB_HEAD(parent_tree, parent);
RB_PROTOTYPE(parent_tree, parent, by_id, parent_compare)

struct edges {
    struct parent_tree tree;
    struct parent_list due;
    struct parents_list again;
    struct parent_list fresh; /* by edges_expect_locked(), until edges_settle_locked() */
    bool starved;             /* what is to be done waits for room in the journal */
};

/* Is there something to be done, and room for it? The next tick sees to it. */
static inline bool edges_due(const struct edges *edges)
{
    return !edges->starved && (!TAILQ_EMPTY(&edges->again) || !TAILQ_EMPTY(&edges->due));
}

void edges_init(struct edges *edges);
/* Frees the parents; the jobs have theirs. */
void edges_release(struct edges *edges);
