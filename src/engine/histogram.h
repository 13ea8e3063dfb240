/* SPDX-License-Identifier: MIT */
/* Histograms of durations, with the buckets of jobd/stats.h. No lock of their own. */
#pragma once

#include <stdint.h>

#include "jobd/stats.h"

/* One more duration; below 0 it counts as 0. */
void histogram_add(struct jobd_histogram *histogram, int64_t us);
/* All that stands in another one, too. */
void histogram_add_all(struct jobd_histogram *histogram, const struct jobd_histogram *more);
/* What has come since it was as `told` says, which then says the present. */
struct jobd_histogram histogram_since(const struct jobd_histogram *now,
                                      struct jobd_histogram *told);
