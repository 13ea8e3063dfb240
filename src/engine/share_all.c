/* SPDX-License-Identifier: MIT */
/* All there is, for a process that begins. */
#include <stdlib.h>

#include "engine/lanes.h"
#include "engine/news_describe.h"
#include "engine/share.h"
#include "engine/touched.h"

/* ---- the jobs in their order: each lane's, and each list's of those that have ended */

struct ids {
    uint64_t *all;
    size_t len;
};

static void add_id(void *context, uint64_t id)
{
    struct ids *ids = context;
    ids->all[ids->len++] = id;
}

static void add_lanes(struct ids *ids, const struct queue *queue)
{
    for (unsigned lane = 0; lane < JOBD_PRIORITIES; lane++)
        lane_each(queue, lane, add_id, ids);
}

/* Those that wait for their time are marked: it may come before their news are made, and they then
 * stand in another order. So are batches and schedules, which stand before jobs; these by number.
 */
#define BEFORE_TIME (UINT64_C(1) << 63)
#define OF_BATCH    (UINT64_C(1) << 62)
#define OF_SCHEDULE (UINT64_C(1) << 61)

static void add_list(struct ids *ids, const struct job_list *list, uint64_t mark)
{
    const struct job *job;
    TAILQ_FOREACH (job, list, link)
        ids->all[ids->len++] = job->id | mark;
}

/* Those that are kept in their order. */
static void add_batches_locked(struct op *op, struct ids *ids) REQUIRES(op->jobd->lock)
{
    struct batches *batches = &op->jobd->jobs.batches;
    struct batch *batch;
    for (uint32_t i = 0; i < batches->queues_len; i++)
        TAILQ_FOREACH (batch, &batches->kept[i].list, link)
            ids->all[ids->len++] = batch->id | OF_BATCH;
    RB_FOREACH (batch, batch_tree, &batches->tree)
        if (!batch->kept)
            ids->all[ids->len++] = batch->id | OF_BATCH;
}

/* Is it the next of its queue's list? */
static bool is_next(const struct job *job, struct job *const *next)
{
    return next[job->queue * JOBD_STATES + job->state] == job;
}

/* Those that have ended stand in two lists each: an order that both agree to, which is that in
 * which they ended. False when memory is short. */
static bool add_ended_locked(struct op *op, struct ids *ids) REQUIRES(op->jobd->lock)
{
    struct jobs *jobs = &op->jobd->jobs;
    struct job *by_age[AGES], **next = calloc((size_t)jobs->queues_len * JOBD_STATES, sizeof *next);
    bool more = next != NULL;
    for (uint32_t i = 0; more && i < jobs->queues_len * JOBD_STATES; i++)
        next[i] = TAILQ_FIRST(&jobs->remembered[i / JOBD_STATES].ended[i % JOBD_STATES]);
    for (unsigned age = 0; age < AGES; age++)
        by_age[age] = TAILQ_FIRST(&jobs->by_age[age]);
    bool good = more;
    while (more) {
        more = false;
        for (unsigned age = 0; age < AGES; age++) {
            while (by_age[age] != NULL && is_next(by_age[age], next)) {
                struct job *job = by_age[age];
                ids->all[ids->len++] = job->id;
                next[job->queue * JOBD_STATES + job->state] = TAILQ_NEXT(job, link);
                by_age[age] = TAILQ_NEXT(job, by_age);
                more = true;
            }
        }
    }
    free(next);
    return good;
}

bool share_ids(struct jobd *jobd, uint64_t **all, size_t *len)
{
    struct op op;
    struct ids ids = {.len = 0};
    op_begin(&op, jobd, NULL, 0);
    ids.all =
        calloc((size_t)jobd->jobs.records_used + jobd->jobs.batches.used + jobd->schedules.used + 1,
               sizeof *ids.all);
    bool good = ids.all != NULL;
    if (good)
        add_batches_locked(&op, &ids);
    for (uint32_t i = 0; good && i < jobd->schedules.used; i++)
        ids.all[ids.len++] = i | OF_SCHEDULE;
    for (uint32_t i = 0; good && i < jobd->queues_len; i++) {
        add_lanes(&ids, &jobd->queues[i]);
        add_list(&ids, &jobd->queues[i].scheduled, BEFORE_TIME);
        add_list(&ids, &jobd->queues[i].blocked, 0);
        add_list(&ids, &jobd->queues[i].running, 0);
        add_list(&ids, &jobd->jobs.remembered[i].retained, 0);
    }
    good = good && add_ended_locked(&op, &ids);
    op_end(&op);
    *all = ids.all;
    *len = ids.len;
    return good;
}

