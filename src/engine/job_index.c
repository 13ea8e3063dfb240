/* SPDX-License-Identifier: MIT */
#include "engine/job_index.h"

#include <errno.h>
#include <string.h>

#include "base/pages.h"
#include "base/verify.h"
#include "engine/job_table.h"

enum { LEAF_JOBS = 64, HALF = LEAF_JOBS / 2 };

struct job_leaf {
    union {
        RB_ENTRY(job_leaf) link;
        struct job_leaf *next; /* spare */
    };
    uint64_t first; /* the lowest id in it */
    uint32_t len;   /* never 0 in the tree */
    uint32_t numbers[LEAF_JOBS];
};

/* Of two neighbours with one job more than HALF. */
_Static_assert(2 * sizeof(struct job_leaf) <= (size_t)INDEX_BYTES * (HALF + 1), "INDEX_BYTES");

static int leaf_compare(const struct job_leaf *a, const struct job_leaf *b)
{
    return (a->first > b->first) - (a->first < b->first);
}

RB_PROTOTYPE(leaf_tree, job_leaf, link, leaf_compare)
RB_GENERATE(leaf_tree, job_leaf, link, leaf_compare)

/* ---- start and end */

/* Two neighbours have more than HALF together. */
int index_init(struct job_index *index, struct job *records, uint32_t records_max)
{
    uint64_t leaves = 2 * (uint64_t)records_max / (HALF + 1) + 2;
    *index = (struct job_index){.records = records, .leaves_max = (uint32_t)leaves};
    index->leaves = pages_new(index->leaves_max, sizeof *index->leaves);
    return index->leaves != NULL ? 0 : -ENOMEM;
}

void index_release(struct job_index *index)
{
    pages_free(index->leaves, index->leaves_max, sizeof *index->leaves);
    index->leaves = NULL;
}

static struct job_leaf *new_leaf(struct job_index *index)
{
    struct job_leaf *leaf = index->spare;
    if (leaf != NULL) {
        index->spare = leaf->next;
    } else {
        verify(index->leaves_used < index->leaves_max);
        leaf = &index->leaves[index->leaves_used++];
    }
    leaf->len = 0;
    return leaf;
}

/* ---- a place in a leaf */

static struct job *job_at(const struct job_index *index, const struct job_leaf *leaf, uint32_t at)
{
    return &index->records[leaf->numbers[at]];
}

/* The last one that begins with this id or below it, or NULL. */
static struct job_leaf *leaf_of(const struct job_index *index, uint64_t id)
{
    struct job_leaf *at = RB_ROOT(&index->tree), *found = NULL;
    if (index->last != NULL && index->last->first <= id)
        return index->last;
    while (at != NULL) {
        bool begins = at->first <= id;
        found = begins ? at : found;
        at = begins ? RB_RIGHT(at, link) : RB_LEFT(at, link);
    }
    return found;
}

/* How many of its jobs have an id below this one, which is not below its first. Each has another
 * id: no more than there are ids. */
static uint32_t jobs_before(const struct job_index *index, const struct job_leaf *leaf, uint64_t id)
{
    uint64_t ids = id - leaf->first;
    uint32_t least = 0, most = ids < leaf->len ? (uint32_t)ids : leaf->len;
    if (most == 0 || job_at(index, leaf, most - 1)->id < id)
        return most;
    for (most--; least < most;) {
        uint32_t middle = (least + most) / 2;
        if (job_at(index, leaf, middle)->id < id)
            least = middle + 1;
        else
            most = middle;
    }
    return least;
}

/* ---- in and out */

/* Behind `before`; NULL: in front of all others. */
static struct job_leaf *new_behind(struct job_index *index, struct job_leaf *before, uint64_t first)
{
    struct job_leaf *leaf = new_leaf(index);
    leaf->first = first;
    verify(RB_INSERT(leaf_tree, &index->tree, leaf) == NULL);
    if (before == index->last)
        index->last = leaf;
    return leaf;
}

/* Its upper half goes into one of its own. */
static void split(struct job_index *index, struct job_leaf *leaf)
{
    struct job_leaf *upper = new_behind(index, leaf, job_at(index, leaf, HALF)->id);
    upper->len = leaf->len - HALF;
    memcpy(upper->numbers, leaf->numbers + HALF, upper->len * sizeof upper->numbers[0]);
    leaf->len = HALF;
}

/* The leaf that the id belongs into, with room for another. */
static struct job_leaf *leaf_for(struct job_index *index, uint64_t id)
{
    struct job_leaf *leaf = leaf_of(index, id);
    if (leaf == NULL)
        leaf = RB_MIN(leaf_tree, &index->tree);
    if (leaf == NULL)
        return new_behind(index, NULL, id);
    if (leaf->len < LEAF_JOBS)
        return leaf;
    if (leaf == index->last && job_at(index, leaf, LEAF_JOBS - 1)->id < id)
        return new_behind(index, leaf, id);
    split(index, leaf);
    struct job_leaf *upper = RB_NEXT(leaf_tree, &index->tree, leaf);
    return upper->first < id ? upper : leaf;
}

