/* SPDX-License-Identifier: MIT */
#include "engine/share.h"

#include <string.h>

#include "engine/attempt.h"
#include "engine/blob.h"
#include "engine/blocked.h"
#include "engine/deliveries.h"
#include "engine/dispatch.h"
#include "engine/keep.h"
#include "engine/describe.h"
#include "engine/histogram.h"
#include "engine/said.h"
#include "engine/sweep.h"
#include "engine/touched.h"
#include "engine/waiters.h"
#include "engine/words.h"

/* For so long the jobs of this process's workers are its own, and when that is renewed. */
#define NODE_US       INT64_C(60000000)
#define NODE_RENEW_US INT64_C(30000000)

/* ---- entering */

void jobd_enter(struct jobd *jobd, struct jobd_turn *turn)
{
    if (jobd->share != NULL) {
        jobd->share->turns.enter(jobd->share->turns.context, turn);
        return;
    }
    enum jobd_result result = turn->looks ? JOBD_OK : turn->run(turn);
    if (result != JOBD_PENDING)
        turn->over(turn, result);
}

bool jobd_leave(struct jobd *jobd, struct jobd_turn *turn, struct jobd_waiter *waiter)
{
    return jobd->share != NULL ? jobd->share->turns.leave(jobd->share->turns.context, turn, waiter)
                               : jobd_cancel_wait(jobd, waiter);
}

void jobd_looked(struct jobd *jobd)
{
    if (jobd->share != NULL)
        jobd->share->turns.looked(jobd->share->turns.context);
}

bool jobd_shared(const struct jobd *jobd)
{
    return jobd->share != NULL;
}

void jobd_kept_release(struct jobd_kept *kept)
{
    jobd_blob_unref(kept->payload);
    jobd_blob_unref(kept->words);
    kept->payload = kept->words = NULL;
}

/* ---- jobs that are run by other processes */

static struct job *run_by_locked(struct op *op, uint32_t node) REQUIRES(op->jobd->lock)
{
    struct job *job;
    for (uint32_t i = 0; i < op->jobd->queues_len; i++) {
        if (op->jobd->queues[i].elsewhere == 0)
            continue;
        TAILQ_FOREACH (job, &op->jobd->queues[i].running, link)
            if (job->elsewhere && job->node == node)
                return job;
    }
    return NULL;
}

bool share_runs_locked(struct op *op, uint32_t node)
{
    return run_by_locked(op, node) != NULL;
}

static void end_run_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock)
{
    struct queue *queue = &op->jobd->queues[job->queue];
    attempt_lose_locked(op, job);
    dispatch_locked(op, queue);
}

void share_node_gone(struct jobd *jobd, uint32_t node, int64_t now_us)
{
    bool more = true;
    while (more) {
        struct op op;
        op_begin(&op, jobd, NULL, now_us);
        struct job *job = run_by_locked(&op, node);
        more = job != NULL;
        if (more)
            end_run_locked(&op, job);
        op_end(&op);
    }
}

uint32_t share_others(struct jobd *jobd, uint32_t *nodes, uint32_t max)
{
    struct op op;
    uint32_t len = 0;
    op_begin(&op, jobd, NULL, 0);
    op.outside = true;
    const struct share *share = jobd->share;
    for (uint32_t i = 0; i < share->nodes_len && len < max; i++)
        if (share_runs_locked(&op, share->nodes[i].id))
            nodes[len++] = share->nodes[i].id;
    op_end(&op);
    return len;
}

/* When the jobs that others run are free, if they do not say otherwise. */
static int64_t nodes_due_locked(struct op *op) REQUIRES(op->jobd->lock)
{
    const struct share *share = op->jobd->share;
    int64_t at_us = JOBD_NEVER;
    for (uint32_t i = 0; i < share->nodes_len; i++)
        if (share->nodes[i].until_us < at_us)
            at_us = share->nodes[i].until_us;
    return at_us;
}

static void end_nodes(struct jobd *jobd, int64_t now_us)
{
    for (;;) {
        uint32_t id = 0;
        mutex_lock(&jobd->lock);
        struct share *share = jobd->share;
        for (uint32_t i = 0; i < share->nodes_len && id == 0; i++) {
            if (share->nodes[i].until_us > now_us)
                continue;
            id = share->nodes[i].id;
            share->nodes[i] = share->nodes[--share->nodes_len];
        }
        mutex_unlock(&jobd->lock);
        if (id == 0)
            return;
        share_node_gone(jobd, id, now_us);
    }
}

