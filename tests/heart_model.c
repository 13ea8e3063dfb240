/* SPDX-License-Identifier: MIT */
#include "heart_model.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_heart.h"
#include "jobd/queue.h"
#include "verify.h"

enum {
    QUEUES = 3,
    JOBS_MAX = 4096,
    TAKERS = 6,
    PUTTERS = 4,
    WATCHERS = 4,
    KEEP = 5,
    MEMORY = 4000,
    WAITERS_MAX = 12,
    BATCH_MAX = 3,
    KEYS = 4,
    LEASERS = 4,
    LEASES_MAX = 6,
    TOKENS_MAX = 4096,
    LATE_BYTES = sizeof "the lease ran out" - 1 + sizeof "text/plain; charset=utf-8" - 1,
};

struct model_job {
    uint64_t id;
    unsigned queue, priority, attempt, attempts;
    enum jobd_state state;
    bool stopping;
    unsigned token; /* above 0: leased */
    int64_t expires_us;
    int64_t ready_us;
    size_t payload, output, error, extra; /* bytes */
    const char *key;
    int order;      /* when it entered its lane, or came back */
    unsigned ended; /* when it ended, and at what time */
    int64_t ended_us;
    bool forgotten;
};

/* Somebody who waits, in the heart and in the model. */
struct actor {
    struct jobd_waiter waiter; /* first */
    struct model *model;
    unsigned kind, queue;
    bool waits;  /* as the model has it */
    bool woken;  /* as the heart says */
    bool holds;  /* a taker: a job */
    bool is_in;  /* a putter: its job, for whose end it waits */
    uint64_t id; /* what it holds or watches */
    unsigned since;
    struct jobd_put put;
    struct jobd_blob *batch[BATCH_MAX];
    size_t sizes[BATCH_MAX]; /* of its payloads, which the heart may have freed by now */
    enum jobd_result expected;
    uint64_t expected_id;
};

enum { TAKER, PUTTER, WATCHER, LEASER };

struct model {
    struct jobd *jobd;
    struct chance *chance;
    int64_t now_us;
    uint64_t next_id;
    unsigned clock; /* counts everything that has an order */
    struct model_job jobs[JOBS_MAX];
    unsigned jobs_len;
    bool paused[QUEUES];
    struct actor takers[TAKERS], leasers[LEASERS], putters[PUTTERS], watchers[WATCHERS];
    unsigned rejected[QUEUES], retried[QUEUES];
    unsigned ended[QUEUES][JOBD_STATES];
    unsigned tokens;             /* given out so far, also in vain: 1 to this */
    unsigned over[TOKENS_MAX];   /* leases that are over and known, the first first */
    unsigned over_from, over_to; /* of those */
    unsigned leases_used;
    size_t extra; /* what a job with output or error counts for, beside them */
};

static const struct jobd_queue_config queues[QUEUES] = {
    {.name = "one",
     .capacity = 1,
     .workers = 1,
     .attempts = 2,
     .backoff_min_us = 20,
     .backoff_max_us = 90},
    {.name = "few", .capacity = 4, .workers = 2, .backoff_min_us = 50, .backoff_max_us = 900},
    {.name = "many",
     .capacity = 9,
     .workers = 3,
     .attempts = 3,
     .backoff_min_us = 1,
     .backoff_max_us = 500},
};

static unsigned below(struct model *model, unsigned bound)
{
    return chance_below(model->chance, bound);
}

/* ---- the model */

static bool final(const struct model_job *job)
{
    return job->state == JOBD_DONE || job->state == JOBD_FAILED || job->state == JOBD_CANCELLED;
}

static struct model_job *find(struct model *model, uint64_t id)
{
    for (unsigned i = 0; i < model->jobs_len; i++)
        if (model->jobs[i].id == id && !model->jobs[i].forgotten)
            return &model->jobs[i];
    return NULL;
}

static unsigned count(const struct model *model, unsigned queue, enum jobd_state state)
{
    unsigned found = 0;
    for (unsigned i = 0; i < model->jobs_len; i++)
        found += model->jobs[i].queue == queue && model->jobs[i].state == state;
    return found;
}

static unsigned waiting(const struct model *model, unsigned queue)
{
    return count(model, queue, JOBD_QUEUED) + count(model, queue, JOBD_SCHEDULED);
}

static unsigned leased(const struct model *model)
{
    unsigned found = 0;
    for (unsigned i = 0; i < model->jobs_len; i++)
        found += model->jobs[i].token > 0;
    return found;
}

static unsigned promised(const struct model *model)
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

static unsigned waiters(const struct model *model)
{
    unsigned found = promised(model);
    for (unsigned i = 0; i < TAKERS; i++)
        found += model->takers[i].waits;
    for (unsigned i = 0; i < PUTTERS; i++)
        found += model->putters[i].waits;
    for (unsigned i = 0; i < WATCHERS; i++)
        found += model->watchers[i].waits;
    return found;
}

static size_t bytes(const struct model *model, bool living_only)
{
    size_t sum = 0;
    for (unsigned i = 0; i < model->jobs_len; i++)
        if (!model->jobs[i].forgotten && (!living_only || !final(&model->jobs[i])))
            sum += model->jobs[i].payload + model->jobs[i].output + model->jobs[i].error +
                   model->jobs[i].extra;
    return sum;
}

