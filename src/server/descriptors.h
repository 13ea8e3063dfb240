/* SPDX-License-Identifier: MIT */
/* Open files: how many connections the limit leaves room for, beside the workers. */
#pragma once

#include "base/problem.h"
#include "server/options.h"

/* Raises the limit as far as allowed. *connections is what the options ask for, or less if the
 * limit leaves no room for that. False when there is room for none: `problem` says what is
 * needed. */
bool descriptors_fit(const struct options *options, uint32_t *connections, struct problem *problem);
/* Does the limit allow so many workers in all, beside so many connections? */
bool descriptors_suffice(uint32_t connections, uint64_t workers);
