/* SPDX-License-Identifier: MIT */
/* A job's states and the moves between them: the only writer of a state. */
#pragma once

#include <stdint.h>

#include "engine/engine.h"

/* A job comes in, queued or, when delayed, scheduled. */
void transition_enter_locked(struct jobd *jobd, struct job *job) REQUIRES(jobd->lock);
/* A job that comes back from an attempt, queued or, when delayed, scheduled. */
void transition_return_locked(struct jobd *jobd, struct job *job) REQUIRES(jobd->lock);
/* A job whose time has come. */
void transition_due_locked(struct jobd *jobd, struct job *job) REQUIRES(jobd->lock);
/* From the front of its ring to its take_waiter: running. */
void transition_start_locked(struct jobd *jobd, struct job *job, struct jobd_waiter *take_waiter,
                             int64_t now_us) REQUIRES(jobd->lock);
/* It has reached a final state: whoever awaits it is told. */
void transition_finish_locked(struct jobd *jobd, struct job *job, enum jobd_state state,
                              int64_t now_us, struct effects *after) REQUIRES(jobd->lock);
/* A waiting job leaves ring or heap, to be cancelled; is; or is not after all. */
void transition_withdraw_locked(struct jobd *jobd, struct job *job) REQUIRES(jobd->lock);
void transition_cancel_locked(struct jobd *jobd, struct job *job, int64_t now_us,
                              struct effects *after) REQUIRES(jobd->lock);
void transition_reinstate_locked(struct jobd *jobd, struct job *job) REQUIRES(jobd->lock);
/* A job is brought back in a state, without having moved there. */
void transition_restore_locked(struct jobd *jobd, struct job *job, enum jobd_state state)
    REQUIRES(jobd->lock);
/* A final job, no longer among the remembered, goes in again. */
void transition_retry_locked(struct jobd *jobd, struct job *job, int64_t now_us,
                             struct effects *after) REQUIRES(jobd->lock);
