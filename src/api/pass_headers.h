/* SPDX-License-Identifier: MIT */
/* Which fields of a request each queue keeps with its jobs, and reading them. */
#pragma once

#include <stdint.h>

#include "api/endpoint.h"

struct pass_headers;

/* For queues whose indexes are below `queues_max`; none keeps any. NULL when memory is short. */
struct pass_headers *pass_headers_new(uint32_t queues_max);
void pass_headers_free(struct pass_headers *headers); /* takes NULL */

/* The queue's from now on: names, NULL at the end, borrowed until the next call; NULL: none. Beside
 * requests in other threads; blocks for no longer than one of them reads its header. */
void pass_headers_set(struct pass_headers *headers, uint32_t queue, char *const *names);

/* Does the queue keep any? `headers` may be NULL. Then they are read into request->texts;
 * STEP_REPLY: it has been answered, as they are too large, or no text. */
bool pass_headers_any(struct pass_headers *headers, uint32_t queue);
enum step pass_headers_read(struct call *call, uint32_t queue);
