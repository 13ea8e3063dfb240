/* SPDX-License-Identifier: MIT */
/* A job's states and the moves between them: the only writer of a state. */
#pragma once

#include <stdint.h>

#include "engine/engine.h"

/* A new job: blocked, when it has parents; scheduled, when it is delayed; or queued. */
void transition_enter_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock);
/* A job that was scheduled is queued. */
void transition_due_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock);
/* A job that was blocked is queued, or scheduled until its time has come. */
void transition_unblock_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock);
/* The first of its lane runs: for this taker, whose task is filled in; by a lease when it wants
 * one. */
void transition_start_locked(struct op *op, struct job *job, struct jobd_waiter *taker)
    REQUIRES(op->jobd->lock);
/* A running job goes back, queued or, when delayed, scheduled. */
void transition_return_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock);
/* A running job runs no more; its next state follows at once. */
void transition_leave_running_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock);
/* It has reached a final state, at that time: whoever awaits it is told. */
void transition_finish_locked(struct op *op, struct job *job, enum jobd_state state, int64_t at_us)
    REQUIRES(op->jobd->lock);
/* A final job, no longer among the remembered, is queued with fresh attempts. */
void transition_retry_locked(struct op *op, struct job *job, int64_t at_us)
    REQUIRES(op->jobd->lock);

/* A waiting job is to end, or to wait elsewhere: it leaves lane or heap. One of the next follows.
 */
void transition_withdraw_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock);
/* It has ended in this state; started_us: of the attempt that a late report ended, 0: it did not
 * run.
 */
void transition_end_waiting_locked(struct op *op, struct job *job, enum jobd_state state,
                                   int64_t started_us, int64_t at_us) REQUIRES(op->jobd->lock);
/* It has not after all: it waits again, where it was. */
void transition_reinstate_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock);

/* A job that has not begun has the other content, taken, and waits as that says: where it stood, if
 * it can. `content` is what it had. One that was withdrawn has it when it waits again. */
void transition_exchange_locked(struct op *op, struct job *job, struct job_content *content)
    REQUIRES(op->jobd->lock);

/* A waiting job that was withdrawn waits with the start and the priority that it has got now. */
void transition_amend_locked(struct op *op, struct job *job, enum jobd_state state)
    REQUIRES(op->jobd->lock);
/* A waiting job that was withdrawn waits in that queue, behind the others. */
void transition_move_locked(struct op *op, struct job *job, uint16_t queue)
    REQUIRES(op->jobd->lock);

/* Whoever awaits the end of a job that is final is told; or of a batch that has ended. */
void transition_tell_end_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock);
void transition_tell_batch_locked(struct op *op, struct batch *batch) REQUIRES(op->jobd->lock);

/* A job leaves the place that its state gives it, and is as a new one: its lease is over, whoever
 * runs it does so no longer. It is restored to the state that another process has said. */
void transition_detach_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock);
/* Whoever awaits the end of a job that was detached is told JOBD_STORE_FAILED. */
void transition_forsake_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock);
/* Can one more be restored that is not final? */
bool transition_has_room_locked(struct op *op, uint16_t queue) REQUIRES(op->jobd->lock);

/* A record that was read from disk is put in a state, without having moved there. */
void transition_restore_locked(struct op *op, struct job *job, enum jobd_state state)
    REQUIRES(op->jobd->lock);
