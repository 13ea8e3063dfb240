/* SPDX-License-Identifier: MIT */
/* What people write for numbers, durations, sizes and times, and words of such texts. No locale. A
 * parser that returns false leaves its result untouched; only text_words_copy() allocates. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The media type of texts that jobd writes itself. */
#define TYPE_TEXT "text/plain; charset=utf-8"

/* Decimal digits only, at most `max`. */
bool text_to_number(const char *text, uint64_t max, uint64_t *number);

enum { TEXT_NUMBER_SIZE = sizeof "18446744073709551615" };

/* The number in decimal, which begins somewhere in `room`. */
const char *text_number(uint64_t number, char room[TEXT_NUMBER_SIZE]);

/* `250ms`, `30s`, `1.5m`, `2h`, `7d`: a number, up to three decimals, and a unit. */
bool text_to_duration(const char *text, int64_t *us);

enum { TEXT_DURATION_SIZE = 32 };

/* A duration as text, in the largest unit of which it is a whole number, or else in milliseconds
 * with decimals. Not for one below 0. */
void text_duration(int64_t us, char out[TEXT_DURATION_SIZE]);

/* `64KiB`, `10MiB`, `1GiB`, or plain bytes. */
bool text_to_size(const char *text, uint64_t *bytes);

/* `one` for 1, else `many`. */
static inline const char *text_plural(uint64_t number, const char *one, const char *many)
{
    return number == 1 ? one : many;
}

enum { TEXT_TIME_SIZE = sizeof "2026-01-31T23:59:59.999Z" };

/* RFC 3339 in UTC with milliseconds, from the year 1000 to 9999. */
void text_time(int64_t us, char out[TEXT_TIME_SIZE]);

/* RFC 3339, years 0001 to 9999, with any offset and fraction, of which microseconds count; a leap
 * second is taken for the second after it. A space before the offset is taken for a plus, which
 * becomes one in a query. */
bool text_to_time(const char *text, int64_t *us);

/* Visible ASCII characters, at least one and fewer than `size`? */
bool text_is_word(const char *text, size_t size);

/* Can it be the name of a queue or a schedule? 1 to 64 letters, digits, `.`, `_` or `-`, the first
 * of them not `.`. */
bool text_is_name(const char *text);

/* A copy of a list of strings, NULL at the end, in one piece, to be freed; NULL when memory is
 * short. */
char **text_words_copy(char *const *words);

/* A copy of `text` for a log line or an error: bytes that are not printable ASCII become \xNN,
 * quotes and backslashes are escaped. What does not fit into `size`, which is at least 4, is cut
 * and ends with `...`. Returns `out`. */
char *text_printable(const char *text, char *out, size_t size);
