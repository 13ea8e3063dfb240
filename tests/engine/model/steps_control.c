/* SPDX-License-Identifier: MIT */
/* Steps that look at a job or a queue, or change its course: retry, cancel, pause, resize, watch,
 * purge, move. */
#include "engine/model/model_inside.h"

#include <errno.h>
#include <string.h>

#include "base/verify.h"

/* It lives again, if its group lets it. */
enum jobd_result model_retry_in_group(struct model *model, struct model_job *job)
{
    unsigned group = model_group_of(job);
    bool grouped = model->limits[job->queue].by_group;
    if (grouped && !model_group_has_room(model, job->queue, group, 1))
        return JOBD_GROUP_FULL;
    if (grouped)
        model_join(model, job->queue, group);
    size_t more = job->retained ? 0 : model_job_bytes(job);
    if (model_bytes(model, true) + more > MEMORY) {
        if (grouped)
            model_quit(model, job->queue, group);
        return JOBD_OUT_OF_MEMORY;
    }
    job->state = JOBD_SCHEDULED;
    verify(model_make_room(model, 0));
    return JOBD_OK;
}

void model_retried(struct model *model, struct model_job *job)
{
    job->state = JOBD_QUEUED;
    job->expiry_us = 0;
    job->retained = false;
    job->attempt = 0;
    job->output = job->error = 0;
    model_say_forget(job);
    model_enter(model, job);
}

void model_stop(struct model *model, struct model_job *job)
{
    if (job->token == 0) {
        job->stopping = true;
    } else {
        model_end_lease(model, job, NO_REPORT);
        if (job->room > 0) {
            job->output = job->used;
            job->error = 0;
        }
        model_say_end(job);
        model_end(model, job, JOBD_CANCELLED);
    }
}

void model_step_retry(struct model *model)
{
    uint64_t id = model->jobs_len == 0 ? 1 : model->next_id - 1 - below(model, 30);
    struct model_job *job = model_find(model, id);
    struct jobd_receipt receipt;
    enum jobd_result expected = JOBD_OK;
    if (job == NULL)
        expected = JOBD_NO_JOB;
    else if (!model_final(job))
        expected = JOBD_NOT_FINAL;
    else if (model->phase[job->queue] != OPEN)
        expected = JOBD_UNDECLARED;
    else if (model_waiting(model, job->queue) >= model->capacity[job->queue] ||
             model_first_putter(model, job->queue) != NULL)
        expected = JOBD_FULL;
    if (expected == JOBD_OK)
        expected = model_retry_in_group(model, job);
    verify(jobd_retry(model->jobd, id, NULL, model->now_us, &receipt) == expected);
    if (expected == JOBD_FULL || expected == JOBD_GROUP_FULL || expected == JOBD_OUT_OF_MEMORY)
        model->rejected[job->queue]++;
    if (expected != JOBD_OK)
        return;
    model_retried(model, job);
    model_settle(model, job->queue);
}

void model_step_cancel(struct model *model)
{
    uint64_t id = model->jobs_len == 0 ? 1 : model->next_id - 1 - below(model, 30);
    struct model_job *job = model_find(model, id);
    enum jobd_result expected = job == NULL                  ? JOBD_NO_JOB
                                : model_final(job)           ? JOBD_FINISHED
                                : job->state == JOBD_RUNNING ? JOBD_STOPPING
                                                             : JOBD_OK;
    verify(jobd_cancel(model->jobd, id, NULL, model->now_us) == expected);
    if (expected == JOBD_STOPPING) {
        model_stop(model, job);
        model_settle(model, job->queue);
    }
    if (expected == JOBD_OK) {
        model_end(model, job, JOBD_CANCELLED);
        model_settle(model, job->queue);
    }
}

void model_step_pause(struct model *model)
{
    unsigned queue = below(model, QUEUES);
    model->paused[queue] = below(model, 3) == 0;
    verify(jobd_pause(model->jobd, queue, model->paused[queue], NULL, model->now_us) == JOBD_OK);
    model_settle(model, queue);
}

static unsigned larger(unsigned one, unsigned other)
{
    return one > other ? one : other;
}

