/* SPDX-License-Identifier: MIT */
/* The configuration file, jobd.json(5): settings with the lines they stand on. */
#pragma once

#include "server/config_schedules.h"
#include "server/settings.h"

enum { CONFIG_QUEUES_MAX = 1000 };

struct config_queue {
    char *name, *place; /* where it stands, for people */
    struct settings settings;
};

/* Zeroed before it is read. */
struct config_file {
    struct settings top;
    struct config_queue *queues;
    size_t queues_len;
    struct config_schedules schedules;
};

/* False when the file cannot be read or is wrong; it must be released then too. `place` is where
 * its name was given, for people. Blocks on the file. */
bool config_file_read(struct config_file *file, const char *path, const char *place,
                      struct problem *problem);
void config_file_release(struct config_file *file);
