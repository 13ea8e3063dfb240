/* SPDX-License-Identifier: MIT */
/* The model: limits and turns. Who has jobs, and who is next, is looked up in all the jobs; kept
 * are what has happened only: tokens taken, and when a group came to the end of a lane. */
#include "engine/model/model_inside.h"

#include <string.h>

#include "base/verify.h"

/* ---- tokens: so many parts of one come each microsecond, per_us make one */

static int64_t size_of(const struct jobd_limits *limits)
{
    return limits->starts * limits->per_us;
}

static int64_t tokens_at(const struct model_bucket *bucket, const struct jobd_limits *limits,
                         int64_t now_us)
{
    int64_t parts = bucket->parts + (now_us - bucket->at_us) * limits->starts;
    return parts < size_of(limits) ? parts : size_of(limits);
}

void model_fill(const struct model *model, struct model_bucket *bucket,
                const struct jobd_limits *limits)
{
    *bucket = (struct model_bucket){.parts = size_of(limits), .at_us = model->now_us};
}

static bool has_token(const struct model *model, const struct model_bucket *bucket,
                      const struct jobd_limits *limits)
{
    return limits->starts == 0 || tokens_at(bucket, limits, model->now_us) >= limits->per_us;
}

static void take_token(const struct model *model, struct model_bucket *bucket,
                       const struct jobd_limits *limits)
{
    if (limits->starts == 0)
        return;
    bucket->parts = tokens_at(bucket, limits, model->now_us) - limits->per_us;
    verify(bucket->parts >= 0);
    bucket->at_us = model->now_us;
}

/* When it had so many parts, or will have. */
static int64_t when(const struct model_bucket *bucket, const struct jobd_limits *limits,
                    int64_t parts)
{
    int64_t missing = parts - bucket->parts;
    return missing > 0 ? bucket->at_us + (missing + limits->starts - 1) / limits->starts
                       : bucket->at_us;
}

/* ---- whose */

unsigned model_group_of(const struct model_job *job)
{
    unsigned group = 0;
    while (group < GROUPS && model_groups[group] != job->texts[JOBD_GROUP])
        group++;
    verify(group < GROUPS);
    return group;
}

static unsigned count(const struct model *model, unsigned queue, unsigned group,
                      enum jobd_state state)
{
    unsigned found = 0;
    for (unsigned i = 0; i < model->jobs_len; i++) {
        const struct model_job *job = &model->jobs[i];
        found += job->queue == queue && job->state == state && !job->forgotten &&
                 model_group_of(job) == group;
    }
    return found;
}

static unsigned queued_in(const struct model *model, const struct model_job *like)
{
    unsigned found = 0;
    for (unsigned i = 0; i < model->jobs_len; i++) {
        const struct model_job *job = &model->jobs[i];
        found += job != like && job->queue == like->queue && job->state == JOBD_QUEUED &&
                 job->priority == like->priority && model_group_of(job) == model_group_of(like);
    }
    return found;
}

unsigned model_waiting_of(const struct model *model, unsigned queue, unsigned group)
{
    return count(model, queue, group, JOBD_QUEUED) + count(model, queue, group, JOBD_SCHEDULED) +
           count(model, queue, group, JOBD_BLOCKED);
}

static bool has_jobs(const struct model *model, unsigned queue, unsigned group)
{
    return model_waiting_of(model, queue, group) + count(model, queue, group, JOBD_RUNNING) > 0;
}

bool model_takes_turns(const struct model *model, unsigned queue)
{
    return model->limits[queue].by_group;
}

size_t model_group_bytes(const struct model *model)
{
    size_t bytes = 0;
    for (unsigned queue = 0; queue < QUEUES; queue++)
        for (unsigned group = 1; group < GROUPS; group++)
            if (model->groups[queue][group].made)
                bytes += model->group + strlen(model_groups[group]);
    return bytes;
}

static unsigned idle_groups(const struct model *model)
{
    unsigned idle = 0;
    for (unsigned queue = 0; queue < QUEUES; queue++)
        for (unsigned group = 1; group < GROUPS; group++)
            idle += model->groups[queue][group].made && model->groups[queue][group].idle_since > 0;
    return idle;
}

static void forget_first_idle(struct model *model, unsigned queue)
{
    struct model_group *first = NULL;
    for (unsigned group = 1; group < GROUPS; group++) {
        struct model_group *at = &model->groups[queue][group];
        if (at->made && at->idle_since > 0 && (first == NULL || at->idle_since < first->idle_since))
            first = at;
    }
    first->made = false;
}

/* ---- at its limit or not */

