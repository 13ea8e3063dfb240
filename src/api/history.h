/* SPDX-License-Identifier: MIT */
/* The last ten minutes of each queue, a sample every ten seconds. The server keeps them, so that a
 * page that has just been opened can show them. */
#pragma once

#include <stdint.h>

#include "base/json_out.h"
#include "jobd/queue.h"

enum { HISTORY_SAMPLES = 60, HISTORY_INTERVAL_S = 10 };

struct history;

/* Allocates room for all queues that there can be. 0 or -errno. */
__attribute__((warn_unused_result)) int history_new(struct history **history, struct jobd *jobd);
/* Takes NULL. */
void history_free(struct history *history);

/* Takes a sample if one is due. Returns when the next one is, in microseconds of clock_now_us().
 * One thread at a time; others may read meanwhile. */
int64_t history_sample(struct history *history, int64_t now_us);

/* What that takes when each number has one digit; it grows for more. */
enum { HISTORY_JSON_BYTES = 4 * 2 * HISTORY_SAMPLES + 96 };

/* Writes the member `history` of that queue: {"interval_s", "done", "failed", "rejected",
 * "waiting"}. The last four are lists of equal length, the oldest sample first: how many jobs ended
 * so or were turned away in each interval, and how many waited at its end. Any thread. */
void history_write_queue(struct json_out *out, struct history *history, uint32_t queue);
