/* SPDX-License-Identifier: MIT */
/* What workers of this process run while it cannot say that it is there. */
#include "engine/share.h"
#include "engine/stop.h"
#include "engine/touched.h"

/* In a turn of which nobody knows whether it is written its worker may not know that it has it. */
static bool is_known(const struct share *share, const struct job *job)
{
    return !share->in_turn || job->started_us < share->began_us;
}

/* Whose worker has not been told; NULL: there is none. */
static struct job *next_locked(struct op *op) REQUIRES(op->jobd->lock)
{
    for (uint32_t i = 0; i < op->jobd->queues_len; i++) {
        struct job *job;
        if (queue_here(&op->jobd->queues[i]) == 0)
            continue;
        TAILQ_FOREACH (job, &op->jobd->queues[i].running, link)
            if (job_runs_here(job) && !job->requeue_on_stop && is_known(op->jobd->share, job))
                return job;
    }
    return NULL;
}

uint32_t share_overdue(struct jobd *jobd, int64_t now_us)
{
    uint32_t told = 0;
    bool more = true;
    while (more) {
        struct op op;
        op_begin(&op, jobd, NULL, now_us);
        op.outside = true; /* they are told now */
        more = jobd->share->own_until_us <= now_us;
        for (unsigned left = OP_STOPS; left > 0 && more; left--) {
            struct job *job = next_locked(&op);
            more = job != NULL;
            if (!more)
                break;
            job->requeue_on_stop = true;
            stop_tell(&op, job);
            told++;
        }
        op_end(&op);
    }
    return told;
}