static void review(struct model *model, unsigned queue, unsigned group)
{
    const struct jobd_limits *limits = &model->limits[queue].group_limits;
    struct model_group *at = &model->groups[queue][group];
    bool held =
        group > 0 &&
        (!has_token(model, &at->bucket, limits) ||
         (limits->running > 0 && count(model, queue, group, JOBD_RUNNING) >= limits->running));
    if (at->held && !held)
        for (unsigned lane = 0; lane < JOBD_PRIORITIES; lane++)
            at->since[lane] = ++model->clock;
    at->held = held;
}

void model_join(struct model *model, unsigned queue, unsigned group)
{
    struct model_group *at = &model->groups[queue][group];
    if (!model_takes_turns(model, queue) || group == 0)
        return;
    if (!at->made) {
        *at = (struct model_group){.made = true, .number = model->groups_made[queue]++};
        model_fill(model, &at->bucket, &model->limits[queue].group_limits);
    }
    if (at->idle_since > 0 || !has_jobs(model, queue, group)) {
        at->idle_since = 0;
        review(model, queue, group);
    }
}

static void let_go(struct model *model, unsigned queue, unsigned group)
{
    struct model_group *at = &model->groups[queue][group];
    const struct jobd_limits *limits = &model->limits[queue].group_limits;
    if (limits->starts == 0 || tokens_at(&at->bucket, limits, model->now_us) == size_of(limits)) {
        at->made = false;
        return;
    }
    at->idle_since = ++model->clock;
    if (idle_groups(model) > MEMORY / 8 / (model->group - 1 + JOBD_GROUP_SIZE))
        forget_first_idle(model, queue);
}

void model_quit(struct model *model, unsigned queue, unsigned group)
{
    const struct model_group *at = &model->groups[queue][group];
    if (model_takes_turns(model, queue) && at->made && at->idle_since == 0 &&
        !has_jobs(model, queue, group))
        let_go(model, queue, group);
}

bool model_group_has_room(const struct model *model, unsigned queue, unsigned group, unsigned jobs)
{
    unsigned most = model->limits[queue].group_waiting;
    return !model_takes_turns(model, queue) || group == 0 || most == 0 ||
           model_waiting_of(model, queue, group) + jobs <= most;
}

/* ---- lanes */

void model_enter(struct model *model, struct model_job *job)
{
    unsigned group = model_group_of(job);
    struct model_group *at = &model->groups[job->queue][group];
    job->order = (int)++model->clock;
    if (!model_takes_turns(model, job->queue))
        return;
    if (queued_in(model, job) == 0)
        at->since[job->priority] = ++model->clock;
    if (count(model, job->queue, group, JOBD_QUEUED) == 1)
        review(model, job->queue, group);
}

static bool is_before(const struct model *model, const struct model_job *job,
                      const struct model_job *other)
{
    unsigned group = model_group_of(job), others = model_group_of(other);
    const struct model_group *groups = model->groups[job->queue];
    if (!model_takes_turns(model, job->queue) || group == others)
        return job->order < other->order;
    return groups[group].since[job->priority] < groups[others].since[job->priority];
}

struct model_job *model_first_in(struct model *model, unsigned queue, unsigned lane)
{
    struct model_job *first = NULL;
    for (unsigned i = 0; i < model->jobs_len; i++) {
        struct model_job *job = &model->jobs[i];
        if (job->queue != queue || job->state != JOBD_QUEUED || job->priority != lane ||
            (model_takes_turns(model, queue) && model->groups[queue][model_group_of(job)].held))
            continue;
        if (first == NULL || is_before(model, job, first))
            first = job;
    }
    return first;
}

bool model_limits_let(const struct model *model, unsigned queue)
{
    const struct jobd_limits *limits = &model->limits[queue].limits;
    return (limits->running == 0 || model_count(model, queue, JOBD_RUNNING) < limits->running) &&
           has_token(model, &model->buckets[queue], limits);
}

void model_started(struct model *model, const struct model_job *job)
{
    unsigned group = model_group_of(job);
    struct model_group *at = &model->groups[job->queue][group];
    take_token(model, &model->buckets[job->queue], &model->limits[job->queue].limits);
    if (!model_takes_turns(model, job->queue))
        return;
    at->since[job->priority] = ++model->clock;
    if (group > 0)
        take_token(model, &at->bucket, &model->limits[job->queue].group_limits);
    review(model, job->queue, group);
}

void model_left(struct model *model, unsigned queue, unsigned group)
{
    if (!model_takes_turns(model, queue))
        return;
    review(model, queue, group);
    model_quit(model, queue, group);
}

/* ---- time */

