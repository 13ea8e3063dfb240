/* SPDX-License-Identifier: MIT */
/* The model: what each verb must do. */
#include "engine/model/model_inside.h"

#include <stdlib.h>
#include <string.h>

#include "base/verify.h"

const struct jobd_outcome model_expired = {.state = JOBD_FAILED};

const struct jobd_queue_config model_queues[QUEUES] = {
    {.name = "one",
     .capacity = 1,
     .workers = 1,
     .capacity_max = 3,
     .workers_max = 2,
     .attempts = 2,
     .backoff_min_us = 20,
     .backoff_max_us = 90},
    {.name = "few",
     .capacity = 4,
     .workers = 2,
     .workers_max = 5,
     .breaker_failures = 2,
     .breaker_us = 700,
     .limits = {.running = 3, .starts = 5, .per_us = 2000},
     .by_group = true,
     .backoff_min_us = 50,
     .backoff_max_us = 900},
    {.name = "many",
     .capacity = 9,
     .workers = 3,
     .capacity_max = 12,
     .attempts = 3,
     .keep_us = 4000,
     .breaker_failures = 1,
     .breaker_us = 2500,
     .expires_us = 6000,
     .by_group = true,
     .group_limits = {.running = 2, .starts = 3, .per_us = 1700},
     .group_waiting = 3,
     .backoff_min_us = 1,
     .backoff_max_us = 500},
};

const char *const model_groups[GROUPS] = {NULL, "a", "g", "gg"};
const char *const model_tag_lists[TAG_LISTS] = {NULL, "ab\n", "a\n", "ab\na\n"};
const char *const model_tags[TAGS] = {"a", "ab"};

bool model_final(const struct model_job *job)
{
    return job->state == JOBD_DONE || job->state == JOBD_FAILED || job->state == JOBD_CANCELLED;
}

struct model_job *model_find(struct model *model, uint64_t id)
{
    for (unsigned i = 0; i < model->jobs_len; i++)
        if (model->jobs[i].id == id && !model->jobs[i].forgotten)
            return &model->jobs[i];
    return NULL;
}

unsigned model_count(const struct model *model, unsigned queue, enum jobd_state state)
{
    unsigned found = 0;
    for (unsigned i = 0; i < model->jobs_len; i++)
        found += model->jobs[i].queue == queue && model->jobs[i].state == state;
    return found;
}

unsigned model_waiting(const struct model *model, unsigned queue)
{
    return model_count(model, queue, JOBD_QUEUED) + model_count(model, queue, JOBD_SCHEDULED) +
           model_count(model, queue, JOBD_BLOCKED);
}

unsigned model_leases_held(const struct model *model)
{
    unsigned found = 0;
    for (unsigned i = 0; i < model->jobs_len; i++)
        found += model->jobs[i].token > 0;
    return found;
}

unsigned model_leases_reserved(const struct model *model)
{
    unsigned found = 0;
    for (unsigned i = 0; i < LEASERS; i++)
        found += model->leasers[i].waits;
    return found;
}

static unsigned running_here(const struct model *model, unsigned queue)
{
    unsigned found = 0;
    for (unsigned i = 0; i < model->jobs_len; i++)
        found += model->jobs[i].queue == queue && model->jobs[i].state == JOBD_RUNNING &&
                 model->jobs[i].token == 0;
    return found;
}

unsigned model_waiters(const struct model *model)
{
    unsigned found = model_leases_reserved(model);
    for (unsigned i = 0; i < TAKERS; i++)
        found += model->takers[i].waits;
    for (unsigned i = 0; i < PUTTERS; i++)
        found += model->put_waiters[i].waits;
    for (unsigned i = 0; i < WATCHERS; i++)
        found += model->watchers[i].waits;
    for (unsigned i = 0; i < BATCHERS; i++)
        found += model->batchers[i].waits;
    for (unsigned i = 0; i < FOLLOWERS; i++)
        found += model->followers[i].waits;
    return found;
}

size_t model_errors(const struct model_job *job)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < job->errors_len; i++)
        bytes += 16 + job->errors[i].bytes;
    return bytes;
}

size_t model_job_bytes(const struct model_job *job)
{
    return job->payload + job->output + job->error + model_errors(job) + job->extra + job->said +
           job->worker + job->progress + job->room + model_after_bytes(job);
}

