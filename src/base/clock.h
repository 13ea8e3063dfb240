/* SPDX-License-Identifier: MIT */
/* The one clock: microseconds since 1970 (UTC) that never go back.
 *
 * The wall clock is read once, at the first call; from then on the monotonic clock carries it, so
 * a stepped wall clock moves no deadline. Any thread; nothing blocks. */
#pragma once

#include <stdint.h>
#include <time.h>

#define CLOCK_SECOND_US INT64_C(1000000)

int64_t clock_now_us(void);

/* So long from now; INT64_MAX, for ever, when that is beyond all time. */
int64_t clock_after_us(int64_t us);

/* Milliseconds since boot, a few behind: cheap, for the deadlines of connections. */
int64_t clock_coarse_ms(void);

/* The same moment on CLOCK_MONOTONIC, for condition variables; a moment before 1970 becomes 0. */
struct timespec clock_monotonic(int64_t at_us);
