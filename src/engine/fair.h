/* SPDX-License-Identifier: MIT */
/* The lanes of a queue whose groups are served round robin (jobd_queue_config.by_group), in place
 * of its rings.
 *
 *     lane 3, eligible   b ──> a ──> ""        first a job of b, which goes behind "" then
 *             held       c                     at its limit: passed over, whatever waits there
 *
 *     a's jobs           17 ──> 21             each group has its own, in the order they came
 *
 * A group is in a lane while it has jobs there: in one of two lists, as its limits allow. It goes
 * behind the others when it was served, and when it comes back from its limit, which the end of
 * a job or its bucket brings about. So no step looks at more than one group. Jobs without a group
 * are those of one more, which has no limits.
 *
 * Where queues are shared a group that is served elsewhere goes behind here, too. So no other is
 * served twice while its jobs stand in a lane and nothing happens to them; else the order may be
 * another elsewhere, as a turn tells what has become of a job, and not each step.
 *
 * While by_group comes or goes (regroup.h), the queue's jobs below an id are where they shall be,
 * and the others still where they were. Under the engine's lock. */
#pragma once

#include "engine/engine.h"
#include "engine/groups.h"

struct fair {
    struct jobd_limits limits; /* of each group */
    uint32_t waiting_max;      /* 0: no limit */
    bool on;                   /* groups are served round robin; false: they were once */
    bool changing;             /* nothing is given out meanwhile */
    uint64_t below;            /* that holds for ids below this */
    struct groups groups;
    struct group *none; /* of jobs without a group; its waiting and running are not counted */
    struct group_list eligible[JOBD_PRIORITIES], held[JOBD_PRIORITIES];
    uint32_t held_jobs; /* queued ones of those groups that are held */
    struct heap dues;   /* of groups */
};

/* For a queue that has none; they are off. idle_max: groups without jobs that there may be. 0 or
 * -ENOMEM, and then it still has none. */
__attribute__((warn_unused_result)) int fair_init(struct queue *queue, uint32_t idle_max);
/* The same, and they are on, with these limits, from the beginning. */
__attribute__((warn_unused_result)) int
fair_init_on(struct queue *queue, const struct jobd_queue_config *config, uint32_t idle_max);
void fair_release(struct queue *queue);

/* Is that job of this queue, wherever it is, one of a group, and in these lanes? */
static inline bool fair_has(const struct queue *queue, uint64_t id)
{
    const struct fair *fair = queue->fair;
    return fair != NULL && (id < fair->below) == fair->on;
}

/* ---- lanes: of jobs that fair_has() */

/* The first of the group that is served next; NULL: none in this lane may begin. */
struct job *fair_first(const struct queue *queue, unsigned lane);
void fair_enter_locked(struct op *op, struct queue *queue, struct job *job)
    REQUIRES(op->jobd->lock);
void fair_leave_locked(struct op *op, struct queue *queue, struct job *job)
    REQUIRES(op->jobd->lock);
/* The same for one that begins: its group was served. */
void fair_take_locked(struct op *op, struct queue *queue, struct job *job) REQUIRES(op->jobd->lock);
/* The longest that one has waited, in a lane, of the first of at most *looks groups, which are
 * counted down. */
int64_t fair_oldest_us(const struct queue *queue, unsigned lane, int64_t now_us, unsigned *looks);

/* ---- whose they are: extra->group is who has it, as long as it lives */

/* A job that has this extra wants to wait in the queue: it counts in its group from now on.
 * JOBD_OK, also where it has none; JOBD_GROUP_FULL; or JOBD_OUT_OF_MEMORY. */
enum jobd_result fair_join_locked(struct op *op, struct queue *queue, struct job_extra *extra)
    REQUIRES(op->jobd->lock);
/* The group that this extra says; NULL: there is none. */
const struct group *fair_find(const struct queue *queue, const struct job_extra *extra);
/* It does not wait there after all. Takes NULL. */
void fair_quit_locked(struct op *op, struct queue *queue, struct job_extra *extra)
    REQUIRES(op->jobd->lock);
/* A job of the queue is one of its group exactly if it shall be: of fair_has(). Where memory is
 * short it is one without a group. */
void fair_settle_locked(struct op *op, struct queue *queue, struct job *job)
    REQUIRES(op->jobd->lock);
/* jobs_exchange() of a job of the queue, which is in no lane or stays in its group: the content's
 * extra may have joined its group already. */
void fair_exchange_locked(struct op *op, struct queue *queue, struct job *job,
                          struct job_content *content) REQUIRES(op->jobd->lock);
bool fair_same_group(const struct job *job, const struct job_content *content);
/* Is this the name of its group? NULL is "". */
bool fair_same_name(const struct job *job, const char *name);
/* A job is of no group any more, as it is none of the queue's; it is in no lane. */
void fair_detach_locked(struct op *op, struct queue *queue, struct job *job)
    REQUIRES(op->jobd->lock);
/* It has begun elsewhere, and comes here as one that runs, or has ended since: it counts for the
 * limits of its group. */
void fair_begun_locked(struct op *op, struct queue *queue, struct job *job)
    REQUIRES(op->jobd->lock);
/* That was its group's turn: the others of its lane are next. */
void fair_served(struct queue *queue, const struct job *job);
/* A job has moved to its state from that one. */
void fair_moved_locked(struct op *op, struct job *job, unsigned from) REQUIRES(op->jobd->lock);

/* A job is to be withdrawn and go to that queue, where *joins, which may be NULL, will be its group
 * and lets it in however many wait: it becomes job->joins then. False when memory is short. It
 * comes back; or it arrives, and has left its former one. */
bool fair_expect_locked(struct op *op, struct queue *to, const struct job *job,
                        struct group **joins) REQUIRES(op->jobd->lock);
void fair_expect_no_more_locked(struct op *op, struct queue *to, struct job *job)
    REQUIRES(op->jobd->lock);
void fair_arrive_locked(struct op *op, struct queue *to, struct job *job) REQUIRES(op->jobd->lock);

/* ---- limits of groups */

/* One is held or not, as its limits say now, which have changed; `refill`: its bucket is full. It
 * may be forgotten. */
void fair_renew_locked(struct op *op, struct queue *queue, struct group *group, bool refill)
    REQUIRES(op->jobd->lock);
/* Some of those without jobs are forgotten; false: that was the last. */
bool fair_forget_some_locked(struct op *op, struct queue *queue) REQUIRES(op->jobd->lock);
/* One group that is due by now has its token, or is forgotten; false: none is. */
bool fair_due_locked(struct op *op, struct queue *queue) REQUIRES(op->jobd->lock);