size_t model_bytes(const struct model *model, bool living_only)
{
    size_t sum = 0;
    for (unsigned i = 0; i < model->jobs_len; i++)
        if (!model->jobs[i].forgotten &&
            (!living_only || !model_final(&model->jobs[i]) || model->jobs[i].retained))
            sum += model_job_bytes(&model->jobs[i]);
    return sum + model_group_bytes(model) + model_batch_bytes(model);
}

static bool has_own_time(const struct model_job *job)
{
    return job->keep_us != 0;
}

/* Of the remembered jobs that `which` picks, the one that came there first; NULL: it picks none. */
static struct model_job *oldest_end(struct model *model, const struct model_job *like,
                                    bool (*which)(const struct model_job *job,
                                                  const struct model_job *like))
{
    struct model_job *oldest = NULL;
    for (unsigned i = 0; i < model->jobs_len; i++) {
        struct model_job *job = &model->jobs[i];
        if (!job->forgotten && model_final(job) && !job->retained && which(job, like) &&
            (oldest == NULL || job->ended < oldest->ended))
            oldest = job;
    }
    return oldest;
}

static bool kept_with(const struct model_job *job, const struct model_job *like)
{
    return job->queue == like->queue && job->state == like->state;
}

/* `like`: which of the two lists by age, and of those that have a time of their own or not. */
static bool ages_with(const struct model_job *job, const struct model_job *like)
{
    return (job->state == JOBD_FAILED) == (like->state == JOBD_FAILED) &&
           has_own_time(job) == has_own_time(like);
}

/* At the same moment those first that have no time of their own. */
static struct model_job *oldest_of(struct model *model, enum jobd_state state)
{
    const struct model_job like = {.state = state}, like_own = {.state = state, .keep_us = 1};
    struct model_job *usual = oldest_end(model, &like, ages_with);
    struct model_job *own = oldest_end(model, &like_own, ages_with);
    if (usual == NULL || own == NULL)
        return usual != NULL ? usual : own;
    return own->ended_us < usual->ended_us ? own : usual;
}

void model_expect(struct actor *actor, enum jobd_result result, uint64_t id)
{
    actor->waits = false;
    actor->expected = result;
    actor->expected_id = id;
}

static void remember(struct model *model, const struct model_job *job)
{
    unsigned remembered = 0;
    for (unsigned i = 0; i < model->jobs_len; i++)
        remembered += !model->jobs[i].forgotten && !model->jobs[i].retained &&
                      model_final(&model->jobs[i]) && kept_with(&model->jobs[i], job);
    if (remembered > KEEP)
        oldest_end(model, job, kept_with)->forgotten = true;
}

void model_end(struct model *model, struct model_job *job, enum jobd_state state)
{
    bool ran = job->state == JOBD_RUNNING;
    model_after_leave(model, job);
    job->state = state;
    (ran ? model_left : model_quit)(model, job->queue, model_group_of(job));
    job->stopping = false;
    model->ended[job->queue][state]++;
    job->ended = ++model->clock;
    job->ended_us = model->now_us;
    for (unsigned i = 0; i < WATCHERS; i++)
        if (model->watchers[i].waits && model->watchers[i].id == job->id)
            model_expect(&model->watchers[i], JOBD_OK, job->id);
    for (unsigned i = 0; i < PUTTERS; i++)
        if (model->put_waiters[i].waits && model->put_waiters[i].is_in &&
            model->put_waiters[i].id == job->id)
            model_expect(&model->put_waiters[i], JOBD_OK, job->id);
    model_note_batch_end(model);
    model_after_ended(model, job);
    job->retained = job->unique_until_us > model->now_us || job->pin.pinned;
    if (!job->retained)
        remember(model, job);
}

void model_remember_again(struct model *model, struct model_job *job)
{
    job->retained = job->unique_until_us > model->now_us;
    if (job->retained)
        return;
    job->ended = ++model->clock;
    remember(model, job);
}

/* Of those without a time of their own, who was pinned stands behind others that ended later. */
bool model_forget_due(struct model *model, bool forget)
{
    const struct model_job done = {.state = JOBD_DONE}, failed = {.state = JOBD_FAILED};
    struct model_job *next = oldest_end(model, &done, ages_with),
                     *other = oldest_end(model, &failed, ages_with);
    if (next == NULL || (other != NULL && other->ended_us < next->ended_us))
        next = other;
    if (next == NULL || next->ended_us + KEEP_FOR_US > model->now_us)
        return false;
    next->forgotten = forget;
    return true;
}

