/* SPDX-License-Identifier: MIT */
/* How long to wait before the next try: twice as long each time, half of it by chance, so that many
 * who have lost the same server do not all come back at the same moment. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct backoff {
    int64_t next_us; /* 0: nothing has failed */
};

/* Microseconds until the next try; at least `least_us`, as the server asks for. */
int64_t backoff_next(struct backoff *backoff, int64_t least_us);

/* It has worked. */
static inline void backoff_reset(struct backoff *backoff)
{
    backoff->next_us = 0;
}

/* Waits so long; false as soon as the descriptor is readable. */
bool backoff_wait(int64_t us, int stop_fd);
