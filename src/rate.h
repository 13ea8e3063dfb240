/* SPDX-License-Identifier: MIT */
/* How fast a queue drains, measured where it can be: between two takes with jobs waiting all the
 * while. Intervals are smoothed exponentially, each new one counting a sixteenth. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct rate {
    int64_t last_us;     /* when a job was last taken; 0: never */
    int64_t interval_us; /* from take to take; 0: not measured yet */
    int64_t run_us;      /* how long a job runs; 0: not measured yet */
    bool measuring;      /* jobs have waited without a break since last_us */
};

/* A job was taken, and more wait or not. */
void rate_taken(struct rate *rate, int64_t now_us, bool more_wait);

/* The queue was paused or ran empty: the time until the next take says nothing. */
void rate_interrupted(struct rate *rate);

/* A job has run for so long. */
void rate_ran(struct rate *rate, int64_t run_us);

/* When the next take should come, from now on; at least 0. Once overdue, as long again as it has
 * already taken. */
int64_t rate_next_us(const struct rate *rate, int64_t now_us, uint32_t workers);

/* The same for the nth take from now on; n is at least 1. At most INT64_MAX. */
int64_t rate_nth_us(const struct rate *rate, int64_t now_us, uint32_t workers, uint64_t n);

/* Takes per second, 0 when not known. */
double rate_per_s(const struct rate *rate);
