/* SPDX-License-Identifier: MIT */
/* What is asked of schedules at random; their instants are numbers here. */
#pragma once

#include "jobd/schedule.h"
#include "support/chance.h"

struct schedule_step_world {
    struct chance *chance;
    struct jobd *jobd;
    int64_t now_us;
    uint64_t *next_id; /* above all that were given out */
};

/* Asks for something; what the verb that this waiter asks for says. */
enum jobd_result schedule_step(const struct schedule_step_world *world, struct jobd_waiter *waiter);
