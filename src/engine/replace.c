/* SPDX-License-Identifier: MIT */
#include "engine/replace.h"

#include "engine/blob.h"
#include "engine/changes.h"
#include "engine/deliveries.h"
#include "engine/describe.h"
#include "engine/edges.h"
#include "engine/transition.h"
#include "engine/fair.h"
#include "engine/pins.h"
#include "engine/waiters.h"

struct job_content replace_written(const struct job *job)
{
    const struct change *first = job->extra != NULL ? job->extra->replacing.first : NULL;
    return first != NULL ? first->before : job_content(job);
}

/* The job's changes without this one. */
static struct replacing without(const struct replacing *all, struct change *change)
{
    struct replacing rest = *all;
    if (change->newer != NULL)
        change->newer->older = change->older;
    if (change->older != NULL)
        change->older->newer = change->newer;
    rest.first = rest.first == change ? change->newer : rest.first;
    rest.last = rest.last == change ? change->older : rest.last;
    return rest;
}

static void describe_replace(const struct change *change, struct job_record *record)
{
    const struct job_content now = job_content(change->job);
    describe_content(record, change->newer != NULL ? &change->newer->before : &now);
    record->attempt = 0;
    record->started_us = record->finished_us = record->expires_us = record->began_us = 0;
    record->stopping = record->expired = record->output_truncated = record->exited = false;
    record->token = "";
    record->output = record->error = record->errors = NULL;
    record->errors_us = 0;
    describe_nothing_said(record);
}

/* What follows from what it was put with had to wait meanwhile. */
static void look_again_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock)
{
    if (job_being_replaced(job) || !job_waits(job) || job->commit_pending)
        return;
    jobs_unwatch(&op->jobd->jobs, job);
    jobs_watch(&op->jobd->jobs, job);
    if (job->state == JOBD_BLOCKED)
        edges_look_again_locked(op, job->extra->parents);
}

static void apply_replace_locked(struct op *op, struct change *change, struct job *job)
    REQUIRES(op->jobd->lock)
{
    job->extra->replacing = without(&job->extra->replacing, change);
    edges_leave_locked(op, change->before.extra);
    jobs_drop_content(&op->jobd->jobs, &change->before, op);
    look_again_locked(op, job);
}

static void undo_replace_locked(struct op *op, struct change *change, struct job *job)
    REQUIRES(op->jobd->lock)
{
    if (job->state == JOBD_RUNNING) { /* with what is taken back */
        change->job = NULL;           /* it is being undone: no other need do so */
        change_void_others_locked(op, job, change);
    }
    struct change *newer = change->newer;
    const struct replacing rest = without(&job->extra->replacing, change);
    if (newer != NULL) { /* which has what this one had put */
        const struct job_content put = newer->before;
        newer->before = change->before;
        change->before = put;
    } else {
        transition_exchange_locked(op, job, &change->before);
    }
    job->extra->replacing = rest;
    edges_leave_locked(op, change->before.extra);
    jobs_drop_content(&op->jobd->jobs, &change->before, op);
    look_again_locked(op, job);
}

static const struct change_kind replace_kind = {.name = "replace",
                                                .row = ROW_REPLACE,
                                                .describe = describe_replace,
                                                .apply = apply_replace_locked,
                                                .undo = undo_replace_locked,
                                                .then_end = true,
                                                .is_put = true};

/* Its change, the last of the journal, is the newest of the job's. */
static void link_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock)
{
    struct replacing *all = &job->extra->replacing;
    struct change *change = TAILQ_LAST(&op->jobd->journal.waiting, change_list);
    change->older = all->last;
    if (all->last != NULL)
        all->last->newer = change;
    else
        all->first = change;
    all->last = change;
}

/* It is still the job that came then, and what was promised of it stays so. */
static void carry_over(const struct job_extra *before, struct job_extra *extra)
{
    extra->came_us = before->came_us;
    if (extra->unique_until_us != 0)
        extra->unique_until_us = later_us(before->came_us, extra->unique_us);
    if (extra->unique_until_us < before->unique_until_us)
        extra->unique_until_us = before->unique_until_us;
    extra->replacing = before->replacing;
}

/* It may become another group's, which must have room for it. */
static enum jobd_result join_group_locked(struct op *op, const struct job *job,
                                          const struct job_content *content)
    REQUIRES(op->jobd->lock)
{
    struct queue *queue = &op->jobd->queues[job->queue];
    bool changes = fair_has(queue, job->id) && !fair_same_group(job, content);
    return changes ? fair_join_locked(op, queue, content->extra) : JOBD_OK;
}

/* Its end may be told of from now on; a job that was pinned for that stays so until its end. */
static enum jobd_result expect_delivery_locked(struct op *op, struct job *job,
                                               const struct job_content *content)
    REQUIRES(op->jobd->lock)
{
    struct jobs *jobs = &op->jobd->jobs;
    enum jobd_result result = deliveries_admit_locked(op, content->extra);
    if (result != JOBD_OK || extra_promise(content->extra) == NULL || (job->pins & PIN_CALLBACK))
        return result;
    if (!jobs_make_room(jobs, PIN_WEIGHT, op))
        return JOBD_OUT_OF_MEMORY;
    pin_job_locked(op, job, PIN_CALLBACK);
    return JOBD_OK;
}

/* It is not replaced after all. */
static void expect_none_locked(struct op *op, struct job *job, bool was_pinned)
    REQUIRES(op->jobd->lock)
{
    if (!was_pinned && (job->pins & PIN_CALLBACK) != 0)
        unpin_job_locked(op, job, PIN_CALLBACK);
}

enum jobd_result replace_locked(struct op *op, struct job *job, struct job_content *content,
                                struct jobd_waiter *waiter, struct jobd_receipt *receipt)
{
    struct change change;
    struct jobs *jobs = &op->jobd->jobs;
    bool waits_already = waiter != NULL && waiting_of(waiter)->kind != WAIT_NOT;
    if (op->jobd->journal.refuses)
        return JOBD_STORE_FAILED;
    if (!change_has_room_locked(op, waits_already ? NULL : waiter))
        return JOBD_TOO_MANY_WAITERS;
    enum jobd_result result = join_group_locked(op, job, content);
    if (result != JOBD_OK)
        return result;
    const bool pinned = (job->pins & PIN_CALLBACK) != 0;
    if ((result = expect_delivery_locked(op, job, content)) != JOBD_OK) {
        fair_quit_locked(op, &op->jobd->queues[job->queue], content->extra);
        return result;
    }
    carry_over(job->extra, content->extra);
    if ((job->extra->unique_until_us == 0 && content->extra->unique_until_us != 0 &&
         jobs->retainable >= jobs->retainable_max) ||
        !jobs_hold_content(jobs, content, op)) {
        expect_none_locked(op, job, pinned);
        fair_quit_locked(op, &op->jobd->queues[job->queue], content->extra);
        return JOBD_OUT_OF_MEMORY;
    }
    change_init(&change, op, &replace_kind, job);
    change.waiter = waiter;
    change.bytes = blob_weight(content->payload);
    change.before = *content;
    if (content->extra->parents != NULL)
        edges_link(content->extra->parents, job);
    transition_exchange_locked(op, job, &change.before);
    *receipt = (struct jobd_receipt){.id = job->id,
                                     .state = job_state(job),
                                     .waiting = receipt->waiting,
                                     .capacity = receipt->capacity,
                                     .duplicate = true,
                                     .replaced = true};
    result = change_submit_locked(op, &change);
    if (has_journal(op->jobd))
        link_locked(op, job);
    return result;
}
