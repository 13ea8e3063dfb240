/* SPDX-License-Identifier: MIT */
#include "base/calendar.h"

/* Years begin in March here, so that a leap day is the last; eras of 400 years are all alike. */
enum { ERA = 146097, SINCE_0000_03_01 = 719468 }; /* days; the latter until 1970-01-01 */

struct date calendar_date(int64_t days)
{
    days += SINCE_0000_03_01;
    int64_t era = floor_div(days, ERA);
    int of_era = (int)(days - era * ERA);
    int years = (of_era - of_era / 1460 + of_era / 36524 - of_era / (ERA - 1)) / 365;
    int of_year = of_era - (365 * years + years / 4 - years / 100);
    int months = (5 * of_year + 2) / 153;
    struct date date = {.day = of_year - (153 * months + 2) / 5 + 1,
                        .month = months < 10 ? months + 3 : months - 9};
    date.year = era * 400 + years + (date.month <= 2 ? 1 : 0);
    return date;
}

int64_t calendar_days(int64_t year, int month, int day)
{
    year -= month <= 2 ? 1 : 0;
    int64_t era = floor_div(year, 400);
    int64_t years = year - era * 400;
    int of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * ERA + years * 365 + years / 4 - years / 100 + of_year - SINCE_0000_03_01;
}

bool calendar_is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

int calendar_month_days(int64_t year, int month)
{
    static const signed char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && calendar_is_leap(year) ? 1 : 0);
}

int calendar_weekday(int64_t days)
{
    enum { OF_DAY_0 = 4 }; /* a Thursday */
    return (int)(days + OF_DAY_0 - floor_div(days + OF_DAY_0, 7) * 7);
}
