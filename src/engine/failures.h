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
    /* Of a turn that is open, and may be lost: the last of them, and those that are counted. */
    bool in_turn;
    uint32_t held;
    uint64_t held_missed, held_missed_attempts;
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
/* A turn begins: what fails in it nobody sees until it is over. It was lost: then it did not fail,
 * and will again. True: as above. */
void failures_hold(struct failures *failures);
__attribute__((warn_unused_result)) bool failures_settle(struct failures *failures, bool lost);
