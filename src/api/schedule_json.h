/* SPDX-License-Identifier: MIT */
/* A schedule as JSON. */
#pragma once

#include "api/endpoint.h"
#include "base/json_out.h"
#include "jobd/schedule.h"

/* About what one usually takes. */
enum { SCHEDULE_JSON_BYTES = 480 };

/* Writes it as an item of an array or as the whole. Reads a zone file. */
void schedule_json_write(struct json_out *out, const struct api *api,
                         const struct jobd_schedule_info *info);
