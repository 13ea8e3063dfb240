/* SPDX-License-Identifier: MIT */
/* Until when a lease lasts: as long as its holder asked for, but no longer than its attempt may
 * take.
 */
#pragma once

#include <stdint.h>

#include "engine/engine.h"

/* The moment at which the attempt of a leased job has taken too long; JOBD_NEVER: no timeout. */
int64_t lease_timeout_at_locked(struct op *op, const struct job *job) REQUIRES(op->jobd->lock);
/* The lease lasts in_us from now, but never past its attempt's timeout: until when, which is
 * returned. */
int64_t lease_set_deadline_locked(struct op *op, struct lease *lease, int64_t in_us)
    REQUIRES(op->jobd->lock);
/* Its deadline is looked at again then, whatever its timeout. */
void lease_look_again_locked(struct op *op, struct lease *lease, int64_t at_us)
    REQUIRES(op->jobd->lock);
