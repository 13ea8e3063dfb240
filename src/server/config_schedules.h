/* SPDX-License-Identifier: MIT */
/* The schedules of the configuration file: read, and given to the engine. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "base/problem.h"
#include "jobd/schedule.h"

enum { CONFIG_SCHEDULES_MAX = 10000 };

struct config_schedule {
    struct jobd_schedule schedule; /* its texts are these */
    char *place;                   /* where it stands, for people */
    char *name, *cron, *zone, *queue, *group, *tags, *callback;
};

/* Zeroed before it is read. */
struct config_schedules {
    struct config_schedule *of;
    size_t len;
};

/* Where an item of the file stands, for people; to be freed. NULL when memory is short. */
typedef char *config_place_of(const void *context, const cJSON *item);

/* The value of "schedules". False when it is wrong; release it then too. Reads zone files. */
bool config_schedules_read(struct config_schedules *schedules, const cJSON *item,
                           config_place_of *place_of, const void *context, struct problem *problem);
void config_schedules_release(struct config_schedules *schedules);

/* Does the queue of each schedule take jobs, and is its callback allowed? `takes` and `allows` say
 * so, such as options_takes_jobs() and options_allows_callback(). */
bool config_schedules_check(const struct config_schedules *schedules,
                            bool (*takes)(const void *context, const char *queue),
                            bool (*allows)(const void *context, const char *callback),
                            const void *context, struct problem *problem);

/* Gives these schedules to the engine, and deletes those that it has from an earlier file. The log
 * says which of them the engine refuses. What changes is written when this returns. Blocks as long
 * as the disk or the database does. False when nothing could be done. */
bool config_schedules_apply(const struct config_schedules *schedules, struct jobd *jobd);
