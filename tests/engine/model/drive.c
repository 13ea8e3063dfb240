/* SPDX-License-Identifier: MIT */
/* A run: steps by chance, each compared. */
#include "engine/model/model_inside.h"

#include <stdlib.h>
#include <string.h>

#include "engine/model/check_engine.h"
#include "base/verify.h"

static void wake(struct jobd_waiter *waiter)
{
    struct actor *actor = (struct actor *)waiter;
    verify(!actor->woken);
    actor->woken = true;
}

static void wake_follower(struct jobd_waiter *waiter)
{
    struct follower *follower = (struct follower *)waiter;
    verify(!follower->woken);
    follower->woken = true;
}

static void take_one_step(struct model *model)
{
    /* The more often a step stands here, the more often it is taken. */
    static model_step *const steps[] = {
        model_step_put,          model_step_put,         model_step_put,
        model_step_put_wait,     model_step_take,        model_step_take,
        model_step_finish,       model_step_finish,      model_step_cancel,
        model_step_time,         model_step_time,        model_step_pause,
        model_step_unwait,       model_step_watch,       model_step_purge,
        model_step_retry,        model_step_lease,       model_step_lease,
        model_step_lease_finish, model_step_lease_keep,  model_step_resize,
        model_step_move,         model_step_amend,       model_step_forget,
        model_step_change_all,   model_step_come_and_go, model_step_put_jobs,
        model_step_await_batch,  model_step_say,         model_step_say,
        model_step_follow,       model_step_follow,      model_step_lease_any,
        model_step_reports,      model_step_limits,      model_step_events,
        model_step_show,         model_step_show,
    };
    steps[below(model, sizeof steps / sizeof steps[0])](model);
}

static void set_up_actors(struct actor *actors, unsigned len, unsigned kind)
{
    for (unsigned i = 0; i < len; i++) {
        actors[i].kind = kind;
        actors[i].expected = JOBD_RESULTS;
        actors[i].waiter.wake = wake;
    }
}

static void set_up_talk(struct model *model)
{
    for (unsigned i = 0; i < FOLLOWERS; i++)
        model->followers[i].waiter.wake = wake_follower;
    for (unsigned i = 0; i < NAMES; i++) {
        model->workers_named[i] = jobd_blob_new(1 + 30 * i, NULL);
        verify(model->workers_named[i] != NULL);
        memset(model->workers_named[i]->bytes, 'w', model->workers_named[i]->size);
    }
}

static void tear_down_talk(struct model *model)
{
    for (unsigned i = 0; i < FOLLOWERS; i++) {
        (void)jobd_cancel_wait(model->jobd, &model->followers[i].waiter);
        jobd_view_release(&model->followers[i].view);
    }
    for (unsigned i = 0; i < NAMES; i++)
        jobd_blob_unref(model->workers_named[i]);
}

static void tear_down(struct model *model)
{
    for (unsigned i = 0; i < PUTTERS; i++)
        if (jobd_cancel_wait(model->jobd, &model->put_waiters[i].waiter) &&
            !model->put_waiters[i].is_in)
            model_drop_put(&model->put_waiters[i].put);
    for (unsigned i = 0; i < WATCHERS; i++)
        (void)jobd_cancel_wait(model->jobd, &model->watchers[i].waiter);
    for (unsigned i = 0; i < BATCHERS; i++)
        (void)jobd_cancel_wait(model->jobd, &model->batchers[i].waiter);
    for (unsigned i = 0; i < TAKERS; i++)
        (void)jobd_cancel_wait(model->jobd, &model->takers[i].waiter);
    for (unsigned i = 0; i < LEASERS; i++)
        (void)jobd_cancel_wait(model->jobd, &model->leasers[i].waiter);
    tear_down_talk(model);
    jobd_cancel_all(model->jobd, model->now_us); /* takes all leases away */
    for (unsigned i = 0; i < TAKERS; i++)
        if (model->takers[i].holds)
            finish(model->jobd, &model->takers[i].waiter.task, JOBD_DONE, model->now_us);
    jobd_free(model->jobd);
}

