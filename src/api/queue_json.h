/* SPDX-License-Identifier: MIT */
/* A queue as JSON, alike wherever one is shown. */
#pragma once

#include "api/api.h"
#include "base/json.h"

/* By its index. The caller's; NULL when memory is short. */
cJSON *queue_json(const struct api *api, uint32_t index);
