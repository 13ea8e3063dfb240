/* SPDX-License-Identifier: MIT */
/* The output of an attempt that a worker of this process runs, shown while it grows.
 *
 * It is kept with its job; but where queues are shared it stands beside the jobs, as those change
 * in turns only. There the other processes never hear of it. */
#pragma once

#include "engine/engine.h"

/* Of a worker's attempt, where queues are shared. */
struct shown {
    uint64_t id; /* of the job; 0: of none */
    uint32_t attempt;
    int64_t started_us;
    struct jobd_blob *output; /* its first `bytes` are the output so far; a reference that is not
                                 counted; NULL: nothing */
    size_t bytes;
    bool truncated; /* there was more */
};

/* What is shown of a job that a worker of this process runs, where queues are shared; NULL:
 * nothing. Borrowed, until the lock is given back. */
const struct shown *shown_beside_locked(const struct jobd *jobd, const struct job *job)
    REQUIRES(jobd->lock);
/* Its worker has ended the attempt, whoever has the job by now. */
void shown_end_locked(struct op *op, const struct jobd_task *task) REQUIRES(op->jobd->lock);