/* Of the same moment, the done ones first. */
static bool ended_before(const struct model_job *a, const struct model_job *b)
{
    if (a->ended_us != b->ended_us)
        return a->ended_us < b->ended_us;
    if ((a->state == JOBD_DONE) != (b->state == JOBD_DONE))
        return a->state == JOBD_DONE;
    return a->ended < b->ended;
}

/* The remembered job that ended first, of the done (1), the others (2) or both (3). */
static struct model_job *oldest_end(struct model *model, unsigned which)
{
    struct model_job *oldest = NULL;
    for (unsigned i = 0; i < model->jobs_len; i++) {
        struct model_job *job = &model->jobs[i];
        if (job->forgotten || !final(job) || !(which & (job->state == JOBD_DONE ? 1U : 2U)))
            continue;
        if (oldest == NULL || ended_before(job, oldest))
            oldest = job;
    }
    return oldest;
}

static void expect(struct actor *actor, enum jobd_result result, uint64_t id)
{
    actor->waits = false;
    actor->expected = result;
    actor->expected_id = id;
}

static void end(struct model *model, struct model_job *job, enum jobd_state state)
{
    unsigned which = state == JOBD_DONE ? 1 : 2, remembered = 0;
    job->state = state;
    job->stopping = false;
    model->ended[job->queue][state]++;
    job->ended = ++model->clock;
    job->ended_us = model->now_us;
    for (unsigned i = 0; i < WATCHERS; i++)
        if (model->watchers[i].waits && model->watchers[i].id == job->id)
            expect(&model->watchers[i], JOBD_OK, job->id);
    for (unsigned i = 0; i < PUTTERS; i++)
        if (model->putters[i].waits && model->putters[i].is_in && model->putters[i].id == job->id)
            expect(&model->putters[i], JOBD_OK, job->id);
    for (unsigned i = 0; i < model->jobs_len; i++)
        remembered += !model->jobs[i].forgotten && final(&model->jobs[i]) &&
                      (model->jobs[i].state == JOBD_DONE) == (which == 1);
    if (remembered > KEEP)
        oldest_end(model, which)->forgotten = true;
}

/* Forgets what has ended until so many bytes more have room; false when that is not enough. */
static bool make_room(struct model *model, size_t size)
{
    if (bytes(model, true) + size > MEMORY)
        return false;
    while (bytes(model, false) + size > MEMORY)
        oldest_end(model, 3)->forgotten = true;
    return true;
}

static unsigned jobs_of(const struct jobd_put *put)
{
    return put->batch_len > 0 ? put->batch_len : 1;
}

static void measure(const struct jobd_put *put, size_t sizes[BATCH_MAX])
{
    sizes[0] = put->payload != NULL ? put->payload->size : 0;
    for (unsigned i = 0; i < put->batch_len; i++)
        sizes[i] = put->batch[i]->size;
}

static bool has_room(const struct model *model, const struct jobd_put *put)
{
    return waiting(model, put->queue) + jobs_of(put) <= queues[put->queue].capacity;
}

static const struct model_job *with_key(const struct model *model, const struct jobd_put *put)
{
    for (unsigned i = 0; put->key != NULL && i < model->jobs_len; i++) {
        const struct model_job *job = &model->jobs[i];
        if (!job->forgotten && job->queue == put->queue && job->key != NULL &&
            strcmp(job->key, put->key) == 0)
            return job;
    }
    return NULL;
}

static void add(struct model *model, const struct jobd_put *put, size_t size)
{
    unsigned usual = queues[put->queue].attempts > 0 ? queues[put->queue].attempts : 1;
    verify(model->jobs_len < JOBS_MAX);
    struct model_job *job = &model->jobs[model->jobs_len++];
    *job = (struct model_job){
        .id = model->next_id++,
        .queue = put->queue,
        .priority = put->priority,
        .state = put->delay_us > 0 ? JOBD_SCHEDULED : JOBD_QUEUED,
        .ready_us = model->now_us + put->delay_us,
        .attempts = put->attempts > 0 ? put->attempts : usual,
        .payload = size,
        .extra = put->key != NULL ? model->extra + strlen(put->key) : 0,
        .key = put->key,
        .order = (int)++model->clock,
    };
}

static enum jobd_result admit(struct model *model, const struct jobd_put *put,
                              const size_t sizes[BATCH_MAX], uint64_t *id)
{
    const struct model_job *twin = with_key(model, put);
    size_t size = put->key != NULL ? model->extra + strlen(put->key) : 0;
    if (twin != NULL) {
        *id = twin->id;
        return twin->payload == sizes[0] ? JOBD_OK : JOBD_CONFLICT;
    }
    if (!has_room(model, put))
        return JOBD_FULL;
    for (unsigned i = 0; i < jobs_of(put); i++)
        size += sizes[i];
    if (!make_room(model, size))
        return JOBD_MEMORY;
    *id = model->next_id;
    for (unsigned i = 0; i < jobs_of(put); i++)
        add(model, put, sizes[i]);
    return JOBD_OK;
}

