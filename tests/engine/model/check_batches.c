/* SPDX-License-Identifier: MIT */
/* Every batch counts what its jobs are. */
#include "engine/model/check_batches.h"

#include "base/verify.h"
#include "engine/waiters.h"

static uint32_t spare_in(const struct batch_list *list)
{
    const struct batch *batch;
    uint32_t len = 0;
    TAILQ_FOREACH (batch, list, link)
        len++;
    return len;
}

static void check_one(struct jobd *jobd, const struct batch *batch) REQUIRES(jobd->lock)
{
    uint32_t there = 0, entering = 0, in_state[JOBD_STATES] = {0}, all = 0;
    for (struct job *job = jobs_above(&jobd->jobs, batch->id - 1);
         job != NULL && job->id - batch->id < batch->len; job = jobs_above(&jobd->jobs, job->id)) {
        verify(job->batched);
        there++;
        entering += job->state == STATE_NEW;
        if (job->state != STATE_NEW)
            in_state[job->state]++;
    }
    verify(there == batch->there);
    for (unsigned state = 0; state < JOBD_STATES; state++) {
        bool final = jobd_state_final((enum jobd_state)state);
        verify(final ? in_state[state] <= batch->in_state[state]
                     : in_state[state] == batch->in_state[state]);
        all += batch->in_state[state];
    }
    verify(all + entering == batch->len - batch->lost);
    verify(batches_over(batch) == (batch->finished_us != 0));
    verify(batch->finished_us == 0 || TAILQ_EMPTY(&batch->awaiting));
}

uint32_t check_pinned_batches(struct jobd *jobd)
{
    struct batch *batch;
    uint32_t pinned = 0, held = 0;
    RB_FOREACH (batch, batch_tree, &jobd->jobs.batches.tree) {
        pinned += batch->pins != 0;
        held += batch->pins != 0 && batch->there == 0;
    }
    verify(held == jobd->jobs.batches.held);
    return pinned;
}

uint32_t check_batches(struct jobd *jobd)
{
    struct batches *batches = &jobd->jobs.batches;
    uint32_t len = 0, without = 0, kept = 0, waiters = 0;
    struct batch *batch;
    const struct waiting *waiting;
    struct job *job;
    RB_FOREACH (batch, batch_tree, &batches->tree) {
        check_one(jobd, batch);
        len++;
        without += batch->there == 0;
        TAILQ_FOREACH (waiting, &batch->awaiting, link)
            waiters += !waiter_of((struct waiting *)(uintptr_t)waiting)->uncounted;
    }
    for (uint32_t i = 0; i < batches->queues_len; i++) {
        verify(batches->kept[i].len == spare_in(&batches->kept[i].list));
        verify(batches->kept[i].len <= batches->keep);
        kept += batches->kept[i].len;
    }
    verify(kept + batches->held == without);
    verify(len + spare_in(&batches->spare) + spare_in(&batches->forgotten) +
               spare_in(&batches->forgotten_gathered) ==
           batches->used);
    JOBS_FOREACH (job, &jobd->jobs)
        verify(job->batched == (batches_of(batches, job->id) != NULL));
    return waiters;
}