void index_add(struct job_index *index, struct job *job)
{
    struct job_leaf *leaf = leaf_for(index, job->id);
    if (job->id < leaf->first)
        leaf->first = job->id; /* it is the first leaf */
    uint32_t at = jobs_before(index, leaf, job->id), behind = leaf->len - at;
    verify(behind == 0 || job_at(index, leaf, at)->id != job->id);
    if (behind > 0)
        memmove(&leaf->numbers[at + 1], &leaf->numbers[at], behind * sizeof leaf->numbers[0]);
    leaf->numbers[at] = (uint32_t)(job - index->records);
    leaf->len++;
}

static void drop_leaf(struct job_index *index, struct job_leaf *leaf)
{
    if (leaf == index->last)
        index->last = RB_PREV(leaf_tree, &index->tree, leaf);
    RB_REMOVE(leaf_tree, &index->tree, leaf);
    leaf->next = index->spare;
    index->spare = leaf;
}

/* With the one behind it, when both are not more than half a leaf. */
static void merge(struct job_index *index, struct job_leaf *leaf)
{
    struct job_leaf *behind = leaf != NULL ? RB_NEXT(leaf_tree, &index->tree, leaf) : NULL;
    if (behind == NULL || leaf->len + behind->len > HALF)
        return;
    memcpy(leaf->numbers + leaf->len, behind->numbers, behind->len * sizeof leaf->numbers[0]);
    leaf->len += behind->len;
    drop_leaf(index, behind);
}

void index_remove(struct job_index *index, const struct job *job)
{
    struct job_leaf *leaf = leaf_of(index, job->id);
    verify(leaf != NULL);
    uint32_t at = jobs_before(index, leaf, job->id);
    verify(at < leaf->len && job_at(index, leaf, at) == job);
    leaf->len--;
    if (at < leaf->len)
        memmove(&leaf->numbers[at], &leaf->numbers[at + 1],
                (leaf->len - at) * sizeof leaf->numbers[0]);
    if (at == 0 && leaf->len > 0)
        leaf->first = job_at(index, leaf, 0)->id;
    if (leaf->len >= HALF)
        return;
    struct job_leaf *before = RB_PREV(leaf_tree, &index->tree, leaf);
    if (leaf->len == 0)
        drop_leaf(index, leaf);
    else
        merge(index, leaf);
    merge(index, before);
}

/* ---- looking up */

struct job *index_find(struct job_index *index, uint64_t id)
{
    struct job_leaf *leaf = leaf_of(index, id);
    if (leaf == NULL)
        return NULL;
    uint32_t at = jobs_before(index, leaf, id);
    struct job *job = at < leaf->len ? job_at(index, leaf, at) : NULL;
    return job != NULL && job->id == id ? job : NULL;
}

struct job *index_above(struct job_index *index, uint64_t id)
{
    struct job_leaf *leaf = leaf_of(index, id);
    if (id == UINT64_MAX)
        return NULL;
    uint32_t at = leaf != NULL ? jobs_before(index, leaf, id + 1) : 0;
    if (leaf == NULL)
        leaf = RB_MIN(leaf_tree, &index->tree);
    if (leaf != NULL && at < leaf->len)
        return job_at(index, leaf, at);
    leaf = leaf != NULL ? RB_NEXT(leaf_tree, NULL, leaf) : NULL;
    return leaf != NULL ? job_at(index, leaf, 0) : NULL;
}

struct job *index_below(struct job_index *index, uint64_t id)
{
    struct job_leaf *leaf = id > 0 ? leaf_of(index, id - 1) : NULL;
    return leaf != NULL ? job_at(index, leaf, jobs_before(index, leaf, id) - 1) : NULL;
}

/* ---- for tests */

uint32_t index_check(struct job_index *index)
{
    struct job_leaf *leaf, *before = NULL;
    uint32_t jobs = 0;
    uint64_t last_id = 0;
    RB_FOREACH (leaf, leaf_tree, &index->tree) {
        verify(leaf->len > 0 && leaf->len <= LEAF_JOBS);
        verify(leaf->first == job_at(index, leaf, 0)->id);
        verify(before == NULL || before->len + leaf->len > HALF);
        for (uint32_t i = 0; i < leaf->len; i++) {
            const struct job *job = job_at(index, leaf, i);
            verify(jobs + i == 0 || job->id > last_id);
            last_id = job->id;
        }
        jobs += leaf->len;
        before = leaf;
    }
    verify(before == index->last);
    return jobs;
}
