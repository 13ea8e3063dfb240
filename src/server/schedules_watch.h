/* SPDX-License-Identifier: MIT */
/* Where several servers share their queues each has a configuration file of its own, and the
 * schedules of the server that was started or reloaded last count for all. The others say in their
 * logs that theirs do not. */
#pragma once

#include <stdbool.h>

#include "base/lock.h"
#include "run/recur.h"
#include "server/config_schedules.h"

/* Zeroed before its first use. */
struct schedules_watch {
    struct mutex lock;
    bool made;
    const struct config_schedules *own GUARDED_BY(lock);
};

/* `own` are the schedules of this server's file, borrowed until schedules_watch_change() or
 * schedules_watch_release(). 0 or -errno. */
__attribute__((warn_unused_result)) int schedules_watch_init(struct schedules_watch *watch,
                                                             const struct config_schedules *own);
/* The file has been read again: `own` are its schedules now. Any thread; does not block. */
void schedules_watch_change(struct schedules_watch *watch, const struct config_schedules *own);
void schedules_watch_release(struct schedules_watch *watch);

/* A recur_watcher, whose context is the watch. */
void schedules_watch_see(void *context, const char *name, const struct jobd_schedule_info *info);
