/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include <pthread.h>
#include <stdint.h>
#include <time.h>

#include "base/verify.h"

static int64_t wall_minus_monotonic_us;
static pthread_once_t once = PTHREAD_ONCE_INIT;

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
    return read_us(CLOCK_MONOTONIC) + wall_minus_monotonic_us;
}

int64_t clock_after_us(int64_t us)
{
    int64_t now_us = clock_now_us();
    return us < INT64_MAX - now_us ? now_us + us : INT64_MAX;
}

int64_t clock_coarse_ms(void)
{
    return read_us(CLOCK_MONOTONIC_COARSE) / 1000;
}

struct timespec clock_monotonic(int64_t at_us)
{
    verify(pthread_once(&once, measure) == 0);
    int64_t us = at_us - wall_minus_monotonic_us;
    if (us < 0)
        us = 0;
    return (struct timespec){.tv_sec = (time_t)(us / CLOCK_SECOND_US),
                             .tv_nsec = (long)(us % CLOCK_SECOND_US * 1000)};
}
