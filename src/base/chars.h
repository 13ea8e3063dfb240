/* SPDX-License-Identifier: MIT */
/* ASCII, without a locale. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

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

/* The value of a hexadecimal digit; -1: it is none. */
static inline int char_hex(char c)
{
    if (char_is_digit(c))
        return c - '0';
    char low = char_lower(c);
    return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

/* A space or a tab, as between the words of a header, a crontab or a list. */
static inline bool char_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Printable, the space included. */
static inline bool char_is_printable(char c)
{
    return c >= ' ' && c <= '~';
}

/* Classes of characters in HTTP, as bits: each byte of a header is looked up. */
enum chars_class {
    CHARS_TOKEN = 1 << 0,      /* a token (RFC 9110, section 5.6.2), such as a field's name */
    CHARS_TEXT = 1 << 1,       /* the value of a field: no control character but the tab */
    CHARS_TARGET = 1 << 2,     /* a request's target: printable, no blank, no # and no % */
    CHARS_UNRESERVED = 1 << 3, /* a name in a URI (RFC 3986, section 2.3) */
};

extern const unsigned char chars_classes[256];

static inline bool char_is(char c, enum chars_class chars)
{
    return (chars_classes[(unsigned char)c] & chars) != 0;
}

/* How many bytes at the front are of this class. The text must have one that is not, such as a
 * NUL. */
static inline size_t chars_count(const char *text, enum chars_class chars)
{
    size_t count = 0;
    while (char_is(text[count], chars))
        count++;
    return count;
}

/* The same for a text of `size` bytes, which needs no such end. */
static inline size_t chars_span(const char *text, size_t size, enum chars_class chars)
{
    size_t at = 0;
    while (at < size && char_is(text[at], chars))
        at++;
    return at;
}
