/* SPDX-License-Identifier: MIT */
/* What the power can take from files: what was written since each was last synced. Any of those
 * writes may be on the disk or not, in any order, also some sectors of one alone.
 *
 * The names of files, and that one is gone, are taken for synced. One thread at a time. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "support/chance.h"

struct unsynced;

/* Files that are opened from now on are watched; all else is forgotten. */
void unsynced_begin(void);
/* A file as it is on the disk; the same one again when it is open already. NULL: not watched, here
 * and below. */
struct unsynced *unsynced_open(const char *path);
void unsynced_write(struct unsynced *file, const void *bytes, int size, int64_t at);
void unsynced_truncate(struct unsynced *file, int64_t size);
void unsynced_sync(struct unsynced *file);
void unsynced_delete(const char *path);

/* The power fails: the files become what the disk may have by then, and are watched no more. None
 * may be open. */
void unsynced_lose(struct chance *chance);
