/* SPDX-License-Identifier: MIT */
/* What each member counts for itself. */
#include <string.h>

#include "base/verify.h"
#include "jobd/schedule.h"
#include "ledger/cluster_inside.h"

static void count(struct jobd *jobd, struct counts *counts)
{
    struct jobd_schedule_stats schedules;
    jobd_schedule_stats(jobd, &schedules);
    counts->fired = schedules.fired;
    counts->missed = schedules.missed;
    counts->skipped = schedules.skipped;
    mutex_lock(&jobd->lock);
    for (uint32_t i = 0; i < jobd->queues_len; i++) {
        const struct queue *queue = &jobd->queues[i];
        memcpy(counts->tallies[i], queue->tallies, sizeof counts->tallies[i]);
        counts->failures[i] = queue->breaker.in_a_row;
    }
    mutex_unlock(&jobd->lock);
}

void cluster_note_counts(struct member *member)
{
    count(member->jobd, &member->counts);
}

/* A service that was found down is down, or not, whatever became of the turn; what it has failed
 * until then is not counted twice. */
void cluster_check_counts(struct member *member)
{
    const struct counts *before = &member->counts;
    struct counts now = {.fired = 0};
    count(member->jobd, &now);
    verify(memcmp(now.tallies, before->tallies, sizeof now.tallies) == 0);
    verify(now.fired == before->fired && now.missed == before->missed);
    verify(now.skipped == before->skipped);
    mutex_lock(&member->jobd->lock);
    for (uint32_t i = 0; i < QUEUES + 1; i++)
        verify(member->jobd->queues[i].breaker.open || now.failures[i] <= before->failures[i]);
    mutex_unlock(&member->jobd->lock);
}