/* Do workers of this process run jobs? */
static bool runs_here_locked(struct op *op) REQUIRES(op->jobd->lock)
{
    for (uint32_t i = 0; i < op->jobd->queues_len; i++)
        if (queue_here(&op->jobd->queues[i]) > 0)
            return true;
    return false;
}

/* ---- a turn */

/* Who was not served as the turn before had no room. */
static void serve_starved(struct jobd *jobd, int64_t now_us)
{
    struct op op;
    bool more = true;
    op_begin(&op, jobd, NULL, now_us);
    bool starved = jobd->journal.starved;
    jobd->journal.starved = false;
    for (uint32_t i = 0; i < jobd->queues_len && starved; i++)
        dispatch_locked(&op, &jobd->queues[i]);
    op_end(&op);
    while (more) {
        op_begin(&op, jobd, NULL, now_us);
        sweep_resume_locked(&op);
        more = !TAILQ_EMPTY(&jobd->sweep_waiters) && share_has_room(jobd->share);
        op_end(&op);
    }
}

void share_begin(struct jobd *jobd, int64_t now_us)
{
    struct op op;
    op_begin(&op, jobd, NULL, now_us);
    verify(!jobd->share->in_turn);
    jobd->share->in_turn = true;
    jobd->share->began_us = now_us;
    jobd->share->told_due = false;
    jobd->share->touched_bytes = 0;
    jobd->expiry_starved = false;
    blocked_resume_locked(&op);
    jobd->share->renews =
        runs_here_locked(&op) && jobd->share->own_until_us <= later_us(now_us, NODE_RENEW_US);
    op_end(&op);
    (void)jobd_tick(jobd, now_us);
    if (jobd->share->orphans)
        share_node_gone(jobd, jobd->share->turns.node, now_us);
    jobd->share->orphans = false;
    end_nodes(jobd, now_us);
    serve_starved(jobd, now_us);
}

bool share_is_empty(struct jobd *jobd)
{
    mutex_lock(&jobd->lock);
    const struct share *share = jobd->share;
    bool empty = share->touched_len == 0 && TAILQ_EMPTY(&jobd->jobs.forgotten) &&
                 share->leases_len == 0 && share->queues_touched == 0 && !share->renews &&
                 batches_all_told(&jobd->jobs.batches) && TAILQ_EMPTY(&jobd->schedules.untold);
    mutex_unlock(&jobd->lock);
    return empty;
}

bool share_is_full(struct jobd *jobd)
{
    mutex_lock(&jobd->lock);
    bool full = !share_has_room(jobd->share);
    mutex_unlock(&jobd->lock);
    return full;
}

uint64_t share_next_id(struct jobd *jobd)
{
    mutex_lock(&jobd->lock);
    uint64_t id = jobd->next_id;
    mutex_unlock(&jobd->lock);
    return id;
}

static int64_t earlier_us(int64_t one_us, int64_t other_us)
{
    return one_us < other_us ? one_us : other_us;
}

int64_t share_due(struct jobd *jobd)
{
    struct op op;
    op_begin(&op, jobd, NULL, 0);
    op.outside = true;
    struct share *share = jobd->share;
    const struct due *tops[] = {heap_top(&jobd->jobs.dues), heap_top(&jobd->delays),
                                heap_top(&jobd->leases.due), heap_top(&jobd->probes),
                                heap_top(&jobd->limits)};
    bool at_once = jobd->dispatch_needed || jobd->expiry_starved || jobd->journal.starved ||
                   !TAILQ_EMPTY(&jobd->sweep_waiters) || edges_due(&jobd->edges) ||
                   jobd->edges.starved;
    int64_t at_us = earlier_us(nodes_due_locked(&op), keep_next_end_us(&jobd->jobs));
    for (unsigned i = 0; i < sizeof tops / sizeof tops[0]; i++)
        if (tops[i] != NULL && tops[i]->at_us < at_us)
            at_us = tops[i]->at_us;
    if (runs_here_locked(&op) && share->own_until_us - NODE_RENEW_US < at_us)
        at_us = share->own_until_us - NODE_RENEW_US;
    op_end(&op);
    return at_once ? 0 : at_us;
}

