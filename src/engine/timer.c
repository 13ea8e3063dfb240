/* SPDX-License-Identifier: MIT */
/* What becomes due: delays, leases, deadlines. */
#include "engine/engine.h"

#include "base/container.h"
#include "engine/dispatch.h"
#include "engine/lease.h"
#include "engine/transition.h"
#include "engine/waiters.h"

enum { DUE_AT_A_TIME = 256 }; /* bounds how long a tick holds the lock */

static int64_t tick_locked(struct jobd *jobd, int64_t now_us, struct effects *after)
    REQUIRES(jobd->lock)
{
    /* Jobs first: one that becomes ready now is not missed by a take_waiter whose time ends now. */
    int left = DUE_AT_A_TIME;
    struct jobd_due *due;
    for (; left > 0 && (due = heap_top(&jobd->delays)) != NULL && due->at_us <= now_us; left--) {
        due = heap_top(&container_of(due, struct queue, due)->delays);
        struct job *job = container_of(due, struct job, due);
        transition_due_locked(jobd, job);
        dispatch_locked(jobd, &jobd->queues[job->queue], now_us, after);
    }
    for (; left > 0 && (due = heap_top(&jobd->leases.due)) != NULL && due->at_us <= now_us; left--)
        lease_expire_locked(jobd, container_of(due, struct lease, due), now_us, after);
    for (; left > 0 && (due = heap_top(&jobd->deadlines)) != NULL && due->at_us <= now_us; left--) {
        struct jobd_waiter *waiter = container_of(due, struct jobd_waiter, link.due);
        wait_leave_room_locked(jobd, waiter);
        wait_end_locked(jobd, waiter, JOBD_TIMEOUT, after);
    }
    for (uint32_t i = 0; jobd->dispatch_needed && i < jobd->queues_len; i++) {
        if (jobd->queues[i].dispatch_needed)
            dispatch_locked(jobd, &jobd->queues[i], now_us, after);
        jobd->queues[i].dispatch_needed = false;
    }
    jobd->dispatch_needed = false;
    jobd->ticks_at_us = next_due_locked(jobd);
    return jobd->ticks_at_us;
}

int64_t jobd_tick(struct jobd *jobd, int64_t now_us)
{
    int64_t next_us;
    do {
        EFFECTS(after);
        mutex_lock(&jobd->lock);
        next_us = tick_locked(jobd, now_us, &after);
        unlock_and_tell(jobd, &after);
    } while (next_us <= now_us);
    return next_us;
}
