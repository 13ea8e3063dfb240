/* SPDX-License-Identifier: MIT */
/* ASCII, without a locale. */
#pragma once

#include <stdbool.h>
#include <string.h>

static inline bool char_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool char_is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline char char_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static inline char char_upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* Of a hexadecimal digit; -1 when it is none. */
static inline int char_hex(char c)
{
    if (char_is_digit(c))
        return c - '0';
    char low = char_lower(c);
    return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

/* Of HTTP's words (RFC 9110, section 5.6.2). */
static inline bool char_is_token(char c)
{
    return char_is_alpha(c) || char_is_digit(c) ||
           (c != '\0' && strchr("-!#$%&'*+.^_`|~", c) != NULL);
}

/* Printable, the blank included. */
static inline bool char_is_printable(char c)
{
    return c >= ' ' && c <= '~';
}
