/* SPDX-License-Identifier: MIT */
#include "engine/fair.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/container.h"
#include "engine/limits.h"

int fair_init(struct queue *queue, uint32_t idle_max)
{
    struct fair *fair = calloc(1, sizeof *fair);
    if (fair == NULL)
        return -ENOMEM;
    fair->none = group_new("");
    if (fair->none == NULL || heap_init(&fair->dues, queue->room + idle_max + 1) != 0) {
        free(fair->none);
        free(fair);
        return -ENOMEM;
    }
    groups_init(&fair->groups);
    for (unsigned lane = 0; lane < JOBD_PRIORITIES; lane++) {
        TAILQ_INIT(&fair->eligible[lane]);
        TAILQ_INIT(&fair->held[lane]);
    }
    fair->below = UINT64_MAX;
    queue->fair = fair;
    return 0;
}

int fair_init_on(struct queue *queue, const struct jobd_queue_config *config, uint32_t idle_max)
{
    int error = fair_init(queue, idle_max);
    if (error != 0)
        return error;
    queue->fair->on = true;
    queue->fair->limits = config->group_limits;
    queue->fair->waiting_max = config->group_waiting;
    return 0;
}

void fair_release(struct queue *queue)
{
    struct fair *fair = queue->fair;
    if (fair == NULL)
        return;
    groups_release(&fair->groups);
    heap_release(&fair->dues);
    free(fair->none);
    free(fair);
    queue->fair = NULL;
}

/* ---- limits of groups */

static bool may_run_more(const struct fair *fair, const struct group *group)
{
    return fair->limits.running == 0 || group->running < fair->limits.running;
}

/* In every lane behind the others. */
static void change_lists(struct fair *fair, struct group *group, bool held)
{
    for (unsigned lane = 0; lane < JOBD_PRIORITIES; lane++) {
        if (TAILQ_EMPTY(&group->jobs[lane]))
            continue;
        TAILQ_REMOVE(group->held ? &fair->held[lane] : &fair->eligible[lane], group, link[lane]);
        TAILQ_INSERT_TAIL(held ? &fair->held[lane] : &fair->eligible[lane], group, link[lane]);
    }
    fair->held_jobs += held ? group->queued : 0;
    fair->held_jobs -= held ? 0 : group->queued;
    group->held = held;
}

/* When it is to be looked at without anything else having happened. */
static int64_t due_us(const struct fair *fair, const struct group *group, int64_t now_us)
{
    const struct token_rate rate = rate_of(&fair->limits);
    if (group->holders == 0)
        return token_bucket_full_at(&group->bucket, rate, now_us);
    bool waits = group->held && group->queued > 0 && may_run_more(fair, group);
    return waits ? token_bucket_when(&group->bucket, rate, now_us, 1) : JOBD_NEVER;
}

static void place_locked(struct op *op, struct queue *queue, struct group *group)
    REQUIRES(op->jobd->lock)
{
    struct fair *fair = queue->fair;
    int64_t at_us = due_us(fair, group, op->now_us);
    if (at_us == JOBD_NEVER && group->due.place == 0)
        return;
    heap_remove(&fair->dues, &group->due);
    group->due.order = group->number;
    if (at_us != JOBD_NEVER)
        heap_push(&fair->dues, &group->due, at_us);
    limits_place_locked(op, queue);
}

/* Held or not, as its limits say now. */
static void review_locked(struct op *op, struct queue *queue, struct group *group)
    REQUIRES(op->jobd->lock)
{
    struct fair *fair = queue->fair;
    if (group == fair->none)
        return;
    bool held = !may_run_more(fair, group) ||
                !token_bucket_has(&group->bucket, rate_of(&fair->limits), op->now_us);
    if (held != group->held)
        change_lists(fair, group, held);
    if (fair->limits.starts > 0 || group->due.place != 0)
        place_locked(op, queue, group);
}

static void forget_locked(struct op *op, struct queue *queue, struct group *group)
    REQUIRES(op->jobd->lock)
{
    heap_remove(&queue->fair->dues, &group->due);
    limits_place_locked(op, queue);
    groups_free(&queue->fair->groups, &op->jobd->jobs, group);
}

void fair_renew_locked(struct op *op, struct queue *queue, struct group *group, bool refill)
{
    const struct token_rate rate = rate_of(&queue->fair->limits);
    if (refill)
        token_bucket_fill(&group->bucket, rate, op->now_us);
    if (group->holders == 0 && token_bucket_is_full(&group->bucket, rate, op->now_us))
        forget_locked(op, queue, group);
    else
        review_locked(op, queue, group);
}

