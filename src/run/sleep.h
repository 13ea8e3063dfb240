/* SPDX-License-Identifier: MIT */
/* The `sleep` runner: a demonstration. Sleeps, then writes `done job <id>` on standard output. */
#pragma once

#include "jobd/pool.h"

struct runner_config;

/* config->argument points to the time to sleep, an int64_t in microseconds. 0 and *work, for
 * free(); or -errno. */
JOBD_MUST_READ int sleep_new(void **work, const struct runner_config *config);

/* `context` is that work. In any number of threads at a time. */
void sleep_run(const struct jobd_task *task, struct jobd_outcome *outcome, void *context);
