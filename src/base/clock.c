/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "base/verify.h"

enum {
    STEP_US = 1000,  /* less is no step of the wall clock, but an error of measurement */
    CLOSE_US = 100,  /* two readings this close to each other count as made at once */
    MEASURES_MAX = 4 /* tries: the thread may lose its processor between two readings */
};

static int64_t wall_minus_monotonic_us; /* at the first call */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Atomic int64_t ahead_us; /* as clock_follow() has put it */
static atomic_bool follows;
static _Atomic int64_t stepped_us; /* what the wall clock has been put forward by since then */

static int64_t read_us(clockid_t clock)
{
    struct timespec now;
    verify(clock_gettime(clock, &now) == 0);
    return (int64_t)now.tv_sec * CLOCK_SECOND_US + now.tv_nsec / 1000;
}

static void measure(void)
{
    wall_minus_monotonic_us = read_us(CLOCK_REALTIME) - read_us(CLOCK_MONOTONIC);
}

int64_t clock_now_us(void)
{
    verify(pthread_once(&once, measure) == 0);
    return read_us(CLOCK_MONOTONIC) + wall_minus_monotonic_us +
           atomic_load_explicit(&ahead_us, memory_order_relaxed);
}

void clock_follow(int64_t us, bool first)
{
    int64_t behind_us = us - clock_now_us();
    atomic_store(&follows, true);
    if (behind_us > 0 || first)
        atomic_fetch_add(&ahead_us, behind_us);
}

int64_t clock_after_us(int64_t us)
{
    int64_t now_us = clock_now_us();
    return us < INT64_MAX - now_us ? now_us + us : INT64_MAX;
}

int clock_ms_until(int64_t at_us)
{
    int64_t left_us = at_us - clock_now_us();
    if (at_us == INT64_MAX)
        return -1;
    if (left_us <= 0)
        return 0;
    return left_us / 1000 < INT_MAX ? (int)((left_us + 999) / 1000) : INT_MAX;
}

/* Both clocks are slewed alike, so that what they differ by stays the same but for steps and
 * suspends. It is kept as it was measured first, so that a moment is not shown in two ways. */
static int64_t step_us(void)
{
    int64_t kept_us = atomic_load_explicit(&stepped_us, memory_order_relaxed);
    for (int i = 0; i < MEASURES_MAX; i++) {
        int64_t before_us = clock_now_us(), wall_us = read_us(CLOCK_REALTIME);
        int64_t took_us = clock_now_us() - before_us;
        int64_t step_us = wall_us - before_us - took_us / 2;
        if (llabs(step_us - kept_us) < STEP_US)
            return kept_us;
        if (took_us < CLOSE_US) {
            atomic_store_explicit(&stepped_us, step_us, memory_order_relaxed);
            return step_us;
        }
    }
    return kept_us;
}

int64_t clock_wall_us(int64_t at_us)
{
    if (at_us < 0)
        return -at_us;
    return atomic_load_explicit(&follows, memory_order_relaxed) ? at_us : at_us + step_us();
}

int64_t clock_of_wall_us(int64_t wall_us)
{
    return atomic_load_explicit(&follows, memory_order_relaxed) ? wall_us : wall_us - step_us();
}

int64_t clock_coarse_ms(void)
{
    return read_us(CLOCK_MONOTONIC_COARSE) / 1000;
}

struct timespec clock_monotonic(int64_t at_us)
{
    verify(pthread_once(&once, measure) == 0);
    int64_t us = at_us - wall_minus_monotonic_us - atomic_load(&ahead_us);
    if (us < 0)
        us = 0;
    return (struct timespec){.tv_sec = (time_t)(us / CLOCK_SECOND_US),
                             .tv_nsec = (long)(us % CLOCK_SECOND_US * 1000)};
}
