/* SPDX-License-Identifier: MIT */
/* Steps, the same in both: put, take, finish. */
#include "engine/model/model_inside.h"

#include <string.h>

#include "base/verify.h"

enum { KEYS = 4 };

static struct jobd_blob *some_bytes(struct model *model, unsigned most)
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

void model_step_put(struct model *model)
{
    struct jobd_blob *batch[BATCH_MAX];
    struct jobd_put put = random_put(model, batch);
    struct jobd_receipt receipt;
    uint64_t id = 0;
    size_t sizes[BATCH_MAX];
    measure(&put, sizes);
    enum jobd_result expected = model_admit(model, &put, sizes, &id);
    enum jobd_result result = jobd_put(model->jobd, &put, NULL, model->now_us, &receipt);
    verify(result == expected && (result != JOBD_OK || receipt.id == id));
    if (result != JOBD_OK) {
        model->rejected[put.queue] += result != JOBD_CONFLICT;
        model_drop_put(&put);
    }
    model_settle(model, put.queue);
    verify(receipt.waiting == model_waiting(model, put.queue));
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

void model_step_put_wait(struct model *model)
{
    struct actor *putter = &model->putters[below(model, PUTTERS)];
    struct jobd_receipt receipt;
    if (putter->waits)
        return;
    putter->put = random_put(model, putter->batch);
    measure(&putter->put, putter->sizes);
    model_begin(model, putter, putter->put.queue);
    putter->is_in = false;
    putter->waiter.end_us = 0;
    if (putter->put.batch_len == 0 && below(model, 2) == 0)
        putter->waiter.end_us = 1 + below(model, 5000);
    putter->waiter.wants_output = below(model, 2) == 0;
    bool room = model_waiters(model) < WAITERS_MAX;
    bool blocks = below(model, 3) > 0;
    uint64_t id = 0;
    enum jobd_result expected = JOBD_FULL; /* behind those who came before */
    if (!blocks || model_first_putter(model, putter->queue) == NULL ||
        model_with_key(model, &putter->put) != NULL)
        expected = model_admit(model, &putter->put, putter->sizes, &id);
    bool accepted = expected == JOBD_OK;
    if (accepted)
        expected = model_let_in(model, putter, id);
    else if (blocks && expected == JOBD_FULL &&
             model_jobs_of(&putter->put) <= model_queues[putter->queue].capacity)
        expected = JOBD_PENDING;
    if (expected == JOBD_PENDING && !room)
        expected = JOBD_CROWDED;
    enum jobd_result result = (blocks ? jobd_put_wait : jobd_put)(
        model->jobd, &putter->put, &putter->waiter, model->now_us, &receipt);
    verify(result == expected && putter->waiter.accepted == accepted);
    verify(!accepted || (receipt.id == id && putter->waiter.receipt.id == id));
    if (accepted && result == JOBD_OK && putter->waiter.end_us > 0)
        model_drop_output(putter, putter->waiter.info.output_bytes);
    putter->waits = result == JOBD_PENDING;
    model->rejected[putter->queue] += result == JOBD_MEMORY || result == JOBD_FULL;
    if (!accepted && result != JOBD_PENDING)
        model_drop_put(&putter->put);
    model_settle(model, putter->queue);
}

void model_step_take(struct model *model)
{
    struct actor *taker = &model->takers[below(model, TAKERS)];
    unsigned queue = below(model, QUEUES);
    if (taker->waits || taker->holds)
        return;
    bool room = model_waiters(model) < WAITERS_MAX;
    model_begin(model, taker, queue);
    enum jobd_result result = jobd_take(model->jobd, queue, &taker->waiter, model->now_us);
    if (model_can_give(model, queue, taker)) {
        verify(result == JOBD_OK);
        model_give(model, queue, taker);
        verify(taker->waiter.task.id == taker->id);
        model_settle(model, queue);
    } else {
        verify(result == (room ? JOBD_PENDING : JOBD_CROWDED));
        taker->waits = room;
    }
}

static struct jobd_blob *random_bytes(struct model *model)
{
    return below(model, 3) > 0 ? NULL : some_bytes(model, 400);
}

struct jobd_outcome model_random_outcome(struct model *model)
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

int model_size_or_none(const struct jobd_blob *blob)
{
    return blob != NULL ? (int)blob->size : -1;
}

void model_step_finish(struct model *model)
{
    struct actor *taker = &model->takers[below(model, TAKERS)];
    if (!taker->holds)
        return;
    struct jobd_outcome outcome = model_random_outcome(model);
    int output = model_size_or_none(outcome.output), error = model_size_or_none(outcome.error);
    struct model_job *job = model_find(model, taker->id);
    taker->holds = false;
    verify(taker->waiter.task.attempt == job->attempt && job->attempt <= job->attempts);
    jobd_finish(model->jobd, &taker->waiter.task, &outcome, model->now_us);
    model_attempt_ended(model, job, &outcome, output, error);
}
