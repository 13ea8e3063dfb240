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

/* The last ones; printf() would take a microsecond for a whole date. */
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

/* Characters of UTF-8 (RFC 3629, section 4). */
struct utf8 {
    unsigned char first, last;   /* the first byte, from and to */
    unsigned char second, until; /* the second, from and to; the others are 80 to BF */
    size_t length;
};

/* Those that begin with this byte, NULL: there is none. */
static const struct utf8 *utf8_of(unsigned char first)
{
    static const struct utf8 rows[] = {
        {0x01, 0x7f, 0x00, 0x00, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (first >= rows[i].first && first <= rows[i].last)
            return &rows[i];
    return NULL;
}

/* So many of the bytes are as that character has them. */
static size_t matching(const struct utf8 *of, const unsigned char *at, size_t size)
{
    size_t good = 1;
    while (good < size && good < of->length && at[good] >= (good == 1 ? of->second : 0x80) &&
           at[good] <= (good == 1 ? of->until : 0xbf))
        good++;
    return good;
}

/* Bytes of the character that begins here; 0 when none does. */
static size_t character(const unsigned char *at, size_t size)
{
    const struct utf8 *of = utf8_of(at[0]);
    return of != NULL && matching(of, at, size) == of->length ? of->length : 0;
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

size_t text_utf8_prefix(const unsigned char *bytes, size_t size)
{
    size_t at = 0, length = 1;
    for (; at < size && length > 0; at += length)
        length = character(bytes + at, size - at);
    return at;
}

bool text_utf8_begun(const unsigned char *bytes, size_t size)
{
    const struct utf8 *of = size > 0 ? utf8_of(bytes[0]) : NULL;
    return of != NULL && size < of->length && matching(of, bytes, size) == size;
}

bool text_is_utf8(const unsigned char *bytes, size_t size)
{
    return text_utf8_prefix(bytes, size) == size;
}

char *text_utf8(const unsigned char *bytes, size_t size)
{
    static const char replacement[] = "\xef\xbf\xbd";
    enum { LENGTH = sizeof replacement - 1 };
    char *text = size < SIZE_MAX / LENGTH ? malloc(size * LENGTH + 1) : NULL;
    char *out = text;
    if (text == NULL)
        return NULL;
    for (size_t at = 0; at < size;) {
        size_t length = character(bytes + at, size - at);
        memcpy(out, length > 0 ? (const char *)bytes + at : replacement,
               length > 0 ? length : LENGTH);
        out += length > 0 ? length : LENGTH;
        at += length > 0 ? length : 1;
    }
    *out = '\0';
    return text;
}

char *text_base64(const unsigned char *bytes, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *text = size < SIZE_MAX / 2 ? malloc((size + 2) / 3 * 4 + 1) : NULL;
    char *out = text;
    if (text == NULL)
        return NULL;
    for (size_t at = 0; at < size; at += 3) {
        size_t left = size - at;
        unsigned bits = (unsigned)bytes[at] << 16 | (left > 1 ? (unsigned)bytes[at + 1] << 8 : 0) |
                        (left > 2 ? bytes[at + 2] : 0);
        *out++ = digits[bits >> 18];
        *out++ = digits[bits >> 12 & 63];
        *out++ = left > 1 ? digits[bits >> 6 & 63] : '=';
        *out++ = left > 2 ? digits[bits & 63] : '=';
    }
    *out = '\0';
    return text;
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

/* Of a character of Base64; -1 when it is none. */
static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (char_is_digit(c))
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool text_from_base64(const char *text, void *out, size_t *size)
{
    unsigned char *bytes = out;
    size_t length = strlen(text), used = 0, padding = 0;
    while (padding < 2 && padding < length && text[length - 1 - padding] == '=')
        padding++;
    if (length % 4 != 0)
        return false;
    uint32_t bits = 0;
    for (size_t i = 0; i < length - padding; i++) {
        int digit = base64_digit(text[i]);
        if (digit < 0)
            return false;
        bits = bits << 6 | (uint32_t)digit;
        if (i % 4 > 0)
            bytes[used++] = (unsigned char)(bits >> (6 - 2 * (i % 4)));
    }
    *size = used;
    return padding == 0 || (bits & (padding == 1 ? 3 : 15)) == 0; /* one text for the same bytes */
}
