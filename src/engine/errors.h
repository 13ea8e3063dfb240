/* SPDX-License-Identifier: MIT */
/* The last attempts of a job that have failed, as one blob: jobd_errors() reads it. No lock of its
 * own.
 *
 *     bytes 0 to 7   microseconds from its end to that of the last one
 *           8, 9     the attempt
 *           10, 11   bytes of the text
 *           12       1: byte 13 is an exit code
 *           16 ...   the text; then the next attempt, a later one
 *
 * Numbers with the lowest byte first, as a store keeps them too. When the last one ended stands
 * beside the blob, since a store has clocks of its own. */
#pragma once

#include <stdint.h>

#include "engine/job_table.h"
#include "jobd/queue.h"

/* Those of the job and one more: its present attempt, which has failed at `at_us`. The caller's
 * reference; NULL: memory is short. */
struct jobd_blob *errors_with(const struct job *job, const struct jobd_outcome *outcome,
                              int64_t at_us);
