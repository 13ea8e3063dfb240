/* SPDX-License-Identifier: MIT */
#include "base/utf8.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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

/* How many of the bytes are as such a character has them. */
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
    if (at[0] > 0 && at[0] < 0x80) /* nearly all */
        return 1;
    const struct utf8 *of = utf8_of(at[0]);
    return of != NULL && matching(of, at, size) == of->length ? of->length : 0;
}

size_t utf8_prefix(const unsigned char *bytes, size_t size)
{
    size_t at = 0, length = 1;
    for (; at < size && length > 0; at += length)
        length = character(bytes + at, size - at);
    return at;
}

bool utf8_begun(const unsigned char *bytes, size_t size)
{
    const struct utf8 *of = size > 0 ? utf8_of(bytes[0]) : NULL;
    return of != NULL && size < of->length && matching(of, bytes, size) == size;
}

bool utf8_valid(const unsigned char *bytes, size_t size)
{
    return utf8_prefix(bytes, size) == size;
}

char *utf8_repaired(const unsigned char *bytes, size_t size)
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