void share_leave(struct jobd *jobd)
{
    mutex_lock(&jobd->lock);
    verify(jobd->share->in_turn);
    jobd->share->renews = true;
    jobd->share->own_until_us = 0;
    jobd->share->leaves = true;
    mutex_unlock(&jobd->lock);
}

/* ---- what has changed */

struct giving {
    struct jobd *jobd;
    int64_t now_us;
    share_each_news *each;
    void *context;
};

static struct news empty_news(enum news_kind kind)
{
    return (struct news){.kind = kind,
                         .record = {.queue = "", .key = "", .trace = "", .token = ""}};
}

static void give_job_locked(struct op *op, const struct giving *giving, struct job *job,
                            struct touch *touch) REQUIRES(op->jobd->lock)
{
    struct share *share = op->jobd->share;
    struct news news = empty_news(NEWS_JOB);
    share_describe_job(op->jobd, job, &news);
    news.fresh = touch->fresh;
    news.stays = touch->stays;
    if (!touch->fresh && !touch->moved)
        news.record.queue = "";
    if (job->state == JOBD_RUNNING && !job->leased) {
        news.node = job->elsewhere ? (uint32_t)job->node : share->turns.node;
        share->renews |=
            !job->elsewhere && share->own_until_us <= later_us(giving->now_us, NODE_RENEW_US);
    }
    share_tell_job_locked(op, job, &news, giving->each, giving->context);
}

/* No longer among the touched ones. */
static void untouch_locked(struct op *op, struct touch *touch) REQUIRES(op->jobd->lock)
{
    struct share *share = op->jobd->share;
    struct touch *all = share->touches;
    all[touch->before].behind = touch->behind;
    all[touch->behind].before = touch->before;
    *touch = (struct touch){.is_in = false};
    share->touched_len--;
}

/* First of all, as a new job may have the key of one of them. How such a job has ended may be
 * awaited by somebody else. */
static bool give_forgotten_locked(struct op *op, const struct giving *giving)
    REQUIRES(op->jobd->lock)
{
    struct jobs *jobs = &op->jobd->jobs;
    struct job *job = TAILQ_FIRST(&jobs->forgotten);
    struct news news = empty_news(NEWS_GONE);
    if (job == NULL)
        return false;
    struct touch *touch = &op->jobd->share->touches[job - jobs->records + 1];
    if (touch->is_in) {
        give_job_locked(op, giving, job, touch);
        untouch_locked(op, touch);
    }
    news.record.id = job->id;
    giving->each(giving->context, &news);
    TAILQ_REMOVE(&jobs->forgotten, job, link);
    jobs_give_back(job, op);
    jobs_release_record(jobs, job);
    return true;
}

static bool give_touched_locked(struct op *op, const struct giving *giving) REQUIRES(op->jobd->lock)
{
    struct touch *all = op->jobd->share->touches;
    if (op->jobd->share->touched_len == 0)
        return false;
    uint32_t number = all[0].behind;
    give_job_locked(op, giving, &op->jobd->jobs.records[number - 1], &all[number]);
    untouch_locked(op, &all[number]);
    return true;
}

/* Before its jobs. How they are follows from theirs, and from what is said behind them. */
static bool give_fresh_batch_locked(struct op *op, const struct giving *giving)
    REQUIRES(op->jobd->lock)
{
    struct batches *batches = &op->jobd->jobs.batches;
    struct batch *batch = TAILQ_FIRST(&batches->fresh);
    struct news news = empty_news(NEWS_BATCH);
    if (batch == NULL)
        return false;
    TAILQ_REMOVE(&batches->fresh, batch, news);
    batch->fresh = false;
    news.fresh = true;
    share_describe_fresh_batch(op->jobd, batch, &news);
    giving->each(giving->context, &news);
    return true;
}

