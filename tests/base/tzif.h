/* SPDX-License-Identifier: MIT */
/* Files of time zone data, as RFC 9636 describes them, made in memory. */
#pragma once

#include <stdint.h>
#include <string.h>

#include "base/verify.h"
#include "base/zone_rule.h"

enum { TZIF_ROOM = 4096, TZIF_CHANGES = 100, TZIF_HEADER = 44 };

struct tzif {
    unsigned char bytes[TZIF_ROOM];
    size_t size;
};

static inline void tzif_number(struct tzif *file, uint64_t number, size_t bytes)
{
    verify(file->size + bytes <= TZIF_ROOM);
    for (size_t i = bytes; i-- > 0;)
        file->bytes[file->size++] = (unsigned char)(number >> (8 * i));
}

static inline void tzif_header(struct tzif *file, char version, size_t times, size_t types)
{
    const size_t counts[] = {0, 0, 0, times, types, 1};
    const char magic[] = {'T', 'Z', 'i', 'f', version};
    memcpy(file->bytes + file->size, magic, sizeof magic);
    memset(file->bytes + file->size + sizeof magic, 0, 15);
    file->size += 20;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        tzif_number(file, counts[i], 4);
}

/* A type for each change, and one before them all. */
static inline void tzif_block(struct tzif *file, char version, int32_t first_s,
                              const struct zone_change *changes, size_t count, size_t time_bytes)
{
    verify(count <= TZIF_CHANGES);
    tzif_header(file, version, count, count + 1);
    for (size_t i = 0; i < count; i++)
        tzif_number(file, (uint64_t)changes[i].at_s, time_bytes);
    for (size_t i = 0; i < count; i++)
        tzif_number(file, i + 1, 1);
    for (size_t i = 0; i <= count; i++) {
        tzif_number(file, (uint32_t)(i == 0 ? first_s : changes[i - 1].offset_s), 4);
        tzif_number(file, 0, 2);
    }
    tzif_number(file, 0, 1); /* names: one, empty */
}

/* Version 2 or later, with an empty first block, as files mostly have now. */
static inline void tzif_make(struct tzif *file, int32_t first_s, const struct zone_change *changes,
                             size_t count, const char *footer)
{
    file->size = 0;
    tzif_block(file, '3', 0, NULL, 0, 4);
    tzif_block(file, '3', first_s, changes, count, 8);
    verify(file->size + strlen(footer) + 2 <= TZIF_ROOM);
    tzif_number(file, '\n', 1);
    memcpy(file->bytes + file->size, footer, strlen(footer));
    file->size += strlen(footer);
    tzif_number(file, '\n', 1);
}
