/* SPDX-License-Identifier: MIT */
#include "latency.h"

/* Below 64 ns a bucket is a nanosecond; above, the six bits under the highest one choose it. */
static unsigned bucket_of(uint64_t ns)
{
    if (ns < LATENCY_STEPS)
        return (unsigned)ns;
    unsigned doubling = 63U - (unsigned)__builtin_clzll(ns) - 6;
    unsigned bucket = (doubling + 1) * LATENCY_STEPS + (unsigned)((ns >> doubling) - LATENCY_STEPS);
    return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

/* The middle of a bucket. */
static double bucket_ns(unsigned bucket)
{
    if (bucket < LATENCY_STEPS)
        return bucket;
    unsigned doubling = bucket / LATENCY_STEPS - 1;
    return ((double)(bucket % LATENCY_STEPS + LATENCY_STEPS) + 0.5) *
           (double)(UINT64_C(1) << doubling);
}

void latency_add(struct latency *latency, int64_t ns)
{
    uint64_t time_ns = ns > 0 ? (uint64_t)ns : 0;
    latency->counts[bucket_of(time_ns)]++;
    latency->count++;
    if (time_ns > latency->max_ns)
        latency->max_ns = time_ns;
}

double latency_permille_us(const struct latency *latency, unsigned permille)
{
    uint64_t rank = (latency->count * permille + 999) / 1000, seen = 0;
    for (unsigned bucket = 0; bucket < LATENCY_BUCKETS && latency->count > 0; bucket++) {
        seen += latency->counts[bucket];
        if (seen >= rank && seen > 0)
            return bucket_ns(bucket) / 1000;
    }
    return 0;
}
