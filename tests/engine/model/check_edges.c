/* SPDX-License-Identifier: MIT */
/* Every job that waits for others is found by them, and they are there; none is overlooked. */
#include "engine/model/check_edges.h"

#include "base/verify.h"
#include "engine/changes.h"
#include "engine/edges.h"
#include "engine/pins.h"

static bool has_edge(const struct parent *parent, const struct edge *wanted)
{
    const struct edge *edge;
    TAILQ_FOREACH (edge, &parent->edges, link)
        if (edge == wanted)
            return true;
    return false;
}

static bool is_listed(const struct parents_list *list, const struct parents *wanted)
{
    const struct parents *parents;
    TAILQ_FOREACH (parents, list, link)
        if (parents == wanted)
            return true;
    return false;
}

/* How many edges it has. */
static size_t check_parents(struct jobd *jobd, const struct parents *parents) REQUIRES(jobd->lock)
{
    verify(parents->job != NULL && parents->len > 0);
    verify(parents->again == is_listed(&jobd->edges.again, parents));
    for (uint32_t i = 0; i < parents->len; i++) {
        const struct edge *edge = &parents->edges[i];
        verify(edge->parents == parents && edge->parent->id == edge->id &&
               edge->parent->is_batch == edge->is_batch && has_edge(edge->parent, edge));
    }
    return parents->len;
}

/* It waits, or will be looked at: when it has been replaced at the latest. */
static void check_blocked(struct jobd *jobd, const struct job *job) REQUIRES(jobd->lock)
{
    const struct edge *why;
    const struct parents *parents = job->extra->parents;
    bool seen = parents->again || job_being_replaced(job) ||
                edges_verdict(&jobd->jobs, parents, &why) == VERDICT_WAIT;
    for (uint32_t i = 0; i < parents->len && !seen; i++) {
        const struct edge *edge = &parents->edges[i];
        const struct edge *next = edge->parent->due ? edge->parent->next : NULL;
        for (; next != NULL && !seen; next = TAILQ_NEXT(next, link))
            seen = next == edge;
    }
    verify(seen);
}

static size_t check_jobs(struct jobd *jobd) REQUIRES(jobd->lock)
{
    struct job *job;
    size_t edges = 0;
    JOBS_FOREACH (job, &jobd->jobs) {
        struct parents *parents = job->extra != NULL ? job->extra->parents : NULL;
        verify(job->state == STATE_NEW || (job->state == JOBD_BLOCKED) == (parents != NULL));
        if (parents != NULL)
            edges += check_parents(jobd, parents);
        verify(parents == NULL || parents->job == job);
        if (job->state == JOBD_BLOCKED && !job->commit_pending)
            check_blocked(jobd, job);
    }
    return edges;
}

/* Of what was replaced. */
static size_t check_list(struct jobd *jobd, struct change_list *list) REQUIRES(jobd->lock)
{
    struct change *change;
    size_t edges = 0;
    TAILQ_FOREACH (change, list, link) {
        struct job_extra *before = change->before.extra;
        if (before != NULL && before->parents != NULL) {
            edges += check_parents(jobd, before->parents);
            verify(before->parents->job == change->job);
        }
    }
    return edges;
}

size_t check_edges(struct jobd *jobd)
{
    struct edges *edges = &jobd->edges;
    struct parent *parent;
    struct job *job;
    size_t known = 0, bytes = 0;
    uint32_t batches = 0, pinned = 0, parent_jobs = 0, due = 0;
    verify(TAILQ_EMPTY(&edges->fresh));
    RB_FOREACH (parent, parent_tree, &edges->tree) {
        const struct edge *edge;
        verify(!TAILQ_EMPTY(&parent->edges) && (parent->job != NULL) != (parent->batch != NULL));
        verify((parent->batch != NULL) == parent->is_batch);
        verify(parent->job == NULL ||
               ((parent->job->pins & PIN_CHILDREN) != 0 && parent->job->id == parent->id));
        verify(parent->batch == NULL ||
               ((parent->batch->pins & PIN_CHILDREN) != 0 && parent->batch->id == parent->id));
        TAILQ_FOREACH (edge, &parent->edges, link) {
            verify(edge->parent == parent);
            known++;
        }
        parent_jobs += !parent->is_batch;
        batches += parent->is_batch;
        due += parent->due;
        bytes += sizeof *parent;
    }
    JOBS_FOREACH (job, &jobd->jobs)
        pinned += (job->pins & PIN_CHILDREN) != 0;
    verify(pinned == parent_jobs);
    struct batch *batch;
    RB_FOREACH (batch, batch_tree, &jobd->jobs.batches.tree)
        batches -= (batch->pins & PIN_CHILDREN) != 0;
    verify(batches == 0);
    TAILQ_FOREACH (parent, &edges->due, link)
        due--;
    verify(due == 0);
    verify(known == check_jobs(jobd) + check_list(jobd, &jobd->journal.waiting) +
                        check_list(jobd, &jobd->journal.gathered));
    return bytes;
}
