/* SPDX-License-Identifier: MIT */
#include "run/recur.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/container.h"
#include "base/event.h"
#include "base/heap.h"
#include "base/log.h"
#include "base/text.h"
#include "base/verify.h"
#include "jobd/turns.h"
#include "run/recur_inside.h"

enum {
    FIRINGS = 256, /* of one tick */
    LOG_LINES = 10 /* of one second */
};

#define RETRY_US INT64_C(250000)
#define BACK_US  CLOCK_SECOND_US /* less is no step of the clock */
/* At the start of one of several servers: how long another one may take to take an instant. */
#define OTHERS_US (5 * CLOCK_SECOND_US)

/* ---- what a plan says, but for what has happened already */

static bool is_done(const struct recurrence *entry, int64_t at_us)
{
    return at_us >= entry->done_us[0] && at_us <= entry->done_us[1];
}

static uint64_t count(const struct recurrence *entry, int64_t after_us, int64_t until_us)
{
    const int64_t from_us = entry->done_us[0] - 1, to_us = entry->done_us[1];
    uint64_t all = until_us > after_us ? plan_count(&entry->plan, after_us, until_us) : 0;
    int64_t low_us = from_us > after_us ? from_us : after_us;
    int64_t high_us = to_us < until_us ? to_us : until_us;
    if (to_us == 0 || high_us <= low_us)
        return all;
    return all - plan_count(&entry->plan, low_us, high_us);
}

/* The first of the last `most` instants; false when there is none. */
static bool first_of(const struct recurrence *entry, uint32_t most, int64_t after_us,
                     int64_t until_us, int64_t *at_us)
{
    int64_t instants[RECUR_ALL_MAX];
    if (most == 0 || until_us <= after_us)
        return false;
    size_t len = plan_list(&entry->plan, after_us, until_us, instants, most);
    for (size_t i = 0; i < len; i++)
        if (!is_done(entry, instants[i])) {
            *at_us = instants[i];
            return true;
        }
    return false;
}

/* ---- when it is its turn */

