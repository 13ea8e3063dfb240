/* SPDX-License-Identifier: MIT */
/* A body line by line. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "jobd/blob.h"

/* The body's next line that is not empty, without its end, and its number, which counts on from
 * *number; false when there is none any more. */
bool lines_next(const struct jobd_blob *body, size_t *at, uint32_t *number, const char **line,
                size_t *size);
