/* SPDX-License-Identifier: MIT */
/* A queue as JSON, the same wherever one is shown. */
#pragma once

#include "api/api.h"
#include "base/json_out.h"

/* About what the members of a queue take, without its keys. */
enum { QUEUE_JSON_BYTES = 400 };

/* Writes the members of the queue with that index; `stats` is what jobd_stats() says of it. */
void queue_json_write(struct json_out *out, const struct api *api, uint32_t index,
                      const struct jobd_stats *stats);
/* Where keys take turns in the queue: writes how many keys have jobs in it, and the busiest of
 * them. */
void queue_json_write_keys(struct json_out *out, const struct api *api, uint32_t index,
                           const struct jobd_stats *stats);