static struct model_job *next_job(struct model *model, unsigned queue)
{
    struct model_job *best = NULL;
    for (unsigned i = 0; i < model->jobs_len; i++) {
        struct model_job *job = &model->jobs[i];
        if (job->queue != queue || job->state != JOBD_QUEUED)
            continue;
        if (best == NULL || job->priority < best->priority ||
            (job->priority == best->priority && job->order < best->order))
            best = job;
    }
    return best;
}

static struct actor *first(struct actor *actors, unsigned len, unsigned queue)
{
    struct actor *found = NULL;
    for (unsigned i = 0; i < len; i++)
        if (actors[i].waits && !actors[i].is_in && actors[i].queue == queue &&
            (found == NULL || actors[i].since < found->since))
            found = &actors[i];
    return found;
}

static bool can_give(struct model *model, unsigned queue, const struct actor *taker)
{
    return !model->paused[queue] && next_job(model, queue) != NULL &&
           (taker->kind == LEASER || running_here(model, queue) < queues[queue].workers);
}

/* Of all who wait and could have a job, the one who came first. */
static struct actor *next_taker(struct model *model, unsigned queue)
{
    struct actor *found = NULL;
    for (unsigned i = 0; i < TAKERS + LEASERS; i++) {
        struct actor *actor = i < TAKERS ? &model->takers[i] : &model->leasers[i - TAKERS];
        if (actor->waits && actor->queue == queue && can_give(model, queue, actor) &&
            (found == NULL || actor->since < found->since))
            found = actor;
    }
    return found;
}

static void give(struct model *model, unsigned queue, struct actor *taker)
{
    struct model_job *job = next_job(model, queue);
    job->state = JOBD_RUNNING;
    job->attempt++;
    expect(taker, JOBD_OK, job->id);
    taker->id = job->id;
    if (taker->kind != LEASER) {
        taker->holds = true;
        return;
    }
    job->token = (unsigned)strtoul(taker->waiter.token, NULL, 16);
    job->expires_us = model->now_us + taker->waiter.lease_us;
    if (model->leases_used < LEASES_MAX)
        model->leases_used++;
    else
        model->over_from++; /* its record is this one's now */
}

static void end_lease(struct model *model, struct model_job *job)
{
    verify(model->over_to < TOKENS_MAX);
    model->over[model->over_to++] = job->token;
    job->token = 0;
}

/* A job is in, new or not: what its putter, who may wait for its end too, is told. */
static enum jobd_result let_in(struct model *model, struct actor *putter, uint64_t id)
{
    if (putter->waiter.end_us == 0 || final(find(model, id)))
        return JOBD_OK;
    putter->is_in = true;
    putter->id = id;
    return JOBD_PENDING;
}

static void settle(struct model *model, unsigned queue)
{
    for (;;) {
        struct actor *taker = next_taker(model, queue);
        struct actor *putter = first(model->putters, PUTTERS, queue);
        if (taker != NULL) {
            give(model, queue, taker);
        } else if (putter != NULL && has_room(model, &putter->put)) {
            uint64_t id = 0;
            enum jobd_result result = admit(model, &putter->put, putter->sizes, &id);
            model->rejected[queue] += result == JOBD_MEMORY;
            if (result == JOBD_OK)
                result = let_in(model, putter, id);
            if (result != JOBD_PENDING)
                expect(putter, result, id);
        } else {
            return;
        }
    }
}

/* ---- steps: the same in both */

static void wake(struct jobd_waiter *waiter)
{
    struct actor *actor = (struct actor *)waiter;
    verify(!actor->woken);
    actor->woken = true;
}

static struct jobd_blob *some_bytes(struct model *model, unsigned most)
{
    struct jobd_blob *blob = jobd_blob_new(below(model, most), NULL);
    verify(blob != NULL);
    memset(blob->bytes, 'x', blob->size);
    return blob;
}

static void drop_put(const struct jobd_put *put)
{
    jobd_blob_unref(put->payload);
    for (unsigned i = 0; i < put->batch_len; i++)
        jobd_blob_unref(put->batch[i]);
}

static struct jobd_put random_put(struct model *model, struct jobd_blob *batch[BATCH_MAX])
{
    static const char *const keys[KEYS] = {"a", "key", "ab", "A"};
    struct jobd_put put = {.queue = below(model, QUEUES),
                           .priority = (uint8_t)below(model, JOBD_PRIORITIES),
                           .attempts = below(model, 4)};
    if (below(model, 4) == 0)
        put.delay_us = 1 + below(model, 5000);
    if (below(model, 6) == 0) {
        put.batch = batch;
        put.batch_len = 1 + below(model, BATCH_MAX);
        for (unsigned i = 0; i < put.batch_len; i++)
            batch[i] = some_bytes(model, 300);
        return put;
    }
    if (below(model, 4) == 0)
        put.key = keys[below(model, KEYS)];
    if (below(model, 3) > 0)
        put.payload = some_bytes(model, put.key != NULL ? 3 : 900);
    return put;
}

