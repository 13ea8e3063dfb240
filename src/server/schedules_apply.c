/* SPDX-License-Identifier: MIT */
/* The engine gets the schedules of the file: those that differ are put, those that are gone from it
 * deleted, one after the other. Where queues are shared that is done in turns, as much in each as
 * there is room for. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "jobd/turns.h"
#include "run/recur.h"
#include "run/wait_sync.h"
#include "server/config_schedules.h"

enum { TURNS_LOST_MAX = 10 };

struct applying {
    struct jobd *jobd;
    const struct config_schedules *schedules;
    const char **names; /* in order */
    struct wait_sync sync;
    unsigned changed;
    bool dropped; /* those that are gone from the file */
    size_t at;    /* the next to be put */
    struct jobd_turn turn;
};

static enum jobd_result settle(struct applying *applying, enum jobd_result result)
{
    if (result == JOBD_PENDING)
        result = wait_sync_until(&applying->sync, applying->jobd, JOBD_NEVER);
    return result;
}

/* There is no room for it in this turn. */
static bool is_full(const struct applying *applying, enum jobd_result result)
{
    return result == JOBD_TOO_MANY_WAITERS && jobd_shared(applying->jobd);
}

static bool put(struct applying *applying, const struct config_schedule *one)
{
    const struct jobd_moment moment = recur_moment();
    enum jobd_schedule_change change;
    enum jobd_result result =
        settle(applying, jobd_schedule_put(applying->jobd, &one->schedule, &applying->sync.waiter,
                                           &moment, &change));
    if (is_full(applying, result))
        return false;
    if (result != JOBD_OK)
        log_error("schedule %s: %s", one->name, jobd_result_text(result));
    else if (change != JOBD_SCHEDULE_SAME)
        applying->changed++;
    return true;
}

static int compare_names(const void *key, const void *element)
{
    return strcmp(key, *(const char *const *)element);
}

static int order_names(const void *one, const void *other)
{
    return strcmp(*(const char *const *)one, *(const char *const *)other);
}

static bool is_named(const char *const *names, size_t len, const char *name)
{
    return len > 0 && bsearch(name, names, len, sizeof *names, compare_names) != NULL;
}

/* What is fixed and is in the file no more. */
static bool drop_others(struct applying *applying)
{
    struct jobd_schedule_info info = {.name = ""};
    while (jobd_schedule_after(applying->jobd, info.name, &info) == JOBD_OK) {
        bool goes =
            info.schedule.fixed && !is_named(applying->names, applying->schedules->len, info.name);
        jobd_schedule_info_release(&info);
        if (!goes)
            continue;
        enum jobd_result result =
            settle(applying, jobd_schedule_delete(applying->jobd, info.name, true,
                                                  &applying->sync.waiter, clock_now_us()));
        if (is_full(applying, result))
            return false;
        if (result == JOBD_OK)
            applying->changed++;
        else
            log_error("schedule %s: %s", info.name, jobd_result_text(result));
    }
    return true;
}

/* All, or as much as there is room for. */
static void apply(struct applying *applying)
{
    if (!applying->dropped)
        applying->dropped = drop_others(applying);
    while (applying->dropped && applying->at < applying->schedules->len &&
           put(applying, &applying->schedules->of[applying->at]))
        applying->at++;
}

/* ---- in turns */

static enum jobd_result run(struct jobd_turn *turn)
{
    apply(turn->context);
    return JOBD_OK;
}

static void over(struct jobd_turn *turn, enum jobd_result result)
{
    struct applying *applying = turn->context;
    wait_sync_end(&applying->sync, result);
}

/* One that is lost is taken once more. */
static bool apply_in_turns(struct applying *applying)
{
    unsigned lost = 0;
    while (lost < TURNS_LOST_MAX && applying->at < applying->schedules->len + !applying->dropped) {
        const bool dropped = applying->dropped;
        const size_t at = applying->at;
        applying->turn = (struct jobd_turn){.run = run, .over = over, .context = applying};
        jobd_enter(applying->jobd, &applying->turn);
        if (wait_sync_until(&applying->sync, applying->jobd, JOBD_NEVER) == JOBD_OK)
            continue;
        applying->dropped = dropped;
        applying->at = at;
        lost++;
    }
    return lost < TURNS_LOST_MAX;
}

bool config_schedules_apply(const struct config_schedules *schedules, struct jobd *jobd)
{
    struct applying applying = {.jobd = jobd, .schedules = schedules};
    applying.names = calloc(schedules->len + 1, sizeof *applying.names);
    if (applying.names == NULL || wait_sync_init(&applying.sync) != 0) {
        log_error("schedules: out of memory");
        free(applying.names);
        return false;
    }
    bool good = true;
    applying.sync.waiter.uncounted = true;
    for (size_t i = 0; i < schedules->len; i++)
        applying.names[i] = schedules->of[i].name;
    qsort(applying.names, schedules->len, sizeof *applying.names, order_names);
    if (jobd_shared(jobd))
        good = apply_in_turns(&applying);
    else
        apply(&applying);
    if (!good)
        log_error("schedules of the configuration: the database is away");
    else if (applying.changed > 0)
        log_info("schedules of the configuration: %zu, %u new, changed or gone%s", schedules->len,
                 applying.changed, jobd_shared(jobd) ? ", on all servers" : "");
    wait_sync_release(&applying.sync);
    free(applying.names);
    return good;
}
