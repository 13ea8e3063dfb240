/* SPDX-License-Identifier: MIT */
#include "engine/touched.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/verify.h"
#include "engine/blob.h"
#include "engine/show.h"
#include "engine/waiters.h"

int share_init(struct jobd *jobd, const struct jobd_turns *turns, uint32_t running)
{
    uint32_t leases = jobd->leases.room > 0 ? jobd->leases.room : 1;
    struct share *share = calloc(1, sizeof *share);
    if (share == NULL)
        return -ENOMEM;
    jobd->share = share;
    share->turns = *turns;
    share->stops_max = share->runs_max = running > 0 ? running : 1;
    share->touches = calloc((size_t)jobd->jobs.records_max + 1, sizeof *share->touches);
    share->queues = calloc(jobd->queues_max, sizeof *share->queues);
    share->leases = calloc(leases, sizeof *share->leases);
    share->lease_is_in = calloc(leases, sizeof *share->lease_is_in);
    share->stops = calloc(share->stops_max, sizeof *share->stops);
    share->runs = calloc(share->runs_max, sizeof *share->runs);
    share->ended = calloc(share->runs_max, sizeof *share->ended);
    share->shown = calloc(share->runs_max, sizeof *share->shown);
    TAILQ_INIT(&share->held);
    bool good = share->touches != NULL && share->queues != NULL && share->leases != NULL &&
                share->lease_is_in != NULL && share->stops != NULL && share->runs != NULL &&
                share->ended != NULL && share->shown != NULL;
    return good ? 0 : -ENOMEM;
}

void share_release(struct jobd *jobd)
{
    struct share *share = jobd->share;
    if (share == NULL)
        return;
    free(share->touches);
    free(share->queues);
    free(share->leases);
    free(share->lease_is_in);
    free(share->stops);
    free(share->runs);
    free(share->ended);
    for (uint32_t i = 0; share->shown != NULL && i < share->runs_max; i++)
        jobd_blob_unref(share->shown[i].output);
    free(share->shown);
    free(share);
    jobd->share = NULL;
}

/* ---- jobs */

static void take_out(struct touch *all, uint32_t number)
{
    struct touch *touch = &all[number];
    all[touch->before].behind = touch->behind;
    all[touch->behind].before = touch->before;
}

static void add_last(struct touch *all, uint32_t number)
{
    struct touch *touch = &all[number];
    touch->before = all[0].before;
    touch->behind = 0;
    all[touch->before].behind = number;
    all[0].before = number;
}

void share_touch_queue_locked(struct op *op, const struct queue *queue)
{
    struct share *share = op->jobd->share;
    struct told *told = &share->queues[queue - op->jobd->queues];
    share->queues_touched += !told->touched;
    told->touched = true;
}

static size_t weight_of(const struct job *job)
{
    const struct job_extra *extra = job->extra;
    return blob_weight(job->payload) + (extra != NULL ? blob_weight(extra->output) : 0);
}

void share_touch_locked(struct op *op, const struct job *job, enum row_kind row)
{
    struct share *share = op->jobd->share;
    uint32_t number = (uint32_t)(job - op->jobd->jobs.records) + 1;
    struct touch *touch = &share->touches[number];
    bool stays = row == ROW_REPLACE && share->stays, was_in = touch->is_in;
    verify(share->in_turn);
    if (was_in && !stays) {
        take_out(share->touches, number);
    } else if (!was_in) {
        *touch = (struct touch){.is_in = true};
        share->touched_len++;
        share->touched_bytes += weight_of(job);
    }
    /* One that moves may come from a queue that is not known elsewhere. */
    touch->fresh |= row == ROW_ADD || row == ROW_REPLACE || row == ROW_AMEND || row == ROW_MOVE;
    touch->moved |= row == ROW_MOVE;
    touch->stays = stays && (!was_in || touch->stays);
    if (!was_in || !stays)
        add_last(share->touches, number);
    share_touch_queue_locked(op, &op->jobd->queues[job->queue]);
}