void model_retention_over(struct model *model, struct model_job *job)
{
    job->retained = false;
    job->ended = ++model->clock;
    if (job->keep_us == 0 || job->ended_us + job->keep_us <= model->now_us)
        job->forgotten = true;
    else
        remember(model, job);
}

bool model_make_room(struct model *model, size_t size)
{
    if (model_bytes(model, true) + size > MEMORY)
        return false;
    while (model_bytes(model, false) + size > MEMORY) {
        struct model_job *oldest = oldest_of(model, JOBD_DONE);
        if (oldest == NULL)
            oldest = oldest_of(model, JOBD_FAILED);
        model->forgotten_early[oldest->queue]++;
        oldest->forgotten = true;
    }
    return true;
}

bool model_has_expired(const struct model *model, const struct model_job *job)
{
    return job->expiry_us != 0 && job->expiry_us <= model->now_us;
}

/* One that is too late hides those behind it, until the next tick. */
static struct model_job *next_job(struct model *model, unsigned queue)
{
    struct model_job *first = NULL;
    for (unsigned lane = 0; lane < JOBD_PRIORITIES && first == NULL; lane++) {
        first = model_first_in(model, queue, lane);
        if (first != NULL && model_has_expired(model, first))
            first = NULL;
    }
    return first;
}

struct actor *model_first_putter(struct model *model, unsigned queue)
{
    struct actor *found = NULL;
    for (unsigned i = 0; i < PUTTERS; i++) {
        struct actor *put_waiter = &model->put_waiters[i];
        if (put_waiter->waits && !put_waiter->is_in && put_waiter->queue == queue &&
            (found == NULL || put_waiter->since < found->since))
            found = put_waiter;
    }
    return found;
}

bool model_holds(const struct model *model, unsigned queue)
{
    return model->breakers[queue].open && model->workers[queue] > 0;
}

static bool may_probe(const struct model *model, unsigned queue, const struct actor *take_waiter)
{
    const struct model_breaker *breaker = &model->breakers[queue];
    return take_waiter->kind != LEASER && breaker->probe == 0 &&
           model->now_us >= breaker->probe_at_us;
}

bool model_can_give(struct model *model, unsigned queue, const struct actor *take_waiter)
{
    return !model->paused[queue] && next_job(model, queue) != NULL &&
           model_limits_let(model, queue) &&
           (!model_holds(model, queue) || may_probe(model, queue, take_waiter)) &&
           (take_waiter->kind == LEASER || running_here(model, queue) < model->workers[queue]);
}

static bool asks(const struct actor *actor, unsigned queue)
{
    return actor->is_wide ? actor->asks[queue] : actor->queue == queue;
}

static bool asks_another(const struct actor *actor, unsigned queue)
{
    bool another = false;
    for (unsigned i = 0; i < QUEUES; i++)
        another = another || (i != queue && asks(actor, i));
    return another;
}

/* Of all who wait and could have a job, the one who came first. */
static struct actor *next_taker(struct model *model, unsigned queue)
{
    struct actor *found = NULL;
    for (unsigned i = 0; i < TAKERS + LEASERS; i++) {
        struct actor *actor = i < TAKERS ? &model->takers[i] : &model->leasers[i - TAKERS];
        if (actor->waits && asks(actor, queue) && model_can_give(model, queue, actor) &&
            (found == NULL || actor->since < found->since))
            found = actor;
    }
    return found;
}

static void arm(struct model *model, unsigned queue)
{
    struct model_breaker *breaker = &model->breakers[queue];
    breaker->probe_at_us = model->now_us + model_queues[queue].breaker_us;
    breaker->due = true;
}

static void begin_probe(struct model *model, unsigned queue, uint64_t id)
{
    model->breakers[queue].probe = id;
    arm(model, queue);
}

void model_give(struct model *model, unsigned queue, struct actor *take_waiter)
{
    struct model_job *job = next_job(model, queue);
    model_overtake(model, job->id);
    job->state = JOBD_RUNNING;
    job->attempt++;
    job->started_us = model->now_us;
    model_started(model, job);
    const struct jobd_blob *worker = take_waiter->waiter.worker;
    model_say_begin(model, job, worker != NULL ? worker->size : 0);
    model_expect(take_waiter, JOBD_OK, job->id);
    take_waiter->id = job->id;
    if (take_waiter->kind != LEASER) {
        if (model_holds(model, queue))
            begin_probe(model, queue, job->id);
        take_waiter->holds = true;
        return;
    }
    job->token = (unsigned)strtoul(take_waiter->waiter.token, NULL, 16);
    job->expires_us = model_lease_end(model, job, take_waiter->waiter.lease_us);
    if (model->leases_used < LEASES_MAX)
        model->leases_used++;
    else
        model->over_from++; /* its record is this one's now */
}

