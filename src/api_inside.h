/* SPDX-License-Identifier: MIT */
/* The endpoints, and what they share; no file outside api*.c includes this. */
#pragma once

#include "answer.h"
#include "clock.h"
#include "http.h"
#include "jobd/queue.h"
#include "route.h"

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
/* api_put.c: /do and /jobs/{id}/retry */
endpoint put_job, retry_job;

/* api_jobs.c: /jobs. The job's id in the path, or 0. */
uint64_t path_id(const struct call *call);
/* Waits for the end of the job that the request is parked for. */
start_wait start_await;
endpoint list_jobs, get_job, get_payload, get_output, cancel_job;

/* api_work.c: /take and /leases */
endpoint take_job, lease_done, lease_fail, lease_extend, lease_release;

/* api_queues.c: /queues */
endpoint list_queues, get_queue, pause_queue, resume_queue, purge_queue;
