/* SPDX-License-Identifier: MIT */
/* The rule for summer time in a time zone, as a POSIX TZ string: `CET-1CEST,M3.5.0,M10.5.0/3`. It
 * is the footer of a file of time zone data, for the years behind those that the file lists.
 *
 * Read as POSIX.1-2017 has it, section 8.3, with times of -167 to 167 hours as RFC 9636 allows
 * them, section 3.3.1: days as Mm.w.d, Jn and n. "Summer time" may be the earlier one, as in
 * Dublin's winter, and may last all year. A string with summer time but without its dates is
 * refused. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct zone_day { /* a moment of each year, by the clock that is valid until then */
    enum { ZONE_DAY_OF_WEEK, ZONE_DAY_JULIAN, ZONE_DAY_OF_YEAR } kind;
    int month, week, day; /* of week: week 5 is the last one of the month, day 0 a Sunday */
    int32_t time_s;
};

struct zone_rule {
    int32_t standard_s, summer_s; /* east of UTC */
    bool has_summer;
    struct zone_day start, end; /* of summer time */
};

/* No zone is further from UTC: RFC 9636, section 3.2. */
enum { ZONE_WEST_MAX_S = 89999, ZONE_EAST_MAX_S = 93599 };

/* False: it is no such string; `rule` is untouched. */
bool zone_rule_parse(const char *text, struct zone_rule *rule);

/* A change of the clock at at_s, and how far it is from UTC then. */
struct zone_change {
    int64_t at_s;
    int32_t offset_s;
};

enum { ZONE_RULE_CHANGES = 10 };

/* The changes around a moment, more than a year to both sides, in order; of several at once the
 * last one counts. How many: 0 for a rule without summer time. */
int zone_rule_changes(const struct zone_rule *rule, int64_t s,
                      struct zone_change changes[ZONE_RULE_CHANGES]);
