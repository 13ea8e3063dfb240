/* SPDX-License-Identifier: MIT */
#include "engine/waiters.h"

#include "engine/job_info.h"

static struct waiter_list *list_locked(struct jobd *jobd, struct jobd_waiter *waiter)
    REQUIRES(jobd->lock)
{
    switch ((enum wait_kind)waiter->link.kind) {
    case WAIT_END:
        return &((struct job *)waiter->link.job)->awaiting;
    case WAIT_ROOM:
        return &jobd->queues[waiter->link.index].put_waiters;
    case WAIT_JOB:
        return &jobd->queues[waiter->link.index].take_waiters;
    case WAIT_IDLE:
        return &jobd->idle_waiters;
    case WAIT_DISK:
    case WAIT_NOT:
        break;
    }
    return NULL;
}

enum jobd_result wait_begin_locked(struct jobd *jobd, struct jobd_waiter *waiter,
                                   enum wait_kind kind, struct job *job, uint32_t queue)
{
    verify(waiter->link.kind == WAIT_NOT && waiter->wake != NULL);
    verify(!waiter->uncounted || waiter->deadline_us == JOBD_NEVER);
    if (!waiter->uncounted && jobd->waiters == jobd->waiters_max)
        return JOBD_TOO_MANY_WAITERS;
    jobd->waiters += !waiter->uncounted;
    jobd->leases.promised += kind == WAIT_JOB && waiter->lease_us > 0;
    waiter->link.kind = (int)kind;
    waiter->link.job = job;
    waiter->link.extra = NULL;
    waiter->link.index = queue;
    waiter->result = JOBD_PENDING;
    if (waiter->deadline_us != JOBD_NEVER)
        heap_push(&jobd->deadlines, &waiter->link.due, waiter->deadline_us);
    struct waiter_list *list = list_locked(jobd, waiter);
    TAILQ_INSERT_TAIL(list, waiter, link);
    return JOBD_PENDING;
}

void wait_forget_locked(struct jobd *jobd, struct jobd_waiter *waiter)
{
    if (waiter->link.kind == WAIT_DISK)
        ((struct change *)waiter->link.entry)->waiter = NULL;
    else
        TAILQ_REMOVE(list_locked(jobd, waiter), waiter, link);
    heap_remove(&jobd->deadlines, &waiter->link.due);
    jobd->leases.promised -= waiter->link.kind == WAIT_JOB && waiter->lease_us > 0;
    waiter->link.kind = WAIT_NOT;
    extra_free(waiter->link.extra);
    waiter->link.extra = NULL;
    jobd->waiters -= !waiter->uncounted;
}

void wait_for_disk_locked(struct jobd *jobd, struct jobd_waiter *waiter, struct change *entry)
{
    if (waiter->link.kind != WAIT_NOT)
        wait_forget_locked(jobd, waiter);
    verify(waiter->uncounted || jobd->waiters < jobd->waiters_max);
    jobd->waiters += !waiter->uncounted;
    waiter->link.kind = WAIT_DISK;
    waiter->link.extra = NULL;
    waiter->link.entry = entry;
    waiter->result = JOBD_PENDING;
    entry->waiter = waiter;
}

void wait_leave_room_locked(struct jobd *jobd, const struct jobd_waiter *waiter)
{
    if (waiter->link.kind == WAIT_ROOM)
        jobd->dispatch_needed = jobd->queues[waiter->link.index].dispatch_needed = true;
}

void wait_end_locked(struct jobd *jobd, struct jobd_waiter *waiter, enum jobd_result result,
                     struct effects *after)
{
    wait_forget_locked(jobd, waiter);
    waiter->result = result;
    TAILQ_INSERT_TAIL(&after->woken, waiter, link);
}

enum jobd_result wait_await_locked(struct jobd *jobd, struct job *job, struct jobd_waiter *waiter,
                                   struct jobd_info *info)
{
    job_info(job, info);
    if (!jobd_state_final(info->state))
        return wait_begin_locked(jobd, waiter, WAIT_END, job, 0);
    job_output_for(job, waiter);
    return JOBD_OK;
}

enum jobd_result wait_for_end_locked(struct jobd *jobd, struct jobd_waiter *waiter, struct job *job,
                                     int64_t now_us)
{
    bool has_ended = jobd_state_final((enum jobd_state)job->state);
    if (!has_ended && waiter->link.kind != WAIT_NOT)
        wait_forget_locked(jobd, waiter);
    waiter->deadline_us = later_us(now_us, waiter->end_us);
    return wait_await_locked(jobd, job, waiter, &waiter->info);
}
