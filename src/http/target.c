/* SPDX-License-Identifier: MIT */
#include "http/target.h"

#include <string.h>
#include <strings.h>

#include "base/chars.h"

static const char scheme[] = "http://";

size_t target_count(const char *text)
{
    size_t count = chars_count(text, CHARS_TARGET);
    while (text[count] == '%' && !(text[count + 1] == '0' && text[count + 2] == '0'))
        count += 1 + chars_count(text + count + 1, CHARS_TARGET);
    return count;
}

static bool is_encoded(const char *text, size_t size)
{
    return size >= 3 && *text == '%' && char_hex(text[1]) >= 0 && char_hex(text[2]) >= 0;
}

/* How many bytes the name at the front has; 0: there is none. */
static size_t name_size(const char *text, size_t size)
{
    size_t at = chars_span(text, size, CHARS_UNRESERVED);
    while (is_encoded(text + at, size - at))
        at += 3 + chars_span(text + at + 3, size - at - 3, CHARS_UNRESERVED);
    return at;
}

/* As name_size(), for an address in brackets. */
static size_t address_size(const char *text, size_t size)
{
    size_t at = 1;
    while (at < size && (char_is(text[at], CHARS_UNRESERVED) || text[at] == ':' || text[at] == '%'))
        at++;
    return at > 1 && at < size && text[at] == ']' ? at + 1 : 0;
}

bool target_is_host(const char *text, size_t size)
{
    bool brackets = size > 0 && *text == '[';
    size_t at = brackets ? address_size(text, size) : name_size(text, size);
    if (at == 0 || (at < size && text[at] != ':'))
        return false;
    for (at++; at < size; at++)
        if (!char_is_digit(text[at]))
            return false;
    return true;
}

bool target_host_is_sound(const char *target, size_t size)
{
    size_t begin = sizeof scheme - 1, end = begin;
    if (size < begin || strncasecmp(target, scheme, begin) != 0)
        return true;
    while (end < size && target[end] != '/' && target[end] != '?')
        end++;
    return target_is_host(target + begin, end - begin);
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
