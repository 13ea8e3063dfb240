/* SPDX-License-Identifier: MIT */
/* Who is let in: a put, a batch, a key that was seen before. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"

bool admit_has_room(const struct queue *queue, const struct jobd_put *put);
/* Jobs of a put. */
uint32_t admit_jobs(const struct jobd_put *put);
/* One for each job, linked; *extra is NULL when they need none. 0 or -ENOMEM. */
int admit_extras(const struct jobd_put *put, struct job_extra **extra);
/* The remembered job with the same key, or NULL. */
const struct job *admit_duplicate_locked(struct jobd *jobd, const struct jobd_put *put,
                                         const struct job_extra *extra) REQUIRES(jobd->lock);
/* All of it goes in, or nothing: JOBD_OK; JOBD_PENDING, when it is written; or why not. */
enum jobd_result admit_locked(struct jobd *jobd, const struct jobd_put *put,
                              struct job_extra **extra, struct jobd_waiter *waiter, int64_t now_us,
                              struct jobd_receipt *receipt, struct effects *after)
    REQUIRES(jobd->lock);
/* A job is in; its putter may wait for its end too. */
enum jobd_result admit_result_locked(struct jobd *jobd, struct jobd_waiter *put_waiter, uint64_t id,
                                     int64_t now_us) REQUIRES(jobd->lock);
/* What an answer to so many jobs that are not let in says. */
void admit_turn_away(struct queue *queue, uint32_t jobs, enum jobd_result result, int64_t now_us,
                     struct jobd_receipt *receipt);
/* For one who waits for room, and there is. */
enum jobd_result admit_waiting_locked(struct jobd *jobd, struct jobd_waiter *put_waiter,
                                      int64_t now_us, struct effects *after) REQUIRES(jobd->lock);
