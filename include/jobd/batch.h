/* SPDX-License-Identifier: MIT */
/* Batches: jobs that were put in at once (jobd_put.batch_len). */
#pragma once

#include "jobd/queue.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Jobs that were put in at once, at one moment. Its id is that of the first of them. */
struct jobd_batch {
    uint64_t id;
    uint32_t queue; /* where it came in */
    uint32_t ids;   /* its jobs have the ids from its own on, so many */
    uint32_t jobs;  /* that are known of; fewer than ids when some could not be read at a start */
    uint32_t in_state[JOBD_STATES];  /* jobs in each state, those that are forgotten included */
    int64_t created_us, finished_us; /* as in jobd_info; 0: not all of them have ended */
};

/* JOBD_OK or JOBD_NO_JOB. A batch is remembered as long as one of its jobs, and at least as long as
 * others that have ended are. */
JOBD_API enum jobd_result jobd_get_batch(struct jobd *jobd, uint64_t id, int64_t now_us,
                                         struct jobd_batch *batch);
/* JOBD_OK and a reference, the caller's, to what jobd_text() reads: its JOBD_CALLBACK; NULL when it
 * has none; or JOBD_NO_JOB. */
JOBD_API JOBD_MUST_READ enum jobd_result jobd_get_batch_words(struct jobd *jobd, uint64_t id,
                                                              struct jobd_blob **words);
/* The id of the batch that this job came with; 0: it came alone, or the batch is forgotten. */
JOBD_API uint64_t jobd_batch_of(struct jobd *jobd, uint64_t id);
/* JOBD_OK when all its jobs have ended; JOBD_PENDING when the waiter will be woken when they have,
 * with waiter->batch as it is then, or at its deadline; JOBD_NO_JOB; JOBD_TOO_MANY_WAITERS. */
JOBD_API JOBD_MUST_READ enum jobd_result
jobd_await_batch(struct jobd *jobd, uint64_t id, struct jobd_waiter *waiter, int64_t now_us);

#ifdef __cplusplus
}
#endif
