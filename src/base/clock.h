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

/* From here on it is that of a database, which says so much: put forward where it is behind, never
 * back; `first`, before anybody has kept a moment, to exactly that. What people are shown is the
 * database's clock then. */
void clock_follow(int64_t us, bool first);

/* The moment that is `us` from now; INT64_MAX, for ever, when that is beyond all time. */
int64_t clock_after_us(int64_t us);

/* Until then, rounded up, for poll(): 0 when it is past, -1 for INT64_MAX, INT_MAX at most. */
int clock_ms_until(int64_t at_us);

/* The same moment by the wall clock as it is set now: a clock that was wrong at the start and was
 * set right, or stood still in a suspend, is followed at once. Below 0 it is one that a process
 * before this one wrote down (see jobd_info), whose wall time stays as it is. */
int64_t clock_wall_us(int64_t at_us);

/* The moment at which the wall clock, as it is set now, will say or has said this. */
int64_t clock_of_wall_us(int64_t wall_us);

/* Milliseconds since boot, a few behind: cheap, for the deadlines of connections. */
int64_t clock_coarse_ms(void);

/* The same moment on CLOCK_MONOTONIC, for condition variables; a moment before 1970 becomes 0. */
struct timespec clock_monotonic(int64_t at_us);
