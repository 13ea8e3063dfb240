/* SPDX-License-Identifier: MIT */
/* A job as JSON, the same wherever one is shown. */
#pragma once

#include "api/endpoint.h"
#include "base/json_out.h"

/* The caller frees it; NULL when memory is short. Asks the engine for the job's texts; they are
 * missing when the job has been forgotten since `info` was read. */
cJSON *job_json(const struct api *api, const struct jobd_info *info);
/* The same for a row of a list, in *job; NULL when the job has been forgotten since, so that a list
 * shows no job without its texts. False when memory is short. */
bool job_json_row(const struct api *api, const struct jobd_info *info, cJSON **job);
/* Adds the job's texts: key, tags, what it comes after, ...; nothing when it is gone. False when
 * memory is short. */
bool job_json_words_of(const struct api *api, cJSON *job, uint64_t id);
/* Adds the errors of its last attempts, where a single job is shown. As above. */
bool job_json_errors_of(const struct api *api, cJSON *job, uint64_t id);

/* Adds the member `tags`, if there are any: a line feed ends each tag in the text. False when
 * memory is short. */
bool job_json_tags(cJSON *job, const char *tags);
/* Writes that member. */
void job_json_write_tags(struct json_out *out, const char *tags);
