/* SPDX-License-Identifier: MIT */
/* Lines of JSON, each of which says all of a job. */
#pragma once

#include "api/endpoint.h"
#include "jobd/queue.h"

/* What was made of the body, in one piece: request->batch_jobs. */
struct put_jobs {
    struct jobd_put *puts; /* their texts stand behind */
    struct jobd_terms *terms;
    uint64_t *ids;
    uint32_t *lines; /* on which each stood, from 1 */
    uint32_t *order; /* by key, where they have one */
    char *texts;
    uint32_t len;
};

/* Bytes that so many of a body of that size take, but for what the engine makes of them. */
size_t put_jobs_bytes(const struct jobd_blob *body, uint64_t count);
/* Makes them, and request->batch of their payloads. `put` has them then. STEP_REPLY: the first line
 * that is wrong has been answered, or memory is short. */
enum step put_jobs_make(struct call *call, struct jobd_put *put, const struct jobd_terms *terms,
                        uint32_t count);