int64_t model_lease_end(const struct model *model, const struct model_job *job, int64_t us)
{
    int64_t end_us = model->now_us + us, late_us = job->started_us + job->timeout_us;
    return job->timeout_us > 0 && late_us < end_us ? late_us : end_us;
}

void model_end_lease(struct model *model, struct model_job *job, unsigned report)
{
    verify(model->over_to < TOKENS_MAX);
    model->over[model->over_to++] = (struct model_lease){
        .token = job->token, .report = report, .attempt = job->attempt, .id = job->id};
    job->token = 0;
}

enum jobd_result model_let_in(struct model *model, struct actor *put_waiter, uint64_t id)
{
    if (put_waiter->waiter.end_us == 0 || model_final(model_find(model, id)))
        return JOBD_OK;
    put_waiter->is_in = true;
    put_waiter->id = id;
    return JOBD_PENDING;
}

/* Empty, one that takes none in is gone. */
static void end_retired(struct model *model, unsigned queue)
{
    struct actor *groups[] = {model->takers, model->leasers};
    const unsigned lens[] = {TAKERS, LEASERS};
    if (model->phase[queue] != RETIRED || model_waiting(model, queue) > 0 ||
        model_count(model, queue, JOBD_RUNNING) > 0)
        return;
    model->phase[queue] = GONE;
    for (unsigned g = 0; g < 2; g++)
        for (unsigned i = 0; i < lens[g]; i++)
            if (groups[g][i].waits && asks(&groups[g][i], queue) &&
                !asks_another(&groups[g][i], queue))
                model_expect(&groups[g][i], JOBD_UNDECLARED, 0);
            else
                groups[g][i].asks[queue] = false;
}

bool model_is_asked(const struct model *model, unsigned queue)
{
    for (unsigned i = 0; i < TAKERS + LEASERS; i++) {
        const struct actor *actor = i < TAKERS ? &model->takers[i] : &model->leasers[i - TAKERS];
        if (actor->waits && asks(actor, queue))
            return true;
    }
    return false;
}

void model_settle(struct model *model, unsigned queue)
{
    for (;;) {
        struct actor *take_waiter = next_taker(model, queue);
        struct actor *put_waiter = model_first_putter(model, queue);
        if (take_waiter != NULL) {
            model_give(model, queue, take_waiter);
        } else if (put_waiter != NULL && model_has_room(model, &put_waiter->put)) {
            uint64_t id = 0;
            enum jobd_result result = model_admit(model, &put_waiter->put, put_waiter->sizes, &id);
            if (result == JOBD_OUT_OF_MEMORY || result == JOBD_GROUP_FULL)
                model->rejected[queue] += model_jobs_of(&put_waiter->put);
            if (result == JOBD_OK)
                result = model_let_in(model, put_waiter, id);
            if (result != JOBD_PENDING)
                model_expect(put_waiter, result, id);
        } else {
            break;
        }
    }
    model_await_token(model, queue);
    end_retired(model, queue);
}

/* What replaces *part: the new bytes, or nothing when they have no room. */
static void keep(struct model *model, size_t *part, int size)
{
    *part = 0;
    if (size >= 0 && model_make_room(model, (size_t)size))
        *part = (size_t)size;
}

/* By chance, but within what the queue's backoff and the outcome allow. */
static void go_again(struct model *model, struct model_job *job, int64_t retry_in_us)
{
    const struct jobd_queue_config *queue = &model_queues[job->queue];
    struct jobd_info info;
    if (jobd_get(model->jobd, job->id, &info) != JOBD_OK) { /* it has expired, and is forgotten */
        verify(model_has_expired(model, job));
        info.run_at_us = model->now_us + queue->backoff_max_us;
        retry_in_us = 0;
    }
    int64_t wait_us = info.run_at_us - model->now_us;
    verify(wait_us >= queue->backoff_min_us && wait_us >= retry_in_us);
    verify(wait_us <= queue->backoff_max_us || wait_us == retry_in_us);
    job->state = JOBD_SCHEDULED;
    model_left(model, job->queue, model_group_of(job));
    job->ready_us = info.run_at_us;
    job->order = -(int)++model->clock;
    model->retried[job->queue]++;
}

