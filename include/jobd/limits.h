/* SPDX-License-Identifier: MIT */
/* Limits of jobd/queue.h: how many jobs of a queue may run, and begin. */
#pragma once

#include <stdint.h>

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

#ifdef __cplusplus
}
#endif
