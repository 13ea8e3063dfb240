/* SPDX-License-Identifier: MIT */
/* A histogram of times: log-linear, 64 steps a doubling, so a percentile is right within 1.6 %. */
#pragma once

#include <stdint.h>

enum { LATENCY_STEPS = 64, LATENCY_BUCKETS = 40 * LATENCY_STEPS };

struct latency {
    uint64_t count, max_ns;
    uint64_t counts[LATENCY_BUCKETS];
};

void latency_add(struct latency *latency, int64_t ns);

/* The time that so many of a thousand did not exceed, in µs; 0 when nothing was added. */
double latency_permille_us(const struct latency *latency, unsigned permille);
