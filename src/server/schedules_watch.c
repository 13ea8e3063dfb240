/* SPDX-License-Identifier: MIT */
#include "server/schedules_watch.h"

#include <string.h>

#include "base/log.h"

int schedules_watch_init(struct schedules_watch *watch, const struct config_schedules *own)
{
    int error = mutex_init(&watch->lock);
    watch->made = error == 0;
    if (watch->made)
        schedules_watch_change(watch, own);
    return error;
}

void schedules_watch_change(struct schedules_watch *watch, const struct config_schedules *own)
{
    mutex_lock(&watch->lock);
    watch->own = own;
    mutex_unlock(&watch->lock);
}

void schedules_watch_release(struct schedules_watch *watch)
{
    if (watch->made)
        mutex_release(&watch->lock);
    watch->made = false;
}

static const struct jobd_schedule *find(const struct config_schedules *schedules, const char *name)
{
    for (size_t i = 0; i < schedules->len; i++)
        if (strcmp(schedules->of[i].name, name) == 0)
            return &schedules->of[i].schedule;
    return NULL;
}

/* NULL: nothing is to be said. */
static const char *difference(const struct jobd_schedule *own,
                              const struct jobd_schedule_info *info)
{
    if (own == NULL)
        return info != NULL && info->schedule.fixed
                   ? "it is in the file of another server, and not in this one's"
                   : NULL;
    if (info == NULL)
        return "it is in this server's file, and not in that of another, which was read last: it "
               "is deleted";
    return jobd_schedule_same(own, &info->schedule) ? NULL
                                                    : "the file of another server, which was read "
                                                      "last, says something else: that counts";
}

void schedules_watch_see(void *context, const char *name, const struct jobd_schedule_info *info)
{
    struct schedules_watch *watch = context;
    mutex_lock(&watch->lock);
    const char *text = difference(find(watch->own, name), info);
    mutex_unlock(&watch->lock);
    if (text != NULL)
        log_warn("schedule %s: %s", name, text);
}
