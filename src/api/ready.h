/* SPDX-License-Identifier: MIT */
/* Is the server ready for more? */
#pragma once

#include <stdbool.h>

#include "api/api.h"
#include "base/problem.h"

/* False: `reason` says why not. Any thread; does not block. */
bool api_ready(const struct api *api, struct problem *reason);