static void step_put(struct model *model)
{
    struct jobd_blob *batch[BATCH_MAX];
    struct jobd_put put = random_put(model, batch);
    struct jobd_receipt receipt;
    uint64_t id = 0;
    size_t sizes[BATCH_MAX];
    measure(&put, sizes);
    enum jobd_result expected = admit(model, &put, sizes, &id);
    enum jobd_result result = jobd_put(model->jobd, &put, NULL, model->now_us, &receipt);
    verify(result == expected && (result != JOBD_OK || receipt.id == id));
    if (result != JOBD_OK) {
        model->rejected[put.queue] += result != JOBD_CONFLICT;
        drop_put(&put);
    }
    settle(model, put.queue);
    verify(receipt.waiting == waiting(model, put.queue));
}

static int64_t random_deadline(struct model *model)
{
    return below(model, 2) == 0 ? JOBD_NEVER : model->now_us + 1 + below(model, 5000);
}

static void begin(struct model *model, struct actor *actor, unsigned queue)
{
    actor->queue = queue;
    actor->since = ++model->clock;
    actor->woken = false;
    actor->waiter.deadline_us = random_deadline(model);
}

/* Of a job that has ended. */
static void drop_output(struct actor *actor, size_t output_bytes)
{
    struct jobd_blob *output = actor->waiter.output;
    verify(output == NULL || (actor->waiter.wants_output && output->size == output_bytes));
    verify(output != NULL || !actor->waiter.wants_output || output_bytes == 0);
    jobd_blob_unref(output);
}

static void step_put_wait(struct model *model)
{
    struct actor *putter = &model->putters[below(model, PUTTERS)];
    struct jobd_receipt receipt;
    if (putter->waits)
        return;
    putter->put = random_put(model, putter->batch);
    measure(&putter->put, putter->sizes);
    begin(model, putter, putter->put.queue);
    putter->is_in = false;
    putter->waiter.end_us = 0;
    if (putter->put.batch_len == 0 && below(model, 2) == 0)
        putter->waiter.end_us = 1 + below(model, 5000);
    putter->waiter.wants_output = below(model, 2) == 0;
    bool room = waiters(model) < WAITERS_MAX;
    bool blocks = below(model, 3) > 0;
    uint64_t id = 0;
    enum jobd_result expected = JOBD_FULL; /* behind those who came before */
    if (!blocks || first(model->putters, PUTTERS, putter->queue) == NULL ||
        with_key(model, &putter->put) != NULL)
        expected = admit(model, &putter->put, putter->sizes, &id);
    bool accepted = expected == JOBD_OK;
    if (accepted)
        expected = let_in(model, putter, id);
    else if (blocks && expected == JOBD_FULL &&
             jobs_of(&putter->put) <= queues[putter->queue].capacity)
        expected = JOBD_PENDING;
    if (expected == JOBD_PENDING && !room)
        expected = JOBD_CROWDED;
    enum jobd_result result = (blocks ? jobd_put_wait : jobd_put)(
        model->jobd, &putter->put, &putter->waiter, model->now_us, &receipt);
    verify(result == expected && putter->waiter.accepted == accepted);
    verify(!accepted || (receipt.id == id && putter->waiter.receipt.id == id));
    if (accepted && result == JOBD_OK && putter->waiter.end_us > 0)
        drop_output(putter, putter->waiter.info.output_bytes);
    putter->waits = result == JOBD_PENDING;
    model->rejected[putter->queue] += result == JOBD_MEMORY || result == JOBD_FULL;
    if (!accepted && result != JOBD_PENDING)
        drop_put(&putter->put);
    settle(model, putter->queue);
}

static void step_take(struct model *model)
{
    struct actor *taker = &model->takers[below(model, TAKERS)];
    unsigned queue = below(model, QUEUES);
    if (taker->waits || taker->holds)
        return;
    bool room = waiters(model) < WAITERS_MAX;
    begin(model, taker, queue);
    enum jobd_result result = jobd_take(model->jobd, queue, &taker->waiter, model->now_us);
    if (can_give(model, queue, taker)) {
        verify(result == JOBD_OK);
        give(model, queue, taker);
        verify(taker->waiter.task.id == taker->id);
        settle(model, queue);
    } else {
        verify(result == (room ? JOBD_PENDING : JOBD_CROWDED));
        taker->waits = room;
    }
}

static struct jobd_blob *random_bytes(struct model *model)
{
    return below(model, 3) > 0 ? NULL : some_bytes(model, 400);
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
    const struct jobd_queue_config *queue = &queues[job->queue];
    struct jobd_info info;
    verify(jobd_look(model->jobd, job->id, &info) == JOBD_OK);
    int64_t wait_us = info.run_at_us - model->now_us;
    verify(wait_us >= queue->backoff_min_us && wait_us >= retry_in_us);
    verify(wait_us <= queue->backoff_max_us || wait_us == retry_in_us);
    job->state = JOBD_SCHEDULED;
    job->ready_us = info.run_at_us;
    job->order = -(int)++model->clock;
    model->retried[job->queue]++;
}

static struct jobd_outcome random_outcome(struct model *model)
{
    static const enum jobd_state ends[] = {JOBD_DONE, JOBD_FAILED, JOBD_FAILED, JOBD_CANCELLED};
    return (struct jobd_outcome){
        .state = ends[below(model, 4)],
        .for_good = below(model, 6) == 0,
        .retry_in_us = below(model, 6) == 0 ? 700 : 0,
        .output = random_bytes(model),
        .error = random_bytes(model),
    };
}

