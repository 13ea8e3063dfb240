/* SPDX-License-Identifier: MIT */
/* What becomes of gathered changes: written, they are applied and told of; failed, undone. All of
 * it some steps at a time, so that the lock is held for a short, bounded time however much was
 * gathered. */
#include "engine/dispatch.h"
#include "engine/engine.h"
#include "engine/journal.h"
#include "engine/submit.h"
#include "engine/sweep.h"
#include "engine/waiters.h"

/* Who waits is told; or waits on, for the end of the job that is in now. */
static void tell_locked(struct op *op, const struct change *change, bool written)
    REQUIRES(op->jobd->lock)
{
    struct jobd_waiter *waiter = change->waiter;
    const struct change_kind *kind = change->kind;
    if (waiter == NULL)
        return;
    enum jobd_result result = written ? change->result : JOBD_STORE_FAILED;
    if (kind->result != NULL)
        result = kind->result(op, change, written);
    if (kind->then_end && result == JOBD_OK && waiter->end_us > 0)
        result =
            wait_next_for_end_locked(op, waiter, jobs_find(&op->jobd->jobs, waiter->receipt.id));
    if (result != JOBD_PENDING)
        wait_end_locked(op, waiter, result);
}

static struct queue *queue_of(const struct op *op, const struct change *change)
{
    const struct job *job = change->job != NULL ? change->job : TAILQ_FIRST(&change->jobs);
    return job != NULL ? &op->jobd->queues[job->queue] : NULL;
}

/* Applies or undoes a change of the list, or as many of its jobs as *left allows. When none of them
 * is left its waiter is told, and its entry is free. */
static void conclude_locked(struct op *op, struct change_list *list, struct change *change,
                            bool written, int *left) REQUIRES(op->jobd->lock)
{
    struct journal *journal = &op->jobd->journal;
    struct queue *queue = queue_of(op, change); /* its jobs may be forgotten */
    bool whole = change_conclude_locked(op, change, written, left);
    if (queue != NULL)
        dispatch_locked(op, queue);
    if (change->to != NULL)
        dispatch_locked(op, change->to);
    if (!whole)
        return;
    --*left;
    tell_locked(op, change, written);
    extra_free(change->extra);
    TAILQ_REMOVE(list, change, link);
    TAILQ_INSERT_HEAD(&journal->spare, change, link);
    journal->free++;
}

/* Calls some(), each time under the lock and with so many steps, until it leaves some of them. */
static void in_steps(struct jobd *jobd, int64_t now_us, void (*some)(struct op *op, int *left))
{
    int left;
    do {
        struct op op;
        left = OP_STEPS;
        op_begin(&op, jobd, NULL, now_us);
        some(&op, &left);
        op_end(&op);
    } while (left <= 0);
}

/* There may be room again for who was not served for want of it. */
static void serve_starved_locked(struct op *op) REQUIRES(op->jobd->lock)
{
    struct journal *journal = &op->jobd->journal;
    if (journal->starved && journal->free > journal->reserved) {
        journal->starved = false;
        for (uint32_t i = 0; i < op->jobd->queues_len; i++)
            dispatch_locked(op, &op->jobd->queues[i]);
    }
    sweep_resume_locked(op);
}

static void written_some_locked(struct op *op, int *left) REQUIRES(op->jobd->lock)
{
    struct change_list *gathered = &op->jobd->journal.gathered;
    struct jobs *jobs = &op->jobd->jobs;
    struct change *change;
    struct job *job;
    while (*left > 0 && (change = TAILQ_FIRST(gathered)) != NULL)
        conclude_locked(op, gathered, change, true, left);
    for (; *left > 0 && (job = TAILQ_FIRST(&jobs->forgotten_gathered)) != NULL; --*left) {
        TAILQ_REMOVE(&jobs->forgotten_gathered, job, link);
        jobs_release_record(jobs, job);
    }
    serve_starved_locked(op);
}

void journal_written(struct jobd *jobd, int64_t now_us)
{
    in_steps(jobd, now_us, written_some_locked);
}

/* What is not undone is gathered again, in its order. */
static void wait_again_locked(struct op *op) REQUIRES(op->jobd->lock)
{
    struct journal *journal = &op->jobd->journal;
    struct jobs *jobs = &op->jobd->jobs;
    TAILQ_CONCAT(&journal->gathered, &journal->waiting, link);
    TAILQ_CONCAT(&journal->waiting, &journal->gathered, link);
    TAILQ_CONCAT(&jobs->forgotten_gathered, &jobs->forgotten, link);
    TAILQ_CONCAT(&jobs->forgotten, &jobs->forgotten_gathered, link);
    journal->notified = false; /* what comes now may be tried at once */
}

static void failed_some_locked(struct op *op, int *left) REQUIRES(op->jobd->lock)
{
    struct change_list *gathered = &op->jobd->journal.gathered;
    struct change *next = TAILQ_FIRST(gathered);
    while (next != NULL && *left > 0) {
        struct change *change = next;
        next = TAILQ_NEXT(change, link);
        if (change->undo_on_failure)
            conclude_locked(op, gathered, change, false, left);
    }
    if (*left > 0)
        wait_again_locked(op);
    serve_starved_locked(op);
}

void journal_failed(struct jobd *jobd, int64_t now_us)
{
    mutex_lock(&jobd->lock);
    jobd->journal.failures++;
    mutex_unlock(&jobd->lock);
    in_steps(jobd, now_us, failed_some_locked);
}

static void refuse_some_locked(struct op *op, int *left) REQUIRES(op->jobd->lock)
{
    struct change_list *waiting = &op->jobd->journal.waiting;
    struct change *next = TAILQ_FIRST(waiting);
    op->jobd->journal.refuses = true;
    while (next != NULL && *left > 0) {
        struct change *change = next;
        next = TAILQ_NEXT(change, link);
        if (change->kind->is_put)
            conclude_locked(op, waiting, change, false, left);
    }
}

static void accept_again_locked(struct op *op, int *left) REQUIRES(op->jobd->lock)
{
    (void)left;
    op->jobd->journal.refuses = false;
}

void journal_refuse(struct jobd *jobd, bool refuse, int64_t now_us)
{
    in_steps(jobd, now_us, refuse ? refuse_some_locked : accept_again_locked);
}
