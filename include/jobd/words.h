/* SPDX-License-Identifier: MIT */
/* The words of jobd/queue.h: bounds, the states of a job, and what a verb says. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "jobd/blob.h"

#ifdef __cplusplus
extern "C" {
#endif

#define JOBD_QUEUE_NAME_MAX    64
#define JOBD_PRIORITIES        8 /* 0 runs first; the scale of RFC 9218 */
#define JOBD_PRIORITY_DEFAULT  3
#define JOBD_ATTEMPTS_MAX      1000
#define JOBD_TOKEN_SIZE        33   /* of a lease, with its NUL: 128 bits in hexadecimal */
#define JOBD_TRACE_SIZE        64   /* a traceparent, with its NUL */
#define JOBD_KEY_SIZE          256  /* an idempotency key, with its NUL */
#define JOBD_GROUP_SIZE        65   /* whose job it is, with its NUL */
#define JOBD_TAGS_MAX          8    /* of a job */
#define JOBD_TAG_SIZE          65   /* one, with its NUL */
#define JOBD_TEXT_MAX          8192 /* bytes of one of a job's texts */
#define JOBD_ERRORS_MAX        5    /* attempts whose errors are kept */
#define JOBD_ERROR_MAX         512  /* bytes of each of them */
#define JOBD_ID_MAX            ((UINT64_C(1) << 53) - 1) /* exact in JSON for every language */
#define JOBD_FIRST_ID_MAX      (UINT64_C(3) << 51)       /* then there are enough for ever */
#define JOBD_WORKER_SIZE       65 /* of a name that is shown, with its NUL; longer ones are cut */
#define JOBD_STARTS_MAX        1000000                         /* of a rate, */
#define JOBD_STARTS_PER_US_MAX (INT64_C(30) * 86400 * 1000000) /* and its time */
#define JOBD_FAILURE_SIZE      160 /* the first line of an error, with its NUL */
#define JOBD_NEVER             INT64_MAX
#define JOBD_NO_QUEUE          UINT32_MAX
#define JOBD_QUEUE_INDEXES     (UINT32_C(1) << 16) /* those of queues are below */

/* ---- words ---------------------------------------------------------------------------------- */

/* A store writes their numbers, and counts on 0 to 2 for those that have not ended and 3 to 5 for
 * those that have: a new one goes behind the last. BLOCKED is written as what follows on it. */
enum jobd_state {
    JOBD_QUEUED,
    JOBD_SCHEDULED, /* waits for a time */
    JOBD_RUNNING,
    JOBD_DONE,
    JOBD_FAILED,
    JOBD_CANCELLED,
    JOBD_BLOCKED, /* waits for the end of others */
    JOBD_STATES
};

JOBD_API const char *jobd_state_name(enum jobd_state state);
/* JOBD_STATES when there is no such state. */
JOBD_API enum jobd_state jobd_state_named(const char *name);
JOBD_API bool jobd_state_final(enum jobd_state state);

enum jobd_result {
    JOBD_OK,
    JOBD_PENDING,       /* not now; what was asked for has begun and will be told */
    JOBD_FULL,          /* the queue holds as many waiting jobs as it may */
    JOBD_OUT_OF_MEMORY, /* payloads take as many bytes as they may */
    JOBD_CLOSED,        /* no new jobs: draining */
    JOBD_NO_JOB,        /* never was, or is forgotten */
    JOBD_FINISHED,      /* too late: the job has ended */
    JOBD_NOT_FINAL,     /* too early: it has not */
    JOBD_CONFLICT,      /* the same key came with another payload */
    JOBD_REPEATED,      /* the same report came before: nothing is changed */
    JOBD_NO_LEASE,      /* never was, or is forgotten */
    JOBD_LEASE_EXPIRED, /* ended, or its time ran out */
    JOBD_TIMEOUT,
    JOBD_TOO_MANY_WAITERS, /* waiters_max is reached */
    JOBD_TOO_MANY_LEASES,  /* leases_max is: as many are held or waited for */
    JOBD_STOPPING,         /* the job runs, and has been told to stop */
    JOBD_STORE_FAILED,     /* could not be saved: nothing was done */
    JOBD_BEGUN,            /* too late: the job runs */
    JOBD_CHANGING,         /* another change of the job is being written: ask again */
    JOBD_UNDECLARED,       /* the queue has jobs from before, and takes and gives none */
    JOBD_NO_SCHEDULE,      /* see jobd/schedule.h */
    JOBD_SCHEDULE_FIXED,   /* it is the configuration's */
    JOBD_TOO_MANY_SCHEDULES,
    JOBD_GROUP_FULL,     /* as many jobs of its group wait as may */
    JOBD_NO_PARENT,      /* one that it is put after never was, or is forgotten */
    JOBD_NEEDED,         /* it has ended, and cannot be forgotten yet: others need it */
    JOBD_CALLBACKS_FULL, /* as many deliveries wait, or are promised, as may */
    JOBD_NO_CALLBACKS,   /* there is no queue of deliveries */
    JOBD_RESERVED,       /* the queue is one of deliveries */
    JOBD_LATER_PARENT,   /* one that it is put after came after the job that it would replace */
    JOBD_RESULTS
};

/* One line in English, without a full stop. */
JOBD_API const char *jobd_result_text(enum jobd_result result);

#ifdef __cplusplus
}
#endif
