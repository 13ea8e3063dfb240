/* SPDX-License-Identifier: MIT */
/* Those that a job is put after, as its text JOBD_AFTER names them. What becomes of that, edges.h
 * says. */
#pragma once

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct job;
struct parent;
struct parents;

struct edge {
    TAILQ_ENTRY(edge) link;  /* of those to its parent, in the order in which they came */
    struct parent *parent;   /* when it is expected */
    struct parents *parents; /* that it belongs to */
    uint64_t id;             /* of the job or batch */
    bool is_batch;
};

TAILQ_HEAD(edge_list, edge);

struct parents {
    struct job *job;           /* that waits; NULL: its edges are in no list */
    TAILQ_ENTRY(parents) link; /* to be looked at again, */
    bool again;                /* as it is */
    bool whatever;             /* it does not matter how they end */
    bool orphaned;             /* its job is cancelled for one of them, which is being written */
    uint32_t len;
    size_t error_room; /* bytes that are counted for the error it may end with */
    struct edge edges[];
};

/* From a text as of JOBD_AFTER; *parents NULL: there are none. False when memory is short. Freed by
 * free(), when no list has its edges. */
bool parents_new(const char *text, struct parents **parents);
/* Bytes that they count for; of NULL 0. */
size_t parents_weight(const struct parents *parents);
/* The same, of the text. */
size_t parents_weight_of(const char *text);
/* The next line of the text that names one, whose id it fills in; *text goes behind it. False at
 * the end. */
bool parents_next(const char **text, struct edge *edge);
