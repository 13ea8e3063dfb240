/* SPDX-License-Identifier: MIT */
/* What wakes a loop. */
#include "http/mhd.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "base/verify.h"

void loop_wake(struct loop *loop)
{
    const uint64_t one = 1;
    if (!atomic_exchange(&loop->woken, true))
        verify(write(loop->wakeup, &one, sizeof one) == sizeof one);
}

void loop_take_wakeup(struct loop *loop)
{
    uint64_t count;
    (void)!read(loop->wakeup, &count, sizeof count);
    atomic_store(&loop->woken, false); /* before looking: what comes now wakes it again */
}
