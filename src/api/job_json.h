/* SPDX-License-Identifier: MIT */
/* A job as JSON, the same wherever one is shown. Each of these writes members of an object that the
 * caller has opened, and closes. What they ask the engine for is left out when the job has been
 * forgotten since `info` was read. */
#pragma once

#include "api/endpoint.h"
#include "base/json_out.h"

/* About as much as a job's members take, without its texts. */
enum { JOB_JSON_BYTES = 384 };

void job_json_write(struct json_out *out, const struct api *api, const struct jobd_info *info);
/* The errors of its last attempts, where a single job is shown; nothing when there are none. */
void job_json_write_errors(struct json_out *out, const struct api *api,
                           const struct jobd_info *info);
/* The job's texts alone: key, tags, what it comes after, ... */
void job_json_write_words(struct json_out *out, const struct api *api, uint64_t id);
/* The member `tags`, if there are any: a line feed ends each tag in the text. */
void job_json_write_tags(struct json_out *out, const char *tags);

/* The job as an item of a list; nothing when it has texts and has been forgotten since, so that a
 * list shows no job without its texts. */
void job_json_write_row(struct json_out *out, const struct api *api, const struct jobd_info *info);
