/* SPDX-License-Identifier: MIT */
#include "engine/blocked.h"

#include <stdio.h>

#include "engine/cancel_kind.h"
#include "engine/describe.h"
#include "engine/dispatch.h"
#include "engine/edges.h"
#include "engine/pins.h"
#include "engine/replace.h"
#include "engine/transition.h"

/* The job has it before its end is written, in place of the room that was counted for it; it is
 * shown when the job has ended. */
static void set_error_locked(struct op *op, struct job *job, const struct edge *why)
    REQUIRES(op->jobd->lock)
{
    struct jobs *jobs = &op->jobd->jobs;
    char text[80];
    snprintf(text, sizeof text, "a job it waits for failed: /%s/%llu",
             why->is_batch ? "batches" : "jobs", (unsigned long long)why->id);
    jobs_count(jobs, -(int64_t)job->extra->parents->error_room);
    job->extra->parents->error_room = 0;
    (void)jobs_set(jobs, &job->extra->error, jobd_blob_text(text), op);
}

/* ---- one that waits for others no longer: what becomes of those then is nothing to it, in the
 * next process either */

/* As it was then: its start may stand behind this in the journal, or a replacement. */
static void describe_settle(const struct change *change, struct job_record *record)
{
    const struct job_content content = replace_written(change->job);
    describe_nothing_said(record);
    record->state = waits_as(NULL, content.delayed);
    record->ready_us = content.ready_us;
    record->delayed = content.delayed;
    record->by_wall = content.by_wall;
    record->settled = true;
    record->attempt = 0;
    record->started_us = record->expires_us = record->began_us = 0;
    record->token = "";
}

static const struct change_kind settle_kind = {
    .name = "settle", .row = ROW_SET, .describe = describe_settle};

static void settle_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock)
{
    struct change change;
    transition_unblock_locked(op, job);
    if (!has_journal(op->jobd))
        return;
    change_init(&change, op, &settle_kind, job);
    change.waiter = NULL;
    change.undo_on_failure = false;
    (void)change_submit_locked(op, &change);
}

/* ---- some at a time */

struct orphan_step {
    struct change orphans; /* of one queue */
    struct queue *queue;   /* theirs */
    struct dispatch_set queues;
};

static void submit_locked(struct op *op, struct orphan_step *step) REQUIRES(op->jobd->lock)
{
    if (step->orphans.rows > 0)
        (void)change_submit_locked(op, &step->orphans);
    change_init(&step->orphans, op, &orphan_kind, NULL);
    step->orphans.undo_on_failure = false;
}

/* False when the journal has no room for it. */
static bool orphan_locked(struct op *op, struct orphan_step *step, struct job *job,
                          const struct edge *why) REQUIRES(op->jobd->lock)
{
    struct queue *queue = &op->jobd->queues[job->queue];
    if (step->queue != queue)
        submit_locked(op, step);
    step->queue = queue;
    if (step->orphans.rows == 0 && !change_has_room_locked(op, NULL))
        return false;
    set_error_locked(op, job, why);
    transition_withdraw_locked(op, job);
    change_add_job(&step->orphans, job);
    job->extra->parents->orphaned = true;
    if ((job->pins & PIN_CHILDREN) != 0)
        edges_job_ended_locked(op, job);
    return true;
}

/* False when it must be looked at again, later. */
static bool look_locked(struct op *op, struct orphan_step *step, struct parents *parents)
    REQUIRES(op->jobd->lock)
{
    const struct edge *why;
    struct job *job = parents->job;
    if (job->state != JOBD_BLOCKED || job->commit_pending || job->extra->parents != parents ||
        job_being_replaced(job))
        return true; /* it comes in, or waits, with these later; then it is looked at again */
    enum verdict verdict = edges_verdict(&op->jobd->jobs, parents, &why);
    if (verdict == VERDICT_WAIT)
        return true;
    if (!change_has_room_locked(op, NULL)) /* a turn has some for so many, however they go on */
        return false;
    struct queue *queue = &op->jobd->queues[job->queue];
    if (verdict == VERDICT_CANCEL && !orphan_locked(op, step, job, why))
        return false;
    if (verdict == VERDICT_BEGIN)
        settle_locked(op, job);
    dispatch_note(&step->queues, queue);
    return true;
}

/* The next one, taken off its list; NULL: there is none. */
static struct parents *next_locked(struct op *op) REQUIRES(op->jobd->lock)
{
    struct edges *edges = &op->jobd->edges;
    struct parents *parents = TAILQ_FIRST(&edges->again);
    struct parent *parent;
    if (parents != NULL) {
        TAILQ_REMOVE(&edges->again, parents, link);
        parents->again = false;
        return parents;
    }
    while ((parent = TAILQ_FIRST(&edges->due)) != NULL) {
        struct edge *edge = parent->next;
        if (edge != NULL) {
            parent->next = TAILQ_NEXT(edge, link);
            return edge->parents;
        }
        TAILQ_REMOVE(&edges->due, parent, link);
        parent->due = false;
    }
    return NULL;
}

void blocked_tick_locked(struct op *op, int *left)
{
    struct edges *edges = &op->jobd->edges;
    struct orphan_step step = {.orphans.rows = 0, .queues.len = 0};
    struct parents *parents;
    if (!edges_due(edges))
        return;
    submit_locked(op, &step);
    while (*left > 0 && !edges->starved && (parents = next_locked(op)) != NULL) {
        *left -= 1 + (int)parents->len / 8; /* so many are looked at for it */
        edges->starved = !look_locked(op, &step, parents);
        if (edges->starved)
            edges_look_again_locked(op, parents);
    }
    submit_locked(op, &step);
    dispatch_noted_locked(op, &step.queues);
}

void blocked_resume_locked(struct op *op)
{
    struct edges *edges = &op->jobd->edges;
    if (edges->starved && (op->jobd->share != NULL || journal_has_room(&op->jobd->journal)))
        edges->starved = false;
}
