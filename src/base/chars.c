/* SPDX-License-Identifier: MIT */
#include "base/chars.h"

#define IN(c, first, last) ((c) >= (first) && (c) <= (last))
#define IS_ALNUM(c)        (IN(c, 'a', 'z') || IN(c, 'A', 'Z') || IN(c, '0', '9'))
#define IS_UNRESERVED(c)   (IS_ALNUM(c) || (c) == '-' || (c) == '.' || (c) == '_' || (c) == '~')
#define IS_TOKEN(c)                                                                                \
    (IS_UNRESERVED(c) || IN(c, '#', '\'') || (c) == '!' || (c) == '*' || (c) == '+' ||             \
     (c) == '^' || (c) == '`' || (c) == '|')
#define IS_TEXT(c)   ((c) == '\t' || ((c) >= ' ' && (c) != 0x7f))
#define IS_TARGET(c) (IN(c, '!', '~') && (c) != '#' && (c) != '%')

#define CLASSES(c)                                                                                 \
    ((IS_UNRESERVED(c) ? CHARS_UNRESERVED : 0) | (IS_TOKEN(c) ? CHARS_TOKEN : 0) |                 \
     (IS_TEXT(c) ? CHARS_TEXT : 0) | (IS_TARGET(c) ? CHARS_TARGET : 0))
#define FOUR(c)    CLASSES(c), CLASSES((c) + 1), CLASSES((c) + 2), CLASSES((c) + 3)
#define SIXTEEN(c) FOUR(c), FOUR((c) + 4), FOUR((c) + 8), FOUR((c) + 12)

const unsigned char chars_classes[256] = {
    SIXTEEN(0x00), SIXTEEN(0x10), SIXTEEN(0x20), SIXTEEN(0x30), SIXTEEN(0x40), SIXTEEN(0x50),
    SIXTEEN(0x60), SIXTEEN(0x70), SIXTEEN(0x80), SIXTEEN(0x90), SIXTEEN(0xa0), SIXTEEN(0xb0),
    SIXTEEN(0xc0), SIXTEEN(0xd0), SIXTEEN(0xe0), SIXTEEN(0xf0)};
