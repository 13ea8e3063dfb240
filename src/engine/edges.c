/* SPDX-License-Identifier: MIT */
#include "engine/edges.h"

#include <stdlib.h>
#include <string.h>

#include "base/verify.h"
#include "engine/engine.h"
#include "engine/keep.h"
#include "engine/pins.h"
#include "engine/words.h"

static int parent_compare(const struct parent *a, const struct parent *b)
{
    if (a->id != b->id)
        return a->id < b->id ? -1 : 1;
    return a->is_batch - b->is_batch;
}

RB_GENERATE(parent_tree, parent, by_id, parent_compare)

void edges_init(struct edges *edges)
{
    RB_INIT(&edges->tree);
    TAILQ_INIT(&edges->due);
    TAILQ_INIT(&edges->again);
    TAILQ_INIT(&edges->fresh);
}

void edges_release(struct edges *edges)
{
    struct parent *parent;
    while ((parent = RB_MIN(parent_tree, &edges->tree)) != NULL) {
        RB_REMOVE(parent_tree, &edges->tree, parent);
        free(parent);
    }
}

/* ---- looking */

/* It is in the list of its parent. */
static bool is_linked(const struct edge *edge)
{
    return edge->parents->job != NULL && edge->parent != NULL;
}

/* One that is just being forgotten is not there. */
static struct job *job_of(struct jobs *jobs, const struct edge *edge)
{
    if (is_linked(edge))
        return edge->parent->job;
    struct job *job = edge->is_batch ? NULL : jobs_seen(jobs, edge->id);
    return job != NULL && !job->forgetting ? job : NULL;
}

static struct batch *batch_of(struct jobs *jobs, const struct edge *edge)
{
    if (is_linked(edge))
        return edge->parent->batch;
    return edge->is_batch ? batches_seen(&jobs->batches, edge->id) : NULL;
}

/* Of another process, which knows more of it: it has not come here yet. */
static bool is_to_come(const struct edge *edge)
{
    return is_linked(edge) && edge->parent->job == NULL && edge->parent->batch == NULL;
}

/* Its cancellation is in the journal, where nothing undoes it: what depends on that may follow it
 * there. */
static bool is_orphaned(const struct job *job)
{
    return job->extra != NULL && job->extra->parents != NULL && job->extra->parents->orphaned;
}

/* One that is forgotten counts as done. */
static enum verdict verdict_of(struct jobs *jobs, const struct edge *edge)
{
    const struct job *job = job_of(jobs, edge);
    const struct batch *batch = batch_of(jobs, edge);
    if (job != NULL && !job_has_ended(job))
        return is_orphaned(job) && !edge->parents->whatever ? VERDICT_CANCEL : VERDICT_WAIT;
    if (job != NULL)
        return job->state == JOBD_DONE ? VERDICT_BEGIN : VERDICT_CANCEL;
    if (batch == NULL)
        return is_to_come(edge) ? VERDICT_WAIT : VERDICT_BEGIN;
    if (!batches_over(batch))
        return VERDICT_WAIT;
    return batch->in_state[JOBD_DONE] == batch->len ? VERDICT_BEGIN : VERDICT_CANCEL;
}

enum verdict edges_verdict(struct jobs *jobs, const struct parents *parents,
                           const struct edge **why)
{
    enum verdict all = VERDICT_BEGIN;
    for (uint32_t i = 0; i < parents->len; i++) {
        enum verdict one = verdict_of(jobs, &parents->edges[i]);
        *why = &parents->edges[i];
        if (one == VERDICT_CANCEL && !parents->whatever)
            return one;
        all = one == VERDICT_WAIT ? one : all;
    }
    return all;
}

/* Of a batch without jobs the time may be over, though it was not forgotten yet. */
static bool is_there(struct op *op, const struct edge *edge)
{
    struct jobs *jobs = &op->jobd->jobs;
    const struct batch *batch = batch_of(jobs, edge);
    if (batch != NULL)
        return keep_batch_until(jobs, batch) > op->now_us;
    return job_of(jobs, edge) != NULL;
}

