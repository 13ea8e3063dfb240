/* SPDX-License-Identifier: MIT */
/* Keeps a lease while its command runs: extends it, sends what the command writes as it comes, and
 * finds out that the job has been cancelled or given to somebody else. A thread of its own, over a
 * line of its own, since the command is waited for in the worker's. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/remote.h"

enum { LEASE_PATH_SIZE = 128 };

struct keeper;

/* The line is borrowed as long as the keeper. Of the output at most so much is sent. NULL when
 * memory, or descriptors, are short. */
struct keeper *keeper_new(struct remote_line *line, int64_t lease_us, size_t output_max_bytes);
void keeper_free(struct keeper *keeper); /* takes NULL; between an end and a begin */

/* From now on this lease is kept, `/leases/TOKEN`. 0 or -errno. */
int keeper_begin(struct keeper *keeper, const char *lease);

/* Readable when the command is to stop, as the lease is nobody's any more. The keeper's. */
int keeper_stop_descriptor(const struct keeper *keeper);

/* More output. In any thread; does not block. */
void keeper_output(void *keeper, const void *bytes, size_t size);

/* The command has ended. False: the lease was lost, and nothing is to be reported. Blocks for a
 * request that is under way. */
bool keeper_end(struct keeper *keeper);
/* After that: when it was found to be lost, by the clock; JOBD_NEVER when it was not. */
int64_t keeper_lost_at_us(const struct keeper *keeper);

/* Then: sends what of the output has not been sent, where it is not the body of a report; as much
 * as goes without a failure. Blocks. */
void keeper_send_rest(struct keeper *keeper);
