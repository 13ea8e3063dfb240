/* SPDX-License-Identifier: MIT */
/* From a queue's options to its runner: looks up the user, reads the files that they name. */
#pragma once

#include <stdbool.h>

#include "base/problem.h"
#include "run/callbacks.h"
#include "run/runner.h"
#include "server/options.h"

/* What a runner is made from. It borrows from the options, and owns what it has read. */
struct queue_runner {
    struct runner_config config;
    char **fields; /* with what files say in place of their names */
    struct webhook_key key;
    struct user *user;
};

/* False: `problem` names the key's place and what is wrong; nothing is to be closed. Blocks on
 * files and the system's users. */
bool queue_runner_open(struct queue_runner *runner, const struct options *options,
                       const struct queue_options *queue, struct problem *problem);
/* For the queue of callbacks: before its runner is made. For others it does nothing. */
void queue_runner_set_callbacks(struct queue_runner *runner, struct callbacks *callbacks);
/* Releases what was read; runner_new() and runner_version_new() have copied it. */
void queue_runner_close(struct queue_runner *runner);

/* Would queue_runner_open() succeed? Blocks like that. */
bool queue_runner_check(const struct options *options, const struct queue_options *queue,
                        struct problem *problem);

/* Can its command be started, as far as can be seen? */
bool queue_runner_command_ok(const struct queue_options *queue, struct problem *problem);

/* Logs each of its secrets that others can read, and a command that cannot be started. */
void queue_runner_warn(const struct queue_options *queue);

/* Does it use files, or a user, which SIGHUP must read or look up again? */
bool queue_runner_rereads(const struct queue_options *queue);