/* It, or the last of its jobs. */
static bool came_before(struct op *op, const struct edge *edge, const struct job *job)
{
    const struct batch *batch = batch_of(&op->jobd->jobs, edge);
    return batch != NULL ? batch->id + batch->len <= job->id : edge->id < job->id;
}

enum jobd_result edges_check(struct op *op, const struct parents *parents,
                             const struct job *replaced, struct jobd_receipt *receipt)
{
    for (uint32_t i = 0; i < parents->len; i++) {
        const struct edge *edge = &parents->edges[i];
        const bool there = is_there(op, edge);
        if (there && (replaced == NULL || came_before(op, edge, replaced)))
            continue;
        receipt->id = edge->is_batch ? 0 : edge->id;
        receipt->batch = edge->is_batch ? edge->id : 0;
        receipt->instead = there ? replaced->id : 0;
        return there ? JOBD_LATER_PARENT : JOBD_NO_PARENT;
    }
    return JOBD_OK;
}

/* ---- records of parents */

static struct parent *find(struct edges *edges, uint64_t id, bool is_batch)
{
    struct parent key = {.id = id, .is_batch = is_batch};
    return RB_FIND(parent_tree, &edges->tree, &key);
}

static struct parent *add(struct op *op, const struct edge *edge)
{
    struct parent *parent = calloc(1, sizeof *parent);
    if (parent == NULL)
        return NULL;
    parent->id = edge->id;
    parent->is_batch = edge->is_batch;
    TAILQ_INIT(&parent->edges);
    jobs_count(&op->jobd->jobs, sizeof *parent);
    verify(RB_INSERT(parent_tree, &op->jobd->edges.tree, parent) == NULL);
    return parent;
}

static void attach(struct op *op, struct parent *parent, struct job *job, struct batch *batch)
    REQUIRES(op->jobd->lock)
{
    parent->job = job;
    parent->batch = batch;
    if (job != NULL)
        pin_job_locked(op, job, PIN_CHILDREN);
    else
        pin_batch_locked(op, batch, PIN_CHILDREN);
}

static void not_due(struct edges *edges, struct parent *parent)
{
    if (parent->due)
        TAILQ_REMOVE(&edges->due, parent, link);
    parent->due = false;
}

static void drop(struct op *op, struct parent *parent) REQUIRES(op->jobd->lock)
{
    struct edges *edges = &op->jobd->edges;
    not_due(edges, parent);
    RB_REMOVE(parent_tree, &edges->tree, parent);
    if (parent->job != NULL)
        unpin_job_locked(op, parent->job, PIN_CHILDREN);
    if (parent->batch != NULL)
        unpin_batch_locked(op, parent->batch, PIN_CHILDREN);
    jobs_count(&op->jobd->jobs, -(int64_t)sizeof *parent);
    free(parent);
}

static enum jobd_result expect_one(struct op *op, struct edge *edge) REQUIRES(op->jobd->lock)
{
    struct jobs *jobs = &op->jobd->jobs;
    edge->parent = find(&op->jobd->edges, edge->id, edge->is_batch);
    if (edge->parent != NULL)
        return JOBD_OK;
    if (!pins_have_room(jobs, 1) || !jobs_make_room(jobs, sizeof *edge->parent + PIN_WEIGHT, op))
        return JOBD_OUT_OF_MEMORY;
    struct job *job = job_of(jobs, edge);
    struct batch *batch = batch_of(jobs, edge);
    if (job == NULL && batch == NULL)
        return JOBD_NO_PARENT;
    struct parent *parent = add(op, edge);
    if (parent == NULL)
        return JOBD_OUT_OF_MEMORY;
    attach(op, parent, job, batch);
    TAILQ_INSERT_TAIL(&op->jobd->edges.fresh, parent, link);
    edge->parent = parent;
    return JOBD_OK;
}

static bool same_parents(const struct parents *one, const struct parents *other)
{
    bool same = one->len == other->len;
    for (uint32_t i = 0; i < one->len && same; i++)
        same = one->edges[i].id == other->edges[i].id &&
               one->edges[i].is_batch == other->edges[i].is_batch;
    return same;
}

