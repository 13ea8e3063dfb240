/* SPDX-License-Identifier: MIT */
/* Schedules as other processes have changed them. */
#include "engine/adopt.h"
#include "engine/schedule.h"
#include "engine/touched.h"

static void set_locked(struct op *op, struct schedule *schedule, const struct schedule_state *state)
    REQUIRES(op->jobd->lock)
{
    schedule_state_set(op, &schedule->now, state);
    schedule_set_next_locked(op, schedule, state);
}

static void delete_locked(struct op *op, struct schedule *schedule) REQUIRES(op->jobd->lock)
{
    static const struct schedule_state none;
    struct schedules *schedules = &op->jobd->schedules;
    set_locked(op, schedule, &none);
    schedules_told(schedules, schedule);
    schedules_drop(schedules, schedule);
}

static enum share_result put_locked(struct op *op, struct schedule *schedule,
                                    const struct schedule_record *record) REQUIRES(op->jobd->lock)
{
    struct schedules *schedules = &op->jobd->schedules;
    struct schedule_state state;
    if (!schedule_is_sound(record))
        return SHARE_WRONG;
    if (!schedule_state_from(record, &state))
        return SHARE_NO_MEMORY;
    if (schedule == NULL)
        schedule = schedules_add(schedules, record->name);
    if (schedule != NULL) {
        state.version = ++schedules->versions;
        schedule->restored = op->jobd->share->anew;
        set_locked(op, schedule, &state);
    }
    op_discard(op, state.terms);
    return schedule != NULL ? SHARE_OK : SHARE_ROOM;
}

enum share_result adopt_schedule_locked(struct op *op, const struct news *news,
                                        const struct share_source *source)
{
    const struct schedule_record *record = &news->schedule;
    struct schedule *schedule = schedules_find(&op->jobd->schedules, record->name);
    if (news->fresh)
        return put_locked(op, schedule, record);
    if (news->gone) { /* perhaps it came in the same turn */
        if (schedule != NULL)
            delete_locked(op, schedule);
        return SHARE_OK;
    }
    if (schedule == NULL)
        return source->overlaps ? SHARE_OK : SHARE_WRONG;
    struct schedule_state state = schedule->now;
    state.place = schedule_place_of(record);
    set_locked(op, schedule, &state);
    return SHARE_OK;
}

bool adopt_forget_schedule_locked(struct op *op)
{
    struct schedule *schedule = RB_MIN(schedule_tree, &op->jobd->schedules.tree);
    if (schedule != NULL)
        delete_locked(op, schedule);
    return schedule != NULL;
}
