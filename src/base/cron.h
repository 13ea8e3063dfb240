/* SPDX-License-Identifier: MIT */
/* An expression of crontab(5): which minutes of a calendar it names. It knows no time zone: a
 * moment is what a clock on the wall shows, as seconds since 1970 by that clock. See plan.h for
 * instants.
 *
 *     minute         0-59
 *     hour           0-23
 *     day of month   1-31
 *     month          1-12, or jan to dec
 *     day of week    0-7, 0 and 7 are Sunday, or sun to sat
 *
 * A field is a list: `1,15`, of `*`, numbers and ranges: `9-17`. A step follows `*` or a range:
 * every second of them is `9-17/2`. Letters may be small or large. Or one word stands for all five:
 * @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually.
 *
 * That is crontab(5) of Vixie cron, as are:
 *
 *     day of month and day of week   a day must have both, when one of the fields begins with `*`;
 *                                    `*` with a step does too: then `mon` are the Mondays among
 *                                    every second day. Else either will do.
 *     names                          may stand in lists and ranges
 *
 * Some versions of Vixie cron take what can only be a slip: `5/15`, `5-1`, a step beyond the field.
 * Here these are errors. `fri-sun` is taken: at the end of a range sun is 7. There are no seconds,
 * no @reboot, and none of the letters and marks of other programs: L W # ? ~. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/problem.h"

enum { CRON_TEXT_MAX = 512 }; /* bytes: five full lists are shorter */

/* A bit for each value, bit 1 for day and month 1. A plain value, to be copied. */
struct cron {
    uint64_t minutes;
    uint32_t hours, days;
    uint16_t months;
    uint8_t weekdays;
    bool either;    /* the day of the month or that of the week: neither field begins with * */
    bool any_hours; /* the field of the hour begins with * */
};

/* False: `problem` names the field, what is wrong and what is allowed, and `cron` is untouched. */
bool cron_parse(const char *text, struct cron *cron, struct problem *problem);

/* The first minute in [from_s, end_s), or the last one; false: there is none. Work for each day in
 * between that is in a month of the expression. */
bool cron_first(const struct cron *cron, int64_t from_s, int64_t end_s, int64_t *local_s);
bool cron_last(const struct cron *cron, int64_t from_s, int64_t end_s, int64_t *local_s);

/* How many there are in [from_s, end_s). */
uint64_t cron_count(const struct cron *cron, int64_t from_s, int64_t end_s);