enum jobd_result edges_expect_locked(struct op *op, struct parents *parents,
                                     const struct parents *like)
{
    enum jobd_result result = JOBD_OK;
    const bool known = like != NULL && same_parents(parents, like);
    for (uint32_t i = 0; i < parents->len && result == JOBD_OK; i++) {
        if (known)
            parents->edges[i].parent = like->edges[i].parent;
        else
            result = expect_one(op, &parents->edges[i]);
    }
    return result;
}

void edges_settle_locked(struct op *op)
{
    struct edges *edges = &op->jobd->edges;
    struct parent *parent;
    while ((parent = TAILQ_FIRST(&edges->fresh)) != NULL) {
        TAILQ_REMOVE(&edges->fresh, parent, link);
        if (TAILQ_EMPTY(&parent->edges))
            drop(op, parent);
    }
}

/* ---- edges */

void edges_link(struct parents *parents, struct job *job)
{
    verify(parents->job == NULL);
    parents->job = job;
    for (uint32_t i = 0; i < parents->len; i++) {
        struct edge *edge = &parents->edges[i];
        TAILQ_INSERT_TAIL(&edge->parent->edges, edge, link);
    }
}

static void unlink_edge(struct op *op, struct edge *edge) REQUIRES(op->jobd->lock)
{
    struct parent *parent = edge->parent;
    if (parent->next == edge)
        parent->next = TAILQ_NEXT(edge, link);
    TAILQ_REMOVE(&parent->edges, edge, link);
    if (TAILQ_EMPTY(&parent->edges))
        drop(op, parent);
}

void edges_leave_locked(struct op *op, struct job_extra *extra)
{
    struct parents *parents = extra != NULL ? extra->parents : NULL;
    if (parents == NULL)
        return;
    extra->parents = NULL;
    jobs_count(&op->jobd->jobs, -(int64_t)parents_weight(parents));
    if (parents->again)
        TAILQ_REMOVE(&op->jobd->edges.again, parents, link);
    for (uint32_t i = 0; i < parents->len && parents->job != NULL; i++)
        unlink_edge(op, &parents->edges[i]);
    free(parents);
}

/* ---- what is to be looked at */

void edges_look_again_locked(struct op *op, struct parents *parents)
{
    const struct edge *why;
    if (parents->again || edges_verdict(&op->jobd->jobs, parents, &why) == VERDICT_WAIT)
        return;
    parents->again = true;
    TAILQ_INSERT_TAIL(&op->jobd->edges.again, parents, link);
}

static void ended(struct edges *edges, struct parent *parent)
{
    if (parent == NULL)
        return;
    parent->next = TAILQ_FIRST(&parent->edges);
    if (!parent->due)
        TAILQ_INSERT_TAIL(&edges->due, parent, link);
    parent->due = true;
}

void edges_job_ended_locked(struct op *op, const struct job *job)
{
    ended(&op->jobd->edges, find(&op->jobd->edges, job->id, false));
}

void edges_batch_ended_locked(struct op *op, const struct batch *batch)
{
    ended(&op->jobd->edges, find(&op->jobd->edges, batch->id, true));
}

/* ---- at a start */

void edges_expect_back_locked(struct op *op, const char *text)
{
    struct edge edge = {.id = 0};
    while (parents_next(&text, &edge))
        if (find(&op->jobd->edges, edge.id, edge.is_batch) == NULL)
            (void)add(op, &edge);
}

void edges_job_back_locked(struct op *op, struct job *job, bool final)
{
    if (RB_EMPTY(&op->jobd->edges.tree))
        return;
    struct parent *parent = find(&op->jobd->edges, job->id, false);
    /* A living one takes no record of the promised yet: it is always waited for. */
    bool is_shared = op->jobd->share != NULL; /* elsewhere it is pinned already */
    if (parent != NULL && (!final || is_shared || pins_have_room(&op->jobd->jobs, 1)))
        attach(op, parent, job, NULL);
}

void edges_batch_back_locked(struct op *op, struct batch *batch)
{
    struct parent *parent = find(&op->jobd->edges, batch->id, true);
    if (parent != NULL)
        attach(op, parent, NULL, batch);
}