/* Behind its jobs. */
static bool give_batch_locked(struct op *op, const struct giving *giving) REQUIRES(op->jobd->lock)
{
    struct batches *batches = &op->jobd->jobs.batches;
    struct batch *batch = TAILQ_FIRST(&batches->changed);
    struct news news = empty_news(NEWS_BATCH);
    if (batch == NULL)
        return false;
    TAILQ_REMOVE(&batches->changed, batch, again);
    batch->changed = false;
    share_describe_batch(batch, &news);
    giving->each(giving->context, &news);
    return true;
}

static bool give_gone_batch_locked(struct op *op, const struct giving *giving)
    REQUIRES(op->jobd->lock)
{
    struct news news = empty_news(NEWS_BATCH);
    news.record.id = batches_take_forgotten(&op->jobd->jobs.batches);
    news.gone = true;
    if (news.record.id != 0)
        giving->each(giving->context, &news);
    return news.record.id != 0;
}

static bool give_schedule_locked(struct op *op, const struct giving *giving)
    REQUIRES(op->jobd->lock)
{
    struct schedules *schedules = &op->jobd->schedules;
    struct schedule *schedule = TAILQ_FIRST(&schedules->untold);
    struct news news = empty_news(NEWS_SCHEDULE);
    if (schedule == NULL)
        return false;
    share_describe_schedule(schedule, &news);
    news.fresh = schedule->fresh && !news.gone;
    giving->each(giving->context, &news);
    schedules_told(schedules, schedule);
    schedules_drop(schedules, schedule);
    return true;
}

static bool give_lease_locked(struct op *op, const struct giving *giving) REQUIRES(op->jobd->lock)
{
    struct share *share = op->jobd->share;
    struct news news = empty_news(NEWS_LEASE);
    if (share->leases_len == 0)
        return false;
    uint32_t index = share->leases[--share->leases_len];
    const struct lease *lease = &op->jobd->leases.all[index];
    share->lease_is_in[index] = false;
    if (lease->job != NULL) /* its record was needed for another */
        return true;
    news.record.id = lease->job_id;
    news.record.token = lease->token;
    news.record.attempt = lease->attempt;
    news.record.started_us = lease->started_us;
    news.record.began_us = lease->began_us;
    news.word = (uint32_t)lease->report;
    giving->each(giving->context, &news);
    return true;
}

/* The rest of the blob is empty. NULL when memory is short, too: then it is said later. */
static struct jobd_blob *said_so_far(const struct said *said)
{
    if (said == NULL || said->output == NULL)
        return NULL;
    struct jobd_blob *copy = jobd_blob_new(said->used, said->output->type);
    if (copy != NULL && said->used > 0)
        memcpy(copy->bytes, said->output->bytes, said->used);
    return copy;
}

void share_tell_job_locked(struct op *op, const struct job *job, struct news *news,
                           share_each_news *each, void *context)
{
    const struct said *said = said_of(job);
    struct jobd_blob *output = said_so_far(said);
    news->has_said = said != NULL;
    if (said != NULL) {
        news->record.worker = said->worker;
        news->record.progress = said->progress;
        news->said_truncated = said->truncated;
        news->said = output;
    }
    each(context, news);
    op_discard(op, output);
}

void share_describe_job(const struct jobd *jobd, const struct job *job, struct news *news)
{
    const struct job_content content = job_content(job);
    describe_job(jobd->queues[job->queue].name, job, &content, &news->record);
    news->retained = job->retained;
    news->has_extra = job->extra != NULL;
    deliveries_describe_news(job, news);
    if (job->state == JOBD_BLOCKED)
        news->record.state = JOBD_BLOCKED;
}

void share_describe_fresh_batch(const struct jobd *jobd, const struct batch *batch,
                                struct news *news)
{
    news->record.id = batch->id;
    news->record.batch_jobs = batch->len;
    news->record.batch_callback = jobd_text(batch->words, JOBD_CALLBACK);
    news->record.queue = jobd->queues[batch->queue].name;
    news->record.created_us = batch->created_us;
}

void share_describe_batch(const struct batch *batch, struct news *news)
{
    news->record.id = batch->id;
    news->record.finished_us = batch->finished_us;
    memcpy(news->ended, batch->gone, sizeof news->ended);
    news->retained = batch->pins != 0;
    deliveries_describe_batch_news(batch, news);
}

