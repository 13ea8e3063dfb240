/* SPDX-License-Identifier: MIT */
/* The queued jobs of a queue, a lane for each priority: a ring of their ids, or, where groups take
 * turns, the lists of these groups (fair.h). Under the engine's lock. */
#pragma once

#include "engine/engine.h"

/* Who is next in this lane; NULL: nobody is, or may begin. */
struct job *lane_first_locked(struct op *op, struct queue *queue, unsigned lane)
    REQUIRES(op->jobd->lock);
/* Is there one that may begin as far as its group is concerned? */
bool lanes_have_ready(const struct queue *queue);
/* Behind the others. */
void lane_enter_locked(struct op *op, struct queue *queue, struct job *job)
    REQUIRES(op->jobd->lock);
/* Out of wherever it stands. */
void lane_leave_locked(struct op *op, struct queue *queue, struct job *job)
    REQUIRES(op->jobd->lock);
/* The first of its lane begins. */
void lane_take_locked(struct op *op, struct queue *queue, struct job *job) REQUIRES(op->jobd->lock);
/* All that stand in the lane. Who puts them in another queue's, in this order, gets the same. */
typedef void lane_job(void *context, uint64_t id);
void lane_each(const struct queue *queue, unsigned lane, lane_job *each, void *context);
/* The longest wait among the first of each lane, as in jobd_stats. */
int64_t lanes_oldest_us_locked(struct jobd *jobd, const struct queue *queue, int64_t now_us)
    REQUIRES(jobd->lock);

/* Goes through all of a lane while its jobs leave it; to begin, zero but for the lane. */
struct lane_walk {
    unsigned lane;
    bool is_over;               /* all groups have been looked at */
    char name[JOBD_GROUP_SIZE]; /* of the one that is next; "": the jobs without a group */
};

/* The next one that has not left, if its id is below that: those that came later stand behind it.
 * Groups one after the other, at most *looks of them in vain, which are counted down. NULL: there
 * is none; or, with *looks 0, perhaps none. */
struct job *lane_next_below_locked(struct op *op, struct queue *queue, struct lane_walk *walk,
                                   uint64_t below, unsigned *looks) REQUIRES(op->jobd->lock);
