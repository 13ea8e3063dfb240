/* SPDX-License-Identifier: MIT */
/* Which jobs a request means, by its parameters. */
#pragma once

#include "api/endpoint.h"
#include "jobd/queue.h"

/* The parameters that job_filter_read() knows: for an endpoint's row. */
#define JOB_FILTER_PARAMETERS "queue", "state", "tag", "key", "batch", "since", "before"

#define STATE_VALUES "queued, scheduled, blocked, running, done, failed or cancelled"

/* Fills in the filter, but for its order: STEP_START; STEP_REPLY: the first parameter that is wrong
 * has been answered. Its texts are the request's. */
enum step job_filter_read(struct call *call, struct jobd_filter *filter);
