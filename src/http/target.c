/* SPDX-License-Identifier: MIT */
#include "http/target.h"

#include <string.h>
#include <strings.h>

#include "base/chars.h"

static const char scheme[] = "http://";

bool target_is_sound(const char *target)
{
    for (const char *at = target; *at != '\0'; at++)
        if (*at == ' ' || !char_is_printable(*at) || strncmp(at, "%00", 3) == 0)
            return false;
    return true;
}

bool target_is_whole(const char *target)
{
    return strncasecmp(target, scheme, sizeof scheme - 1) == 0;
}

const char *target_authority(const char *target, size_t *size)
{
    const char *authority = target + sizeof scheme - 1;
    *size = strcspn(authority, "/");
    return authority;
}

static int hex(char c)
{
    return char_is_digit(c)       ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static char *decode(char *path)
{
    char *to = path;
    for (const char *at = path; *at != '\0'; at++) {
        int high = *at == '%' ? hex(at[1]) : -1, low = high >= 0 ? hex(at[2]) : -1;
        bool decodes = low >= 0 && high * 16 + low != '/';
        *to++ = decodes ? (char)(high * 16 + low) : *at;
        at += decodes ? 2 : 0;
    }
    *to = '\0';
    return to;
}

size_t target_decode(char *target, bool whole)
{
    size_t authority_size;
    char *path = target;
    if (whole)
        path += target_authority(target, &authority_size) + authority_size - target;
    return (size_t)((strchr(path, '%') != NULL ? decode(path) : path + strlen(path)) - target);
}
