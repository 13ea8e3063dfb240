/* SPDX-License-Identifier: MIT */
#include "engine/submit.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "engine/blob.h"
#include "engine/waiters.h"

int journal_init(struct journal *journal, uint32_t max, uint32_t reserved)
{
    *journal = (struct journal){.max = max, .free = max, .reserved = reserved};
    TAILQ_INIT(&journal->spare);
    TAILQ_INIT(&journal->waiting);
    TAILQ_INIT(&journal->gathered);
    if (max > 0)
        journal->all = calloc(max, sizeof *journal->all);
    return max == 0 || journal->all != NULL ? 0 : -ENOMEM;
}

void journal_release(struct journal *journal)
{
    struct change_list *lists[] = {&journal->waiting, &journal->gathered};
    struct change *change;
    for (size_t i = 0; journal->all != NULL && i < 2; i++) {
        TAILQ_FOREACH (change, lists[i], link) {
            jobd_blob_unref(change->ending.outcome.output);
            jobd_blob_unref(change->ending.outcome.error);
            extra_free(change->extra);
        }
    }
    free(journal->all);
    journal->all = NULL;
}

bool change_has_room_locked(struct op *op, const struct jobd_waiter *waiter)
{
    const struct journal *journal = &op->jobd->journal;
    if (!op->jobd->durable)
        return true;
    if (waiter != NULL && !waiter->uncounted && op->jobd->waiters == op->jobd->waiters_max)
        return false;
    if (journal->free > journal->reserved)
        return true;
    op->jobd->journal.starved = true;
    return false;
}

void change_init(struct change *change, const struct op *op, const struct change_kind *kind,
                 struct job *job)
{
    *change = (struct change){.kind = kind,
                              .undo_on_failure = true,
                              .result = JOBD_OK,
                              .waiter = op->waiter,
                              .at_us = op->now_us,
                              .rows = job != NULL,
                              .job = job};
    TAILQ_INIT(&change->jobs);
}

void change_add_job(struct change *change, struct job *job)
{
    TAILQ_INSERT_TAIL(&change->jobs, job, link);
    change->rows++;
    change->bytes += change->kind->row != ROW_SET ? blob_weight(job->payload) : 0;
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

static struct change *new_slot(struct journal *journal)
{
    struct change *slot = TAILQ_FIRST(&journal->spare);
    verify(journal->free > 0);
    journal->free--;
    if (slot == NULL)
        return &journal->all[journal->used++];
    TAILQ_REMOVE(&journal->spare, slot, link);
    return slot;
}

enum jobd_result change_submit_locked(struct op *op, struct change *change)
{
    struct journal *journal = &op->jobd->journal;
    if (!op->jobd->durable) {
        int all = INT_MAX;
        verify(change_conclude_locked(op, change, true, &all));
        extra_free(change->extra);
        return change->result;
    }
    struct change *slot = new_slot(journal);
    *slot = *change;
    TAILQ_INIT(&slot->jobs); /* a list cannot be copied */
    TAILQ_CONCAT(&slot->jobs, &change->jobs, link);
    slot->waiter = NULL;
    TAILQ_INSERT_TAIL(&journal->waiting, slot, link);
    if (change->waiter != NULL)
        wait_for_disk_locked(op, change->waiter, slot);
    journal_tell_store_locked(op);
    return change->waiter != NULL ? JOBD_PENDING : change->result;
}

static enum jobd_result void_result(struct op *op, const struct change *change, bool written)
{
    (void)op, (void)change, (void)written;
    return JOBD_STORE_FAILED;
}

static const struct change_kind void_kind = {
    .name = "void", .writes_nothing = true, .result = void_result};

void change_void_others_locked(struct op *op, struct job *job, const struct change *change)
{
    struct journal *journal = &op->jobd->journal;
    struct change_list *lists[] = {&journal->gathered, &journal->waiting};
    for (size_t i = 0; i < 2; i++) {
        struct change *other;
        TAILQ_FOREACH (other, lists[i], link) {
            if (other == change || other->job != job || !other->undo_on_failure)
                continue;
            other->kind->undo(op, other, job);
            other->kind = &void_kind;
            other->job = NULL;
        }
    }
}

void journal_tell_store_locked(struct op *op)
{
    op->tell_store |= !op->jobd->journal.notified;
    op->jobd->journal.notified = true;
}
