/* SPDX-License-Identifier: MIT */
#include "engine/schedule_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/verify.h"
#include "engine/blob.h"
#include "engine/texts.h"

static int name_order(const struct schedule *a, const struct schedule *b)
{
    return strcmp(a->name, b->name);
}

RB_GENERATE(schedule_tree, schedule, by_name, name_order)

/* ---- what was asked for, in one piece */

enum { TEXT_CRON, TEXT_ZONE, TEXT_QUEUE, TEXT_JOBS, TEXTS = TEXT_JOBS + JOBD_TEXTS };

struct terms {
    int64_t every_us, timeout_us, expires_us;
    uint32_t attempts;
    enum jobd_late late;
    uint8_t priority;
    bool alone, fixed;
    uint32_t at[TEXTS]; /* where each text begins, texts.h */
};

static void texts_of(const struct jobd_schedule *schedule, const char *texts[TEXTS])
{
    texts[TEXT_CRON] = schedule->cron;
    texts[TEXT_ZONE] = schedule->zone;
    texts[TEXT_QUEUE] = schedule->queue;
    for (unsigned i = 0; i < JOBD_TEXTS; i++)
        texts[TEXT_JOBS + i] = schedule->texts[i];
}

struct jobd_blob *schedule_terms_new(const struct jobd_schedule *schedule)
{
    const char *texts[TEXTS];
    struct terms terms = {.every_us = schedule->every_us,
                          .timeout_us = schedule->timeout_us,
                          .expires_us = schedule->expires_us,
                          .attempts = schedule->attempts,
                          .late = schedule->late,
                          .priority = schedule->priority,
                          .alone = schedule->alone,
                          .fixed = schedule->fixed};
    texts_of(schedule, texts);
    struct jobd_blob *blob = jobd_blob_new(sizeof terms + texts_size(texts, TEXTS), NULL);
    if (blob == NULL)
        return NULL;
    texts_write(blob, sizeof terms, texts, TEXTS, terms.at);
    memcpy(blob->bytes, &terms, sizeof terms);
    return blob;
}

struct jobd_schedule schedule_of(const char *name, const struct schedule_state *state)
{
    struct terms terms;
    memcpy(&terms, state->terms->bytes, sizeof terms);
    struct jobd_schedule schedule = {.name = name,
                                     .cron = texts_at(state->terms, terms.at[TEXT_CRON]),
                                     .zone = texts_at(state->terms, terms.at[TEXT_ZONE]),
                                     .every_us = terms.every_us,
                                     .queue = texts_at(state->terms, terms.at[TEXT_QUEUE]),
                                     .priority = terms.priority,
                                     .attempts = terms.attempts,
                                     .timeout_us = terms.timeout_us,
                                     .expires_us = terms.expires_us,
                                     .payload = state->payload,
                                     .late = terms.late,
                                     .alone = terms.alone,
                                     .fixed = terms.fixed};
    for (unsigned i = 0; i < JOBD_TEXTS; i++)
        schedule.texts[i] = texts_at(state->terms, terms.at[TEXT_JOBS + i]);
    return schedule;
}

static bool same_text(const char *one, const char *other)
{
    return strcmp(one != NULL ? one : "", other != NULL ? other : "") == 0;
}

bool schedule_same_plan(const struct jobd_schedule *one, const struct jobd_schedule *other)
{
    return same_text(one->cron, other->cron) && same_text(one->zone, other->zone) &&
           one->every_us == other->every_us;
}

static bool same_bytes(const struct jobd_blob *one, const struct jobd_blob *other)
{
    if (one == NULL || other == NULL)
        return one == other;
    return one->size == other->size && strcmp(one->type, other->type) == 0 &&
           memcmp(one->bytes, other->bytes, one->size) == 0;
}

