/* SPDX-License-Identifier: MIT */
#include "base/cron.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/calendar.h"
#include "base/chars.h"
#include "base/text.h"

enum { FIELDS = 5, SHOWN = 48, DAY_MINUTES = 1440, MINUTE_S = 60, SUNDAY = 7 };

enum { FIELD_MINUTE, FIELD_HOUR, FIELD_DAY, FIELD_MONTH, FIELD_WEEKDAY };

static const struct field {
    const char *name, *allowed, *names, *step_example; /* `names`: three letters each */
    int low, high;
    int steps;
} fields[FIELDS] = {
    {"minute", "0 to 59", "", "5-59/15", 0, 59, 60},
    {"hour", "0 to 23", "", "9-23/2", 0, 23, 24},
    {"day of month", "1 to 31", "", "2-31/2", 1, 31, 31},
    {"month", "1 to 12, or jan to dec", "janfebmaraprmayjunjulaugsepoctnovdec", "2-12/3", 1, 12,
     12},
    {"day of week", "0 to 7, where both are Sunday, or sun to sat", "sunmontuewedthufrisat",
     "1-5/2", 0, 7, 7},
};

static const struct word {
    const char *name, *text;
} words[] = {
    {"@hourly", "0 * * * *"},   {"@daily", "0 0 * * *"},   {"@midnight", "0 0 * * *"},
    {"@weekly", "0 0 * * 0"},   {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"},
    {"@annually", "0 0 1 1 *"},
};

static const char words_allowed[] = "@hourly @daily @midnight @weekly @monthly @yearly @annually";

/* ---- parsing */

/* One item of a list, which ends at `end`. */
struct item {
    const struct field *field;
    const char *text, *at, *end;
    int low, high;
    struct problem *problem;
};

static bool wrong(const struct item *item, const char *what)
{
    char text[SHOWN], shown[SHOWN];
    snprintf(text, sizeof text, "%.*s", (int)(item->end - item->text), item->text);
    return problem_set(item->problem, "%s: \"%s\": %s", item->field->name,
                       text_printable(text, shown, sizeof shown), what);
}

static bool not_allowed(const struct item *item)
{
    char what[128];
    snprintf(what, sizeof what, "allowed is %s", item->field->allowed);
    return wrong(item, what);
}

static bool skip(struct item *item, char c)
{
    if (item->at == item->end || *item->at != c)
        return false;
    item->at++;
    return true;
}

/* Up to three digits: no field needs more. */
static bool read_digits(struct item *item, int *value)
{
    const char *from = item->at;
    for (*value = 0; item->at < item->end && char_is_digit(*item->at); item->at++) {
        if (item->at - from == 3)
            return false;
        *value = *value * 10 + (*item->at - '0');
    }
    return item->at > from;
}

static bool read_name(struct item *item, int *value)
{
    enum { LETTERS = 3 };
    const char *names = item->field->names;
    if (item->end - item->at < LETTERS)
        return false;
    for (int i = 0; names[0] != '\0'; i++, names += LETTERS)
        if (char_lower(item->at[0]) == names[0] && char_lower(item->at[1]) == names[1] &&
            char_lower(item->at[2]) == names[2]) {
            item->at += LETTERS;
            *value = item->field->low + i;
            return true;
        }
    return false;
}

static bool read_value(struct item *item, int *value)
{
    if (item->at < item->end && char_is_alpha(*item->at))
        return read_name(item, value);
    return read_digits(item, value) && *value >= item->field->low && *value <= item->field->high;
}

/* The end of a range: sun is 7 there, as a week ends with it, unless the range begins with it. */
static bool read_end(struct item *item)
{
    bool named = item->at < item->end && char_is_alpha(*item->at);
    if (!read_value(item, &item->high))
        return false;
    if (named && item->high == 0 && item->low > 0)
        item->high = SUNDAY;
    return true;
}

static bool read_range(struct item *item, bool *single)
{
    *single = false;
    if (skip(item, '*')) {
        item->low = item->field->low;
        item->high = item->field->high;
        return true;
    }
    if (!read_value(item, &item->low))
        return not_allowed(item);
    item->high = item->low;
    *single = !skip(item, '-');
    if (!*single && !read_end(item))
        return not_allowed(item);
    if (item->low > item->high)
        return wrong(item, "a range begins with the lower end; a list can have two of them");
    return true;
}

static bool wrong_step(const struct item *item, bool single)
{
    char what[128];
    if (single)
        snprintf(what, sizeof what, "a step follows * or a range, as in %s",
                 item->field->step_example);
    else
        snprintf(what, sizeof what, "a step is 1 to %d here", item->field->steps);
    return wrong(item, what);
}

static bool read_item(struct item *item, uint64_t *bits)
{
    bool single;
    int step = 1;
    if (item->at == item->end)
        return wrong(item, "a list has nothing between two commas, or at its end");
    if (!read_range(item, &single))
        return false;
    if (skip(item, '/') &&
        (single || !read_digits(item, &step) || step < 1 || step > item->field->steps))
        return wrong_step(item, single);
    if (item->at != item->end)
        return not_allowed(item);
    for (int i = item->low; i <= item->high; i += step)
        *bits |= UINT64_C(1) << i;
    return true;
}

static bool read_list(const struct field *field, const char *text, const char *end, uint64_t *bits,
                      struct problem *problem)
{
    *bits = 0;
    for (const char *at = text; at <= end;) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        struct item item = {.field = field, .text = at, .at = at, .problem = problem};
        item.end = comma != NULL ? comma : end;
        if (!read_item(&item, bits))
            return false;
        at = item.end + 1;
    }
    return true;
}

