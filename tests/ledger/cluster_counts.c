/* SPDX-License-Identifier: MIT */
/* What each member counts for itself. */
#include <string.h>

#include "base/verify.h"
#include "jobd/failures.h"
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

/* How many attempts have failed, as its log is told, since the last call. */
static uint64_t failures_told(struct member *member)
{
    enum { SOME = 16 };
    struct jobd_failure some[SOME];
    uint64_t missed, missed_attempts, all = 0;
    size_t len;
    do {
        len = jobd_failures(member->jobd, some, SOME, &missed, &missed_attempts);
        all += len + missed + missed_attempts;
    } while (len > 0);
    return all;
}

void cluster_on_failure(void *context)
{
    struct member *member = context; /* it is told of services that are down, too */
    member->hears_of_failures = true;
}

void cluster_check_failures(struct member *member)
{
    bool some = failures_told(member) > 0;
    verify(!some || (!member->in_turn && !member->lost && member->hears_of_failures));
    member->hears_of_failures = false;
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
