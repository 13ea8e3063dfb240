/* SPDX-License-Identifier: MIT */
#include "engine/histogram.h"

#include "jobd/words.h"

const int64_t jobd_histogram_bounds_us[JOBD_HISTOGRAM_BUCKETS] = {
    100,     250,      500,      1000,     2500,      5000,       10000,
    25000,   50000,    100000,   250000,   500000,    1000000,    2500000,
    5000000, 10000000, 30000000, 60000000, 300000000, 3600000000, JOBD_NEVER,
};

void histogram_add(struct jobd_histogram *histogram, int64_t us)
{
    unsigned bucket = 0;
    while (us > jobd_histogram_bounds_us[bucket])
        bucket++;
    histogram->counts[bucket]++;
    histogram->sum_us += us > 0 ? (uint64_t)us : 0;
}

void histogram_add_all(struct jobd_histogram *histogram, const struct jobd_histogram *more)
{
    histogram->sum_us += more->sum_us;
    for (unsigned i = 0; i < JOBD_HISTOGRAM_BUCKETS; i++)
        histogram->counts[i] += more->counts[i];
}

struct jobd_histogram histogram_since(const struct jobd_histogram *now, struct jobd_histogram *told)
{
    struct jobd_histogram since = {.sum_us = now->sum_us - told->sum_us};
    for (unsigned i = 0; i < JOBD_HISTOGRAM_BUCKETS; i++)
        since.counts[i] = now->counts[i] - told->counts[i];
    *told = *now;
    return since;
}
