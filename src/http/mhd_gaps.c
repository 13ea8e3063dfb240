/* SPDX-License-Identifier: MIT */
#include "http/mhd_fixes.h"

#if MHD_NEEDS_FIXES

#include <stdint.h>
#include <string.h>

enum { LINE_END = 2, HEADER_END = 4 }; /* CR and LF, once and twice */

/* Is there nothing but so many line breaks, behind the blanks of an empty value? */
static bool breaks_only(const struct framing *framing, const char *to, size_t max)
{
    const char *at = framing->at;
    while (framing->blank && at < to && (*at == ' ' || *at == '\t'))
        at++;
    for (const char *c = at; c < to; c++)
        if (*c != '\0')
            return false;
    return to > at && (size_t)(to - at) <= max;
}

/* Does a word stand behind what has been looked at? It may be in another object altogether. */
static bool inside(const struct framing *framing, const char *word, size_t size)
{
    uintptr_t at = (uintptr_t)framing->at, end = (uintptr_t)framing->end, from = (uintptr_t)word;
    return from >= at && from <= end && size <= end - from;
}

void gaps_begin(struct framing *framing, const char *method, const char *target, size_t target_size,
                const char *version, size_t header_size)
{
    *framing = (struct framing){.at = method, .end = method + header_size};
    framing->sound = target == method + strlen(method) + 1 &&
                     inside(framing, target, target_size) && version == target + target_size + 1 &&
                     inside(framing, version, strlen(version));
    if (framing->sound)
        framing->at = version + strlen(version);
}

void gaps_field(struct framing *framing, const char *name, size_t name_size, const char *value,
                size_t value_size)
{
    if (!framing->sound)
        return;
    framing->sound = inside(framing, name, name_size) && breaks_only(framing, name, LINE_END);
    if (!framing->sound)
        return;
    framing->at = name + name_size + 1; /* the colon */
    framing->blank = value == NULL || value_size == 0;
    if (framing->blank)
        return;
    framing->sound = inside(framing, value, value_size);
    for (const char *c = framing->at; framing->sound && c < value; c++)
        framing->sound = *c == ' ' || *c == '\t';
    framing->at = value + value_size;
}

bool gaps_end(const struct framing *framing)
{
    return framing->sound && framing->at <= framing->end &&
           breaks_only(framing, framing->end, HEADER_END);
}

#endif