/* Where each field begins and ends, FIELDS at most; how many there are. */
static int split(const char *text, const char *begin[FIELDS], const char *end[FIELDS])
{
    int count = 0;
    for (;;) {
        while (char_is_blank(*text))
            text++;
        if (*text == '\0')
            return count;
        const char *from = text;
        while (*text != '\0' && !char_is_blank(*text))
            text++;
        if (count < FIELDS) {
            begin[count] = from;
            end[count] = text;
        }
        count++;
    }
}

/* The five fields that the word stands for; NULL: there is no such word. */
static const char *word_text(const char *begin, const char *end)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strncmp(words[i].name, begin, (size_t)(end - begin)) == 0 &&
            words[i].name[end - begin] == '\0')
            return words[i].text;
    return NULL;
}

static bool wrong_count(const char *text, int count, struct problem *problem)
{
    char shown[SHOWN];
    text_printable(text, shown, sizeof shown);
    return problem_set(
        problem,
        "\"%s\" has %d %s; expected are five, minute, hour, day of month, month and day "
        "of week, or one of %s",
        shown, count, text_plural((uint64_t)count, "field", "fields"), words_allowed);
}

bool cron_parse(const char *text, struct cron *cron, struct problem *problem)
{
    const char *begin[FIELDS], *end[FIELDS];
    uint64_t bits[FIELDS];
    if (strnlen(text, CRON_TEXT_MAX + 1) > CRON_TEXT_MAX)
        return problem_set(problem, "is longer than %d bytes", CRON_TEXT_MAX);
    int count = split(text, begin, end);
    if (count == 1 && begin[0][0] == '@') {
        const char *five = word_text(begin[0], end[0]);
        char shown[SHOWN];
        if (five == NULL)
            return problem_set(problem, "\"%s\": allowed are %s",
                               text_printable(begin[0], shown, sizeof shown), words_allowed);
        return cron_parse(five, cron, problem);
    }
    if (count != FIELDS)
        return wrong_count(text, count, problem);
    for (int i = 0; i < FIELDS; i++)
        if (!read_list(&fields[i], begin[i], end[i], &bits[i], problem))
            return false;
    *cron = (struct cron){
        .minutes = bits[FIELD_MINUTE],
        .hours = (uint32_t)bits[FIELD_HOUR],
        .days = (uint32_t)bits[FIELD_DAY],
        .months = (uint16_t)bits[FIELD_MONTH],
        .weekdays = (uint8_t)((bits[FIELD_WEEKDAY] | bits[FIELD_WEEKDAY] >> SUNDAY) & 0x7f),
        .either = *begin[FIELD_DAY] != '*' && *begin[FIELD_WEEKDAY] != '*',
        .any_hours = *begin[FIELD_HOUR] == '*',
    };
    return true;
}

/* ---- minutes of a day */

/* The first minute of the day at or after this one; -1: there is none. */
static int minute_from(const struct cron *cron, int minute)
{
    int hour = minute / 60;
    uint64_t left = cron->minutes >> minute % 60;
    if ((cron->hours >> hour & 1) != 0 && left != 0)
        return minute + __builtin_ctzll(left);
    uint32_t hours = cron->hours >> hour >> 1;
    if (hours == 0)
        return -1;
    return (hour + 1 + __builtin_ctz(hours)) * 60 + __builtin_ctzll(cron->minutes);
}

