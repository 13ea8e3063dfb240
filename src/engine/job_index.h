/* SPDX-License-Identifier: MIT */
/* Jobs by id: found by it, and in its order. Ids mostly rise, may have gaps of any size, and come
 * and go in any order.
 *
 *     tree of leaves          a leaf: numbers of records, in the order of their ids
 *           (17)              first 17 | 3 | 4 | 9 |   |
 *          /    \
 *        (4)    (40)          A job's record is `records` + its number, and knows its id.
 *
 * Where ids follow each other the nth job of a leaf has its first id + n, and is found at once;
 * else by bisection. A job takes 5 bytes where jobs come at the end. Two neighbours hold together
 * more than half of what one can, else they are merged: so whichever jobs are gone, those that are
 * left take no more than INDEX_BYTES each. That is set aside for all records when the index is
 * made; what is not used costs no memory, and no verb needs more.
 *
 * The index borrows the records; an id must not change while it is in. No lock of its own. */
#pragma once

#include <bsd/sys/tree.h>
#include <stdint.h>

struct job;
struct job_leaf;
RB_HEAD(leaf_tree, job_leaf);

/* At most, for each job. */
enum { INDEX_BYTES = 19 };

struct job_index {
    struct job *records;
    struct leaf_tree tree;
    struct job_leaf *last; /* the one with the highest ids; NULL: there are no jobs */
    struct job_leaf *leaves, *spare;
    uint32_t leaves_max, leaves_used; /* used: so many were taken at least once */
};

/* Of so many records, which it borrows. 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int index_init(struct job_index *index, struct job *records,
                                                   uint32_t records_max);
void index_release(struct job_index *index);

/* One of the records, whose id no other in the index has. Cheapest with the highest id of all. */
void index_add(struct job_index *index, struct job *job);
/* One that is in it. */
void index_remove(struct job_index *index, const struct job *job);

/* The job with this id, or NULL. */
struct job *index_find(struct job_index *index, uint64_t id);
/* The one with the lowest id above it, or NULL. */
struct job *index_above(struct job_index *index, uint64_t id);
/* The one with the highest id below it, or NULL. */
struct job *index_below(struct job_index *index, uint64_t id);
/* Verifies what is said above: for tests. So many jobs are in it. */
uint32_t index_check(struct job_index *index);
