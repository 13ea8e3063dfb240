/* SPDX-License-Identifier: MIT */
/* Limits of jobd/queue.h: how many jobs of a queue may run, and begin; and whose they are. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "jobd/words.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What may begin. */
struct jobd_limits {
    uint32_t running; /* at a time, whoever has them; 0: no limit */
    /* At most so many starts, at once or spread over the time after the last: a token bucket that
     * is full at the start. At most JOBD_STARTS_MAX and JOBD_STARTS_PER_US_MAX; 0: no limit. */
    uint32_t starts;
    int64_t per_us; /* above 0, with `starts` */
};

/* A group of a queue's jobs. */
struct jobd_group {
    char name[JOBD_GROUP_SIZE];
    uint32_t waiting, running;
};

#define JOBD_BUSIEST_MAX 10

/* The groups of the queue that have the most jobs which wait or run, at most `len` of them, and
 * JOBD_BUSIEST_MAX, the busiest first: how many. Where more than a thousand are about equally busy,
 * some of those. */
struct jobd;
JOBD_API size_t jobd_busiest(struct jobd *jobd, uint32_t queue, struct jobd_group *groups,
                             size_t len);

#ifdef __cplusplus
}
#endif