bool fair_forget_some_locked(struct op *op, struct queue *queue)
{
    struct group *group = NULL;
    for (unsigned left = OP_STEPS;
         left > 0 && (group = TAILQ_FIRST(&queue->fair->groups.idle)) != NULL; left--)
        forget_locked(op, queue, group);
    return group != NULL;
}

bool fair_due_locked(struct op *op, struct queue *queue)
{
    struct due *due = queue->fair != NULL ? heap_top(&queue->fair->dues) : NULL;
    if (due == NULL || due->at_us > op->now_us)
        return false;
    struct group *group = container_of(due, struct group, due);
    if (group->holders == 0)
        forget_locked(op, queue, group);
    else
        review_locked(op, queue, group);
    return true;
}

/* ---- lanes */

static struct group *group_of(const struct queue *queue, const struct job *job)
{
    bool has = job->extra != NULL && job->extra->group != NULL;
    return has ? job->extra->group : queue->fair->none;
}

static struct group_list *list_of(struct fair *fair, const struct group *group, unsigned lane)
{
    return group->held ? &fair->held[lane] : &fair->eligible[lane];
}

struct job *fair_first(const struct queue *queue, unsigned lane)
{
    const struct group *group = TAILQ_FIRST(&queue->fair->eligible[lane]);
    return group != NULL ? TAILQ_FIRST(&group->jobs[lane]) : NULL;
}

void fair_enter_locked(struct op *op, struct queue *queue, struct job *job)
{
    struct fair *fair = queue->fair;
    struct group *group = group_of(queue, job);
    const unsigned lane = job->priority;
    if (TAILQ_EMPTY(&group->jobs[lane]))
        TAILQ_INSERT_TAIL(list_of(fair, group, lane), group, link[lane]);
    TAILQ_INSERT_TAIL(&group->jobs[lane], job, link);
    fair->held_jobs += group->held;
    if (group->queued++ == 0)
        rate_waits(&group->rate, op->now_us);
    if (group->queued == 1)
        review_locked(op, queue, group);
}

static void leave(struct queue *queue, struct group *group, struct job *job)
{
    struct fair *fair = queue->fair;
    const unsigned lane = job->priority;
    TAILQ_REMOVE(&group->jobs[lane], job, link);
    fair->held_jobs -= group->held;
    group->queued--;
    if (TAILQ_EMPTY(&group->jobs[lane]))
        TAILQ_REMOVE(list_of(fair, group, lane), group, link[lane]);
}

void fair_leave_locked(struct op *op, struct queue *queue, struct job *job)
{
    struct group *group = group_of(queue, job);
    leave(queue, group, job);
    if (group->queued == 0)
        review_locked(op, queue, group);
}

/* It was served in this lane, where it has jobs. */
static void go_behind(struct queue *queue, struct group *group, unsigned lane)
{
    struct group_list *list = list_of(queue->fair, group, lane);
    TAILQ_REMOVE(list, group, link[lane]);
    TAILQ_INSERT_TAIL(list, group, link[lane]);
}

void fair_take_locked(struct op *op, struct queue *queue, struct job *job)
{
    struct group *group = group_of(queue, job);
    const unsigned lane = job->priority;
    verify(TAILQ_FIRST(&queue->fair->eligible[lane]) == group);
    verify(TAILQ_FIRST(&group->jobs[lane]) == job);
    leave(queue, group, job);
    rate_taken(&group->rate, op->now_us);
    if (!TAILQ_EMPTY(&group->jobs[lane]))
        go_behind(queue, group, lane);
}

static int64_t oldest_in(const struct group_list *list, unsigned lane, int64_t now_us,
                         unsigned *looks)
{
    int64_t oldest_us = 0;
    const struct group *group;
    TAILQ_FOREACH (group, list, link[lane]) {
        if (*looks == 0)
            break;
        int64_t age_us = now_us - TAILQ_FIRST(&group->jobs[lane])->ready_us;
        oldest_us = age_us > oldest_us ? age_us : oldest_us;
        --*looks;
    }
    return oldest_us;
}