/* The sizes are those of output and error, which the heart may have freed by now; -1: none. */
static void attempt_ended(struct model *model, struct model_job *job,
                          const struct jobd_outcome *outcome, int output, int error)
{
    if (job->token > 0)
        end_lease(model, job);
    if (job->extra == 0 && (output >= 0 || error >= 0) && make_room(model, model->extra))
        job->extra = model->extra;
    if (job->extra > 0) {
        keep(model, &job->output, output);
        keep(model, &job->error, error);
    }
    if (outcome->state != JOBD_FAILED)
        end(model, job, outcome->state);
    else if (job->stopping)
        end(model, job, JOBD_CANCELLED);
    else if (!outcome->for_good && job->attempt < job->attempts)
        go_again(model, job, outcome->retry_in_us);
    else
        end(model, job, JOBD_FAILED);
    settle(model, job->queue);
}

static int size_or_none(const struct jobd_blob *blob)
{
    return blob != NULL ? (int)blob->size : -1;
}

static void step_finish(struct model *model)
{
    struct actor *taker = &model->takers[below(model, TAKERS)];
    if (!taker->holds)
        return;
    struct jobd_outcome outcome = random_outcome(model);
    int output = size_or_none(outcome.output), error = size_or_none(outcome.error);
    struct model_job *job = find(model, taker->id);
    taker->holds = false;
    verify(taker->waiter.task.attempt == job->attempt && job->attempt <= job->attempts);
    jobd_finish(model->jobd, &taker->waiter.task, &outcome, model->now_us);
    attempt_ended(model, job, &outcome, output, error);
}

/* ---- leases */

static void write_token(unsigned number, char token[JOBD_TOKEN_SIZE])
{
    snprintf(token, JOBD_TOKEN_SIZE, "%032x", number);
}

static void step_lease(struct model *model)
{
    struct actor *leaser = &model->leasers[below(model, LEASERS)];
    unsigned queue = below(model, QUEUES);
    if (leaser->waits || model->over_to + 2 * LEASES_MAX > TOKENS_MAX)
        return;
    bool room = waiters(model) < WAITERS_MAX;
    bool free_lease = leased(model) + promised(model) < LEASES_MAX;
    begin(model, leaser, queue);
    leaser->waiter.lease_us = 1 + below(model, 4000);
    leaser->waiter.try_only = below(model, 4) == 0;
    write_token(++model->tokens, leaser->waiter.token);
    enum jobd_result result = jobd_take(model->jobd, queue, &leaser->waiter, model->now_us);
    if (!free_lease) {
        verify(result == JOBD_CROWDED);
    } else if (can_give(model, queue, leaser)) {
        verify(result == JOBD_OK);
        give(model, queue, leaser);
        leaser->expected = JOBD_RESULTS; /* not woken */
        verify(leaser->waiter.task.id == leaser->id);
        jobd_blob_unref(leaser->waiter.task.payload);
        settle(model, queue);
    } else if (leaser->waiter.try_only) {
        verify(result == JOBD_TIMEOUT);
    } else {
        verify(result == (room ? JOBD_PENDING : JOBD_CROWDED));
        leaser->waits = room;
    }
}

/* A token that may be any: of a lease that is held, over, forgotten, or never was. */
static enum jobd_result pick_lease(struct model *model, char token[JOBD_TOKEN_SIZE],
                                   struct model_job **job)
{
    unsigned number = model->tokens + 2 - below(model, 14 < model->tokens ? 14 : 2);
    write_token(number, token);
    for (unsigned i = 0; i < model->jobs_len; i++) {
        if (model->jobs[i].token == number) {
            *job = &model->jobs[i];
            return JOBD_OK;
        }
    }
    for (unsigned i = model->over_from; i < model->over_to; i++)
        if (model->over[i] == number)
            return JOBD_LEASE_OVER;
    return JOBD_NO_LEASE;
}

static void step_lease_finish(struct model *model)
{
    char token[JOBD_TOKEN_SIZE];
    struct model_job *job = NULL;
    enum jobd_result expected = pick_lease(model, token, &job);
    struct jobd_outcome outcome = random_outcome(model);
    int output = size_or_none(outcome.output), error = size_or_none(outcome.error);
    verify(jobd_lease_finish(model->jobd, token, &outcome, NULL, model->now_us) == expected);
    if (expected == JOBD_OK) {
        attempt_ended(model, job, &outcome, output, error);
    } else {
        jobd_blob_unref(outcome.output);
        jobd_blob_unref(outcome.error);
    }
}

static void step_lease_keep(struct model *model)
{
    char token[JOBD_TOKEN_SIZE];
    struct model_job *job = NULL;
    enum jobd_result expected = pick_lease(model, token, &job);
    int64_t us = below(model, 3000);
    if (below(model, 2) == 0) {
        verify(jobd_lease_extend(model->jobd, token, us + 1, NULL, model->now_us) == expected);
        if (expected == JOBD_OK)
            job->expires_us = model->now_us + us + 1;
        return;
    }
    us = below(model, 2) == 0 ? 0 : us;
    verify(jobd_lease_release(model->jobd, token, us, NULL, model->now_us) == expected);
    if (expected != JOBD_OK)
        return;
    end_lease(model, job);
    job->attempt--;
    job->state = us > 0 ? JOBD_SCHEDULED : JOBD_QUEUED;
    job->ready_us = model->now_us + us;
    job->order = us > 0 ? -(int)++model->clock : (int)++model->clock;
    settle(model, job->queue);
}

