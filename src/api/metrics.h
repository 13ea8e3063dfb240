/* SPDX-License-Identifier: MIT */
/* The figures: as Prometheus' metrics, and those of a queue as JSON. */
#pragma once

#include "api/api.h"
#include "base/json_out.h"
#include "jobd/queue.h"

/* All figures in Prometheus' text format 0.0.4, to be freed; NULL when memory is short. */
char *metrics_text(const struct api *api);
/* Writes those of one queue that GET /queues shows, as members. */
void metrics_write_queue(struct json_out *out, const struct jobd_stats *stats);
