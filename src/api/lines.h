/* SPDX-License-Identifier: MIT */
/* Reading a body line by line. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "jobd/blob.h"

/* The next line of the body that is not empty, without its line end. *at is where to go on and
 * *number the line's, from 1; both start as 0. False when there are no more lines. */
bool lines_next(const struct jobd_blob *body, size_t *at, uint32_t *number, const char **line,
                size_t *size);
