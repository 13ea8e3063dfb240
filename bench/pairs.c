/* SPDX-License-Identifier: MIT */
#include "pairs.h"

/* Ids count up one by one, so that the low bits of those under way are all different. */
enum { SLOTS = 1 << 20 };

static struct {
    uint64_t job;
    int64_t at_ns;
} slots[SLOTS];

bool pairs_meet(uint64_t job, int64_t now_ns, int64_t *other_ns)
{
    if (slots[job % SLOTS].job == job) {
        *other_ns = slots[job % SLOTS].at_ns;
        slots[job % SLOTS].job = 0;
        return true;
    }
    slots[job % SLOTS].job = job;
    slots[job % SLOTS].at_ns = now_ns;
    return false;
}