/* The last one at or before it. */
static int minute_until(const struct cron *cron, int minute)
{
    int hour = minute / 60;
    uint64_t left = cron->minutes & (UINT64_MAX >> (63 - minute % 60));
    if ((cron->hours >> hour & 1) == 0 || left == 0) {
        uint32_t hours = cron->hours & ((UINT32_C(1) << hour) - 1);
        if (hours == 0)
            return -1;
        hour = 31 - __builtin_clz(hours);
        left = cron->minutes;
    }
    return hour * 60 + 63 - __builtin_clzll(left);
}

/* How many before this one, of 0 to DAY_MINUTES. */
static int minutes_before(const struct cron *cron, int minute)
{
    int hour = minute / 60;
    uint64_t part = cron->minutes & ((UINT64_C(1) << minute % 60) - 1);
    int hours = __builtin_popcount(cron->hours & ((UINT32_C(1) << hour) - 1));
    return hours * __builtin_popcountll(cron->minutes) +
           ((cron->hours >> hour & 1) != 0 ? __builtin_popcountll(part) : 0);
}

/* ---- days */

static bool day_matches(const struct cron *cron, int64_t day, const struct date *date)
{
    bool of_month = (cron->days >> date->day & 1) != 0;
    bool of_week = (cron->weekdays >> calendar_weekday(day) & 1) != 0;
    return cron->either ? of_month || of_week : of_month && of_week;
}

/* The first day that matches in [day, end], or `end`. */
static int64_t day_from(const struct cron *cron, int64_t day, int64_t end)
{
    while (day < end) {
        struct date date = calendar_date(day);
        if ((cron->months >> date.month & 1) == 0)
            day += calendar_month_days(date.year, date.month) - date.day + 1;
        else if (day_matches(cron, day, &date))
            return day;
        else
            day++;
    }
    return end;
}

/* The last one in [begin - 1, day], or begin - 1. */
static int64_t day_until(const struct cron *cron, int64_t day, int64_t begin)
{
    while (day >= begin) {
        struct date date = calendar_date(day);
        if ((cron->months >> date.month & 1) == 0)
            day -= date.day;
        else if (day_matches(cron, day, &date))
            return day;
        else
            day--;
    }
    return begin - 1;
}

/* A range in whole minutes, as days and minutes of a day. */
struct range {
    int64_t from, end, first_day, end_day; /* end_day: behind the last */
};

static struct range range_of(int64_t from_s, int64_t end_s)
{
    struct range range = {.from = -floor_div(-from_s, MINUTE_S),
                          .end = -floor_div(-end_s, MINUTE_S)};
    range.first_day = floor_div(range.from, DAY_MINUTES);
    range.end_day = floor_div(range.end - 1, DAY_MINUTES) + 1;
    return range;
}

bool cron_first(const struct cron *cron, int64_t from_s, int64_t end_s, int64_t *local_s)
{
    const struct range range = range_of(from_s, end_s);
    if (range.from >= range.end)
        return false;
    for (int64_t day = range.first_day; (day = day_from(cron, day, range.end_day)) < range.end_day;
         day++) {
        int64_t begin = day * DAY_MINUTES;
        int minute = minute_from(cron, range.from > begin ? (int)(range.from - begin) : 0);
        if (minute >= 0) {
            *local_s = (begin + minute) * MINUTE_S;
            return begin + minute < range.end;
        }
    }
    return false;
}

bool cron_last(const struct cron *cron, int64_t from_s, int64_t end_s, int64_t *local_s)
{
    const struct range range = range_of(from_s, end_s);
    if (range.from >= range.end)
        return false;
    for (int64_t day = range.end_day - 1;
         (day = day_until(cron, day, range.first_day)) >= range.first_day; day--) {
        int64_t begin = day * DAY_MINUTES, last = range.end - 1 - begin;
        int minute = minute_until(cron, last < DAY_MINUTES ? (int)last : DAY_MINUTES - 1);
        if (minute >= 0) {
            *local_s = (begin + minute) * MINUTE_S;
            return begin + minute >= range.from;
        }
    }
    return false;
}

uint64_t cron_count(const struct cron *cron, int64_t from_s, int64_t end_s)
{
    const struct range range = range_of(from_s, end_s);
    uint64_t count = 0;
    if (range.from >= range.end)
        return 0;
    for (int64_t day = range.first_day; (day = day_from(cron, day, range.end_day)) < range.end_day;
         day++) {
        int64_t from = range.from - day * DAY_MINUTES, end = range.end - day * DAY_MINUTES;
        count += (uint64_t)(minutes_before(cron, end < DAY_MINUTES ? (int)end : DAY_MINUTES) -
                            minutes_before(cron, from > 0 ? (int)from : 0));
    }
    return count;
}
