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
     .backoff_min_us = 1,
     .backoff_max_us = 500},
};

const char *const model_groups[GROUPS] = {NULL, "g", "gg"};
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
    return model_count(model, queue, JOBD_QUEUED) + model_count(model, queue, JOBD_SCHEDULED);
}

unsigned model_leased(const struct model *model)
{
    unsigned found = 0;
    for (unsigned i = 0; i < model->jobs_len; i++)
        found += model->jobs[i].token > 0;
    return found;
}

unsigned model_promised(const struct model *model)
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
    unsigned found = model_promised(model);
    for (unsigned i = 0; i < TAKERS; i++)
        found += model->takers[i].waits;
    for (unsigned i = 0; i < PUTTERS; i++)
        found += model->put_waiters[i].waits;
    for (unsigned i = 0; i < WATCHERS; i++)
        found += model->watchers[i].waits;
    return found;
}

size_t model_errors(const struct model_job *job)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < job->errors_len; i++)
        bytes += 16 + job->errors[i].bytes;
    return bytes;
}

size_t model_bytes(const struct model *model, bool living_only)
{
    size_t sum = 0;
    for (unsigned i = 0; i < model->jobs_len; i++)
        if (!model->jobs[i].forgotten && (!living_only || !model_final(&model->jobs[i])))
            sum += model->jobs[i].payload + model->jobs[i].output + model->jobs[i].error +
                   model_errors(&model->jobs[i]) + model->jobs[i].extra;
    return sum;
}

/* At the same moment those first that do not say how long they are remembered. */
static bool ended_before(const struct model_job *a, const struct model_job *b)
{
    if (a->ended_us != b->ended_us)
        return a->ended_us < b->ended_us;
    if ((a->keep_us == 0) != (b->keep_us == 0))
        return a->keep_us == 0;
    return a->ended < b->ended;
}

/* Of the remembered jobs that `which` picks, the one that ended first; NULL when it picks none. */
static struct model_job *oldest_end(struct model *model, const struct model_job *like,
                                    bool (*which)(const struct model_job *job,
                                                  const struct model_job *like))
{
    struct model_job *oldest = NULL;
    for (unsigned i = 0; i < model->jobs_len; i++) {
        struct model_job *job = &model->jobs[i];
        if (!job->forgotten && model_final(job) && which(job, like) &&
            (oldest == NULL ||
             (like != NULL ? job->ended < oldest->ended : ended_before(job, oldest))))
            oldest = job;
    }
    return oldest;
}

static bool kept_with(const struct model_job *job, const struct model_job *like)
{
    return job->queue == like->queue && job->state == like->state;
}

static bool is_no_dead_letter(const struct model_job *job, const struct model_job *like)
{
    (void)like;
    return job->state != JOBD_FAILED;
}

static bool is_any(const struct model_job *job, const struct model_job *like)
{
    (void)job, (void)like;
    return true;
}

void model_expect(struct actor *actor, enum jobd_result result, uint64_t id)
{
    actor->waits = false;
    actor->expected = result;
    actor->expected_id = id;
}

void model_end(struct model *model, struct model_job *job, enum jobd_state state)
{
    unsigned remembered = 0;
    job->state = state;
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
    for (unsigned i = 0; i < model->jobs_len; i++)
        remembered += !model->jobs[i].forgotten && model_final(&model->jobs[i]) &&
                      kept_with(&model->jobs[i], job);
    if (remembered > KEEP)
        oldest_end(model, job, kept_with)->forgotten = true;
}

/* Forgets what has ended until so many bytes more have room; false when that is not enough. */
static bool make_room(struct model *model, size_t size)
{
    if (model_bytes(model, true) + size > MEMORY)
        return false;
    while (model_bytes(model, false) + size > MEMORY) {
        struct model_job *oldest = oldest_end(model, NULL, is_no_dead_letter);
        if (oldest == NULL)
            oldest = oldest_end(model, NULL, is_any);
        model->forgotten_early[oldest->queue]++;
        oldest->forgotten = true;
    }
    return true;
}

unsigned model_jobs_of(const struct jobd_put *put)
{
    return put->batch_len > 0 ? put->batch_len : 1;
}