int64_t fair_oldest_us(const struct queue *queue, unsigned lane, int64_t now_us, unsigned *looks)
{
    const struct fair *fair = queue->fair;
    int64_t eligible_us = oldest_in(&fair->eligible[lane], lane, now_us, looks);
    int64_t held_us = oldest_in(&fair->held[lane], lane, now_us, looks);
    return eligible_us > held_us ? eligible_us : held_us;
}

/* ---- whose they are */

static const char *name_of(const struct job_extra *extra)
{
    return extra != NULL ? jobd_text(extra->words, JOBD_GROUP) : "";
}

/* NULL when memory is short. */
static struct group *find_or_make_locked(struct op *op, struct queue *queue, const char *name)
    REQUIRES(op->jobd->lock)
{
    struct fair *fair = queue->fair;
    struct group *group = groups_find(&fair->groups, name);
    if (group != NULL)
        return group;
    group = groups_make(&fair->groups, &op->jobd->jobs, name);
    if (group != NULL)
        token_bucket_fill(&group->bucket, rate_of(&fair->limits), op->now_us);
    return group;
}

static void hold_locked(struct op *op, struct queue *queue, struct group *group)
    REQUIRES(op->jobd->lock)
{
    bool was_idle = group->holders == 0;
    groups_hold(&queue->fair->groups, &op->jobd->jobs, group);
    if (was_idle)
        review_locked(op, queue, group);
}

/* When it is idle it stays until its bucket is full again, as long as there are not too many. */
static void let_go_locked(struct op *op, struct queue *queue, struct group *group)
    REQUIRES(op->jobd->lock)
{
    struct jobs *jobs = &op->jobd->jobs;
    struct fair *fair = queue->fair;
    if (!groups_let_go(&fair->groups, jobs, group))
        return;
    if (token_bucket_is_full(&group->bucket, rate_of(&fair->limits), op->now_us)) {
        forget_locked(op, queue, group);
        return;
    }
    place_locked(op, queue, group);
    if (jobs->idle_groups > op->jobd->idle_groups_max)
        forget_locked(op, queue, TAILQ_FIRST(&fair->groups.idle));
}

const struct group *fair_find(const struct queue *queue, const struct job_extra *extra)
{
    return groups_find(&queue->fair->groups, name_of(extra));
}

static bool has_room(const struct fair *fair, const struct group *group)
{
    return fair->waiting_max == 0 || group->waiting < fair->waiting_max;
}

static void count(struct queue *queue, struct group *group, int jobs)
{
    group->waiting += (uint32_t)jobs;
    groups_classify(&queue->fair->groups, group);
}

enum jobd_result fair_join_locked(struct op *op, struct queue *queue, struct job_extra *extra)
{
    const char *name = name_of(extra);
    if (name[0] == '\0')
        return JOBD_OK;
    struct group *group = find_or_make_locked(op, queue, name);
    if (group == NULL)
        return JOBD_OUT_OF_MEMORY;
    if (!has_room(queue->fair, group))
        return JOBD_GROUP_FULL;
    hold_locked(op, queue, group);
    extra->group = group;
    count(queue, group, 1);
    return JOBD_OK;
}

static void drop_locked(struct op *op, struct queue *queue, struct job_extra *extra)
    REQUIRES(op->jobd->lock)
{
    struct group *group = extra->group;
    extra->group = NULL;
    let_go_locked(op, queue, group);
}

void fair_quit_locked(struct op *op, struct queue *queue, struct job_extra *extra)
{
    if (extra == NULL || extra->group == NULL)
        return;
    count(queue, extra->group, -1);
    drop_locked(op, queue, extra);
}

/* It counts in its group, by its state, or no longer. */
static void count_job_locked(struct op *op, struct queue *queue, const struct job *job, int jobs)
    REQUIRES(op->jobd->lock)
{
    struct group *group = job->extra->group;
    if (job->state != JOBD_RUNNING) {
        count(queue, group, jobs);
        return;
    }
    group->running += (uint32_t)jobs;
    groups_classify(&queue->fair->groups, group);
    review_locked(op, queue, group);
}

static void leave_group_locked(struct op *op, struct queue *queue, struct job *job)
    REQUIRES(op->jobd->lock)
{
    count_job_locked(op, queue, job, -1);
    drop_locked(op, queue, job->extra);
}

