/* SPDX-License-Identifier: MIT */
/* How long a lease may last, and what its holder may say. */
#pragma once

#include "base/clock.h"

#define LEASE_US     (60 * CLOCK_SECOND_US) /* when nothing is said */
#define LEASE_MIN_US (CLOCK_SECOND_US / 10)
#define LEASE_MAX_US (INT64_C(7) * 86400 * CLOCK_SECOND_US)
#define LEASE_VALUES "a duration from 100ms to 7d, like 30s, 5m or 2h"

enum {
    EXIT_CODE_MAX = 255,
    ERROR_MAX_BYTES = 1024,   /* of an error, that are kept */
    PROGRESS_MAX_BYTES = 1024 /* longer ones are refused */
};