static size_t measure_put(const struct jobd_put *put)
{
    const struct jobd_config config = {.queues = &model_queues[put->queue],
                                       .queues_len = 1,
                                       .keep = 1,
                                       .memory_bytes = MEMORY,
                                       .first_id = 1};
    struct jobd *jobd;
    struct jobd_receipt receipt;
    verify(jobd_new(&jobd, &config) == 0);
    struct jobd_put own = *put;
    own.queue = 0;
    verify(jobd_put(jobd, &own, NULL, 1, &receipt) == JOBD_OK);
    size_t bytes_used = jobd_memory(jobd);
    jobd_free(jobd);
    return bytes_used;
}

static size_t measure_said(size_t extra)
{
    const struct jobd_config config = {.queues = model_queues,
                                       .queues_len = 1,
                                       .keep = 1,
                                       .memory_bytes = MEMORY,
                                       .leases_max = 1,
                                       .first_id = 1};
    struct jobd_waiter taker = {.lease_us = 9,
                                .at_once = true,
                                .token = "00000000000000000000000000000000",
                                .deadline_us = JOBD_NEVER};
    struct jobd *jobd;
    struct jobd_receipt receipt;
    verify(jobd_new(&jobd, &config) == 0);
    verify(jobd_put(jobd, &(struct jobd_put){.queue = 0}, NULL, 1, &receipt) == JOBD_OK);
    verify(jobd_take(jobd, 0, &taker, 1) == JOBD_OK);
    verify(jobd_lease_progress(jobd, taker.token, NULL) == JOBD_OK);
    size_t bytes_used = jobd_memory(jobd);
    verify(jobd_lease_release(jobd, taker.token, 0, NULL, 1) == JOBD_OK);
    jobd_free(jobd);
    return bytes_used - extra;
}

/* What a job counts for beside its bytes. */
static void measure(struct model *model)
{
    const struct jobd_terms terms = {.unique = JOBD_FOR_SOME_TIME, .unique_us = 1};
    model->extra = measure_put(&(struct jobd_put){.trace = ""});
    model->said = measure_said(model->extra);
    model->retained = measure_put(&(struct jobd_put){.key = "k", .terms = &terms}) -
                      measure_put(&(struct jobd_put){.key = "k"});
    model->error_room = 128;
    const struct jobd_terms group = {.texts = {[JOBD_GROUP] = "g"}};
    model->group = measure_put(&(struct jobd_put){.queue = 1, .terms = &group}) -
                   measure_put(&(struct jobd_put){.terms = &group}) - 1;
}

void model_drive(struct chance *chance, unsigned steps)
{
    struct model *model = calloc(1, sizeof *model);
    verify(model != NULL);
    model->chance = chance;
    model->now_us = 1000000;
    model->next_id = 1;
    measure(model);
    for (unsigned i = 0; i < QUEUES; i++) {
        model->capacity[i] = model_queues[i].capacity;
        model->workers[i] = model_queues[i].workers;
        model->limits[i] = model_limits_of(&model_queues[i]);
        model_fill(model, &model->buckets[i], &model->limits[i].limits);
        model->token_at_us[i] = JOBD_NEVER;
    }
    set_up_talk(model);
    set_up_actors(model->takers, TAKERS, TAKER);
    set_up_actors(model->leasers, LEASERS, LEASER);
    set_up_actors(model->put_waiters, PUTTERS, PUTTER);
    set_up_actors(model->watchers, WATCHERS, WATCHER);
    set_up_actors(model->batchers, BATCHERS, BATCHER);
    const struct jobd_config config = {.queues = model_queues,
                                       .queues_len = QUEUES,
                                       .keep = KEEP,
                                       .keep_for_us = KEEP_FOR_US,
                                       .memory_bytes = MEMORY,
                                       .waiters_max = WAITERS_MAX,
                                       .leases_max = LEASES_MAX,
                                       .first_id = 1,
                                       .on_event = {.call = model_note_event, .context = model}};
    verify(jobd_new(&model->jobd, &config) == 0);
    for (unsigned i = 0; i < steps && model->jobs_len < JOBS_MAX - 8 && !chance_over(chance); i++) {
        take_one_step(model);
        model_compare(model);
    }
    tear_down(model);
    free(model);
}