void fair_settle_locked(struct op *op, struct queue *queue, struct job *job)
{
    const char *name = name_of(job->extra);
    bool shall = fair_has(queue, job->id);
    if (name[0] == '\0' || shall == (job->extra->group != NULL))
        return;
    if (!shall) {
        leave_group_locked(op, queue, job);
        return;
    }
    struct group *group = find_or_make_locked(op, queue, name);
    if (group == NULL)
        return;
    hold_locked(op, queue, group);
    job->extra->group = group;
    count_job_locked(op, queue, job, 1);
    if (op->jobd->share == NULL) /* else whoever has the turn sees to it */
        (void)jobs_make_room(&op->jobd->jobs, 0, op);
}

bool fair_same_group(const struct job *job, const struct job_content *content)
{
    return strcmp(name_of(job->extra), name_of(content->extra)) == 0;
}

bool fair_same_name(const struct job *job, const char *name)
{
    return strcmp(name_of(job->extra), name != NULL ? name : "") == 0;
}

void fair_exchange_locked(struct op *op, struct queue *queue, struct job *job,
                          struct job_content *content)
{
    struct job_extra *before = job->extra;
    struct group *group = before->group;
    bool same = fair_same_group(job, content);
    if (group != NULL && same)
        before->group = NULL;
    else if (group != NULL)
        leave_group_locked(op, queue, job);
    jobs_exchange(&op->jobd->jobs, job, content);
    if (same)
        job->extra->group = group;
    else if (job->extra->group == NULL)
        fair_settle_locked(op, queue, job);
}

void fair_detach_locked(struct op *op, struct queue *queue, struct job *job)
{
    if (job->extra != NULL && job->extra->group != NULL)
        leave_group_locked(op, queue, job);
}

/* NULL: it has none there; or it has ended, and was the last. */
static struct group *group_named_by(const struct queue *queue, const struct job *job)
{
    if (!fair_has(queue, job->id))
        return NULL;
    const char *name = name_of(job->extra);
    return name[0] != '\0' ? groups_find(&queue->fair->groups, name) : queue->fair->none;
}

void fair_begun_locked(struct op *op, struct queue *queue, struct job *job)
{
    struct group *group = group_named_by(queue, job);
    if (group == NULL || group == queue->fair->none)
        return;
    token_bucket_take(&group->bucket, rate_of(&queue->fair->limits), op->now_us);
    review_locked(op, queue, group);
}

void fair_served(struct queue *queue, const struct job *job)
{
    struct group *group = group_named_by(queue, job);
    if (group != NULL && !TAILQ_EMPTY(&group->jobs[job->priority]))
        go_behind(queue, group, job->priority);
}

void fair_moved_locked(struct op *op, struct job *job, unsigned from)
{
    struct queue *queue = &op->jobd->queues[job->queue];
    struct group *group = job->extra->group;
    bool runs = job->state == JOBD_RUNNING, ran = from == JOBD_RUNNING;
    bool ends = job_has_ended(job);
    group->running += runs;
    group->running -= ran;
    group->waiting += ran && !ends;
    group->waiting -= runs || (ends && !ran);
    groups_classify(&queue->fair->groups, group);
    if (runs)
        token_bucket_take(&group->bucket, rate_of(&queue->fair->limits), op->now_us);
    if (runs || ran)
        review_locked(op, queue, group);
    if (ends)
        drop_locked(op, queue, job->extra);
}

/* ---- to another queue */

static void let_one_go_locked(struct op *op, struct queue *queue, struct group *group)
    REQUIRES(op->jobd->lock)
{
    count(queue, group, -1);
    let_go_locked(op, queue, group);
}

bool fair_expect_locked(struct op *op, struct queue *to, const struct job *job,
                        struct group **joins)
{
    const char *name = name_of(job->extra);
    *joins = NULL;
    if (name[0] == '\0' || !fair_has(to, job->id))
        return true;
    struct group *group = find_or_make_locked(op, to, name);
    if (group == NULL)
        return false;
    hold_locked(op, to, group);
    count(to, group, 1);
    if (!jobs_make_room(&op->jobd->jobs, 0, op)) {
        let_one_go_locked(op, to, group);
        return false;
    }
    *joins = group;
    return true;
}

void fair_expect_no_more_locked(struct op *op, struct queue *to, struct job *job)
{
    struct group *group = job->joins;
    job->joins = NULL;
    if (group != NULL)
        let_one_go_locked(op, to, group);
}

/* Its group may be another by now, or the queue may serve its groups round robin no longer. */
void fair_arrive_locked(struct op *op, struct queue *to, struct job *job)
{
    fair_settle_locked(op, to, job);
    fair_expect_no_more_locked(op, to, job);
}
