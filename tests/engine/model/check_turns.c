/* SPDX-License-Identifier: MIT */
/* What must hold of limits and turns. */
#include "engine/model/check_inside.h"

#include <string.h>

#include "engine/limits.h"

struct found {
    uint32_t waiting, running, joining;
};

/* What the jobs say of this group; of those on their way to the queue its own entries do. */
static struct found count_jobs(struct jobd *jobd, const struct group *group) REQUIRES(jobd->lock)
{
    struct found found = {0};
    struct job *job;
    JOBS_FOREACH (job, &jobd->jobs) {
        if (job->extra == NULL || job->extra->group != group)
            continue;
        verify(!job_has_ended(job) || job->commit_pending);
        verify(strcmp(jobd_text(job->extra->words, JOBD_GROUP), group->name) == 0);
        *(job->state == JOBD_RUNNING ? &found.running : &found.waiting) += 1;
    }
    struct change_list *lists[] = {&jobd->journal.waiting, &jobd->journal.gathered};
    for (unsigned i = 0; i < 2; i++) {
        struct change *change;
        TAILQ_FOREACH (change, lists[i], link)
            TAILQ_FOREACH (job, &change->jobs, link)
                found.joining += change->to != NULL && job->joins == group;
    }
    return found;
}

static uint32_t check_lane(struct jobd *jobd, const struct queue *queue, struct group *group,
                           unsigned lane) REQUIRES(jobd->lock)
{
    const struct fair *fair = queue->fair;
    const struct group_list *list = group->held ? &fair->held[lane] : &fair->eligible[lane];
    uint32_t count = 0, listed = 0;
    const struct job *job;
    const struct group *other;
    TAILQ_FOREACH (job, &group->jobs[lane], link) {
        bool none = job->extra == NULL || job->extra->group == NULL;
        verify(job->state == JOBD_QUEUED && job->priority == lane && !job->commit_pending);
        verify(&jobd->queues[job->queue] == queue && fair_has(queue, job->id));
        verify(none ? group == fair->none : job->extra->group == group);
        count++;
    }
    TAILQ_FOREACH (other, list, link[lane])
        listed += other == group;
    verify(listed == (count > 0));
    return count;
}

static void check_group(struct jobd *jobd, const struct queue *queue, struct group *group)
    REQUIRES(jobd->lock)
{
    const struct fair *fair = queue->fair;
    uint32_t queued = 0, busy = group->waiting + group->running;
    for (unsigned lane = 0; lane < JOBD_PRIORITIES; lane++)
        queued += check_lane(jobd, queue, group, lane);
    verify(queued == group->queued);
    if (group == fair->none)
        return;
    const struct found found = count_jobs(jobd, group);
    verify(group->waiting == found.waiting + found.joining && group->running == found.running);
    verify(group->holders == found.waiting + found.running + found.joining);
    verify(group->holders > 0 || group->due.place != 0); /* idle: until its bucket is full */
    verify(group->holders == 0 || busy < UINT64_C(1) << group->busy);
    verify(group->holders == 0 || group->busy == 0 || busy >= UINT64_C(1) << (group->busy - 1));
    /* At its limit by what is counted, or by a bucket that is looked at in time. */
    bool full = fair->limits.running > 0 && group->running >= fair->limits.running;
    if (queued > 0 && !fair->changing) {
        verify(!full || group->held);
        verify(!group->held || full || group->due.place != 0);
    }
}

size_t check_turns(struct jobd *jobd, struct queue *queue)
{
    struct fair *fair = queue->fair;
    struct group *group;
    size_t bytes = 0;
    uint32_t held = 0, len = 0;
    const struct due *first = fair != NULL ? heap_top(&fair->dues) : NULL;
    verify(first == NULL ||
           (queue->limit_due.place != 0 && queue->limit_due.at_us <= first->at_us));
    if (fair == NULL)
        return 0;
    check_heap(&fair->dues);
    check_group(jobd, queue, fair->none);
    verify(!fair->none->held);
    RB_FOREACH (group, group_tree, &fair->groups.tree) {
        check_group(jobd, queue, group);
        held += group->held ? group->queued : 0;
        len += group->holders > 0;
        bytes += sizeof *group + strlen(group->name) + 1;
    }
    verify(held == fair->held_jobs && len == fair->groups.len);
    return bytes;
}

uint32_t check_turns_queued(const struct queue *queue)
{
    uint32_t queued = 0;
    struct group *group;
    if (queue->fair == NULL)
        return 0;
    RB_FOREACH (group, group_tree, &queue->fair->groups.tree)
        queued += group->queued;
    return queued + queue->fair->none->queued;
}