/* Sometimes beyond what there is room for: then nothing changes. */
void model_step_resize(struct model *model)
{
    unsigned queue = below(model, QUEUES);
    const struct jobd_queue_config *config = &model_queues[queue];
    unsigned capacity_max = larger(config->capacity, config->capacity_max);
    unsigned workers_max = larger(config->workers, config->workers_max);
    unsigned capacity = below(model, capacity_max + 2), workers = below(model, workers_max + 2);
    bool fits = capacity > 0 && capacity <= capacity_max && workers <= workers_max;
    verify((jobd_queue_resize(model->jobd, queue, capacity, workers, model->now_us) == 0) == fits);
    if (!fits)
        return;
    for (unsigned i = 0; i < TAKERS && workers < model->workers[queue]; i++)
        if (model->takers[i].waits && model->takers[i].queue == queue)
            model_expect(&model->takers[i], JOBD_TIMEOUT, 0);
    model->capacity[queue] = capacity;
    model->workers[queue] = workers;
    for (unsigned i = 0; i < PUTTERS; i++) {
        struct actor *putter = &model->put_waiters[i];
        unsigned jobs = model_jobs_of(&putter->put);
        if (!putter->waits || putter->is_in || putter->queue != queue || jobs <= capacity)
            continue;
        model->rejected[queue] += jobs;
        model_expect(putter, JOBD_FULL, 0);
    }
    model_settle(model, queue);
}

/* A queue takes no more jobs in and goes when it is empty; or it comes back. */
static void retire(struct model *model, unsigned queue)
{
    jobd_queue_retire(model->jobd, queue, model->now_us);
    model->phase[queue] = RETIRED;
    for (unsigned i = 0; i < PUTTERS; i++) {
        struct actor *putter = &model->put_waiters[i];
        if (putter->waits && !putter->is_in && putter->queue == queue)
            model_expect(putter, JOBD_UNDECLARED, 0);
    }
    model_settle(model, queue);
}

void model_step_come_and_go(struct model *model)
{
    const unsigned queue = below(model, QUEUES);
    struct jobd_queue_config config = model_queues[queue];
    uint32_t number;
    if (model->phase[queue] == OPEN && below(model, 3) == 0) {
        retire(model, queue);
        return;
    }
    config.capacity = 1 + below(model, larger(config.capacity, config.capacity_max) + 1);
    config.workers = below(model, larger(config.workers, config.workers_max) + 1);
    int result = jobd_queue_add(model->jobd, &config, model->now_us, &number);
    if (model->phase[queue] == OPEN) {
        verify(result == -EEXIST);
    } else if (config.capacity > larger(model_queues[queue].capacity, config.capacity_max)) {
        verify(result == -ENOSPC || result == -EINVAL); /* there was less room */
    } else {
        const struct model_limits limits = model_limits_of(&config);
        verify(result == 1 && number == queue);
        model_change_limits(model, queue, &limits);
        model->phase[queue] = OPEN;
        model->capacity[queue] = config.capacity;
        model->workers[queue] = config.workers;
        model_settle(model, queue);
    }
}

void model_step_watch(struct model *model)
{
    struct actor *watcher = &model->watchers[below(model, WATCHERS)];
    uint64_t id = model->next_id - 1 - below(model, 10);
    struct model_job *job = model_find(model, id);
    struct jobd_info info;
    if (watcher->waits)
        return;
    bool room = model_waiters(model) < WAITERS_MAX;
    model_begin(model, watcher, 0);
    watcher->waiter.wants_output = below(model, 2) == 0;
    watcher->id = id;
    enum jobd_result result = jobd_await(model->jobd, id, &watcher->waiter, &info);
    enum jobd_result expected = job == NULL        ? JOBD_NO_JOB
                                : model_final(job) ? JOBD_OK
                                : room             ? JOBD_PENDING
                                                   : JOBD_TOO_MANY_WAITERS;
    verify(result == expected);
    if (result == JOBD_OK)
        model_drop_output(watcher, job->output);
    watcher->waits = result == JOBD_PENDING;
}

/* Where groups take turns, group by group. */
static bool goes_before(const struct model *model, const struct model_job *job,
                        const struct model_job *other)
{
    unsigned group = model_group_of(job), others = model_group_of(other);
    bool groups = job->state == JOBD_QUEUED && model->limits[job->queue].by_group;
    return groups && group != others ? group < others : job->order < other->order;
}

/* The first that waits: of the scheduled ones, or of this lane. NULL when there is none. */
static struct model_job *first_of(struct model *model, unsigned queue, unsigned lane)
{
    struct model_job *first = NULL;
    for (unsigned i = 0; i < model->jobs_len; i++) {
        struct model_job *job = &model->jobs[i];
        bool here = lane == JOBD_PRIORITIES ? job->state == JOBD_SCHEDULED
                    : lane == JOBD_PRIORITIES + 1
                        ? job->state == JOBD_BLOCKED
                        : job->state == JOBD_QUEUED && job->priority == lane;
        if (job->queue == queue && here && !job->moves &&
            (first == NULL || goes_before(model, job, first)))
            first = job;
    }
    return first;
}

