/* SPDX-License-Identifier: MIT */
/* Steps, the same in both: put, take, finish. */
#include "engine/model/model_inside.h"

#include <string.h>

#include "base/verify.h"

enum { KEYS = 4 };

struct jobd_blob *model_bytes_below(struct model *model, unsigned most)
{
    struct jobd_blob *blob = jobd_blob_new(below(model, most), NULL);
    verify(blob != NULL);
    memset(blob->bytes, 'x', blob->size);
    return blob;
}

void model_drop_put(const struct jobd_put *put)
{
    jobd_blob_unref(put->payload);
    for (unsigned i = 0; i < put->batch_len; i++)
        jobd_blob_unref(put->batch[i]);
}

static void measure(const struct jobd_put *put, size_t sizes[BATCH_MAX])
{
    sizes[0] = put->payload != NULL ? put->payload->size : 0;
    for (unsigned i = 0; i < put->batch_len; i++)
        sizes[i] = put->batch[i]->size;
}

static void random_words(struct model *model, struct jobd_terms *terms)
{
    terms->texts[JOBD_GROUP] = model_groups[below(model, GROUPS)];
    terms->texts[JOBD_TAGS] = model_tag_lists[below(model, TAG_LISTS)];
}

static bool has_words(const struct jobd_terms *terms)
{
    return terms->texts[JOBD_GROUP] != NULL || terms->texts[JOBD_TAGS] != NULL ||
           terms->texts[JOBD_AFTER] != NULL;
}

/* What the queue says, or another moment, perhaps past. */
static const struct jobd_terms *random_terms(struct model *model, unsigned queue,
                                             struct jobd_terms *terms, char *after)
{
    int64_t usual_us = model_queues[queue].expires_us;
    *terms = (struct jobd_terms){.expires_us = usual_us > 0 ? model->now_us + usual_us : 0,
                                 .keep_us = model_queues[queue].keep_us};
    if (below(model, 5) == 0) {
        terms->expires_us = model->now_us - 50 + below(model, 4000);
        terms->expires_by_wall = true; /* so it is asked for */
    }
    if (below(model, 5) == 0) {
        terms->keep_us = 1 + below(model, 6000);
        terms->expires_by_wall = true;
    }
    if (below(model, 2) == 0)
        random_words(model, terms);
    terms->texts[JOBD_AFTER] = model_after_some(model, after);
    return terms->expires_us != 0 || terms->keep_us != 0 || has_words(terms) ? terms : NULL;
}

/* What the queue says need not be said. */
static struct jobd_put asked(const struct jobd_put *put)
{
    struct jobd_put asked = *put;
    if (put->terms != NULL && !put->terms->expires_by_wall && !has_words(put->terms))
        asked.terms = NULL;
    return asked;
}

static struct jobd_put random_put(struct model *model, struct jobd_blob *batch[BATCH_MAX],
                                  struct jobd_terms *terms, char *after)
{
    static const char *const keys[KEYS] = {"a", "key", "ab", "A"};
    struct jobd_put put = {.queue = below(model, QUEUES),
                           .priority = (uint8_t)below(model, JOBD_PRIORITIES),
                           .attempts = below(model, 4)};
    put.terms = random_terms(model, put.queue, terms, after);
    if (below(model, 4) == 0)
        put.delay_us = 1 + below(model, 5000);
    else if (below(model, 8) == 0)
        put.at_us = model->now_us - 500 + below(model, 5000);
    if (below(model, 4) == 0)
        put.timeout_us = 1 + below(model, 3000);
    if (below(model, 6) == 0) {
        put.batch = batch;
        put.batch_len = 1 + below(model, BATCH_MAX);
        for (unsigned i = 0; i < put.batch_len; i++)
            batch[i] = model_bytes_below(model, 300);
        return put;
    }
    if (below(model, 4) == 0)
        put.key = keys[below(model, KEYS)];
    if (put.key != NULL && below(model, 2) == 0) {
        terms->unique = (enum jobd_unique)(1 + below(model, 3));
        terms->unique_us = 1 + below(model, 5000);
        terms->replace = below(model, 2) == 0;
        terms->expires_by_wall = true;
        put.terms = terms;
    }
    if (below(model, 3) > 0)
        put.payload = model_bytes_below(model, put.key != NULL ? 3 : 900);
    return put;
}

