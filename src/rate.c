/* SPDX-License-Identifier: MIT */
#include "rate.h"

enum { WEIGHT = 16 };

static int64_t smooth(int64_t mean_us, int64_t sample_us)
{
    if (sample_us < 1)
        sample_us = 1;
    if (mean_us == 0)
        return sample_us;
    int64_t next_us = mean_us + (sample_us - mean_us) / WEIGHT;
    return next_us > 0 ? next_us : 1;
}

void rate_taken(struct rate *rate, int64_t now_us, bool more_wait)
{
    if (rate->measuring)
        rate->interval_us = smooth(rate->interval_us, now_us - rate->last_us);
    rate->last_us = now_us;
    rate->measuring = more_wait;
}

void rate_interrupted(struct rate *rate)
{
    rate->measuring = false;
}

void rate_ran(struct rate *rate, int64_t run_us)
{
    rate->run_us = smooth(rate->run_us, run_us);
}

/* From take to take: as measured, or as the time of a run lets expect. */
static int64_t pace_us(const struct rate *rate, uint32_t workers)
{
    if (rate->interval_us == 0 && workers > 0)
        return rate->run_us / workers;
    return rate->interval_us;
}

int64_t rate_next_us(const struct rate *rate, int64_t now_us, uint32_t workers)
{
    if (rate->last_us == 0)
        return 0;
    int64_t interval_us = pace_us(rate, workers);
    int64_t elapsed_us = now_us > rate->last_us ? now_us - rate->last_us : 0;
    return elapsed_us < interval_us ? interval_us - elapsed_us : elapsed_us;
}

int64_t rate_nth_us(const struct rate *rate, int64_t now_us, uint32_t workers, uint64_t n)
{
    int64_t first_us = rate_next_us(rate, now_us, workers);
    int64_t interval_us = rate->last_us != 0 ? pace_us(rate, workers) : 0;
    if (interval_us > 0 && n - 1 > (uint64_t)((INT64_MAX - first_us) / interval_us))
        return INT64_MAX;
    return first_us + (int64_t)(n - 1) * interval_us;
}

double rate_per_s(const struct rate *rate)
{
    return rate->interval_us > 0 ? 1e6 / (double)rate->interval_us : 0;
}
