/* SPDX-License-Identifier: MIT */
/* How a lease expires; its verbs are those of jobd/lease.h. */
#pragma once

#include "engine/engine.h"

/* JOBD_OK and the lease with this token, which is held; or what a holder who goes on is told. */
enum jobd_result lease_held_locked(struct op *op, const char *token, struct lease **lease)
    REQUIRES(op->jobd->lock);

/* Its deadline has passed: a failed attempt, with the reason as its error. While its end is being
 * written, or its start, it is looked at again later. Dispatches. */
void lease_expire_locked(struct op *op, struct lease *lease) REQUIRES(op->jobd->lock);
