/* SPDX-License-Identifier: MIT */
/* Many jobs in one request: each line of the body is a payload, or a JSON object that says all of a
 * job. The memory that they take is counted before it is allocated. */
#pragma once

#include "api/endpoint.h"
#include "jobd/queue.h"

/* Makes the jobs that are in the body, in the form that the parameter `batch` says; it must be
 * there. `put` and `terms` are what the request says of all of them. STEP_REPLY: something is
 * wrong, and the reply says what. */
enum step put_batch_read(struct call *call, struct jobd_put *put, const struct jobd_terms *terms,
                         bool has_key);
/* The answer when all jobs are in: their ids. */
enum step put_batch_admitted(struct call *call);
/* The answer when one of them has a key that came before with another payload. */
enum step put_batch_conflict(struct call *call);
