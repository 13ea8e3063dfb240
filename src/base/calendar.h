/* SPDX-License-Identifier: MIT */
/* The Gregorian calendar, also for years before it was introduced. A day is a number: 0 is
 * 1970-01-01. It stands here because gmtime() ends in 2038 where time_t has 32 bits. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { DAY_S = 86400 };

struct date {
    int64_t year;
    int month, day; /* from 1 */
};

struct date calendar_date(int64_t days);
int64_t calendar_days(int64_t year, int month, int day);

bool calendar_is_leap(int64_t year);
int calendar_month_days(int64_t year, int month);

/* 0 is Sunday. */
int calendar_weekday(int64_t days);

/* a / b, rounded down; b is positive. */
static inline int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0 ? 1 : 0);
}
