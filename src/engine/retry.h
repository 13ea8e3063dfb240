/* SPDX-License-Identifier: MIT */
/* A job that has ended goes back in, by hand. */
#pragma once

#include "engine/changes.h"

extern const struct change_kind retry_kind;

/* It counts in its group from now on, and is promised its delivery where it has a callback:
 * JOBD_OK; JOBD_GROUP_FULL, JOBD_CALLBACKS_FULL or JOBD_OUT_OF_MEMORY. */
enum jobd_result retry_join_locked(struct op *op, struct job *job) REQUIRES(op->jobd->lock);
/* Adds an ended job that is remembered, and has joined its group, to such a change. Its queue must
 * have room for it. */
void retry_add_locked(struct op *op, struct change *change, struct job *job)
    REQUIRES(op->jobd->lock);
