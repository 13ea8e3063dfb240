/* SPDX-License-Identifier: MIT */
/* The last ten minutes of each queue, a sample every ten seconds, kept by the server so that
 * whoever looks sees at once how it came to where it is. */
#pragma once

#include <stdint.h>

#include "base/json.h"
#include "jobd/queue.h"

enum { HISTORY_SAMPLES = 60, HISTORY_INTERVAL_S = 10 };

struct history;

/* Of all queues there can be; allocated at once. 0 or -errno. */
__attribute__((warn_unused_result)) int history_new(struct history **history, struct jobd *jobd);
/* Takes NULL. */
void history_free(struct history *history);

/* Takes the sample that is due, if one is; when the next one will be, in microseconds as of
 * clock_now_us(). One thread at a time; others may read meanwhile. */
int64_t history_sample(struct history *history, int64_t now_us);

/* Adds `history` to the JSON of that queue: {"interval_s", "done", "failed", "rejected",
 * "waiting"}, lists of equal length, the oldest first: how many in each interval, and how many
 * waited at its end. False when memory is short. Any thread. */
bool history_add_queue(struct history *history, cJSON *object, uint32_t queue);
