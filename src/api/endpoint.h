/* SPDX-License-Identifier: MIT */
/* The endpoints, and what they share; no file outside src/api/ includes this. */
#pragma once

#include "api/respond.h"
#include "base/clock.h"
#include "http/http.h"
#include "jobd/queue.h"
#include "api/route.h"

enum {
    BUSY_SHARED = 60, /* busy replies made in advance: Retry-After up to a minute */
    LIST_DEFAULT = 100,
    LIST_MAX = 1000
};

#define WAIT_MAX_US (INT64_C(3600) * CLOCK_SECOND_US)
#define JOB_ID_MAX  ((UINT64_C(1) << 53) - 1)

struct api {
    struct jobd *jobd;
    struct http *http;
    struct store *store; /* NULL: nothing is written down */
    struct auth *auth;   /* NULL: everybody may do all */
    size_t output_max_bytes;
    const struct shared_reply *busy[BUSY_SHARED + 1];
};

/* Does what the request asks for: at once, and `answer` says what became of it; or, when that must
 * be written down, parked, and the endpoint is called again. */
enum step act(struct call *call, start_wait *verb,
              enum step (*answer)(struct call *call, enum jobd_result result));
/* The name of the queue in the path, or the default one's. */
const char *path_queue(const struct call *call);
/* The job's id in the path, or 0. */
uint64_t path_id(const struct call *call);

/* put.c: /do and /jobs/{id}/retry */
endpoint put_job, retry_job;

/* jobs.c: /jobs */
/* Waits for the end of the job that the request is parked for. */
start_wait start_await;
endpoint list_jobs, get_job, get_payload, get_output, cancel_job;

/* leases.c: /take and /leases */
endpoint take_job, lease_done, lease_fail, lease_extend, lease_release;

/* queues.c: /queues */
endpoint list_queues, get_queue, pause_queue, resume_queue, purge_queue;

/* health.c */
endpoint health, ready, get_metrics;
