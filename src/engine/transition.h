/* SPDX-License-Identifier: MIT */
/* A job's states and the moves between them: the only writer of a state. */
#pragma once

#include <stdint.h>

#include "engine/engine.h"

/* A job comes in, queued or, when delayed, scheduled. */
void life_enter_locked(struct jobd *jobd, struct job *job) REQUIRES(jobd->lock);
/* A job that comes back from an attempt, queued or, when delayed, scheduled. */
void life_come_back_locked(struct jobd *jobd, struct job *job) REQUIRES(jobd->lock);
/* A job whose time has come. */
void life_due_locked(struct jobd *jobd, struct job *job) REQUIRES(jobd->lock);
/* From the front of its ring to its taker: running. */
void life_begin_locked(struct jobd *jobd, struct job *job, struct jobd_waiter *taker,
                       int64_t now_us) REQUIRES(jobd->lock);
/* It has reached a final state: whoever awaits it is told. */
void life_final_locked(struct jobd *jobd, struct job *job, enum jobd_state state, int64_t now_us,
                       struct aftermath *after) REQUIRES(jobd->lock);
/* A waiting job leaves ring or heap, to be cancelled; is; or is not after all. */
void life_detach_locked(struct jobd *jobd, struct job *job) REQUIRES(jobd->lock);
void life_cancelled_locked(struct jobd *jobd, struct job *job, int64_t now_us,
                           struct aftermath *after) REQUIRES(jobd->lock);
void life_attach_locked(struct jobd *jobd, struct job *job) REQUIRES(jobd->lock);
/* A job is brought back in a state, without having moved there. */
void life_restore_locked(struct jobd *jobd, struct job *job, enum jobd_state state)
    REQUIRES(jobd->lock);
/* A final job, no longer among the remembered, goes in again. */
void admit_again_locked(struct jobd *jobd, struct job *job, int64_t now_us, struct aftermath *after)
    REQUIRES(jobd->lock);