/* The moment at which a group is looked at; JOBD_NEVER. */
static int64_t due_us(const struct model *model, unsigned queue, unsigned group)
{
    const struct jobd_limits *limits = &model->limits[queue].group_limits;
    const struct model_group *at = &model->groups[queue][group];
    if (!at->made || limits->starts == 0)
        return JOBD_NEVER;
    if (at->idle_since > 0)
        return when(&at->bucket, limits, size_of(limits));
    bool runs = limits->running == 0 || count(model, queue, group, JOBD_RUNNING) < limits->running;
    bool waits = at->held && runs && count(model, queue, group, JOBD_QUEUED) > 0;
    return waits ? when(&at->bucket, limits, limits->per_us) : JOBD_NEVER;
}

void model_await_token(struct model *model, unsigned queue)
{
    const struct jobd_limits *limits = &model->limits[queue].limits;
    const struct model_bucket *bucket = &model->buckets[queue];
    if (model_is_asked(model, queue) && model_count(model, queue, JOBD_QUEUED) > 0 &&
        !has_token(model, bucket, limits))
        model->token_at_us[queue] = when(bucket, limits, limits->per_us);
}

/* 0: none has a moment. */
static unsigned first_group(const struct model *model, unsigned queue)
{
    unsigned first = 0;
    for (unsigned group = 1; group < GROUPS; group++) {
        int64_t us = due_us(model, queue, group),
                first_us = first > 0 ? due_us(model, queue, first) : JOBD_NEVER;
        const struct model_group *groups = model->groups[queue];
        if (us < first_us ||
            (us == first_us && us != JOBD_NEVER && groups[group].number < groups[first].number))
            first = group;
    }
    return first;
}

/* When a token comes that somebody waits for, or a group is looked at. */
static int64_t limits_at_us(const struct model *model, unsigned queue)
{
    unsigned group = first_group(model, queue);
    int64_t us = group > 0 ? due_us(model, queue, group) : JOBD_NEVER;
    return us < model->token_at_us[queue] ? us : model->token_at_us[queue];
}

static void see_to(struct model *model, unsigned queue)
{
    unsigned group = first_group(model, queue);
    if (group > 0 && due_us(model, queue, group) <= model->now_us) {
        if (model->groups[queue][group].idle_since > 0)
            model->groups[queue][group].made = false;
        else
            review(model, queue, group);
    }
    if (model->token_at_us[queue] <= model->now_us)
        model->token_at_us[queue] = JOBD_NEVER;
    model_settle(model, queue);
}

void model_limits_due(struct model *model)
{
    for (;;) {
        unsigned first = 0;
        for (unsigned queue = 1; queue < QUEUES; queue++)
            if (limits_at_us(model, queue) < limits_at_us(model, first))
                first = queue;
        if (limits_at_us(model, first) > model->now_us)
            break;
        see_to(model, first);
    }
}

/* ---- changes */

static bool lives(const struct model_job *job, unsigned queue)
{
    return job->queue == queue && !model_final(job);
}

static bool is_last(const struct model *model, const struct model_job *job)
{
    for (unsigned i = 0; i < model->jobs_len; i++) {
        const struct model_job *other = &model->jobs[i];
        if (other->id > job->id && lives(other, job->queue) &&
            model_group_of(other) == model_group_of(job))
            return false;
    }
    return true;
}

/* All in the order of their ids. */
static void begin_turns(struct model *model, unsigned queue)
{
    struct model_group *groups = model->groups[queue];
    bool seen[GROUPS][JOBD_PRIORITIES] = {{false}};
    for (unsigned i = 0; i < model->jobs_len; i++) {
        struct model_job *job = &model->jobs[i];
        if (!lives(job, queue))
            continue;
        unsigned group = model_group_of(job);
        model_join(model, queue, group);
        groups[group].idle_since = 0;
        if (group != 0) /* which takes memory */
            (void)model_make_room(model, 0);
        if (job->state != JOBD_QUEUED)
            continue;
        job->order = (int)++model->clock;
        if (!seen[group][job->priority])
            groups[group].since[job->priority] = ++model->clock;
        seen[group][job->priority] = true;
    }
}

static void end_turns(struct model *model, unsigned queue)
{
    for (unsigned i = 0; i < model->jobs_len; i++) {
        struct model_job *job = &model->jobs[i];
        if (!lives(job, queue))
            continue;
        if (job->state == JOBD_QUEUED)
            job->order = (int)++model->clock;
        if (model_group_of(job) > 0 && is_last(model, job))
            let_go(model, queue, model_group_of(job));
    }
}

