/* SPDX-License-Identifier: MIT */
/* What has failed of late, for a log: a few entries, the rest is counted. Under the engine's lock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "jobd/failures.h"

struct job;

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

/* The first line of an error, NULL for none, cut. */
void failures_first_line(const struct jobd_blob *error, char out[JOBD_FAILURE_SIZE]);

/* This attempt of the job has failed so; `final`: and with it the job. True: whoever asked is to be
 * told, when the lock is free. */
__attribute__((warn_unused_result)) bool failures_note(struct failures *failures,
                                                       const struct job *job,
                                                       const struct jobd_outcome *outcome,
                                                       bool final);
