/* SPDX-License-Identifier: MIT */
/* What comes of a plan: an instant and its job in one change. */
#include <stdlib.h>
#include <string.h>

#include "engine/dispatch.h"
#include "engine/schedule.h"
#include "engine/schedule_put.h"

static bool has_happened(const struct schedule_place *place, int64_t at_us)
{
    return at_us <= place->after_us || (at_us >= place->done_us[0] && at_us <= place->done_us[1]);
}

/* The job of the instant before has not ended. */
static bool is_busy_locked(struct op *op, const struct schedule_place *place)
    REQUIRES(op->jobd->lock)
{
    const struct job *job = jobs_find(&op->jobd->jobs, place->last_job);
    return job != NULL && !job_has_ended(job);
}

/* All up to here has been seen to; what was missed leaves a gap. */
static void move_on(struct schedule_place *place, int64_t until_us, uint64_t missed)
{
    int64_t gap_us = place->floor_us != 0 ? place->since_us - place->floor_us : 0;
    if (place->since_us == 0) {
        place->since_us = until_us;
    } else if (missed > 0 && until_us - place->after_us > gap_us) {
        place->floor_us = place->after_us;
        place->since_us = until_us;
    }
    place->missed += missed;
    place->after_us = until_us;
    if (place->done_us[1] != 0 && place->done_us[1] <= until_us) {
        if (place->since_us > place->done_us[0])
            place->floor_us = latest_us(place->floor_us, place->done_us[1]);
        place->done_us[0] = place->done_us[1] = 0;
    }
}

static struct schedule_step *step_of(struct op *op, struct schedule *schedule,
                                     const struct jobd_firing *firing)
{
    struct schedule_step *step = calloc(1, sizeof *step);
    if (step == NULL)
        return NULL;
    step->schedule = schedule;
    step->row = ROW_SCHEDULE_STEP;
    step->missed = firing->missed;
    schedule_state_set(op, &step->to, &schedule->next);
    move_on(&step->to.place, firing->at_us != 0 ? firing->at_us : firing->until_us, firing->missed);
    return step;
}

/* Without a job: `alone` says so, or somebody else has put it in. */
static enum jobd_result advance_locked(struct op *op, struct schedule_step *step)
    REQUIRES(op->jobd->lock)
{
    if (!change_has_room_locked(op, NULL)) {
        schedule_step_end(op, step);
        return JOBD_TOO_MANY_WAITERS;
    }
    return schedule_submit_locked(op, step);
}

static enum jobd_result put_job_locked(struct op *op, struct schedule_put *put,
                                       const struct jobd_firing *firing) REQUIRES(op->jobd->lock)
{
    struct jobd_receipt receipt = {.id = 0};
    struct jobd *jobd = op->jobd;
    struct schedule_place *place = &put->step->to.place;
    place->last_us = firing->at_us;
    const struct job *same =
        put->extra != NULL ? jobs_with_key(&jobd->jobs, (uint16_t)put->put.queue, put->extra->key)
                           : NULL;
    if (same != NULL) {
        struct schedule_step *step = put->step;
        place->last_job = same->id;
        put->step = NULL;
        return advance_locked(op, step);
    }
    put->step->fires = true;
    place->last_job = jobd->next_id;
    return schedule_put_locked(op, put, &receipt);
}

static enum jobd_result fire_locked(struct op *op, struct schedule *schedule,
                                    const struct jobd_firing *firing) REQUIRES(op->jobd->lock)
{
    struct schedule_step *step = step_of(op, schedule, firing);
    if (step == NULL)
        return JOBD_OUT_OF_MEMORY;
    if (firing->at_us == 0)
        return advance_locked(op, step);
    if (schedule_of("", &schedule->next).alone && is_busy_locked(op, &schedule->next.place)) {
        step->skipped = 1;
        step->to.place.skipped++;
        return advance_locked(op, step);
    }
    struct schedule_put put = {.key = firing->key, .step = step};
    enum jobd_result result = schedule_put_make_locked(op, schedule, &put);
    if (result == JOBD_OK)
        result = put_job_locked(op, &put, firing);
    schedule_step_end(op, put.step);
    schedule_put_end(op, &put);
    return result;
}

/* Of this version, and not paused; or NULL. */
static struct schedule *find_locked(struct op *op, const char *name, uint64_t version)
    REQUIRES(op->jobd->lock)
{
    struct schedule *schedule = schedules_find(&op->jobd->schedules, name);
    bool good = schedule != NULL && schedule->next.terms != NULL &&
                (version == 0 || schedule->next.version == version) && !schedule->next.place.paused;
    return good ? schedule : NULL;
}

enum jobd_result jobd_schedule_fire(struct jobd *jobd, const struct jobd_firing *firing,
                                    int64_t now_us)
{
    struct op op;
    enum jobd_result result = JOBD_REPEATED;
    op_begin(&op, jobd, NULL, now_us);
    struct schedule *schedule = find_locked(&op, firing->name, firing->version);
    int64_t until_us = firing->at_us != 0 ? firing->at_us : firing->until_us;
    if (schedule == NULL)
        result = JOBD_NO_SCHEDULE;
    else if (firing->at_us != 0 ? !has_happened(&schedule->next.place, until_us)
                                : until_us > schedule->next.place.after_us)
        result = fire_locked(&op, schedule, firing);
    op_end(&op);
    return result;
}

/* ---- a clock that was wrong */

static void turn_back(struct schedule_place *place, int64_t wall_us)
{
    if (place->since_us != 0) {
        place->done_us[0] = place->since_us;
        place->done_us[1] = place->after_us;
    }
    place->since_us = 0;
    place->after_us = latest_us(wall_us, place->floor_us);
}

static enum jobd_result turn_locked(struct op *op, struct schedule *schedule, int64_t wall_us)
    REQUIRES(op->jobd->lock)
{
    if (wall_us >= schedule_back_us(&schedule->next.place))
        return JOBD_REPEATED;
    struct schedule_step *step = calloc(1, sizeof *step);
    if (step == NULL)
        return JOBD_OUT_OF_MEMORY;
    step->schedule = schedule;
    step->row = ROW_SCHEDULE_STEP;
    schedule_state_set(op, &step->to, &schedule->next);
    turn_back(&step->to.place, wall_us);
    return advance_locked(op, step);
}

enum jobd_result jobd_schedule_turn_back(struct jobd *jobd, const char *name,
                                         const struct jobd_moment *moment)
{
    struct op op;
    op_begin(&op, jobd, NULL, moment->now_us);
    struct schedule *schedule = find_locked(&op, name, 0);
    enum jobd_result result =
        schedule != NULL ? turn_locked(&op, schedule, moment->wall_us) : JOBD_NO_SCHEDULE;
    op_end(&op);
    return result;
}
