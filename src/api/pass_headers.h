/* SPDX-License-Identifier: MIT */
/* The header fields of a request that a queue keeps with its jobs. */
#pragma once

#include <stdint.h>

#include "api/endpoint.h"

struct pass_headers;

/* For queues whose indexes are below `queues_max`; at first none of them keeps any. NULL when
 * memory is short. */
struct pass_headers *pass_headers_new(uint32_t queues_max);
void pass_headers_free(struct pass_headers *headers); /* takes NULL */

/* Which fields the queue keeps from now on: `names`, with NULL at the end, or NULL for none. They
 * are borrowed until the next call. Requests may be served meanwhile; blocks for no longer than one
 * of them reads its header. */
void pass_headers_set(struct pass_headers *headers, uint32_t queue, char *const *names);

/* Does the queue keep any? `headers` may be NULL. */
bool pass_headers_any(struct pass_headers *headers, uint32_t queue);
/* Reads the fields that it keeps into request->texts. STEP_REPLY: they are too large, or no text,
 * and the reply says so. */
enum step pass_headers_read(struct call *call, uint32_t queue);
