/* SPDX-License-Identifier: MIT */
/* What has failed of late, for a log: a few entries, the rest is counted. What notes one is in
 * engine.h, next to the lock that it needs. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "jobd/queue.h"

enum { FAILURES_MAX = 64 };

struct failures {
    struct jobd_failure *all; /* a ring; NULL: nobody wants to know */
    bool attempts;            /* those that will be retried too */
    uint32_t first, len;
    uint64_t missed, missed_attempts;
    bool told; /* somebody has been told, and has not looked since */
};

/* 0 or -ENOMEM. */
int failures_init(struct failures *failures, const struct jobd_config *config);
void failures_release(struct failures *failures);
