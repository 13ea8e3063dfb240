/* SPDX-License-Identifier: MIT */
/* What is asked of schedules: put, delete, pause, run; and looking at them. Each makes of what the
 * schedule will be, after what is under way, what it shall be then. */
#include <stdlib.h>
#include <string.h>

#include "engine/admission.h"
#include "engine/dispatch.h"
#include "engine/schedule.h"
#include "engine/schedule_put.h"

/* ---- a step */

/* One that leaves all as it is; false when memory is short. */
static bool step_new(struct schedule_step **step)
{
    *step = calloc(1, sizeof **step);
    return *step != NULL;
}

/* From what the schedule will be. */
static void step_from(struct op *op, struct schedule_step *step, struct schedule *schedule,
                      enum row_kind row)
{
    step->schedule = schedule;
    step->row = row;
    schedule_state_set(op, &step->to, &schedule->next);
}

/* The schedule with this name, as it will be; NULL: there will be none. */
static struct schedule *find_locked(struct op *op, const char *name) REQUIRES(op->jobd->lock)
{
    struct schedule *schedule = schedules_find(&op->jobd->schedules, name);
    return schedule != NULL && schedule->next.terms != NULL ? schedule : NULL;
}

/* May a change be submitted now, which its asker (NULL: nobody) waits for? */
static enum jobd_result room_locked(struct op *op) REQUIRES(op->jobd->lock)
{
    return change_has_room_locked(op, op->waiter) ? JOBD_OK : JOBD_TOO_MANY_WAITERS;
}

/* ---- put */

struct put_asked {
    const struct jobd_schedule *schedule;
    struct schedule_state state; /* its terms and payload; owned */
    int64_t wall_us;
};

/* It begins now, and takes nothing that has happened once more. */
static struct schedule_place place_from(const struct schedule *before,
                                        const struct put_asked *asked)
{
    if (before->next.terms == NULL)
        return (struct schedule_place){.after_us = asked->wall_us};
    struct schedule_place place = before->next.place;
    const struct jobd_schedule was = schedule_of(before->name, &before->next);
    if (!schedule_same_plan(&was, asked->schedule))
        place.after_us = latest_us(place.after_us, asked->wall_us);
    return place;
}

/* What is there is compared with what is asked for. */
static enum jobd_schedule_change compare(const struct schedule *there,
                                         const struct put_asked *asked)
{
    if (there == NULL || there->next.terms == NULL)
        return JOBD_SCHEDULE_NEW;
    const struct jobd_schedule is = schedule_of(there->name, &there->next);
    /* While its put is under way nobody is told that it is there. */
    return there->steps == 0 && jobd_schedule_same(&is, asked->schedule) ? JOBD_SCHEDULE_SAME
                                                                         : JOBD_SCHEDULE_REPLACED;
}

static enum jobd_result check_put_locked(struct op *op, const struct schedule *there,
                                         const struct put_asked *asked) REQUIRES(op->jobd->lock)
{
    struct jobd *jobd = op->jobd;
    const struct schedules *schedules = &jobd->schedules;
    bool is_there = there != NULL && there->next.terms != NULL;
    bool own = !is_there || asked->schedule->fixed || !schedule_of("", &there->next).fixed;
    if (jobd->closed)
        return JOBD_CLOSED;
    if (!own)
        return JOBD_SCHEDULE_FIXED;
    if (!is_there && schedules->len >= schedules->max)
        return JOBD_TOO_MANY_SCHEDULES;
    if (jobd->journal.refuses)
        return JOBD_STORE_FAILED;
    if (!jobs_make_room(&jobd->jobs, schedule_weight(&asked->state), op))
        return JOBD_OUT_OF_MEMORY;
    return room_locked(op);
}

