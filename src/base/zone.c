/* SPDX-License-Identifier: MIT */
#include "base/zone.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/chars.h"
#include "base/text.h"
#include "base/zone_rule.h"

struct zone {
    int32_t first_s; /* the offset before the first change */
    bool has_rule;
    struct zone_rule rule; /* behind the last change */
    size_t count;
    struct zone_change changes[];
};

/* Where systems have them; /etc/zoneinfo is NixOS'. */
static const char *const directories[] = {"/usr/share/zoneinfo", "/etc/zoneinfo"};

enum { DIRECTORIES = sizeof directories / sizeof directories[0] };

/* ---- a file */

enum { HEADER_BYTES = 44, TYPE_BYTES = 6, INDEX_BYTES = 1, FOOTER_MAX = 128 };

/* One block: its header, and where its parts stand. */
struct block {
    size_t isut, isstd, leaps, times, types, chars; /* how many */
    size_t time_bytes;
    const unsigned char *data;
    size_t size;
};

static uint32_t read_u32(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static int64_t read_time(const unsigned char *at, size_t bytes)
{
    if (bytes == 4)
        return (int32_t)read_u32(at);
    return (int64_t)((uint64_t)read_u32(at) << 32 | read_u32(at + 4));
}

/* The counts are bounded by the file's size before they are multiplied. */
static bool read_block(const unsigned char *bytes, size_t size, size_t time_bytes,
                       struct block *block)
{
    if (size < HEADER_BYTES || memcmp(bytes, "TZif", 4) != 0)
        return false;
    size_t *const counts[] = {&block->isut,  &block->isstd, &block->leaps,
                              &block->times, &block->types, &block->chars};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        *counts[i] = read_u32(bytes + 20 + 4 * i);
        if (*counts[i] > ZONE_FILE_MAX)
            return false;
    }
    block->time_bytes = time_bytes;
    block->data = bytes + HEADER_BYTES;
    block->size = block->times * (time_bytes + INDEX_BYTES) + block->types * TYPE_BYTES +
                  block->chars + block->leaps * (time_bytes + 4) + block->isstd + block->isut;
    return block->size <= size - HEADER_BYTES;
}

/* The offset of a type; false when there is no such type, or the offset is none. */
static bool read_offset(const struct block *block, size_t type, int32_t *offset_s)
{
    if (type >= block->types)
        return false;
    const unsigned char *types = block->data + block->times * (block->time_bytes + INDEX_BYTES);
    *offset_s = (int32_t)read_u32(types + type * TYPE_BYTES);
    return *offset_s >= -ZONE_WEST_MAX_S && *offset_s <= ZONE_EAST_MAX_S;
}

/* Times rise; nothing is known before the first but the first type (RFC 9636, section 3.2). */
static bool read_changes(const struct block *block, struct zone *zone)
{
    const unsigned char *indices = block->data + block->times * block->time_bytes;
    if (!read_offset(block, 0, &zone->first_s))
        return false;
    zone->count = block->times;
    for (size_t i = 0; i < block->times; i++) {
        struct zone_change *change = &zone->changes[i];
        change->at_s = read_time(block->data + i * block->time_bytes, block->time_bytes);
        if (!read_offset(block, indices[i], &change->offset_s) ||
            (i > 0 && change->at_s <= change[-1].at_s) || change->at_s <= -ZONE_FOREVER_S ||
            change->at_s >= ZONE_FOREVER_S)
            return false;
    }
    return true;
}

/* A line feed, a TZ string or nothing, a line feed. */
static bool read_footer(const unsigned char *bytes, size_t size, struct zone *zone)
{
    char text[FOOTER_MAX];
    const unsigned char *end = size > 1 ? memchr(bytes + 1, '\n', size - 1) : NULL;
    if (end == NULL || bytes[0] != '\n')
        return false;
    size_t length = (size_t)(end - bytes) - 1;
    if (length >= sizeof text || memchr(bytes + 1, '\0', length) != NULL)
        return false;
    memcpy(text, bytes + 1, length);
    text[length] = '\0';
    zone->has_rule = length > 0;
    return length == 0 || zone_rule_parse(text, &zone->rule);
}

/* From version 2 on, a second block with longer times follows, and a footer; the first block is for
 * programs that only know version 1. */
static bool find_block(const unsigned char *bytes, size_t size, struct block *block,
                       const unsigned char **footer)
{
    *footer = NULL;
    if (!read_block(bytes, size, 4, block))
        return false;
    if (bytes[4] < '2')
        return true;
    size_t first = HEADER_BYTES + block->size;
    if (!read_block(bytes + first, size - first, 8, block))
        return false;
    *footer = block->data + block->size;
    return true;
}

static int no_memory(struct problem *problem)
{
    problem_set(problem, "out of memory");
    return -ENOMEM;
}

int zone_parse(struct zone **zone, const unsigned char *bytes, size_t size, struct problem *problem)
{
    struct block block;
    const unsigned char *footer;
    if (size > ZONE_FILE_MAX || !find_block(bytes, size, &block, &footer)) {
        problem_set(problem, "its data is damaged: a TZif file was expected");
        return -EBADMSG;
    }
    if (block.leaps > 0) {
        problem_set(problem, "its data counts leap seconds; clocks that do not are expected");
        return -EBADMSG;
    }
    struct zone *read = calloc(1, sizeof *read + block.times * sizeof read->changes[0]);
    if (read == NULL)
        return no_memory(problem);
    if (!read_changes(&block, read) ||
        (footer != NULL && !read_footer(footer, (size_t)(bytes + size - footer), read))) {
        problem_set(problem, "its data is damaged: a change of its clock, or the rule behind them");
        zone_free(read);
        return -EBADMSG;
    }
    *zone = read;
    return 0;
}

