/* SPDX-License-Identifier: MIT */
#include "engine/waiters.h"

#include "engine/changes.h"
#include "engine/job_info.h"

static struct waiting_list *list_of(struct op *op, const struct waiting *waiting)
    REQUIRES(op->jobd->lock)
{
    switch (waiting->kind) {
    case WAIT_END:
    case WAIT_MORE:
        return &waiting->job->awaiting;
    case WAIT_BATCH:
        return &waiting->batch->awaiting;
    case WAIT_ROOM:
        return &op->jobd->queues[waiting->queue].put_waiters;
    case WAIT_IDLE:
        return &op->jobd->idle_waiters;
    case WAIT_SWEEP:
        return &op->jobd->sweep_waiters;
    case WAIT_JOB: /* has places */
    case WAIT_DISK:
    case WAIT_NOT:
        break;
    }
    return NULL;
}

/* ---- places: in each queue that a taker asks */

static uint32_t places_len(const struct waiting *waiting)
{
    verify(waiting != NULL);
    return waiting->choice != NULL ? waiting->choice->len : 1;
}

static struct waiting_place *place_at(struct waiting *waiting, uint32_t i)
{
    return waiting->choice != NULL ? (struct waiting_place *)(void *)&waiting->choice->hidden[i]
                                   : &waiting->place;
}

static struct queue *queue_of_place(struct op *op, const struct waiting *waiting, uint32_t i)
{
    uint32_t queue = waiting->choice != NULL ? waiting->choice->queues[i] : waiting->queue;
    return &op->jobd->queues[jobd_queue_index(queue)];
}

static void enter_places_locked(struct op *op, struct waiting *waiting) REQUIRES(op->jobd->lock)
{
    for (uint32_t i = 0; i < places_len(waiting); i++) {
        struct waiting_place *place = place_at(waiting, i);
        struct queue *queue = queue_of_place(op, waiting, i);
        place->waiting = waiting;
        TAILQ_INSERT_TAIL(&queue->take_waiters, place, link);
    }
}

static void leave_places_locked(struct op *op, struct waiting *waiting) REQUIRES(op->jobd->lock)
{
    for (uint32_t i = 0; i < places_len(waiting); i++) {
        struct waiting_place *place = place_at(waiting, i);
        struct queue *queue = queue_of_place(op, waiting, i);
        if (place->waiting != NULL)
            TAILQ_REMOVE(&queue->take_waiters, place, link);
        place->waiting = NULL;
    }
}

/* False when it stands nowhere else. */
static bool leave_place_locked(struct op *op, struct queue *queue, struct waiting_place *place)
    REQUIRES(op->jobd->lock)
{
    struct waiting *waiting = place->waiting;
    bool others = false;
    (void)op;
    for (uint32_t i = 0; i < places_len(waiting); i++) {
        struct waiting_place *other = place_at(waiting, i);
        others = others || (other != place && other->waiting != NULL);
    }
    if (!others)
        return false;
    TAILQ_REMOVE(&queue->take_waiters, place, link);
    place->waiting = NULL;
    return true;
}

/* ---- waits */

/* `job` and `queue` are set. */
static enum jobd_result begin_locked(struct op *op, struct jobd_waiter *waiter, enum wait_kind kind)
    REQUIRES(op->jobd->lock)
{
    struct waiting *waiting = waiting_of(waiter);
    verify(waiting->kind == WAIT_NOT && waiter->wake != NULL);
    verify(!waiter->uncounted || waiter->deadline_us == JOBD_NEVER);
    if (op->jobd->waits_stopped && waiter->deadline_us != JOBD_NEVER)
        return JOBD_TIMEOUT;
    if (!waiter->uncounted && op->jobd->waiters == op->jobd->waiters_max)
        return JOBD_TOO_MANY_WAITERS;
    op->jobd->waiters += !waiter->uncounted;
    op->jobd->leases.reserved += kind == WAIT_JOB && waiter->lease_us > 0;
    waiting->kind = kind;
    waiter->result = JOBD_PENDING;
    if (waiter->deadline_us != JOBD_NEVER)
        heap_push(&op->jobd->deadlines, &waiting->due, waiter->deadline_us);
    struct waiting_list *list = list_of(op, waiting);
    if (kind == WAIT_JOB)
        enter_places_locked(op, waiting);
    else if (kind == WAIT_MORE)
        TAILQ_INSERT_HEAD(list, waiting, link);
    else
        TAILQ_INSERT_TAIL(list, waiting, link);
    return JOBD_PENDING;
}

enum jobd_result wait_begin_locked(struct op *op, struct jobd_waiter *waiter, enum wait_kind kind,
                                   uint32_t queue)
{
    waiting_of(waiter)->queue = queue;
    return begin_locked(op, waiter, kind);
}

enum jobd_result wait_for_job_locked(struct op *op, struct jobd_waiter *waiter, uint32_t queue,
                                     struct jobd_choice *choice)
{
    struct waiting *waiting = waiting_of(waiter);
    waiting->choice = choice;
    return wait_begin_locked(op, waiter, WAIT_JOB, queue);
}

