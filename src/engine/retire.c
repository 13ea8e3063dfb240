/* SPDX-License-Identifier: MIT */
#include "engine/retire.h"

#include "engine/waiters.h"

void retire_end_locked(struct op *op, struct queue *queue)
{
    if (queue->phase != QUEUE_RETIRED || !queue_empty(queue))
        return;
    queue->phase = QUEUE_GONE;
    queue_names_remove(&op->jobd->names, queue->name);
    wait_leave_queue_locked(op, queue, JOBD_UNDECLARED);
}