static void step_retry(struct model *model)
{
    uint64_t id = model->jobs_len == 0 ? 1 : model->next_id - 1 - below(model, 30);
    struct model_job *job = find(model, id);
    struct jobd_receipt receipt;
    enum jobd_result expected = JOBD_OK;
    if (job == NULL)
        expected = JOBD_NO_JOB;
    else if (!final(job))
        expected = JOBD_NOT_FINAL;
    else if (waiting(model, job->queue) >= queues[job->queue].capacity)
        expected = JOBD_FULL;
    verify(jobd_retry(model->jobd, id, NULL, model->now_us, &receipt) == expected);
    if (expected == JOBD_FULL)
        model->rejected[job->queue]++;
    if (expected != JOBD_OK)
        return;
    job->state = JOBD_QUEUED;
    job->attempt = 0;
    job->output = job->error = 0;
    job->order = (int)++model->clock;
    settle(model, job->queue);
}

static void step_cancel(struct model *model)
{
    uint64_t id = model->jobs_len == 0 ? 1 : model->next_id - 1 - below(model, 30);
    struct model_job *job = find(model, id);
    enum jobd_result expected = job == NULL                  ? JOBD_NO_JOB
                                : final(job)                 ? JOBD_IS_FINAL
                                : job->state == JOBD_RUNNING ? JOBD_STOPPING
                                                             : JOBD_OK;
    verify(jobd_cancel(model->jobd, id, NULL, model->now_us) == expected);
    if (expected == JOBD_STOPPING && job->token == 0)
        job->stopping = true;
    if (expected == JOBD_STOPPING && job->token > 0) {
        end_lease(model, job);
        end(model, job, JOBD_CANCELLED);
        settle(model, job->queue);
    }
    if (expected == JOBD_OK) {
        end(model, job, JOBD_CANCELLED);
        settle(model, job->queue);
    }
}

static void step_pause(struct model *model)
{
    unsigned queue = below(model, QUEUES);
    model->paused[queue] = below(model, 3) == 0;
    jobd_pause(model->jobd, queue, model->paused[queue], model->now_us);
    settle(model, queue);
}

static void step_watch(struct model *model)
{
    struct actor *watcher = &model->watchers[below(model, WATCHERS)];
    uint64_t id = model->next_id - 1 - below(model, 10);
    struct model_job *job = find(model, id);
    struct jobd_info info;
    if (watcher->waits)
        return;
    bool room = waiters(model) < WAITERS_MAX;
    begin(model, watcher, 0);
    watcher->waiter.wants_output = below(model, 2) == 0;
    watcher->id = id;
    enum jobd_result result = jobd_await(model->jobd, id, &watcher->waiter, &info);
    enum jobd_result expected = job == NULL  ? JOBD_NO_JOB
                                : final(job) ? JOBD_OK
                                : room       ? JOBD_PENDING
                                             : JOBD_CROWDED;
    verify(result == expected);
    if (result == JOBD_OK)
        drop_output(watcher, job->output);
    watcher->waits = result == JOBD_PENDING;
}

static struct model_job *next_scheduled(struct model *model)
{
    struct model_job *due = NULL;
    for (unsigned i = 0; i < model->jobs_len; i++) {
        struct model_job *job = &model->jobs[i];
        if (job->state == JOBD_SCHEDULED && job->ready_us <= model->now_us &&
            (due == NULL || job->ready_us < due->ready_us))
            due = job;
    }
    return due;
}

static struct model_job *next_expired(struct model *model)
{
    struct model_job *due = NULL;
    for (unsigned i = 0; i < model->jobs_len; i++) {
        struct model_job *job = &model->jobs[i];
        if (job->token > 0 && job->expires_us <= model->now_us &&
            (due == NULL || job->expires_us < due->expires_us))
            due = job;
    }
    return due;
}

/* What is due by then, in the model: jobs first, then leases, then waiters, each by their time; and
 * once more when a lease that ran out has made a job due at once. */
static void pass_time(struct model *model, int64_t now_us)
{
    static const struct jobd_outcome late = {.state = JOBD_FAILED};
    struct model_job *due;
    model->now_us = now_us;
    do {
        while ((due = next_scheduled(model)) != NULL) {
            due->state = JOBD_QUEUED;
            due->order = (int)++model->clock;
            settle(model, due->queue);
        }
        while ((due = next_expired(model)) != NULL)
            attempt_ended(model, due, &late, -1, LATE_BYTES);
        struct actor *groups[] = {model->takers, model->putters, model->watchers, model->leasers};
        const unsigned lens[] = {TAKERS, PUTTERS, WATCHERS, LEASERS};
        for (unsigned g = 0; g < 4; g++)
            for (unsigned i = 0; i < lens[g]; i++)
                if (groups[g][i].waits && groups[g][i].waiter.deadline_us <= now_us)
                    expect(&groups[g][i], JOBD_TIMEOUT, 0);
        for (unsigned queue = 0; queue < QUEUES; queue++)
            settle(model, queue);
    } while (next_scheduled(model) != NULL);
}

