/* SPDX-License-Identifier: MIT */
/* The verbs on leases: attempts whose holders are elsewhere, and known by a token. */
#include "engine/lease.h"

#include <string.h>

#include "engine/attempt.h"
#include "engine/dispatch.h"
#include "engine/submit.h"

enum { EXPIRE_AGAIN_US = 1000000 };

/* JOBD_OK and *lease, which is not over. */
static enum jobd_result find_locked(struct op *op, const char *token, struct lease **lease)
    REQUIRES(op->jobd->lock)
{
    struct lease key = {.job = NULL};
    if (strlen(token) != JOBD_TOKEN_SIZE - 1)
        return JOBD_NO_LEASE;
    memcpy(key.token, token, JOBD_TOKEN_SIZE);
    *lease = RB_FIND(lease_tree, &op->jobd->leases.tree, &key);
    if (*lease == NULL)
        return JOBD_NO_LEASE;
    return (*lease)->job != NULL && !(*lease)->job->commit_pending ? JOBD_OK : JOBD_LEASE_EXPIRED;
}

static void set_deadline_locked(struct op *op, struct lease *lease, int64_t in_us)
    REQUIRES(op->jobd->lock)
{
    heap_remove(&op->jobd->leases.due, &lease->due);
    heap_push(&op->jobd->leases.due, &lease->due, later_us(op->now_us, in_us));
}

static enum jobd_result finish_locked(struct op *op, struct job *job,
                                      const struct jobd_outcome *outcome, struct job_extra **extra)
    REQUIRES(op->jobd->lock)
{
    struct queue *queue = &op->jobd->queues[job->queue];
    enum jobd_result result = attempt_end_locked(op, job, outcome, extra);
    dispatch_locked(op, queue);
    return result;
}

enum jobd_result jobd_lease_finish(struct jobd *jobd, const char *token,
                                   const struct jobd_outcome *outcome, struct jobd_waiter *waiter,
                                   int64_t now_us)
{
    struct op op;
    struct lease *lease;
    struct job_extra *extra = extra_for(outcome);
    verify(jobd_state_final(outcome->state));
    op_begin(&op, jobd, waiter, now_us);
    enum jobd_result result = find_locked(&op, token, &lease);
    if (result == JOBD_OK)
        result = finish_locked(&op, lease->job, outcome, &extra);
    op_end(&op);
    extra_free(extra);
    return result;
}

/* Nobody is told of the new deadline before it is written; but it counts, which does no harm. */
static const struct change_kind extend_kind = {.name = "extend", .row = ROW_SET};

static enum jobd_result extend_locked(struct op *op, struct lease *lease, int64_t lease_us)
    REQUIRES(op->jobd->lock)
{
    struct change change;
    if (!change_has_room_locked(op, op->waiter))
        return JOBD_TOO_MANY_WAITERS;
    set_deadline_locked(op, lease, lease_us);
    change_init(&change, op, &extend_kind, lease->job);
    return change_submit_locked(op, &change);
}

enum jobd_result jobd_lease_extend(struct jobd *jobd, const char *token, int64_t lease_us,
                                   struct jobd_waiter *waiter, int64_t now_us)
{
    struct op op;
    struct lease *lease;
    op_begin(&op, jobd, waiter, now_us);
    enum jobd_result result = find_locked(&op, token, &lease);
    if (result == JOBD_OK)
        result = extend_locked(&op, lease, lease_us);
    op_end(&op);
    return result;
}

static enum jobd_result release_locked(struct op *op, struct job *job, int64_t delay_us)
    REQUIRES(op->jobd->lock)
{
    struct queue *queue = &op->jobd->queues[job->queue];
    enum jobd_result result = attempt_release_locked(op, job, delay_us);
    dispatch_locked(op, queue);
    return result;
}

enum jobd_result jobd_lease_release(struct jobd *jobd, const char *token, int64_t delay_us,
                                    struct jobd_waiter *waiter, int64_t now_us)
{
    struct op op;
    struct lease *lease;
    op_begin(&op, jobd, waiter, now_us);
    enum jobd_result result = find_locked(&op, token, &lease);
    if (result == JOBD_OK)
        result = release_locked(&op, lease->job, delay_us);
    op_end(&op);
    return result;
}

void lease_expire_locked(struct op *op, struct lease *lease)
{
    if (lease->job
            ->commit_pending) { /* it ends already, as soon as that is written; or not after all */
        set_deadline_locked(op, lease, EXPIRE_AGAIN_US);
        return;
    }
    const struct jobd_outcome late = {.state = JOBD_FAILED,
                                      .error = jobd_blob_ref(op->jobd->leases.error)};
    struct job_extra *extra = extra_for(&late);
    (void)finish_locked(op, lease->job, &late, &extra);
    extra_free(extra);
}
