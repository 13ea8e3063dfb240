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

int64_t rate_next_us(const struct rate *rate, int64_t now_us, uint32_t workers)
{
    if (rate->last_us == 0)
        return 0;
    int64_t interval_us = rate->interval_us;
    if (interval_us == 0 && workers > 0)
        interval_us = rate->run_us / workers;
    int64_t elapsed_us = now_us > rate->last_us ? now_us - rate->last_us : 0;
    return elapsed_us < interval_us ? interval_us - elapsed_us : elapsed_us;
}

double rate_per_s(const struct rate *rate)
{
    return rate->interval_us > 0 ? 1e6 / (double)rate->interval_us : 0;
}
