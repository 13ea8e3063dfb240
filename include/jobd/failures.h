/* SPDX-License-Identifier: MIT */
/* What has gone wrong, for a log: jobs that have failed, and services that are down. */
#pragma once

#include "jobd/queue.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An attempt that has failed. */
struct jobd_failure {
    uint64_t id;
    uint32_t queue, attempt, attempts;
    bool final;  /* the job has failed with it */
    bool exited; /* exit_code counts */
    int exit_code;
    char worker[JOBD_WORKER_SIZE]; /* who had it; "": nobody has said */
    char error[JOBD_FAILURE_SIZE]; /* its first line, bytes as they came, cut; "": none */
};

/* For a log, where config.on_failure is set: the attempts that have failed since the last call, the
 * oldest first, at most `len` of them; with a journal once that is written. How many. A few are
 * kept; *missed jobs and *missed_attempts more have failed. */
JOBD_API size_t jobd_failures(struct jobd *jobd, struct jobd_failure *failures, size_t len,
                              uint64_t *missed, uint64_t *missed_attempts);

/* A queue has begun to hold its jobs back, or ended. */
struct jobd_breaker {
    uint32_t queue, failures;
    bool open;                     /* it holds them */
    int64_t every_us;              /* and one a time tries */
    int64_t at_us;                 /* when that was */
    char error[JOBD_FAILURE_SIZE]; /* of the attempt that began it, as in struct jobd_failure */
};

/* For a log, where config.on_failure is set, which tells of these too: what has changed since the
 * last call, a queue at a time, the last change of it alone. False: nothing. */
JOBD_API bool jobd_breaker_change(struct jobd *jobd, struct jobd_breaker *change);

#ifdef __cplusplus
}
#endif
