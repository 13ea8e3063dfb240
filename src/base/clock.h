/* SPDX-License-Identifier: MIT */
/* The one clock: microseconds since 1970 (UTC) that never go back.
 *
 * The wall clock is read once, at the first call; from then on the monotonic clock carries it, so
 * a stepped wall clock moves no deadline. What people are shown, and what is to be read by another
 * process, goes through clock_wall_us(). Any thread; nothing blocks. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define CLOCK_SECOND_US INT64_C(1000000)

int64_t clock_now_us(void);

/* From here on the clock is that of a database, which says `us` now: it is put forward where it is
 * behind, and never back. With `first`, which is allowed only before anybody has kept a moment, it
 * is set to exactly that. The times that people are shown are then the database's. */
void clock_follow(int64_t us, bool first);

/* The moment that is `us` from now; INT64_MAX, which stands for never, when it cannot be said. */
int64_t clock_after_us(int64_t us);

/* Until then, rounded up, for poll(): 0 when it is past, -1 for INT64_MAX, INT_MAX at most. */
int clock_ms_until(int64_t at_us);

/* A moment of clock_now_us() as the wall clock, as it is set now, would show it: a clock that is
 * corrected, or jumps after a suspend, is followed at once. A moment below 0 was written down by an
 * earlier process (see jobd_info): minus a wall time, which stays as it is. */
int64_t clock_wall_us(int64_t at_us);

/* The moment at which the wall clock, as it is set now, shows this. */
int64_t clock_of_wall_us(int64_t wall_us);

/* Milliseconds since boot, a few behind: cheap, for the deadlines of connections. */
int64_t clock_coarse_ms(void);

/* The same moment on CLOCK_MONOTONIC, for condition variables; a moment before 1970 becomes 0. */
struct timespec clock_monotonic(int64_t at_us);