#define EXPIRED_TYPE "text/plain; charset=utf-8" /* counts for the error, but is no part of it */

/* One error more, in place of the oldest of five; all of them or none. */
static void keep_error(struct model *model, struct model_job *job, int size)
{
    const struct model_job before = *job;
    unsigned from = before.errors_len == JOBD_ERRORS_MAX ? 1 : 0, len = 0;
    struct model_job after = before;
    for (unsigned i = from; i < before.errors_len; i++)
        after.errors[len++] = before.errors[i];
    after.errors[len].attempt = job->attempt;
    after.errors[len].at_us = model->now_us;
    after.errors[len].bytes = size > 0 ? (size_t)size : 0;
    after.errors_len = len + 1;
    job->errors_len = 0;
    if (model_make_room(model, model_errors(&after)))
        *job = after;
}

/* What the end of an attempt by a worker says of what it needs. True: it is not to be counted. */
static bool note_down(struct model *model, const struct model_job *job,
                      const struct jobd_outcome *outcome)
{
    struct model_breaker *breaker = &model->breakers[job->queue];
    const struct jobd_queue_config *queue = &model_queues[job->queue];
    bool was_open = breaker->open, was_probe = breaker->probe == job->id;
    bool down = outcome->state == JOBD_FAILED && outcome->down;
    if (was_probe)
        breaker->probe = 0;
    if (queue->breaker_failures == 0 || outcome->state == JOBD_CANCELLED)
        return false;
    if (!down)
        *breaker = (struct model_breaker){.opened = breaker->opened};
    else if (!was_open)
        breaker->open = ++breaker->in_a_row >= queue->breaker_failures;
    if (down && !was_open)
        breaker->opened += breaker->open;
    if (down && breaker->open && (was_probe || !was_open))
        arm(model, job->queue);
    return down && was_open;
}

void model_go_back(struct model *model, struct model_job *job, int64_t in_us)
{
    job->state = JOBD_SCHEDULED;
    model_left(model, job->queue, model_group_of(job));
    job->ready_us = model->now_us + in_us;
    job->order = -(int)++model->clock;
    if (in_us > 0)
        return;
    job->state = JOBD_QUEUED;
    model_enter(model, job);
}

/* As if it had not been begun; later, when that was asked for. */
static void go_back(struct model *model, struct model_job *job, int64_t in_us)
{
    model_say_forget(job);
    job->attempt--;
    model_go_back(model, job, in_us);
    model_settle(model, job->queue);
}

void model_attempt_over(struct model *model, struct model_job *job,
                        const struct jobd_outcome *outcome, int output, int error)
{
    bool expires = outcome == &model_expired;
    bool by_worker = job->state == JOBD_RUNNING && job->token == 0;
    if (by_worker && note_down(model, job, outcome) && !job->stopping) {
        go_back(model, job, outcome->retry_in_us);
        return;
    }
    model->leases_expired[job->queue] += expires;
    if (job->token > 0)
        model_end_lease(model, job, expires ? NO_REPORT : model_report(outcome));
    bool failed = outcome->state == JOBD_FAILED;
    if (output < 0 && job->room > 0)
        output = (int)job->used;
    if (output < 0 && job->state != JOBD_RUNNING && job->output > 0) /* a late report */
        output = (int)job->output;
    model_say_end(job);
    if (job->extra == 0 && (output >= 0 || error >= 0 || failed) &&
        model_make_room(model, model->extra))
        job->extra = model->extra;
    if (job->extra > 0) {
        keep(model, &job->output, output);
        keep(model, &job->error, error);
        if (failed)
            keep_error(model, job, expires ? error - (int)strlen(EXPIRED_TYPE) : error);
    }
    if (outcome->state != JOBD_FAILED)
        model_end(model, job, outcome->state);
    else if (job->stopping)
        model_end(model, job, JOBD_CANCELLED);
    else if (!outcome->for_good && job->attempt < job->attempts)
        go_again(model, job, outcome->retry_in_us);
    else
        model_end(model, job, JOBD_FAILED);
}

void model_attempt_ended(struct model *model, struct model_job *job,
                         const struct jobd_outcome *outcome, int output, int error)
{
    model_attempt_over(model, job, outcome, output, error);
    model_settle(model, job->queue);
}
