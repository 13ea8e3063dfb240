/* SPDX-License-Identifier: MIT */
/* Whose jobs those of a queue are: a record for each group that has some, found by its name. It is
 * made when the first job of a group comes in and freed when the last one has ended, or when its
 * bucket is full again after that; until then it is idle. Counted in the memory. No lock of its
 * own. */
#pragma once

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/heap.h"
#include "base/rate.h"
#include "base/token_bucket.h"
#include "engine/job_table.h"

/* By the number of its jobs that wait or run: class n has less than 2^n, and those below fewer. */
enum { BUSY_CLASSES = 33 };
/* That are idle, at most, however much memory there is. Beyond that the first of its queue that
 * became so is forgotten: if a job of it comes in, its bucket is full. */
enum { GROUPS_IDLE_MAX = 1 << 18 };

struct group {
    RB_ENTRY(group) by_name;
    TAILQ_ENTRY(group) alike; /* of its class; or of those that are idle */
    uint32_t holders;         /* extras that have it; 0: it is idle */
    uint32_t waiting;         /* its jobs that wait, those on their way in included */
    uint32_t running;
    uint32_t queued; /* of those that wait: in `jobs` */
    uint32_t number; /* in the order in which they were made */
    uint8_t busy;    /* its class */
    bool held;       /* at its limit: no job of it may begin */
    struct token_bucket bucket;
    struct rate rate; /* of takes */
    struct due due;   /* held, with jobs: when its bucket has a token; idle: when that is full */
    struct job_list jobs[JOBD_PRIORITIES];
    TAILQ_ENTRY(group) link[JOBD_PRIORITIES]; /* of the lanes where it has jobs */
    char name[];                              /* "": of the jobs without a group */
};

RB_HEAD(group_tree, group);
RB_PROTOTYPE(group_tree, group, by_name, group_compare)
TAILQ_HEAD(group_list, group);

struct groups {
    struct group_tree tree;
    struct group_list busy[BUSY_CLASSES], idle;
    uint32_t len; /* those that are not idle */
    uint32_t made;
};

void groups_init(struct groups *groups);
/* Frees all of them; what they counted for is not given back. */
void groups_release(struct groups *groups);
/* NULL: there is none. */
struct group *groups_find(struct groups *groups, const char *name);
/* The first whose name is not before that one; NULL: there is none. */
struct group *groups_from(struct groups *groups, const char *name);
/* A new one, idle, its bucket empty of all; NULL when memory is short. */
struct group *groups_make(struct groups *groups, struct jobs *jobs, const char *name);
/* One that is idle, and in no heap. */
void groups_free(struct groups *groups, struct jobs *jobs, struct group *group);
/* One more extra has it, or one less: true when it is idle from now on. */
void groups_hold(struct groups *groups, struct jobs *jobs, struct group *group);
bool groups_let_go(struct groups *groups, struct jobs *jobs, struct group *group);
/* After its numbers have changed. */
void groups_classify(struct groups *groups, struct group *group);
/* One that is in no tree: for jobs without a group. */
struct group *group_new(const char *name);
