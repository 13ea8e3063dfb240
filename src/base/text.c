/* SPDX-License-Identifier: MIT */
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/calendar.h"
#include "base/chars.h"
#include "base/clock.h"

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit durations[] = {
    {"ms", 1000}, {"s", 1000000}, {"m", 60000000}, {"h", 3600000000}, {"d", 86400000000},
};

static const struct unit sizes[] = {
    {"", 1},
    {"KiB", UINT64_C(1) << 10},
    {"MiB", UINT64_C(1) << 20},
    {"GiB", UINT64_C(1) << 30},
};

static bool read_number(const char **at, uint64_t *number)
{
    if (!char_is_digit(**at))
        return false;
    char *end;
    errno = 0;
    unsigned long long value = strtoull(*at, &end, 10);
    if (errno != 0)
        return false;
    *at = end;
    *number = value;
    return true;
}

bool text_to_number(const char *text, uint64_t max, uint64_t *number)
{
    uint64_t value;
    if (!read_number(&text, &value) || *text != '\0' || value > max)
        return false;
    *number = value;
    return true;
}

const char *text_number(uint64_t number, char room[TEXT_NUMBER_SIZE])
{
    char *at = &room[TEXT_NUMBER_SIZE - 1];
    *at = '\0';
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return at;
}

static const struct unit *unit_named(const struct unit *units, size_t len, const char *name)
{
    for (size_t i = 0; i < len; i++)
        if (strcmp(units[i].name, name) == 0)
            return &units[i];
    return NULL;
}

bool text_to_duration(const char *text, int64_t *us)
{
    uint64_t whole, thousandths = 0;
    if (!read_number(&text, &whole))
        return false;
    if (*text == '.') {
        text++;
        if (!char_is_digit(*text))
            return false;
        for (uint64_t weight = 100; char_is_digit(*text); text++, weight /= 10) {
            if (weight == 0)
                return false;
            thousandths += (uint64_t)(*text - '0') * weight;
        }
    }
    const struct unit *unit = unit_named(durations, sizeof durations / sizeof durations[0], text);
    const uint64_t max_us = UINT64_C(100) * 366 * 86400000000;
    if (unit == NULL || whole > max_us / unit->factor)
        return false;
    *us = (int64_t)(whole * unit->factor + thousandths * (unit->factor / 1000));
    return true;
}

void text_duration(int64_t us, char out[TEXT_DURATION_SIZE])
{
    const uint64_t whole = (uint64_t)us, part = whole % durations[0].factor;
    size_t unit = sizeof durations / sizeof durations[0] - 1;
    while (unit > 0 && whole % durations[unit].factor != 0)
        unit--;
    int length = snprintf(out, TEXT_DURATION_SIZE, "%" PRIu64, whole / durations[unit].factor);
    if (part != 0)
        length +=
            snprintf(out + length, TEXT_DURATION_SIZE - (size_t)length, ".%03u", (unsigned)part);
    snprintf(out + length, TEXT_DURATION_SIZE - (size_t)length, "%s", durations[unit].name);
}

bool text_to_size(const char *text, uint64_t *bytes)
{
    uint64_t whole;
    if (!read_number(&text, &whole))
        return false;
    const struct unit *unit = unit_named(sizes, sizeof sizes / sizeof sizes[0], text);
    if (unit == NULL || whole > (UINT64_C(1) << 60) / unit->factor)
        return false;
    *bytes = whole * unit->factor;
    return true;
}

/* The last `count` digits of the value. printf() would take a microsecond for a date. */
static void put_digits(char *out, int count, int value)
{
    while (count-- > 0) {
        out[count] = (char)('0' + value % 10);
        value /= 10;
    }
}

void text_time(int64_t us, char out[TEXT_TIME_SIZE])
{
    int64_t ms = floor_div(us, 1000), seconds = floor_div(ms, 1000);
    int64_t days = floor_div(seconds, DAY_S);
    int of_day = (int)(seconds - days * DAY_S);
    struct date date = calendar_date(days);
    memcpy(out, "0000-00-00T00:00:00.000Z", TEXT_TIME_SIZE);
    put_digits(out, 4, (int)date.year);
    put_digits(out + 5, 2, date.month);
    put_digits(out + 8, 2, date.day);
    put_digits(out + 11, 2, of_day / 3600);
    put_digits(out + 14, 2, of_day / 60 % 60);
    put_digits(out + 17, 2, of_day % 60);
    put_digits(out + 20, 3, (int)(ms - seconds * 1000));
}

