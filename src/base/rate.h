/* SPDX-License-Identifier: MIT */
/* How fast a queue drains, measured while jobs wait.
 *
 *     takes   | | |               | | |               | | |       three workers in step
 *     gaps     0 0        G        0 0        G        0 0
 *
 * Takes per second are counted over some ten seconds, or sixteen takes. But a client that meets a
 * full queue does so in a long gap, not in one of those between workers in step: so each gap is
 * weighed by its length, and the next take is expected when the gap that has begun is as long as
 * their mean. Old gaps are forgotten after about two such gaps, at most five seconds. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct rate {
    int64_t last_us;       /* when a job was last taken; 0: never */
    int64_t since_us;      /* jobs have waited without a break since then, or since last_us */
    double gap_us;         /* from take to take, each gap weighed by its length; 0: not known */
    double takes, span_us; /* recent ones, and the time that they are counted over */
    double run_us;         /* how long a job runs, weighed in the same way, */
    double spread_us;      /* and how far most are from that */
};

/* A job waits and none did before; or the queue was paused or resumed. */
void rate_waits(struct rate *rate, int64_t now_us);

/* A job was taken. */
void rate_taken(struct rate *rate, int64_t now_us);

/* Was a job taken since then? */
bool rate_was_taken(const struct rate *rate, int64_t since_us);

/* An attempt has run for run_us. */
void rate_ran(struct rate *rate, int64_t run_us);

/* How long a job runs, when they run for about equally long; else 0. */
int64_t rate_run_us(const struct rate *rate);

/* When the nth take from now should come; n is at least 1. Once the next one is overdue, it is
 * expected to be late by as much again. At most INT64_MAX. */
int64_t rate_nth_us(const struct rate *rate, int64_t now_us, uint32_t workers, uint64_t n);

/* Takes per second, 0 when not known. While jobs wait and none is taken it falls: no more than it
 * would be if one were taken now. */
double rate_per_s(const struct rate *rate, int64_t now_us, bool waits);
