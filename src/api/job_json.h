/* SPDX-License-Identifier: MIT */
/* A job as JSON, alike wherever one is shown. */
#pragma once

#include "api/endpoint.h"
#include "base/json.h"

/* The caller's; NULL when memory is short. Asks the engine for the texts, which may be gone. */
cJSON *job_json(const struct api *api, const struct jobd_info *info);
/* The same as a row of a list, in *job, for the caller; NULL when the job has been forgotten since
 * `info` was asked for, so that none is shown without its texts. False when memory is short. */
bool job_json_row(const struct api *api, const struct jobd_info *info, cJSON **job);
/* Adds what is said of the job in words, unless it is gone. False when memory is short. */
bool job_json_words_of(const struct api *api, cJSON *job, uint64_t id);
/* Adds the errors of its last attempts, for where one job alone is shown. The same. */
bool job_json_errors_of(const struct api *api, cJSON *job, uint64_t id);

/* Such texts, each with its end, as its member `tags`; "": none. False when memory is short. */
bool job_json_tags(cJSON *job, const char *tags);
