/* SPDX-License-Identifier: MIT */
/* Which jobs a filter means. No lock of its own; what it looks at of a job is bounded. */
#pragma once

#include <stdbool.h>

#include "engine/job_table.h"
#include "jobd/queue.h"

/* Of a list: bounds how long it holds the lock, and how long it takes. */
enum { LOOKS_AT_A_TIME = 256, LOOKS_MAX = 10000 };

/* May a job with this id be meant? Not when it is of another batch. */
bool filter_spans(const struct jobd_filter *filter, uint64_t id);
/* But for `after` and `newest`. The job must have come in. */
bool filter_matches(const struct jobd_filter *filter, const struct job *job);
