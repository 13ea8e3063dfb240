/* SPDX-License-Identifier: MIT */
#include "engine/lanes.h"

#include <string.h>

#include "engine/fair.h"

enum { OLDEST_LOOKS = 256 }; /* groups that are looked at for the oldest job */

static bool have_turns(const struct queue *queue)
{
    return queue->fair != NULL && queue->fair->on;
}

static struct job *first_of_ring_locked(struct jobd *jobd, struct ring *ring) REQUIRES(jobd->lock)
{
    uint64_t id = ring_peek(ring);
    if (id == 0)
        return NULL;
    struct job *job = jobs_find(&jobd->jobs, id);
    verify(job != NULL && job->state == JOBD_QUEUED);
    return job;
}

struct job *lane_first_locked(struct op *op, struct queue *queue, unsigned lane)
{
    return have_turns(queue) ? fair_first(queue, lane)
                             : first_of_ring_locked(op->jobd, &queue->lanes[lane]);
}

bool lanes_have_ready(const struct queue *queue)
{
    return queue_ready(queue) > (have_turns(queue) ? queue->fair->held_jobs : 0);
}

static void on_ring_moved(void *context, uint64_t id, uint64_t position)
{
    struct job *job = jobs_find(context, id);
    verify(job != NULL && job->state == JOBD_QUEUED);
    job->position = position;
}

void lane_enter_locked(struct op *op, struct queue *queue, struct job *job)
{
    if (fair_has(queue, job->id))
        fair_enter_locked(op, queue, job);
    else
        job->position =
            ring_push(&queue->lanes[job->priority], job->id, on_ring_moved, &op->jobd->jobs);
}

void lane_leave_locked(struct op *op, struct queue *queue, struct job *job)
{
    if (fair_has(queue, job->id))
        fair_leave_locked(op, queue, job);
    else
        ring_remove(&queue->lanes[job->priority], job->position);
}

void lane_take_locked(struct op *op, struct queue *queue, struct job *job)
{
    if (have_turns(queue))
        fair_take_locked(op, queue, job);
    else
        verify(ring_pop(&queue->lanes[job->priority]) == job->id);
}

static void each_in(const struct group_list *list, unsigned lane, lane_job *each, void *context)
{
    const struct group *group;
    const struct job *job;
    TAILQ_FOREACH (group, list, link[lane])
        TAILQ_FOREACH (job, &group->jobs[lane], link)
            each(context, job->id);
}

void lane_each(const struct queue *queue, unsigned lane, lane_job *each, void *context)
{
    const struct ring *ring = &queue->lanes[lane];
    for (uint64_t at = ring->head; at != ring->tail; at++) {
        uint64_t id = ring->ids[at % (2 * (uint64_t)ring->capacity)];
        if (id != 0)
            each(context, id);
    }
    if (queue->fair == NULL)
        return;
    each_in(&queue->fair->eligible[lane], lane, each, context);
    each_in(&queue->fair->held[lane], lane, each, context);
}

int64_t lanes_oldest_us_locked(struct jobd *jobd, const struct queue *queue, int64_t now_us)
{
    int64_t oldest_us = 0;
    unsigned looks = OLDEST_LOOKS;
    for (unsigned lane = 0; lane < JOBD_PRIORITIES; lane++) {
        struct ring ring = queue->lanes[lane]; /* looking may pass over its holes */
        const struct job *job = first_of_ring_locked(jobd, &ring);
        int64_t age_us = job != NULL ? now_us - job->ready_us : 0;
        if (have_turns(queue))
            age_us = fair_oldest_us(queue, lane, now_us, &looks);
        oldest_us = age_us > oldest_us ? age_us : oldest_us;
    }
    return oldest_us;
}

/* ---- all of a lane */

/* Its jobs are next, or those of the first behind it; NULL: nobody is left. */
static struct group *group_at(struct fair *fair, const struct lane_walk *walk)
{
    return walk->name[0] == '\0' ? fair->none : groups_from(&fair->groups, walk->name);
}

static struct group *group_behind(struct fair *fair, struct group *group)
{
    return group == fair->none ? RB_MIN(group_tree, &fair->groups.tree)
                               : RB_NEXT(group_tree, &fair->groups.tree, group);
}

static struct job *next_in_turns(struct fair *fair, struct lane_walk *walk, uint64_t below,
                                 unsigned *looks)
{
    struct group *group = walk->is_over ? NULL : group_at(fair, walk);
    for (; group != NULL; group = group_behind(fair, group)) {
        struct job *job = TAILQ_FIRST(&group->jobs[walk->lane]);
        memcpy(walk->name, group->name, strlen(group->name) + 1);
        if (job != NULL && job->id < below)
            return job;
        if (*looks == 0)
            return NULL;
        --*looks;
    }
    walk->is_over = true;
    return NULL;
}

struct job *lane_next_below_locked(struct op *op, struct queue *queue, struct lane_walk *walk,
                                   uint64_t below, unsigned *looks)
{
    struct job *job = first_of_ring_locked(op->jobd, &queue->lanes[walk->lane]);
    if (job != NULL && job->id < below)
        return job;
    return queue->fair != NULL ? next_in_turns(queue->fair, walk, below, looks) : NULL;
}