void share_describe_schedule(const struct schedule *schedule, struct news *news)
{
    schedule_record(schedule->name, &schedule->now, &news->schedule);
    news->gone = schedule->now.terms == NULL;
}

void share_describe_queue(const struct queue *queue, struct news *news)
{
    news->paused = queue->paused;
    news->totals = (struct news_totals){.admitted = queue->admitted,
                                        .done = queue->ended[JOBD_DONE],
                                        .failed = queue->ended[JOBD_FAILED],
                                        .cancelled = queue->ended[JOBD_CANCELLED],
                                        .retried = queue->retried,
                                        .moved_in = queue->moved_in,
                                        .moved_out = queue->moved_out,
                                        .expired = queue->expired};
    news->waiting = queue_waiting(queue);
    news->running = queue->in_state[JOBD_RUNNING];
}

static void give_queue_locked(struct op *op, const struct giving *giving, uint32_t index)
    REQUIRES(op->jobd->lock)
{
    const struct queue *queue = &op->jobd->queues[index];
    struct told *told = &op->jobd->share->queues[index];
    struct news news = empty_news(NEWS_QUEUE);
    if (!told->touched)
        return;
    news.record.queue = queue->name;
    share_describe_queue(queue, &news);
    news.waited = histogram_since(&queue->waited, &told->waited);
    news.ran = histogram_since(&queue->ran, &told->ran);
    told->touched = false;
    op->jobd->share->queues_touched--;
    giving->each(giving->context, &news);
}

static void give_node_locked(struct op *op, const struct giving *giving) REQUIRES(op->jobd->lock)
{
    struct share *share = op->jobd->share;
    struct news news = empty_news(NEWS_NODE);
    if (!share->renews)
        return;
    share->renews = false;
    share->own_until_us = share->leaves ? 0 : later_us(giving->now_us, NODE_US);
    news.node = share->turns.node;
    news.until_us = share->own_until_us;
    giving->each(giving->context, &news);
}

static bool give_some_locked(struct op *op, const struct giving *giving) REQUIRES(op->jobd->lock)
{
    for (int left = OP_STEPS; left > 0; left--)
        if (!give_fresh_batch_locked(op, giving) && !give_forgotten_locked(op, giving) &&
            !give_touched_locked(op, giving) && !give_batch_locked(op, giving) &&
            !give_gone_batch_locked(op, giving) && !give_schedule_locked(op, giving) &&
            !give_lease_locked(op, giving))
            return false;
    return true;
}

void share_each(struct jobd *jobd, int64_t now_us, share_each_news *each, void *context)
{
    const struct giving giving = {jobd, now_us, each, context};
    struct op op;
    bool more = true;
    while (more) {
        op_begin(&op, jobd, NULL, now_us);
        more = give_some_locked(&op, &giving);
        op_end(&op);
    }
    op_begin(&op, jobd, NULL, now_us);
    for (uint32_t i = 0; i < jobd->queues_len && jobd->share->queues_touched > 0; i++)
        give_queue_locked(&op, &giving, i);
    give_node_locked(&op, &giving);
    op_end(&op);
}

/* ---- telling */

/* It was given a job, and is not. */
static void take_back(struct jobd_waiter *waiter)
{
    if (waiter->lease_us > 0 && waiter->result == JOBD_OK) {
        jobd_blob_unref(waiter->task.payload);
        waiter->task.payload = NULL;
    }
    waiter->result = JOBD_STORE_FAILED;
}

void share_end(struct jobd *jobd, bool lost)
{
    struct op op;
    struct waiting *waiting;
    op_begin(&op, jobd, NULL, 0);
    struct share *share = jobd->share;
    share->in_turn = false;
    events_settle_locked(&op, lost);
    share->ended_len = lost ? share->ended_len : 0;
    TAILQ_CONCAT(&op.woken, &share->held, link);
    TAILQ_FOREACH (waiting, &op.woken, link)
        if (lost)
            take_back(waiter_of(waiting));
    uint32_t stops = share->stops_len;
    share->stops_len = 0;
    op_end(&op);
    for (uint32_t i = 0; i < stops && !lost; i++) /* no turn begins meanwhile */
        if (share->stops[i].holder->stop != NULL)
            share->stops[i].holder->stop(share->stops[i].holder, &share->stops[i].task);
}
