/* SPDX-License-Identifier: MIT */
/* How long to wait before the next try: 0.1 s, then twice as long each time, up to 15 s; half of it
 * is random, so that many clients of one server do not all come back at the same moment. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct backoff {
    int64_t next_us; /* 0: nothing has failed */
};

/* Microseconds until the next try, but no less than least_us, which the server may ask for. */
int64_t backoff_next(struct backoff *backoff, int64_t least_us);

/* A try has succeeded: the next wait is short again. */
static inline void backoff_reset(struct backoff *backoff)
{
    backoff->next_us = 0;
}

/* Blocks for this long; false as soon as stop_fd (-1: none) is readable. */
bool backoff_wait(int64_t us, int stop_fd);
