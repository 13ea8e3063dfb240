/* SPDX-License-Identifier: MIT */
#include "engine/lease_deadline.h"

int64_t lease_timeout_at_locked(struct op *op, const struct job *job)
{
    int64_t timeout_us = queue_timeout_us(&op->jobd->queues[job->queue], job);
    return timeout_us > 0 ? later_us(job->lease->began_us, timeout_us) : JOBD_NEVER;
}

int64_t lease_set_deadline_locked(struct op *op, struct lease *lease, int64_t in_us)
{
    int64_t until_us = later_us(op->now_us, in_us);
    int64_t timeout_at_us = lease_timeout_at_locked(op, lease->job);
    until_us = until_us < timeout_at_us ? until_us : timeout_at_us;
    lease_look_again_locked(op, lease, until_us);
    return until_us;
}

void lease_look_again_locked(struct op *op, struct lease *lease, int64_t at_us)
{
    heap_remove(&op->jobd->leases.due, &lease->due);
    heap_push(&op->jobd->leases.due, &lease->due, at_us);
}
