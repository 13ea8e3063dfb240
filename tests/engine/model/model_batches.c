/* SPDX-License-Identifier: MIT */
/* The model's batches: counted anew each time from the jobs, forgotten ones included. */
#include "engine/model/model_inside.h"

#include <string.h>

#include "base/verify.h"

static bool is_of(const struct model_job *job, const struct model_batch *batch)
{
    return job->id >= batch->id && job->id < batch->id + batch->len;
}

void model_add_batch(struct model *model, unsigned queue, unsigned len)
{
    verify(model->batches_len < JOBS_MAX);
    model->batches[model->batches_len++] = (struct model_batch){
        .id = model->next_id, .len = len, .queue = queue, .created_us = model->now_us};
}

/* As the engine should have it now. False when no job of it is there. */
static bool count(const struct model *model, const struct model_batch *batch,
                  struct jobd_batch *info)
{
    bool there = false, over = true;
    *info = (struct jobd_batch){.id = batch->id,
                                .queue = batch->queue,
                                .jobs = batch->len,
                                .created_us = batch->created_us};
    int64_t last_us = 0;
    for (unsigned i = 0; i < model->jobs_len; i++) {
        const struct model_job *job = &model->jobs[i];
        if (!is_of(job, batch))
            continue;
        info->in_state[job->state]++;
        there |= !job->forgotten;
        over &= model_final(job);
        last_us = job->ended_us > last_us ? job->ended_us : last_us;
    }
    info->finished_us = over ? last_us : 0;
    return there;
}

static const struct model_batch *any_batch(struct model *model)
{
    if (model->batches_len == 0)
        return NULL;
    unsigned back = below(model, 4);
    return &model->batches[back < model->batches_len ? model->batches_len - 1 - back : 0];
}

struct model_batch *model_find_batch(struct model *model, uint64_t id)
{
    for (unsigned i = model->batches_len; i > 0; i--)
        if (model->batches[i - 1].id == id)
            return &model->batches[i - 1];
    return NULL;
}

size_t model_batch_bytes(const struct model *model)
{
    size_t sum = 0;
    for (unsigned i = 0; i < model->batches_len; i++)
        sum += model_pin_bytes(&model->batches[i].pin);
    return sum;
}

/* Those without jobs the engine may have forgotten: it is asked. */
bool model_batch_there(const struct model *model, const struct model_batch *batch)
{
    struct jobd_batch info;
    return batch->pin.pinned || count(model, batch, &info) ||
           jobd_get_batch(model->jobd, batch->id, model->now_us, &info) == JOBD_OK;
}

bool model_batch_over(const struct model *model, const struct model_batch *batch, bool *well)
{
    struct jobd_batch info;
    (void)count(model, batch, &info);
    *well = info.in_state[JOBD_DONE] == batch->len;
    return info.finished_us != 0;
}

struct model_batch *model_batch_of(struct model *model, const struct model_job *job)
{
    for (unsigned i = model->batches_len; i > 0; i--)
        if (is_of(job, &model->batches[i - 1]))
            return &model->batches[i - 1];
    return NULL;
}

void model_note_batch_end(struct model *model)
{
    for (unsigned i = 0; i < BATCHERS; i++) {
        struct actor *actor = &model->batchers[i];
        struct jobd_batch info;
        if (!actor->waits)
            continue;
        (void)count(model, &model->batches[actor->id], &info);
        if (info.finished_us != 0)
            model_expect(actor, JOBD_OK, info.id);
    }
}

/* `id` of such an actor is its batch's place. */
void model_step_await_batch(struct model *model)
{
    struct actor *actor = &model->batchers[below(model, BATCHERS)];
    const struct model_batch *batch = any_batch(model);
    struct jobd_batch info, seen;
    if (actor->waits || batch == NULL)
        return;
    bool room = model_waiters(model) < WAITERS_MAX;
    bool there = count(model, batch, &info);
    model_begin(model, actor, 0);
    actor->id = (uint64_t)(batch - model->batches);
    actor->waiter.batch = &actor->ended;
    there |= jobd_get_batch(model->jobd, batch->id, model->now_us, &seen) == JOBD_OK;
    enum jobd_result result =
        jobd_await_batch(model->jobd, batch->id, &actor->waiter, model->now_us);
    verify(result == (!there                  ? JOBD_NO_JOB
                      : info.finished_us != 0 ? JOBD_OK
                      : room                  ? JOBD_PENDING
                                              : JOBD_TOO_MANY_WAITERS));
    actor->waits = result == JOBD_PENDING;
}

static void compare_one(struct model *model, const struct model_batch *batch, unsigned kept[QUEUES])
{
    struct jobd_batch expected, info;
    bool there = count(model, batch, &expected);
    bool seen = jobd_get_batch(model->jobd, batch->id, model->now_us, &info) == JOBD_OK;
    verify(seen || !there);
    if (seen) {
        verify(info.id == expected.id && info.queue == expected.queue &&
               info.jobs == expected.jobs && info.created_us == expected.created_us);
        verify(info.finished_us == expected.finished_us);
        verify(memcmp(info.in_state, expected.in_state, sizeof info.in_state) == 0);
    }
    if (there)
        return;
    /* Those that lost their last job a while ago are pushed out by others. */
    verify(batch->pin.pinned ? seen : !seen || expected.finished_us + KEEP_FOR_US > model->now_us);
    kept[batch->queue] += seen && !batch->pin.pinned;
}

static void compare_filter(struct model *model, const struct model_batch *batch, bool newest)
{
    struct jobd_info infos[BATCH_MAX];
    struct jobd_filter filter = {.queue = JOBD_NO_QUEUE,
                                 .state = JOBD_STATES,
                                 .batch = batch->id,
                                 .batch_jobs = batch->len,
                                 .newest = newest};
    uint64_t next;
    size_t found = 0, len = jobd_list(model->jobd, &filter, infos, BATCH_MAX, &next);
    verify(next == 0);
    for (uint64_t i = 0; i < batch->len; i++) {
        uint64_t id = newest ? batch->id + batch->len - 1 - i : batch->id + i;
        if (model_find(model, id) == NULL)
            continue;
        uint64_t of = jobd_batch_of(model->jobd, id);
        verify(found < len && infos[found++].id == id && of == batch->id);
    }
    verify(found == len);
}

void model_compare_batches(struct model *model)
{
    unsigned kept[QUEUES] = {0};
    unsigned from = model->batches_len > 24 ? model->batches_len - 24 : 0;
    for (unsigned i = from; i < model->batches_len; i++) {
        compare_one(model, &model->batches[i], kept);
        compare_filter(model, &model->batches[i], i % 2 == 0);
    }
    for (unsigned i = 0; i < QUEUES; i++)
        verify(kept[i] <= KEEP);
    for (unsigned i = 0; i < BATCHERS; i++) {
        struct actor *actor = &model->batchers[i];
        if (actor->woken && actor->waiter.result == JOBD_OK)
            verify(actor->ended.finished_us != 0 && actor->ended.id == actor->expected_id);
    }
}