void zone_free(struct zone *zone)
{
    free(zone);
}

/* ---- by name */

static bool name_ok(const char *name)
{
    size_t length = 0;
    bool begins = true; /* a part of it */
    if (char_lower(name[0]) == name[0])
        return false;
    for (; length <= ZONE_NAME_MAX && name[length] != '\0'; length++) {
        char c = name[length];
        bool plain = char_is_alpha(c) || char_is_digit(c);
        if (!plain && (begins || (c != '/' && c != '_' && c != '+' && c != '-')))
            return false;
        begins = c == '/';
    }
    return !begins && length <= ZONE_NAME_MAX;
}

/* A whole file, or -errno. One of ZONE_FILE_MAX bytes or more is none. */
static ssize_t read_file(const char *path, unsigned char *bytes)
{
    struct stat status;
    ssize_t size = 0, got;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        size = -ENOENT; /* a directory, America, is no zone */
    while (size >= 0 && (got = read(fd, bytes + size, (size_t)(ZONE_FILE_MAX - size))) != 0)
        size = got > 0 ? size + got : -errno;
    close(fd);
    return size < ZONE_FILE_MAX ? size : -EFBIG;
}

static ssize_t find_file(const char *name, unsigned char *bytes)
{
    char path[sizeof "/usr/share/zoneinfo/" + ZONE_NAME_MAX];
    ssize_t size = -ENOENT;
    for (size_t i = 0; i < DIRECTORIES && (size == -ENOENT || size == -ENOTDIR); i++) {
        snprintf(path, sizeof path, "%s/%s", directories[i], name);
        size = read_file(path, bytes);
    }
    return size;
}

static bool is_installed(void)
{
    bool installed = false;
    for (size_t i = 0; i < DIRECTORIES; i++)
        installed = installed || access(directories[i], R_OK | X_OK) == 0;
    return installed;
}

/* Which result this is, and what is to be said of it. */
static int not_found(ssize_t error, const char *shown, struct problem *problem)
{
    if (error != -ENOENT && error != -ENOTDIR) {
        problem_set(problem, "\"%s\": its data cannot be read: %s", shown, strerror((int)-error));
        return (int)error;
    }
    if (is_installed())
        problem_set(problem, "\"%s\" is no time zone; an IANA name is expected, as in Europe/Paris",
                    shown);
    else
        problem_set(problem,
                    "\"%s\": no time zones are installed in /usr/share/zoneinfo; only UTC is known",
                    shown);
    return -EINVAL;
}

int zone_open(struct zone **zone, const char *name, struct problem *problem)
{
    char shown[ZONE_NAME_MAX + sizeof "..."];
    text_printable(name, shown, sizeof shown);
    if (strcmp(name, "UTC") == 0 || strcmp(name, "Etc/UTC") == 0) {
        *zone = calloc(1, sizeof **zone);
        return *zone != NULL ? 0 : no_memory(problem);
    }
    if (!name_ok(name))
        return not_found(-ENOENT, shown, problem);
    unsigned char *bytes = calloc(1, ZONE_FILE_MAX);
    if (bytes == NULL)
        return no_memory(problem);
    ssize_t size = find_file(name, bytes);
    int error = size >= 0 ? zone_parse(zone, bytes, (size_t)size, problem)
                          : not_found(size, shown, problem);
    if (error != 0 && size >= 0)
        (void)problem_at(problem, shown);
    free(bytes);
    return error;
}

/* ---- looking */

/* How many changes were at s or before. */
static size_t changes_until(const struct zone *zone, int64_t s)
{
    size_t low = 0, high = zone->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (zone->changes[middle].at_s <= s)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Behind the last change, which is where `span` begins: what the rule says. */
static void by_rule(const struct zone *zone, int64_t s, struct zone_span *span)
{
    struct zone_change changes[ZONE_RULE_CHANGES];
    int count = zone_rule_changes(&zone->rule, s, changes);
    if (zone->count == 0)
        span->offset_s = zone->rule.standard_s;
    for (int i = 0; i < count && span->end_s == ZONE_FOREVER_S; i++) {
        if (changes[i].at_s > s)
            span->end_s = changes[i].at_s;
        else if (changes[i].at_s > span->begin_s) {
            span->begin_s = changes[i].at_s;
            span->offset_s = changes[i].offset_s;
        } else if (changes[i].at_s == span->begin_s)
            span->offset_s = changes[i].offset_s;
    }
}

struct zone_span zone_span(const struct zone *zone, int64_t s)
{
    size_t count = changes_until(zone, s);
    struct zone_span span = {-ZONE_FOREVER_S, ZONE_FOREVER_S, zone->first_s};
    if (count > 0) {
        span.begin_s = zone->changes[count - 1].at_s;
        span.offset_s = zone->changes[count - 1].offset_s;
    }
    if (count < zone->count)
        span.end_s = zone->changes[count].at_s;
    else if (zone->has_rule)
        by_rule(zone, s, &span);
    return span;
}
