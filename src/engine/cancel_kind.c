/* SPDX-License-Identifier: MIT */
#include "engine/cancel_kind.h"

#include "engine/transition.h"

static void describe_cancel(const struct change *change, struct job_record *record)
{
    record->state = JOBD_CANCELLED;
    record->started_us = 0;
    record->finished_us = change->at_us;
}

static void apply_cancel_locked(struct op *op, struct change *change, struct job *job)
    REQUIRES(op->jobd->lock)
{
    transition_end_waiting_locked(op, job, JOBD_CANCELLED, 0, change->at_us);
}

static void undo_cancel_locked(struct op *op, struct change *change, struct job *job)
    REQUIRES(op->jobd->lock)
{
    (void)change;
    transition_reinstate_locked(op, job);
}

static void describe_expire(const struct change *change, struct job_record *record)
{
    describe_cancel(change, record);
    record->expired = true;
}

static void apply_expire_locked(struct op *op, struct change *change, struct job *job)
    REQUIRES(op->jobd->lock)
{
    job->expired = true;
    op->jobd->queues[job->queue].expired++;
    apply_cancel_locked(op, change, job);
}

const struct change_kind cancel_kind = {.name = "cancel",
                                        .row = ROW_SET,
                                        .describe = describe_cancel,
                                        .apply = apply_cancel_locked,
                                        .undo = undo_cancel_locked};
const struct change_kind orphan_kind = {.name = "orphan",
                                        .row = ROW_SET,
                                        .describe = describe_cancel,
                                        .apply = apply_cancel_locked,
                                        .undo = undo_cancel_locked};
const struct change_kind expire_kind = {.name = "expire",
                                        .row = ROW_SET,
                                        .describe = describe_expire,
                                        .apply = apply_expire_locked,
                                        .undo = undo_cancel_locked};
