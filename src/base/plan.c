/* SPDX-License-Identifier: MIT */
#include "base/plan.h"

#include <errno.h>

#include "base/calendar.h"
#include "base/text.h"

enum { SECOND_US = 1000000 };

/* ---- making one */

int plan_cron(struct plan *plan, const char *cron, const char *tz, struct problem *problem)
{
    struct plan made = {.every_us = 0};
    if (!cron_parse(cron, &made.cron, problem)) {
        problem_at(problem, "cron");
        return -EINVAL;
    }
    int error = zone_open(&made.zone, tz, problem);
    if (error != 0)
        problem_at(problem, "tz");
    else
        *plan = made;
    return error;
}

int plan_every(struct plan *plan, const char *every, struct problem *problem)
{
    int64_t us;
    char shown[48];
    if (!text_to_duration(every, &us) || us < PLAN_EVERY_MIN_US || us > PLAN_EVERY_MAX_US) {
        problem_set(problem, "every: \"%s\": a duration of 1s to 366d is expected, as in 5m",
                    text_printable(every, shown, sizeof shown));
        return -EINVAL;
    }
    *plan = (struct plan){.every_us = us};
    return 0;
}

int plan_read(struct plan *plan, const char *cron, const char *tz, const char *every,
              struct problem *problem)
{
    const char *wrong = NULL;
    if (cron == NULL && every == NULL)
        wrong = "cron or every: one of them is needed";
    else if (cron != NULL && every != NULL)
        wrong = "cron and every: only one of them";
    else if (every != NULL && tz != NULL)
        wrong = "tz: goes with cron, every has none";
    if (wrong != NULL) {
        (void)problem_set(problem, "%s", wrong);
        return -EINVAL;
    }
    return every != NULL ? plan_every(plan, every, problem)
                         : plan_cron(plan, cron, tz != NULL ? tz : "UTC", problem);
}

void plan_release(struct plan *plan)
{
    zone_free(plan->zone);
    *plan = (struct plan){.every_us = 0};
}

/* ---- every */

/* PLAN_NEVER where numbers end. */
static int64_t every_next(int64_t every_us, int64_t after_us)
{
    int64_t next;
    if (__builtin_mul_overflow(floor_div(after_us, every_us) + 1, every_us, &next))
        return PLAN_NEVER;
    return next;
}

/* The last one at or before this. */
static int64_t every_last(int64_t every_us, int64_t until_us)
{
    int64_t last;
    if (__builtin_mul_overflow(floor_div(until_us, every_us), every_us, &last))
        return PLAN_NEVER;
    return last;
}

/* ---- cron
 *
 * In a span of the zone the minutes in [passed, end of the span) by its clock have their instant:
 * when the clock shows them, or where the span begins, for those that were left out. */

/* The first minute that the clock had not reached or passed before this span. No change is larger
 * than from the most western offset to the most eastern one, and so no earlier span counts. */
static int64_t passed_before(const struct zone *zone, const struct zone_span *span)
{
    const int64_t far_s = 2 * DAY_S + DAY_S / 2;
    int64_t passed = -ZONE_FOREVER_S;
    struct zone_span earlier = *span;
    while (earlier.begin_s > -ZONE_FOREVER_S && earlier.begin_s > span->begin_s - far_s) {
        earlier = zone_span(zone, earlier.begin_s - 1);
        if (earlier.end_s + earlier.offset_s > passed)
            passed = earlier.end_s + earlier.offset_s;
    }
    return passed;
}

/* The first minute of the span whose instant is after this. */
static int64_t first_after(const struct plan *plan, const struct zone_span *span, int64_t after_s)
{
    int64_t first = span->begin_s + span->offset_s;
    if (!plan->cron.any_hours)
        first = passed_before(plan->zone, span);
    int64_t next = after_s + 1 + span->offset_s;
    return after_s >= span->begin_s && next > first ? next : first;
}

/* Behind the last minute whose instant is in the span and not after this. */
static int64_t end_at(const struct zone_span *span, int64_t until_s)
{
    return (until_s < span->end_s ? until_s + 1 : span->end_s) + span->offset_s;
}

