/* SPDX-License-Identifier: MIT */
/* Who waits, who is woken, what is due. */
#include "heart.h"

#include <stddef.h>

#include "blob.h"

enum { DUE_AT_A_TIME = 256 }; /* bounds how long a tick holds the lock */

#define container_of(pointer, type, field)                                                         \
    ((type *)(void *)((char *)(pointer)-offsetof(type, field)))

static struct waiter_list *list_locked(struct jobd *jobd, struct jobd_waiter *waiter)
    REQUIRES(jobd->lock)
{
    switch ((enum wait_kind)waiter->link.kind) {
    case WAIT_END:
        return &((struct job *)waiter->link.job)->awaiting;
    case WAIT_ROOM:
        return &jobd->queues[waiter->link.index].putters;
    case WAIT_JOB:
        return &jobd->queues[waiter->link.index].takers;
    case WAIT_IDLE:
        return &jobd->idlers;
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
    verify(!waiter->exempt || waiter->deadline_us == JOBD_NEVER);
    if (!waiter->exempt && jobd->waiters == jobd->waiters_max)
        return JOBD_CROWDED;
    jobd->waiters += !waiter->exempt;
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

static void forget_wait_locked(struct jobd *jobd, struct jobd_waiter *waiter) REQUIRES(jobd->lock)
{
    if (waiter->link.kind == WAIT_DISK)
        ((struct entry *)waiter->link.entry)->waiter = NULL;
    else
        TAILQ_REMOVE(list_locked(jobd, waiter), waiter, link);
    heap_remove(&jobd->deadlines, &waiter->link.due);
    jobd->leases.promised -= waiter->link.kind == WAIT_JOB && waiter->lease_us > 0;
    waiter->link.kind = WAIT_NOT;
    extra_free(waiter->link.extra);
    waiter->link.extra = NULL;
    jobd->waiters -= !waiter->exempt;
}

void wait_for_disk_locked(struct jobd *jobd, struct jobd_waiter *waiter, struct entry *entry)
{
    if (waiter->link.kind != WAIT_NOT)
        forget_wait_locked(jobd, waiter);
    verify(waiter->exempt || jobd->waiters < jobd->waiters_max);
    jobd->waiters += !waiter->exempt;
    waiter->link.kind = WAIT_DISK;
    waiter->link.extra = NULL;
    waiter->link.entry = entry;
    waiter->result = JOBD_PENDING;
    entry->waiter = waiter;
}

/* Before somebody is forgotten who may have waited for room in front of others. */
static void leave_room_locked(struct jobd *jobd, const struct jobd_waiter *waiter)
    REQUIRES(jobd->lock)
{
    if (waiter->link.kind == WAIT_ROOM)
        jobd->unsettled = jobd->queues[waiter->link.index].unsettled = true;
}

void wait_end_locked(struct jobd *jobd, struct jobd_waiter *waiter, enum jobd_result result,
                     struct aftermath *after)
{
    forget_wait_locked(jobd, waiter);
    waiter->result = result;
    TAILQ_INSERT_TAIL(&after->woken, waiter, link);
}

static int64_t next_due_locked(struct jobd *jobd) REQUIRES(jobd->lock)
{
    if (jobd->unsettled)
        return 0;
    const struct jobd_due *delay = heap_top(&jobd->delays);
    const struct jobd_due *deadline = heap_top(&jobd->deadlines);
    const struct jobd_due *lease = heap_top(&jobd->leases.due);
    int64_t at_us = delay != NULL ? delay->at_us : JOBD_NEVER;
    if (lease != NULL && lease->at_us < at_us)
        at_us = lease->at_us;
    return deadline != NULL && deadline->at_us < at_us ? deadline->at_us : at_us;
}

void unlock_and_tell(struct jobd *jobd, struct aftermath *after)
{
    int64_t next_us = next_due_locked(jobd);
    bool earlier = next_us < jobd->ticks_at_us;
    if (earlier)
        jobd->ticks_at_us = next_us;
    mutex_unlock(&jobd->lock);

    struct jobd_waiter *waiter;
    if (after->journal)
        jobd->wanted(jobd->wanted_context);
    while ((waiter = TAILQ_FIRST(&after->woken)) != NULL) {
        TAILQ_REMOVE(&after->woken, waiter, link);
        waiter->wake(waiter); /* from here on it is no longer ours to touch */
    }
    while (after->garbage != NULL) {
        struct jobd_blob *blob = after->garbage;
        after->garbage = blob->link.next;
        blob_free(blob);
    }
    if (after->stop != NULL && after->stop->stop != NULL)
        after->stop->stop(after->stop, &after->stop_task);
    if (earlier && jobd->earlier != NULL)
        jobd->earlier(jobd->context);
}

bool jobd_unwait(struct jobd *jobd, struct jobd_waiter *waiter)
{
    AFTERMATH(after);
    mutex_lock(&jobd->lock);
    bool waited = waiter->link.kind != WAIT_NOT;
    if (waited) {
        leave_room_locked(jobd, waiter);
        forget_wait_locked(jobd, waiter);
    }
    unlock_and_tell(jobd, &after);
    return waited;
}

static int64_t tick_locked(struct jobd *jobd, int64_t now_us, struct aftermath *after)
    REQUIRES(jobd->lock)
{
    /* Jobs first: one that becomes ready now is not missed by a taker whose time ends now. */
    int left = DUE_AT_A_TIME;
    struct jobd_due *due;
    for (; left > 0 && (due = heap_top(&jobd->delays)) != NULL && due->at_us <= now_us; left--) {
        due = heap_top(&container_of(due, struct queue, due)->delays);
        life_due_locked(jobd, container_of(due, struct job, due), now_us, after);
    }
    for (; left > 0 && (due = heap_top(&jobd->leases.due)) != NULL && due->at_us <= now_us; left--)
        lease_due_locked(jobd, container_of(due, struct lease, due), now_us, after);
    for (; left > 0 && (due = heap_top(&jobd->deadlines)) != NULL && due->at_us <= now_us; left--) {
        struct jobd_waiter *waiter = container_of(due, struct jobd_waiter, link.due);
        leave_room_locked(jobd, waiter);
        wait_end_locked(jobd, waiter, JOBD_TIMEOUT, after);
    }
    for (uint32_t i = 0; jobd->unsettled && i < jobd->queues_len; i++) {
        if (jobd->queues[i].unsettled)
            life_settle_locked(jobd, &jobd->queues[i], now_us, after);
        jobd->queues[i].unsettled = false;
    }
    jobd->unsettled = false;
    jobd->ticks_at_us = next_due_locked(jobd);
    return jobd->ticks_at_us;
}

int64_t jobd_tick(struct jobd *jobd, int64_t now_us)
{
    int64_t next_us;
    do {
        AFTERMATH(after);
        mutex_lock(&jobd->lock);
        next_us = tick_locked(jobd, now_us, &after);
        unlock_and_tell(jobd, &after);
    } while (next_us <= now_us);
    return next_us;
}

/* JOBD_OK when it has ended, else JOBD_PENDING or JOBD_CROWDED. */
static enum jobd_result await_locked(struct jobd *jobd, struct job *job, struct jobd_waiter *waiter,
                                     struct jobd_info *info) REQUIRES(jobd->lock)
{
    look_locked(job, info);
    if (!jobd_state_final(info->state))
        return wait_begin_locked(jobd, waiter, WAIT_END, job, 0);
    look_at_output_locked(job, waiter);
    return JOBD_OK;
}

enum jobd_result wait_for_end_locked(struct jobd *jobd, struct jobd_waiter *waiter, struct job *job,
                                     int64_t now_us)
{
    bool has_ended = jobd_state_final((enum jobd_state)job->state);
    if (!has_ended && waiter->link.kind != WAIT_NOT)
        forget_wait_locked(jobd, waiter);
    waiter->deadline_us = later_us(now_us, waiter->end_us);
    return await_locked(jobd, job, waiter, &waiter->info);
}

enum jobd_result jobd_await(struct jobd *jobd, uint64_t id, struct jobd_waiter *waiter,
                            struct jobd_info *info)
{
    enum jobd_result result = JOBD_NO_JOB;
    mutex_lock(&jobd->lock);
    struct job *job = jobs_seen(&jobd->jobs, id);
    if (job != NULL)
        result = await_locked(jobd, job, waiter, info);
    AFTERMATH(after);
    unlock_and_tell(jobd, &after);
    return result;
}

enum jobd_result jobd_await_idle(struct jobd *jobd, struct jobd_waiter *waiter)
{
    AFTERMATH(after);
    mutex_lock(&jobd->lock);
    enum jobd_result result =
        jobd_idle_locked(jobd) ? JOBD_OK : wait_begin_locked(jobd, waiter, WAIT_IDLE, NULL, 0);
    unlock_and_tell(jobd, &after);
    return result;
}
