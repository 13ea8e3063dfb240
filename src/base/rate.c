/* SPDX-License-Identifier: MIT */
#include "base/rate.h"

#define SECOND_US 1e6
#define WINDOW_US (10 * SECOND_US)

/* The weight of a sample in the mean: by its length. */
static double share(double mean_us, double sample_us)
{
    double remembered_us = 2 * mean_us < 5 * SECOND_US ? 2 * mean_us : 5 * SECOND_US;
    return sample_us / (sample_us + remembered_us);
}

static double distance(double a, double b)
{
    return a > b ? a - b : b - a;
}

/* Two threads may read the clock in one order and get here in the other. */
static double passed_us(int64_t from_us, int64_t to_us)
{
    return to_us > from_us ? (double)(to_us - from_us) : 0;
}

void rate_waits(struct rate *rate, int64_t now_us)
{
    rate->since_us = now_us;
}

static void count_take(struct rate *rate, double gap_us)
{
    double mean_us = rate->takes > 0 ? rate->span_us / rate->takes : 0;
    double window_us = 16 * mean_us > WINDOW_US ? 16 * mean_us : WINDOW_US;
    double kept = window_us / (window_us + gap_us);
    rate->takes = kept * rate->takes + 1;
    rate->span_us = kept * rate->span_us + gap_us;
}

void rate_taken(struct rate *rate, int64_t now_us)
{
    bool whole = rate->since_us <= rate->last_us;
    double gap_us = passed_us(whole ? rate->last_us : rate->since_us, now_us);
    bool first = rate->last_us == 0;
    rate->last_us = now_us;
    if (first)
        return;
    if (gap_us < 1)
        gap_us = 1;
    /* Jobs that began to wait in a gap have seen its end only: it is at least so long. */
    if (whole || gap_us > rate->gap_us)
        rate->gap_us += share(rate->gap_us, gap_us) * (gap_us - rate->gap_us);
    if (whole)
        count_take(rate, gap_us);
}

/* When the gap that has not ended began. */
static int64_t began_us(const struct rate *rate)
{
    return rate->since_us > rate->last_us ? rate->since_us : rate->last_us;
}

bool rate_was_taken(const struct rate *rate, int64_t since_us)
{
    return rate->last_us > 0 && rate->last_us >= since_us;
}

void rate_ran(struct rate *rate, int64_t run_us)
{
    double sample_us = run_us > 1 ? (double)run_us : 1;
    if (rate->run_us == 0) {
        rate->run_us = sample_us;
        return;
    }
    double part = share(rate->run_us, sample_us);
    rate->spread_us += part * (distance(sample_us, rate->run_us) - rate->spread_us);
    rate->run_us += part * (sample_us - rate->run_us);
}

int64_t rate_run_us(const struct rate *rate)
{
    return 4 * rate->spread_us <= rate->run_us ? (int64_t)rate->run_us : 0;
}

int64_t rate_nth_us(const struct rate *rate, int64_t now_us, uint32_t workers, uint64_t n)
{
    double gap_us = rate->gap_us, mean_us;
    if (rate->takes == 0 && workers > 0 && rate->run_us / workers > gap_us)
        gap_us = rate->run_us / workers; /* as the time of a run lets expect */
    mean_us = rate->takes > 0 ? rate->span_us / rate->takes : gap_us;
    if (began_us(rate) == 0)
        return 0;
    double us = distance(gap_us, passed_us(began_us(rate), now_us));
    if (gap_us > 0) { /* and those after it, in whole waves */
        double waves = ((double)n - 0.5) * mean_us / gap_us;
        us += gap_us * (waves < 1e15 ? (double)(int64_t)waves : waves);
    }
    return us < (double)INT64_MAX ? (int64_t)us : INT64_MAX;
}

double rate_per_s(const struct rate *rate, int64_t now_us, bool waits)
{
    struct rate now = *rate;
    if (rate->takes == 0)
        return 0;
    if (waits)
        count_take(&now, passed_us(began_us(rate), now_us));
    return (now.takes < 2 || rate->takes / rate->span_us < now.takes / now.span_us
                ? rate->takes / rate->span_us
                : now.takes / now.span_us) *
           SECOND_US;
}
