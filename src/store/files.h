/* SPDX-License-Identifier: MIT */
/* Files that must be the store's own: whoever can write in its directory could otherwise have it
 * write to any file. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/problem.h"

/* A plain file with one name, of ours, root's or `owner`'s, who owns the directory; or none at all.
 * Else false, and a problem that names it and what to do. */
bool files_check(const char *path, uid_t owner, struct problem *problem);

/* The same of one that is open, whoever owns it. */
bool files_is_plain(int fd);

/* Says in the log that others can write in this directory, if so. */
void files_warn(const char *directory, int folder);
