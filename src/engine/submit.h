/* SPDX-License-Identifier: MIT */
/* How a change is made and submitted. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"

/* Room for `max` changes, of which `reserved` are not for those who could ask again; 0: no journal.
 * 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int journal_init(struct journal *journal, uint32_t max,
                                                     uint32_t reserved);
void journal_release(struct journal *journal);

/* May a change of somebody who asks be submitted, and may its waiter (NULL: nobody, or it waits
 * already) wait for that? */
bool change_has_room_locked(struct op *op, const struct jobd_waiter *waiter)
    REQUIRES(op->jobd->lock);

/* A change of this kind: op->waiter asks for it at op->now_us, about `job` (NULL: none, or those of
 * change_add_job()). */
void change_init(struct change *change, const struct op *op, const struct change_kind *kind,
                 struct job *job);
/* One more job, which must be in no other list. */
void change_add_job(struct change *change, struct job *job);

/* Applies it, or puts it last in the journal, where there must be room; takes what it owns.
 * change->result; or JOBD_PENDING, when its waiter is told later. The waiter may have waited for
 * something else until now. */
enum jobd_result change_submit_locked(struct op *op, struct change *change)
    REQUIRES(op->jobd->lock);

/* Its jobs, up to *left of them, which is counted down: applied or undone. False when some are
 * left. */
bool change_conclude_locked(struct op *op, struct change *change, bool written, int *left)
    REQUIRES(op->jobd->lock);

/* `change`, about this job, is being undone: what was asked about the job on the strength of it
 * fails too, though it stands behind it in the journal. */
void change_void_others_locked(struct op *op, struct job *job, const struct change *change)
    REQUIRES(op->jobd->lock);

/* The store is told, when it does not know, that something waits. */
void journal_tell_store_locked(struct op *op) REQUIRES(op->jobd->lock);