void share_touch_in_place_locked(struct op *op, const struct job *job)
{
    struct share *share = op->jobd->share;
    uint32_t number = (uint32_t)(job - op->jobd->jobs.records) + 1;
    verify(share->in_turn);
    if (share->touches[number].is_in)
        return;
    share->touches[number] = (struct touch){.is_in = true, .stays = true};
    share->touched_len++;
    add_last(share->touches, number);
}

void share_touch_behind_locked(struct op *op, const struct job *job)
{
    if (op->jobd->share->touched_len > 0)
        share_touch_locked(op, job, ROW_SET);
}

void share_touch_lease_locked(struct op *op, const struct lease *lease)
{
    struct share *share = op->jobd->share;
    uint32_t index = (uint32_t)(lease - op->jobd->leases.all);
    if (share->lease_is_in[index])
        return;
    share->lease_is_in[index] = true;
    share->leases[share->leases_len++] = index;
}

void share_note_start_locked(struct op *op, const struct job *job)
{
    struct share *share = op->jobd->share;
    share->touches[job - op->jobd->jobs.records + 1].started = !job->leased;
}

void share_note_end_locked(struct op *op, const struct job *job)
{
    struct share *share = op->jobd->share;
    if (share->ended_len < share->runs_max)
        share->ended[share->ended_len++] = (struct own_run){job->id, job->attempt, job->started_us,
                                                            job->holder, job->requeue_on_stop};
}

bool share_has_room(const struct share *share)
{
    return share->touched_len < TOUCHED_MAX && share->touched_bytes < TOUCHED_BYTES;
}

/* ---- what is left out */

static struct stranger *stranger_named(struct share *share, const char *queue)
{
    uint32_t i = 0;
    while (i < share->strangers_len && strcmp(share->stranger[i].name, queue) != 0)
        i++;
    if (i == STRANGERS_MAX)
        return NULL;
    if (i == share->strangers_len) {
        share->stranger[i] = (struct stranger){.jobs = 0};
        memcpy(share->stranger[i].name, queue, strlen(queue));
        share->strangers_len++;
    }
    return &share->stranger[i];
}

void share_note_stranger_locked(struct op *op, const char *queue)
{
    struct share *share = op->jobd->share;
    size_t length = strlen(queue);
    share->strangers = true;
    if (length == 0 || length > JOBD_QUEUE_NAME_MAX)
        return;
    struct stranger *stranger = stranger_named(share, queue);
    if (stranger != NULL && stranger->jobs < UINT32_MAX)
        stranger->jobs++;
}

/* ---- who is told later */

/* What has taken the place of another put may be what is lost. */
enum jobd_result share_told_locked(const struct op *op, const struct jobd_waiter *waiter)
{
    bool is_in = waiter->accepted && !waiter->receipt.replaced && waiter->receipt.id != 0 &&
                 waiter->receipt.id < op->jobd->share->next_id;
    return is_in ? JOBD_TIMEOUT : JOBD_STORE_FAILED;
}

/* A stop that finds no place is told at once: it would have been soon. */
static void hold_stops(struct share *share, struct op *op)
{
    while (op->stops_len > 0 && share->stops_len < share->stops_max)
        share->stops[share->stops_len++] = op->stops[--op->stops_len];
}

/* What it has put in this turn may be lost yet, whatever it is told: its deadline, say. */
static void hold_unsure_locked(struct op *op) REQUIRES(op->jobd->lock)
{
    struct waiting *waiting = TAILQ_FIRST(&op->woken), *next;
    for (; waiting != NULL; waiting = next) {
        const struct jobd_waiter *waiter = waiter_of(waiting);
        next = TAILQ_NEXT(waiting, link);
        if (!waiter->accepted || share_told_locked(op, waiter) == JOBD_TIMEOUT)
            continue;
        TAILQ_REMOVE(&op->woken, waiting, link);
        TAILQ_INSERT_TAIL(&op->jobd->share->held, waiting, link);
    }
}

void share_hold_locked(struct op *op)
{
    struct share *share = op->jobd->share;
    if (share->in_turn && op->outside)
        hold_unsure_locked(op);
    if (!share->in_turn || op->outside)
        return;
    TAILQ_CONCAT(&share->held, &op->woken, link);
    hold_stops(share, op);
}
