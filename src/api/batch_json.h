/* SPDX-License-Identifier: MIT */
/* A batch as JSON, alike wherever one is shown. */
#pragma once

#include "api/endpoint.h"
#include "base/json_out.h"

/* About as much as it takes, without its callback. */
enum { BATCH_JSON_BYTES = 320 };

/* An object. Asks the engine for the batch's callback, which may be gone. */
void batch_json_write(struct json_out *out, const struct api *api, const struct jobd_batch *batch);
