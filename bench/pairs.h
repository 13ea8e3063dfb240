/* SPDX-License-Identifier: MIT */
/* Two moments of a job, whichever comes first: when it was sent and when its line came. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* True when the other moment is already known; then `*other_ns` is it. */
bool pairs_meet(uint64_t job, int64_t now_ns, int64_t *other_ns);
