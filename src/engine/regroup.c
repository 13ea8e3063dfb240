/* SPDX-License-Identifier: MIT */
#include "engine/regroup.h"

#include <string.h>

#include "engine/dispatch.h"
#include "engine/lanes.h"
#include "engine/fair.h"

/* ---- jobs: from the rings to the lanes of groups, or back */

static void move_locked(struct op *op, struct queue *queue, struct job *job)
    REQUIRES(op->jobd->lock)
{
    bool in_lane = job->state == JOBD_QUEUED && !job->commit_pending;
    if (in_lane)
        lane_leave_locked(op, queue, job);
    queue->fair->below = job->id + 1;
    bool is_retried = job->commit_pending && !job->forgetting;
    if (!job_has_ended(job) || is_retried)
        fair_settle_locked(op, queue, job);
    if (in_lane)
        lane_enter_locked(op, queue, job);
}

static void move_some_locked(struct op *op, struct queue *queue) REQUIRES(op->jobd->lock)
{
    struct fair *fair = queue->fair;
    for (unsigned left = OP_STEPS; left > 0; left--) {
        struct job *job = jobs_above(&op->jobd->jobs, fair->below - 1);
        if (job == NULL) {
            fair->below = UINT64_MAX;
            return;
        }
        if (&op->jobd->queues[job->queue] == queue)
            move_locked(op, queue, job);
        fair->below = job->id + 1;
    }
}

/* ---- groups: held or not, as their limits are now */

struct review {
    char name[JOBD_GROUP_SIZE]; /* the next, or the first behind it */
    bool refill;
};

static bool review_some_locked(struct op *op, struct queue *queue, struct review *review)
    REQUIRES(op->jobd->lock)
{
    struct fair *fair = queue->fair;
    struct group *group = groups_from(&fair->groups, review->name);
    for (unsigned left = OP_STEPS; group != NULL && left > 0; left--) {
        struct group *next = RB_NEXT(group_tree, NULL, group);
        fair_renew_locked(op, queue, group, review->refill);
        group = next;
    }
    if (group != NULL)
        memcpy(review->name, group->name, strlen(group->name) + 1);
    return group != NULL;
}

static bool same(const struct jobd_limits *one, const struct jobd_limits *other)
{
    return one->running == other->running && one->starts == other->starts &&
           one->per_us == other->per_us;
}

/* False when there is nothing to be done. */
static bool begin_locked(struct op *op, struct queue *queue, const struct jobd_queue_config *config,
                         struct review *review) REQUIRES(op->jobd->lock)
{
    struct fair *fair = queue->fair;
    const struct jobd_limits *limits = &config->group_limits;
    (void)op;
    if (!config->by_group && !fair->on)
        return false;
    if (config->by_group) {
        fair->waiting_max = config->group_waiting;
        if (fair->on && same(&fair->limits, limits))
            return false;
        review->refill =
            fair->limits.starts != limits->starts || fair->limits.per_us != limits->per_us;
        fair->limits = *limits;
    }
    fair->changing = true;
    if (fair->on != config->by_group)
        fair->below = 1; /* the lowest id */
    fair->on = config->by_group;
    return true;
}

static bool go_on_locked(struct op *op, struct queue *queue, struct review *review)
    REQUIRES(op->jobd->lock)
{
    if (queue->fair->below != UINT64_MAX) {
        move_some_locked(op, queue);
        return true;
    }
    if (review_some_locked(op, queue, review))
        return true;
    queue->fair->changing = false;
    dispatch_soon_locked(op, queue);
    return false;
}

int regroup(struct jobd *jobd, struct queue *queue, const struct jobd_queue_config *config,
            int64_t now_us)
{
    struct op op;
    struct review review = {.name = ""};
    int error = 0;
    if (!config->by_group && queue->fair == NULL)
        return 0;
    op_begin(&op, jobd, NULL, now_us);
    if (queue->fair == NULL)
        error = fair_init(queue, jobd->idle_groups_max);
    bool more = error == 0 && begin_locked(&op, queue, config, &review);
    op_end(&op);
    while (more) {
        op_begin(&op, jobd, NULL, now_us);
        more = go_on_locked(&op, queue, &review);
        op_end(&op);
    }
    return error;
}
