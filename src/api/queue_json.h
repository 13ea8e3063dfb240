/* SPDX-License-Identifier: MIT */
/* A queue as JSON, the same wherever one is shown. */
#pragma once

#include "api/api.h"
#include "base/json.h"

/* The queue with that index; `stats` is what jobd_stats() says of it. The caller frees it; NULL
 * when memory is short. */
cJSON *queue_json(const struct api *api, uint32_t index, const struct jobd_stats *stats);
/* Where keys take turns in the queue: adds how many keys have jobs in it, and the busiest of them.
 * False when memory is short. */
bool queue_json_add_keys(const struct api *api, uint32_t number, const struct jobd_stats *stats,
                         cJSON *queue);
