/* SPDX-License-Identifier: MIT */
/* Schedules and what keeps them: brought back, and written anew. */
#include <string.h>

#include "engine/journal_store.h"
#include "engine/schedule.h"

static struct jobd_blob *shared(const struct jobd_blob *blob)
{
    union {
        const struct jobd_blob *read;
        struct jobd_blob *shared; /* only its count changes */
    } as = {.read = blob};
    return as.shared;
}

/* As it was asked for. */
static struct jobd_schedule asked_for(const struct schedule_record *record)
{
    struct jobd_schedule schedule = {.name = record->name,
                                     .cron = record->cron,
                                     .zone = record->zone,
                                     .every_us = record->every_us,
                                     .queue = record->queue,
                                     .priority = record->priority,
                                     .attempts = record->attempts,
                                     .timeout_us = record->timeout_us,
                                     .expires_us = record->expires_us,
                                     .payload = shared(record->payload),
                                     .late = (enum jobd_late)record->late,
                                     .alone = record->alone,
                                     .fixed = record->fixed};
    memcpy(schedule.texts, record->texts, sizeof schedule.texts);
    return schedule;
}

struct schedule_place schedule_place_of(const struct schedule_record *record)
{
    return (struct schedule_place){.paused = record->paused,
                                   .after_us = record->after_us,
                                   .floor_us = record->floor_us,
                                   .since_us = record->since_us,
                                   .done_us = {record->done_from_us, record->done_to_us},
                                   .last_us = record->last_us,
                                   .last_job = record->last_job,
                                   .missed = record->missed,
                                   .skipped = record->skipped};
}

bool schedule_state_from(const struct schedule_record *record, struct schedule_state *state)
{
    const struct jobd_schedule asked = asked_for(record);
    *state = (struct schedule_state){.terms = schedule_terms_new(&asked),
                                     .payload = shared(record->payload),
                                     .place = schedule_place_of(record)};
    return state->terms != NULL;
}

bool schedule_is_sound(const struct schedule_record *record)
{
    size_t length = strlen(record->name);
    return length > 0 && length <= JOBD_SCHEDULE_NAME_MAX && record->priority < JOBD_PRIORITIES &&
           record->attempts <= JOBD_ATTEMPTS_MAX && record->late <= JOBD_LATE_ALL;
}

static bool restore_locked(struct op *op, const char *name, struct schedule_state *state)
    REQUIRES(op->jobd->lock)
{
    struct schedules *schedules = &op->jobd->schedules;
    struct schedule *schedule =
        schedules_find(schedules, name) == NULL ? schedules_add(schedules, name) : NULL;
    if (schedule == NULL)
        return false;
    state->version = ++schedules->versions;
    schedule_state_set(op, &schedule->now, state);
    schedule_set_next_locked(op, schedule, state);
    schedule->restored = true;
    return true;
}

bool jobd_restore_schedule(struct jobd *jobd, const struct schedule_record *record)
{
    struct op op;
    struct schedule_state state;
    if (!schedule_is_sound(record) || !schedule_state_from(record, &state))
        return false;
    op_begin(&op, jobd, NULL, 0);
    bool good = restore_locked(&op, record->name, &state);
    op_end(&op);
    jobd_blob_unref(state.terms);
    return good;
}

bool journal_schedules(struct jobd *jobd, journal_row *each, void *context)
{
    struct jobd_schedule_info info = {.name = ""};
    const struct job_record none = {.schedule = NULL};
    bool good = each(context, ROW_UNSCHEDULE_ALL, &none);
    while (good && jobd_schedule_after(jobd, info.name, &info) == JOBD_OK) {
        struct schedule_record schedule;
        const struct job_record record = {.schedule = &schedule};
        const struct schedule_state state = {
            .terms = info.terms,
            .payload = info.payload,
            .version = info.version,
            .place = {.paused = info.paused,
                      .after_us = info.after_us,
                      .floor_us = info.floor_us,
                      .since_us = info.since_us,
                      .done_us = {info.done_us[0], info.done_us[1]},
                      .last_us = info.last_us,
                      .last_job = info.last_job,
                      .missed = info.missed,
                      .skipped = info.skipped},
        };
        schedule_record(info.name, &state, &schedule);
        good = each(context, ROW_SCHEDULE, &record);
        jobd_schedule_info_release(&info);
    }
    return good;
}
