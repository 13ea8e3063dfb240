/* SPDX-License-Identifier: MIT */
#pragma once

#include "http/http.h"
#include "jobd/queue.h"
#include "store/store.h"

/* All figures in Prometheus' text format 0.0.4, to be freed; NULL when memory is short. `store`
 * NULL: memory only. */
char *metrics_text(struct jobd *jobd, struct http *http, struct store *store);