/* Behind those who wait for room; but that one that it names is not there is said first. */
static enum jobd_result behind_others(struct model *model, const struct jobd_put *put)
{
    struct model_after after = model_after_of(put);
    enum jobd_result result = model_after_check(model, &after, 0);
    return result != JOBD_OK ? result : JOBD_FULL;
}

void model_step_put(struct model *model)
{
    struct jobd_blob *batch[BATCH_MAX];
    struct jobd_terms terms;
    char after[MODEL_AFTER_SIZE];
    struct jobd_put put = random_put(model, batch, &terms, after), ask = asked(&put);
    struct jobd_receipt receipt;
    uint64_t id = 0;
    size_t sizes[BATCH_MAX];
    measure(&put, sizes);
    enum jobd_result expected = JOBD_UNDECLARED;
    if (model->phase[put.queue] != OPEN)
        expected = JOBD_UNDECLARED;
    else if (model_first_putter(model, put.queue) == NULL || model_same(model, &put) != NULL)
        expected = model_admit(model, &put, sizes, &id);
    else
        expected = behind_others(model, &put);
    enum jobd_result result = jobd_put(model->jobd, &ask, NULL, model->now_us, &receipt);
    verify(result == expected && (result != JOBD_OK || receipt.id == id));
    if (result != JOBD_OK) {
        bool counts = result != JOBD_CONFLICT && result != JOBD_UNDECLARED &&
                      result != JOBD_NO_PARENT && result != JOBD_LATER_PARENT;
        model->rejected[put.queue] += counts ? model_jobs_of(&put) : 0;
        model_drop_put(&put);
    }
    model_settle(model, put.queue);
    verify(receipt.waiting == model_waiting(model, put.queue));
    model_tick(model); /* it may be too late already */
}

static int64_t random_deadline(struct model *model)
{
    return below(model, 2) == 0 ? JOBD_NEVER : model->now_us + 1 + below(model, 5000);
}

void model_begin(struct model *model, struct actor *actor, unsigned queue)
{
    actor->queue = queue;
    actor->since = ++model->clock;
    actor->woken = false;
    actor->waiter.deadline_us = random_deadline(model);
}

void model_drop_output(struct actor *actor, size_t output_bytes)
{
    struct jobd_blob *output = actor->waiter.output;
    verify(output == NULL || (actor->waiter.wants_output && output->size == output_bytes));
    verify(output != NULL || !actor->waiter.wants_output || output_bytes == 0);
    jobd_blob_unref(output);
}

/* Who follows the job of this put may be told, and wait no longer, before the putter does. */
static bool is_followed(struct model *model, const struct jobd_put *put)
{
    const struct model_job *same = model_same(model, put);
    for (unsigned i = 0; i < FOLLOWERS && same != NULL; i++)
        if (model->followers[i].waits && model->followers[i].id == same->id)
            return true;
    return false;
}

static bool names_a_batch(const struct jobd_put *put)
{
    const struct model_after after = model_after_of(put);
    for (unsigned i = 0; i < after.len; i++)
        if (after.parents[i].is_batch)
            return true;
    return false;
}

