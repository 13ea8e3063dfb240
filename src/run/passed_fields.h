/* SPDX-License-Identifier: MIT */
/* The fields of a request that go on with its job to whoever runs it: the text that the job keeps
 * as JOBD_HEADERS, a line `Name: value` for each, the values as they came. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { PASSED_NAMES_MAX = 16, PASSED_NAME_SIZE = 65 /* with its NUL */ };

/* Is it a field that a runner makes itself when it signs? */
bool passed_fields_signs(const char *name);

/* A field in that text, without an end of its own. */
struct passed_field {
    const char *line;
    size_t line_size; /* all of it, without its line feed */
    size_t name_size;
    const char *value;
    size_t value_size;
};

/* The first field of *text, which then points behind it; false: there are no more. */
bool passed_fields_next(const char **text, struct passed_field *field);
