/* SPDX-License-Identifier: MIT */
/* What one source says of the options, before the texts are parsed: a text for each option, and its
 * place. A source is the command line, the environment, or an object of the configuration file. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/problem.h"

struct setting {
    char *text;  /* NULL: not set */
    char *place; /* for people: `--capacity`, `JOBD_CAPACITY`, `jobd.json:3: "capacity"` */
};

/* By the option's index in the table; NULL: nothing is set. Zeroed before its first use. */
struct settings {
    struct setting *of;
};

/* Keeps copies of both. False when memory is short, or when the option is set already. */
bool settings_set(struct settings *settings, size_t option, const char *place, const char *text,
                  struct problem *problem);
/* The same; but a text for an option that is set already is appended to that, behind a blank. */
bool settings_add(struct settings *settings, size_t option, const char *place, const char *text,
                  struct problem *problem);
/* What is set for this option, or NULL. Takes NULL. */
const struct setting *settings_get(const struct settings *settings, size_t option);
void settings_release(struct settings *settings);
