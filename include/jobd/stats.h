/* SPDX-License-Identifier: MIT */
/* Figures of the queues of jobd/queue.h. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "jobd/limits.h"
#include "jobd/words.h"

#ifdef __cplusplus
extern "C" {
#endif

struct jobd;

#define JOBD_HISTOGRAM_BUCKETS 21
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
    struct jobd_limits limits, group_limits; /* as in its config, */
    bool by_group;                           /* so these */
    uint32_t group_waiting;
    bool delivers;      /* it is the queue of deliveries: */
    uint32_t promised;  /* so many have a place kept */
    uint32_t groups;    /* that have jobs which wait or run */
    uint32_t held_back; /* queued jobs that could begin but for a limit, the queue's or their
                           group's */
    bool gone;          /* it was retired, and is not there any more; or it is of deliveries, has no
                           workers, and there is none */
    uint32_t queued, scheduled, blocked, running;
    uint32_t waiting;   /* of the first three: so many of the capacity are taken */
    uint32_t leased;    /* of those that run */
    uint32_t elsewhere; /* of those that run: in workers of other processes */
    uint64_t admitted, done, failed, cancelled; /* totals since the start */
    uint64_t rejected;                          /* jobs refused: queue full, or no memory */
    uint64_t expired;                           /* of those cancelled: as their time was over */
    uint64_t retried;                           /* failed attempts that were not the last */
    uint64_t leases_expired;                    /* by their own end or the job's timeout, */
    uint64_t leases_released;                   /* and given back; both in this process */
    uint64_t forgotten_early;                   /* before `keep` asks for it, as memory was short */
    /* The longest wait among the first of each priority, with by_group of each group, a few hundred
     * at most; 0: empty. */
    int64_t oldest_us;
    double drain_per_s;           /* slots that become free, as measured while jobs waited */
    struct jobd_histogram waited; /* from being ready to run until running */
    struct jobd_histogram ran;
};

JOBD_API void jobd_stats(struct jobd *jobd, uint32_t queue, int64_t now_us,
                         struct jobd_stats *stats);

/* A group of a queue's jobs. */
struct jobd_group_stats {
    char name[JOBD_GROUP_SIZE];
    uint32_t waiting, running;
};

#define JOBD_BUSIEST_MAX 10

/* The groups of the queue that have the most jobs which wait or run, at most `len` of them, and
 * JOBD_BUSIEST_MAX, the busiest first: how many. Where more than a thousand are about equally busy,
 * some of those. */
JOBD_API size_t jobd_busiest(struct jobd *jobd, uint32_t queue, struct jobd_group_stats *groups,
                             size_t len);

#ifdef __cplusplus
}
#endif