void model_step_put_wait(struct model *model)
{
    struct actor *put_waiter = &model->put_waiters[below(model, PUTTERS)];
    struct jobd_receipt receipt;
    if (put_waiter->waits)
        return;
    put_waiter->put = random_put(model, put_waiter->batch, &put_waiter->terms, put_waiter->after);
    if (names_a_batch(&put_waiter->put)) { /* which may be forgotten until there is room */
        model_drop_put(&put_waiter->put);
        return;
    }
    struct jobd_put ask = asked(&put_waiter->put);
    measure(&put_waiter->put, put_waiter->sizes);
    model_begin(model, put_waiter, put_waiter->put.queue);
    put_waiter->is_in = false;
    put_waiter->waiter.end_us = 0;
    if (put_waiter->put.batch_len == 0 && below(model, 2) == 0)
        put_waiter->waiter.end_us = below(model, 4) == 0 ? JOBD_NEVER : 1 + below(model, 5000);
    put_waiter->waiter.wants_output = below(model, 2) == 0;
    bool room = model_waiters(model) < WAITERS_MAX;
    if (!room && is_followed(model, &put_waiter->put)) {
        model_drop_put(&put_waiter->put);
        return;
    }
    bool blocks = below(model, 3) > 0;
    uint64_t id = 0;
    enum jobd_result expected;
    struct model_after named = model_after_of(&put_waiter->put);
    const bool settled = model_after_check(model, &named, 0) == JOBD_OK && named.len == 0;
    if (model->phase[put_waiter->queue] != OPEN)
        expected = JOBD_UNDECLARED;
    else if (model_first_putter(model, put_waiter->queue) == NULL ||
             model_same(model, &put_waiter->put) != NULL)
        expected = model_admit(model, &put_waiter->put, put_waiter->sizes, &id);
    else
        expected = behind_others(model, &put_waiter->put);
    bool accepted = expected == JOBD_OK;
    if (accepted)
        expected = model_let_in(model, put_waiter, id);
    else if (blocks && expected == JOBD_FULL &&
             model_jobs_of(&put_waiter->put) <= model->capacity[put_waiter->queue])
        expected = JOBD_PENDING;
    if (expected == JOBD_PENDING && !room)
        expected = JOBD_TOO_MANY_WAITERS;
    enum jobd_result result = (blocks ? jobd_put_wait : jobd_put)(
        model->jobd, &ask, &put_waiter->waiter, model->now_us, &receipt);
    verify(result == expected && put_waiter->waiter.accepted == accepted);
    verify(!accepted || (receipt.id == id && put_waiter->waiter.receipt.id == id));
    if (accepted && result == JOBD_OK && put_waiter->waiter.end_us > 0)
        model_drop_output(put_waiter, put_waiter->waiter.info.output_bytes);
    put_waiter->waits = result == JOBD_PENDING;
    if (settled) /* it waits for nobody, whatever becomes of these until it is in */
        for (char *at = put_waiter->after;
             put_waiter->terms.texts[JOBD_AFTER] != NULL && (at = strstr(at, "job ")) != NULL;)
            *at = '-';
    if (result == JOBD_OUT_OF_MEMORY || result == JOBD_FULL || result == JOBD_GROUP_FULL)
        model->rejected[put_waiter->queue] += model_jobs_of(&put_waiter->put);
    if (!accepted && result != JOBD_PENDING)
        model_drop_put(&put_waiter->put);
    model_settle(model, put_waiter->queue);
    model_tick(model);
}

void model_step_take(struct model *model)
{
    struct actor *take_waiter = &model->takers[below(model, TAKERS)];
    unsigned queue = below(model, QUEUES);
    if (take_waiter->waits || take_waiter->holds)
        return;
    bool room = model_waiters(model) < WAITERS_MAX;
    model_begin(model, take_waiter, queue);
    enum jobd_result result = jobd_take(model->jobd, queue, &take_waiter->waiter, model->now_us);
    if (model->phase[queue] == GONE) {
        verify(result == JOBD_UNDECLARED);
    } else if (model_can_give(model, queue, take_waiter)) {
        verify(result == JOBD_OK);
        model_give(model, queue, take_waiter);
        verify(take_waiter->waiter.task.id == take_waiter->id);
        model_settle(model, queue);
    } else {
        verify(result == (room ? JOBD_PENDING : JOBD_TOO_MANY_WAITERS));
        take_waiter->waits = room;
        model_await_token(model, queue);
    }
}

static struct jobd_blob *random_bytes(struct model *model)
{
    return below(model, 3) > 0 ? NULL : model_bytes_below(model, 400);
}

struct jobd_outcome model_random_outcome(struct model *model)
{
    static const enum jobd_state ends[] = {JOBD_DONE, JOBD_FAILED, JOBD_FAILED, JOBD_CANCELLED};
    return (struct jobd_outcome){
        .state = ends[below(model, 4)],
        .for_good = below(model, 6) == 0,
        .down = below(model, 3) > 0,
        .retry_in_us = below(model, 6) == 0 ? 700 : 0,
        .output = random_bytes(model),
        .error = random_bytes(model),
    };
}

int model_size_or_none(const struct jobd_blob *blob)
{
    return blob != NULL ? (int)blob->size : -1;
}

void model_step_finish(struct model *model)
{
    struct actor *take_waiter = &model->takers[below(model, TAKERS)];
    if (!take_waiter->holds)
        return;
    struct jobd_outcome outcome = model_random_outcome(model);
    int output = model_size_or_none(outcome.output), error = model_size_or_none(outcome.error);
    struct model_job *job = model_find(model, take_waiter->id);
    take_waiter->holds = false;
    verify(take_waiter->waiter.task.attempt == job->attempt && job->attempt <= job->attempts);
    jobd_finish(model->jobd, &take_waiter->waiter.task, &outcome, model->now_us);
    model_attempt_ended(model, job, &outcome, output, error);
}
