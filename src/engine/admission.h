/* SPDX-License-Identifier: MIT */
/* Who is let in: whether a queue is full, or the memory, is decided here and nowhere else. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"
#include "engine/refuse.h"

struct change;
struct change_kind;
struct schedule_step;

/* Somebody who asks for jobs to be let in, at once or after waiting for room. */
struct admission {
    const struct jobd_put *put; /* borrowed; what it offers is taken on JOBD_OK and JOBD_PENDING */
    struct jobd_waiter *waiter; /* NULL: nobody waits */
    /* One for each job, linked; NULL: they need none. What is left is the caller's. */
    struct job_extra *extra;
    struct jobd_receipt *receipt;
    /* The change is a step of a schedule too, of this kind, and takes it on JOBD_OK and
     * JOBD_PENDING; NULL: it is none. */
    const struct change_kind *kind;
    struct schedule_step *step;
};

/* What is said of its nth job. */
const struct jobd_put *admission_put(const struct jobd_put *put, uint32_t number);
/* Of one put. */
uint32_t admission_jobs(const struct jobd_put *put);

/* How many more may wait in the queue. */
uint32_t admission_room(const struct queue *queue);
/* JOBD_OK, JOBD_UNDECLARED or JOBD_CLOSED. */
enum jobd_result admission_open_locked(struct op *op, const struct queue *queue)
    REQUIRES(op->jobd->lock);
/* May so many jobs come in, behind those who wait for room? `waiter`: who asks, NULL: nobody waits;
 * one who waits already is the next of them. JOBD_OK, JOBD_STORE_FAILED, JOBD_FULL or
 * JOBD_TOO_MANY_WAITERS. */
enum jobd_result admission_check_locked(struct op *op, const struct queue *queue, uint32_t jobs,
                                        struct jobd_waiter *waiter) REQUIRES(op->jobd->lock);

/* All of it is let in, or nothing: JOBD_OK, JOBD_PENDING; JOBD_FULL, JOBD_OUT_OF_MEMORY,
 * JOBD_CALLBACKS_FULL, JOBD_NO_CALLBACKS, JOBD_UNDECLARED, JOBD_CLOSED, JOBD_CONFLICT,
 * JOBD_NO_PARENT, JOBD_LATER_PARENT, JOBD_RESERVED, JOBD_STORE_FAILED, JOBD_TOO_MANY_WAITERS.
 * JOBD_OK and JOBD_PENDING too for a key that was seen before, whose job is on the receipt then.
 * Does not dispatch. */
enum jobd_result admission_locked(struct op *op, struct admission *admission)
    REQUIRES(op->jobd->lock);
/* What a change that lets jobs in does with each of them when it is written, and when it cannot be.
 */
void admission_apply_locked(struct op *op, struct change *change, struct job *job)
    REQUIRES(op->jobd->lock);
void admission_undo_locked(struct op *op, struct change *change, struct job *job)
    REQUIRES(op->jobd->lock);
/* Makes what its jobs need beyond their records, `extra`, linked: NULL when they need nothing. 0 or
 * -ENOMEM. */
__attribute__((warn_unused_result)) int
admission_extras(const struct jobd *jobd, struct admission *admission, int64_t now_us);
/* For one who waits for room, now that there is: what it is woken with, or JOBD_PENDING. */
enum jobd_result admission_waiting_locked(struct op *op, struct jobd_waiter *putter)
    REQUIRES(op->jobd->lock);
/* For one who waits for more room than there ever is now: it is told JOBD_FULL, and why. */
void admission_give_up_locked(struct op *op, struct jobd_waiter *putter) REQUIRES(op->jobd->lock);
/* After JOBD_OK: its waiter with end_us waits for the end of its job next. */
enum jobd_result admission_await_locked(struct op *op, const struct admission *admission)
    REQUIRES(op->jobd->lock);
