/* SPDX-License-Identifier: MIT */
#include "engine/share_nodes.h"

#include "engine/attempt.h"
#include "engine/dispatch.h"
#include "engine/share.h"

/* For so long they are its own, and so long before that is over it is said again. */
#define OWN_US   INT64_C(60000000)
#define RENEW_US INT64_C(30000000)

bool share_must_renew(const struct share *share, int64_t now_us)
{
    return share->own_until_us <= later_us(now_us, RENEW_US);
}

void share_renew(struct share *share, int64_t now_us)
{
    share->own_until_us = share->leaves ? 0 : later_us(now_us, OWN_US);
}

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

bool share_runs_here_locked(struct op *op)
{
    for (uint32_t i = 0; i < op->jobd->queues_len; i++)
        if (queue_here(&op->jobd->queues[i]) > 0)
            return true;
    return false;
}

int64_t share_nodes_due_locked(struct op *op)
{
    const struct share *share = op->jobd->share;
    int64_t at_us = JOBD_NEVER;
    for (uint32_t i = 0; i < share->nodes_len; i++)
        if (share->nodes[i].until_us < at_us)
            at_us = share->nodes[i].until_us;
    if (share_runs_here_locked(op) && share->own_until_us - RENEW_US < at_us)
        at_us = share->own_until_us - RENEW_US;
    return at_us;
}

void share_end_nodes(struct jobd *jobd, int64_t now_us)
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