bool jobd_schedule_same(const struct jobd_schedule *one, const struct jobd_schedule *other)
{
    bool same = schedule_same_plan(one, other) && same_text(one->queue, other->queue) &&
                one->priority == other->priority && one->attempts == other->attempts &&
                one->timeout_us == other->timeout_us && one->expires_us == other->expires_us &&
                one->late == other->late && one->alone == other->alone &&
                one->fixed == other->fixed && same_bytes(one->payload, other->payload);
    for (unsigned i = 0; i < JOBD_TEXTS && same; i++)
        same = same_text(one->texts[i], other->texts[i]);
    return same;
}

/* ---- states */

size_t schedule_weight(const struct schedule_state *state)
{
    return blob_weight(state->terms) + blob_weight(state->payload);
}

void schedule_state_set(struct op *op, struct schedule_state *to, const struct schedule_state *from)
{
    const struct schedule_state before = *to;
    *to = *from;
    if (to->terms != NULL)
        (void)jobd_blob_ref(to->terms);
    if (to->payload != NULL)
        (void)jobd_blob_ref(to->payload);
    op_discard(op, before.terms);
    op_discard(op, before.payload);
}

void schedule_step_end(struct op *op, struct schedule_step *step)
{
    if (step == NULL)
        return;
    op_discard(op, step->to.terms);
    op_discard(op, step->to.payload);
    free(step);
}

void schedule_step_free(struct schedule_step *step)
{
    if (step == NULL)
        return;
    jobd_blob_unref(step->to.terms);
    jobd_blob_unref(step->to.payload);
    free(step);
}

void schedule_info(const struct schedule *schedule, const struct schedule_state *state,
                   struct jobd_schedule_info *info)
{
    const struct schedule_place *place = &state->place;
    *info = (struct jobd_schedule_info){.restored = schedule->restored};
    if (state->terms == NULL)
        return;
    info->terms = jobd_blob_ref(state->terms);
    info->payload = state->payload != NULL ? jobd_blob_ref(state->payload) : NULL;
    /* The name stands in the record, which may become another's. */
    info->schedule = schedule_of(NULL, state);
    memcpy(info->name, schedule->name, sizeof info->name);
    info->version = state->version;
    info->paused = place->paused;
    info->after_us = place->after_us;
    info->floor_us = place->floor_us;
    info->since_us = place->since_us;
    memcpy(info->done_us, place->done_us, sizeof info->done_us);
    info->back_us = schedule_back_us(place);
    info->last_us = place->last_us;
    info->last_job = place->last_job;
    info->missed = place->missed;
    info->skipped = place->skipped;
}

void jobd_schedule_info_release(struct jobd_schedule_info *info)
{
    jobd_blob_unref(info->terms);
    jobd_blob_unref(info->payload);
    info->terms = info->payload = NULL;
}

void schedule_record(const char *name, const struct schedule_state *state,
                     struct schedule_record *record)
{
    const struct schedule_place *place = &state->place;
    *record = (struct schedule_record){.name = name};
    if (state->terms == NULL)
        return;
    const struct jobd_schedule schedule = schedule_of(name, state);
    *record = (struct schedule_record){
        .name = name,
        .queue = schedule.queue,
        .cron = schedule.cron,
        .zone = schedule.zone,
        .every_us = schedule.every_us,
        .priority = schedule.priority,
        .attempts = schedule.attempts,
        .timeout_us = schedule.timeout_us,
        .expires_us = schedule.expires_us,
        .late = (uint32_t)schedule.late,
        .alone = schedule.alone,
        .fixed = schedule.fixed,
        .payload = schedule.payload,
        .paused = place->paused,
        .after_us = place->after_us,
        .floor_us = place->floor_us,
        .since_us = place->since_us,
        .done_from_us = place->done_us[0],
        .done_to_us = place->done_us[1],
        .last_us = place->last_us,
        .last_job = place->last_job,
        .missed = place->missed,
        .skipped = place->skipped,
    };
    memcpy(record->texts, schedule.texts, sizeof record->texts);
}

/* ---- the table */

