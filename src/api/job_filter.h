/* SPDX-License-Identifier: MIT */
/* The parameters of a request that say which jobs it means. */
#pragma once

#include "api/endpoint.h"
#include "jobd/queue.h"

/* Their names, for an endpoint's row. */
#define JOB_FILTER_PARAMETERS "queue", "state", "tag", "key", "batch", "since", "before"

#define STATE_VALUES "queued, scheduled, blocked, running, done, failed or cancelled"

/* Fills in the filter from them, all but its order. Its texts are borrowed from the request.
 * STEP_REPLY: one of them is wrong, and the reply says so. */
enum step job_filter_read(struct call *call, struct jobd_filter *filter);
