/* SPDX-License-Identifier: MIT */
/* The figures of jobd/queue.h, and what it tells a log. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "jobd/words.h"

#ifdef __cplusplus
extern "C" {
#endif

struct jobd;

#define JOBD_HISTOGRAM_BUCKETS 18
/* Upper bounds in microseconds, inclusive, the last one JOBD_NEVER. */
extern JOBD_API const int64_t jobd_histogram_bounds_us[JOBD_HISTOGRAM_BUCKETS];

struct jobd_histogram {
    uint64_t counts[JOBD_HISTOGRAM_BUCKETS]; /* of each bucket alone */
    uint64_t sum_us;
};

struct jobd_stats {
    uint32_t capacity, workers;
    bool declared, paused;
    bool has_breaker, held;  /* held: jobs are held back, as what they need is down */
    bool probing;            /* held, and one of them tries */
    int64_t probe_in_us;     /* held, and none does: until then */
    uint64_t breaker_opened; /* so many times since the start */
    bool gone;               /* it was retired, and is not there any more */
    uint32_t queued, scheduled, running;
    uint32_t leased;    /* of those that run */
    uint32_t elsewhere; /* of those that run: in workers of other processes */
    uint64_t admitted, done, failed, cancelled; /* totals since the start */
    uint64_t rejected;                          /* jobs refused: queue full, or no memory */
    uint64_t expired;                           /* of those cancelled: as their time was over */
    uint64_t retried;                           /* failed attempts that were not the last */
    uint64_t forgotten_early;                   /* before `keep` asks for it, as memory was short */
    int64_t oldest_us;            /* the longest wait among the first of each priority; 0: empty */
    double drain_per_s;           /* slots that become free, as measured while jobs waited */
    struct jobd_histogram waited; /* from being ready to run until running */
    struct jobd_histogram ran;
};

JOBD_API void jobd_stats(struct jobd *jobd, uint32_t queue, int64_t now_us,
                         struct jobd_stats *stats);

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
