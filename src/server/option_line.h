/* SPDX-License-Identifier: MIT */
/* A command line by a table of options, the server's or another program's: `--name value`,
 * `--name=value`, `-x value`, `-xvalue`, letters that take no value together, and behind `--` a
 * command. Beginnings of names are not taken for them, as a later option may make those ambiguous.
 *
 * And the one place that makes a value of a text, and says of one that is wrong what is allowed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/problem.h"
#include "server/option_types.h"

/* An option, by its index in the table, was found with this value, "true" where it takes none; of a
 * command a JSON array. `place` is for people: `--name`. All is borrowed. False: `problem` says why
 * reading ends. */
typedef bool option_line_take(void *context, size_t option, const char *place, const char *value);

struct option_line {
    const struct option_spec *specs;
    size_t len;
    const char *help; /* what to type for all there is, as `jobd --help` */
    option_line_take *take;
    void *context;
    struct problem *problem;
};

/* The words behind the program's name, NULL at the end. */
bool option_line_read(const struct option_line *line, char **words);

/* Sets it in `target`, where nothing is set yet. False: `problem` names the place. */
bool option_line_apply(const struct option_spec *spec, void *target, const char *place,
                       const char *text, struct problem *problem);
