/* SPDX-License-Identifier: MIT */
/* Keeps a lease while its command runs: extends it, sends what the command writes as it comes, and
 * finds out when the job has been cancelled or given to another worker. It has a thread and a
 * client of its own, as the worker's own thread waits for the command.
 *
 * The worker's thread calls all of it but keeper_output(), in this order: keeper_begin(),
 * keeper_end(), and then, before the next lease, keeper_lost_at_us() and keeper_send_rest(). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/remote.h"

enum { LEASE_PATH_SIZE = 128 };

struct keeper;

/* The client is borrowed until keeper_free(). At most output_max_bytes of a command's output are
 * sent. NULL when memory or descriptors are short. */
struct keeper *keeper_new(struct remote_client *client, int64_t lease_us, size_t output_max_bytes);
/* Not while a lease is kept. Takes NULL. */
void keeper_free(struct keeper *keeper);

/* From now on the lease with this path, `/leases/TOKEN`, is kept. 0 or -errno. */
int keeper_begin(struct keeper *keeper, const char *lease);

/* Readable once the lease is lost, and the command must stop. It stays the keeper's. */
int keeper_stop_descriptor(const struct keeper *keeper);

/* Adds output, to be sent; `keeper` is a struct keeper. Any thread; does not block. */
void keeper_output(void *keeper, const void *bytes, size_t size);

/* The command has ended. False: the lease was lost, and there is nothing to report. Blocks until a
 * request that is under way has ended. */
bool keeper_end(struct keeper *keeper);
/* When the lease was found to be lost, by clock_now_us(); JOBD_NEVER: it was not. */
int64_t keeper_lost_at_us(const struct keeper *keeper);

/* Sends the output that has not been sent yet, for a report whose body it is not. Ends at the first
 * failure. Blocks. */
void keeper_send_rest(struct keeper *keeper);
