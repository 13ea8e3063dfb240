/* SPDX-License-Identifier: MIT */
/* The limit on open files, and what it leaves room for. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/problem.h"
#include "server/options.h"

/* Raises the limit as far as is allowed. *connections_max: as many as are asked for, or fit beside
 * the workers; false when that is none. */
bool descriptors_fit(const struct options *options, uint32_t *connections_max,
                     struct problem *problem);
/* Does it allow so many workers in all, beside the connections? */
bool descriptors_allow(uint32_t connections, uint64_t workers);