/* The heart's heap leaves the order of equal moments open; so no two jobs may share one here. */
static bool moments_differ(const struct model *model)
{
    for (unsigned i = 0; i < model->jobs_len; i++)
        for (unsigned k = 0; k < i; k++)
            if ((model->jobs[i].state == JOBD_SCHEDULED && model->jobs[k].state == JOBD_SCHEDULED &&
                 model->jobs[i].ready_us == model->jobs[k].ready_us) ||
                (model->jobs[i].token > 0 && model->jobs[k].token > 0 &&
                 model->jobs[i].expires_us == model->jobs[k].expires_us))
                return false;
    return true;
}

static void step_unwait(struct model *model)
{
    struct actor *all[] = {
        &model->takers[below(model, TAKERS)], &model->putters[below(model, PUTTERS)],
        &model->watchers[below(model, WATCHERS)], &model->leasers[below(model, LEASERS)]};
    struct actor *actor = all[below(model, 4)];
    if (actor->kind == PUTTER && !moments_differ(model))
        return;
    verify(jobd_unwait(model->jobd, &actor->waiter) == actor->waits);
    bool left_room = actor->waits && actor->kind == PUTTER && !actor->is_in;
    if (left_room)
        drop_put(&actor->put);
    actor->waits = false;
    if (left_room) { /* who stood behind it may need less */
        check_heart(model->jobd);
        (void)jobd_tick(model->jobd, model->now_us);
        pass_time(model, model->now_us);
    }
}

static void step_time(struct model *model)
{
    /* One microsecond at a time where two jobs become due together would not help: skip these. */
    if (!moments_differ(model))
        return;
    int64_t now_us = model->now_us + below(model, 1500);
    int64_t next_us = jobd_tick(model->jobd, now_us);
    verify(next_us > now_us);
    pass_time(model, now_us);
}

static void step_purge(struct model *model)
{
    unsigned queue = below(model, QUEUES);
    uint64_t below_id = model->next_id;
    unsigned putters = 0, expected = 0;
    for (unsigned i = 0; i < PUTTERS; i++)
        putters += model->putters[i].waits && model->putters[i].queue == queue;
    if (putters > 0 || below(model, 4) > 0)
        return; /* those let in meanwhile would make the model as clever as the heart */
    /* Scheduled ones go first, then lane by lane: the order in which they are forgotten. */
    for (unsigned pass = 0; pass <= JOBD_PRIORITIES; pass++) {
        for (;;) {
            struct model_job *next = NULL;
            for (unsigned i = 0; i < model->jobs_len; i++) {
                struct model_job *job = &model->jobs[i];
                bool here = pass == 0 ? job->state == JOBD_SCHEDULED
                                      : job->state == JOBD_QUEUED && job->priority == pass - 1;
                if (job->queue == queue && here && job->id < below_id &&
                    (next == NULL || job->order < next->order))
                    next = job;
            }
            if (next == NULL)
                break;
            end(model, next, JOBD_CANCELLED);
            expected++;
        }
    }
    uint32_t purged;
    verify(jobd_purge(model->jobd, queue, NULL, model->now_us, &purged) == JOBD_OK);
    verify(purged == expected);
}

/* ---- both agree */

static void compare_actor(struct actor *actor)
{
    if (actor->expected == JOBD_RESULTS) {
        verify(!actor->woken);
        return;
    }
    /* Set by the model when the heart should have woken it; a taker served at once is not woken. */
    if (actor->woken) {
        verify(actor->waiter.result == actor->expected);
        if (actor->kind == TAKER && actor->expected == JOBD_OK)
            verify(actor->waiter.task.id == actor->expected_id);
        if (actor->kind == LEASER && actor->expected == JOBD_OK) {
            verify(actor->waiter.task.id == actor->expected_id);
            jobd_blob_unref(actor->waiter.task.payload);
        }
        bool put = actor->kind == PUTTER;
        verify(!put || actor->waiter.accepted == (actor->is_in || actor->expected == JOBD_OK));
        if (put && actor->expected == JOBD_OK)
            verify(actor->waiter.receipt.id == actor->expected_id);
        if (put && !actor->waiter.accepted)
            drop_put(&actor->put);
        bool ended = actor->kind == WATCHER || (put && actor->waiter.end_us > 0);
        if (ended && actor->expected == JOBD_OK) {
            verify(actor->waiter.info.id == actor->expected_id &&
                   jobd_state_final(actor->waiter.info.state));
            drop_output(actor, actor->waiter.info.output_bytes);
        }
    } else {
        verify(actor->kind == TAKER && actor->holds);
    }
    actor->expected = JOBD_RESULTS;
    actor->woken = false;
}

static void compare_jobs(struct model *model)
{
    unsigned from = model->jobs_len > 64 ? model->jobs_len - 64 : 0;
    for (unsigned i = from; i < model->jobs_len; i++) {
        const struct model_job *job = &model->jobs[i];
        struct jobd_info info;
        enum jobd_result result = jobd_look(model->jobd, job->id, &info);
        verify(result == (job->forgotten ? JOBD_NO_JOB : JOBD_OK));
        if (result == JOBD_OK)
            verify(info.state == job->state && info.queue == job->queue &&
                   info.attempt == job->attempt && info.payload_bytes == job->payload &&
                   info.output_bytes == job->output && info.stopping == job->stopping);
    }
}

