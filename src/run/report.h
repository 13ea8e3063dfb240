/* SPDX-License-Identifier: MIT */
/* What a worker's last attempt has come to, where queues are shared: its end and the next job are
 * one turn. If that is lost it is taken again: so what the job has left is kept as long as nobody
 * knows it. For the worker's own thread, but for its turns. */
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
    bool is_due;                 /* nobody may know of it yet */
};

/* Of an output the first bytes, where the engine has no room for all of them. Any thread. */
void report_fit(struct jobd *jobd, struct jobd_outcome *outcome);

/* The attempt of this task has ended so; takes the outcome's blobs. */
void report_keep(struct report *report, const struct jobd_task *task,
                 const struct jobd_outcome *outcome);
/* Says so, and takes the next job, in one turn: as jobd_take(), and blocks until that has an end.
 * JOBD_STORE_FAILED: it is as if nothing had been said. */
enum jobd_result report_and_take(struct report *report);
/* Nobody will know of it. */
void report_forget(struct report *report);