/* One that is not there is not waited for: it has no parent then. False when memory is short. */
static bool find_back(struct op *op, struct edge *edge) REQUIRES(op->jobd->lock)
{
    struct jobs *jobs = &op->jobd->jobs;
    struct parent *parent = find(&op->jobd->edges, edge->id, edge->is_batch);
    struct job *job = parent == NULL ? job_of(jobs, edge) : NULL;
    struct batch *batch = NULL;
    if (parent == NULL && edge->is_batch)
        batch = batches_find(&jobs->batches, edge->id);
    if (job != NULL || batch != NULL) {
        if ((parent = add(op, edge)) == NULL)
            return false;
        attach(op, parent, job, batch);
    }
    bool there = parent != NULL && (parent->job != NULL || parent->batch != NULL);
    edge->parent = there ? parent : NULL;
    return true;
}

bool edges_child_back_locked(struct op *op, struct job *job, const char *text)
{
    struct parents *parents;
    uint32_t len = 0;
    if (!parents_new(text, &parents))
        return false;
    if (parents == NULL)
        return true;
    for (uint32_t i = 0; i < parents->len; i++) {
        if (!find_back(op, &parents->edges[i])) {
            free(parents);
            return false;
        }
        if (parents->edges[i].parent != NULL)
            parents->edges[len++] = parents->edges[i];
    }
    parents->len = len; /* perhaps 0: it is looked at once, as others are */
    job->extra->parents = parents;
    jobs_count(&op->jobd->jobs, (int64_t)parents_weight(parents));
    edges_link(parents, job);
    return true;
}

void edges_all_back_locked(struct op *op)
{
    struct edges *edges = &op->jobd->edges;
    struct parent *parent, *next;
    for (parent = RB_MIN(parent_tree, &edges->tree); parent != NULL; parent = next) {
        next = RB_NEXT(parent_tree, &edges->tree, parent);
        if (TAILQ_EMPTY(&parent->edges))
            drop(op, parent);
        else
            ended(edges, parent);
    }
}

/* ---- as others have changed it */

static bool adopt_edge(struct op *op, struct edge *edge) REQUIRES(op->jobd->lock)
{
    struct jobs *jobs = &op->jobd->jobs;
    edge->parent = find(&op->jobd->edges, edge->id, edge->is_batch);
    if (edge->parent != NULL)
        return true;
    struct job *job = edge->is_batch ? NULL : jobs_find(jobs, edge->id);
    struct batch *batch = edge->is_batch ? batches_find(&jobs->batches, edge->id) : NULL;
    edge->parent = add(op, edge);
    if (edge->parent == NULL)
        return false;
    TAILQ_INSERT_TAIL(&op->jobd->edges.fresh, edge->parent, link);
    if (job != NULL || batch != NULL)
        attach(op, edge->parent, job, batch);
    return true;
}

bool edges_adopt_locked(struct op *op, struct job *job)
{
    struct parents *parents = NULL;
    bool good = parents_new(jobd_text(job->extra->words, JOBD_AFTER), &parents);
    for (uint32_t i = 0; good && i < parents->len; i++)
        good = adopt_edge(op, &parents->edges[i]);
    if (good) {
        job->extra->parents = parents;
        jobs_count(&op->jobd->jobs, (int64_t)parents_weight(parents));
        edges_link(parents, job);
    } else {
        free(parents);
    }
    edges_settle_locked(op);
    return good;
}

void edges_job_gone_locked(struct op *op, struct job *job)
{
    if ((job->pins & PIN_CHILDREN) == 0)
        return;
    find(&op->jobd->edges, job->id, false)->job = NULL;
    unpin_job_locked(op, job, PIN_CHILDREN);
}

void edges_batch_gone_locked(struct op *op, struct batch *batch)
{
    if ((batch->pins & PIN_CHILDREN) == 0)
        return;
    find(&op->jobd->edges, batch->id, true)->batch = NULL;
    unpin_batch_locked(op, batch, PIN_CHILDREN);
}
