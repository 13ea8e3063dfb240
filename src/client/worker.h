/* SPDX-License-Identifier: MIT */
/* One worker of `jobd work`: takes a job, runs the command, reports how it ended, and takes the
 * next. It is a thread, with a second one while a command runs (keeper.h). */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/client_options.h"
#include "client/remote.h"

enum { TAKE_WAIT_S = 30 }; /* how long the server holds a take that has no job yet */

/* What all workers of the process share. */
struct work {
    const struct client_options *options;
    struct remote *remote;
    char *take_path;  /* with its query: wait=TAKE_WAIT_S, and more */
    int drain;        /* an event, readable from the moment when nothing is to be taken any more */
    int over;         /* an event: the last worker has ended */
    atomic_uint left; /* workers that have not ended */
    atomic_bool gave_up;                       /* one has, and has said why */
    atomic_int code;                           /* the exit status, as far as it is known */
    atomic_uint begun;                         /* workers */
    _Atomic uint64_t jobs[CLIENT_WORKERS_MAX]; /* ids of the jobs that they run; 0: none */
};

/* No more jobs are taken. Any thread. */
void work_drain(struct work *work);

/* A thread's body; `context` is a struct work. */
void *worker_run(void *context);
