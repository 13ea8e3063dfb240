/* SPDX-License-Identifier: MIT */
#include "engine/stop.h"

#include "engine/attempt.h"
#include "engine/changes.h"
#include "engine/said.h"

void stop_tell(struct op *op, const struct job *job)
{
    if (job->elsewhere) /* there it is told */
        return;
    verify(op->stops_len < OP_STOPS);
    op->stops[op->stops_len++] = (struct op_stop){.holder = job->holder,
                                                  .task = {.id = job->id,
                                                           .queue = job->queue,
                                                           .attempt = job->attempt,
                                                           .started_us = job->started_us}};
}

static void describe_stop(const struct change *change, struct job_record *record)
{
    (void)change;
    record->stopping = true;
}

static void apply_stop_locked(struct op *op, struct change *change, struct job *job)
    REQUIRES(op->jobd->lock)
{
    (void)change;
    job->stops_pending--;
    job->stopping = true;
    said_tell_locked(op, job);
    if (!job->commit_pending) /* else it has ended meanwhile: cancelled, if it failed */
        stop_tell(op, job);
}

static void undo_stop_locked(struct op *op, struct change *change, struct job *job)
    REQUIRES(op->jobd->lock)
{
    (void)op;
    (void)change;
    job->stops_pending--;
}

static const struct change_kind stop_kind = {.name = "stop",
                                             .row = ROW_SET,
                                             .describe = describe_stop,
                                             .apply = apply_stop_locked,
                                             .undo = undo_stop_locked};

enum jobd_result stop_locked(struct op *op, struct job *job)
{
    struct change change;
    if (job->leased)
        return attempt_revoke_locked(op, job);
    if (!change_has_room_locked(op, op->waiter))
        return JOBD_TOO_MANY_WAITERS;
    job->stops_pending++;
    change_init(&change, op, &stop_kind, job);
    change.result = JOBD_STOPPING;
    return change_submit_locked(op, &change);
}
