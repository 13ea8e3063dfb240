/* SPDX-License-Identifier: MIT */
/* The steps of schedules as changes; the verbs are in jobd/schedule.h. */
#pragma once

#include "engine/changes.h"
#include "engine/engine.h"
#include "engine/schedule_table.h"

/* A change of this step, taken, that no job comes with; submitted as change_submit_locked() has it,
 * and noted as changed. */
enum jobd_result schedule_submit_locked(struct op *op, struct schedule_step *step)
    REQUIRES(op->jobd->lock);
/* The kind of one that a job comes with. */
extern const struct change_kind schedule_fire_kind;
/* As a store keeps it, or others tell of it: of a sound one, `terms` the caller's, the payload
 * borrowed; false when memory is short. And how far it is alone. */
bool schedule_is_sound(const struct schedule_record *record);
bool schedule_state_from(const struct schedule_record *record, struct schedule_state *state);
struct schedule_place schedule_place_of(const struct schedule_record *record);
/* It will be like this; counted for the memory in place of what was to be. */
void schedule_set_next_locked(struct op *op, struct schedule *schedule,
                              const struct schedule_state *state) REQUIRES(op->jobd->lock);
