/* SPDX-License-Identifier: MIT */
/* All is forgotten, to be read again: what was done in a turn that is lost goes with it. */
#include <string.h>

#include "engine/adopt.h"
#include "engine/edges.h"
#include "engine/share.h"
#include "engine/share_nodes.h"
#include "engine/touched.h"
#include "engine/transition.h"
#include "engine/waiters.h"

static void keep_run(struct share *share, const struct own_run *run)
{
    if (share->runs_len < share->runs_max)
        share->runs[share->runs_len++] = *run;
}

/* One that was given out in the turn that is lost runs nowhere. */
static void forget_job_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock)
{
    struct share *share = op->jobd->share;
    const struct touch *touch = &share->touches[job - op->jobd->jobs.records + 1];
    const struct own_run run = {job->id, job->attempt, job->started_us, job->holder,
                                job->requeue_on_stop};
    if (job_runs_here(job) && !(touch->is_in && touch->started))
        keep_run(share, &run);
    if (job->state != STATE_NEW)
        transition_detach_locked(op, job);
    transition_forsake_locked(op, job);
    edges_job_gone_locked(op, job);
    batches_lose(&op->jobd->jobs.batches, job);
    jobs_erase(&op->jobd->jobs, job, op);
}

static void forget_queue_locked(struct op *op, uint32_t index) REQUIRES(op->jobd->lock)
{
    struct queue *queue = &op->jobd->queues[index];
    queue->admitted = queue->retried = queue->expired = queue->moved_in = queue->moved_out = 0;
    memset(queue->ended, 0, sizeof queue->ended);
    memset(&queue->waited, 0, sizeof queue->waited);
    memset(&queue->ran, 0, sizeof queue->ran);
    queue->paused = false;
    /* They may have ended attempts in the turn that is lost: they say so again. */
    wait_end_workers_locked(op, queue, JOBD_STORE_FAILED);
    op->jobd->share->queues[index] = (struct told){.touched = false};
}

static void forget_changes_locked(struct op *op) REQUIRES(op->jobd->lock)
{
    struct share *share = op->jobd->share;
    struct jobs *jobs = &op->jobd->jobs;
    struct job *job;
    while ((job = TAILQ_FIRST(&jobs->forgotten)) != NULL) {
        TAILQ_REMOVE(&jobs->forgotten, job, link);
        jobs_give_back(job, op);
        jobs_release_record(jobs, job);
    }
    while (share->touched_len > 0) {
        struct touch *first = &share->touches[share->touches[0].behind];
        share->touches[0].behind = first->behind;
        share->touches[first->behind].before = 0;
        *first = (struct touch){.is_in = false};
        share->touched_len--;
    }
    while (share->leases_len > 0)
        share->lease_is_in[share->leases[--share->leases_len]] = false;
    while (share->ended_len > 0) /* the end that is lost comes again */
        keep_run(share, &share->ended[--share->ended_len]);
    share->queues_touched = share->nodes_len = 0;
    share->strangers_len = 0;
    share->renews = share->strangers = share->outdated = share->told_due = false;
}

void share_forget(struct jobd *jobd)
{
    struct op op;
    bool more = true;
    while (more) {
        op_begin(&op, jobd, NULL, 0);
        verify(!jobd->share->in_turn);
        struct job *job;
        int left = OP_STEPS;
        while (left-- > 0 && (job = jobs_above(&jobd->jobs, 0)) != NULL)
            forget_job_locked(&op, job);
        while (left-- > 0 &&
               (more = adopt_forget_batch_locked(&op) || adopt_forget_schedule_locked(&op)))
            ;
        more |= jobs_above(&jobd->jobs, 0) != NULL;
        op_end(&op);
    }
    op_begin(&op, jobd, NULL, 0);
    jobd->share->anew = true;
    forget_changes_locked(&op);
    leases_forget(&jobd->leases);
    for (uint32_t i = 0; i < jobd->queues_len; i++)
        forget_queue_locked(&op, i);
    op_end(&op);
}

/* Those for which they wait may have been gone already when the snapshot was written. Nobody else
 * changes the list. */
static void look_at_blocked(struct jobd *jobd, struct queue *queue)
{
    struct job *job = TAILQ_FIRST(&queue->blocked);
    while (job != NULL) {
        struct op op;
        op_begin(&op, jobd, NULL, 0);
        for (int left = OP_STEPS; left > 0 && job != NULL; left--) {
            edges_look_again_locked(&op, job->extra->parents);
            job = TAILQ_NEXT(job, link);
        }
        op_end(&op);
    }
}

void share_remembered(struct jobd *jobd)
{
    bool more = true;
    for (uint32_t i = 0; i < jobd->queues_len; i++)
        look_at_blocked(jobd, &jobd->queues[i]);
    while (more) {
        struct op op;
        op_begin(&op, jobd, NULL, 0);
        struct share *share = jobd->share;
        more = share->runs_len > 0;
        share->anew = false;
        share->orphans |= share_runs_locked(&op, share->turns.node);
        if (more) {
            struct own_run run = share->runs[--share->runs_len];
            op.stops[op.stops_len++] = (struct op_stop){run.holder, run.holder->task};
        }
        op_end(&op);
    }
    share_adopted(jobd, 0, 0); /* there may have been nothing to be read */
}
