/* SPDX-License-Identifier: MIT */
/* How a worker's last attempt ended, where queues are shared. Its end is reported and the next job
 * taken in one turn; when that turn is lost it is taken again, so the outcome is kept until the
 * database has it. For the worker's own thread, but for its turns. */
#pragma once

#include <stdbool.h>

#include "jobd/turns.h"
#include "run/wait_sync.h"

struct report {
    struct jobd *jobd;
    struct wait_sync *sync; /* of the worker */
    uint32_t queue;
    struct jobd_turn turn;
    struct jobd_task task;
    struct jobd_outcome outcome; /* its blobs are references of ours */
    bool is_due;                 /* it has not been reported for sure */
};

/* Cuts the output to what the engine has room for. Any thread. */
void report_fit(struct jobd *jobd, struct jobd_outcome *outcome);

/* The attempt of this task has ended like this; takes the outcome's blobs. */
void report_keep(struct report *report, const struct jobd_task *task,
                 const struct jobd_outcome *outcome);
/* Reports that, and takes the next job, in one turn. Blocks until there is a job: the result of
 * jobd_take(). JOBD_STORE_FAILED: nothing was reported. */
enum jobd_result report_and_take(struct report *report);
/* Drops what has not been reported. */
void report_forget(struct report *report);
