/* SPDX-License-Identifier: MIT */
/* Words and numbers: what people write for durations, sizes and times. No locale, no allocation;
 * a parser that says false leaves its result untouched. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The media type of a text of ours. */
#define TYPE_TEXT "text/plain; charset=utf-8"

/* Decimal digits only, at most `max`. */
bool text_to_number(const char *text, uint64_t max, uint64_t *number);

enum { TEXT_NUMBER_SIZE = sizeof "18446744073709551615" };

/* In decimal; begins somewhere in `room`. */
const char *text_number(uint64_t number, char room[TEXT_NUMBER_SIZE]);

/* `250ms`, `30s`, `1.5m`, `2h`, `7d`: a number, up to three decimals, and a unit. */
bool text_to_duration(const char *text, int64_t *us);

enum { TEXT_DURATION_SIZE = 32 };

/* The same: in the largest unit of which it is a whole number, or in milliseconds with decimals.
 * Not for less than 0. */
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

/* RFC 3339, of the years 0001 to 9999: any offset, any fraction, of which microseconds count; a
 * leap second is the second after it. In the offset a space stands for the plus that a query has
 * lost. */
bool text_to_time(const char *text, int64_t *us);

/* Visible ASCII characters, at least one and fewer than `size`? */
bool text_is_word(const char *text, size_t size);

/* What a queue or a schedule is called: 1 to 64 letters, digits, `.`, `_` or `-`, the first not
 * `.`.
 */
bool text_is_name(const char *text);

/* A copy of such a list, NULL at the end, in one piece to be freed; NULL when memory is short. */
char **text_words_copy(char *const *words);

/* A copy of `text` that can stand in a log line or an error: what is not printable ASCII becomes
 * \xNN, quotes and backslashes are escaped. What is longer than `size`, at least 4, is cut with
 * `...`. Returns `out`. */
char *text_printable(const char *text, char *out, size_t size);
