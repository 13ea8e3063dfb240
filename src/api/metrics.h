/* SPDX-License-Identifier: MIT */
/* The figures: as Prometheus' metrics, and those of a queue as JSON. */
#pragma once

#include <stdbool.h>

#include "api/api.h"
#include "base/json.h"
#include "jobd/queue.h"

/* All figures in Prometheus' text format 0.0.4, to be freed; NULL when memory is short. */
char *metrics_text(const struct api *api);
/* Those of one queue that GET /queues shows; false when memory is short. */
bool metrics_add_queue(cJSON *queue, const struct jobd_stats *stats);
