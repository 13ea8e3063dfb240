/* SPDX-License-Identifier: MIT */
/* Lines of JSON, each an object that says all of a job. */
#pragma once

#include "api/endpoint.h"
#include "jobd/queue.h"

/* The jobs of a body, allocated in one piece, as request->batch_jobs. */
struct put_jobs {
    struct jobd_put *puts; /* point into `texts` */
    struct jobd_terms *terms;
    uint64_t *ids;
    uint32_t *lines; /* the number of the line of each, from 1 */
    uint32_t *order; /* of those with a key, sorted by it */
    char *texts;
    uint32_t len;
};

/* How many bytes `count` jobs of that body take here, without what the engine allocates. */
size_t put_jobs_bytes(const struct jobd_blob *body, uint64_t count);
/* Makes the jobs, and request->batch of their payloads; `put` refers to them then. STEP_REPLY: a
 * line is wrong, or memory is short, and the reply says so. */
enum step put_jobs_make(struct call *call, struct jobd_put *put, const struct jobd_terms *terms,
                        uint32_t count);
