/* SPDX-License-Identifier: MIT */
/* When there will be room in a full queue: what Retry-After says. */
#pragma once

#include <stdint.h>

#include "engine/queue.h"

/* Places are left by jobs that are taken; scheduled ones must be due before. Microseconds from now,
 * until so many places should be free. */
int64_t room_in_us(const struct queue *queue, int64_t now_us, uint64_t places);