static int64_t instant_of(const struct zone_span *span, int64_t local_s)
{
    int64_t s = local_s - span->offset_s;
    return s > span->begin_s ? s : span->begin_s;
}

static bool cron_next(const struct plan *plan, int64_t after_s, int64_t *next_s)
{
    const int64_t until_s = after_s + PLAN_HORIZON_S;
    struct zone_span span = {.end_s = after_s};
    int64_t local_s;
    do {
        span = zone_span(plan->zone, span.end_s);
        if (cron_first(&plan->cron, first_after(plan, &span, after_s), end_at(&span, until_s),
                       &local_s)) {
            *next_s = instant_of(&span, local_s);
            return true;
        }
    } while (span.end_s <= until_s);
    return false;
}

static bool cron_latest(const struct plan *plan, int64_t after_s, int64_t until_s, int64_t *last_s)
{
    struct zone_span span = {.begin_s = until_s + 1};
    int64_t local_s;
    do {
        span = zone_span(plan->zone, span.begin_s - 1);
        if (cron_last(&plan->cron, first_after(plan, &span, after_s), end_at(&span, until_s),
                      &local_s)) {
            *last_s = instant_of(&span, local_s);
            return true;
        }
    } while (span.begin_s > after_s + 1);
    return false;
}

static uint64_t cron_instants(const struct plan *plan, int64_t after_s, int64_t until_s)
{
    struct zone_span span = {.end_s = after_s};
    uint64_t count = 0;
    do {
        span = zone_span(plan->zone, span.end_s);
        int64_t first = first_after(plan, &span, after_s), end = end_at(&span, until_s);
        /* All that were left out are once, where the span begins. */
        uint64_t at_begin = cron_count(&plan->cron, first, span.begin_s + span.offset_s + 1);
        count += cron_count(&plan->cron, first, end) - (at_begin > 1 ? at_begin - 1 : 0);
    } while (span.end_s <= until_s);
    return count;
}

/* ---- both */

int64_t plan_next(const struct plan *plan, int64_t after_us)
{
    int64_t s;
    if (plan->every_us > 0)
        return every_next(plan->every_us, after_us);
    if (!cron_next(plan, floor_div(after_us, SECOND_US), &s) || s > INT64_MAX / SECOND_US)
        return PLAN_NEVER;
    return s * SECOND_US;
}

/* Moves the beginning up to the horizon. */
static int64_t not_before(int64_t after_us, int64_t until_us)
{
    const int64_t horizon_us = PLAN_HORIZON_S * SECOND_US;
    if (until_us >= INT64_MIN + horizon_us && after_us < until_us - horizon_us)
        return until_us - horizon_us;
    return after_us;
}

int64_t plan_last(const struct plan *plan, int64_t after_us, int64_t until_us)
{
    int64_t s, last = PLAN_NEVER;
    after_us = not_before(after_us, until_us);
    if (after_us >= until_us)
        return PLAN_NEVER;
    if (plan->every_us > 0)
        last = every_last(plan->every_us, until_us);
    else if (cron_latest(plan, floor_div(after_us, SECOND_US), floor_div(until_us, SECOND_US),
                         &s) &&
             s >= INT64_MIN / SECOND_US)
        last = s * SECOND_US;
    return last > after_us ? last : PLAN_NEVER;
}

uint64_t plan_count(const struct plan *plan, int64_t after_us, int64_t until_us)
{
    after_us = not_before(after_us, until_us);
    if (after_us >= until_us)
        return 0;
    if (plan->every_us > 0)
        return (uint64_t)(floor_div(until_us, plan->every_us) -
                          floor_div(after_us, plan->every_us));
    return cron_instants(plan, floor_div(after_us, SECOND_US), floor_div(until_us, SECOND_US));
}

size_t plan_list(const struct plan *plan, int64_t after_us, int64_t until_us, int64_t *instants,
                 size_t max)
{
    size_t count = 0;
    after_us = not_before(after_us, until_us);
    for (int64_t at = until_us; count < max; at = instants[max - count] - 1) {
        int64_t last = plan_last(plan, after_us, at);
        if (last == PLAN_NEVER)
            break;
        instants[max - ++count] = last;
    }
    for (size_t i = 0; i < count && count < max; i++)
        instants[i] = instants[max - count + i];
    return count;
}