int schedules_init(struct schedules *schedules, const struct jobd_schedule_config *config)
{
    static const struct jobd_schedule_config none;
    if (config == NULL)
        config = &none;
    *schedules =
        (struct schedules){.max = config->max,
                           .room = config->max > config->restored ? config->max : config->restored};
    RB_INIT(&schedules->tree);
    TAILQ_INIT(&schedules->spare);
    TAILQ_INIT(&schedules->changed);
    TAILQ_INIT(&schedules->untold);
    if (schedules->room > 0)
        schedules->all = calloc(schedules->room, sizeof *schedules->all);
    return schedules->room == 0 || schedules->all != NULL ? 0 : -ENOMEM;
}

void schedules_release(struct schedules *schedules)
{
    for (uint32_t i = 0; i < schedules->used; i++) {
        struct schedule *schedule = &schedules->all[i];
        jobd_blob_unref(schedule->now.terms);
        jobd_blob_unref(schedule->now.payload);
        jobd_blob_unref(schedule->next.terms);
        jobd_blob_unref(schedule->next.payload);
    }
    free(schedules->all);
    schedules->all = NULL;
    schedules->used = 0;
}

/* Names are at most as long as the record has room for: a longer one is nobody's. */
static bool key_of(const char *name, struct schedule *key)
{
    size_t length = strnlen(name, sizeof key->name);
    if (length == sizeof key->name)
        return false;
    memcpy(key->name, name, length + 1);
    return true;
}

struct schedule *schedules_find(struct schedules *schedules, const char *name)
{
    struct schedule key;
    return key_of(name, &key) ? RB_FIND(schedule_tree, &schedules->tree, &key) : NULL;
}

struct schedule *schedules_behind(struct schedules *schedules, const char *name)
{
    struct schedule key;
    if (!key_of(name, &key))
        return NULL;
    struct schedule *at = RB_NFIND(schedule_tree, &schedules->tree, &key);
    while (at != NULL && (strcmp(at->name, name) == 0 || at->now.terms == NULL))
        at = RB_NEXT(schedule_tree, &schedules->tree, at);
    return at;
}

struct schedule *schedules_add(struct schedules *schedules, const char *name)
{
    struct schedule key, *schedule = TAILQ_FIRST(&schedules->spare);
    verify(key_of(name, &key) && key.name[0] != '\0');
    if (schedule != NULL)
        TAILQ_REMOVE(&schedules->spare, schedule, link);
    else if (schedules->used < schedules->room)
        schedule = &schedules->all[schedules->used++];
    else
        return NULL;
    memcpy(schedule->name, key.name, sizeof schedule->name);
    verify(RB_INSERT(schedule_tree, &schedules->tree, schedule) == NULL);
    return schedule;
}

void schedules_drop(struct schedules *schedules, struct schedule *schedule)
{
    if (schedule->steps > 0 || schedule->now.terms != NULL || schedule->next.terms != NULL ||
        schedule->untold)
        return;
    RB_REMOVE(schedule_tree, &schedules->tree, schedule);
    schedule->restored = false;
    TAILQ_INSERT_HEAD(&schedules->spare, schedule, link);
}

void schedules_note(struct schedules *schedules, struct schedule *schedule)
{
    if (!schedule->changed)
        TAILQ_INSERT_TAIL(&schedules->changed, schedule, again);
    schedule->changed = true;
}

/* ---- what the others are told */

void schedules_tell(struct schedules *schedules, struct schedule *schedule, bool fresh)
{
    if (!schedules->shared)
        return;
    if (schedule->untold)
        TAILQ_REMOVE(&schedules->untold, schedule, news);
    TAILQ_INSERT_TAIL(&schedules->untold, schedule, news);
    schedule->untold = true;
    schedule->fresh |= fresh;
}

void schedules_told(struct schedules *schedules, struct schedule *schedule)
{
    if (!schedule->untold)
        return;
    TAILQ_REMOVE(&schedules->untold, schedule, news);
    schedule->untold = schedule->fresh = false;
}
