/* SPDX-License-Identifier: MIT */
/* Keys take turns over all members, though each has an order of its own: while the jobs of one
 * stand in a lane, and nothing happens to them, no other is served there twice. */
#include "ledger/cluster_inside.h"

#include <string.h>

#include "base/verify.h"
#include "engine/engine.h"

enum { TURNS_QUEUE = 2 }; /* the one whose keys take turns, without limits */

static const char *const names[GROUPS] = {"", "somebody", "another"};

void cluster_note_news(struct cluster *cluster, const struct news *news)
{
    struct turn_order *order = &cluster->order;
    order->some_gone |= news->kind == NEWS_GONE; /* served, perhaps, and whose they were is gone */
    if (news->kind != NEWS_JOB)
        return;
    verify(order->news_len < NEWS_MAX);
    order->whole[order->news_len] = news->record.queue[0] != '\0';
    order->news[order->news_len++] = news->record.id;
}

static unsigned group_of(const struct job *job)
{
    const char *name = job->extra != NULL ? jobd_text(job->extra->words, JOBD_GROUP) : "";
    for (unsigned i = 0; i < GROUPS; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    verify(false);
    return 0;
}

/* What has happened in one turn, by group and lane. */
struct happened {
    unsigned begun[GROUPS][JOBD_PRIORITIES];
    bool changed[GROUPS];
    bool stands[GROUPS][JOBD_PRIORITIES];
};

/* It may have come from the queue whose keys take turns. */
static bool may_have_moved(const struct member *member, unsigned i)
{
    const struct turn_order *order = &member->cluster->order;
    return order->whole[i] && order->news[i] < member->first_id;
}

static void look_at_news(struct member *member, struct happened *happened)
    REQUIRES(member->jobd->lock)
{
    const struct cluster *cluster = member->cluster;
    for (unsigned i = 0; i < GROUPS; i++)
        happened->changed[i] = cluster->order.some_gone;
    for (unsigned i = 0; i < cluster->order.news_len; i++) {
        const struct job *job = jobs_find(&member->jobd->jobs, cluster->order.news[i]);
        if (job == NULL || (job->queue != TURNS_QUEUE && !may_have_moved(member, i)))
            continue;
        unsigned group = group_of(job);
        happened->changed[group] = true;
        if (job->queue != TURNS_QUEUE)
            continue;
        bool begun = job->state != JOBD_QUEUED && job->state != JOBD_SCHEDULED &&
                     job->started_us == cluster->now_us;
        happened->begun[group][job->priority] += begun;
    }
}

static void look_at_lanes(struct jobd *jobd, struct happened *happened) REQUIRES(jobd->lock)
{
    struct job *job;
    JOBS_FOREACH (job, &jobd->jobs)
        if (job->queue == TURNS_QUEUE && job->state == JOBD_QUEUED)
            happened->stands[group_of(job)][job->priority] = true;
}

static void check_lane(const struct turn_order *order, const struct happened *happened,
                       unsigned lane)
{
    for (unsigned served = 0; served < GROUPS; served++) {
        unsigned times = happened->begun[served][lane];
        for (unsigned waits = 0; waits < GROUPS && times > 0; waits++) {
            /* The last of a key may have got another key, which is news of that other alone. */
            uint64_t since = happened->stands[waits][lane] ? order->stands[waits][lane] : 0;
            bool before = order->served[served][lane] > since;
            if (waits != served && since > 0 && !happened->changed[waits])
                verify(times == 1 && !before);
        }
    }
}

void cluster_check_order(struct member *member)
{
    struct turn_order *order = &member->cluster->order;
    struct happened happened = {.changed = {false}};
    mutex_lock(&member->jobd->lock);
    look_at_news(member, &happened);
    look_at_lanes(member->jobd, &happened);
    mutex_unlock(&member->jobd->lock);
    order->turn++;
    for (unsigned lane = 0; lane < JOBD_PRIORITIES; lane++) {
        check_lane(order, &happened, lane);
        for (unsigned i = 0; i < GROUPS; i++) {
            if (happened.begun[i][lane] > 0)
                order->served[i][lane] = order->turn;
            if (!happened.stands[i][lane])
                order->stands[i][lane] = 0;
            else if (happened.changed[i])
                order->stands[i][lane] = order->turn;
        }
    }
}