enum jobd_result wait_for_job_end_locked(struct op *op, struct jobd_waiter *waiter, struct job *job)
{
    waiting_of(waiter)->job = job;
    return begin_locked(op, waiter, WAIT_END);
}

enum jobd_result wait_for_batch_locked(struct op *op, struct jobd_waiter *waiter,
                                       struct batch *batch)
{
    waiting_of(waiter)->batch = batch;
    return begin_locked(op, waiter, WAIT_BATCH);
}

enum jobd_result wait_for_more_locked(struct op *op, struct jobd_waiter *waiter, struct job *job)
{
    waiting_of(waiter)->job = job;
    return begin_locked(op, waiter, WAIT_MORE);
}

void wait_forget_locked(struct op *op, struct jobd_waiter *waiter)
{
    struct waiting *waiting = waiting_of(waiter);
    if (waiting->kind == WAIT_DISK) {
        waiting->change->waiter = NULL;
    } else if (waiting->kind == WAIT_JOB) {
        leave_places_locked(op, waiting);
    } else {
        struct waiting_list *list = list_of(op, waiting);
        TAILQ_REMOVE(list, waiting, link);
    }
    heap_remove(&op->jobd->deadlines, &waiting->due);
    op->jobd->leases.reserved -= waiting->kind == WAIT_JOB && waiter->lease_us > 0;
    waiting->kind = WAIT_NOT;
    extra_free(waiting->extra);
    waiting->extra = NULL;
    op->jobd->waiters -= !waiter->uncounted;
}

void wait_for_disk_locked(struct op *op, struct jobd_waiter *waiter, struct change *change)
{
    struct waiting *waiting = waiting_of(waiter);
    if (waiting->kind != WAIT_NOT)
        wait_forget_locked(op, waiter);
    extra_free(waiting->extra); /* a taker's */
    verify(waiter->uncounted || op->jobd->waiters < op->jobd->waiters_max);
    op->jobd->waiters += !waiter->uncounted;
    waiting->kind = WAIT_DISK;
    waiting->extra = NULL;
    waiting->change = change;
    waiter->result = JOBD_PENDING;
    change->waiter = waiter;
}

enum jobd_result wait_next_for_end_locked(struct op *op, struct jobd_waiter *waiter,
                                          struct job *job)
{
    bool has_ended = job_has_ended(job);
    waiter->deadline_us =
        waiter->end_us == JOBD_NEVER ? JOBD_NEVER : later_us(op->now_us, waiter->end_us);
    job_info(job, &waiter->info);
    if (!has_ended && op->jobd->waits_stopped && waiter->deadline_us != JOBD_NEVER)
        return JOBD_TIMEOUT;
    if (!has_ended && waiting_of(waiter)->kind != WAIT_NOT)
        wait_forget_locked(op, waiter);
    if (!has_ended)
        return wait_for_job_end_locked(op, waiter, job);
    job_output_for(job, waiter);
    return JOBD_OK;
}

void wait_end_locked(struct op *op, struct jobd_waiter *waiter, enum jobd_result result)
{
    wait_forget_locked(op, waiter);
    waiter->result = result;
    TAILQ_INSERT_TAIL(&op->woken, waiting_of(waiter), link);
}

void wait_end_all_locked(struct op *op, struct waiting_list *list, enum jobd_result result)
{
    struct jobd_waiter *waiter;
    while ((waiter = first_waiter(list)) != NULL)
        wait_end_locked(op, waiter, result);
}

void wait_end_takers_locked(struct op *op, struct queue *queue, enum jobd_result result)
{
    struct waiting_place *place;
    while ((place = TAILQ_FIRST(&queue->take_waiters)) != NULL)
        wait_end_locked(op, waiter_of(place->waiting), result);
}

void wait_end_workers_locked(struct op *op, struct queue *queue, enum jobd_result result)
{
    struct waiting_place *place = TAILQ_FIRST(&queue->take_waiters), *next;
    for (; place != NULL; place = next) {
        next = TAILQ_NEXT(place, link);
        if (waiter_of(place->waiting)->lease_us == 0)
            wait_end_locked(op, waiter_of(place->waiting), result);
    }
}

void wait_leave_queue_locked(struct op *op, struct queue *queue, enum jobd_result result)
{
    struct waiting_place *place;
    while ((place = TAILQ_FIRST(&queue->take_waiters)) != NULL)
        if (!leave_place_locked(op, queue, place))
            wait_end_locked(op, waiter_of(place->waiting), result);
}

void wait_unblock_others_locked(struct op *op, struct jobd_waiter *waiter)
{
    const struct waiting *waiting = waiting_of(waiter);
    if (waiting->kind == WAIT_ROOM)
        op->jobd->dispatch_needed = op->jobd->queues[waiting->queue].dispatch_needed = true;
}
