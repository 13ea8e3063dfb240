/* SPDX-License-Identifier: MIT */
/* The instants of something that recurs: an expression of cron in a time zone, or every so often.
 * It knows no jobs and no clock, and keeps nothing: an instant follows from the plan alone, so that
 * all who compute it, at any time and on any machine with the same time zone data, find the same.
 *
 * With `every` the instants are the multiples of the duration since 1970-01-01T00:00:00Z: they do
 * not depend on when the plan was made. `5m` is at 0, 5, 10 minutes past each hour, `7d` at 0:00
 * UTC on Thursdays.
 *
 * With cron (cron.h) an instant is when the clock of the zone shows a minute of the expression, and
 * the clock may be turned:
 *
 *     the hour is restricted     at the first moment at which the clock shows that minute or has
 *                                passed it. One that is left out (in spring) is taken at the first
 *                                moment after the gap, once however many fall into it; one that
 *                                comes twice (in autumn) is taken the first time
 *     its field begins with `*`  each time that the clock shows it, in real time: every ten minutes
 *                                stay every ten minutes. What is left out is left out
 *
 * Vixie cron has the same aim, see cron(8), but for changes of less than three hours alone, and
 * lets `*` in the minute count as well. Here half an hour (Lord Howe) and a whole day (Samoa, 2011)
 * are gaps too. A clock that goes back over what it had left out does not take it again.
 *
 * Times are in microseconds since 1970, UTC. Nothing here takes a lock, and nothing but plan_cron()
 * blocks or allocates; a plan does not change, and any number of threads may look at it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cron.h"
#include "base/problem.h"
#include "base/zone.h"

#define PLAN_NEVER        INT64_MAX
#define PLAN_EVERY_MIN_US INT64_C(1000000)
#define PLAN_EVERY_MAX_US (INT64_C(366) * 86400 * 1000000)

/* How far a search goes: `0 0 31 2 *` is never, and so is anything that would first come after
 * this. No day that ever comes takes longer: February 29 on a certain weekday takes 40 years. */
#define PLAN_HORIZON_S (INT64_C(100) * 366 * 86400)

struct plan {
    int64_t every_us; /* 0: cron */
    struct cron cron;
    struct zone *zone; /* owned */
};

/* The zone by its IANA name; reads a file. 0; or, with `plan` untouched and `problem` set, which
 * begins with what it is about, `cron` or `tz`: -EINVAL for what is wrong with either of them, else
 * as zone_open() has it, for what is wrong here. */
__attribute__((warn_unused_result)) int plan_cron(struct plan *plan, const char *cron,
                                                  const char *tz, struct problem *problem);

/* As in text.h, `5m`: PLAN_EVERY_MIN_US to PLAN_EVERY_MAX_US. 0; or -EINVAL,
 * `plan` untouched and `problem` set. */
__attribute__((warn_unused_result)) int plan_every(struct plan *plan, const char *every,
                                                   struct problem *problem);

/* One of the two: plan_cron() with `every` NULL, where `tz` NULL is UTC; plan_every() with `cron`
 * and `tz` NULL. */
__attribute__((warn_unused_result)) int plan_read(struct plan *plan, const char *cron,
                                                  const char *tz, const char *every,
                                                  struct problem *problem);

/* Takes one that is all zero. */
void plan_release(struct plan *plan);

/* The first instant after this one, or PLAN_NEVER. Bounded: some steps mostly, and for each day up
 * to the horizon when there is none. */
int64_t plan_next(const struct plan *plan, int64_t after_us);

/* In what follows, the instants after after_us, up to and including until_us; no further back from
 * until_us than the horizon, which bounds the work as above. */

/* The last of them, or PLAN_NEVER. */
int64_t plan_last(const struct plan *plan, int64_t after_us, int64_t until_us);

/* How many. */
uint64_t plan_count(const struct plan *plan, int64_t after_us, int64_t until_us);

/* The last `max` of them, in order. Returns how many. */
size_t plan_list(const struct plan *plan, int64_t after_us, int64_t until_us, int64_t *instants,
                 size_t max);
