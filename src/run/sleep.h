/* SPDX-License-Identifier: MIT */
/* The `sleep` runner: pretend work. Sleeps, then writes `done job <id>` on standard output. */
#pragma once

#include <stdint.h>

#include "jobd/pool.h"

/* `context` is the time to sleep: int64_t microseconds. */
void sleep_run(const struct jobd_task *task, struct jobd_outcome *outcome, void *context);
