/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

#include "engine/engine.h"

/* A waiting job is cancelled: as jobd_cancel() says; there must be room for the change.
 * `undo_on_failure` as in the change. Does not dispatch. */
enum jobd_result cancel_waiting_locked(struct op *op, struct job *job, bool undo_on_failure)
    REQUIRES(op->jobd->lock);