static bool has_room(const struct model *model, const struct jobd_put *put)
{
    return model_waiting(model, put->queue) + model_jobs_of(put) <= model->capacity[put->queue];
}

const struct model_job *model_with_key(const struct model *model, const struct jobd_put *put)
{
    for (unsigned i = 0; put->key != NULL && i < model->jobs_len; i++) {
        const struct model_job *job = &model->jobs[i];
        if (!job->forgotten && job->queue == put->queue && job->key != NULL &&
            strcmp(job->key, put->key) == 0)
            return job;
    }
    return NULL;
}

/* What a job counts for beside its bytes. */
static size_t model_extra(const struct model *model, const struct jobd_put *put)
{
    size_t words = 0, key = put->key != NULL ? strlen(put->key) : 0;
    for (unsigned i = 0; put->terms != NULL && i < JOBD_TEXTS; i++)
        words += put->terms->texts[i] != NULL ? strlen(put->terms->texts[i]) + 1 : 0;
    if (words > 0)
        words += JOBD_TEXTS * sizeof(uint32_t); /* where they begin */
    bool needed = key > 0 || put->timeout_us > 0 || put->terms != NULL;
    return needed ? model->extra + key + words : 0;
}

static void add(struct model *model, const struct jobd_put *put, size_t size)
{
    unsigned usual = model_queues[put->queue].attempts > 0 ? model_queues[put->queue].attempts : 1;
    verify(model->jobs_len < JOBS_MAX);
    struct model_job *job = &model->jobs[model->jobs_len++];
    int64_t ready_us = put->at_us > model->now_us ? put->at_us : model->now_us + put->delay_us;
    *job = (struct model_job){
        .id = model->next_id++,
        .queue = put->queue,
        .priority = put->priority,
        .state = ready_us > model->now_us ? JOBD_SCHEDULED : JOBD_QUEUED,
        .ready_us = ready_us,
        .keep_us = put->terms != NULL ? put->terms->keep_us : 0,
        .too_late_us = put->terms != NULL ? put->terms->expires_us : 0,
        .attempts = put->attempts > 0 ? put->attempts : usual,
        .payload = size,
        .timeout_us = put->timeout_us,
        .extra = model_extra(model, put),
        .key = put->key,
        .created_us = model->now_us,
        .order = (int)++model->clock,
    };
    if (put->terms != NULL)
        memcpy(job->texts, put->terms->texts, sizeof job->texts);
}

enum jobd_result model_admit(struct model *model, const struct jobd_put *put,
                             const size_t sizes[BATCH_MAX], uint64_t *id)
{
    const struct model_job *duplicate = model_with_key(model, put);
    size_t size = model_jobs_of(put) * model_extra(model, put);
    if (duplicate != NULL) {
        *id = duplicate->id;
        return duplicate->payload == sizes[0] ? JOBD_OK : JOBD_CONFLICT;
    }
    if (!has_room(model, put))
        return JOBD_FULL;
    for (unsigned i = 0; i < model_jobs_of(put); i++)
        size += sizes[i];
    if (!make_room(model, size))
        return JOBD_OUT_OF_MEMORY;
    *id = model->next_id;
    for (unsigned i = 0; i < model_jobs_of(put); i++)
        add(model, put, sizes[i]);
    return JOBD_OK;
}

bool model_too_late(const struct model *model, const struct model_job *job)
{
    return job->too_late_us != 0 && job->too_late_us <= model->now_us;
}

