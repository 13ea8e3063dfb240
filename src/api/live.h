/* SPDX-License-Identifier: MIT */
/* The streams: /events, and output that is followed. They are replies without an end
 * (http/stream.h). One thread reads from the engine, once for all of them, and wakes them in
 * rounds:
 *
 *     engine ── changes of state ──> events.c ──┐
 *        └───── a job's output ────> follow.c ──┴──> round: each stream that has something new is
 *                                                    woken, and may send some bytes
 *
 * The more streams there are, the rarer the rounds; and all streams share one limit of bytes a
 * second. So thousands of them do not slow down the server's other clients. A stream for which
 * events are lost, as its client reads too slowly, is told so and goes on with the newest. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct api;
struct jobd_config;
struct live;

/* For at most `streams_max` streams at a time. Sets `on_event` in the config of the engine, which
 * calls it until it is freed: so live_stop() comes before that, and live_free() after it. 0 or
 * -errno. */
__attribute__((warn_unused_result)) int live_new(struct live **live, uint32_t streams_max,
                                                 struct jobd_config *config);
/* Starts the thread; before the server serves. `api` is borrowed until live_stop(). 0 or -errno. */
__attribute__((warn_unused_result)) int live_start(struct live *live, const struct api *api);
/* Ends the thread, and waits for that; no stream may be left. Takes NULL; a second call does
 * nothing. */
void live_stop(struct live *live);
/* Takes NULL. */
void live_free(struct live *live);

/* The tokens were replaced: the thread will end the streams whose tokens do not allow them any
 * more. Any thread; does not block. */
void live_judge_again(struct live *live);

/* The id that /events gave to the last change of state; 0: nobody has followed them yet. */
uint64_t live_last_event(struct live *live);

struct live_stats {
    uint32_t streams;
    uint64_t gaps; /* how often a follower of events was told that it missed some */
};

void live_stats(struct live *live, struct live_stats *stats);