static void review_all(struct model *model, unsigned queue, bool refill)
{
    const struct jobd_limits *limits = &model->limits[queue].group_limits;
    for (unsigned group = 1; group < GROUPS; group++) { /* they are in the order of their names */
        struct model_group *at = &model->groups[queue][group];
        if (!at->made)
            continue;
        if (refill)
            model_fill(model, &at->bucket, limits);
        if (at->idle_since > 0 && tokens_at(&at->bucket, limits, model->now_us) == size_of(limits))
            at->made = false;
        else
            review(model, queue, group);
    }
}

static bool same_rate(const struct jobd_limits *one, const struct jobd_limits *other)
{
    return one->starts == other->starts && one->per_us == other->per_us;
}

/* Of groups alone. */
static void change_groups(struct model *model, unsigned queue, const struct model_limits *limits)
{
    struct model_limits *now = &model->limits[queue];
    bool was_on = now->by_group;
    bool refill = limits->by_group && !same_rate(&now->group_limits, &limits->group_limits);
    if (!was_on && !limits->by_group)
        return;
    bool same = was_on && limits->by_group && !refill &&
                now->group_limits.running == limits->group_limits.running;
    if (limits->by_group) {
        now->group_limits = limits->group_limits;
        now->group_waiting = limits->group_waiting;
    }
    now->by_group = limits->by_group;
    if (same)
        return;
    if (!was_on)
        begin_turns(model, queue);
    else if (!limits->by_group)
        end_turns(model, queue);
    review_all(model, queue, refill);
    model_settle(model, queue);
}

void model_change_limits(struct model *model, unsigned queue, const struct model_limits *limits)
{
    change_groups(model, queue, limits);
    if (!same_rate(&model->limits[queue].limits, &limits->limits)) {
        model_fill(model, &model->buckets[queue], &limits->limits);
        model->token_at_us[queue] = JOBD_NEVER;
    }
    model->limits[queue].limits = limits->limits;
}

static struct jobd_limits random_limits(struct model *model)
{
    return (struct jobd_limits){
        .running = below(model, 3), .starts = below(model, 4), .per_us = 1 + below(model, 4000)};
}

void model_step_limits(struct model *model)
{
    const unsigned queue = below(model, QUEUES);
    struct jobd_queue_config config = model_queues[queue];
    if (below(model, 3) > 0)
        config.limits = random_limits(model);
    if (below(model, 3) > 0) {
        config.by_group = below(model, 4) > 0;
        config.group_limits = random_limits(model);
        config.group_waiting = below(model, 4);
    }
    const struct model_limits limits = model_limits_of(&config);
    verify(jobd_queue_change(model->jobd, queue, &config, model->now_us) == 0);
    model_change_limits(model, queue, &limits);
    model_settle(model, queue);
}

struct model_limits model_limits_of(const struct jobd_queue_config *config)
{
    return (struct model_limits){.limits = config->limits,
                                 .group_limits = config->group_limits,
                                 .group_waiting = config->group_waiting,
                                 .by_group = config->by_group};
}

/* ---- what is said of it */

static unsigned held_back(const struct model *model, unsigned queue)
{
    unsigned held = 0;
    if (!model_limits_let(model, queue))
        return model_count(model, queue, JOBD_QUEUED);
    for (unsigned group = 0; model_takes_turns(model, queue) && group < GROUPS; group++)
        if (model->groups[queue][group].held)
            held += count(model, queue, group, JOBD_QUEUED);
    return held;
}

static void compare_busiest(const struct model *model, unsigned queue, uint32_t groups)
{
    struct jobd_group_stats list[JOBD_BUSIEST_MAX];
    size_t len = jobd_busiest(model->jobd, queue, list, JOBD_BUSIEST_MAX);
    uint32_t before = UINT32_MAX;
    verify(len == groups);
    for (size_t i = 0; i < len; i++) {
        unsigned group = 1;
        while (strcmp(model_groups[group], list[i].name) != 0)
            verify(++group < GROUPS);
        verify(list[i].waiting == model_waiting_of(model, queue, group));
        verify(list[i].running == count(model, queue, group, JOBD_RUNNING));
        verify(list[i].waiting + list[i].running <= before);
        before = list[i].waiting + list[i].running;
    }
}

void model_compare_turns(const struct model *model, unsigned queue, const struct jobd_stats *stats)
{
    uint32_t groups = 0;
    for (unsigned group = 1; model_takes_turns(model, queue) && group < GROUPS; group++)
        groups += has_jobs(model, queue, group);
    verify(stats->by_group == model_takes_turns(model, queue));
    verify(stats->groups == groups && stats->held_back == held_back(model, queue));
    compare_busiest(model, queue, groups);
}