/* One that is too late hides those behind it, until the next tick. */
static struct model_job *next_job(struct model *model, unsigned queue)
{
    struct model_job *first = NULL;
    for (unsigned lane = 0; lane < JOBD_PRIORITIES && first == NULL; lane++) {
        for (unsigned i = 0; i < model->jobs_len; i++) {
            struct model_job *job = &model->jobs[i];
            if (job->queue == queue && job->state == JOBD_QUEUED && job->priority == lane &&
                (first == NULL || job->order < first->order))
                first = job;
        }
        if (first != NULL && model_too_late(model, first))
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
           (!model_holds(model, queue) || may_probe(model, queue, take_waiter)) &&
           (take_waiter->kind == LEASER || running_here(model, queue) < model->workers[queue]);
}

/* Of all who wait and could have a job, the one who came first. */
static struct actor *next_taker(struct model *model, unsigned queue)
{
    struct actor *found = NULL;
    for (unsigned i = 0; i < TAKERS + LEASERS; i++) {
        struct actor *actor = i < TAKERS ? &model->takers[i] : &model->leasers[i - TAKERS];
        if (actor->waits && actor->queue == queue && model_can_give(model, queue, actor) &&
            (found == NULL || actor->since < found->since))
            found = actor;
    }
    return found;
}

static void begin_probe(struct model *model, unsigned queue, uint64_t id)
{
    model->breakers[queue].probe = id;
    model->breakers[queue].probe_at_us = model->now_us + model_queues[queue].breaker_us;
}

void model_give(struct model *model, unsigned queue, struct actor *take_waiter)
{
    struct model_job *job = next_job(model, queue);
    job->state = JOBD_RUNNING;
    job->attempt++;
    job->started_us = model->now_us;
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

unsigned model_report(const struct jobd_outcome *outcome)
{
    return outcome->state == JOBD_DONE ? DONE_REPORT : FAILED_REPORT;
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

void model_settle(struct model *model, unsigned queue)
{
    for (;;) {
        struct actor *take_waiter = next_taker(model, queue);
        struct actor *put_waiter = model_first_putter(model, queue);
        if (take_waiter != NULL) {
            model_give(model, queue, take_waiter);
        } else if (put_waiter != NULL && has_room(model, &put_waiter->put)) {
            uint64_t id = 0;
            enum jobd_result result = model_admit(model, &put_waiter->put, put_waiter->sizes, &id);
            if (result == JOBD_OUT_OF_MEMORY)
                model->rejected[queue] += model_jobs_of(&put_waiter->put);
            if (result == JOBD_OK)
                result = model_let_in(model, put_waiter, id);
            if (result != JOBD_PENDING)
                model_expect(put_waiter, result, id);
        } else {
            return;
        }
    }
}

/* What replaces *part: the new bytes, or nothing when they have no room. */
static void keep(struct model *model, size_t *part, int size)
{
    *part = 0;
    if (make_room(model, size > 0 ? (size_t)size : 0))
        *part = size > 0 ? (size_t)size : 0;
}

/* By chance, but within what the queue's backoff and the outcome allow. */
static void go_again(struct model *model, struct model_job *job, int64_t retry_in_us)
{
    const struct jobd_queue_config *queue = &model_queues[job->queue];
    struct jobd_info info;
    verify(jobd_get(model->jobd, job->id, &info) == JOBD_OK);
    int64_t wait_us = info.run_at_us - model->now_us;
    verify(wait_us >= queue->backoff_min_us && wait_us >= retry_in_us);
    verify(wait_us <= queue->backoff_max_us || wait_us == retry_in_us);
    job->state = JOBD_SCHEDULED;
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
    if (make_room(model, model_errors(&after)))
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
        breaker->probe_at_us = model->now_us + queue->breaker_us;
    return down && was_open;
}

/* As if it had not been begun; later, when that was asked for. */
static void go_back(struct model *model, struct model_job *job, int64_t in_us)
{
    job->attempt--;
    job->state = in_us > 0 ? JOBD_SCHEDULED : JOBD_QUEUED;
    job->ready_us = model->now_us + in_us;
    job->order = in_us > 0 ? -(int)++model->clock : (int)++model->clock;
    model_settle(model, job->queue);
}

void model_attempt_ended(struct model *model, struct model_job *job,
                         const struct jobd_outcome *outcome, int output, int error)
{
    bool expires = outcome == &model_expired;
    bool by_worker = job->state == JOBD_RUNNING && job->token == 0;
    if (by_worker && note_down(model, job, outcome) && !job->stopping) {
        go_back(model, job, outcome->retry_in_us);
        return;
    }
    if (job->token > 0)
        model_end_lease(model, job, expires ? NO_REPORT : model_report(outcome));
    bool failed = outcome->state == JOBD_FAILED;
    if (job->extra == 0 && (output >= 0 || error >= 0 || failed) && make_room(model, model->extra))
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
    model_settle(model, job->queue);
}
