/* SPDX-License-Identifier: MIT */
/* A queue as JSON, alike wherever one is shown. */
#pragma once

#include "api/api.h"
#include "base/json.h"

/* By its index, with what jobd_stats() says of it. The caller's; NULL when memory is short. */
cJSON *queue_json(const struct api *api, uint32_t index, const struct jobd_stats *stats);
/* Adds whose jobs it has, where keys take turns: how many there are, and the busiest. False when
 * memory is short. */
bool queue_json_add_keys(const struct api *api, uint32_t number, const struct jobd_stats *stats,
                         cJSON *queue);