static int64_t less(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void due_at(struct recur *recur, struct recurrence *entry, int64_t wall_us)
{
    heap_remove(&recur->dues, &entry->due);
    if (wall_us != PLAN_NEVER)
        heap_push(&recur->dues, &entry->due, wall_us);
}

static void next_turn(struct recur *recur, struct recurrence *entry)
{
    int64_t at_us = entry->next_us;
    if (entry->retry_us != 0)
        at_us = less(at_us, entry->retry_us);
    due_at(recur, entry, entry->planned && !entry->paused ? at_us : PLAN_NEVER);
}

/* ---- the log */

__attribute__((format(printf, 3, 4))) static void
say(struct recur *recur, const struct recurrence *entry, const char *format, ...)
{
    char text[200];
    va_list values;
    if (recur->now_us - recur->said_us >= CLOCK_SECOND_US) {
        if (recur->said > LOG_LINES)
            log_warn("schedules: %u lines more", recur->said - LOG_LINES);
        recur->said_us = recur->now_us;
        recur->said = 0;
    }
    if (recur->said++ >= LOG_LINES)
        return;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    log_warn("schedule %s: %s", entry->name, text);
}

static void say_missed(struct recur *recur, const struct recurrence *entry, uint64_t missed)
{
    const char *instants = text_plural(missed, "instant", "instants");
    if (entry->refusal != JOBD_OK)
        say(recur, entry, "%llu %s missed: %s", (unsigned long long)missed, instants,
            jobd_result_text(entry->refusal));
    else
        say(recur, entry, "%llu %s missed", (unsigned long long)missed, instants);
}

/* ---- a clock that was put forward, and is back where it was before */

static bool is_turned_back(const struct recur *recur, const struct recurrence *entry)
{
    return !entry->paused && recur->wall_us < entry->back_us &&
           recur->wall_us + BACK_US < entry->after_us;
}

static void turn_back(struct recur *recur, struct jobd *jobd, struct recurrence *entry)
{
    const struct jobd_moment moment = {recur->now_us, recur->wall_us};
    entry->turns_back = is_turned_back(recur, entry);
    if (entry->turns_back && recur->only_looks) {
        due_at(recur, entry, recur->wall_us);
        return;
    }
    if (entry->turns_back && jobd_schedule_turn_back(jobd, entry->name, &moment) == JOBD_OK)
        entry->version = 0; /* it is looked at anew */
    entry->turns_back = false;
}

/* ---- what has changed */

static void forget(struct recur *recur, struct recurrence *entry)
{
    due_at(recur, entry, PLAN_NEVER);
    plan_release(&entry->plan);
    *entry = (struct recurrence){.version = 0};
}

static void read_plan(struct recur *recur, struct recurrence *entry,
                      const struct jobd_schedule *schedule)
{
    struct problem problem = {""};
    plan_release(&entry->plan);
    entry->plan = (struct plan){.every_us = schedule->every_us};
    entry->planned = schedule->every_us > 0 ||
                     plan_cron(&entry->plan, schedule->cron, schedule->zone, &problem) == 0;
    if (!entry->planned)
        say(recur, entry, "does not run: %s", problem.text);
}

/* All instants up to `wall_us` have come: decides which of them happen. The last one is late when
 * it is older than `late_us`. */
static void take(struct recurrence *entry, int64_t wall_us, int64_t late_us)
{
    static const uint32_t most[] = {
        [JOBD_LATE_ONCE] = 1, [JOBD_LATE_SKIP] = 0, [JOBD_LATE_ALL] = RECUR_ALL_MAX};
    int64_t last_us = plan_last(&entry->plan, entry->taken_us, wall_us);
    entry->most = most[entry->late];
    if (last_us != PLAN_NEVER && wall_us - last_us <= late_us && entry->most == 0)
        entry->most = 1;
    if (entry->refusal != JOBD_OK)
        entry->floor_us = entry->taken_us;
    entry->taken_us = wall_us;
    entry->next_us = plan_next(&entry->plan, wall_us);
}

static void look(struct recur *recur, struct jobd *jobd, struct recurrence *entry,
                 const struct jobd_schedule_info *info)
{
    bool is_other = info->version != entry->version;
    bool was_paused = entry->paused;
    if (is_other)
        forget(recur, entry);
    memcpy(entry->name, info->name, sizeof entry->name);
    entry->version = info->version;
    entry->late = info->schedule.late;
    entry->paused = info->paused;
    bool is_back = !is_other && info->after_us < entry->after_us;
    entry->after_us = info->after_us;
    entry->back_us = info->back_us;
    memcpy(entry->done_us, info->done_us, sizeof entry->done_us);
    if (is_other)
        read_plan(recur, entry, &info->schedule);
    if (!entry->planned)
        return;
    if (is_back) /* what was seen to could not be written */
        entry->retry_us = recur->wall_us + RETRY_US;
    if (is_other || was_paused || entry->taken_us < entry->after_us) {
        entry->taken_us = entry->floor_us = entry->after_us;
        entry->next_us = plan_next(&entry->plan, entry->after_us);
    }
    if (info->restored && entry->next_us <= recur->wall_us) {
        take(entry, recur->wall_us, jobd_shared(jobd) ? OTHERS_US : -1);
        entry->retry_us = recur->wall_us;
    }
    next_turn(recur, entry);
    turn_back(recur, jobd, entry);
}

/* Tells the watcher of a schedule that has changed. Its record may have been another one's
 * before. */
static void tell_watcher(const struct recur *recur, const struct recurrence *entry,
                         const struct jobd_schedule_info *info)
{
    bool there = info->terms != NULL;
    if (recur->watcher == NULL || (there && info->version == entry->version))
        return;
    if (entry->name[0] != '\0' && (!there || strcmp(entry->name, info->name) != 0))
        recur->watcher(recur->watcher_context, entry->name, NULL);
    if (there)
        recur->watcher(recur->watcher_context, info->name, info);
}

static void look_at_changes(struct recur *recur, struct jobd *jobd)
{
    struct jobd_schedule_info info;
    uint32_t number;
    while (jobd_schedule_changed(jobd, &number, &info)) {
        verify(number < recur->len);
        struct recurrence *entry = &recur->entries[number];
        tell_watcher(recur, entry, &info);
        if (info.terms != NULL)
            look(recur, jobd, entry, &info);
        else
            forget(recur, entry);
        jobd_schedule_info_release(&info);
    }
}

/* ---- an instant */

/* The name and the instant, in whole seconds: no two instants are less than a second apart. */
static void write_key(const struct recurrence *entry, int64_t at_us, char key[KEY_SIZE])
{
    enum { SECONDS = sizeof "2026-01-31T23:59:59" - 1 };
    char time[TEXT_TIME_SIZE];
    text_time(at_us, time);
    snprintf(key, KEY_SIZE, "%s@%.*sZ", entry->name, SECONDS, time);
}

/* Lets the instant `at_us` happen, or none (0); after it, all instants up to `until_us` are dealt
 * with. */
static enum jobd_result fire(struct recur *recur, struct jobd *jobd, const struct recurrence *entry,
                             int64_t at_us, int64_t until_us)
{
    char key[KEY_SIZE];
    struct jobd_firing firing = {.name = entry->name,
                                 .version = entry->version,
                                 .at_us = at_us,
                                 .key = key,
                                 .until_us = until_us};
    firing.missed = count(entry, entry->after_us, at_us != 0 ? at_us - 1 : until_us);
    if (at_us != 0)
        write_key(entry, at_us, key);
    else if (firing.missed == 0)
        return JOBD_REPEATED;
    enum jobd_result result = jobd_schedule_fire(jobd, &firing, recur->now_us);
    if (result == JOBD_OK && firing.missed > 0)
        say_missed(recur, entry, firing.missed);
    return result;
}

/* True when there may be more to do right now. */
static bool go_on(struct recur *recur, struct recurrence *entry, enum jobd_result result,
                  int64_t seen_us)
{
    switch (result) {
    case JOBD_OK:
        entry->after_us = seen_us;
        entry->retry_us = 0;
        entry->refusal = JOBD_OK;
        return true;
    case JOBD_REPEATED:
        entry->after_us = seen_us > entry->after_us ? seen_us : entry->after_us;
        entry->retry_us = 0;
        return entry->after_us < entry->taken_us;
    case JOBD_NO_SCHEDULE: /* it has changed, and will be looked at */
        entry->retry_us = 0;
        return false;
    default:
        entry->refusal = result;
        entry->retry_us = recur->wall_us + RETRY_US;
        return false;
    }
}

static bool do_next(struct recur *recur, struct jobd *jobd, struct recurrence *entry)
{
    int64_t at_us = 0, until_us = entry->taken_us;
    int64_t low_us = entry->floor_us > entry->after_us ? entry->floor_us : entry->after_us;
    if (entry->after_us >= entry->taken_us) {
        entry->retry_us = 0;
        return false;
    }
    if (entry->refusal != JOBD_OK && entry->after_us < entry->floor_us)
        until_us = entry->floor_us; /* what had no room until the next came is missed now */
    else if (first_of(entry, entry->most, low_us, until_us, &at_us))
        until_us = at_us;
    return go_on(recur, entry, fire(recur, jobd, entry, at_us, until_us), until_us);
}

/* How many times the engine was asked. */
static unsigned handle(struct recur *recur, struct jobd *jobd, struct recurrence *entry,
                       unsigned most)
{
    unsigned asked = 1;
    if (entry->turns_back) {
        next_turn(recur, entry);
        turn_back(recur, jobd, entry);
        return asked;
    }
    if (entry->next_us <= recur->wall_us)
        take(entry, recur->wall_us, RECUR_LATE_US);
    while (do_next(recur, jobd, entry) && asked < most)
        asked++;
    if (asked == most && entry->after_us < entry->taken_us && entry->retry_us == 0)
        entry->retry_us = recur->wall_us; /* the rest in the next tick */
    next_turn(recur, entry);
    return asked;
}

/* ---- clocks, and all of it */

static void see_clock(struct recur *recur, struct jobd *jobd, const struct jobd_moment *moment)
{
    bool is_back = moment->wall_us < recur->wall_us;
    recur->now_us = moment->now_us;
    recur->wall_us = moment->wall_us;
    for (uint32_t i = 0; i < recur->len && is_back; i++) {
        struct recurrence *entry = &recur->entries[i];
        if (entry->version == 0 || !entry->planned)
            continue;
        if (entry->retry_us > recur->wall_us + RETRY_US)
            entry->retry_us = recur->wall_us;
        next_turn(recur, entry);
        turn_back(recur, jobd, entry);
    }
}

static void reread(struct recur *recur, struct jobd *jobd)
{
    for (uint32_t i = 0; i < recur->len; i++) {
        struct recurrence *entry = &recur->entries[i];
        struct jobd_schedule_info info;
        if (entry->version == 0 || jobd_schedule_get(jobd, entry->name, &info) != JOBD_OK)
            continue;
        if (info.version == entry->version) {
            read_plan(recur, entry, &info.schedule);
            entry->next_us = entry->planned ? plan_next(&entry->plan, entry->taken_us) : PLAN_NEVER;
            next_turn(recur, entry);
        }
        jobd_schedule_info_release(&info);
    }
}

static int64_t next_due_us(const struct recur *recur)
{
    const struct due *due = heap_top(&recur->dues);
    return due != NULL ? due->at_us : JOBD_NEVER;
}

static void see_all(struct recur *recur, struct jobd *jobd, const struct jobd_moment *moment)
{
    see_clock(recur, jobd, moment);
    look_at_changes(recur, jobd);
    if (atomic_exchange(&recur->rereads, false))
        reread(recur, jobd);
}

int64_t recur_look(struct recur *recur, struct jobd *jobd, const struct jobd_moment *moment)
{
    recur->only_looks = true;
    see_all(recur, jobd, moment);
    recur->only_looks = false;
    return next_due_us(recur);
}

int64_t recur_tick(struct recur *recur, struct jobd *jobd, const struct jobd_moment *moment)
{
    struct due *due;
    unsigned left = FIRINGS;
    see_all(recur, jobd, moment);
    while (left > 0 && (due = heap_top(&recur->dues)) != NULL && due->at_us <= moment->wall_us)
        left -= handle(recur, jobd, container_of(due, struct recurrence, due), left);
    return next_due_us(recur);
}

/* ---- start and end */

int recur_new(struct recur **recur, struct jobd_schedule_config *config)
{
    struct recur *new = calloc(1, sizeof *new);
    if (new == NULL)
        return -ENOMEM;
    new->event = event_new();
    new->timer = -1;
    new->len = config->max > config->restored ? config->max : config->restored;
    new->entries = calloc((size_t) new->len + 1, sizeof *new->entries);
    int error = new->event < 0 ? new->event : new->entries == NULL ? -ENOMEM : 0;
    if (error == 0)
        error = heap_init(&new->dues, new->len);
    if (error != 0) {
        recur_free(new);
        return error;
    }
    config->on_change = (struct jobd_hook){.call = recur_wake, .context = new};
    *recur = new;
    return 0;
}

void recur_free(struct recur *recur)
{
    if (recur == NULL)
        return;
    for (uint32_t i = 0; recur->entries != NULL && i < recur->len; i++)
        plan_release(&recur->entries[i].plan);
    heap_release(&recur->dues);
    free(recur->entries);
    if (recur->event >= 0)
        close(recur->event);
    free(recur);
}

void recur_watch(struct recur *recur, recur_watcher *watcher, void *context)
{
    recur->watcher = watcher;
    recur->watcher_context = context;
}

void recur_wake(void *context)
{
    struct recur *recur = context;
    event_set(recur->event);
}

void recur_reread(struct recur *recur)
{
    atomic_store(&recur->rereads, true);
    recur_wake(recur);
}