static void compare(struct model *model)
{
    for (unsigned i = 0; i < TAKERS; i++)
        compare_actor(&model->takers[i]);
    for (unsigned i = 0; i < LEASERS; i++)
        compare_actor(&model->leasers[i]);
    for (unsigned i = 0; i < PUTTERS; i++)
        compare_actor(&model->putters[i]);
    for (unsigned i = 0; i < WATCHERS; i++)
        compare_actor(&model->watchers[i]);
    for (unsigned i = 0; i < QUEUES; i++) {
        struct jobd_stats stats;
        jobd_stats(model->jobd, i, model->now_us, &stats);
        verify(stats.queued == count(model, i, JOBD_QUEUED));
        verify(stats.scheduled == count(model, i, JOBD_SCHEDULED));
        verify(stats.running == count(model, i, JOBD_RUNNING));
        verify(stats.done == model->ended[i][JOBD_DONE]);
        verify(stats.failed == model->ended[i][JOBD_FAILED]);
        verify(stats.cancelled == model->ended[i][JOBD_CANCELLED]);
        verify(stats.rejected == model->rejected[i] && stats.retried == model->retried[i]);
        verify(stats.paused == model->paused[i]);
    }
    compare_jobs(model);
    verify(jobd_memory(model->jobd) == bytes(model, false));
    check_heart(model->jobd);
}

/* ---- a run */

typedef void step(struct model *model);

static void take_one_step(struct model *model)
{
    /* The more often a step stands here, the more often it is taken. */
    static step *const steps[] = {
        step_put,   step_put,    step_put,    step_put_wait,     step_take,
        step_take,  step_finish, step_finish, step_cancel,       step_time,
        step_time,  step_pause,  step_unwait, step_watch,        step_purge,
        step_retry, step_lease,  step_lease,  step_lease_finish, step_lease_keep,
    };
    steps[below(model, sizeof steps / sizeof steps[0])](model);
}

static void set_up_actors(struct model *model, struct actor *actors, unsigned len, unsigned kind)
{
    for (unsigned i = 0; i < len; i++) {
        actors[i].kind = kind;
        actors[i].model = model;
        actors[i].expected = JOBD_RESULTS;
        actors[i].waiter.wake = wake;
    }
}

static void tear_down(struct model *model)
{
    for (unsigned i = 0; i < PUTTERS; i++)
        if (jobd_unwait(model->jobd, &model->putters[i].waiter) && !model->putters[i].is_in)
            drop_put(&model->putters[i].put);
    for (unsigned i = 0; i < WATCHERS; i++)
        (void)jobd_unwait(model->jobd, &model->watchers[i].waiter);
    for (unsigned i = 0; i < TAKERS; i++)
        (void)jobd_unwait(model->jobd, &model->takers[i].waiter);
    for (unsigned i = 0; i < LEASERS; i++)
        (void)jobd_unwait(model->jobd, &model->leasers[i].waiter);
    jobd_abandon(model->jobd, model->now_us); /* takes all leases away */
    for (unsigned i = 0; i < TAKERS; i++)
        if (model->takers[i].holds)
            finish(model->jobd, &model->takers[i].waiter.task, JOBD_DONE, model->now_us);
    jobd_free(model->jobd);
}

static size_t measure_extra(void)
{
    const struct jobd_config config = {
        .queues = queues, .queues_len = 1, .keep = 1, .memory_bytes = MEMORY, .first_id = 1};
    struct jobd *jobd;
    struct jobd_receipt receipt;
    verify(jobd_new(&jobd, &config) == 0);
    verify(jobd_put(jobd, &(struct jobd_put){.trace = ""}, NULL, 1, &receipt) == JOBD_OK);
    size_t bytes_used = jobd_memory(jobd);
    jobd_free(jobd);
    return bytes_used;
}

void heart_drive(struct chance *chance, unsigned steps)
{
    struct model *model = calloc(1, sizeof *model);
    verify(model != NULL);
    model->chance = chance;
    model->now_us = 1000000;
    model->next_id = 1;
    model->extra = measure_extra();
    set_up_actors(model, model->takers, TAKERS, TAKER);
    set_up_actors(model, model->leasers, LEASERS, LEASER);
    set_up_actors(model, model->putters, PUTTERS, PUTTER);
    set_up_actors(model, model->watchers, WATCHERS, WATCHER);
    const struct jobd_config config = {.queues = queues,
                                       .queues_len = QUEUES,
                                       .keep = KEEP,
                                       .memory_bytes = MEMORY,
                                       .waiters_max = WAITERS_MAX,
                                       .leases_max = LEASES_MAX,
                                       .first_id = 1};
    verify(jobd_new(&model->jobd, &config) == 0);
    for (unsigned i = 0; i < steps && model->jobs_len < JOBS_MAX - 8 && !chance_over(chance); i++) {
        take_one_step(model);
        compare(model);
    }
    tear_down(model);
    free(model);
}
