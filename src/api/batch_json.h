/* SPDX-License-Identifier: MIT */
/* A batch as JSON, alike wherever one is shown. */
#pragma once

#include "api/endpoint.h"
#include "base/json.h"

/* The caller's; NULL when memory is short. Asks the engine for its callback, which may be gone. */
cJSON *batch_json(const struct api *api, const struct jobd_batch *batch);
