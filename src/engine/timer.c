/* SPDX-License-Identifier: MIT */
/* What becomes due: jobs that expire, delays, leases, deadlines of who waits, the end of what is
 * remembered. */
#include "base/container.h"
#include "engine/blocked.h"
#include "engine/breaker.h"
#include "engine/dispatch.h"
#include "engine/due.h"
#include "engine/expiry.h"
#include "engine/lease.h"
#include "engine/fair.h"
#include "engine/limits.h"
#include "engine/sweep.h"
#include "engine/transition.h"
#include "jobd/turns.h"
#include "engine/waiters.h"

static void on_delay_locked(struct op *op, struct due *due) REQUIRES(op->jobd->lock)
{
    struct queue *queue = container_of(due, struct queue, due);
    struct job *job = container_of(heap_top(&queue->delays), struct job, due);
    transition_due_locked(op, job);
    dispatch_locked(op, queue);
}

static void on_lease_locked(struct op *op, struct due *due) REQUIRES(op->jobd->lock)
{
    lease_expire_locked(op, container_of(due, struct lease, due));
}

static void on_probe_locked(struct op *op, struct due *due) REQUIRES(op->jobd->lock)
{
    struct queue *queue = container_of(due, struct queue, breaker.due);
    breaker_due_locked(op, queue);
    dispatch_locked(op, queue);
}

static void on_limit_locked(struct op *op, struct due *due) REQUIRES(op->jobd->lock)
{
    struct queue *queue = container_of(due, struct queue, limit_due);
    (void)fair_due_locked(op, queue);
    limits_due_locked(op, queue);
    dispatch_locked(op, queue);
}

static void on_deadline_locked(struct op *op, struct due *due) REQUIRES(op->jobd->lock)
{
    struct jobd_waiter *waiter = waiter_of(container_of(due, struct waiting, due));
    wait_unblock_others_locked(op, waiter);
    wait_end_locked(op, waiter, JOBD_TIMEOUT);
}

static void dispatch_where_needed_locked(struct op *op) REQUIRES(op->jobd->lock)
{
    for (uint32_t i = 0; op->jobd->dispatch_needed && i < op->jobd->queues_len; i++) {
        struct queue *queue = &op->jobd->queues[i];
        if (queue->dispatch_needed)
            dispatch_locked(op, queue);
        queue->dispatch_needed = false;
    }
    op->jobd->dispatch_needed = false;
}

/* First of all: what they held is free for whatever comes in. */
static void forget_some_locked(struct op *op, int *left) REQUIRES(op->jobd->lock)
{
    struct jobs *jobs = &op->jobd->jobs;
    const int before = *left;
    while (*left > 0 && jobs_forget_due(jobs, op->now_us, op))
        --*left;
    if (*left < before && has_journal(op->jobd))
        op->tell_store |= journal_notify(&op->jobd->journal);
}

static int64_t tick_locked(struct op *op) REQUIRES(op->jobd->lock)
{
    static void (*const handle[DUE_KINDS])(struct op * op, struct due * due) = {
        [DUE_DELAY] = on_delay_locked,       [DUE_LEASE] = on_lease_locked,
        [DUE_PROBE] = on_probe_locked,       [DUE_LIMIT] = on_limit_locked,
        [DUE_DEADLINE] = on_deadline_locked,
    };
    int left = OP_STEPS;
    forget_some_locked(op, &left);
    expiry_tick_locked(op, &left);
    blocked_tick_locked(op, &left);
    for (enum due_kind kind = DUE_DATE + 1; kind < DUE_KINDS; kind++) {
        struct due *due;
        for (; left > 0 && (due = due_first_locked(op, kind)) != NULL; left--)
            handle[kind](op, due);
    }
    dispatch_where_needed_locked(op);
    sweep_resume_locked(op);
    int64_t next_us = due_tick_us_locked(op);
    if (op->jobd->share == NULL)
        op->jobd->ticks_at_us = next_us;
    return next_us;
}

static int64_t tick_waiters_locked(struct op *op) REQUIRES(op->jobd->lock)
{
    struct due *due;
    int left = OP_STEPS;
    for (; left > 0 && (due = due_first_locked(op, DUE_DEADLINE)) != NULL; left--)
        on_deadline_locked(op, due);
    op->jobd->ticks_at_us = due_deadline_us_locked(op);
    return op->jobd->ticks_at_us;
}

int64_t jobd_tick_waiters(struct jobd *jobd, int64_t now_us)
{
    struct op op;
    int64_t next_us;
    do {
        op_begin(&op, jobd, NULL, now_us);
        op.outside = true;
        next_us = tick_waiters_locked(&op);
        op_end(&op);
    } while (next_us <= now_us);
    return next_us;
}

void jobd_stop_waits(struct jobd *jobd)
{
    bool more;
    do {
        struct op op;
        op_begin(&op, jobd, NULL, 0);
        op.outside = true;
        jobd->waits_stopped = true;
        for (int left = OP_STEPS; left > 0 && heap_top(&jobd->deadlines) != NULL; left--)
            on_deadline_locked(&op, heap_top(&jobd->deadlines));
        more = heap_top(&jobd->deadlines) != NULL;
        op_end(&op);
    } while (more);
}

int64_t jobd_tick(struct jobd *jobd, int64_t now_us)
{
    struct op op;
    int64_t next_us;
    do {
        op_begin(&op, jobd, NULL, now_us);
        next_us = tick_locked(&op);
        op_end(&op);
    } while (next_us <= now_us);
    return next_us;
}
