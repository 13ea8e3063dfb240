/* SPDX-License-Identifier: MIT */
/* What a turn has changed, given to be written. */
#include "engine/histogram.h"
#include "engine/news_describe.h"
#include "engine/share.h"
#include "engine/share_nodes.h"
#include "engine/touched.h"

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
    news_describe_job(op->jobd, job, &news);
    news.fresh = touch->fresh;
    news.stays = touch->stays;
    if (!touch->fresh && !touch->moved)
        news.record.queue = "";
    if (job->state == JOBD_RUNNING && !job->leased) {
        news.node = job->elsewhere ? (uint32_t)job->node : share->turns.node;
        share->renews |= !job->elsewhere && share_must_renew(share, giving->now_us);
    }
    news_give_job_locked(op, job, &news, giving->each, giving->context);
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
    news_describe_fresh_batch(op->jobd, batch, &news);
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
    news_describe_batch(batch, &news);
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
    news_describe_schedule(schedule, &news);
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

static void give_queue_locked(struct op *op, const struct giving *giving, uint32_t index)
    REQUIRES(op->jobd->lock)
{
    const struct queue *queue = &op->jobd->queues[index];
    struct told *told = &op->jobd->share->queues[index];
    struct news news = empty_news(NEWS_QUEUE);
    if (!told->touched)
        return;
    news.record.queue = queue->name;
    news_describe_queue(queue, &news);
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
    share_renew(share, giving->now_us);
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
