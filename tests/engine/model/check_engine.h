/* SPDX-License-Identifier: MIT */
#pragma once

#include "jobd/queue.h"

/* Walks the whole inside of the engine and ends the process where an invariant is broken. Takes the
 * engine's lock. */
void check_engine(struct jobd *jobd);

/* jobd_finish() with nothing but a state. */
static inline void finish(struct jobd *jobd, const struct jobd_task *task, enum jobd_state state,
                          int64_t now_us)
{
    jobd_finish(jobd, task, &(struct jobd_outcome){.state = state}, now_us);
}
