/* SPDX-License-Identifier: MIT */
#include "engine/changes.h"

#include <limits.h>

#include "engine/blob.h"
#include "engine/schedule_table.h"
#include "engine/touched.h"
#include "engine/waiters.h"

bool change_has_room_locked(struct op *op, const struct jobd_waiter *waiter)
{
    struct journal *journal = &op->jobd->journal;
    if (!op->jobd->durable)
        return true;
    if (has_journal(op->jobd) && waiter != NULL && !waiter->uncounted &&
        op->jobd->waiters == op->jobd->waiters_max)
        return false;
    bool good = has_journal(op->jobd) ? journal_has_room(journal) : share_has_room(op->jobd->share);
    journal->starved |= !good;
    return good;
}

/* Roughly what is written of it. */
static size_t payload_bytes(const struct change_kind *kind, const struct job *job)
{
    return kind->row != ROW_SET && kind->row != ROW_REMOVE ? blob_weight(job->payload) : 0;
}

void change_init(struct change *change, const struct op *op, const struct change_kind *kind,
                 struct job *job)
{
    *change = (struct change){.kind = kind,
                              .undo_on_failure = true,
                              .result = JOBD_OK,
                              .joined = op->grouped,
                              .waiter = op->waiter,
                              .at_us = op->now_us,
                              .rows = job != NULL,
                              .bytes = job != NULL ? payload_bytes(kind, job) : 0,
                              .job = job};
    TAILQ_INIT(&change->jobs);
}

void change_add_job(struct change *change, struct job *job)
{
    TAILQ_INSERT_TAIL(&change->jobs, job, link);
    change->rows++;
    change->bytes += payload_bytes(change->kind, job);
}

bool change_conclude_locked(struct op *op, struct change *change, bool written, int *left)
{
    const struct change_kind *kind = change->kind;
    void (*conclude)(struct op *, struct change *, struct job *) =
        written ? kind->apply : kind->undo;
    bool single = TAILQ_EMPTY(&change->jobs);
    struct job *job;
    while ((job = TAILQ_FIRST(&change->jobs)) != NULL && --*left >= 0) {
        TAILQ_REMOVE(&change->jobs, job, link);
        conclude(op, change, job);
    }
    if (single && conclude != NULL)
        conclude(op, change, change->job);
    return job == NULL;
}

/* The others are told of each of its jobs. */
static void apply_shared_locked(struct op *op, struct change *change) REQUIRES(op->jobd->lock)
{
    const struct change_kind *kind = change->kind;
    struct job *job = change->job != NULL ? change->job : TAILQ_FIRST(&change->jobs);
    if (job == NULL && kind->apply != NULL)
        kind->apply(op, change, NULL);
    while (job != NULL) {
        if (change->job == NULL)
            TAILQ_REMOVE(&change->jobs, job, link);
        if (!kind->is_mark)
            share_touch_queue_locked(op, &op->jobd->queues[job->queue]);
        if (kind->apply != NULL)
            kind->apply(op, change, job);
        if (!kind->is_mark && kind->row != ROW_REMOVE) /* else it is among the forgotten */
            share_touch_locked(op, job, kind->row);
        job = change->job == NULL ? TAILQ_FIRST(&change->jobs) : NULL;
    }
}

static void apply_at_once_locked(struct op *op, struct change *change) REQUIRES(op->jobd->lock)
{
    int all = INT_MAX;
    if (op->jobd->share != NULL)
        apply_shared_locked(op, change);
    else
        verify(change_conclude_locked(op, change, true, &all));
    extra_free(change->extra);
}

enum jobd_result change_submit_locked(struct op *op, struct change *change)
{
    struct journal *journal = &op->jobd->journal;
    if (!has_journal(op->jobd)) {
        apply_at_once_locked(op, change);
        schedule_step_end(op, change->step);
        return change->result;
    }
    struct change *entry = journal_add(journal, change);
    entry->waiter = NULL;
    if (change->waiter != NULL)
        wait_for_disk_locked(op, change->waiter, entry);
    op->tell_store |= journal_notify(journal);
    return change->waiter != NULL ? JOBD_PENDING : change->result;
}

static const struct change_kind again_kind = {.name = "again", .is_mark = true};

enum jobd_result change_await_locked(struct op *op)
{
    struct change change;
    if (op->waiter == NULL)
        return JOBD_CHANGING;
    if (!change_has_room_locked(op, op->waiter))
        return JOBD_TOO_MANY_WAITERS;
    change_init(&change, op, &again_kind, NULL);
    change.result = JOBD_CHANGING;
    return change_submit_locked(op, &change);
}

static const struct change_kind void_kind = {.name = "void", .is_mark = true};

void change_void(struct change *change)
{
    change->kind = &void_kind;
    change->result = JOBD_STORE_FAILED;
    change->job = NULL;
}

void change_void_others_locked(struct op *op, struct job *job, const struct change *change)
{
    struct journal *journal = &op->jobd->journal;
    struct change_list *lists[] = {&journal->gathered, &journal->waiting};
    for (size_t i = 0; i < 2; i++) {
        struct change *other;
        TAILQ_FOREACH (other, lists[i], link) {
            if (other == change || other->job != job || !other->undo_on_failure)
                continue;
            const struct change_kind *kind = other->kind;
            change_void(other); /* its own undoing may void others in turn */
            kind->undo(op, other, job);
        }
    }
}
