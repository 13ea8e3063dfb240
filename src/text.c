/* SPDX-License-Identifier: MIT */
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"

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

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool read_number(const char **at, uint64_t *number)
{
    if (!digit(**at))
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
        if (!digit(*text))
            return false;
        for (uint64_t weight = 100; digit(*text); text++, weight /= 10) {
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

void text_time(int64_t us, char out[TEXT_TIME_SIZE])
{
    time_t seconds = (time_t)(us / CLOCK_SECOND_US);
    int64_t rest_us = us % CLOCK_SECOND_US;
    struct tm utc;
    char date[32];
    if (rest_us < 0) {
        rest_us += CLOCK_SECOND_US;
        seconds--;
    }
    if (gmtime_r(&seconds, &utc) == NULL ||
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc) == 0)
        date[0] = '\0';
    snprintf(out, TEXT_TIME_SIZE, "%.19s.%03uZ", date, (unsigned)(rest_us / 1000) % 1000);
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
