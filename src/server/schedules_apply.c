/* SPDX-License-Identifier: MIT */
/* The engine gets the schedules of the file: those that differ are put, those that are gone from it
 * deleted, one after the other. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "run/wait_sync.h"
#include "server/config_schedules.h"

struct applying {
    struct jobd *jobd;
    struct wait_sync sync;
    unsigned changed;
};

static struct jobd_moment moment_now(void)
{
    int64_t now_us = clock_now_us();
    return (struct jobd_moment){now_us, clock_wall_us(now_us)};
}

static enum jobd_result settle(struct applying *applying, enum jobd_result result)
{
    if (result == JOBD_PENDING)
        result = wait_sync_until(&applying->sync, applying->jobd, JOBD_NEVER);
    return result;
}

static void put(struct applying *applying, const struct config_schedule *one)
{
    const struct jobd_moment moment = moment_now();
    enum jobd_schedule_change change;
    enum jobd_result result =
        settle(applying, jobd_schedule_put(applying->jobd, &one->schedule, &applying->sync.waiter,
                                           &moment, &change));
    if (result != JOBD_OK)
        log_error("schedule %s: %s", one->name, jobd_result_text(result));
    else if (change != JOBD_SCHEDULE_SAME)
        applying->changed++;
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
static void drop_others(struct applying *applying, const char *const *names, size_t len)
{
    struct jobd_schedule_info info = {.name = ""};
    while (jobd_schedule_after(applying->jobd, info.name, &info) == JOBD_OK) {
        bool goes = info.schedule.fixed && !is_named(names, len, info.name);
        jobd_schedule_info_release(&info);
        if (!goes)
            continue;
        enum jobd_result result =
            settle(applying, jobd_schedule_delete(applying->jobd, info.name, true,
                                                  &applying->sync.waiter, clock_now_us()));
        if (result == JOBD_OK)
            applying->changed++;
        else
            log_error("schedule %s: %s", info.name, jobd_result_text(result));
    }
}

void config_schedules_apply(const struct config_schedules *schedules, struct jobd *jobd)
{
    struct applying applying = {.jobd = jobd};
    const char **names = calloc(schedules->len + 1, sizeof *names);
    if (names == NULL || wait_sync_init(&applying.sync) != 0) {
        log_error("schedules: out of memory");
        free(names);
        return;
    }
    applying.sync.waiter.uncounted = true;
    for (size_t i = 0; i < schedules->len; i++)
        names[i] = schedules->of[i].name;
    qsort(names, schedules->len, sizeof *names, order_names);
    drop_others(&applying, names, schedules->len);
    for (size_t i = 0; i < schedules->len; i++)
        put(&applying, &schedules->of[i]);
    if (applying.changed > 0)
        log_info("schedules of the configuration: %zu, %u of them new or changed", schedules->len,
                 applying.changed);
    wait_sync_release(&applying.sync);
    free(names);
}