/* Exactly so many digits, and a number in these bounds, then `*at` is behind them. */
static bool read_digits(const char **at, int count, const int bounds[2], int *value)
{
    int sum = 0;
    for (int i = 0; i < count; i++, ++*at) {
        if (!char_is_digit(**at))
            return false;
        sum = sum * 10 + (**at - '0');
    }
    *value = sum;
    return sum >= bounds[0] && sum <= bounds[1];
}

static bool read_one_of(const char **at, const char *characters)
{
    if (**at == '\0' || strchr(characters, **at) == NULL)
        return false;
    ++*at;
    return true;
}

static bool read_date(const char **at, int64_t *days)
{
    int year, month, day;
    if (!read_digits(at, 4, (const int[]){1, 9999}, &year) || !read_one_of(at, "-") ||
        !read_digits(at, 2, (const int[]){1, 12}, &month) || !read_one_of(at, "-") ||
        !read_digits(at, 2, (const int[]){1, 31}, &day))
        return false;
    *days = calendar_days(year, month, day);
    return day <= calendar_month_days(year, month);
}

static bool read_clock(const char **at, int *seconds)
{
    int hour, minute, second;
    if (!read_digits(at, 2, (const int[]){0, 23}, &hour) || !read_one_of(at, ":") ||
        !read_digits(at, 2, (const int[]){0, 59}, &minute) || !read_one_of(at, ":") ||
        !read_digits(at, 2, (const int[]){0, 60}, &second))
        return false;
    *seconds = hour * 3600 + minute * 60 + second;
    return true;
}

static bool read_fraction(const char **at, int *us)
{
    *us = 0;
    if (!read_one_of(at, "."))
        return true;
    if (!char_is_digit(**at))
        return false;
    for (int weight = 100000; char_is_digit(**at); weight /= 10, ++*at)
        *us += (**at - '0') * weight;
    return true;
}

static bool read_offset(const char **at, int *seconds)
{
    int sign = **at == '-' ? -1 : 1, hours, minutes;
    *seconds = 0;
    if (read_one_of(at, "Zz"))
        return true;
    if (!read_one_of(at, "+- ") || !read_digits(at, 2, (const int[]){0, 23}, &hours) ||
        !read_one_of(at, ":") || !read_digits(at, 2, (const int[]){0, 59}, &minutes))
        return false;
    *seconds = sign * (hours * 3600 + minutes * 60);
    return true;
}

bool text_to_time(const char *text, int64_t *us)
{
    int64_t days;
    int of_day, fraction_us, offset;
    if (!read_date(&text, &days) || !read_one_of(&text, "Tt ") || !read_clock(&text, &of_day) ||
        !read_fraction(&text, &fraction_us) || !read_offset(&text, &offset) || *text != '\0')
        return false;
    *us = (days * DAY_S + of_day - offset) * CLOCK_SECOND_US + fraction_us;
    return true;
}

bool text_is_word(const char *text, size_t size)
{
    size_t length = strnlen(text, size);
    if (length == 0 || length == size)
        return false;
    for (const char *at = text; *at != '\0'; at++)
        if (*at <= ' ' || *at > '~')
            return false;
    return true;
}

char *text_printable(const char *text, char *out, size_t size)
{
    size_t used = 0, with_dots = 0; /* the second: how much may stay in front of them */
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        char one[5];
        if (c < 0x20 || c > 0x7e)
            snprintf(one, sizeof one, "\\x%02x", c);
        else if (c == '"' || c == '\\')
            snprintf(one, sizeof one, "\\%c", c);
        else
            snprintf(one, sizeof one, "%c", c);
        size_t length = strlen(one);
        if (used + length >= size) {
            memcpy(out + with_dots, "...", 3);
            used = with_dots + 3;
            break;
        }
        memcpy(out + used, one, length);
        used += length;
        if (used + sizeof "..." <= size)
            with_dots = used;
    }
    out[used] = '\0';
    return out;
}

bool text_is_name(const char *text)
{
    enum { NAME_MAX_BYTES = 64 };
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t length = strnlen(text, NAME_MAX_BYTES + 1);
    return length > 0 && length <= NAME_MAX_BYTES && text[0] != '.' &&
           strspn(text, allowed) == length;
}

char **text_words_copy(char *const *words)
{
    size_t len = 0, bytes = 0;
    for (; words[len] != NULL; len++)
        bytes += strlen(words[len]) + 1;
    char **copy = malloc((len + 1) * sizeof *copy + bytes);
    if (copy == NULL)
        return NULL;
    char *room = (char *)(copy + len + 1);
    for (size_t i = 0; i < len; i++) {
        copy[i] = room;
        room = stpcpy(room, words[i]) + 1;
    }
    copy[len] = NULL;
    return copy;
}
