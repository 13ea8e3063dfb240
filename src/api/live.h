/* SPDX-License-Identifier: MIT */
/* What goes on: /events, and output that is followed. Replies that are streams (http/stream.h), fed
 * by one thread, which reads from the engine once for all of them and wakes them in rounds:
 *
 *     engine ── changes of state ──> events.c ──┐
 *        └───── a job's output ────> follow.c ──┴──> round: each stream that has something new is
 *                                                    woken, and may send so many bytes
 *
 * Rounds are the rarer the more streams there are, and so many bytes a second go out to all of them
 * together, so that thousands leave the server's other clients alone. A stream that has fallen
 * behind what is kept of the events is told so and goes on with the newest. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct api;
struct jobd_config;
struct live;

/* At most so many streams at a time; `config` will be told of. The engine must go before
 * live_free() and after live_stop(). 0 or -errno. */
__attribute__((warn_unused_result)) int live_new(struct live **live, uint32_t streams_max,
                                                 struct jobd_config *config);
/* Before the server serves. `api` is borrowed until live_stop(). 0 or -errno. */
__attribute__((warn_unused_result)) int live_start(struct live *live, const struct api *api);
/* When no stream is left. Takes NULL; again does nothing. */
void live_stop(struct live *live);
/* Takes NULL. */
void live_free(struct live *live);

/* Tokens were replaced: who may not follow any more comes to an end. Any thread; does not block. */
void live_judge_again(struct live *live);

/* The id of the last change of state, as /events has it; 0: nobody has followed them yet. */
uint64_t live_last_event(struct live *live);

struct live_stats {
    uint32_t streams;
    uint64_t gaps; /* told to those who follow events */
};

void live_stats(struct live *live, struct live_stats *stats);