/* The one that a purge reaches next: scheduled ones go first, then lane by lane. In that order they
 * are forgotten. */
static struct model_job *next_to_purge(struct model *model, unsigned queue)
{
    struct model_job *next = first_of(model, queue, JOBD_PRIORITIES);
    if (next == NULL)
        next = first_of(model, queue, JOBD_PRIORITIES + 1);
    for (unsigned lane = 0; next == NULL && lane < JOBD_PRIORITIES; lane++)
        next = first_of(model, queue, lane);
    return next;
}

/* A move: lane by lane, then the scheduled ones. */
static struct model_job *next_to_move(struct model *model, unsigned queue)
{
    struct model_job *next = NULL;
    for (unsigned lane = 0; next == NULL && lane <= JOBD_PRIORITIES + 1; lane++)
        next = first_of(model, queue, lane);
    return next;
}

void model_step_purge(struct model *model)
{
    unsigned queue = below(model, QUEUES);
    unsigned put_waiters = 0, expected = 0;
    for (unsigned i = 0; i < PUTTERS; i++)
        put_waiters += model->put_waiters[i].waits && model->put_waiters[i].queue == queue;
    if (put_waiters > 0 || below(model, 4) > 0)
        return; /* those let in meanwhile would make the model as clever as the engine */
    for (struct model_job *job; (job = next_to_purge(model, queue)) != NULL; expected++)
        model_end(model, job, JOBD_CANCELLED);
    model_settle(model, queue);
    uint32_t purged;
    verify(jobd_purge(model->jobd, queue, NULL, model->now_us, &purged) == JOBD_OK);
    verify(purged == expected);
}

static bool anybody_waits_for_room(struct model *model, unsigned queue)
{
    return model_first_putter(model, queue) != NULL;
}

static void move_one(struct model *model, struct model_job *job, unsigned to)
{
    unsigned from = job->queue;
    job->moves = false;
    job->queue = to;
    model_join(model, to, model_group_of(job));
    model_quit(model, from, model_group_of(job));
    if (job->state != JOBD_QUEUED)
        job->order = -(int)++model->clock;
    else
        model_enter(model, job);
    if (job->state == JOBD_BLOCKED)
        model_after_look(model, job);
}

/* Its group there, which must have room in the memory, awaits it. */
static bool leave_for(struct model *model, struct model_job *job, unsigned to)
{
    unsigned group = model_group_of(job);
    bool awaited = false;
    job->moves = !model_takes_turns(model, to) || group == 0;
    if (job->moves)
        return true;
    for (unsigned i = 0; i < model->jobs_len; i++)
        awaited |= model->jobs[i].moves && model_group_of(&model->jobs[i]) == group;
    model_join(model, to, group);
    job->moves = model_make_room(model, 0);
    if (!job->moves && !awaited)
        model_quit(model, to, group);
    return job->moves;
}

/* As many as have room now; who waits is served then, which may make more. */
static uint32_t move_some(struct model *model, const struct jobd_route *route, uint32_t most)
{
    struct model_job *list[JOBS_MAX], *job;
    uint32_t moved = 0, room = 0;
    if (!anybody_waits_for_room(model, route->to) &&
        model_waiting(model, route->to) < model->capacity[route->to])
        room = model->capacity[route->to] - model_waiting(model, route->to);
    while (moved < most && moved < room && (job = next_to_move(model, route->from)) != NULL &&
           leave_for(model, job, route->to))
        list[moved++] = job;
    for (uint32_t i = 0; i < moved; i++)
        move_one(model, list[i], route->to);
    model_settle(model, route->from);
    model_settle(model, route->to);
    return moved;
}

void model_step_move(struct model *model)
{
    const struct jobd_route route = {.from = below(model, QUEUES), .to = below(model, QUEUES)};
    uint32_t moved, some, expected = 0, most = model_waiting(model, route.from);
    if (route.from == route.to || model->phase[route.to] != OPEN) {
        verify(jobd_move(model->jobd, &route, NULL, model->now_us, &moved) == JOBD_UNDECLARED);
        return;
    }
    if (anybody_waits_for_room(model, route.from)) /* as for a purge */
        return;
    enum jobd_result result = jobd_move(model->jobd, &route, NULL, model->now_us, &moved);
    while ((some = move_some(model, &route, most - expected)) > 0)
        expected += some;
    verify(result == JOBD_OK && moved == expected);
}
