/* SPDX-License-Identifier: MIT */
/* Space that is held while the disk has some, and let go when it is full: so that jobs can still be
 * finished and cancelled, which needs space before it gives any back. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { BALLAST_BYTES = 4 << 20 };

/* Makes the file and gives it its space, when it has not; false when there is none, or when not so
 * many bytes are free beside it. */
bool ballast_hold(const char *path, uint64_t spare_bytes);

/* False when there was nothing to let go. */
bool ballast_release(const char *path);
