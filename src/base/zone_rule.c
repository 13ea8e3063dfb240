/* SPDX-License-Identifier: MIT */
#include "base/zone_rule.h"

#include "base/calendar.h"
#include "base/chars.h"

enum { HOUR_S = 3600, POSIX_HOURS = 24, RULE_HOURS = 167 };

/* ---- parsing: each moves `at` on, or says false */

static bool skip(const char **at, char c)
{
    if (**at != c)
        return false;
    (*at)++;
    return true;
}

/* Three characters or more: letters, or anything of <+-09AZaz>. */
static bool read_name(const char **at)
{
    bool quoted = skip(at, '<');
    int length = 0;
    while (char_is_alpha(**at) || (quoted && (char_is_digit(**at) || **at == '+' || **at == '-'))) {
        (*at)++;
        length++;
    }
    return length >= 3 && (!quoted || skip(at, '>'));
}

static bool read_number(const char **at, int min, int max, int *number)
{
    int value = 0;
    const char *from = *at;
    for (; char_is_digit(**at) && value <= max; (*at)++)
        value = value * 10 + (**at - '0');
    *number = value;
    return *at > from && value >= min && value <= max;
}

/* [+-]hh[:mm[:ss]], in seconds. */
static bool read_time(const char **at, int max_hours, int32_t *seconds)
{
    bool negative = **at == '-';
    int hours, minutes = 0, rest = 0;
    if (!skip(at, '-'))
        (void)skip(at, '+');
    if (!read_number(at, 0, max_hours, &hours))
        return false;
    if (skip(at, ':')) {
        if (!read_number(at, 0, 59, &minutes))
            return false;
        if (skip(at, ':') && !read_number(at, 0, 59, &rest))
            return false;
    }
    *seconds = (hours * HOUR_S + minutes * 60 + rest) * (negative ? -1 : 1);
    return true;
}

static bool read_day(const char **at, struct zone_day *day)
{
    *day = (struct zone_day){.time_s = 2 * HOUR_S};
    bool good;
    if (skip(at, 'M')) {
        day->kind = ZONE_DAY_OF_WEEK;
        good = read_number(at, 1, 12, &day->month) && skip(at, '.') &&
               read_number(at, 1, 5, &day->week) && skip(at, '.') &&
               read_number(at, 0, 6, &day->day);
    } else if (skip(at, 'J')) {
        day->kind = ZONE_DAY_JULIAN;
        good = read_number(at, 1, 365, &day->day);
    } else {
        day->kind = ZONE_DAY_OF_YEAR;
        good = read_number(at, 0, 365, &day->day);
    }
    return good && (!skip(at, '/') || read_time(at, RULE_HOURS, &day->time_s));
}

static bool read_summer(const char **at, struct zone_rule *rule)
{
    int32_t west;
    if (!read_name(at))
        return false;
    rule->has_summer = true;
    rule->summer_s = rule->standard_s + HOUR_S;
    if (**at != ',') {
        if (!read_time(at, POSIX_HOURS, &west))
            return false;
        rule->summer_s = -west;
    }
    return skip(at, ',') && read_day(at, &rule->start) && skip(at, ',') && read_day(at, &rule->end);
}

bool zone_rule_parse(const char *text, struct zone_rule *rule)
{
    struct zone_rule read = {.has_summer = false};
    int32_t west;
    if (!read_name(&text) || !read_time(&text, POSIX_HOURS, &west))
        return false;
    read.standard_s = -west;
    if (*text != '\0' && !read_summer(&text, &read))
        return false;
    if (*text != '\0')
        return false;
    *rule = read;
    return true;
}

/* ---- the moments of a year */

static int64_t day_of(const struct zone_day *day, int64_t year)
{
    int64_t first = calendar_days(year, 1, 1);
    if (day->kind == ZONE_DAY_OF_YEAR)
        return first + day->day;
    if (day->kind == ZONE_DAY_JULIAN) /* February 29 is not counted */
        return first + day->day - (day->day < 60 || !calendar_is_leap(year) ? 1 : 0);
    int64_t month = calendar_days(year, day->month, 1);
    int64_t wanted = (day->day - calendar_weekday(month) + 7) % 7 + 7 * (day->week - 1);
    return month + (wanted < calendar_month_days(year, day->month) ? wanted : wanted - 7);
}

/* Summer time that begins when it ends lasts all year: so the end is entered first. */
static int insert(struct zone_change *changes, int count, struct zone_change change)
{
    int i = count;
    for (; i > 0 && changes[i - 1].at_s > change.at_s; i--)
        changes[i] = changes[i - 1];
    changes[i] = change;
    return count + 1;
}

int zone_rule_changes(const struct zone_rule *rule, int64_t s,
                      struct zone_change changes[ZONE_RULE_CHANGES])
{
    enum { YEARS = ZONE_RULE_CHANGES / 4 }; /* to both sides */
    int count = 0;
    if (!rule->has_summer)
        return 0;
    int64_t year = calendar_date(floor_div(s, DAY_S)).year;
    for (int64_t y = year - YEARS; y <= year + YEARS; y++) {
        int64_t at_s = day_of(&rule->end, y) * DAY_S + rule->end.time_s - rule->summer_s;
        count = insert(changes, count, (struct zone_change){at_s, rule->standard_s});
    }
    for (int64_t y = year - YEARS; y <= year + YEARS; y++) {
        int64_t at_s = day_of(&rule->start, y) * DAY_S + rule->start.time_s - rule->standard_s;
        count = insert(changes, count, (struct zone_change){at_s, rule->summer_s});
    }
    return count;
}
