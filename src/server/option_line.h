/* SPDX-License-Identifier: MIT */
/* Reads a command line by a table of options, the server's or a client's: `--name value`,
 * `--name=value`, `-x value`, `-xvalue`, several letters without values in one word, and a command
 * behind `--`. Names cannot be abbreviated, because a later option could make an abbreviation
 * ambiguous.
 *
 * It is also the one place where a text becomes a value, and where an error says what is
 * allowed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/problem.h"
#include "server/option_types.h"

/* Called for each option, by its index in the table, with its value: "true" if it takes none, a
 * JSON array for a command. `place` is for people: `--name`. All is borrowed until return. False
 * ends the reading: `problem` says why. */
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

/* Sets the option in `target`, where it is not set yet. False: `problem` names the place and says
 * what is allowed. */
bool option_line_apply(const struct option_spec *spec, void *target, const char *place,
                       const char *text, struct problem *problem);