bool share_is_whole(struct jobd *jobd)
{
    mutex_lock(&jobd->lock);
    bool whole = !jobd->share->strangers;
    mutex_unlock(&jobd->lock);
    return whole;
}

/* ---- news of them */

struct telling {
    share_each_news *each;
    void *context;
    int64_t at_us;
};

static void tell_job_locked(struct op *op, const struct telling *telling, uint64_t id)
    REQUIRES(op->jobd->lock)
{
    const struct jobd *jobd = op->jobd;
    struct news news = {.kind = NEWS_JOB, .fresh = true};
    const struct job *job = jobs_find(&op->jobd->jobs, id & ~BEFORE_TIME);
    if (job == NULL) /* it is forgotten by now */
        return;
    news_describe_job(jobd, job, &news);
    bool waited = (id & BEFORE_TIME) != 0;
    if (job->state == JOBD_QUEUED && (waited || (job->delayed && job->ready_us > telling->at_us)))
        news.record.state = JOBD_SCHEDULED;
    if (job->state == JOBD_RUNNING && !job->leased)
        news.node = job->elsewhere ? (uint32_t)job->node : jobd->share->turns.node;
    news_give_job_locked(op, job, &news, telling->each, telling->context);
}

static void tell_batch_locked(struct op *op, const struct telling *telling, uint64_t id)
    REQUIRES(op->jobd->lock)
{
    const struct batch *batch = batches_find(&op->jobd->jobs.batches, id & ~OF_BATCH);
    struct news news = {.kind = NEWS_BATCH, .fresh = true};
    if (batch == NULL)
        return;
    news_describe_fresh_batch(op->jobd, batch, &news);
    news_describe_batch(batch, &news);
    telling->each(telling->context, &news);
}

static void tell_schedule_locked(struct op *op, const struct telling *telling, uint64_t number)
    REQUIRES(op->jobd->lock)
{
    const struct schedule *schedule = &op->jobd->schedules.all[number & ~OF_SCHEDULE];
    struct news news = {.kind = NEWS_SCHEDULE, .fresh = true};
    news_describe_schedule(schedule, &news);
    if (!news.gone)
        telling->each(telling->context, &news);
}

void share_jobs(struct jobd *jobd, const struct share_ids *ids, share_each_news *each,
                void *context)
{
    struct op op;
    const struct telling telling = {each, context, ids->at_us};
    op_begin(&op, jobd, NULL, 0);
    for (size_t i = 0; i < ids->len; i++) {
        if ((ids->ids[i] & OF_BATCH) != 0)
            tell_batch_locked(&op, &telling, ids->ids[i]);
        else if ((ids->ids[i] & OF_SCHEDULE) != 0)
            tell_schedule_locked(&op, &telling, ids->ids[i]);
        else
            tell_job_locked(&op, &telling, ids->ids[i]);
    }
    op_end(&op);
}

static void give_queue_locked(struct op *op, const struct queue *queue, share_each_news *each,
                              void *context) REQUIRES(op->jobd->lock)
{
    struct news news = {.kind = NEWS_QUEUE, .record = {.queue = queue->name}};
    (void)op;
    news_describe_queue(queue, &news);
    news.waited = queue->waited;
    news.ran = queue->ran;
    each(context, &news);
}

static void give_leases_locked(struct op *op, share_each_news *each, void *context)
    REQUIRES(op->jobd->lock)
{
    const struct lease *lease;
    TAILQ_FOREACH (lease, &op->jobd->leases.spare, link) {
        const struct news news = {.kind = NEWS_LEASE,
                                  .record = {.id = lease->job_id,
                                             .token = lease->token,
                                             .attempt = lease->attempt,
                                             .started_us = lease->started_us,
                                             .began_us = lease->began_us},
                                  .word = (uint32_t)lease->report};
        each(context, &news);
    }
}

void share_state(struct jobd *jobd, share_each_news *each, void *context)
{
    struct op op;
    op_begin(&op, jobd, NULL, 0);
    const struct share *share = jobd->share;
    for (uint32_t i = 0; i < jobd->queues_len; i++)
        give_queue_locked(&op, &jobd->queues[i], each, context);
    for (uint32_t i = 0; i <= share->nodes_len; i++) {
        bool own = i == share->nodes_len;
        const struct news news = {.kind = NEWS_NODE,
                                  .node = own ? share->turns.node : share->nodes[i].id,
                                  .until_us = own ? share->own_until_us : share->nodes[i].until_us};
        each(context, &news);
    }
    give_leases_locked(&op, each, context);
    op_end(&op);
}
