/* SPDX-License-Identifier: MIT */
/* What wakes a loop. */
#include "http/mhd.h"

#include "base/event.h"

void loop_wake(struct loop *loop)
{
    if (!atomic_exchange(&loop->woken, true))
        event_set(loop->wakeup);
}

void loop_take_wakeup(struct loop *loop)
{
    event_clear(loop->wakeup);
    atomic_store(&loop->woken, false); /* before looking: what comes now wakes it again */
}
