/* SPDX-License-Identifier: MIT */
/* Many jobs by one request: each line of the body is a payload, or an object that says all of a
 * job. What that takes is counted before it is made. */
#pragma once

#include "api/endpoint.h"
#include "jobd/queue.h"

/* Makes the jobs of the body, as the parameter `batch`, which is there, says; `put` and `terms` are
 * what it says of all of them. STEP_REPLY: something is wrong, and has been answered. */
enum step put_batch_read(struct call *call, struct jobd_put *put, const struct jobd_terms *terms,
                         bool has_key);
/* All are in: their ids. */
enum step put_batch_admitted(struct call *call);
/* A key of one of them came before, with another payload. */
enum step put_batch_conflict(struct call *call);
