/* SPDX-License-Identifier: MIT */
#include "store/unsynced.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { FILES_MAX = 4, WRITES_MAX = 4096, SECTOR = 512, PATH_SIZE = 256 };

struct change {
    uint8_t *bytes; /* NULL: the file gets this size */
    size_t size, at;
};

struct unsynced {
    char path[PATH_SIZE]; /* empty: none */
    uint8_t *bytes;       /* as synced */
    size_t size;
    struct change changes[WRITES_MAX]; /* since then, in order */
    unsigned changes_len;
};

static struct unsynced files[FILES_MAX];
static bool watching;

/* ---- one file */

static void resize(struct unsynced *file, size_t size)
{
    file->bytes = realloc(file->bytes, size + 1); /* never 0 */
    assert_non_null(file->bytes);
    if (size > file->size)
        memset(file->bytes + file->size, 0, size - file->size);
    file->size = size;
}

/* The first `size` bytes of it. */
static void apply(struct unsynced *file, const struct change *change, size_t size)
{
    if (change->bytes == NULL) {
        resize(file, change->size);
        return;
    }
    if (change->at + size > file->size)
        resize(file, change->at + size);
    memcpy(file->bytes + change->at, change->bytes, size);
}

static void forget_changes(struct unsynced *file)
{
    for (unsigned i = 0; i < file->changes_len; i++)
        free(file->changes[i].bytes);
    file->changes_len = 0;
}

static void forget(struct unsynced *file)
{
    forget_changes(file);
    free(file->bytes);
    file->bytes = NULL;
    file->size = 0;
    file->path[0] = '\0';
}

static struct change *add(struct unsynced *file)
{
    assert_true(file->changes_len < WRITES_MAX);
    return &file->changes[file->changes_len++];
}

static void read_all(struct unsynced *file)
{
    struct stat status;
    FILE *in = fopen(file->path, "re");
    assert_non_null(in);
    assert_int_equal(fstat(fileno(in), &status), 0);
    resize(file, (size_t)status.st_size);
    assert_int_equal(fread(file->bytes, 1, file->size, in), file->size);
    fclose(in);
}

static struct unsynced *named(const char *path)
{
    for (size_t i = 0; i < FILES_MAX; i++)
        if (strcmp(files[i].path, path) == 0)
            return &files[i];
    return NULL;
}

/* ---- watching */

void unsynced_begin(void)
{
    for (size_t i = 0; i < FILES_MAX; i++)
        forget(&files[i]);
    watching = true;
}

struct unsynced *unsynced_open(const char *path)
{
    if (!watching || path == NULL)
        return NULL;
    struct unsynced *file = named(path);
    if (file != NULL)
        return file;
    file = named("");
    assert_non_null(file);
    assert_true(strlen(path) < PATH_SIZE);
    strcpy(file->path, path);
    read_all(file);
    return file;
}

void unsynced_write(struct unsynced *file, const void *bytes, int size, int64_t at)
{
    if (file == NULL || !watching)
        return;
    uint8_t *copy = malloc((size_t)size);
    assert_non_null(copy);
    memcpy(copy, bytes, (size_t)size);
    *add(file) = (struct change){.bytes = copy, .size = (size_t)size, .at = (size_t)at};
}

void unsynced_truncate(struct unsynced *file, int64_t size)
{
    if (file != NULL && watching)
        *add(file) = (struct change){.size = (size_t)size};
}

void unsynced_sync(struct unsynced *file)
{
    if (file == NULL)
        return;
    for (unsigned i = 0; i < file->changes_len; i++)
        apply(file, &file->changes[i], file->changes[i].size);
    forget_changes(file);
}

void unsynced_delete(const char *path)
{
    struct unsynced *file = path[0] != '\0' ? named(path) : NULL;
    if (file != NULL)
        forget(file);
}

/* ---- the cut */

static size_t sectors_of(struct chance *chance, const struct change *change)
{
    if (change->bytes == NULL || chance_below(chance, 4) != 0)
        return change->size;
    return chance_below(chance, (unsigned)(change->size / SECTOR + 1)) * SECTOR;
}

/* Nothing, all, what came first, or any. */
static void lose(struct unsynced *file, struct chance *chance)
{
    unsigned way = chance_below(chance, 4);
    unsigned until = way == 0   ? 0
                     : way == 2 ? chance_below(chance, file->changes_len + 1)
                                : file->changes_len;
    for (unsigned i = 0; i < until; i++)
        if (way != 3)
            apply(file, &file->changes[i], file->changes[i].size);
        else if (chance_below(chance, 2) == 0)
            apply(file, &file->changes[i], sectors_of(chance, &file->changes[i]));
    FILE *out = fopen(file->path, "we");
    assert_non_null(out);
    assert_int_equal(fwrite(file->bytes, 1, file->size, out), file->size);
    assert_int_equal(fclose(out), 0);
    forget(file);
}

void unsynced_lose(struct chance *chance)
{
    for (size_t i = 0; i < FILES_MAX; i++)
        if (files[i].path[0] != '\0')
            lose(&files[i], chance);
    watching = false;
}
