/* SPDX-License-Identifier: MIT */
#include "http/target.h"

#include <string.h>
#include <strings.h>

#include "base/chars.h"

static const char scheme[] = "http://";

bool target_is_sound(const char *target, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        bool nul = target[i] == '%' && size - i >= 3 && memcmp(target + i, "%00", 3) == 0;
        if (target[i] == ' ' || target[i] == '#' || !char_is_printable(target[i]) || nul)
            return false;
    }
    return true;
}

bool target_is_whole(const char *target)
{
    return *target != '/' && strncasecmp(target, scheme, sizeof scheme - 1) == 0;
}

const char *target_authority(const char *target, size_t *size)
{
    const char *authority = target + sizeof scheme - 1;
    *size = strcspn(authority, "/");
    return authority;
}

static char *decode(char *path)
{
    char *to = path;
    for (const char *at = path; *at != '\0'; at++) {
        int high = *at == '%' ? char_hex(at[1]) : -1, low = high >= 0 ? char_hex(at[2]) : -1;
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