/* Takes the step, when it is submitted: then *step is NULL. */
static enum jobd_result put_locked(struct op *op, const struct put_asked *asked,
                                   struct schedule_step **step, enum jobd_schedule_change *change)
    REQUIRES(op->jobd->lock)
{
    struct schedules *schedules = &op->jobd->schedules;
    struct schedule *schedule = schedules_find(schedules, asked->schedule->name);
    enum jobd_result result = check_put_locked(op, schedule, asked);
    *change = compare(schedule, asked);
    if (result != JOBD_OK || *change == JOBD_SCHEDULE_SAME)
        return result;
    if (schedule == NULL)
        schedule = schedules_add(schedules, asked->schedule->name);
    if (schedule == NULL) /* those that are just being deleted have their records still */
        return JOBD_TOO_MANY_SCHEDULES;
    struct schedule_step *own = *step;
    *step = NULL;
    own->schedule = schedule;
    own->row = ROW_SCHEDULE;
    schedule_state_set(op, &own->to, &asked->state);
    own->to.version = ++schedules->versions;
    own->to.place = place_from(schedule, asked);
    return schedule_submit_locked(op, own);
}

enum jobd_result jobd_schedule_put(struct jobd *jobd, const struct jobd_schedule *schedule,
                                   struct jobd_waiter *waiter, const struct jobd_moment *moment,
                                   enum jobd_schedule_change *change)
{
    struct op op;
    struct schedule_step *step = NULL;
    struct put_asked asked = {.schedule = schedule, .wall_us = moment->wall_us};
    verify(schedule->priority < JOBD_PRIORITIES && schedule->attempts <= JOBD_ATTEMPTS_MAX);
    asked.state.terms = schedule_terms_new(schedule);
    if (asked.state.terms == NULL || !step_new(&step)) {
        jobd_blob_unref(asked.state.terms);
        return JOBD_OUT_OF_MEMORY;
    }
    asked.state.payload = schedule->payload;
    op_begin(&op, jobd, waiter, moment->now_us);
    enum jobd_result result = put_locked(&op, &asked, &step, change);
    op_end(&op);
    schedule_step_free(step);
    jobd_blob_unref(asked.state.terms);
    return result;
}

/* ---- delete, pause */

static enum jobd_result delete_locked(struct op *op, const char *name, bool fixed,
                                      struct schedule_step **step) REQUIRES(op->jobd->lock)
{
    struct schedule *schedule = find_locked(op, name);
    if (schedule == NULL)
        return JOBD_NO_SCHEDULE;
    if (schedule_of("", &schedule->next).fixed && !fixed)
        return JOBD_SCHEDULE_FIXED;
    enum jobd_result result = room_locked(op);
    if (result != JOBD_OK)
        return result;
    struct schedule_step *own = *step;
    *step = NULL;
    own->schedule = schedule;
    own->row = ROW_UNSCHEDULE;
    return schedule_submit_locked(op, own);
}

enum jobd_result jobd_schedule_delete(struct jobd *jobd, const char *name, bool fixed,
                                      struct jobd_waiter *waiter, int64_t now_us)
{
    struct op op;
    struct schedule_step *step;
    if (!step_new(&step))
        return JOBD_OUT_OF_MEMORY;
    op_begin(&op, jobd, waiter, now_us);
    enum jobd_result result = delete_locked(&op, name, fixed, &step);
    op_end(&op);
    schedule_step_free(step);
    return result;
}

static enum jobd_result pause_locked(struct op *op, const char *name, bool paused, int64_t wall_us,
                                     struct schedule_step **step) REQUIRES(op->jobd->lock)
{
    struct schedule *schedule = find_locked(op, name);
    if (schedule == NULL)
        return JOBD_NO_SCHEDULE;
    if (schedule->steps == 0 && schedule->next.place.paused == paused)
        return JOBD_OK;
    enum jobd_result result = room_locked(op);
    if (result != JOBD_OK)
        return result;
    struct schedule_step *own = *step;
    *step = NULL;
    step_from(op, own, schedule, ROW_SCHEDULE_STEP);
    if (own->to.place.paused && !paused)
        own->to.place.after_us = latest_us(own->to.place.after_us, wall_us);
    own->to.place.paused = paused;
    return schedule_submit_locked(op, own);
}

