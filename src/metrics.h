/* SPDX-License-Identifier: MIT */
#pragma once

#include "http.h"
#include "jobd/queue.h"

/* All figures in Prometheus' text format 0.0.4, to be freed; NULL when memory is short. */
char *metrics_text(struct jobd *jobd, struct http *http);
