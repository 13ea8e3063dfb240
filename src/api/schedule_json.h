/* SPDX-License-Identifier: MIT */
/* A schedule as JSON. */
#pragma once

#include "api/endpoint.h"
#include "base/json.h"
#include "jobd/schedule.h"

/* NULL when memory is short. Reads a zone file. */
cJSON *schedule_json(const struct api *api, const struct jobd_schedule_info *info);