enum jobd_result jobd_schedule_pause(struct jobd *jobd, const char *name, bool paused,
                                     struct jobd_waiter *waiter, const struct jobd_moment *moment)
{
    struct op op;
    struct schedule_step *step;
    if (!step_new(&step))
        return JOBD_OUT_OF_MEMORY;
    op_begin(&op, jobd, waiter, moment->now_us);
    enum jobd_result result = pause_locked(&op, name, paused, moment->wall_us, &step);
    op_end(&op);
    schedule_step_free(step);
    return result;
}

/* ---- run */

enum jobd_result jobd_schedule_run(struct jobd *jobd, const char *name, struct jobd_waiter *waiter,
                                   int64_t now_us, struct jobd_receipt *receipt)
{
    struct op op;
    *receipt = (struct jobd_receipt){.id = 0};
    op_begin(&op, jobd, waiter, now_us);
    const struct schedule *schedule = find_locked(&op, name);
    enum jobd_result result = JOBD_NO_SCHEDULE;
    if (schedule != NULL) {
        struct schedule_put put = {.key = NULL};
        result = schedule_put_make_locked(&op, schedule, &put);
        if (result == JOBD_OK)
            result = schedule_put_locked(&op, &put, receipt);
        schedule_put_end(&op, &put);
    }
    if (waiter != NULL)
        waiter->receipt = *receipt;
    op_end(&op);
    return result;
}

/* ---- looking */

static enum jobd_result look_locked(struct op *op, const struct schedule *schedule,
                                    struct jobd_schedule_info *info) REQUIRES(op->jobd->lock)
{
    (void)op;
    if (schedule == NULL || schedule->now.terms == NULL)
        return JOBD_NO_SCHEDULE;
    schedule_info(schedule, &schedule->now, info);
    return JOBD_OK;
}

enum jobd_result jobd_schedule_get(struct jobd *jobd, const char *name,
                                   struct jobd_schedule_info *info)
{
    struct op op;
    op_begin(&op, jobd, NULL, 0);
    enum jobd_result result = look_locked(&op, schedules_find(&jobd->schedules, name), info);
    op_end(&op);
    return result;
}

enum jobd_result jobd_schedule_after(struct jobd *jobd, const char *name,
                                     struct jobd_schedule_info *info)
{
    struct op op;
    op_begin(&op, jobd, NULL, 0);
    enum jobd_result result = look_locked(&op, schedules_behind(&jobd->schedules, name), info);
    op_end(&op);
    return result;
}

bool jobd_schedule_changed(struct jobd *jobd, uint32_t *number, struct jobd_schedule_info *info)
{
    struct op op;
    op_begin(&op, jobd, NULL, 0);
    struct schedules *schedules = &jobd->schedules;
    struct schedule *schedule = TAILQ_FIRST(&schedules->changed);
    if (schedule != NULL) {
        TAILQ_REMOVE(&schedules->changed, schedule, again);
        schedule->changed = false;
        *number = (uint32_t)(schedule - schedules->all);
        schedule_info(schedule, &schedule->next, info);
        schedule->restored = false;
    }
    op_end(&op);
    return schedule != NULL;
}

void jobd_schedule_stats(struct jobd *jobd, struct jobd_schedule_stats *stats)
{
    struct op op;
    op_begin(&op, jobd, NULL, 0);
    const struct schedules *schedules = &jobd->schedules;
    *stats = (struct jobd_schedule_stats){.schedules = schedules->len,
                                          .fired = schedules->counts.fired,
                                          .missed = schedules->counts.missed,
                                          .skipped = schedules->counts.skipped};
    op_end(&op);
}
